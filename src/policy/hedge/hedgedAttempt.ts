/** A call that starts further attempts when the first one is slow. The first one runs like any attempt, with a timer. */
import type * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { elapsedMillis } from "../../internal/elapsed.ts"
import type { FurtherAttempts, Runnable } from "../shared/attempt.ts"
import { Surroundings, surroundingsOf } from "../shared/childFiber.ts"
import { CountedCall, find } from "../shared/currentAttempt.ts"
import * as Retried from "../shared/currentAttempt.ts"
import type { Restore } from "../shared/region.ts"
import type { StreamedCall } from "../shared/streamedCall.ts"
import { consequenceOf, CurrentAttempt, HedgeRace, type Hedging, retriableFailure } from "./race.ts"

/** A call with a hedge. */
export class HedgedRun<A, E, R> implements Runnable<A, E, R> {
  private readonly inner: Runnable<A, E, R>
  private readonly hedge: Hedging
  private readonly streamed: StreamedCall | undefined

  constructor(inner: Runnable<A, E, R>, hedge: Hedging, streamed: StreamedCall | undefined) {
    this.inner = inner
    this.hedge = hedge
    this.streamed = streamed
  }

  runOnce(
    current: Retried.Attempt | undefined,
    // An outer hedge has no part in this race.
    _: FurtherAttempts<A, E, R> | undefined,
    restore: Restore,
    surroundings: Surroundings<R>
  ): Effect.Effect<A, E, R> {
    return new HedgedAttempt(this.inner, this.hedge, current, restore, surroundings, this.streamed).run()
  }
}

/** One running hedged call. It is run once, in an uninterruptible region that `restore` belongs to. */
export class HedgedAttempt<A, E, R> implements FurtherAttempts<A, E, R> {
  private readonly inner: Runnable<A, E, R>
  private readonly hedge: Hedging
  private readonly restore: Restore
  private readonly surroundings: Surroundings<R>
  /** Which attempt of a retry it is, with the call that is counted. */
  private readonly current: Retried.Attempt | undefined
  /** The call that the budget counts. */
  private readonly counted: CountedCall | undefined
  /** Whether `counted` was begun here, and so has to be ended here. */
  private readonly ownsCounted: boolean
  private readonly startedAt: number
  private race: HedgeRace<A, E, R> | undefined = undefined
  readonly startAt: number
  /** Where the call is a stream: it is hedged until one of its attempts has content. */
  private readonly streamed: StreamedCall | undefined
  /** How many attempts of the stream had had content before. */
  private readonly begunBefore: number

  constructor(
    inner: Runnable<A, E, R>,
    hedge: Hedging,
    current: Retried.Attempt | undefined,
    restore: Restore,
    surroundings: Surroundings<R>,
    streamed?: StreamedCall
  ) {
    const { budget } = hedge
    this.streamed = streamed
    this.begunBefore = streamed?.begun ?? 0
    this.inner = inner
    this.hedge = hedge
    this.restore = restore
    this.startedAt = elapsedMillis(surroundings.clock)
    this.startAt = this.startedAt + hedge.delay.millis
    // A hedge within a hedge begins to count anew.
    this.surroundings = Context.get(surroundings.context, CurrentAttempt) === 1
      ? surroundings
      : new Surroundings(
        surroundings.caller,
        Context.add(surroundings.context, CurrentAttempt, 1),
        surroundings.flags
      )
    if (budget === "none") {
      this.counted = undefined
      this.ownsCounted = false
      this.current = current
    } else {
      const attempt = current ?? Context.get(surroundings.context, Retried.CurrentAttempt)
      const outer = Retried.countedRound(attempt)
      const outerCall = find(budget, outer)
      this.counted = outerCall ?? new CountedCall(budget, outer, this.startedAt)
      this.ownsCounted = outerCall === undefined
      this.current = outerCall === undefined ? Retried.withCounted(attempt, this.counted) : current
    }
  }

  run(): Effect.Effect<A, E, R> {
    return this.settleWhenDone(this.inner.runOnce(this.current, this, this.restore, this.surroundings))
  }

  /** How many attempts were started, the first included. */
  get attempts(): number {
    return this.race?.attempts ?? 1
  }

  /** The number of the attempt that answered. */
  get winner(): number {
    return this.race?.winner ?? 1
  }

  /** Milliseconds since the call began. */
  get elapsedMillis(): number {
    return elapsedMillis(this.surroundings.clock) - this.startedAt
  }

  join(
    attempt: Effect.Effect<A, E, R>
  ): Effect.Effect<A, E, R> {
    return Effect.suspend(() => {
      const race = this.newRace()
      return race.join(attempt, this.startAt - elapsedMillis(this.surroundings.clock), this.restore)
    })
  }

  private newRace(): HedgeRace<A, E, R> {
    const again = Effect.withFiberRuntime<A, E, R>((fiber, status) => {
      const surroundings = surroundingsOf<R>(fiber, status.runtimeFlags)
      return Effect.uninterruptibleMask((restore) => this.inner.runOnce(this.current, undefined, restore, surroundings))
    })
    this.race = new HedgeRace(this.hedge, again, this.counted, this.startedAt, this.surroundings)
    if (this.streamed !== undefined) this.streamed.race = this.race
    return this.race
  }

  private settleWhenDone(
    running: Effect.Effect<A, E, R>
  ): Effect.Effect<A, E, R> {
    return Effect.matchCauseEffect(running, {
      onFailure: (cause) => this.handleFailure(cause),
      onSuccess: (value) => this.succeedWith(value)
    })
  }

  private succeedWith(value: A): Effect.Effect<A> {
    const { delay } = this.hedge
    if (delay.record !== undefined) {
      const from = this.race?.measuredFrom ?? this.startedAt
      const answeredAt = this.streamed?.begunAt ?? elapsedMillis(this.surroundings.clock)
      delay.record(Math.max(0, answeredAt - from))
    }
    if (this.ownsCounted) this.counted?.end(true)
    return Effect.succeed(value)
  }

  /** The first attempt has failed before any other was started, or the whole race has failed. */
  private handleFailure(
    cause: Cause.Cause<E>
  ): Effect.Effect<A, E, R> {
    const failed = Effect.failCause(cause)
    const failure = this.race === undefined ? retriableFailure(cause) : Option.none()
    if (Option.isNone(failure)) return this.endWith(failed)
    try {
      const verdict = this.hedge.verdict(failure.value)
      if (verdict.action === "Retry") this.counted?.fail()
      const hasBegun = this.streamed !== undefined && this.streamed.begun > this.begunBefore
      if (hasBegun || consequenceOf(verdict) !== "next") return this.endWith(failed)
    } catch (defect) {
      return this.endWith(Effect.die(defect))
    }
    return this.settleWhenDone(this.newRace().replaceFirst(failed, failure.value, this.restore))
  }

  private endWith<E2>(end: Effect.Effect<never, E2>): Effect.Effect<never, E2> {
    if (this.ownsCounted) this.counted?.end(false)
    return end
  }
}
