/**
 * Asks a model to use tools, decodes all calls of its reply before any handler runs, and asks again when a call is bad,
 * with the error told to the model as the call's result. Then it runs the handlers, each once. {@link call} stops there;
 * {@link run} gives the results to the model and goes on until it is done, and {@link stream} does the same while the
 * parts of each reply come.
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
 *   ScriptedModel.rawToolCall("get_weather", `{"city" "Rome"}`), // not JSON: refused, and the model is told
 *   ScriptedModel.toolCall("get_weather", { city: "Rome" })
 * ])))
 *
 * Effect.runPromise(program).then(console.log) // [ 'Sunny in Rome', 1 ]
 *
 * @since 0.1.0
 */
import * as Arr from "effect/Array"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { InvalidOptions } from "../error/InvalidOptions.ts"
import type { InvalidToolCall, Truncated } from "../error/ModelError.ts"
import type { SpendLimitExceeded } from "../error/PolicyError.ts"
import type { ReplyError } from "../error/ReplyError.ts"
import type * as ToolCallError from "../error/ToolCallError.ts"
import * as Verdict from "../error/Verdict.ts"
import { describeCause, visible } from "../internal/redact.ts"
import * as LanguageModel from "../model/LanguageModel.ts"
import * as Prompt from "../model/Prompt.ts"
import type * as Response from "../model/Response.ts"
import * as StreamPart from "../model/StreamPart.ts"
import type * as Tool from "../model/Tool.ts"
import type * as ToolCall from "../model/ToolCall.ts"
import type * as Toolkit from "../model/Toolkit.ts"
import * as Usage from "../model/Usage.ts"
import type { Pricing } from "./Price.ts"
import { progressStream } from "./shared/progressStream.ts"
import * as Drive from "./toolLoop/drive.ts"
import { RepeatedToolFailure } from "./toolLoop/errors.ts"
import * as Settings from "./toolLoop/settings.ts"

/**
 * The numbers used where the options are silent. Tokens and cost have no limit of their own.
 *
 * @since 0.1.0
 * @category defaults
 */
export const defaults = Settings.defaults

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
  /** How often the model is asked again after bad calls, for each reply: 0 to 20. Default: 2. */
  readonly maxReasks?: number | undefined
  /** How many handlers of one reply run at a time: 1 or more. Default: 1, in the order of the calls. */
  readonly concurrency?: number | undefined
  /** The name its events carry. Default: `"toolLoop"`. */
  readonly name?: string | undefined
  /**
   * What a reply without a word and without a call is: `"refuse"` asks again (`EmptyReply`), and so where the reply says
   * that it calls tools and holds no call; `"accept"` takes it for the end, for agents that may end in silence. Default:
   * `"refuse"`.
   */
  readonly emptyReplies?: "refuse" | "accept" | undefined
  /**
   * What a text is that holds the call of a tool in the markup of some model: `"refuse"` asks again (`WrittenAsText`),
   * `"accept"` takes it for the answer. It is never run. Default: `"refuse"`.
   */
  readonly writtenCalls?: "refuse" | "accept" | undefined
}

/**
 * How much a run may spend. A limit is checked before what it counts: steps, tokens and cost before the model is asked,
 * tool calls before the handlers of a reply run. So tokens and cost can be overrun by one reply.
 *
 * @since 0.1.0
 * @category models
 */
export interface Limits {
  /** Replies of the model that were accepted: 1 or more. Default: 20. */
  readonly steps?: number | undefined
  /** Calls whose handlers ran: 1 or more. Default: 100. */
  readonly toolCalls?: number | undefined
  /** Tokens of all replies, refused ones included: 1 or more. Default: no limit. */
  readonly tokens?: number | undefined
  /** What `price` adds up to, above 0. Default: no limit. */
  readonly cost?: number | undefined
}

/**
 * How far a run has got. Plain data that encodes to JSON: keep it, and give it to a later run as `state`.
 *
 * @since 0.1.0
 * @category schemas
 */
export const State = Schema.Struct({
  /** Names the run: the idempotency keys of its requests and of its handlers are made from it. */
  key: Schema.String,
  /** The whole conversation: prompt, replies, results, and every re-ask. */
  prompt: Prompt.Prompt,
  /** Replies that were accepted. */
  steps: Schema.NonNegativeInt,
  /** Calls that have their answer. */
  toolCalls: Schema.NonNegativeInt,
  /** Replies that were refused. The model was told why each time, also when the run ended there. */
  reasks: Schema.NonNegativeInt,
  /** The tokens of all replies, the refused ones included. */
  usage: Usage.Usage,
  /** What `price` made of them; 0 without one. */
  cost: Schema.NonNegative,
  /** The last reply ended in the middle of a turn (Anthropic's `pause_turn`), so that a later run asks on. */
  isPaused: Schema.optional(Schema.Boolean)
}).annotations({ identifier: "ToolLoopState" })

/**
 * How far a run has got.
 *
 * @since 0.1.0
 * @category models
 */
export interface State extends Schema.Schema.Type<typeof State> {}

/**
 * What {@link run} and {@link stream} take beyond {@link Options}.
 *
 * @since 0.1.0
 * @category models
 */
export interface RunOptions<
  Tools extends ReadonlyArray<Tool.Any>,
  H extends Toolkit.Handlers<Tools, unknown, unknown>
> extends Options<Tools, H> {
  readonly limits?: Limits | undefined
  /**
   * What the tokens of one reply cost: a table, or a function in a unit of your choice. Needed for `limits.cost`. A reply of a
   * model that has no price stops the run with `InvalidOptions`. Default: nothing.
   */
  readonly price?: Pricing | undefined
  /** How often one call may fail in the same way before the run stops: 1 to 20. Default: 2. */
  readonly sameFailures?: number | undefined
  /**
   * Where an earlier run stopped: it takes the place of `prompt`, and what that run spent counts. Of a run that had come to
   * its end it gives the outcome, and nothing is asked.
   */
  readonly state?: State | undefined
  /**
   * Told the state whenever it has changed: after each reply and each handler, before anything else is done. Keep it
   * there, and a run that is killed can go on. It is not interrupted, so it should be quick.
   */
  readonly checkpoint?: ((state: State) => Effect.Effect<void>) | undefined
}

/**
 * Why a reply was refused: a call of it is bad, the provider itself could not read the call, the reply reached its token
 * limit before the first word, it is empty, or its text is a call.
 *
 * @since 0.1.0
 * @category models
 */
export type Refused = ToolCallError.ToolCallsRejected | InvalidToolCall | Truncated | ReplyError

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
  readonly refused: ReadonlyArray<Refused>
  /** The tokens of all replies, the refused ones included. */
  readonly usage: Usage.Usage
  /** The whole conversation, re-asks and results included: the prompt of the next turn. */
  readonly prompt: Prompt.Prompt
}

/**
 * One reply of a run, its calls and what came of them.
 *
 * @since 0.1.0
 * @category models
 */
export interface Step<Tools extends ReadonlyArray<Tool.Any>> {
  /** Absent for calls that an earlier run had left unanswered. */
  readonly response: Response.Response | undefined
  readonly calls: ReadonlyArray<ToolCall.Decoded<Tools>>
  readonly results: ReadonlyArray<Toolkit.ResultOf<Tools>>
}

/**
 * What came of a run: the model's last reply, which makes no calls, and everything before it.
 *
 * @since 0.1.0
 * @category models
 */
export interface RunOutcome<Tools extends ReadonlyArray<Tool.Any>> {
  /** The last reply. */
  readonly response: Response.Response
  /** Every accepted reply of this run, the last one included. */
  readonly steps: ReadonlyArray<Step<Tools>>
  /** Why replies were refused, each time. */
  readonly refused: ReadonlyArray<Refused>
  /** The conversation, the re-asks, the tokens and the cost. `state.prompt` is the prompt of the next turn. */
  readonly state: State
}

/**
 * What a streamed run tells as it goes.
 *
 * @since 0.1.0
 * @category models
 */
export type Progress<Tools extends ReadonlyArray<Tool.Any>> =
  /** A part of the reply of that step, counted from 1. */
  | { readonly _tag: "Part"; readonly step: number; readonly part: StreamPart.StreamPart }
  /** The reply that just ended was refused: forget its parts. The model is asked again, unless the run fails. */
  | {
    readonly _tag: "Refused"
    readonly step: number
    readonly error: Refused
  }
  /** A call has its answer. */
  | { readonly _tag: "Result"; readonly step: number; readonly result: Toolkit.ResultOf<Tools> }
  /** The model is done. Always the last. */
  | { readonly _tag: "Done"; readonly outcome: RunOutcome<Tools> }

/** How many refused replies a message names; the errors themselves are all in `refused`. */
const shownRefusals = 8

/** Why replies were refused, each in a word. The last one is most often told as the error itself. */
const nameRefused = (refused: ReadonlyArray<Refused>): string => {
  const words = refused.map((reply) =>
    reply._tag === "ToolCallsRejected"
      ? Arr.dedupe(reply.rejected.map(({ error }) => error._tag)).join(" and ")
      : reply._tag
  )
  const shown = words.slice(0, shownRefusals)
  if (words.length > shown.length) shown.push(`${words.length - shown.length} more`)
  return shown.length === 0 ? "" : ` (${shown.join(", ")})`
}

/**
 * A run that did not come to its end: why (`error`), and how far it had got (`state`, with the conversation and every
 * re-ask). Give the state to a later run, with a higher limit or a mended handler, and no call that has its answer is run
 * again. A handler that failed or was interrupted has none, even where what it did was uninterruptible: it is run again,
 * with the same `idempotencyKey`.
 *
 * Its verdict is that of `error`.
 *
 * @since 0.1.0
 * @category errors
 */
export class RunFailed<out E> extends Data.TaggedError("RunFailed")<{
  readonly error: unknown
  readonly state: State
  readonly refused: ReadonlyArray<Refused>
}> {
  declare readonly error: E
  override get message(): string {
    const { reasks, steps, toolCalls, usage } = this.state
    const replies = `${reasks} refused replies${nameRefused(this.refused)}`
    return `Stopped after ${steps} steps, ${toolCalls} tool calls, ${replies} and ${usage.totalTokens} tokens: ` +
      visible(describeCause(this.error).message)
  }
  /** The conversation is for programs; a log gets the counts. */
  override toJSON(): unknown {
    return { _tag: this._tag, message: this.message }
  }
  [Verdict.symbol](): Verdict.Verdict {
    return Verdict.of(this.error)
  }
}

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

/**
 * Why a {@link run} can stop; the failures of the handlers come on top.
 *
 * @since 0.1.0
 * @category errors
 */
export type RunFailure =
  | LanguageModel.LanguageModelError
  | ToolCallError.ToolCallsRejected
  | Toolkit.InvalidHandler
  | SpendLimitExceeded
  | InvalidOptions
  | RepeatedToolFailure

export {
  /**
   * The model made the same call again and again, and it failed in the same way each time; telling the model did not
   * help.
   *
   * @since 0.1.0
   * @category errors
   */
  RepeatedToolFailure
}

type AnyTools = ReadonlyArray<Tool.Any>
interface AnyOptions extends Options<AnyTools, Toolkit.Handlers<AnyTools, unknown, unknown>> {}
interface AnyRunOptions extends RunOptions<AnyTools, Toolkit.Handlers<AnyTools, unknown, unknown>> {}

/**
 * Asks the model, decodes every tool call of the reply, and only when all are good runs their handlers, each once. A
 * reply with a bad call is answered with what is wrong, and the model is asked again: at most `maxReasks` times, and
 * not again when it repeats the same failure. A reply without tool calls is accepted as it is.
 *
 * Fails with the model's own errors, with what refused the last reply (see {@link Refused}) when re-asking did not help, with `InvalidOptions` before anything is sent, and with whatever the handlers fail with.
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
  Failure | Toolkit.Raised<Tools, H>,
  LanguageModel.LanguageModel | Toolkit.HandlersContext<H>
>
export function call(options: AnyOptions): Effect.Effect<Outcome<AnyTools>, unknown, unknown> {
  return Effect.gen(function*() {
    const settings = yield* Settings.settle(options)
    const loop = yield* Drive.make(
      { ...settings, limits: Settings.unlimited },
      { ask: LanguageModel.generate, report: () => Effect.void }
    )
    const { calls, response } = yield* loop.ask
    const results = yield* loop.run(calls)
    const { refused, state } = yield* loop.now
    return { response, calls, results, reasks: state.reasks, refused, usage: state.usage, prompt: state.prompt }
  })
}

const running = (settings: Settings.Settings, host: Drive.Host) =>
  Effect.gen(function*() {
    const loop = yield* Drive.make(settings, host)
    return yield* Effect.catchAll(loop.all, (error) =>
      Effect.flatMap(loop.now, ({ refused, state }) => Effect.fail(new RunFailed({ error, state, refused }))))
  })

/**
 * Asks the model, runs the tools it calls, gives it their results, and asks again, until it answers without a call. A turn
 * that the provider paused (Anthropic's `pause_turn`) is sent back as it is, and goes on.
 *
 * Each reply is treated as in {@link call}: all its calls are good before any handler runs. Failures that tools tell the
 * model (`onFailure: "tell"`) are results; the run stops when the same call fails in the same way `sameFailures` times.
 * A `toolChoice` that forces a call holds for the first reply only.
 *
 * Fails with `InvalidOptions` before anything is sent, and else with {@link RunFailed}, which holds the error and the
 * state to go on from: `SpendLimitExceeded` for a limit, the model's own errors, `ToolCallsRejected` when re-asking did
 * not help, {@link RepeatedToolFailure}, and whatever the handlers fail with.
 *
 * A run goes on from messages alone, too: calls at the end of `prompt` that have no result yet are run first. But only
 * `state` gives their handlers the idempotency keys that they had before.
 *
 * A defect (of a handler, of `price`) and an interruption pass as they are and hold no state: what had been done by then
 * is what `checkpoint` was told.
 *
 * @since 0.1.0
 * @category combinators
 */
export function run<
  const Tools extends ReadonlyArray<Tool.Any>,
  H extends Toolkit.Handlers<Tools, unknown, unknown>
>(
  options: RunOptions<Tools, H>
): Effect.Effect<
  RunOutcome<Tools>,
  InvalidOptions | RunFailed<RunFailure | Toolkit.Raised<Tools, H>>,
  LanguageModel.LanguageModel | Toolkit.HandlersContext<H>
>
export function run(options: AnyRunOptions): Effect.Effect<RunOutcome<AnyTools>, unknown, unknown> {
  return Effect.flatMap(
    Settings.settle(options),
    (settings) => running(settings, { ask: LanguageModel.generate, report: () => Effect.void })
  )
}

/**
 * {@link run} as it happens: the parts of every reply as the provider sends them, refusals, results, and at the end the
 * outcome. Taking no more ends the run and what it waits for; a slow consumer slows the provider down. The run may be up
 * to 16 parts ahead of its consumer, so leaving at a `ToolCall` part need not come before its handler.
 *
 * @since 0.1.0
 * @category combinators
 */
export function stream<
  const Tools extends ReadonlyArray<Tool.Any>,
  H extends Toolkit.Handlers<Tools, unknown, unknown>
>(
  options: RunOptions<Tools, H>
): Stream.Stream<
  Progress<Tools>,
  InvalidOptions | RunFailed<RunFailure | Toolkit.Raised<Tools, H>>,
  LanguageModel.LanguageModel | Toolkit.HandlersContext<H>
>
export function stream(options: AnyRunOptions): Stream.Stream<Progress<AnyTools>, unknown, unknown> {
  return progressStream<Progress<AnyTools>, unknown, unknown>((tell) => {
    const ask = (request: LanguageModel.Request, step: number) =>
      Effect.flatMap(LanguageModel.LanguageModel, ({ name, provider, stream: open }) =>
        StreamPart.collect(
          Stream.tap(open(request), (part) => tell({ _tag: "Part", step, part })),
          { provider, model: name }
        ))
    return Settings.settle(options).pipe(
      Effect.flatMap((settings) => running(settings, { ask, report: tell })),
      Effect.flatMap((outcome) => tell({ _tag: "Done", outcome }))
    )
  })
}
