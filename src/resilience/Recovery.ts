/**
 * What to answer when a call has failed for good: a table from the `_tag` of an error to a result that is less than was
 * asked for, but valid. The result is marked as degraded and reported, so that nobody takes it for the real one.
 *
 * @example
 * import * as Effect from "effect/Effect"
 * import * as ModelError from "effect-llm-resilience/error/ModelError"
 * import * as LanguageModel from "effect-llm-resilience/model/LanguageModel"
 * import * as Recovery from "effect-llm-resilience/resilience/Recovery"
 * import * as ScriptedModel from "effect-llm-resilience/testing/ScriptedModel"
 *
 * const program = Effect.gen(function*() {
 *   const recovery = yield* Recovery.make({
 *     name: "chat",
 *     table: {
 *       ContentFiltered: () => "I cannot talk about that.",
 *       Truncated: (error) => `${error.received} …`
 *     }
 *   })
 *   const outcome = yield* LanguageModel.generate({ prompt: "Tell me all." }).pipe(
 *     Effect.map((response) => response.text),
 *     Recovery.apply(recovery)
 *   )
 *   return [outcome._tag, outcome.value]
 * }).pipe(Effect.provide(ScriptedModel.layer([
 *   ScriptedModel.fail(new ModelError.Truncated({ provider: "scripted", received: "First of all" }))
 * ])))
 *
 * Effect.runPromise(program).then(console.log) // [ 'Degraded', 'First of all …' ]
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { found, InvalidOptions, type Issue } from "../error/InvalidOptions.ts"
import type { ToolCallsRejected } from "../error/ToolCallError.ts"
import * as LanguageModel from "../model/LanguageModel.ts"
import * as Prompt from "../model/Prompt.ts"
import { Response } from "../model/Response.ts"
import * as StreamPart from "../model/StreamPart.ts"
import * as Usage from "../model/Usage.ts"
import * as Event from "../telemetry/Event.ts"
import * as Monitor from "../telemetry/Monitor.ts"
import * as Opening from "./shared/opening.ts"

/**
 * The mark of recoveries.
 *
 * @since 0.1.0
 * @category symbols
 */
export const TypeId: unique symbol = Symbol.for("effect-llm-resilience/Recovery")

/**
 * The errors a table can name: those of a model, of the policies round it, and of a tool loop.
 *
 * @since 0.1.0
 * @category models
 */
export type Recoverable = LanguageModel.LanguageModelError | ToolCallsRejected

type Named<Tag> = Extract<Recoverable, { readonly _tag: Tag }>

/**
 * From the `_tag` of an error to what is answered instead: a value, or an effect that gives one (a look into a cache,
 * say). Errors that are not named pass through.
 *
 * @since 0.1.0
 * @category models
 */
export type Table = {
  readonly [Tag in Recoverable["_tag"]]?: ((error: Named<Tag>) => unknown) | undefined
}

/** A tag that no error has is a slip of the pen. */
type Known<T> = { readonly [Tag in Exclude<keyof T, Recoverable["_tag"]>]: never }

/**
 * A recovery: its table, and the name its events carry.
 *
 * @since 0.1.0
 * @category models
 */
export interface Recovery<out T extends Table> {
  readonly [TypeId]: typeof TypeId
  readonly name: string
  readonly table: T
}

/**
 * The table of a recovery, and its name.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options<T extends Table> {
  /** The name its events carry. Default: `"recovery"`. */
  readonly name?: string | undefined
  /** One entry or more. */
  readonly table: T
}

/**
 * What is used where the options are silent.
 *
 * @since 0.1.0
 * @category defaults
 */
export const defaults = { name: "recovery" } as const

/**
 * The result that was asked for.
 *
 * @since 0.1.0
 * @category models
 */
export interface Whole<out A> {
  readonly _tag: "Whole"
  readonly value: A
}

/**
 * A result in place of the one that was asked for, and the error that is the reason.
 *
 * @since 0.1.0
 * @category models
 */
export interface Degraded<out A, out E> {
  readonly _tag: "Degraded"
  readonly value: A
  readonly error: E
}

type Answer<T extends Table> = {
  readonly [Tag in keyof T]-?: Exclude<T[Tag], undefined> extends (error: never) => infer B ? B : never
}[keyof T]

type ValueOf<B> = B extends Effect.Effect<infer A, infer _E, infer _R> ? A : B
type ErrorOf<B> = B extends Effect.Effect<infer _A, infer E, infer _R> ? E : never
type ContextOf<B> = B extends Effect.Effect<infer _A, infer _E, infer R> ? R : never

/**
 * What a table answers with.
 *
 * @since 0.1.0
 * @category models
 */
export type Value<T extends Table> = ValueOf<Answer<T>>

/**
 * What the effects of a table can fail with.
 *
 * @since 0.1.0
 * @category models
 */
export type Failing<T extends Table> = ErrorOf<Answer<T>>

/**
 * What the effects of a table need.
 *
 * @since 0.1.0
 * @category models
 */
export type Needs<T extends Table> = ContextOf<Answer<T>>

/**
 * The errors of `E` that a table answers for.
 *
 * @since 0.1.0
 * @category models
 */
export type Handled<E, T extends Table> = Extract<E, { readonly _tag: keyof T }>

const problems = (options: { readonly name?: unknown; readonly table?: unknown }): ReadonlyArray<Issue> => {
  const { name, table } = options
  const entries = typeof table === "object" && table !== null ? Object.entries(table) : []
  return [
    ...(name === undefined || (typeof name === "string" && name.trim() !== "")
      ? []
      : [{ path: "name", found: found(name), allowed: "a text that is not empty" }]),
    ...(entries.some(([, answer]) => answer !== undefined)
      ? []
      : [{ path: "table", found: found(table), allowed: "a table with one entry or more" }]),
    ...entries.flatMap(([tag, answer]) =>
      answer === undefined || typeof answer === "function" ? [] : [{
        path: `table.${tag}`,
        found: found(answer),
        allowed: "a function from the error to what is answered instead"
      }]
    )
  ]
}

/**
 * A recovery. Fails with one `InvalidOptions` that lists every wrong option; a table without an entry is one, since it
 * recovers nothing.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <const T extends Table>(
  options: Options<T & Known<T>>
): Effect.Effect<Recovery<T>, InvalidOptions> =>
  Effect.suspend(() => {
    const issues = problems(options)
    return issues.length > 0
      ? Effect.fail(new InvalidOptions({ module: "Recovery", issues }))
      : Effect.succeed({ [TypeId]: TypeId, name: options.name ?? defaults.name, table: options.table })
  })

type AnyEffect = Effect.Effect<unknown, unknown, unknown>

const isFunction = (value: unknown): value is (error: unknown) => unknown => typeof value === "function"

/** Only the table's own entries count, so that no error's tag can reach a member of every object. */
const answerTo = (table: Table, error: unknown): ((error: unknown) => unknown) | undefined => {
  const tag = Event.errorTag(error)
  const answer: unknown = Object.hasOwn(table, tag) ? Reflect.get(table, tag) : undefined
  return isFunction(answer) ? answer : undefined
}

const given = (answer: unknown): AnyEffect => Effect.isEffect(answer) ? answer : Effect.succeed(answer)

const degrade = (self: Recovery<Table>, error: unknown, answer: (error: unknown) => unknown): AnyEffect =>
  Effect.flatMap(
    Effect.suspend(() => given(answer(error))),
    (value) =>
      Effect.flatMap(
        Clock.currentTimeMillis,
        (at) => Effect.as(Monitor.emit(Event.Degraded({ at, name: self.name, error })), value)
      )
  )

const recovered = (effect: AnyEffect, self: Recovery<Table>): AnyEffect =>
  Effect.matchEffect(effect, {
    onFailure: (error) => {
      const answer = answerTo(self.table, error)
      return answer === undefined
        ? Effect.fail(error)
        : Effect.map(degrade(self, error, answer), (value) => ({ _tag: "Degraded", value, error }))
    },
    onSuccess: (value) => Effect.succeed({ _tag: "Whole", value })
  })

/**
 * Runs the effect; an error that the table names becomes a `Degraded` result, everything else is as it was, and the
 * type says which errors are left. Interruption and defects are never recovered from. When an effect of the table
 * fails, that failure is the error.
 *
 * @since 0.1.0
 * @category combinators
 */
export function apply<T extends Table>(self: Recovery<T>): <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<
  Whole<A> | Degraded<Value<T>, Handled<E, T>>,
  Exclude<E, Handled<E, T>> | Failing<T>,
  R | Needs<T>
>
export function apply<A, E, R, T extends Table>(effect: Effect.Effect<A, E, R>, self: Recovery<T>): Effect.Effect<
  Whole<A> | Degraded<Value<T>, Handled<E, T>>,
  Exclude<E, Handled<E, T>> | Failing<T>,
  R | Needs<T>
>
export function apply(...args: readonly [AnyEffect, Recovery<Table>] | readonly [Recovery<Table>]): unknown {
  return args.length === 2 ? recovered(args[0], args[1]) : (effect: AnyEffect) => recovered(effect, args[0])
}

/**
 * A table that answers with responses, for {@link strengthen} and {@link layer}.
 *
 * @since 0.1.0
 * @category models
 */
export type ModelTable = {
  readonly [Tag in LanguageModel.LanguageModelError["_tag"]]?:
    | ((error: Named<Tag>) => Response | Effect.Effect<Response, LanguageModel.LanguageModelError>)
    | undefined
}

/** Where the mark stands, so that it survives being written as JSON. */
const mark = "degraded: "

/**
 * A reply of your own to answer with: one text, no tokens used, from no model.
 *
 * @since 0.1.0
 * @category constructors
 */
export const reply = (text: string): Response =>
  new Response({ model: "none", parts: [Prompt.text(text)], finishReason: "stop", usage: Usage.zero })

/**
 * The `_tag` of the error in whose place a response stands, for a response that {@link strengthen} or {@link layer} put
 * there; it is the response's `rawFinishReason`, as in `"degraded: ContentFiltered"`.
 *
 * @since 0.1.0
 * @category getters
 */
export const degradedBy = (response: Response): Option.Option<string> =>
  response.rawFinishReason?.startsWith(mark) === true
    ? Option.some(response.rawFinishReason.slice(mark.length))
    : Option.none()

/** The response of the table in place of the one that failed, marked. */
const marked = (response: Response, error: LanguageModel.LanguageModelError): Response =>
  new Response({ ...response, rawFinishReason: `${mark}${error._tag}` })

/**
 * The model with the table behind it: where a call fails with an error that the table names, it answers with the
 * table's response, marked (see {@link degradedBy}). A stream that fails after content has reached the consumer goes on
 * with a `Reset`, so that what came before is not taken for a part of that response. So does a reply that the provider
 * keeps (`resumable`): of its errors only those that the table does not name are left to be gone on after.
 *
 * @since 0.1.0
 * @category combinators
 */
export function strengthen<E extends LanguageModel.LanguageModelError, T extends ModelTable>(
  model: LanguageModel.Service<E>,
  recovery: Recovery<T>
): LanguageModel.Service<Exclude<E, Handled<E, T>> | Extract<Failing<T>, LanguageModel.LanguageModelError>>
export function strengthen(model: LanguageModel.Service, recovery: Recovery<ModelTable>): LanguageModel.Service {
  type Failing = Effect.Effect<never, LanguageModel.LanguageModelError>
  /** What is sent instead of the rest of a stream. */
  const instead = (failing: Failing, before: ReadonlyArray<StreamPart.StreamPart>) =>
    Stream.unwrap(Effect.map(apply(failing, recovery), (outcome) =>
      outcome._tag === "Whole"
        ? Stream.empty
        : Stream.fromIterable([...before, ...StreamPart.fromResponse(marked(outcome.value, outcome.error))])))
  /** `before`: whether something of the reply was shown. */
  const recovering = (
    stream: Stream.Stream<StreamPart.StreamPart, LanguageModel.LanguageModelError>,
    before: { isShown: boolean }
  ) => {
    const reset = (error: LanguageModel.LanguageModelError) => StreamPart.reset(2, `${mark}${error._tag}`)
    return Stream.unwrapScoped(
      Effect.flatMap(Effect.scope, (scope) =>
        Effect.match(Opening.open(stream, scope), {
          onFailure: (error) => instead(Effect.fail(error), before.isShown ? [reset(error)] : []),
          onSuccess: (opened) => {
            before.isShown = true
            return Stream.catchAll(
              Opening.resume(opened),
              (error) => instead(Effect.fail(error), [reset(error)])
            )
          }
        }))
    )
  }
  const { resumable } = model
  return {
    ...model,
    generate: (request) =>
      Effect.map(
        apply(model.generate(request), recovery),
        (outcome) => outcome._tag === "Whole" ? outcome.value : marked(outcome.value, outcome.error)
      ),
    stream: (request) => Stream.suspend(() => recovering(model.stream(request), { isShown: false })),
    ...(resumable === undefined ? {} : {
      resumable: (request: LanguageModel.Request) =>
        Effect.map(apply(resumable(request), recovery), (outcome): LanguageModel.Resumable => {
          if (outcome._tag === "Degraded") {
            const parts = Stream.fromIterable(StreamPart.fromResponse(marked(outcome.value, outcome.error)))
            return { parts, resume: Stream.empty, cancel: Effect.void }
          }
          const shown = { isShown: false }
          const { cancel, parts, resume } = outcome.value
          return { parts: recovering(parts, shown), resume: recovering(resume, shown), cancel }
        })
    })
  }
}

/**
 * Puts a table behind the `LanguageModel` below it, under the same tag. Fails with `InvalidOptions` as {@link make}
 * does.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = <const T extends ModelTable>(
  options: Options<T & Known<T>>
): Layer.Layer<LanguageModel.LanguageModel, InvalidOptions, LanguageModel.LanguageModel> =>
  Layer.effect(
    LanguageModel.LanguageModel,
    Effect.zipWith(LanguageModel.LanguageModel, make<T>(options), strengthen)
  )

/**
 * "chat: answers for ContentFiltered, Truncated"
 *
 * @since 0.1.0
 * @category interpreters
 */
export const describe = (self: Recovery<Table>): string => `${self.name}: answers for ${tags(self).join(", ")}`

const tags = (self: Recovery<Table>): ReadonlyArray<string> =>
  Object.entries(self.table).flatMap(([tag, answer]) => answer === undefined ? [] : [tag])
