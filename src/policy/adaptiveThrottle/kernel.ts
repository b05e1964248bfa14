/**
 * Client-side throttling by the share of calls that the other side accepts: data in, data out. Of the requests of the
 * last two minutes, and of how many of them were accepted, follows how likely the next one is refused here, so that a
 * side that is overloaded does not have to refuse it:
 *
 *     max(0, (requests − K × accepts) / (requests + 1))
 *
 * With K = 2 nothing is refused while at least half is accepted. After 100 requests of which 20 were accepted the next is
 * refused with (100 − 40) / 101 = 59 %. What is refused here counts as a request that was not accepted, so the share goes
 * up while nothing comes back, to 99 % and more; the few that still go through find out when it does.
 *
 * Source: Site Reliability Engineering, chapter 21, "Handling Overload", https://sre.google/sre-book/handling-overload/
 */
import * as Window from "../shared/window.ts"

export interface Settings {
  /** How many requests are let through for each that is accepted: K. */
  readonly ratio: number
  /** How far back it looks. */
  readonly windowMillis: number
}

/** The requests of the window; the "bad" ones were accepted. Written in place. */
export type State = Window.Window

export const make = ({ windowMillis }: Settings): State => Window.make({ _tag: "Time", millis: windowMillis })

export interface Counts {
  readonly requests: number
  readonly accepts: number
}

export const counts = (state: State, now: number): Counts => {
  Window.roll(state, now)
  return { requests: state.calls, accepts: state.bad }
}

/** From 0 to 1. */
export const refusalProbability = ({ ratio }: Settings, { accepts, requests }: Counts): number =>
  Math.max(0, (requests - ratio * accepts) / (requests + 1))

/** Whether a call goes through; `draw` gives a random number from 0 to 1. One that is refused counts as a request. */
export const admit = (settings: Settings, state: State, now: number, draw: () => number): boolean => {
  const probability = refusalProbability(settings, counts(state, now))
  if (probability === 0 || draw() >= probability) return true
  Window.record(state, false, now)
  return false
}

/** A call that went through has ended: the other side took it, or refused it as one too many. */
export const settle = (state: State, isAccepted: boolean, now: number): void => Window.record(state, isAccepted, now)
