/** What a law of a store is, and what several laws do with a store. */
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as RateLimitStore from "../../policy/RateLimitStore.ts"

/** A store broke a law; `detail` tells what was seen. */
export class StoreLawBroken extends Data.TaggedError("StoreLawBroken")<{
  readonly law: string
  readonly detail: string
}> {
  override get message(): string {
    return `The store breaks the law "${this.law}": ${this.detail}`
  }
}

/** How the laws are run. */
export interface Options {
  /** Lets time pass. Default: `Effect.sleep`, for a live run. */
  readonly advance?: ((duration: Duration.DurationInput) => Effect.Effect<void>) | undefined
  /** How many milliseconds a start may be late, or a bucket ahead, without breaking a law. Default: 0. */
  readonly tolerance?: number | undefined
  /** After which time a key may be forgotten. Default: that of the memory store. */
  readonly idle?: Duration.DurationInput | undefined
}

/** One law: its name, and the check of a store. */
export interface Law {
  readonly name: string
  readonly check: <E, R>(
    layer: Layer.Layer<RateLimitStore.RateLimitStore, E, R>,
    options?: Options
  ) => Effect.Effect<void, StoreLawBroken | E, R>
}

interface Bench {
  readonly store: RateLimitStore.RateLimitStore
  readonly advance: (millis: number) => Effect.Effect<void>
  readonly tolerance: number
  readonly idle: number
  readonly holds: (condition: boolean, detail: string) => Effect.Effect<void, StoreLawBroken>
}

export const law = (name: string, body: (bench: Bench) => Effect.Effect<void, StoreLawBroken>): Law => ({
  name,
  check: (layer, options) => {
    const advance = options?.advance ?? Effect.sleep
    return Effect.flatMap(RateLimitStore.RateLimitStore, (store) =>
      body({
        store,
        advance: (millis) => advance(Duration.millis(millis)),
        tolerance: options?.tolerance ?? 0,
        idle: Duration.toMillis(options?.idle ?? RateLimitStore.defaults.idle),
        holds: (condition, detail) => condition ? Effect.void : Effect.fail(new StoreLawBroken({ law: name, detail }))
      })).pipe(Effect.provide(layer))
  }
})

/** One request each 100 ms, ten at once; ten tokens each millisecond, ten thousand at once. */
export const limits: RateLimitStore.Limits = { requestsPerMinute: 600, tokensPerMinute: 600_000, burst: 1 / 60 }

export const request = (key: string, wanted: Partial<RateLimitStore.Request> = {}): RateLimitStore.Request => ({
  key,
  limits,
  requests: 1,
  tokens: 0,
  maxWait: Infinity,
  ...wanted
})

/** Reserves, and waits for the turn; gives the place back when interrupted. */
export const pass = (
  store: RateLimitStore.RateLimitStore,
  wanted: RateLimitStore.Request
): Effect.Effect<RateLimitStore.Granted | RateLimitStore.Refused> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(store.reserve(wanted), (admission) =>
      admission._tag === "Waiting"
        ? Effect.onError(restore(store.wait(admission)), () => store.release(admission))
        : Effect.succeed(admission))
  )

/** Takes everything that is saved up. */
export const drain = (store: RateLimitStore.RateLimitStore, key: string): Effect.Effect<RateLimitStore.Admission> =>
  store.reserve(request(key, { requests: 10, maxWait: 0 }))
