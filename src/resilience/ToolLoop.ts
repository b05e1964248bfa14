/**
 * Asks a model to use tools, decodes all calls of its reply before any handler runs, and asks again when a call is bad,
 * with the error told to the model as the call's result. Then it runs the handlers, each once.
 *
 * @example
 * import * as Effect from "effect/Effect"
 * import * as Schema from "effect/Schema"
 * import * as Tool from "effect-llm-resilience/model/Tool"
 * import * as Toolkit from "effect-llm-resilience/model/Toolkit"
 * import * as ToolLoop from "effect-llm-resilience/resilience/ToolLoop"
 * import * as ScriptedModel from "effect-llm-resilience/testing/ScriptedModel"
 *
 * const GetWeather = Tool.make("get_weather", {
 *   description: "The weather in a city",
 *   parameters: Schema.Struct({ city: Schema.String })
 * })
 *
 * const program = Effect.gen(function*() {
 *   const toolkit = yield* Toolkit.make(GetWeather)
 *   const outcome = yield* ToolLoop.call({
 *     prompt: "How is the weather in Rome?",
 *     toolkit,
 *     handlers: { get_weather: ({ city }) => Effect.succeed(`Sunny in ${city}`) }
 *   })
 *   return [outcome.results[0]?.content, outcome.reasks] as const
 * }).pipe(Effect.provide(ScriptedModel.layer([
 *   ScriptedModel.rawToolCall("get_weather", `{"city": "Rome",}`), // not JSON: refused, and the model is told
 *   ScriptedModel.toolCall("get_weather", { city: "Rome" })
 * ])))
 *
 * Effect.runPromise(program).then(console.log) // [ 'Sunny in Rome', 1 ]
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { found, InvalidOptions } from "../error/InvalidOptions.ts"
import type { InvalidToolCall } from "../error/ModelError.ts"
import * as ToolCallError from "../error/ToolCallError.ts"
import * as LanguageModel from "../model/LanguageModel.ts"
import * as Prompt from "../model/Prompt.ts"
import * as Response from "../model/Response.ts"
import type * as Tool from "../model/Tool.ts"
import * as ToolCall from "../model/ToolCall.ts"
import * as Toolkit from "../model/Toolkit.ts"
import * as Usage from "../model/Usage.ts"
import * as Event from "../telemetry/Event.ts"
import * as Monitor from "../telemetry/Monitor.ts"
import { derivedKey } from "./internal/derivedKey.ts"

/**
 * The numbers used where the options are silent.
 *
 * @since 0.1.0
 * @category defaults
 */
export const defaults = { maxReasks: 2, concurrency: 1 } as const

/**
 * A request with the tools and what runs them.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options<
  Tools extends ReadonlyArray<Tool.Any>,
  H extends Toolkit.Handlers<Tools, unknown, unknown>
> extends Omit<LanguageModel.Request, "tools"> {
  readonly toolkit: Toolkit.Toolkit<Tools>
  /** One handler for each tool. */
  readonly handlers: H
  /** How often the model is asked again after bad calls: 0 to 20. Default: 2. */
  readonly maxReasks?: number | undefined
  /** How many handlers of one reply run at a time: 1 or more. Default: 1, in the order of the calls. */
  readonly concurrency?: number | undefined
  /** The name its events carry. Default: `"toolLoop"`. */
  readonly name?: string | undefined
}

/**
 * What came of a call: the model's last reply, its decoded calls and their results.
 *
 * @since 0.1.0
 * @category models
 */
export interface Outcome<Tools extends ReadonlyArray<Tool.Any>> {
  /** The reply that was accepted. */
  readonly response: Response.Response
  readonly calls: ReadonlyArray<ToolCall.Decoded<Tools>>
  /** One result for each call, in the same order. */
  readonly results: ReadonlyArray<Toolkit.ResultOf<Tools>>
  /** How often the model had to be asked again. */
  readonly reasks: number
  /** Why, each time. */
  readonly refused: ReadonlyArray<ToolCallError.ToolCallsRejected | InvalidToolCall>
  /** The tokens of all replies, the refused ones included. */
  readonly usage: Usage.Usage
  /** The whole conversation, re-asks and results included: the prompt of the next turn. */
  readonly prompt: Prompt.Prompt
}

/** Names go back to the provider in the history, and it may refuse letters that a model made up. */
const sendableName = (name: string): string => name.replace(/[^a-zA-Z0-9_-]/g, "_").slice(0, 64) || "unknown_tool"

const notRun = "Not run, because another call of the same reply was refused. Send this call again."

/** The reply that was refused, and for each of its calls what was wrong, as the model reads it. */
const correction = (toolkit: Toolkit.Any, response: Response.Response): ReadonlyArray<Prompt.Message> => {
  const { content } = Response.toMessage(response)
  const verdictOn = (call: Prompt.ToolCallPart): string =>
    Either.match(ToolCall.decodeOne(toolkit, call, response.finishReason), {
      onLeft: ToolCallError.explain,
      onRight: () => notRun
    })
  return [
    Prompt.assistant(
      content.map((part) => part._tag === "ToolCall" ? { ...part, name: sendableName(part.name) } : part)
    ),
    ...response.toolCalls.map((call) =>
      Prompt.toolResult({ id: call.id, name: sendableName(call.name), content: verdictOn(call), isError: true })
    )
  ]
}

/** When the provider itself refused the call there is no reply to answer, so the model is told by a user message. */
const providerCorrection = (error: InvalidToolCall): ReadonlyArray<Prompt.Message> => [
  Prompt.user(
    "Your last tool call could not be read" +
      (error.failedGeneration === undefined ? "." : `: ${JSON.stringify(error.failedGeneration.slice(0, 300))}.`) +
      " Call the tool again with arguments that are one valid JSON object."
  )
]

/** A refused reply: why, what to tell the model, and how to recognise the same failure. */
interface Refusal {
  readonly error: ToolCallError.ToolCallsRejected | InvalidToolCall
  readonly tell: ReadonlyArray<Prompt.Message>
  readonly fingerprint: string
  readonly usage: Usage.Usage
}

/** How far a call has got: everything that a re-ask adds to. */
interface Progress {
  readonly prompt: Prompt.Prompt
  readonly refused: ReadonlyArray<Refusal>
}

const refusedReply = (
  toolkit: Toolkit.Any,
  response: Response.Response,
  error: ToolCallError.ToolCallsRejected
): Refusal => ({
  error,
  tell: correction(toolkit, response),
  fingerprint: ToolCallError.fingerprint(error),
  usage: response.usage
})

const refusedByProvider = (error: InvalidToolCall): Refusal => ({
  error,
  tell: providerCorrection(error),
  fingerprint: JSON.stringify([error._tag, error.failedGeneration ?? error.detail]),
  usage: Usage.zero
})

const reasonsOf = (error: Refusal["error"]): ReadonlyArray<string> =>
  error._tag === "InvalidToolCall" ? [error.message] : error.rejected.map((call) => call.error.message)

/** "HazardousArguments DuplicateKey", "UnknownTool" */
const kindOf = (error: ToolCallError.ToolCallError): string =>
  error._tag === "MalformedArguments"
    ? `${error._tag} ${error.reason}`
    : error._tag === "HazardousArguments"
    ? `${error._tag} ${error.hazard}`
    : error._tag

const kindsOf = (error: Refusal["error"]): ReadonlyArray<string> =>
  error._tag === "InvalidToolCall" ? [error._tag] : error.rejected.map((call) => kindOf(call.error))

const toolsOf = (error: Refusal["error"]): ReadonlyArray<string> =>
  error._tag === "InvalidToolCall" ? [] : error.rejected.map((call) => call.name)

const optionIssues = (
  options: { readonly maxReasks?: number | undefined; readonly concurrency?: number | undefined }
) => [
  ...(options.maxReasks === undefined || (Number.isInteger(options.maxReasks) && options.maxReasks >= 0 &&
      options.maxReasks <= 20)
    ? []
    : [{ path: "maxReasks", found: found(options.maxReasks), allowed: "a whole number from 0 to 20" }]),
  ...(options.concurrency === undefined || (Number.isInteger(options.concurrency) && options.concurrency >= 1)
    ? []
    : [{ path: "concurrency", found: found(options.concurrency), allowed: "a whole number, 1 or more" }])
]

/**
 * What {@link call} itself can fail with; the failures of the handlers come on top.
 *
 * @since 0.1.0
 * @category errors
 */
export type Failure =
  | LanguageModel.LanguageModelError
  | ToolCallError.ToolCallsRejected
  | InvalidOptions
  | Toolkit.InvalidHandler

type AnyTools = ReadonlyArray<Tool.Any>
interface AnyOptions extends Options<AnyTools, Toolkit.Handlers<AnyTools, unknown, unknown>> {}

/**
 * Asks the model, decodes every tool call of the reply, and only when all are good runs their handlers, each once. A
 * reply with a bad call is answered with what is wrong, and the model is asked again: at most `maxReasks` times, and
 * not again when it repeats the same failure. A reply without tool calls is accepted as it is.
 *
 * Fails with the model's own errors, with `ToolCallsRejected` (or the provider's `InvalidToolCall`) when re-asking did
 * not help, with `InvalidOptions` before anything is sent, and with whatever the handlers fail with.
 *
 * @since 0.1.0
 * @category combinators
 */
export function call<
  const Tools extends ReadonlyArray<Tool.Any>,
  H extends Toolkit.Handlers<Tools, unknown, unknown>
>(
  options: Options<Tools, H>
): Effect.Effect<
  Outcome<Tools>,
  Failure | Toolkit.HandlersError<H>,
  LanguageModel.LanguageModel | Toolkit.HandlersContext<H>
>
export function call(options: AnyOptions): Effect.Effect<Outcome<ReadonlyArray<Tool.Any>>, unknown, unknown> {
  const {
    concurrency = defaults.concurrency,
    handlers,
    maxReasks = defaults.maxReasks,
    name = "toolLoop",
    toolkit,
    ...request
  } = options

  /** One question; a reply that may not be run is a value here, so that the loop below reads as a table. */
  const ask = (progress: Progress) =>
    LanguageModel.generate({
      ...request,
      prompt: progress.prompt,
      tools: toolkit,
      ...(request.idempotencyKey === undefined || progress.refused.length === 0
        ? {}
        : { idempotencyKey: derivedKey(request.idempotencyKey, `reask-${progress.refused.length}`) })
    }).pipe(
      Effect.map((response) =>
        Either.match(ToolCall.decode(toolkit, response), {
          onLeft: (error) => ({ _tag: "Refused" as const, refusal: refusedReply(toolkit, response, error) }),
          onRight: (calls) => ({ _tag: "Accepted" as const, response, calls })
        })
      ),
      Effect.catchTag("InvalidToolCall", (error) =>
        Effect.succeed({ _tag: "Refused" as const, refusal: refusedByProvider(error) }))
    )

  const report = (progress: Progress, { error }: Refusal) =>
    Effect.flatMap(Clock.currentTimeMillis, (at) =>
      Monitor.emit(
        Event.ToolCallsRejected({
          at,
          name,
          reask: progress.refused.length,
          tools: toolsOf(error),
          kinds: kindsOf(error),
          reasons: reasonsOf(error)
        })
      ))

  const accepted = (
    progress: Progress
  ): Effect.Effect<
    {
      readonly response: Response.Response
      readonly calls: ReadonlyArray<Toolkit.Call>
      readonly progress: Progress
    },
    LanguageModel.LanguageModelError | ToolCallError.ToolCallsRejected,
    LanguageModel.LanguageModel
  > =>
    Effect.gen(function*() {
      const reply = yield* ask(progress)
      if (reply._tag === "Accepted") return { response: reply.response, calls: reply.calls, progress }
      const { refusal } = reply
      yield* report(progress, refusal)
      const repeats = progress.refused.some((earlier) => earlier.fingerprint === refusal.fingerprint)
      if (repeats || progress.refused.length >= maxReasks) return yield* Effect.fail(refusal.error)
      const at = yield* Clock.currentTimeMillis
      yield* Monitor.emit(Event.Reasked({ at, name, reask: progress.refused.length + 1 }))
      return yield* accepted({
        prompt: Prompt.append(progress.prompt, ...refusal.tell),
        refused: [...progress.refused, refusal]
      })
    })

  const runOne = (decoded: Toolkit.Call) =>
    Effect.tap(
      Toolkit.run(toolkit, handlers, decoded),
      () =>
        Effect.flatMap(Clock.currentTimeMillis, (at) =>
          Monitor.emit(Event.ToolRan({ at, name, tool: decoded.name, callId: decoded.id })))
    )

  return Effect.gen(function*() {
    const issues = optionIssues(options)
    if (issues.length > 0) return yield* new InvalidOptions({ module: "ToolLoop", issues })
    const { calls, progress, response } = yield* accepted({ prompt: Prompt.make(request.prompt), refused: [] })
    const results = yield* Effect.forEach(calls, runOne, { concurrency })
    return {
      response,
      calls,
      results,
      reasks: progress.refused.length,
      refused: progress.refused.map(({ error }) => error),
      usage: progress.refused.reduce((sum, { usage }) => Usage.add(sum, usage), response.usage),
      prompt: Prompt.append(
        progress.prompt,
        Response.toMessage(response),
        ...results.map(({ content, id, isError, name: tool }) =>
          Prompt.toolResult({ id, name: tool, content, isError })
        )
      )
    }
  })
}
