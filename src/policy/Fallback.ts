/**
 * Alternatives in order: when an effect fails, the next one is tried, if the verdict of the error allows it or a
 * condition names the error. A verdict `Fail` stops it, so that a wrong request is not sent to everybody in turn. The
 * last error passes through unboxed; a report or `PlanExhausted` tells the whole story where you ask for it.
 * Interruption and defects never fall back.
 *
 * @example
 * import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
 * import * as Fallback from "effect-llm-resilience/policy/Fallback"
 *
 * const live = Effect.fail("the index is down")
 * const cached = Effect.succeed(["yesterday's answer"])
 *
 * const program = Effect.gen(function*() {
 *   const fallback = yield* Fallback.make({ name: "search", primary: "live" })
 *   return yield* live.pipe(Fallback.applyWithReport(fallback, [{ name: "cache", effect: cached }]))
 * })
 *
 * Effect.runPromise(program).then((report) => console.log(report.step, report.failed))
 * // cache [ { step: 'live', error: 'the index is down' } ]
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type { InvalidOptions } from "../error/InvalidOptions.ts"
import { PlanExhausted } from "../error/PolicyError.ts"
import * as Verdict from "../error/Verdict.ts"
import * as Form from "../internal/form.ts"
import * as Plan from "../internal/plan.ts"
import * as Event from "../telemetry/Event.ts"
import * as Monitor from "../telemetry/Monitor.ts"
import { judge, readForm } from "./shared/options.ts"

/**
 * The mark of fallbacks.
 *
 * @since 0.1.0
 * @category symbols
 */
export const TypeId: unique symbol = Symbol.for("effect-llm-resilience/Fallback")

/**
 * Which errors an alternative is for: those with one of the `tags`, those whose verdict has one of the `actions`, and
 * those that the `predicate` takes; one of the three is enough. A condition replaces the rule of verdicts. Only naming
 * an error (by tag or action) moves on from a verdict `Fail`; a predicate alone does not.
 *
 * @since 0.1.0
 * @category models
 */
export interface Condition<in E = unknown> {
  /** The `_tag` of the error, or the name of its kind. */
  readonly tags?: ReadonlyArray<string> | undefined
  readonly actions?: ReadonlyArray<Verdict.Action> | undefined
  readonly predicate?: ((error: E) => boolean) | undefined
}

/**
 * A fallback: when to move on, how errors are judged, and the names its events carry.
 *
 * @since 0.1.0
 * @category models
 */
export interface Fallback {
  readonly [TypeId]: typeof TypeId
  readonly name: string
  readonly primary: string
  readonly when: Condition | undefined
  readonly verdict: (error: unknown) => Verdict.Verdict
}

/**
 * The fallback of the context.
 *
 * @since 0.1.0
 * @category tags
 */
export const Fallback = Context.GenericTag<Fallback>("effect-llm-resilience/Fallback")

/**
 * What is used where the options are silent.
 *
 * @since 0.1.0
 * @category defaults
 */
export const defaults = { name: "fallback", primary: "primary" } as const

/**
 * When to move on, how errors are judged, and the names in events and reports. Everything may be left out.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** The name its events carry. Default: `"fallback"`. */
  readonly name?: string | undefined
  /** What the first effect is called in events and reports. Default: `"primary"`. */
  readonly primary?: string | undefined
  /** For all alternatives without a condition of their own. Default: the verdict is Retry or Fallback. */
  readonly when?: Condition | undefined
  /** Judges errors that do not know their own verdict. Default: `Verdict.of`. */
  readonly verdict?: ((error: unknown) => Verdict.Verdict) | undefined
}

/**
 * An effect to try when those before it have failed.
 *
 * @since 0.1.0
 * @category models
 */
export interface Alternative<out A, out E = never, out R = never> {
  readonly name: string
  readonly effect: Effect.Effect<A, E, R>
  /** Which errors it is for; where it is not for any error so far, it is skipped. Default: the fallback's own `when`. */
  readonly when?: Condition | undefined
}

/**
 * A value, who gave it, and what was tried before.
 *
 * @since 0.1.0
 * @category models
 */
export interface Report<out A, out E> {
  readonly value: A
  /** The name of the effect that answered. */
  readonly step: string
  /** The effects that failed, in the order they were tried, with their own errors. */
  readonly failed: ReadonlyArray<{ readonly step: string; readonly error: E }>
  /** The alternatives that were passed over because they are not for these errors. */
  readonly skipped: ReadonlyArray<string>
}

const form = Form.of<Options>()(Form.struct("an object with the options of a fallback", {
  name: Form.withDefault(Form.name, () => defaults.name),
  primary: Form.withDefault(Form.name, () => defaults.primary),
  when: Form.optional(Plan.conditionForm<unknown>()),
  verdict: Form.optional(judge)
}))

/**
 * A fallback. Fails with one `InvalidOptions` that lists every wrong option.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Effect.Effect<Fallback, InvalidOptions> =>
  Effect.suspend(() =>
    Either.map(readForm("Fallback", form, options), ({ name, primary, verdict, when }): Fallback => ({
      [TypeId]: TypeId,
      name,
      primary,
      when,
      verdict: verdict ?? Verdict.of
    }))
  )

/**
 * A fallback by the rule of verdicts, with the names of {@link defaults}.
 *
 * @since 0.1.0
 * @category constructors
 */
export const standard: Fallback = { [TypeId]: TypeId, ...defaults, when: undefined, verdict: Verdict.of }

/**
 * Provides a fallback under its tag.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options = {}): Layer.Layer<Fallback, InvalidOptions> =>
  Layer.effect(Fallback, make(options))

/**
 * "search: falls back from live on a Retry or Fallback verdict"
 *
 * @since 0.1.0
 * @category interpreters
 */
export const describe = (self: Fallback): string =>
  `${self.name}: falls back from ${self.primary} on ${
    self.when === undefined ? "a Retry or Fallback verdict" : Plan.describeCondition(self.when)
  }`

/**
 * Why a run found no answer: its last error, what was tried, and why it went no further.
 *
 * @since 0.1.0
 * @category models
 */
export interface Failure<out E> {
  readonly error: E
  readonly failed: ReadonlyArray<{ readonly step: string; readonly error: E }>
  readonly skipped: ReadonlyArray<string>
  readonly reason: string
}

/** The typed failure of a cause, as in `Retry`: a defect beside it makes it none, an interruption beside it does not. */
const typedFailure = <E>(cause: Cause.Cause<E>): Option.Option<E> =>
  Option.isSome(Cause.dieOption(cause)) ? Option.none() : Cause.failureOption(cause)

/** How far a run has got: which steps were tried, and which were skipped. */
interface Progress<out E> {
  readonly position: number
  readonly failures: ReadonlyArray<Plan.Failure<E>>
  readonly failed: ReadonlyArray<{ readonly step: string; readonly error: E }>
  readonly skipped: ReadonlyArray<string>
}

const start: Progress<never> = { position: 0, failures: [], failed: [], skipped: [] }

/** A step of {@link run}: an alternative whose condition may be typed. */
interface Step<out A, E, out R> {
  readonly name: string
  readonly effect: Effect.Effect<A, E, R>
  readonly when?: Condition<E> | undefined
}

/** Tries the next step that the failure allows. */
const moveOn = <A, E, R, E2>(
  self: { readonly name: string; readonly verdict: (error: unknown) => Verdict.Verdict },
  steps: ReadonlyArray<Step<A, E, R>>,
  exhausted: (failure: Failure<E>) => E2,
  progress: Progress<E>,
  cause: Cause.Cause<E>
): Effect.Effect<Report<A, E>, E2, R> => {
  const name = steps[progress.position]?.name ?? self.name
  const failure = typedFailure(cause)
  const exhaustedBy = (error: E, reason: string, skipped: ReadonlyArray<string>): E2 =>
    exhausted({ error, failed: [...progress.failed, { step: name, error }], skipped, reason })
  if (Option.isNone(failure)) {
    return Effect.failCause(
      Cause.map(cause, (error) => exhaustedBy(error, "a defect or an interruption", progress.skipped))
    )
  }
  const error = failure.value
  const failures = [...progress.failures, { tag: Event.errorTag(error), action: self.verdict(error).action, error }]
  const decision = Plan.next(steps.map((step) => step.when), failures, progress.position)
  const skipped = [...progress.skipped, ...decision.skipped.map((position) => steps[position]?.name ?? "")]
  const step = decision._tag === "Try" ? steps[decision.position] : undefined
  if (decision._tag === "Stop" || step === undefined) {
    return Effect.fail(exhaustedBy(error, decision._tag === "Stop" ? Plan.stopText[decision.reason] : "", skipped))
  }
  const nextProgress = {
    position: decision.position,
    failures,
    failed: [...progress.failed, { step: name, error }],
    skipped
  }
  return Effect.flatMap(Clock.currentTimeMillis, (at) =>
    Effect.zipRight(
      Monitor.emit(Event.FellBack({ at, name: self.name, from: name, to: step.name, error })),
      tryStep(self, steps, exhausted, nextProgress, step)
    ))
}

const tryStep = <A, E, R, E2>(
  self: { readonly name: string; readonly verdict: (error: unknown) => Verdict.Verdict },
  steps: ReadonlyArray<Step<A, E, R>>,
  exhausted: (failure: Failure<E>) => E2,
  progress: Progress<E>,
  step: Step<A, E, R>
): Effect.Effect<Report<A, E>, E2, R> =>
  Effect.matchCauseEffect(step.effect, {
    onFailure: (cause) => moveOn(self, steps, exhausted, progress, cause),
    onSuccess: (value) => Effect.succeed({ value, step: step.name, failed: progress.failed, skipped: progress.skipped })
  })

/**
 * The loop behind all ways of applying, to build a policy of your own on. It tries steps of one type, beginning with the
 * first, and returns the report, or what `exhausted` makes of the failure.
 *
 * @since 0.1.0
 * @category interpreters
 */
export const run = <A, E, R, E2>(
  self: { readonly name: string; readonly verdict: (error: unknown) => Verdict.Verdict },
  steps: readonly [Step<A, E, R>, ...ReadonlyArray<Step<A, E, R>>],
  exhausted: (failure: Failure<E>) => E2
): Effect.Effect<Report<A, E>, E2, R> => Effect.suspend(() => tryStep(self, steps, exhausted, start, steps[0]))

type AnyAlternative = Alternative<unknown, unknown, unknown>
type AnyEffect = Effect.Effect<unknown, unknown, unknown>

/** Of a list of alternatives, as a tuple, so that an empty list adds nothing. */
type List = ReadonlyArray<AnyAlternative>
type Value<L extends List> = ValueOf<L[number]>
type Failing<L extends List> = ErrorOf<L[number]>
type Needs<L extends List> = ContextOf<L[number]>
type ValueOf<Alt> = Alt extends Alternative<infer A, infer _E, infer _R> ? A : never
type ErrorOf<Alt> = Alt extends Alternative<infer _A, infer E, infer _R> ? E : never
type ContextOf<Alt> = Alt extends Alternative<infer _A, infer _E, infer R> ? R : never

const stepsOf = (
  effect: AnyEffect,
  self: Fallback,
  alternatives: List
): readonly [Step<unknown, unknown, unknown>, ...ReadonlyArray<Step<unknown, unknown, unknown>>] => [
  { name: self.primary, effect },
  ...alternatives.map((alternative) => ({ ...alternative, when: alternative.when ?? self.when }))
]

const lastError = (failure: Failure<unknown>): unknown => failure.error

const withReport = (effect: AnyEffect, self: Fallback, alternatives: List) =>
  run(self, stepsOf(effect, self, alternatives), lastError)

type Given =
  | readonly [AnyEffect, Fallback, List]
  | readonly [
    Fallback,
    List
  ]

/**
 * Runs the effect, and when it fails the alternatives in their order, until one answers. The error is that of the last
 * one tried, unboxed. Use it as `Fallback.apply(fallback, alternatives)` in a pipe, or data-first with the effect.
 *
 * @since 0.1.0
 * @category combinators
 */
export function apply<const L extends List>(
  self: Fallback,
  alternatives: L
): <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A | Value<L>, E | Failing<L>, R | Needs<L>>
export function apply<A, E, R, const L extends List>(
  effect: Effect.Effect<A, E, R>,
  self: Fallback,
  alternatives: L
): Effect.Effect<A | Value<L>, E | Failing<L>, R | Needs<L>>
export function apply(...given: Given): unknown {
  const applied = (effect: AnyEffect, self: Fallback, alternatives: List) =>
    // A success costs one operation: steps and report are made only once there is a failure.
    Effect.catchAllCause(
      effect,
      (cause) =>
        Effect.map(
          moveOn(self, stepsOf(effect, self, alternatives), lastError, start, cause),
          (report) => report.value
        )
    )
  return given.length === 3
    ? applied(given[0], given[1], given[2])
    : (effect: AnyEffect) => applied(effect, given[0], given[1])
}

/**
 * Like {@link apply}, but the value comes with the name of who answered and the log of what was tried.
 *
 * @since 0.1.0
 * @category combinators
 */
export function applyWithReport<const L extends List>(
  self: Fallback,
  alternatives: L
): <A, E, R>(
  effect: Effect.Effect<A, E, R>
) => Effect.Effect<Report<A | Value<L>, E | Failing<L>>, E | Failing<L>, R | Needs<L>>
export function applyWithReport<A, E, R, const L extends List>(
  effect: Effect.Effect<A, E, R>,
  self: Fallback,
  alternatives: L
): Effect.Effect<Report<A | Value<L>, E | Failing<L>>, E | Failing<L>, R | Needs<L>>
export function applyWithReport(...given: Given): unknown {
  return given.length === 3
    ? withReport(given[0], given[1], given[2])
    : (effect: AnyEffect) => withReport(effect, given[0], given[1])
}

/**
 * Like {@link apply}, but a failure is `PlanExhausted`, which holds every error in the order they came, and says why
 * the fallback went no further.
 *
 * @since 0.1.0
 * @category combinators
 */
export function applyOrExhausted<const L extends List>(
  self: Fallback,
  alternatives: L
): <A, E, R>(
  effect: Effect.Effect<A, E, R>
) => Effect.Effect<A | Value<L>, PlanExhausted<E | Failing<L>>, R | Needs<L>>
export function applyOrExhausted<A, E, R, const L extends List>(
  effect: Effect.Effect<A, E, R>,
  self: Fallback,
  alternatives: L
): Effect.Effect<A | Value<L>, PlanExhausted<E | Failing<L>>, R | Needs<L>>
export function applyOrExhausted(...given: Given): unknown {
  const applied = (effect: AnyEffect, self: Fallback, alternatives: List) =>
    Effect.map(
      run(self, stepsOf(effect, self, alternatives), ({ failed, reason, skipped }) =>
        new PlanExhausted({ name: self.name, steps: failed, skipped, reason })),
      (report) =>
        report.value
    )
  return given.length === 3
    ? applied(given[0], given[1], given[2])
    : (effect: AnyEffect) => applied(effect, given[0], given[1])
}
