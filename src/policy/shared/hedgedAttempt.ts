/** An attempt with others beside it when it takes long. The first one runs as any attempt does, with a timer more. */
import type * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { elapsedMillis } from "../../internal/elapsed.ts"
import { type Beside, type Deadline, type Gate, GuardedAttempt, type TimeLimit } from "./attempt.ts"
import { Surroundings, surroundingsOf } from "./childFiber.ts"
import { CountedCall, find } from "./countedCall.ts"
import * as Retried from "./currentAttempt.ts"
import { CurrentAttempt, HedgeRace, type Hedging, meaningOf, repeatable } from "./hedgeRace.ts"
import type { Restore } from "./region.ts"

/** A hedged call on its way. It is run once, in an uninterruptible region, to which `restore` belongs. */
export class HedgedAttempt<A, E, R, Refusal> implements Beside<A, E | Refusal, R> {
  private readonly effect: Effect.Effect<A, E, R>
  private readonly gates: ReadonlyArray<Gate<A, Refusal>>
  private readonly total: Deadline<Refusal> | undefined
  private readonly limit: TimeLimit<Refusal> | undefined
  private readonly hedge: Hedging
  private readonly restore: Restore
  private readonly surroundings: Surroundings<R>
  /** Which attempt of a retry it is, with the call that is counted. */
  private readonly current: Retried.Attempt | undefined
  /** The call that the budget counts; `mine` where it was begun here. */
  private readonly counted: CountedCall | undefined
  private readonly isMine: boolean
  private readonly startedAt: number
  private race: HedgeRace<A, E | Refusal, R> | undefined = undefined
  readonly at: number

  constructor(
    effect: Effect.Effect<A, E, R>,
    gates: ReadonlyArray<Gate<A, Refusal>>,
    total: Deadline<Refusal> | undefined,
    limit: TimeLimit<Refusal> | undefined,
    current: Retried.Attempt | undefined,
    hedge: Hedging,
    restore: Restore,
    surroundings: Surroundings<R>
  ) {
    const { budget } = hedge
    this.effect = effect
    this.gates = gates
    this.total = total
    this.limit = limit
    this.hedge = hedge
    this.restore = restore
    this.startedAt = elapsedMillis(surroundings.clock)
    this.at = this.startedAt + hedge.delay.millis
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

  run(): Effect.Effect<A, E | Refusal, R> {
    return this.settling(this.attempt(this.surroundings, this.restore, this).run())
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
    attempt: Effect.Effect<A, E | Refusal, R>
  ): Effect.Effect<A, E | Refusal, R> {
    return Effect.suspend(() => {
      const race = this.newRace()
      return race.join(attempt, this.at - elapsedMillis(this.surroundings.clock), this.restore)
    })
  }

  private newRace(): HedgeRace<A, E | Refusal, R> {
    const again = Effect.withFiberRuntime<A, E | Refusal, R>((fiber, status) => {
      const surroundings = surroundingsOf<R>(fiber, status.runtimeFlags)
      return Effect.uninterruptibleMask((restore) => this.attempt(surroundings, restore, undefined).run())
    })
    this.race = new HedgeRace(this.hedge, again, this.counted, this.startedAt, this.surroundings)
    return this.race
  }

  private attempt(
    surroundings: Surroundings<R>,
    restore: Restore,
    beside: Beside<A, E | Refusal, R> | undefined
  ): GuardedAttempt<A, E, R, Refusal> {
    const { current, effect, gates, limit, total } = this
    return new GuardedAttempt(effect, gates, total, limit, current, beside, restore, surroundings)
  }

  private settling(
    running: Effect.Effect<A, E | Refusal, R>
  ): Effect.Effect<A, E | Refusal, R> {
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
    cause: Cause.Cause<E | Refusal>
  ): Effect.Effect<A, E | Refusal, R> {
    const failed = Effect.failCause(cause)
    const failure = this.race === undefined ? repeatable(cause) : Option.none()
    if (Option.isNone(failure)) return this.over(failed)
    try {
      if (meaningOf(this.hedge.verdict(failure.value)) !== "next") return this.over(failed)
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
