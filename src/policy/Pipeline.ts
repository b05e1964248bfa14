/**
 * All policies of a call as one value, in the one order that works, from the outside in: total time-out · retry (with
 * its budget) · hedge · circuit breaker · rate limiter · limits of calls in flight · attempt time-out · the call. A
 * fallback stands round a pipeline. It is made from options in code or from a policy file, checked as a whole, prints
 * itself with its worst case, and can take over another configuration while it runs.
 *
 * What is not a matter of order: no wait for a retry is begun that would end after the total time-out, so the caller gets
 * the error that was to be retried, with its hint, and gets it at once. A call that was given up by a time-out but goes
 * on behind (because it cannot be interrupted) keeps its place in the bulkhead until it has really ended. One child fiber
 * serves all time-outs of an attempt.
 *
 * @example
 * import * as Effect from "effect/Effect"
 * import * as Pipeline from "effect-llm-resilience/policy/Pipeline"
 *
 * const program = Effect.gen(function*() {
 *   const pipeline = yield* Pipeline.make({
 *     name: "openai",
 *     totalTimeout: "1 minute",
 *     retry: { backoff: "exponential", initial: "500 millis", cap: "8 seconds", jitter: "full", attempts: 4 },
 *     retryBudget: "standard",
 *     circuitBreaker: {},
 *     rateLimiter: { requestsPerMinute: 500 },
 *     bulkhead: { maxConcurrent: 50, maxQueued: 100 },
 *     attemptTimeout: "10 seconds"
 *   })
 *   console.log(Pipeline.describe(pipeline))
 *   return yield* Effect.succeed("an answer").pipe(Pipeline.apply(pipeline))
 * })
 *
 * Effect.runPromise(program).then(console.log)
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import * as Layer from "effect/Layer"
import { type Pipeable, pipeArguments } from "effect/Pipeable"
import type { InvalidOptions } from "../error/InvalidOptions.ts"
import type { BulkheadFull, CircuitOpen, RateLimitExceeded, TimedOut } from "../error/PolicyError.ts"
import * as Verdict from "../error/Verdict.ts"
import { isRecord } from "../internal/record.ts"
import { words } from "../internal/words.ts"
import * as Event from "../telemetry/Event.ts"
import * as Monitor from "../telemetry/Monitor.ts"
import * as AdaptiveRetry from "./AdaptiveRetry.ts"
import * as Bulkhead from "./Bulkhead.ts"
import * as CircuitBreaker from "./CircuitBreaker.ts"
import * as ConcurrencyLimit from "./ConcurrencyLimit.ts"
import * as Hedge from "./Hedge.ts"
import * as gates from "./pipeline/gates.ts"
import * as Swap from "./pipeline/swap.ts"
import * as PolicyConfig from "./PolicyConfig.ts"
import * as RateLimiter from "./RateLimiter.ts"
import * as RetryBudget from "./RetryBudget.ts"
import * as RetryPolicy from "./RetryPolicy.ts"
import { type Gate, timeLimit } from "./shared/attempt.ts"
import { guarded, type Guards } from "./shared/guardedCall.ts"
import { outerLimit } from "./shared/retryTree.ts"

/**
 * What marks a value as a {@link Pipeline}.
 *
 * @since 0.1.0
 * @category symbols
 */
export const TypeId: unique symbol = Symbol.for("effect-llm-resilience/Pipeline")

/**
 * What a pipeline is made from. Everything may be left out; a pipeline of nothing changes nothing.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options extends PolicyConfig.Options {}

/**
 * Everything that a pipeline can refuse.
 *
 * @since 0.1.0
 * @category errors
 */
export type AnyRefusal = CircuitOpen | RateLimitExceeded | BulkheadFull | TimedOut

type Given<O, Name extends keyof Options, Refused> = Name extends keyof O
  ? [O[Name]] extends [undefined] ? never : Refused
  : never

/** A place in the queue may take too long to come. */
type QueueRefusal<Section> = Section extends { readonly admission: { readonly queue: infer Queue } }
  ? Queue extends (...args: never) => Effect.Effect<unknown, infer Refused> ? Refused : never
  :
    | BulkheadFull
    | (Section extends { readonly queueTimeout: infer T } ? ([T] extends [undefined] ? never : TimedOut) : never)

/**
 * What a pipeline made from such options can refuse: exactly what its policies can.
 *
 * @since 0.1.0
 * @category models
 */
export type Refusal<O extends Options> =
  | Given<O, "totalTimeout", TimedOut>
  | Given<O, "attemptTimeout", TimedOut>
  | Given<O, "circuitBreaker", CircuitOpen>
  | Given<O, "rateLimiter", RateLimitExceeded>
  | Given<O, "bulkhead", QueueRefusal<NonNullable<O["bulkhead"]>>>
  | Given<O, "concurrencyLimit", QueueRefusal<NonNullable<O["concurrencyLimit"]>>>

/** A pipeline as it runs; it is replaced as a whole when the configuration changes. */
interface Plan {
  readonly policies: PolicyConfig.Policies
  readonly guards: Guards<unknown, AnyRefusal>
}

/**
 * A pipeline that refuses with `Refused`, or not at all.
 *
 * @since 0.1.0
 * @category models
 */
export interface Pipeline<out Refused = AnyRefusal> extends Pipeable {
  readonly [TypeId]: typeof TypeId
  readonly name: string
  /** Its own books: use the functions of this module. */
  readonly cell: {
    plan: Plan
    /** What its type refuses with, so what a new configuration may refuse with. */
    readonly refusals: Swap.Refusals
    /** Never written: it only carries the type. */
    readonly refused?: Refused
  }
}

/**
 * The pipeline of the running program, for {@link layer}.
 *
 * @since 0.1.0
 * @category tags
 */
export const Pipeline: Context.Tag<Pipeline, Pipeline> = Context.GenericTag<Pipeline>("effect-llm-resilience/Pipeline")

/**
 * Whether a value is a pipeline.
 *
 * @since 0.1.0
 * @category guards
 */
export const isPipeline = (value: unknown): value is Pipeline<unknown> =>
  typeof value === "object" && value !== null && TypeId in value

const proto = {
  [TypeId]: TypeId,
  toString(this: Pipeline<unknown>): string {
    return describe(this)
  },
  toJSON(this: Pipeline<unknown>): unknown {
    return encode(this)
  },
  pipe() {
    return pipeArguments(this, arguments)
  }
}

const gatesOf = <A>(
  policies: PolicyConfig.Policies,
  cost: RateLimiter.Cost<A>
): ReadonlyArray<Gate<A, AnyRefusal>> => {
  const { adaptiveRetry, bulkhead, circuitBreaker, concurrencyLimit, rateLimiter } = policies
  return [
    ...(circuitBreaker === undefined ? [] : [gates.circuitBreaker(circuitBreaker)]),
    ...(adaptiveRetry === undefined ? [] : [gates.adaptiveRetry(adaptiveRetry)]),
    ...(rateLimiter === undefined ? [] : [gates.rateLimiter(rateLimiter, cost)]),
    ...(concurrencyLimit === undefined ? [] : [gates.concurrencyLimit(concurrencyLimit)]),
    ...(bulkhead === undefined ? [] : [gates.bulkhead(bulkhead)])
  ]
}

const toPlan = (policies: PolicyConfig.Policies): Plan => {
  const { adaptiveRetry, attemptTimeout, hedge, name, retry, retryBudget, totalTimeout, verdict } = policies
  return {
    policies,
    guards: {
      totalTimeout: totalTimeout === undefined ? undefined : timeLimit(name, "total", totalTimeout),
      retry: retry === undefined ? undefined : {
        name,
        policy: retry,
        verdict: verdict ?? Verdict.of,
        budget: retryBudget,
        adaptive: adaptiveRetry,
        maxAttempts: RetryPolicy.bounds(retry).attempts
      },
      hedge,
      gates: gatesOf(policies, {}),
      attemptTimeout: attemptTimeout === undefined ? undefined : timeLimit(name, "attempt", attemptTimeout)
    }
  }
}

const build = (policies: PolicyConfig.Policies, refusals: Swap.Refusals): Pipeline =>
  Object.assign(Object.create(proto), { name: policies.name, cell: { plan: toPlan(policies), refusals } })

/** Its type has every refusal, so that a new configuration may bring policies it did not have. */
const buildOpen = (policies: PolicyConfig.Policies): Pipeline => build(policies, "all")

/**
 * A pipeline. Fails with one `InvalidOptions` that lists everything that is wrong with the options, also where two of
 * them contradict each other: an attempt's time-out must be less than the total one, the retry must not be able to wait
 * longer than that, a hedge must be able to start within an attempt, and so on.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <const O extends Options>(
  options: O & { readonly [Unknown in Exclude<keyof O, keyof Options>]: never }
): Effect.Effect<Pipeline<Refusal<O>>, InvalidOptions> =>
  // The options that add a refusal are those whose presence puts it into the type.
  Effect.map(PolicyConfig.read(options), (policies) => build(policies, Swap.refusals(policies))) as Effect.Effect<
    Pipeline<Refusal<O>>,
    InvalidOptions
  >

/**
 * A pipeline from JSON, as a policy file holds it; see `PolicyConfig`. Fails with one `InvalidOptions` that lists every
 * wrong field.
 *
 * @since 0.1.0
 * @category conversions
 */
export const decode = (json: unknown): Effect.Effect<Pipeline, InvalidOptions> =>
  Effect.map(PolicyConfig.decode(json), buildOpen)

/**
 * The pipeline as JSON; {@link decode} gives a pipeline alike. A policy that was given as a value is shared with others
 * and is left out.
 *
 * @since 0.1.0
 * @category conversions
 */
export const encode = (self: Pipeline<unknown>): { readonly [field: string]: unknown } =>
  PolicyConfig.encode(self.cell.plan.policies)

/**
 * A pipeline for everything below.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options): Layer.Layer<Pipeline, InvalidOptions> =>
  Layer.effect(Pipeline, Effect.map(PolicyConfig.read(options), buildOpen))

/** All or nothing, whoever is interrupted meanwhile. */
const swap = (
  self: Pipeline<unknown>,
  read: Effect.Effect<PolicyConfig.Policies, InvalidOptions>
): Effect.Effect<void, InvalidOptions> =>
  Effect.uninterruptible(Effect.gen(function*() {
    const next = yield* Swap.takeOver(self.cell.plan.policies, yield* read, self.cell.refusals)
    self.cell.plan = toPlan(next)
    yield* Effect.clockWith((clock) =>
      Monitor.emit(Event.ConfigSwapped({ at: clock.unsafeCurrentTimeMillis(), name: self.name }))
    )
  }))

/**
 * Takes over another configuration, for the calls that begin from now on; those that run end under the old one. The
 * whole of it is checked before anything changes. Breaker, limiter and bulkhead keep their state and only take over new
 * numbers, and so does a budget of the same form; a policy that is given as a value is used in place of the one before.
 * A policy that could refuse in a new way may only be added to a pipeline from {@link decode} or {@link layer}, whose
 * type has every refusal. The name, the queue time-outs and the strategy of an adaptive limit stay.
 *
 * @since 0.1.0
 * @category operations
 */
export const reconfigure: {
  (options: Options): (self: Pipeline<unknown>) => Effect.Effect<void, InvalidOptions>
  (self: Pipeline<unknown>, options: Options): Effect.Effect<void, InvalidOptions>
} = dual(
  2,
  (self: Pipeline<unknown>, options: Options): Effect.Effect<void, InvalidOptions> =>
    swap(self, PolicyConfig.read(isRecord(options) ? { ...options, name: self.name } : options))
)

/**
 * {@link reconfigure} from a policy file that was read anew.
 *
 * @since 0.1.0
 * @category operations
 */
export const reload: {
  (json: unknown): (self: Pipeline<unknown>) => Effect.Effect<void, InvalidOptions>
  (self: Pipeline<unknown>, json: unknown): Effect.Effect<void, InvalidOptions>
} = dual(
  2,
  (self: Pipeline<unknown>, json: unknown): Effect.Effect<void, InvalidOptions> =>
    swap(self, PolicyConfig.decode(isRecord(json) ? { ...json, name: self.name } : json))
)

/** Only the policies that are there refuse, and those are in the pipeline's type. */
const asTyped = <A, E, R, Refused>(effect: Effect.Effect<A, E | AnyRefusal, R>): Effect.Effect<A, E | Refused, R> =>
  effect as Effect.Effect<A, E | Refused, R>

/**
 * Strengthens an effect by all policies of the pipeline.
 *
 * @since 0.1.0
 * @category combinators
 */
export const apply: {
  <Refused>(self: Pipeline<Refused>): <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | Refused, R>
  <A, E, R, Refused>(effect: Effect.Effect<A, E, R>, self: Pipeline<Refused>): Effect.Effect<A, E | Refused, R>
} = dual(
  2,
  <A, E, R, Refused>(effect: Effect.Effect<A, E, R>, self: Pipeline<Refused>): Effect.Effect<A, E | Refused, R> =>
    asTyped(Effect.suspend(() => guarded(effect, self.cell.plan.guards)))
)

/**
 * Like {@link apply}, telling the rate limiter what the call costs: tokens expected, and how to read the tokens used from
 * the result.
 *
 * @since 0.1.0
 * @category combinators
 */
export const applyCost: {
  <A, Refused>(self: Pipeline<Refused>, cost: RateLimiter.Cost<A>): <B extends A, E, R>(
    effect: Effect.Effect<B, E, R>
  ) => Effect.Effect<B, E | Refused, R>
  <A, E, R, Refused>(
    effect: Effect.Effect<A, E, R>,
    self: Pipeline<Refused>,
    cost: RateLimiter.Cost<A>
  ): Effect.Effect<A, E | Refused, R>
} = dual(
  3,
  <A, E, R, Refused>(
    effect: Effect.Effect<A, E, R>,
    self: Pipeline<Refused>,
    cost: RateLimiter.Cost<A>
  ): Effect.Effect<A, E | Refused, R> =>
    asTyped(Effect.suspend(() => {
      const { guards, policies } = self.cell.plan
      return guarded(
        effect,
        policies.rateLimiter === undefined ? guards : { ...guards, gates: gatesOf(policies, cost) }
      )
    }))
)

/**
 * The policies of a pipeline as they are now: read their state with their own modules.
 *
 * @since 0.1.0
 * @category getters
 */
export const policies = (self: Pipeline<unknown>): PolicyConfig.Policies => self.cell.plan.policies

/** How much longer an adaptive retry can make the waits, in milliseconds: at most to its cap, never past the deadline. */
const stretchOf = (
  { settings }: AdaptiveRetry.AdaptiveRetry,
  { tree }: RetryPolicy.RetryPolicy,
  attempts: number,
  wait: Duration.Duration
): number => {
  const millis = Duration.toMillis(wait)
  if (!Number.isFinite(millis)) return 0
  return Math.min(millis * (settings.maxMultiplier - 1), (attempts - 1) * settings.cap, outerLimit(tree) - millis)
}

/**
 * The worst that a call through the pipeline can do: attempts in sequence, calls at the other side (hedges included),
 * time spent waiting between attempts, and time in all.
 *
 * @since 0.1.0
 * @category interpreters
 */
export const bounds = (self: Pipeline<unknown>): {
  readonly attempts: number
  readonly calls: number
  readonly wait: Duration.Duration
  readonly duration: Duration.Duration
} => {
  const { attemptTimeout = Infinity, hedge, retry = RetryPolicy.never, totalTimeout = Infinity, ...more } =
    self.cell.plan.policies
  const { attempts, wait } = RetryPolicy.bounds(retry)
  const stretch = more.adaptiveRetry === undefined ? 0 : stretchOf(more.adaptiveRetry, retry, attempts, wait)
  const total = Duration.millis(totalTimeout)
  // Waiting for a limiter or in a queue comes before the attempt's time-out, so only the total one bounds it.
  const waits = more.rateLimiter !== undefined || more.bulkhead !== undefined ||
    more.concurrencyLimit !== undefined || more.adaptiveRetry?.mode === "rate"
  const duration = attemptTimeout === Infinity || waits
    ? Duration.infinity
    : RetryPolicy.bounds(retry, { attemptTimeout: Duration.millis(attemptTimeout) }).duration
  return {
    attempts,
    calls: attempts * (1 + (hedge?.maxHedges ?? 0)),
    wait: Duration.min(Duration.sum(wait, stretch), total),
    duration: Duration.min(Duration.sum(duration, stretch), total)
  }
}

const spoken = (duration: Duration.Duration): string => Duration.isFinite(duration) ? words(duration) : "unbounded"

/** Some policies say what they are when they describe themselves. */
const titled = (what: string, text: string): string => text.startsWith(what) ? text : `${what} ${text}`

const counted = (count: number, what: string): string =>
  Number.isFinite(count) ? `${count} ${what}${count === 1 ? "" : "s"}` : `unlimited ${what}s`

/**
 * The pipeline in words: the policies in order with every number, and the worst case.
 *
 * @since 0.1.0
 * @category interpreters
 */
export const describe = (self: Pipeline<unknown>): string => {
  const all = self.cell.plan.policies
  const order = [
    all.totalTimeout === undefined ? undefined : `total time-out ${words(all.totalTimeout)}`,
    all.retry === undefined ? undefined : `retry: ${String(all.retry)}`,
    all.retryBudget === undefined ? undefined : titled("retry budget", RetryBudget.describe(all.retryBudget)),
    all.adaptiveRetry === undefined ? undefined : titled("adaptive retry", AdaptiveRetry.describe(all.adaptiveRetry)),
    all.hedge === undefined ? undefined : titled("hedge", Hedge.describe(all.hedge)),
    all.circuitBreaker === undefined
      ? undefined
      : titled("circuit breaker", CircuitBreaker.describe(all.circuitBreaker)),
    all.rateLimiter === undefined ? undefined : RateLimiter.describe(all.rateLimiter),
    all.concurrencyLimit === undefined
      ? undefined
      : `adaptive limit ${ConcurrencyLimit.describe(all.concurrencyLimit)}`,
    all.bulkhead === undefined ? undefined : titled("bulkhead", Bulkhead.describe(all.bulkhead)),
    all.attemptTimeout === undefined ? undefined : `attempt time-out ${words(all.attemptTimeout)}`,
    "call"
  ].filter((line) => line !== undefined)
  const worst = bounds(self)
  const amplified = worst.calls === worst.attempts ? "" : ` (${counted(worst.calls, "call")} with hedges)`
  return `${self.name}: ${order.join("\n  → ")}\n  worst case: ${counted(worst.attempts, "attempt")}${amplified}, ` +
    `${spoken(worst.wait)} waiting, ${spoken(worst.duration)} in all`
}
