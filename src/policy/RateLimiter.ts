/**
 * Keeps calls within requests and tokens per minute, first come first served. A call reserves what it is expected to
 * cost and is settled with what it did cost; the limits adapt to what the other side tells, and when it asks for
 * silence every caller of the key waits.
 *
 * What a call gives back: everything when it was interrupted while waiting, or when a policy further in refused it, so
 * that nothing was sent; its tokens when its error says it was not billed (the request was made, so that stays counted);
 * the difference to the actual usage when it succeeded. A call that was interrupted while it ran keeps its cost.
 *
 * @example
 * import * as Effect from "effect/Effect"
 * import * as RateLimiter from "effect-llm-resilience/policy/RateLimiter"
 *
 * const ask = Effect.succeed({ text: "hi", usage: { totalTokens: 950 } })
 *
 * const program = Effect.gen(function*() {
 *   const limiter = yield* RateLimiter.make({ name: "openai", requestsPerMinute: 500, tokensPerMinute: 200_000 })
 *   yield* RateLimiter.applyCost(ask, limiter, { tokens: 1_200, actual: (reply) => reply.usage.totalTokens })
 *   return yield* RateLimiter.state(limiter)
 * })
 *
 * Effect.runPromise(program).then((state) => console.log(Math.round(state.requestsAvailable))) // 499
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import * as Layer from "effect/Layer"
import type { InvalidOptions } from "../error/InvalidOptions.ts"
import type { RateLimitExceeded } from "../error/PolicyError.ts"
import * as Verdict from "../error/Verdict.ts"
import type { Headers } from "../internal/hints.ts"
import * as rateLimitHeaders from "../internal/rateLimitHeaders.ts"
import * as Event from "../telemetry/Event.ts"
import * as Monitor from "../telemetry/Monitor.ts"
import * as Call from "./rateLimiter/call.ts"
import { describeSettings, form, type Options, settingsOf } from "./rateLimiter/options.ts"
import * as RateLimitStore from "./RateLimitStore.ts"
import * as Family from "./shared/keyed.ts"
import { readForm } from "./shared/options.ts"

/**
 * Marks a limiter.
 *
 * @since 0.1.0
 * @category symbols
 */
export const TypeId: unique symbol = Symbol.for("effect-llm-resilience/RateLimiter")

/**
 * A limiter: what is allowed, to whom, and the store that counts.
 *
 * @since 0.1.0
 * @category models
 */
export interface RateLimiter {
  readonly [TypeId]: typeof TypeId
  readonly name: string
  /** Who shares the limits: in one store, callers of one key wait for each other. */
  readonly key: string
  readonly limits: RateLimitStore.Limits
  /** Milliseconds a call may wait; 0 is `onExceeded: "fail"`. */
  readonly maxWait: number
  /** Milliseconds that a hint of the other side may pause the key. */
  readonly longestHint: number
  readonly verdict: (error: unknown) => Verdict.Verdict
  readonly store: RateLimitStore.RateLimitStore
}

/**
 * The tag of the limiter.
 *
 * @since 0.1.0
 * @category tags
 */
export const RateLimiter = Context.GenericTag<RateLimiter>("effect-llm-resilience/RateLimiter")

export type {
  /**
   * What a limiter is made of.
   *
   * @since 0.1.0
   * @category models
   */
  Options
} from "./rateLimiter/options.ts"
export {
  /**
   * What holds where an option is left out; durations in milliseconds.
   *
   * @since 0.1.0
   * @category defaults
   */
  defaults
} from "./rateLimiter/options.ts"

/**
 * What one call costs.
 *
 * @since 0.1.0
 * @category models
 */
export interface Cost<in A> {
  /** Tokens it is expected to use, prompt and completion. Default: 0. */
  readonly tokens?: number | undefined
  /** Requests it makes. Default: 1. */
  readonly requests?: number | undefined
  /** Tokens it did use. Without it, or where it gives `NaN`, the expectation stands. What it throws, the call dies of. */
  readonly actual?: ((value: A) => number) | undefined
}

/**
 * A limiter over a store, which it shares with other limiters of the same key.
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeWithStore = (
  options: Options
): Effect.Effect<RateLimiter, InvalidOptions, RateLimitStore.RateLimitStore> =>
  Effect.zipWith(
    Effect.suspend(() => readForm("RateLimiter", form, options)),
    RateLimitStore.RateLimitStore,
    (read, store) => ({
      [TypeId]: TypeId,
      ...settingsOf(read, options.name),
      verdict: read.verdict ?? Verdict.of,
      store
    })
  )

/**
 * A limiter with a memory store of its own. Fails with `InvalidOptions` that lists everything wrong.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options): Effect.Effect<RateLimiter, InvalidOptions> =>
  Effect.provideServiceEffect(makeWithStore(options), RateLimitStore.RateLimitStore, RateLimitStore.makeMemory)

/**
 * A limiter with a memory store of its own, as a layer.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options): Layer.Layer<RateLimiter, InvalidOptions> =>
  Layer.effect(RateLimiter, make(options))

/**
 * Like {@link layer}, over the store of the context.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerWithStore = (
  options: Options
): Layer.Layer<RateLimiter, InvalidOptions, RateLimitStore.RateLimitStore> =>
  Layer.effect(RateLimiter, makeWithStore(options))

/**
 * The same limits for another key, for example one for each tenant. It shares the store; keys do not wait for each other,
 * and idle ones are forgotten.
 *
 * @since 0.1.0
 * @category combinators
 */
export const withKey = (self: RateLimiter, key: string): RateLimiter => ({ ...self, key })

/**
 * Takes the cost of a call, waiting for its turn where the limiter delays. Whoever has it calls {@link settle} when the
 * tokens used are known, or {@link release} when nothing was sent. {@link apply} does all that.
 *
 * @since 0.1.0
 * @category operations
 */
export const reserve = (
  self: RateLimiter,
  cost: Cost<never> = Call.oneRequest
): Effect.Effect<RateLimitStore.Granted, RateLimitExceeded> =>
  Effect.uninterruptibleMask((restore) => Call.reserve(self, cost, restore))

/**
 * Corrects a reservation to the tokens that were used.
 *
 * @since 0.1.0
 * @category operations
 */
export const settle = (
  self: RateLimiter,
  granted: RateLimitStore.Granted,
  tokens: number
): Effect.Effect<void> => self.store.settle(granted, Call.clean(tokens))

/**
 * Gives a reservation back whose call was not sent.
 *
 * @since 0.1.0
 * @category operations
 */
export const release = (self: RateLimiter, granted: RateLimitStore.Granted): Effect.Effect<void> =>
  self.store.release(granted)

/**
 * Runs the effect when the limiter admits it, at the cost of one request and no tokens. Fails with `RateLimitExceeded`
 * when it may not go.
 *
 * @since 0.1.0
 * @category combinators
 */
export const apply: {
  (self: RateLimiter): <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | RateLimitExceeded, R>
  <A, E, R>(effect: Effect.Effect<A, E, R>, self: RateLimiter): Effect.Effect<A, E | RateLimitExceeded, R>
} = dual(
  2,
  <A, E, R>(effect: Effect.Effect<A, E, R>, self: RateLimiter): Effect.Effect<A, E | RateLimitExceeded, R> =>
    Call.apply(effect, self, Call.oneRequest)
)

/**
 * Like {@link apply}, at a cost: reserves `tokens`, and settles with what `actual` reads from the result. When the usage
 * was higher, the debt makes later calls wait; when it was lower, they go sooner. A cost above the whole limit fails at
 * once with the reason `"cost"`. One that is above the burst only is saved up while it waits; where it may not wait so
 * long, it passes a full bucket and leaves a debt. Negative amounts and `NaN` count as nothing.
 *
 * @since 0.1.0
 * @category combinators
 */
export const applyCost: {
  <A>(self: RateLimiter, cost: Cost<A>): <B extends A, E, R>(
    effect: Effect.Effect<B, E, R>
  ) => Effect.Effect<B, E | RateLimitExceeded, R>
  <A, E, R>(
    effect: Effect.Effect<A, E, R>,
    self: RateLimiter,
    cost: Cost<A>
  ): Effect.Effect<A, E | RateLimitExceeded, R>
} = dual(
  3,
  <A, E, R>(
    effect: Effect.Effect<A, E, R>,
    self: RateLimiter,
    cost: Cost<A>
  ): Effect.Effect<A, E | RateLimitExceeded, R> => Call.apply(effect, self, cost)
)

// What the other side says --------------------------------------------------------------------------------------------

const isLearned = (reply: Headers | RateLimitStore.Learned): reply is RateLimitStore.Learned =>
  Object.values(reply).some((value) => typeof value === "number")

/**
 * Takes over what the other side tells about its limits: the headers of a reply (`x-ratelimit-*` as OpenAI, Azure, Groq,
 * Mistral and Cerebras send them, `anthropic-ratelimit-*`), or numbers. A limit lower than the configured one is kept;
 * a higher one changes nothing, because you may want less than you are given. Less remaining than we counted empties the
 * bucket to that. Limits per day are left alone: when one runs out, the refusal says how long to wait.
 *
 * One wrong reply does not stop a key: a limit that no reply gives again expires after 10 minutes, and a call whose cost is
 * above it (but not above the configured one) may pass as a probe, once a minute.
 *
 * @since 0.1.0
 * @category operations
 */
export const learn = (
  self: RateLimiter,
  reply: Headers | RateLimitStore.Learned
): Effect.Effect<void> =>
  Effect.clockWith((clock) => {
    const now = clock.unsafeCurrentTimeMillis()
    const learned = isLearned(reply) ? reply : rateLimitHeaders.read(reply, now)
    return Object.keys(learned).length === 0 ? Effect.void : Effect.flatMap(
      self.store.learn(self.key, self.limits, learned),
      (changed) =>
        changed
          ? Monitor.emit(Event.RateLimitLearned({
            at: now,
            name: self.name,
            requestsPerMinute: learned.requestsPerMinute,
            tokensPerMinute: learned.tokensPerMinute
          }))
          : Effect.void
    )
  })

/**
 * The moment at which a call is sent, for {@link learn} to know what was taken since: read it when the call has been
 * admitted, and give it as `sent`. Nothing where the store does not tell.
 *
 * @since 0.1.0
 * @category operations
 */
export const moment = (self: RateLimiter): Effect.Effect<RateLimitStore.Moment | undefined> =>
  self.store.moment?.(self.key, self.limits) ?? Effect.succeed(undefined)

/**
 * Lets no caller of the key start for a time, also those who wait already. A shorter pause than the one that runs
 * changes nothing. A failure whose verdict is throttled and has a `retryAfter` does this by itself, for `longestHint` at
 * most. After the pause calls go at the limit's rate, not as one burst. {@link resume} ends it.
 *
 * @since 0.1.0
 * @category operations
 */
export const pause = (self: RateLimiter, duration: Duration.DurationInput): Effect.Effect<void> =>
  Effect.suspend(() => {
    const millis = Duration.toMillis(duration)
    return Effect.flatMap(
      self.store.pause(self.key, self.limits, millis),
      (extended) => extended ? Call.reportPause(self, millis) : Effect.void
    )
  })

/**
 * Ends the pause of the key, if there is one: whoever waits goes on at the limit's rate. For an operator who knows that
 * a hint was wrong.
 *
 * @since 0.1.0
 * @category operations
 */
export const resume = (self: RateLimiter): Effect.Effect<void> =>
  Effect.asVoid(self.store.resume(self.key, self.limits))

/**
 * How the limiter's key stands: limits in force, what is available, how many wait.
 *
 * @since 0.1.0
 * @category getters
 */
export const state = (self: RateLimiter): Effect.Effect<RateLimitStore.Snapshot> =>
  self.store.state(self.key, self.limits)

/**
 * The limiter in one line.
 *
 * @since 0.1.0
 * @category interpreters
 */
export const describe = (self: RateLimiter): string => `rate limiter "${self.name}": ${describeSettings(self)}`

/**
 * A limiter for each key.
 *
 * @since 0.1.0
 * @category models
 */
export interface Keyed extends Family.Keyed<RateLimiter, RateLimitExceeded> {
  /** Like `apply`, at a cost: see {@link applyCost}. */
  readonly applyCost: <A>(
    key: string,
    cost: Cost<A>
  ) => <B extends A, E, R>(effect: Effect.Effect<B, E, R>) => Effect.Effect<B, E | RateLimitExceeded, R>
}

/**
 * A limiter for each key (a model, a tenant, an endpoint), made when the key is first used; idle keys are forgotten. The
 * options are the same for all keys, where one is named `name/key`, or a function gives those of each key. Fails with
 * `InvalidOptions`; options by key that are wrong are a defect of the call. All share one memory store, which
 * knows what was used of a key longer than the family remembers it.
 *
 * @since 0.1.0
 * @category constructors
 */
export const keyed = (
  options: Family.OptionsOf<Options>,
  bounds?: Family.Bounds
): Effect.Effect<Keyed, InvalidOptions> =>
  Effect.gen(function*() {
    const store = yield* RateLimitStore.makeMemory
    const made = yield* Family.make<Options, RateLimiter, RateLimitExceeded>(
      {
        module: "RateLimiter",
        make: (own) => Effect.provideService(makeWithStore(own), RateLimitStore.RateLimitStore, store),
        isIdle: () => true,
        apply,
        describe
      },
      typeof options === "function" ? options : { ...options, key: undefined },
      bounds
    )
    return {
      ...made.keyed,
      applyCost:
        <A>(key: string, cost: Cost<A>) =>
        <B extends A, E, R>(effect: Effect.Effect<B, E, R>): Effect.Effect<B, E | RateLimitExceeded, R> =>
          Family.use(made.family, key, (limiter) => applyCost<A>(limiter, cost)<B, E, R>(effect))
    }
  })
