/**
 * What a circuit breaker keeps, and the synchronous steps that move it. Nothing here waits, so nothing can come between
 * looking at the state and changing it.
 */
import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Duration from "effect/Duration"
import * as Equal from "effect/Equal"
import * as Option from "effect/Option"
import { CircuitOpen, refusal } from "../../error/PolicyError.ts"
import * as Verdict from "../../error/Verdict.ts"
import { definedFields } from "../../internal/record.ts"
import { describeCause, excerpt, visible } from "../../internal/redact.ts"
import * as Event from "../../telemetry/Event.ts"
import * as Circuit from "./kernel.ts"
import { type Settings, toKernel } from "./options.ts"

/**
 * Marks a circuit breaker.
 *
 * @since 0.1.0
 * @category symbols
 */
export const TypeId: unique symbol = Symbol.for("effect-llm-resilience/CircuitBreaker")

/**
 * A change from one state to another.
 *
 * @since 0.1.0
 * @category models
 */
export interface Change {
  /** Epoch milliseconds. */
  readonly at: number
  readonly name: string
  readonly from: Circuit.State["_tag"]
  readonly to: Circuit.State["_tag"]
}

/** A change that nobody has been told of. Its date is that of the report: here time is elapsed time, which has no dates. */
export interface Unreported {
  readonly from: Circuit.State["_tag"]
  readonly to: Circuit.State["_tag"]
  readonly event: (at: number) => Event.Event
}

/** All that changes about a breaker. It is read and written within one synchronous step, never across a wait. */
export interface Cell {
  settings: Settings
  kernel: Circuit.Settings
  verdict: (error: unknown) => Verdict.Verdict
  state: Circuit.State
  /** What happened and has not been reported yet, oldest first. */
  pending: Array<Unreported> | undefined
  refused: number
  readonly listeners: Set<(change: Change) => void>
}

/** The public interface of the same name extends this one. */
export interface CircuitBreaker {
  readonly [TypeId]: typeof TypeId
  readonly name: string
  /** Its own books: use the functions of this module. */
  readonly cell: Cell
}

/** A closed circuit; `seed` decides the jitter of its breaks. */
export const unsafeMake = (
  settings: Settings,
  verdict: ((error: unknown) => Verdict.Verdict) | undefined,
  seed: number
): CircuitBreaker => {
  const kernel = toKernel(settings, seed)
  return {
    [TypeId]: TypeId,
    name: settings.name,
    cell: {
      settings,
      kernel,
      verdict: verdict ?? Verdict.of,
      state: Circuit.closed(kernel, 0),
      pending: undefined,
      refused: 0,
      listeners: new Set()
    }
  }
}

/** Takes over other settings: see `Circuit.reconfigure`. */
export const reconfigure = (
  cell: Cell,
  settings: Settings,
  verdict: ((error: unknown) => Verdict.Verdict) | undefined
): void => {
  const changed = {
    rule: !Equal.equals(cell.settings.tripping, settings.tripping),
    breaks: !Equal.equals(cell.settings.openFor, settings.openFor)
  }
  cell.settings = settings
  cell.kernel = toKernel(settings, cell.kernel.seed)
  cell.verdict = verdict ?? Verdict.of
  cell.state = Circuit.reconfigure(cell.kernel, cell.state, changed)
}

/**
 * Whether a value is a circuit breaker.
 *
 * @since 0.1.0
 * @category guards
 */
export const isCircuitBreaker = (value: unknown): value is CircuitBreaker =>
  typeof value === "object" && value !== null && TypeId in value

const eventOf = (cell: Cell, state: Circuit.State, now: number): Unreported["event"] => {
  const { name } = cell.settings
  switch (state._tag) {
    case "Closed":
      return (at) => Event.CircuitClosed({ at, name })
    case "Open": {
      const retryAfter = Duration.millis(Circuit.remaining(cell.kernel, state, now))
      const { openedBy, sum } = state
      return (at) => Event.CircuitOpened({ at, name, ...sum, retryAfter, ...definedFields({ openedBy }) })
    }
    case "HalfOpen":
      return (at) => Event.CircuitHalfOpened({ at, name })
    case "Isolated":
      return (at) => Event.CircuitIsolated({ at, name })
    case "Disabled":
      return (at) => Event.CircuitDisabled({ at, name })
  }
}

export const setState = (cell: Cell, next: Circuit.State, now: number): void => {
  const from = cell.state._tag
  cell.state = next
  if (from === next._tag) return
  const change = { from, to: next._tag, event: eventOf(cell, next, now) }
  if (cell.pending === undefined) cell.pending = [change]
  else cell.pending.push(change)
}

/** Catches up with what time alone has decided. */
export const catchUp = (cell: Cell, now: number): void => {
  for (;;) {
    const next = Circuit.advance(cell.kernel, cell.state, now)
    if (next === cell.state) return
    setState(cell, next, now)
  }
}

/** What a call holds while it runs. {@link succeed} or {@link fail} gets it when the call has ended. */
export type Ticket = number

/** In place of a ticket: the call is not let through. */
export const refused: Ticket = Circuit.refused

/** The ticket of a call that is let through although the circuit would refuse it; no state gives it out. */
const observed: Ticket = 0

/**
 * Asks the circuit to let a call through at `now` (elapsed milliseconds). Whoever gets a ticket must pass it to
 * {@link start} when the call is sent, and to {@link succeed} or {@link fail} whatever becomes of the call, interruption too: a probe keeps its
 * place until then. Whoever gets {@link refused} has nothing to settle.
 */
export const admit = (self: CircuitBreaker, now: number): Ticket => {
  const { cell } = self
  if (cell.state._tag === "Closed" && cell.state.slowStart === undefined) return cell.state.ticket
  catchUp(cell, now)
  const [next, ticket] = Circuit.hold(cell.kernel, cell.state, now)
  cell.state = next
  if (ticket === refused) {
    cell.refused++
    if (cell.settings.mode === "enforce") return refused
  }
  return ticket === refused ? observed : ticket
}

/** Tells the circuit that a call which it let through is sent now: a probe's limit begins. */
export const start = ({ cell }: CircuitBreaker, ticket: Ticket, now: number): void => {
  cell.state = Circuit.start(cell.state, ticket, now)
}

/** Tells the circuit that the other side has begun to answer such a call, which may go on for long. */
export const answer = ({ cell }: CircuitBreaker, ticket: Ticket, now: number): void => {
  if (cell.state._tag === "Closed") return
  catchUp(cell, now)
  cell.state = Circuit.answer(cell.state, ticket, now)
}

/** Whether a ticket is that of a probe which has no result yet. */
export const isProbe = ({ cell }: CircuitBreaker, ticket: Ticket): boolean => Circuit.isProbe(cell.state, ticket)

/** Whether every call is let through, and holds nothing. */
export const isWideOpen = ({ state }: Cell): boolean => state._tag === "Closed" && state.slowStart === undefined

/** Whether a call at `now` will get no ticket. */
export const isShut = ({ settings, state }: Cell, now: number): boolean =>
  settings.mode === "enforce" && (state._tag === "Isolated" || (state._tag === "Open" && now < state.until))

interface Weight {
  readonly outcome: "failure" | "nothing"
  /** How long the other side asked to wait, in milliseconds; 0 where it did not ask. */
  readonly hint: number
  /** What the user's judge threw. */
  readonly defect: Cause.Cause<never> | undefined
  readonly error: Option.Option<unknown>
}

const nothing: Weight = { outcome: "nothing", hint: 0, defect: undefined, error: Option.none() }

/** What counts of a cause: a defect as an error does; an interruption beside a failure does not hide it. */
const errorOf = (cause: Cause.Cause<unknown>): Option.Option<unknown> =>
  Option.orElse(Cause.failureOption(cause), () => Chunk.head(Cause.defects(cause)))

const weigh = (cell: Cell, error: unknown): Weight => {
  try {
    const verdict = cell.verdict(error)
    if (!verdict.weighs) return nothing
    const hint = Option.isNone(verdict.retryAfter) ? 0 : Duration.toMillis(verdict.retryAfter.value)
    return { outcome: "failure", hint, defect: undefined, error: Option.some(error) }
  } catch (thrown) {
    // The call dies of it, and gives its place back like any other. An error that nobody has judged weighs.
    return { outcome: "failure", hint: 0, defect: Cause.die(thrown), error: Option.some(error) }
  }
}

/** How much of its text is kept: a line, for it is repeated in every refusal. */
export const openedByLength = 200

const openedBy = (error: unknown): Circuit.OpenedBy => {
  const { message, name } = describeCause(error)
  return { tag: visible(name), message: excerpt(message, openedByLength) }
}

/** From when to when a call ran, in elapsed milliseconds. */
export interface Span {
  /** When it was sent; `undefined` where it never was, which says nothing of the other side. */
  readonly startedAt: number | undefined
  readonly now: number
  /** When the other side had answered, where that is earlier than `now`: the first content of a stream. */
  readonly answeredAt?: number
}

/** Tells the circuit that a call succeeded: {@link fail} apart, because nearly every call ends here. */
export const succeed = (
  { cell }: CircuitBreaker,
  ticket: Ticket,
  startedAt: number,
  now: number,
  answeredAt: number
): void => {
  if (cell.state._tag !== "Closed") catchUp(cell, now)
  const next = Circuit.settle(cell.kernel, cell.state, ticket, "success", answeredAt - startedAt, 0, now)
  if (next !== cell.state) setState(cell, next, now)
}

/**
 * Tells the circuit that a call failed with a cause. What comes back is what the user's judge threw: the call is to die of
 * it.
 */
export const fail = (
  { cell }: CircuitBreaker,
  ticket: Ticket,
  { answeredAt, now, startedAt }: Span,
  cause: Cause.Cause<unknown>
): Cause.Cause<never> | undefined => {
  if (cell.state._tag === "Closed") {
    if (cell.state.ticket !== ticket) return undefined
  } else catchUp(cell, now)
  const { defect, error, hint, outcome } = startedAt === undefined
    ? nothing
    : Option.match(errorOf(cause), { onNone: () => nothing, onSome: (found) => weigh(cell, found) })
  const lasted = startedAt === undefined ? 0 : (answeredAt ?? now) - startedAt
  const next = Circuit.settle(cell.kernel, cell.state, ticket, outcome, lasted, hint, now)
  if (next !== cell.state) {
    const opens = next._tag === "Open" && cell.state._tag !== "Open" && Option.isSome(error)
    setState(cell, opens ? Circuit.withOpenedBy(next, openedBy(error.value)) : next, now)
  }
  return defect
}

/** Takes what the circuit has to report at the date `at`, and tells its listeners; `undefined` where there is nothing. */
export const takeEvents = ({ cell }: CircuitBreaker, at: number): ReadonlyArray<Event.Event> | undefined => {
  const { pending } = cell
  if (pending === undefined) return undefined
  cell.pending = undefined
  for (const { from, to } of pending) {
    for (const listener of cell.listeners) listener({ at, name: cell.settings.name, from, to })
  }
  return pending.map(({ event }) => event(at))
}

const reasons = {
  Closed: "slowStart",
  Open: "open",
  HalfOpen: "probing",
  Isolated: "isolated",
  // Never: it lets everything through.
  Disabled: "open"
} as const

/**
 * The refusal of a call at `now`.
 *
 * @since 0.1.0
 * @category low level
 */
export const refusalAt = (self: CircuitBreaker, now: number): CircuitOpen => {
  const { kernel, settings: { name }, state } = self.cell
  const retryAfter = Duration.millis(Circuit.remaining(kernel, state, now))
  const reason = reasons[state._tag]
  const openedBy = state._tag === "Open" || state._tag === "HalfOpen" ? state.openedBy : undefined
  // Two literals, because copying one into the other took 0.7 µs of 0.8: calls that are refused come in their thousands.
  return openedBy === undefined
    ? refusal(CircuitOpen, { name, retryAfter, reason })
    : refusal(CircuitOpen, { name, retryAfter, reason, openedBy })
}
