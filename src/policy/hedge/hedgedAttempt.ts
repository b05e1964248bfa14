/** An attempt with others beside it when it takes long. The first one runs as any attempt does, with a timer more. */
import type * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { elapsedMillis } from "../../internal/elapsed.ts"
import type { FurtherAttempts, Runnable } from "../shared/attempt.ts"
import { Surroundings, surroundingsOf } from "../shared/childFiber.ts"
import { CountedCall, find } from "../shared/countedCall.ts"
import * as Retried from "../shared/currentAttempt.ts"
import type { Restore } from "../shared/region.ts"
import { CurrentAttempt, HedgeRace, type Hedging, meaningOf, repeatable } from "./race.ts"

/** A call with a hedge. */
export class HedgedRun<A, E, R> implements Runnable<A, E, R> {
  private readonly inner: Runnable<A, E, R>
  private readonly hedge: Hedging

  constructor(inner: Runnable<A, E, R>, hedge: Hedging) {
    this.inner = inner
    this.hedge = hedge
  }

  runOnce(
    current: Retried.Attempt | undefined,
    // Whatever stands further out has no part in this race.
    _: FurtherAttempts<A, E, R> | undefined,
    restore: Restore,
    surroundings: Surroundings<R>
  ): Effect.Effect<A, E, R> {
    return new HedgedAttempt(this.inner, this.hedge, current, restore, surroundings).run()
  }
}

/** A hedged call on its way. It is run once, in an uninterruptible region, to which `restore` belongs. */
export class HedgedAttempt<A, E, R> implements FurtherAttempts<A, E, R> {
  private readonly inner: Runnable<A, E, R>
  private readonly hedge: Hedging
  private readonly restore: Restore
  private readonly surroundings: Surroundings<R>
  /** Which attempt of a retry it is, with the call that is counted. */
  private readonly current: Retried.Attempt | undefined
  /** The call that the budget counts; it is ended here where it was begun here. */
  private readonly counted: CountedCall | undefined
  private readonly isMine: boolean
  private readonly startedAt: number
  private race: HedgeRace<A, E, R> | undefined = undefined
  readonly startAt: number

  constructor(
    inner: Runnable<A, E, R>,
    hedge: Hedging,
    current: Retried.Attempt | undefined,
    restore: Restore,
    surroundings: Surroundings<R>
  ) {
    const { budget } = hedge
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
      this.isMine = false
      this.current = current
    } else {
      const attempt = current ?? Context.get(surroundings.context, Retried.CurrentAttempt)
      const outer = Retried.countedRound(attempt)
      const found = find(budget, outer)
      this.counted = found ?? new CountedCall(budget, outer, this.startedAt)
      this.isMine = found === undefined
      this.current = found === undefined ? Retried.withCounted(attempt, this.counted) : current
    }
  }

  run(): Effect.Effect<A, E, R> {
    return this.settling(this.inner.runOnce(this.current, this, this.restore, this.surroundings))
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
    return this.race
  }

  private settling(
    running: Effect.Effect<A, E, R>
  ): Effect.Effect<A, E, R> {
    return Effect.matchCauseEffect(running, {
      onFailure: (cause) => this.failed(cause),
      onSuccess: (value) => this.succeeded(value)
    })
  }

  private succeeded(value: A): Effect.Effect<A> {
    const { delay } = this.hedge
    if (delay.record !== undefined) {
      const from = this.race?.measuredFrom ?? this.startedAt
      delay.record(Math.max(0, elapsedMillis(this.surroundings.clock) - from))
    }
    if (this.isMine) this.counted?.end(true)
    return Effect.succeed(value)
  }

  /** The first attempt has failed, alone so far, or the whole race. */
  private failed(
    cause: Cause.Cause<E>
  ): Effect.Effect<A, E, R> {
    const failed = Effect.failCause(cause)
    const failure = this.race === undefined ? repeatable(cause) : Option.none()
    if (Option.isNone(failure)) return this.over(failed)
    try {
      const verdict = this.hedge.verdict(failure.value)
      if (verdict.action === "Retry") this.counted?.fail()
      if (meaningOf(verdict) !== "next") return this.over(failed)
    } catch (defect) {
      return this.over(Effect.die(defect))
    }
    return this.settling(this.newRace().replaceFirst(failed, failure.value, this.restore))
  }

  private over<E2>(end: Effect.Effect<never, E2>): Effect.Effect<never, E2> {
    if (this.isMine) this.counted?.end(false)
    return end
  }
}
