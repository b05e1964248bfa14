/** Replies that may not be run: why, what the model is told, and how the same failure is recognised. */
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import { type InvalidToolCall, Truncated } from "../../error/ModelError.ts"
import * as ReplyError from "../../error/ReplyError.ts"
import * as ToolCallError from "../../error/ToolCallError.ts"
import * as Prompt from "../../model/Prompt.ts"
import * as Response from "../../model/Response.ts"
import * as ToolCall from "../../model/ToolCall.ts"
import type * as Toolkit from "../../model/Toolkit.ts"
import * as Usage from "../../model/Usage.ts"

/** What refuses a reply: our own gates, the provider's, or that there is nothing in it to go on with. */
export type RefusedError = ToolCallError.ToolCallsRejected | InvalidToolCall | Truncated | ReplyError.ReplyError

/** A reply that was refused. */
export interface Refusal {
  readonly error: RefusedError
  /** What the conversation goes on with, so that the model can do better. */
  readonly messages: ReadonlyArray<Prompt.Message>
  readonly fingerprint: string
  readonly usage: Usage.Usage
}

/** Names go back to the provider in the history, and it may refuse letters that a model made up. */
export const sendableName = (name: string): string =>
  name.replace(/[^a-zA-Z0-9_-]/g, "_").slice(0, 64) || "unknown_tool"

const notRun = "Not run, because another call of the same reply was refused. Send this call again."

/** A result answers one call, so a history with an id twice would be refused by the provider. */
export const withOwnIds = (calls: ReadonlyArray<Prompt.ToolCallPart>): ReadonlyArray<Prompt.ToolCallPart> => {
  const taken = new Set(calls.map(({ id }) => id))
  const used = new Set<string>()
  return calls.map((call, index) => {
    let id = call.id
    for (let more = index + 1; used.has(id); more++) {
      const made = `${call.id}_${more}`
      if (!taken.has(made)) id = made
    }
    used.add(id)
    taken.add(id)
    return id === call.id ? call : { ...call, id }
  })
}

/** The reply that was refused, and for each of its calls what was wrong, as the model reads it. */
const correction = (
  toolkit: Toolkit.Any,
  response: Response.Response,
  error: ToolCallError.ToolCallsRejected
): ReadonlyArray<Prompt.Message> => {
  const calls = withOwnIds(response.toolCalls).map((call) => ({ ...call, name: sendableName(call.name) }))
  const verdicts = response.toolCalls.map((call): string => {
    const alone = ToolCall.decodeOne(toolkit, call, response.finishReason)
    if (Either.isLeft(alone)) return ToolCallError.explain(alone.left)
    // Good by itself, and still refused beside the others, for example for an id that is there twice.
    const rejected = error.rejected.find(({ id, raw }) => id === call.id && raw === call.arguments)
    return rejected === undefined ? notRun : ToolCallError.explain(rejected.error)
  })
  const queue = [...calls]
  return [
    Prompt.assistant(
      Response.toMessage(response).content.map((part) => part._tag === "ToolCall" ? queue.shift() ?? part : part)
    ),
    ...calls.map(({ id, name }, index) =>
      Prompt.toolResult({ id, name, content: verdicts[index] ?? notRun, isError: true })
    )
  ]
}

/** A reply that may be run, as the conversation goes on with it: what was mended in its calls is mended there too. */
export const asRead = (
  toolkit: Toolkit.Any,
  response: Response.Response,
  calls: ReadonlyArray<Toolkit.Call>
): Response.Response =>
  calls.every(({ repairs }) => repairs.length === 0) ? response : new Response.Response({
    ...response,
    parts: response.parts.map((part) => part._tag === "ToolCall" ? ToolCall.mended(toolkit, part) : part)
  })

/** Whether the reply was cut before its first word. */
export const isCutBeforeFirstWord = (response: Response.Response): boolean =>
  response.finishReason === "length" && response.toolCalls.length === 0 && response.text === ""

/** An earlier run may have been stopped in the middle of it. */
const inDoubt = "Not run, or not to its end, because another call of the same reply was refused; it may have had its " +
  "effect. Send this call again if it is still needed."

/** What is wrong with calls that wait for an answer, one of which may not be run. */
export const explanations = (
  toolkit: Toolkit.Any,
  calls: ReadonlyArray<Prompt.ToolCallPart>
): ReadonlyArray<Prompt.Message> =>
  calls.map((call) =>
    Prompt.toolResult({
      id: call.id,
      name: call.name,
      content: Either.match(ToolCall.decodeOne(toolkit, call, "tool-calls"), {
        onLeft: ToolCallError.explain,
        onRight: () => inDoubt
      }),
      isError: true
    })
  )

export const refusedReply = (
  toolkit: Toolkit.Any,
  response: Response.Response,
  error: ToolCallError.ToolCallsRejected
): Refusal => ({
  error,
  messages: correction(toolkit, response, error),
  fingerprint: ToolCallError.fingerprint(error),
  usage: response.usage
})

/** When the provider itself refused the call there is no reply to answer, so the model is told by a user message. */
export const refusedByProvider = (error: InvalidToolCall): Refusal => ({
  error,
  messages: [
    Prompt.user(
      "Your last tool call could not be read" +
        (error.failedGeneration === undefined ? "." : `: ${JSON.stringify(error.failedGeneration.slice(0, 300))}.`) +
        " Call the tool again with arguments that are one valid JSON object."
    )
  ],
  fingerprint: JSON.stringify([error._tag, error.failedGeneration ?? error.detail]),
  usage: Usage.zero
})

/** There is no reply to answer, so the model is told by a user message. */
export const refusedSilence = (provider: string, response: Response.Response): Refusal => ({
  error: new Truncated({
    provider,
    model: response.model,
    received: "",
    billed: "yes",
    detail: "the token limit was reached before the model wrote anything; raise maxOutputTokens"
  }),
  messages: [
    Prompt.user(
      "Your last reply reached its token limit before you wrote anything. Answer, or call a tool, with less thinking."
    )
  ],
  fingerprint: "Truncated",
  usage: response.usage
})

/** Which replies without a call are taken for an answer all the same. */
export interface Accepts {
  readonly emptyReplies: "refuse" | "accept"
  readonly writtenCalls: "refuse" | "accept"
}

/** A reply that only thinks. What a provider keeps for itself may be the whole of a turn. */
const holdsNothing = (response: Response.Response): boolean =>
  response.parts.every((part) => part._tag === "Reasoning" || (part._tag === "Text" && part.text.trim() === ""))

/** What is wrong with a reply that ended by itself and calls nothing. */
const faultOf = (
  toolkit: Toolkit.Any,
  response: Response.Response,
  accepts: Accepts
): ReplyError.ReplyError | undefined => {
  const { finishReason, text, toolCalls } = response
  if (toolCalls.length > 0 || finishReason === "content-filter" || finishReason === "length") return undefined
  if (accepts.emptyReplies === "refuse") {
    if (finishReason === "tool-calls") return new ReplyError.EmptyReply({ missing: "calls", text, finishReason })
    if (holdsNothing(response)) {
      return new ReplyError.EmptyReply({ missing: "everything", text: "", finishReason })
    }
  }
  return accepts.writtenCalls === "refuse" ? Option.getOrUndefined(ToolCall.writtenAsText(toolkit, text)) : undefined
}

/** The refusal of a reply that calls nothing and is no answer either. */
export const refusedAnswer = (
  toolkit: Toolkit.Any,
  response: Response.Response,
  accepts: Accepts
): Refusal | undefined => {
  const error = faultOf(toolkit, response, accepts)
  return error && {
    error,
    // Providers refuse a history with an empty message.
    messages: [
      ...(response.text.trim() === "" ? [] : [Prompt.assistant(response.text)]),
      Prompt.user(ReplyError.explain(error))
    ],
    fingerprint: ReplyError.fingerprint(error),
    usage: response.usage
  }
}

export const reasonsOf = (error: RefusedError): ReadonlyArray<string> =>
  error._tag === "ToolCallsRejected" ? error.rejected.map((call) => call.error.message) : [error.message]

/** "HazardousArguments DuplicateKey", "UnknownTool" */
const kindOf = (error: ToolCallError.ToolCallError): string =>
  error._tag === "MalformedArguments"
    ? `${error._tag} ${error.reason}`
    : error._tag === "HazardousArguments"
    ? `${error._tag} ${error.hazard}`
    : error._tag

export const kindsOf = (error: RefusedError): ReadonlyArray<string> =>
  error._tag === "ToolCallsRejected" ? error.rejected.map((call) => kindOf(call.error)) : [error._tag]

export const toolsOf = (error: RefusedError): ReadonlyArray<string> =>
  error._tag === "ToolCallsRejected"
    ? error.rejected.map((call) => call.name)
    : error._tag === "WrittenAsText"
    ? [error.tool]
    : []
