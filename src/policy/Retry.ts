/**
 * Runs an effect again as a `RetryPolicy` decides. The clock starts with the first attempt; interruption and defects
 * are never retried; the caller's own error passes through unboxed.
 *
 * @example
 * import * as Effect from "effect/Effect"
 * import * as Retry from "effect-llm-resilience/policy/Retry"
 * import * as RetryPolicy from "effect-llm-resilience/policy/RetryPolicy"
 *
 * const flaky = Effect.gen(function*() {
 *   const attempt = yield* Retry.CurrentAttempt
 *   return yield* attempt.number < 3 ? Effect.fail("not yet") : Effect.succeed("done")
 * })
 *
 * const program = flaky.pipe(Retry.applyWithReport(RetryPolicy.immediate.pipe(RetryPolicy.attempts(5))))
 *
 * Effect.runPromise(program).then((report) => console.log(report.value, report.attempts)) // done 3
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { dual } from "effect/Function"
import * as Layer from "effect/Layer"
import type { InvalidOptions } from "../error/InvalidOptions.ts"
import { type FailedAttempt, RetriesExhausted } from "../error/PolicyError.ts"
import * as Verdict from "../error/Verdict.ts"
import * as Form from "../internal/form.ts"
import * as AdaptiveRetry from "./AdaptiveRetry.ts"
import * as Loop from "./retry/loop.ts"
import * as RetryBudget from "./RetryBudget.ts"
import * as RetryPolicy from "./RetryPolicy.ts"
import { judge, readForm } from "./shared/options.ts"
import { marked } from "./shared/section.ts"

/**
 * What marks a value as a {@link Retry}.
 *
 * @since 0.1.0
 * @category symbols
 */
export const TypeId: unique symbol = Symbol.for("effect-llm-resilience/Retry")

/**
 * A retry: a policy, the name its events carry, and how it judges errors.
 *
 * @since 0.1.0
 * @category models
 */
export interface Retry {
  readonly [TypeId]: typeof TypeId
  readonly name: string
  readonly policy: RetryPolicy.RetryPolicy
  readonly verdict: (error: unknown) => Verdict.Verdict
  readonly budget: RetryBudget.RetryBudget | undefined
  readonly adaptive: AdaptiveRetry.AdaptiveRetry | undefined
  /** The most attempts the policy allows in total. */
  readonly maxAttempts: number
}

/**
 * What a {@link Retry} is made from. Everything may be left out.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** The name its events carry. Default: `"retry"`. */
  readonly name?: string | undefined
  /** Default: `RetryPolicy.standard`. */
  readonly policy?: RetryPolicy.RetryPolicy | undefined
  /** Judges an error, for errors that do not know their own verdict. Default: `Verdict.of`. */
  readonly verdict?: ((error: unknown) => Verdict.Verdict) | undefined
  /** Bounds the retries of all who share it; when it grants none, the error is final. Default: no bound. */
  readonly budget?: RetryBudget.RetryBudget | undefined
  /** Stretches the waits of all who share it while much fails. Default: waits are as the policy says. */
  readonly adaptive?: AdaptiveRetry.AdaptiveRetry | undefined
}

/** The bound of a policy is worked out once, however often it is run. */
const maxAttempts = (policy: RetryPolicy.RetryPolicy): number => {
  const known = bounds.get(policy) ?? RetryPolicy.bounds(policy).attempts
  bounds.set(policy, known)
  return known
}

const bounds = new WeakMap<RetryPolicy.RetryPolicy, number>()

const isPolicy = (value: unknown): value is RetryPolicy.RetryPolicy => RetryPolicy.isRetryPolicy(value)

const form = Form.of<Options>()(Form.struct("an object with the options of a retry", {
  name: Form.withDefault(Form.name, () => "retry"),
  policy: Form.withDefault(
    Form.checked(
      Form.value(isPolicy, "a RetryPolicy"),
      (policy: RetryPolicy.RetryPolicy) =>
        policy.tree._tag === "Never" || RetryPolicy.canRetry(policy) ? [] : [{
          path: [],
          found: String(policy),
          allowed: "a policy whose first wait ends within its deadline (for no retry at all, use RetryPolicy.never)"
        }]
    ),
    () => RetryPolicy.standard
  ),
  verdict: Form.optional(judge),
  budget: Form.optional(Form.value(marked<RetryBudget.RetryBudget>(RetryBudget.TypeId), "a RetryBudget")),
  adaptive: Form.optional(Form.value(marked<AdaptiveRetry.AdaptiveRetry>(AdaptiveRetry.TypeId), "an AdaptiveRetry"))
}))

const build = (options: Options): Retry => {
  const policy = options.policy ?? RetryPolicy.standard
  return {
    [TypeId]: TypeId,
    name: options.name ?? "retry",
    policy,
    verdict: options.verdict ?? Verdict.of,
    budget: options.budget,
    adaptive: options.adaptive,
    maxAttempts: maxAttempts(policy)
  }
}

/**
 * The retry of the running program, for {@link layer}.
 *
 * @since 0.1.0
 * @category tags
 */
export const Retry: Context.Tag<Retry, Retry> = Context.GenericTag<Retry>("effect-llm-resilience/Retry")

/**
 * A retry that everything below shares.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options): Layer.Layer<Retry, InvalidOptions> => Layer.effect(Retry, make(options))

/**
 * A retry with a name of its own. Fails with `InvalidOptions` when the policy can never retry: that is a mistake, and
 * `RetryPolicy.never` is how to mean it.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options): Effect.Effect<Retry, InvalidOptions> =>
  Effect.suspend(() => Either.map(readForm("Retry", form, options), build))

export {
  /**
   * The attempt that is running: its number from 1, the error of the one before it, and the retry it belongs to.
   *
   * @since 0.1.0
   * @category models
   */
  type Attempt,
  /**
   * Tells the retried effect which attempt it is. Outside of any retry it is attempt 1.
   *
   * @since 0.1.0
   * @category tags
   */
  CurrentAttempt
} from "./retry/loop.ts"

/**
 * A value together with how it was got.
 *
 * @since 0.1.0
 * @category models
 */
export interface Report<out A> {
  readonly value: A
  /** Attempts in total, the successful one included. */
  readonly attempts: number
  /** From the first attempt's start to the end of the last one. */
  readonly elapsed: Duration.Duration
  /** Every attempt that failed. */
  readonly log: ReadonlyArray<FailedAttempt>
}

const toRetry = (self: Retry | RetryPolicy.RetryPolicy): Retry =>
  RetryPolicy.isRetryPolicy(self) ? build({ policy: self }) : self

const retried = <A, E, R, B, E2>(
  effect: Effect.Effect<A, E, R>,
  self: Retry,
  ends: Loop.Ends<A, E, B, E2>
): Effect.Effect<B, E2, R> =>
  Loop.retryEffect(self.adaptive === undefined ? effect : AdaptiveRetry.apply(effect, self.adaptive), self, ends)

/**
 * Runs the effect, and again as the policy decides. The last error is the caller's own, unboxed. Takes a policy, or a
 * `Retry` made with a name and a judge of its own.
 *
 * @since 0.1.0
 * @category combinators
 */
export const apply: {
  (self: Retry | RetryPolicy.RetryPolicy): <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  <A, E, R>(effect: Effect.Effect<A, E, R>, self: Retry | RetryPolicy.RetryPolicy): Effect.Effect<A, E, R>
} = dual(
  2,
  <A, E, R>(effect: Effect.Effect<A, E, R>, self: Retry | RetryPolicy.RetryPolicy): Effect.Effect<A, E, R> =>
    retried(effect, toRetry(self), Loop.unchangedEnds<A, E>())
)

/**
 * Like {@link apply}, but the value comes with the number of attempts, the elapsed time and the log.
 *
 * @since 0.1.0
 * @category combinators
 */
export const applyWithReport: {
  (self: Retry | RetryPolicy.RetryPolicy): <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<Report<A>, E, R>
  <A, E, R>(effect: Effect.Effect<A, E, R>, self: Retry | RetryPolicy.RetryPolicy): Effect.Effect<Report<A>, E, R>
} = dual(
  2,
  <A, E, R>(effect: Effect.Effect<A, E, R>, self: Retry | RetryPolicy.RetryPolicy): Effect.Effect<Report<A>, E, R> =>
    retried(effect, toRetry(self), {
      succeeded: (value, call): Report<A> => {
        const { attempts, elapsed, log } = call.progress()
        return { value, attempts, elapsed: Duration.millis(elapsed), log }
      },
      stopped: (error: E) => error,
      log: "kept"
    })
)

/**
 * Like {@link apply}, but the last error comes boxed in `RetriesExhausted` with the whole log.
 *
 * @since 0.1.0
 * @category combinators
 */
export const applyOrExhausted: {
  (
    self: Retry | RetryPolicy.RetryPolicy
  ): <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, RetriesExhausted<E>, R>
  <A, E, R>(
    effect: Effect.Effect<A, E, R>,
    self: Retry | RetryPolicy.RetryPolicy
  ): Effect.Effect<A, RetriesExhausted<E>, R>
} = dual(
  2,
  <A, E, R>(
    effect: Effect.Effect<A, E, R>,
    self: Retry | RetryPolicy.RetryPolicy
  ): Effect.Effect<A, RetriesExhausted<E>, R> =>
    retried(effect, toRetry(self), {
      succeeded: (value: A) => value,
      stopped: (error: E, call) => {
        const { attempts, elapsed, log } = call.progress()
        return new RetriesExhausted<E>({ attempts, elapsed: Duration.millis(elapsed), lastError: error, log })
      },
      log: "kept"
    })
)
