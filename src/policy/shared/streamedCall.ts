/**
 * A call whose result comes in pieces, as the engine sees it: one run of a stream through a pipeline, from its first
 * attempt to its end. An attempt runs until its stream is over, so its permits are held that long and settled with what
 * really became of it.
 *
 * Two things differ from a call that answers at once. First, time in which nobody waits for the next piece does not count.
 * All limits are measured in counted time, which stands still meanwhile: with a limit of 10 s and a consumer that asks at
 * 0 s, gets a piece at 2 s and asks again at 60 s, the moment of the limit moves from 10 s to 68 s. Second, an attempt
 * begins to answer long before it ends: the first one that has content takes the stream over, and a hedge's others end.
 */
import type * as Clock from "effect/Clock"
import type * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type { TimedOut } from "../../error/PolicyError.ts"
import { elapsedMillis } from "../../internal/elapsed.ts"
import type { Cost } from "../RateLimiter.ts"
import type { Deadline, TimeLimit } from "./attempt.ts"

type AnyFiber = Fiber.RuntimeFiber<unknown, unknown>

/** What an attempt of a stream tells the engine as it goes. Each is one synchronous step. */
export interface StreamSignals {
  /**
   * The consumer gets the first content of this attempt now. `false` where another attempt has begun before: this one is
   * about to be interrupted and must give nothing.
   */
  readonly begin: () => boolean
  /** Content has come: the next one may take `idle` from now. */
  readonly content: () => void
  /** Bytes have come, of whatever kind: the next ones may take `liveness` again. */
  readonly bytes: () => void
  /** This attempt goes on with a reply that has content already, so the wait for its first content is `idle`, too. */
  readonly continuing: () => void
  /** The reply is whole: no limit counts any more. */
  readonly whole: () => void
  /** The consumer waits for more. It does from the start. */
  readonly asked: () => void
  /** The consumer was given something, and does not wait for now. */
  readonly unasked: () => void
}

/** Milliseconds that the phases of a stream may take; absent ones have no limit. */
export interface StreamLimits {
  /** To the first content of an attempt, from its admission. Default: the pipeline's `attemptTimeout`. */
  readonly firstContent?: number | undefined
  /** From one content to the next; also to the first content of an attempt that follows another, without `firstContent`. */
  readonly idle?: number | undefined
  /** From bytes to bytes. */
  readonly liveness?: number | undefined
  /** For all attempts and waits. Default: the pipeline's `totalTimeout`. */
  readonly total?: number | undefined
}

/** A stream to be run through a pipeline. */
export interface StreamedWork<A, E, R> {
  /** One attempt, from its request to its end. It succeeds when the stream has ended well. */
  readonly attempt: (signals: StreamSignals) => Effect.Effect<A, E, R>
  /** Whether a retry may follow a failure, as far as the stream is concerned. The retry policy is asked before. */
  readonly canRepeat: (error: unknown) => boolean
  readonly limits: StreamLimits
  readonly cost: Cost<A>
}

/** The limits of one attempt, each with its error. */
export interface PhaseLimits {
  readonly first: TimeLimit<TimedOut> | undefined
  readonly idle: TimeLimit<TimedOut> | undefined
  readonly liveness: TimeLimit<TimedOut> | undefined
}

/** A race of attempts, which the first content decides. */
export interface StreamRace {
  /** The attempt that began in this fiber, or else the first one, goes on alone. */
  readonly decide: (owner: AnyFiber) => void
}

/** The state of one run that its attempts, its retry and its hedge share. */
export class StreamedCall {
  readonly clock: Clock.Clock
  readonly canRepeat: (error: unknown) => boolean
  /** How many attempts have begun to answer. */
  begun = 0
  /** When the last of them did; a reading of `elapsedMillis`. */
  begunAt = 0
  race: StreamRace | undefined = undefined
  /** The attempt that answers. */
  private answering: StreamAttempt | undefined = undefined
  /** Milliseconds so far in which nobody waited. */
  private uncounted = 0
  private pausedAt: number | undefined = undefined
  /** Wakes who waits for a limit that has no moment, and the limit. */
  private sleeper: { readonly deadline: Deadline<unknown>; readonly wake: () => void } | undefined = undefined

  constructor(clock: Clock.Clock, canRepeat: (error: unknown) => boolean) {
    this.clock = clock
    this.canRepeat = canRepeat
  }

  /** The counted time at `now`. */
  counted(now: number): number {
    return (this.pausedAt ?? now) - this.uncounted
  }

  /** When a counted time will be reached, if the consumer waits until then; `Infinity` while it does not. */
  momentOf(counted: number): number {
    return this.pausedAt === undefined ? counted + this.uncounted : Infinity
  }

  pause(): void {
    this.pausedAt ??= elapsedMillis(this.clock)
  }

  unpause(): void {
    if (this.pausedAt === undefined) return
    this.uncounted += elapsedMillis(this.clock) - this.pausedAt
    this.pausedAt = undefined
    const { sleeper } = this
    if (sleeper === undefined || sleeper.deadline.at === Infinity) return
    this.sleeper = undefined
    sleeper.wake()
  }

  /** `wake` is called once the deadline has a moment. */
  sleep(deadline: Deadline<unknown>, wake: () => void): void {
    this.sleeper = { deadline, wake }
  }

  /** One attempt begins to answer; `false` where another one does. */
  begin(attempt: StreamAttempt, now: number): boolean {
    if (this.answering !== undefined) return this.answering === attempt
    this.answering = attempt
    this.begun++
    this.begunAt = now
    this.race?.decide(attempt.owner)
    return true
  }

  isAnsweredBy(attempt: StreamAttempt): boolean {
    return this.answering === attempt
  }

  end(attempt: StreamAttempt): void {
    if (this.answering !== attempt) return
    this.answering = undefined
    this.sleeper = undefined
  }
}

/** The moment at which the call as a whole is over, in counted time. */
export class CountedDeadline implements Deadline<TimedOut> {
  private readonly call: StreamedCall
  private readonly countedAt: number
  readonly exceeded: TimeLimit<TimedOut>["exceeded"]
  constructor(call: StreamedCall, from: number, { exceeded, millis }: TimeLimit<TimedOut>) {
    this.call = call
    this.countedAt = call.counted(from) + millis
    this.exceeded = exceeded
  }
  get at(): number {
    return this.call.momentOf(this.countedAt)
  }
}

/**
 * One attempt with its limits. It keeps moments and no timer: who waits for the attempt sleeps until the nearest limit,
 * looks then where it is now, and sleeps on. So a chunk costs a few readings of the clock.
 */
export class StreamAttempt implements StreamSignals, Deadline<TimedOut> {
  /** The fiber that runs it. */
  readonly owner: AnyFiber
  private readonly call: StreamedCall
  private readonly total: Deadline<TimedOut> | undefined
  private readonly limits: PhaseLimits
  /** Counted times; there is none of content before the first. */
  private readonly admittedAt: number
  private contentAt: number | undefined = undefined
  private bytesAt: number
  private isContinuing = false
  private isWhole = false
  private relook: (() => void) | undefined = undefined
  private readonly listeners: Array<(now: number) => void> = []

  constructor(
    call: StreamedCall,
    owner: AnyFiber,
    startedAt: number,
    limits: PhaseLimits,
    total: Deadline<TimedOut> | undefined
  ) {
    this.call = call
    this.owner = owner
    this.limits = limits
    this.total = total
    this.admittedAt = call.counted(startedAt)
    this.bytesAt = this.admittedAt
  }

  readonly begin = (): boolean => {
    const now = elapsedMillis(this.call.clock)
    const isBegun = this.call.begin(this, now)
    if (isBegun) { for (const act of this.listeners) act(now) }
    return isBegun
  }

  whenAnswering(act: (now: number) => void): void {
    this.listeners.push(act)
  }

  readonly content = (): void => {
    const isFirst = this.contentAt === undefined
    this.contentAt = this.call.counted(elapsedMillis(this.call.clock))
    this.bytesAt = this.contentAt
    // The limit of the first content is over, and a nearer one may have begun.
    if (isFirst) this.relook?.()
  }

  readonly bytes = (): void => {
    this.bytesAt = this.call.counted(elapsedMillis(this.call.clock))
  }

  readonly continuing = (): void => {
    this.isContinuing = true
    this.relook?.()
  }

  readonly whole = (): void => {
    this.isWhole = true
  }

  readonly asked = (): void => this.call.unpause()

  readonly unasked = (): void => {
    if (this.isAnswering) this.call.pause()
  }

  get isAnswering(): boolean {
    return this.call.isAnsweredBy(this)
  }

  /** When the attempt began to answer, and at `now` where it did not. */
  answeredAt(now: number): number {
    return this.isAnswering ? this.call.begunAt : now
  }

  /** The limit that is reached next, and its moment. */
  private nearest(): { readonly at: number; readonly exceeded: TimeLimit<TimedOut>["exceeded"] } | undefined {
    const { call, contentAt, limits, total } = this
    const { liveness } = limits
    let found: { readonly at: number; readonly exceeded: TimeLimit<TimedOut>["exceeded"] } | undefined = total
    const consider = (limit: TimeLimit<TimedOut> | undefined, from: number): void => {
      if (limit === undefined) return
      const at = call.momentOf(from + limit.millis)
      if (found === undefined || at <= found.at) found = { at, exceeded: limit.exceeded }
    }
    consider(liveness, this.bytesAt)
    if (contentAt !== undefined) consider(limits.idle, contentAt)
    else {
      consider(limits.first, this.admittedAt)
      // An attempt before it began to answer: whoever has text of that must not wait for ever for this one.
      const isNext = limits.first === undefined && call.begun > 0
      if (this.isContinuing || isNext) consider(limits.idle, this.admittedAt)
    }
    return found
  }

  get at(): number {
    return this.isWhole ? Infinity : this.nearest()?.at ?? Infinity
  }

  get exceeded(): TimeLimit<TimedOut>["exceeded"] {
    const { first, idle, liveness } = this.limits
    const limit = this.nearest() ?? this.total ?? first ?? idle ?? liveness
    if (limit === undefined) throw new Error("a deadline without a limit was exceeded")
    return limit.exceeded
  }

  /** `wake` is called when the deadline moves nearer, or gets a moment after it had none. */
  watch(wake: () => void): void {
    this.relook = wake
    const { idle, liveness } = this.limits
    const isLimited = this.total !== undefined || idle !== undefined || liveness !== undefined
    if (isLimited && this.isAnswering && this.at === Infinity) this.call.sleep(this, wake)
  }

  /** The attempt is over. */
  end(): void {
    this.relook = undefined
    this.call.end(this)
  }
}
