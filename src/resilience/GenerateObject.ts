/**
 * Asks a model for data and gives it decoded. An answer that does not pass the gates of `StructuredOutput` is told to the
 * model with exactly what is wrong, and it is asked again: a bounded number of times, and not again when it repeats the
 * same failure. {@link call} gives the answer, {@link stream} shows it while it comes.
 *
 * @example
 * import * as GenerateObject from "effect-llm-resilience/resilience/GenerateObject"
 * import * as ScriptedModel from "effect-llm-resilience/testing/ScriptedModel"
 * import * as Effect from "effect/Effect"
 * import * as Schema from "effect/Schema"
 *
 * const City = Schema.Struct({ name: Schema.NonEmptyString, founded: Schema.Int })
 *
 * const program = Effect.gen(function*() {
 *   const { reasks, usage, value } = yield* GenerateObject.call({
 *     prompt: "Tell me of Rome.",
 *     output: { name: "city", schema: City }
 *   })
 *   return [value.name, value.founded, reasks, usage.totalTokens] as const
 * }).pipe(Effect.provide(ScriptedModel.layer([
 *   ScriptedModel.json({ name: "Rome", founded: "long ago" }), // does not fit: the model is told
 *   ScriptedModel.json({ name: "Rome", founded: -753 })
 * ])))
 *
 * Effect.runPromise(program).then(console.log) // [ 'Rome', -753, 1, 30 ]
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type * as AnswerError from "../error/AnswerError.ts"
import type { InvalidOptions } from "../error/InvalidOptions.ts"
import * as LanguageModel from "../model/LanguageModel.ts"
import type * as Prompt from "../model/Prompt.ts"
import type * as Response from "../model/Response.ts"
import * as StreamPart from "../model/StreamPart.ts"
import type * as StructuredOutput from "../model/StructuredOutput.ts"
import type * as Usage from "../model/Usage.ts"
import type * as RetryPolicy from "../policy/RetryPolicy.ts"
import * as Drive from "./generateObject/drive.ts"
import * as Settings from "./generateObject/settings.ts"
import { Watch } from "./generateObject/watch.ts"
import type { Pricing } from "./Price.ts"
import { progressStream } from "./shared/progressStream.ts"

/**
 * What is used where the options are silent.
 *
 * @since 0.1.0
 * @category defaults
 */
export const defaults = Settings.defaults

/**
 * How the model is asked for data: `"native"` by the provider's own structured output, `"tool"` by a tool it has to call,
 * `"auto"` natively unless the model's capabilities rule it out. Where the server refuses the native form (`response_format`)
 * all the same, `"auto"` asks once more by a tool, and for as long as the model lives begins with the tool; where it refuses
 * only the schema, just this question is asked by a tool.
 *
 * @since 0.1.0
 * @category models
 */
export type Mode = Settings.Mode

/**
 * A request with what is wanted.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options<in out A, in out I = A>
  extends Omit<LanguageModel.Request, "tools" | "toolChoice" | "parallelToolCalls" | "responseFormat">
{
  /** What `StructuredOutput.make` gave, or what it would be made from. */
  readonly output: StructuredOutput.StructuredOutput<A, I> | StructuredOutput.Options<A, I>
  /** Default: `"auto"`. */
  readonly mode?: Mode | undefined
  /** How often the model is asked again, at once: 0 to 20. Default: 2. */
  readonly maxReasks?: number | undefined
  /**
   * Whether and when the model is asked again, in place of `maxReasks`: a policy whose attempts are bounded. Its rules
   * name the `kind` of an `InvalidAnswer` (`"InvalidArguments"`, `"TruncatedArguments"`, …) or `"InvalidToolCall"`. An
   * answer that was `"Withheld"` is asked for again only where a rule names it.
   */
  readonly reask?: RetryPolicy.RetryPolicy | undefined
  /** The name its events carry. Default: `"generateObject"`. */
  readonly name?: string | undefined
  /**
   * How much all questions together may spend: tokens, and what `price` makes of them, above 0. A limit is checked before
   * the model is asked again, so it can be overrun by one reply; then the question fails with `SpendLimitExceeded`. Default:
   * no limit.
   */
  readonly limits?: { readonly tokens?: number | undefined; readonly cost?: number | undefined } | undefined
  /**
   * What the tokens of one reply cost: a table, or a function in a unit of your choice. Needed for `limits.cost`. A reply of a
   * model that has no price is a failure with `InvalidOptions`, unless it is the answer. Default: nothing.
   */
  readonly price?: Pricing | undefined
}

/**
 * What came of a question.
 *
 * @since 0.1.0
 * @category models
 */
export interface Outcome<out A> {
  readonly value: A
  /** Whether the model wrote the answer as text or as the arguments of a call. */
  readonly source: "text" | "call"
  /** What had to be mended in it, by the names of the repairs. */
  readonly repairs: ReadonlyArray<string>
  /** The reply that holds the answer. */
  readonly response: Response.Response
  /** How often the model had to be asked again. */
  readonly reasks: number
  /** Why, each time. */
  readonly refused: ReadonlyArray<AnswerError.Refusal>
  /** The tokens of all replies, the refused ones included. */
  readonly usage: Usage.Usage
  /** The whole conversation, re-asks and answer included: the prompt of the next turn. */
  readonly prompt: Prompt.Prompt
}

/**
 * What a question can fail with.
 *
 * @since 0.1.0
 * @category errors
 */
export type Failure = LanguageModel.LanguageModelError | AnswerError.ObjectRejected | InvalidOptions

/**
 * Asks the model for data and decodes its answer; asks again, with what was wrong, as `maxReasks` or `reask` allow, and
 * stops at once when the same failure repeats. Each re-ask has an idempotency key of its own, made from that of the
 * question. A turn that the provider pauses for its own tools (Anthropic's `pause_turn`) goes on by itself, up to 20 times a
 * question; its text so far is no answer.
 *
 * Fails with the model's own errors, with `ObjectRejected` when re-asking did not help, and with `InvalidOptions`
 * before anything is sent.
 *
 * @since 0.1.0
 * @category combinators
 */
export const call = <A, I = A>(
  options: Options<A, I>
): Effect.Effect<Outcome<A>, Failure, LanguageModel.LanguageModel> =>
  Effect.flatMap(
    Settings.settle(options),
    (settings) => Drive.run(settings, { ask: LanguageModel.generate, refused: () => Effect.void })
  )

/**
 * What a streamed question tells as it goes.
 *
 * @since 0.1.0
 * @category models
 */
export type Progress<A, I = A> =
  /** What can be shown by now, in place of what was shown before. */
  | StructuredOutput.Partial<I>
  /** The reply that just ended was refused: forget what was shown. The model is asked again, unless the stream fails. */
  | { readonly _tag: "Refused"; readonly error: AnswerError.Refusal }
  /** The answer. Always the last. */
  | { readonly _tag: "Done"; readonly outcome: Outcome<A> }

/**
 * {@link call} as it happens: what can be shown of each answer while it comes, refusals, and at the end the outcome. Each
 * `Partial` replaces the one before; one that brings nothing new is left out. Nothing is `Done` before the reply has
 * ended by itself and passed all gates. Taking no more ends the question and what it waits for; a slow consumer slows the
 * provider down.
 *
 * A long answer is looked at whenever it has grown by a 64th, so that showing it costs time in proportion to its length.
 *
 * @since 0.1.0
 * @category combinators
 */
export const stream = <A, I = A>(
  options: Options<A, I>
): Stream.Stream<Progress<A, I>, Failure, LanguageModel.LanguageModel> =>
  progressStream((tell: (progress: Progress<A, I>) => Effect.Effect<void>) =>
    Effect.gen(function*() {
      const settings = yield* Settings.settle(options)
      const model = yield* LanguageModel.LanguageModel
      const ask = (request: LanguageModel.Request) =>
        Effect.suspend(() => {
          const watch = new Watch(settings.output)
          return StreamPart.collect(
            Stream.tap(
              model.stream(request),
              (part) => Option.match(watch.see(part), { onNone: () => Effect.void, onSome: tell })
            ),
            { provider: model.provider, model: model.name }
          )
        })
      const outcome = yield* Drive.run(settings, { ask, refused: (error) => tell({ _tag: "Refused", error }) })
      yield* tell({ _tag: "Done", outcome })
    })
  )
