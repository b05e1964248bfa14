/** Asks a model for data until it is right, and says what was wrong each time. */
import * as Arr from "effect/Array"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Random from "effect/Random"
import * as AnswerError from "../../error/AnswerError.ts"
import { SpendLimitExceeded } from "../../error/PolicyError.ts"
import { elapsedMillis } from "../../internal/elapsed.ts"
import { derivedKey } from "../../internal/seeded.ts"
import * as LanguageModel from "../../model/LanguageModel.ts"
import * as Prompt from "../../model/Prompt.ts"
import * as Response from "../../model/Response.ts"
import * as StructuredOutput from "../../model/StructuredOutput.ts"
import * as ToolCall from "../../model/ToolCall.ts"
import type * as Toolkit from "../../model/Toolkit.ts"
import * as Usage from "../../model/Usage.ts"
import * as RetryPolicy from "../../policy/RetryPolicy.ts"
import * as Event from "../../telemetry/Event.ts"
import * as Monitor from "../../telemetry/Monitor.ts"
import { chargeFor } from "../shared/charge.ts"
import { isPause, mostPauses, withPause } from "../shared/pausedTurn.ts"
import * as Refusals from "../shared/refusals.ts"
import type { Mode, Settings } from "./settings.ts"

/** How the model is asked, and who hears of refusals. */
export interface Model {
  readonly ask: (
    request: LanguageModel.Request
  ) => Effect.Effect<Response.Response, LanguageModel.LanguageModelError, LanguageModel.LanguageModel>
  readonly refused: (error: AnswerError.Refusal) => Effect.Effect<void>
}

/** Models whose servers refused structured output: from then on they are asked by a tool. */
const refusing = new WeakSet<object>()

/** A provider's own structured output is better at it than a tool, where there is one. */
const isNative = (mode: Mode, service: typeof LanguageModel.LanguageModel.Service): boolean =>
  mode === "native" || (mode === "auto" && service.capabilities.structuredOutput !== false && !refusing.has(service))

/** What the wires call the field that asks for structured output, and what servers call the feature. */
const formatName = new RegExp(
  [
    "response[_ ]?format",
    "response(?:_?json)?_?schema",
    "response_?mime_?type",
    "json[_ ]?(?:schema|object|mode)",
    "structured[_ -]?(?:output|generation|decoding)",
    "output[_ ](?:config|format)",
    "text\\.format",
    "guided[_ ]?(?:json|decoding|grammar)",
    "xgrammar|\\bgrammars?\\b"
  ].join("|"),
  "i"
)

/** The server knows the feature and refuses this one schema. */
const aboutSchema =
  /\bschema (?:for|is|must|has|contains|does|exceeds)\b|invalid (?:json ?)?schema|\btoo (?:complex|deep|many|large|long)\b/i

/** Whether the server refused structured output: altogether, or for this schema. */
const refusedFormat = (error: LanguageModel.LanguageModelError): "altogether" | "schema" | undefined => {
  if (error._tag !== "UnsupportedFeature" && error._tag !== "InvalidRequest") return undefined
  const name = error._tag === "UnsupportedFeature" ? error.feature : error.param
  const words = `${name ?? ""} ${error.detail ?? ""}`
  if (!formatName.test(words)) return undefined
  // Without a status nothing was sent: the dialect of this provider cannot write the schema.
  const isOwnCheck = error._tag === "InvalidRequest" && error.status === undefined
  return isOwnCheck || aboutSchema.test(words) ? "schema" : "altogether"
}

const form = <A, I>(output: StructuredOutput.StructuredOutput<A, I>, native: boolean) =>
  native ? { responseFormat: output.format } : { tools: output.toolkit, toolChoice: { tool: output.name } }

const answered = (
  response: Response.Response,
  content: string,
  isError: boolean,
  asSaid: (call: Prompt.ToolCallPart) => Prompt.ToolCallPart = (call) => call
): ReadonlyArray<Prompt.Message> => {
  const calls = Refusals.withOwnIds(response.toolCalls).map((call) => ({
    ...asSaid(call),
    name: Refusals.sendableName(call.name)
  }))
  const queue = [...calls]
  return [
    Prompt.assistant(response.parts.map((part) => part._tag === "ToolCall" ? queue.shift() ?? part : part)),
    ...calls.map(({ id, name }) => Prompt.toolResult({ id, name, content, isError }))
  ]
}

/** The reply, and what was wrong with it where an answer to a reply belongs. */
const correction = (
  response: Response.Response,
  error: AnswerError.InvalidAnswer
): ReadonlyArray<Prompt.Message> => {
  const explanation = AnswerError.explain(error)
  if (response.toolCalls.length > 0) return answered(response, explanation, true)
  // No provider takes a turn of the assistant without a word.
  const reply = response.text.trim() === "" ? [] : [Response.toMessage(response)]
  return [...reply, Prompt.user(explanation)]
}

/**
 * A call stays open until it has a result, and no provider takes a next turn before that; nor do all of them take one
 * whose arguments are not JSON, so what was mended is mended there, too.
 */
const accepted = (toolkit: Toolkit.Any, response: Response.Response): ReadonlyArray<Prompt.Message> =>
  response.toolCalls.length > 0
    ? answered(response, "Received.", false, (call) => ToolCall.mended(toolkit, call))
    : [Response.toMessage(response)]

interface Refused {
  readonly error: AnswerError.Refusal
  /** What rules of a policy know it by. */
  readonly kind: string
  readonly text: string
  readonly reason: string
  readonly messages: ReadonlyArray<Prompt.Message>
  readonly fingerprint: string
  readonly usage: Usage.Usage
  readonly model: string
}

const byUs = (response: Response.Response, error: AnswerError.InvalidAnswer): Refused => ({
  error,
  kind: error.kind,
  text: error.text,
  reason: error.message,
  messages: correction(response, error),
  fingerprint: AnswerError.fingerprint(error),
  usage: response.usage,
  model: response.model
})

const byProvider = (error: Exclude<AnswerError.Refusal, AnswerError.InvalidAnswer>): Refused => ({
  ...Refusals.refusedByProvider(error),
  error,
  kind: error._tag,
  text: error.failedGeneration ?? "",
  reason: error.message,
  model: error.model ?? ""
})

/** One question; a reply that may not be taken is a value here, so that the loop below reads as a table. */
const askOnce = <A, I>(
  output: StructuredOutput.StructuredOutput<A, I>,
  asking: ReturnType<Model["ask"]>
) =>
  asking.pipe(
    Effect.map((response) =>
      Either.mapBoth(StructuredOutput.decode(output, response), {
        onLeft: (error) => byUs(response, error),
        onRight: (decoded) => ({ decoded, response })
      })
    ),
    Effect.catchTag("InvalidToolCall", (error) => Effect.succeed(Either.left(byProvider(error))))
  )

/** Every reason to stop, in the three words that the caller needs. */
const stops = {
  Repeated: "Repeated",
  Never: "Bound",
  Attempts: "Bound",
  Deadline: "Bound",
  HintTooLong: "Bound",
  NotRetryable: "Final",
  NoRule: "Final"
} as const

const overLimit = (limits: Settings<unknown, unknown>["limits"], tokens: number, cost: number) =>
  tokens >= limits.tokens
    ? new SpendLimitExceeded({ unit: "tokens", limit: limits.tokens, spent: tokens })
    : cost >= limits.cost
    ? new SpendLimitExceeded({ unit: "cost", limit: limits.cost, spent: cost })
    : undefined

const elapsedNow = Effect.map(Effect.clock, elapsedMillis)

/** Asks, and asks again as the policy decides; the same failure twice ends it. */
export const run = <A, I>({ limits, mode, name, output, policy, price, question }: Settings<A, I>, model: Model) =>
  Effect.gen(function*() {
    const service = yield* LanguageModel.LanguageModel
    const key = question.idempotencyKey ?? (yield* LanguageModel.nextIdempotencyKey)
    let asksNatively = isNative(mode, service)
    const seen = new Set<string>()
    const refusals: Array<Refused> = []
    let prompt = Prompt.make(question.prompt)
    let usage = Usage.zero
    let cost = 0
    /** Replies that were paused: paid for, and not in the cost yet. */
    const unpaid: Array<{ readonly usage: Usage.Usage; readonly model: string }> = []
    let pauses = 0
    let state = RetryPolicy.start(policy, yield* elapsedNow)

    /** Why not to ask again, or after which wait. */
    const decide = (refused: Refused) =>
      Effect.gen(function*() {
        if (seen.has(refused.fingerprint)) return { _tag: "Stop", reason: "Repeated" } as const
        seen.add(refused.fingerprint)
        // A refused answer is what re-asking is for, unless it was withheld; a rule that names it outranks both.
        const failure = {
          ...RetryPolicy.failureOf(refused.error),
          tag: refused.kind,
          retryable: refused.kind !== "Withheld"
        }
        const now = yield* elapsedNow
        const [next, decision] = RetryPolicy.step(state, failure, now, yield* Random.next)
        state = next
        return decision
      })

    const asking = (idempotencyKey: string) =>
      model.ask({ ...question, ...form(output, asksNatively), prompt, idempotencyKey })

    /** The same question by a tool, where the server refuses to take it natively. */
    const askingEitherWay = (idempotencyKey: string) =>
      mode !== "auto" || !asksNatively || service.capabilities.tools === false
        ? asking(idempotencyKey)
        : Effect.catchAll(asking(idempotencyKey), (error) => {
          const refused = refusedFormat(error)
          if (refused === undefined) return Effect.fail(error)
          if (refused === "altogether") refusing.add(service)
          asksNatively = false
          return asking(derivedKey(idempotencyKey, "tool"))
        })

    /** The reply that ends the turn: one that the provider has paused goes on when it is sent back. */
    const askingToTheEnd = (idempotencyKey: string) =>
      Effect.gen(function*() {
        let response = yield* askingEitherWay(idempotencyKey)
        while (isPause(response) && response.toolCalls.length === 0 && pauses < mostPauses) {
          pauses++
          usage = Usage.add(usage, response.usage)
          unpaid.push(response)
          prompt = withPause(prompt, response)
          response = yield* askingEitherWay(derivedKey(idempotencyKey, `pause-${pauses}`))
        }
        return response
      })

    for (let reasks = 0;; reasks++) {
      const reply = yield* askOnce(output, askingToTheEnd(reasks === 0 ? key : derivedKey(key, `reask-${reasks}`)))
      if (Either.isRight(reply)) {
        const { decoded: { repairs, source, value }, response } = reply.right
        return {
          value,
          source,
          repairs,
          response,
          reasks,
          refused: refusals.map(({ error }) => error),
          usage: Usage.add(usage, response.usage),
          prompt: Prompt.append(prompt, ...accepted(output.toolkit, response))
        }
      }
      const refused = reply.left
      refusals.push(refused)
      usage = Usage.add(usage, refused.usage)
      for (const paid of [...unpaid.splice(0), refused]) {
        cost += yield* chargeFor("GenerateObject", price, paid.usage, paid.model)
      }
      yield* Monitor.emit(Event.AnswerRejected({
        at: yield* Clock.currentTimeMillis,
        name,
        reask: reasks,
        kind: refused.kind,
        reason: refused.reason
      }))
      yield* model.refused(refused.error)
      const decision = yield* decide(refused)
      if (decision._tag === "Stop") {
        return yield* new AnswerError.ObjectRejected({
          output: output.name,
          attempts: Arr.map(Arr.append(refusals.slice(0, -1), refused), ({ error, text }) => ({ text, error })),
          stopped: stops[decision.reason],
          usage: { ...usage }
        })
      }
      const over = overLimit(limits, usage.totalTokens, cost)
      if (over !== undefined) return yield* over
      if (decision.delay > 0) yield* Effect.sleep(decision.delay)
      prompt = Prompt.append(prompt, ...refused.messages)
      yield* Monitor.emit(Event.Reasked({ at: yield* Clock.currentTimeMillis, name, reask: reasks + 1 }))
    }
  })
