/**
 * Where rate limiters keep their buckets and who waits for them. The memory store serves one process; a store shared by
 * several processes implements the same interface and passes the laws in `testing/StoreLaws`. Every operation is atomic
 * for its key.
 *
 * The memory store measures by elapsed time, so a system clock that is set back or forth changes nothing. A store that
 * several processes share keeps a time of its own, usually its server's, because the elapsed times of two processes
 * cannot be compared. What holds there: no time of a client goes into the store; pauses and waits are given as
 * durations; and when the server's clock is set back, buckets go on refilling at once and a pause lasts as long as it
 * had left. A clock that is set forward refills buckets and ends pauses early, by the jump.
 *
 * @example
 * import * as Effect from "effect/Effect"
 * import * as RateLimiter from "effect-llm-resilience/policy/RateLimiter"
 * import * as RateLimitStore from "effect-llm-resilience/policy/RateLimitStore"
 *
 * const program = Effect.gen(function*() {
 *   // Two limiters over one store and one key share what is left.
 *   const chat = yield* RateLimiter.makeWithStore({ name: "chat", key: "openai", requestsPerMinute: 60 })
 *   const batch = yield* RateLimiter.makeWithStore({ name: "batch", key: "openai", requestsPerMinute: 60 })
 *   yield* Effect.void.pipe(RateLimiter.apply(chat))
 *   return (yield* RateLimiter.state(batch)).requestsAvailable
 * })
 *
 * Effect.runPromise(program.pipe(Effect.provide(RateLimitStore.layerMemory))).then(console.log) // about 59
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as bucket from "../internal/bucket.ts"
import { elapsedMillis } from "../internal/elapsed.ts"
import * as Queue from "./rateLimitStore/queue.ts"

/**
 * Marks a store.
 *
 * @since 0.1.0
 * @category symbols
 */
export const TypeId: unique symbol = Symbol.for("effect-llm-resilience/RateLimitStore")

/**
 * What is allowed: requests and tokens per minute, `Infinity` where there is no limit. `burst`, from 0 to 1, is the
 * share of a minute's limit that may go at once; one request always may.
 *
 * @since 0.1.0
 * @category models
 */
export interface Limits {
  readonly requestsPerMinute: number
  readonly tokensPerMinute: number
  readonly burst: number
}

/**
 * What a call asks of a store.
 *
 * @since 0.1.0
 * @category models
 */
export interface Request {
  readonly key: string
  readonly limits: Limits
  readonly requests: number
  readonly tokens: number
  /** Milliseconds the caller is willing to wait: 0 is not at all, `Infinity` as long as it takes. */
  readonly maxWait: number
}

/**
 * What was taken for a call, or its place in the queue. Plain data: a store may send it over a wire.
 *
 * @since 0.1.0
 * @category models
 */
export interface Reservation {
  readonly key: string
  readonly limits: Limits
  readonly requests: number
  readonly tokens: number
  /** Unique within the key. */
  readonly id: number
}

/**
 * The call may go.
 *
 * @since 0.1.0
 * @category models
 */
export interface Granted extends Reservation {
  readonly _tag: "Granted"
}

/**
 * The call waits in the queue; as things are it may go after `wait` milliseconds.
 *
 * @since 0.1.0
 * @category models
 */
export interface Waiting extends Reservation {
  readonly _tag: "Waiting"
  readonly wait: number
}

/**
 * The call may not go, and nothing was taken. With `"rate"` it would have had to wait for `retryAfter` milliseconds, more
 * than it was willing to. With `"cost"` it costs more `unit` than the whole limit.
 *
 * @since 0.1.0
 * @category models
 */
export type Refused = Queue.Refusal

/**
 * The answer of a store to a request.
 *
 * @since 0.1.0
 * @category models
 */
export type Admission = Granted | Waiting | Refused

/**
 * The limits per minute of the other side and what is left of them, as its replies give them; the rest is absent.
 *
 * @since 0.1.0
 * @category models
 */
export interface Learned {
  readonly requestsPerMinute?: number | undefined
  readonly tokensPerMinute?: number | undefined
  readonly requestsRemaining?: number | undefined
  readonly tokensRemaining?: number | undefined
  /**
   * The moment at which the call was sent whose reply this is (see `RateLimiter.moment`): what was taken since is not in what
   * remains. Default: not known, and what remains is taken as it is.
   */
  readonly sent?: Moment | undefined
}

/**
 * How much had been taken of a key until a moment. Plain data.
 *
 * @since 0.1.0
 * @category models
 */
export interface Moment {
  /** Milliseconds on the store's own clock. */
  readonly at: number
  readonly requests: number
  readonly tokens: number
}

/**
 * How a key stands. `Infinity` is no limit; less than nothing available is a debt.
 *
 * @since 0.1.0
 * @category models
 */
export interface Snapshot {
  /** The limits in force: the lower of what was configured and what was learned. */
  readonly requestsPerMinute: number
  readonly tokensPerMinute: number
  readonly requestsAvailable: number
  readonly tokensAvailable: number
  /** How many calls wait. */
  readonly waiting: number
  /** Milliseconds until a pause ends; 0 outside of one. */
  readonly pausedFor: number
}

/**
 * The operations of a store that lives in this process, without an `Effect` round each: `now` is the elapsed time of the
 * running `Clock` in milliseconds. A policy calls them where every microsecond counts.
 *
 * @since 0.1.0
 * @category models
 */
export interface Local {
  readonly reserve: (request: Request, now: number) => Admission
  readonly release: (reservation: Reservation, now: number) => void
  readonly settle: (reservation: Reservation, tokens: number, now: number) => void
  readonly pause: (key: string, limits: Limits, millis: number, now: number) => boolean
}

/**
 * Keeps the buckets.
 *
 * @since 0.1.0
 * @category models
 */
export interface RateLimitStore {
  readonly [TypeId]: typeof TypeId
  /** Takes the cost from both dimensions, or a place at the end of the key's queue, or neither. */
  readonly reserve: (request: Request) => Effect.Effect<Admission>
  /**
   * Waits for its turn, first come first served. Ends as `Refused` when the wait grew beyond what the caller was willing
   * to wait, and then its place in the queue is gone. A caller that is interrupted here must `release`.
   */
  readonly wait: (reservation: Waiting) => Effect.Effect<Granted | Refused>
  /**
   * Gives everything back: a place in the queue, or what was taken for a call that was not sent. For a reservation whose
   * wait ended as `Refused` it does nothing.
   */
  readonly release: (reservation: Reservation) => Effect.Effect<void>
  /**
   * Corrects the tokens taken to those used: gives back what is left, or takes more and leaves a debt. A debt is one minute's
   * limit at most: by then the other side's own bucket is full again.
   */
  readonly settle: (reservation: Reservation, tokens: number) => Effect.Effect<void>
  /** Lets nobody of the key start for that many milliseconds. False if an earlier pause lasts as long. */
  readonly pause: (key: string, limits: Limits, millis: number) => Effect.Effect<boolean>
  /** Ends a pause at once. False if there was none. */
  readonly resume: (key: string, limits: Limits) => Effect.Effect<boolean>
  /**
   * Believes the other side; true if the limits in force changed. A learned limit never exceeds the configured one, and
   * expires after {@link defaults}.learnedLimits unless a reply gives it again.
   */
  readonly learn: (key: string, limits: Limits, learned: Learned) => Effect.Effect<boolean>
  /** How much has been taken of the key by now. A store that does not know leaves it out. */
  readonly moment?: ((key: string, limits: Limits) => Effect.Effect<Moment>) | undefined
  /** How the key stands. */
  readonly state: (key: string, limits: Limits) => Effect.Effect<Snapshot>
  /** How many keys are held: those idle for {@link defaults}.idle are forgotten within as long again. */
  readonly size: Effect.Effect<number>
  /** Present where the store lives in this process. */
  readonly local?: Local | undefined
}

/**
 * The tag of the store.
 *
 * @since 0.1.0
 * @category tags
 */
export const RateLimitStore = Context.GenericTag<RateLimitStore>("effect-llm-resilience/RateLimitStore")

/**
 * `idle`: a key nobody used for 10 minutes is forgotten, with what was learned for it. `learnedLimits`: how long a limit
 * of the other side is believed unless a reply gives it again.
 *
 * @since 0.1.0
 * @category defaults
 */
export const defaults = { idle: "10 minutes", learnedLimits: "10 minutes" } as const

const idleMillis = Duration.toMillis(defaults.idle)

const withNow = <A>(use: (now: number) => A): Effect.Effect<A> =>
  Effect.clockWith((clock) => Effect.sync(() => use(elapsedMillis(clock))))

const unsafeMakeMemory = (): RateLimitStore => {
  const cells = new Map<string, Queue.Cell>()
  // A reservation that was refused while it waited took nothing, so its release must give nothing back.
  const entries = new WeakMap<Reservation, Queue.QueueEntry>()
  let sweepAt = -Infinity

  const sweep = (now: number): void => {
    sweepAt = now + idleMillis
    for (const [key, cell] of cells) {
      if (cell.queue.size === 0 && now - cell.usedAt >= idleMillis && bucket.isFull(cell.limits, cell.state, now)) {
        cells.delete(key)
      }
    }
  }

  const cellOf = (key: string, limits: Limits, now: number): Queue.Cell => {
    if (now >= sweepAt) sweep(now)
    const known = cells.get(key)
    if (known !== undefined) {
      known.usedAt = now
      Queue.useLimits(known, limits, now)
      return known
    }
    const cell = Queue.makeCell(limits, now)
    cells.set(key, cell)
    return cell
  }

  const local: Local = {
    reserve: (request, now) => {
      const { key, limits, maxWait, requests, tokens } = request
      const cell = cellOf(key, limits, now)
      Queue.advance(cell, now)
      const plan = Queue.plannedState(cell)
      const excess = bucket.excess(limits, plan, request, now)
      if (excess !== undefined) return { _tag: "Refused", reason: "cost", ...excess }
      const waits = bucket.canSaveUp(limits, plan, request, maxWait)
      const start = bucket.earliest(limits, plan, waits ? request : bucket.withinBurst(limits, plan, request))
      if (cell.queue.first === undefined && bucket.isDue(start, now)) {
        Queue.take(cell, request, start)
        return { _tag: "Granted", key, limits, requests, tokens, id: ++cell.lastId }
      }
      const wait = bucket.until(start, now)
      if (wait > maxWait || !waits) return { _tag: "Refused", reason: "rate", retryAfter: wait }
      const entry = Queue.joinQueue(cell, request, now + maxWait)
      const waiting: Waiting = { _tag: "Waiting", key, limits, requests, tokens, id: ++cell.lastId, wait }
      entries.set(waiting, entry)
      return waiting
    },
    release: (reservation, now) => {
      const entry = entries.get(reservation)
      if (typeof entry?.value.turn === "object") return
      const cell = cellOf(reservation.key, reservation.limits, now)
      if (entry === undefined || !Queue.leaveQueue(cell, entry, now)) Queue.giveBack(cell, reservation, now)
    },
    settle: (reservation, tokens, now) => {
      if (tokens === reservation.tokens) return
      const cell = cellOf(reservation.key, reservation.limits, now)
      Queue.settle(cell, reservation.tokens, tokens, now)
    },
    pause: (key, limits, millis, now) => Queue.pause(cellOf(key, limits, now), now + millis, now)
  }

  return {
    [TypeId]: TypeId,
    local,
    reserve: (request) => withNow((now) => local.reserve(request, now)),
    wait: (reservation) =>
      Effect.suspend(() => {
        const { _tag, wait: _, ...reserved } = reservation
        const granted: Granted = { _tag: "Granted", ...reserved }
        const cell = cells.get(reservation.key)
        const entry = entries.get(reservation)
        return cell === undefined || entry === undefined
          ? Effect.succeed(granted)
          : Effect.map(Queue.awaitTurn(cell, entry), (turn) => turn === "granted" ? granted : turn)
      }),
    release: (reservation) => withNow((now) => local.release(reservation, now)),
    settle: (reservation, tokens) => withNow((now) => local.settle(reservation, tokens, now)),
    pause: (key, limits, millis) => withNow((now) => local.pause(key, limits, millis, now)),
    resume: (key, limits) => withNow((now) => Queue.resume(cellOf(key, limits, now), now)),
    learn: (key, limits, learned) =>
      withNow((now) => Queue.learn(cellOf(key, limits, now), learned, learned.sent, now)),
    moment: (key, limits) => withNow((now) => ({ at: now, ...cellOf(key, limits, now).taken })),
    state: (key, limits) =>
      withNow((now) => {
        const cell = cellOf(key, limits, now)
        Queue.advance(cell, now)
        const { pausedUntil, requests, requestsPerMinute, tokens, tokensPerMinute } = cell.state
        return {
          requestsPerMinute,
          tokensPerMinute,
          requestsAvailable: bucket.available(requests, requestsPerMinute),
          tokensAvailable: bucket.available(tokens, tokensPerMinute),
          waiting: cell.queue.size,
          pausedFor: bucket.until(pausedUntil, now)
        }
      }),
    size: Effect.sync(() => cells.size)
  }
}

/**
 * A store in memory, for one process. A waiter moves up when one before it leaves, and none overtakes; a timer runs only
 * for the first in the queue.
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeMemory: Effect.Effect<RateLimitStore> = Effect.sync(unsafeMakeMemory)

/**
 * A store in memory, for one process.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerMemory: Layer.Layer<RateLimitStore> = Layer.effect(RateLimitStore, makeMemory)
