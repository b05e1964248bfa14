/**
 * A pipeline as it runs: the stages of its policies in their order, put together once for each configuration, so that a
 * call only walks through them.
 */
import * as Effect from "effect/Effect"
import type { TimedOut } from "../../error/PolicyError.ts"
import type { Cost } from "../RateLimiter.ts"
import { attempt, type Deadline, type Gate, type Limits } from "../shared/attempt.ts"
import { CurrentAttempt } from "../shared/currentAttempt.ts"
import type * as Section from "../shared/section.ts"
import type { Installation } from "./configuration.ts"

type GateStage<Refused> = Extract<Section.InstalledStage<Refused>, { readonly _tag: "Gate" }>

export interface Plan<out Refused> {
  /** What admits an attempt, outermost first. */
  readonly gates: ReadonlyArray<Gate<unknown, Refused>>
  /** The stages behind `gates`, for a call that says what it costs; none where no gate asks for that. */
  readonly costed: ReadonlyArray<GateStage<Refused>> | undefined
  /** What runs an attempt more than once, innermost first. */
  readonly arounds: ReadonlyArray<Section.Around<Refused>>
  /** The attempt's own time-out. */
  readonly limits: Limits
  /** Milliseconds; the call with all its attempts. */
  readonly totalTimeout: number | undefined
}

/** The gates in the order of the list, but for one that is to stand directly behind another. */
const inOrder = <Refused>(
  placed: ReadonlyArray<{ readonly name: string; readonly stage: GateStage<Refused> }>
): ReadonlyArray<GateStage<Refused>> => {
  const order = placed.filter(({ stage }) => !placed.some(({ name }) => name === stage.behind))
  return order.flatMap(({ name, stage }) => [
    stage,
    ...placed.filter((other) => other.stage.behind === name).map((other) => other.stage)
  ])
}

export const make = <Refused>({ installed, name, peers }: Installation<Refused>): Plan<Refused> => {
  const gates: Array<{ readonly name: string; readonly stage: GateStage<Refused> }> = []
  const arounds: Array<Section.Around<Refused>> = []
  for (const each of installed) {
    const stage = each.stage(peers)
    if (stage?._tag === "Gate") gates.push({ name: each.name, stage })
    if (stage?._tag === "Around") arounds.unshift(stage.around)
  }
  const stages = inOrder(gates)
  const attemptTimeout = peers.attemptTimeout()
  return {
    gates: stages.map(({ gate }) => gate),
    costed: stages.some(({ gateAtCost }) => gateAtCost !== undefined) ? stages : undefined,
    arounds,
    limits: {
      name,
      attempt: attemptTimeout === undefined ? undefined : { limit: attemptTimeout, phase: "attempt" },
      total: undefined
    },
    totalTimeout: peers.totalTimeout()
  }
}

const run = <A, E, R, Refused>(
  effect: Effect.Effect<A, E, R>,
  { arounds, limits }: Plan<Refused>,
  gates: ReadonlyArray<Gate<A, Refused>>,
  total: Deadline | undefined
): Effect.Effect<A, E | Refused | TimedOut, R> => {
  const isBare = gates.length === 0 && limits.attempt === undefined && total === undefined
  const bounded = total === undefined ? limits : { ...limits, total }
  let once: Section.Run<A, E | Refused | TimedOut, R> = isBare
    ? (current) => current === undefined ? effect : Effect.provideService(effect, CurrentAttempt, current)
    : (current) => attempt(effect, gates, bounded, current)
  for (const around of arounds) once = around(once, total?.at ?? Infinity)
  return once()
}

const start = <A, E, R, Refused>(
  effect: Effect.Effect<A, E, R>,
  plan: Plan<Refused>,
  gates: ReadonlyArray<Gate<A, Refused>>
): Effect.Effect<A, E | Refused | TimedOut, R> => {
  const { totalTimeout } = plan
  return totalTimeout === undefined ?
    run(effect, plan, gates, undefined) :
    Effect.clockWith((clock) =>
      run(effect, plan, gates, {
        at: clock.unsafeCurrentTimeMillis() + totalTimeout,
        phase: "total",
        limit: totalTimeout
      })
    )
}

/** The effect through all stages, at the cost that holds where nothing is said of it. */
export const apply = <A, E, R, Refused>(
  effect: Effect.Effect<A, E, R>,
  plan: Plan<Refused>
): Effect.Effect<A, E | Refused | TimedOut, R> => start(effect, plan, plan.gates)

export const applyCost = <A, E, R, Refused>(
  effect: Effect.Effect<A, E, R>,
  plan: Plan<Refused>,
  cost: Cost<A>
): Effect.Effect<A, E | Refused | TimedOut, R> =>
  start(
    effect,
    plan,
    plan.costed === undefined
      ? plan.gates
      : plan.costed.map(({ gate, gateAtCost }): Gate<A, Refused> => gateAtCost === undefined ? gate : gateAtCost(cost))
  )
