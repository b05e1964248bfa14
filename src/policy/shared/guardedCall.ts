/**
 * A call with all that a pipeline puts round it, in one uninterruptible region: retry, then hedge, then gates and
 * time-outs. Work and waits alone can be interrupted; everything else happens in steps that nothing comes between.
 */
import * as Effect from "effect/Effect"
import { elapsedMillis } from "../../internal/elapsed.ts"
import { Deadline, type Gate, GuardedAttempt, type TimeLimit } from "./attempt.ts"
import { type Surroundings, surroundingsOf } from "./childFiber.ts"
import type { Attempt } from "./currentAttempt.ts"
import { HedgedAttempt } from "./hedgedAttempt.ts"
import type { Hedging } from "./hedgeRace.ts"
import type { Restore } from "./region.ts"
import * as Loop from "./retryLoop.ts"

/** What stands round a call, from the outside in. */
export interface Guards<in A, out Refusal> {
  /** For all of it. */
  readonly totalTimeout: TimeLimit<Refusal> | undefined
  readonly retry: Loop.Settings | undefined
  readonly hedge: Hedging | undefined
  readonly gates: ReadonlyArray<Gate<A, Refusal>>
  /** For one attempt, once it is past its gates. */
  readonly attemptTimeout: TimeLimit<Refusal> | undefined
}

/** Runs the effect within the guards. */
export const guarded = <A, E, R, Refusal>(
  effect: Effect.Effect<A, E, R>,
  guards: Guards<A, Refusal>
): Effect.Effect<A, E | Refusal, R> => {
  const { attemptTimeout, gates, hedge, retry, totalTimeout } = guards
  if (gates.length === 0 && attemptTimeout === undefined && totalTimeout === undefined && hedge === undefined) {
    return retry === undefined ? effect : Loop.retried(effect, retry, Loop.plain<A, E>())
  }
  return Effect.withFiberRuntime<A, E | Refusal, R>((caller, status) => {
    const surroundings = surroundingsOf<R>(caller, status.runtimeFlags)
    const total = totalTimeout === undefined
      ? undefined
      : new Deadline(elapsedMillis(surroundings.clock), totalTimeout)
    const call = new GuardedCall(effect, guards, total)
    return Effect.uninterruptibleMask((restore) =>
      retry === undefined
        ? call.once(undefined, restore, surroundings)
        : Loop.run(call, retry, total?.at ?? Infinity, Loop.plain<A, E | Refusal>(), restore, surroundings)
    )
  })
}

/** One call on its way. */
class GuardedCall<A, E, R, Refusal> implements Loop.Once<A, E | Refusal, R> {
  private readonly effect: Effect.Effect<A, E, R>
  private readonly guards: Guards<A, Refusal>
  private readonly total: Deadline<Refusal> | undefined

  constructor(effect: Effect.Effect<A, E, R>, guards: Guards<A, Refusal>, total: Deadline<Refusal> | undefined) {
    this.effect = effect
    this.guards = guards
    this.total = total
  }

  once(
    current: Attempt | undefined,
    restore: Restore,
    surroundings: Surroundings<R>
  ): Effect.Effect<A, E | Refusal, R> {
    const { effect, guards: { attemptTimeout, gates, hedge }, total } = this
    return hedge === undefined
      ? new GuardedAttempt(effect, gates, total, attemptTimeout, current, undefined, restore, surroundings).run()
      : new HedgedAttempt(effect, gates, total, attemptTimeout, current, hedge, restore, surroundings).run()
  }
}
