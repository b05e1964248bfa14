/**
 * A pipeline as it runs: the stages of its policies in their order, put together once for each configuration, so that a
 * call only walks through them.
 */
import * as Effect from "effect/Effect"
import type { TimedOut } from "../../error/PolicyError.ts"
import { elapsedMillis } from "../../internal/elapsed.ts"
import type { Cost } from "../RateLimiter.ts"
import {
  FixedDeadline,
  type Gate,
  GuardedEffect,
  runInOwnRegion,
  type Runnable,
  type TimeLimit,
  timeLimit
} from "../shared/attempt.ts"
import type * as Section from "../shared/section.ts"
import {
  CountedDeadline,
  type PhaseLimits,
  StreamAttempt,
  StreamedCall,
  type StreamedWork
} from "../shared/streamedCall.ts"
import type { Installation } from "./configuration.ts"

type GateStage<Refused> = Extract<Section.InstalledStage<Refused>, { readonly _tag: "Gate" }>

export interface Plan<out Refused> {
  readonly name: string
  /** What admits an attempt, outermost first. */
  readonly gates: ReadonlyArray<Gate<unknown, Refused>>
  /** The stages behind `gates`, for a call that says what it costs; none where no gate asks for that. */
  readonly costed: ReadonlyArray<GateStage<Refused>> | undefined
  /** What runs an attempt more than once, innermost first. */
  readonly arounds: ReadonlyArray<Section.Around<Refused>>
  /** For one attempt, once it is past its gates. */
  readonly attemptTimeout: TimeLimit<TimedOut> | undefined
  /** For the call with all its attempts. */
  readonly totalTimeout: TimeLimit<TimedOut> | undefined
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
  const limit = (phase: "attempt" | "total", millis: number | undefined): TimeLimit<TimedOut> | undefined =>
    millis === undefined ? undefined : timeLimit(name, phase, millis)
  return {
    name,
    gates: stages.map(({ gate }) => gate),
    costed: stages.some(({ gateAtCost }) => gateAtCost !== undefined) ? stages : undefined,
    arounds,
    attemptTimeout: limit("attempt", peers.attemptTimeout()),
    totalTimeout: limit("total", peers.totalTimeout())
  }
}

const run = <A, E, R, Refused>(
  effect: Effect.Effect<A, E, R>,
  { arounds, attemptTimeout, totalTimeout }: Plan<Refused>,
  gates: ReadonlyArray<Gate<A, Refused>>
): Effect.Effect<A, E | Refused | TimedOut, R> => {
  const isBare = gates.length === 0 && attemptTimeout === undefined && totalTimeout === undefined
  if (isBare && arounds.length === 0) return effect
  return runInOwnRegion<A, E | Refused | TimedOut, R>(({ clock }) => {
    const total = totalTimeout === undefined ? undefined : new FixedDeadline(elapsedMillis(clock), totalTimeout)
    let inner: Runnable<A, E | Refused | TimedOut, R> = new GuardedEffect<A, E, R, Refused | TimedOut>(
      effect,
      gates,
      total,
      attemptTimeout
    )
    for (const around of arounds) inner = around(inner, total, undefined)
    return inner
  })
}

/** The effect through all stages, at the cost that holds where nothing is said of it. */
export const apply = <A, E, R, Refused>(
  effect: Effect.Effect<A, E, R>,
  plan: Plan<Refused>
): Effect.Effect<A, E | Refused | TimedOut, R> => run(effect, plan, plan.gates)

/** The gates for a call that costs so much. */
const gatesAt = <A, Refused>(plan: Plan<Refused>, cost: Cost<A>): ReadonlyArray<Gate<A, Refused>> =>
  plan.costed === undefined
    ? plan.gates
    : plan.costed.map(({ gate, gateAtCost }): Gate<A, Refused> => gateAtCost === undefined ? gate : gateAtCost(cost))

export const applyCost = <A, E, R, Refused>(
  effect: Effect.Effect<A, E, R>,
  plan: Plan<Refused>,
  cost: Cost<A>
): Effect.Effect<A, E | Refused | TimedOut, R> => run(effect, plan, gatesAt(plan, cost))

/** The same for a stream, each of whose attempts runs to its end. */
export const applyStreamed = <A, E, R, Refused>(
  work: StreamedWork<A, E, R>,
  plan: Plan<Refused>
): Effect.Effect<A, E | Refused | TimedOut, R> => {
  const { attempt, canRepeat, cost, limits } = work
  const limit = (phase: TimedOut["phase"], millis: number | undefined): TimeLimit<TimedOut> | undefined =>
    millis === undefined ? undefined : timeLimit(plan.name, phase, millis)
  const phases: PhaseLimits = {
    first: limit("firstContent", limits.firstContent) ?? plan.attemptTimeout,
    idle: limit("idle", limits.idle),
    liveness: limit("liveness", limits.liveness)
  }
  const totalLimit = limit("total", limits.total) ?? plan.totalTimeout
  const gates = gatesAt(plan, cost)
  return runInOwnRegion<A, E | Refused | TimedOut, R>(({ clock }) => {
    const call = new StreamedCall(clock, canRepeat)
    const total = totalLimit === undefined ? undefined : new CountedDeadline(call, elapsedMillis(clock), totalLimit)
    let inner: Runnable<A, E | Refused | TimedOut, R> = new GuardedEffect<A, E, R, Refused | TimedOut>(
      Effect.never,
      gates,
      total,
      undefined,
      (startedAt, owner) => {
        const begun = new StreamAttempt(call, owner, startedAt, phases, total)
        return { attempt: begun, effect: attempt(begun) }
      }
    )
    for (const around of plan.arounds) inner = around(inner, total, call)
    return inner
  })
}
