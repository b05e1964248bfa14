/**
 * A token bucket over two dimensions, requests and tokens, that a call passes in one step. It is kept as data so that a
 * store may keep it anywhere: every function takes a state and gives the next one.
 *
 * Credits and prices are measured in milliseconds of refill (as GCRA does, ITU-T I.371): at 120 requests per minute one
 * request costs 500. Refilling is then plain addition, and round limits give whole numbers. A credit may be negative:
 * that is a debt, made by a call that used more than it had reserved, and everybody waits for it.
 */

/** Per minute; `Infinity` where there is no limit. `burst` is the share of a minute's limit that may go at once. */
export interface Limits {
  readonly requestsPerMinute: number
  readonly tokensPerMinute: number
  readonly burst: number
}

export interface Cost {
  readonly requests: number
  readonly tokens: number
}

export interface State {
  /** The moment at which the credits are right. It lies ahead of the clock during a pause. */
  readonly at: number
  /** The rates the credits are measured with: the lower of what was configured and what was learned. */
  readonly requestsPerMinute: number
  readonly tokensPerMinute: number
  /** Milliseconds of refill. */
  readonly requests: number
  readonly tokens: number
  readonly learnedRequests: number
  readonly learnedTokens: number
  readonly pausedUntil: number
}

/** What the other side told about its limits; what it did not tell is absent. */
export interface Learned {
  readonly requestsPerMinute?: number | undefined
  readonly tokensPerMinute?: number | undefined
  readonly requestsRemaining?: number | undefined
  readonly tokensRemaining?: number | undefined
}

const minute = 60_000

/** Far less than a timer can tell, far more than rounding adds up to. */
const rounding = 1e-6

const nothing: Cost = { requests: 0, tokens: 0 }

const price = (amount: number, perMinute: number): number => perMinute === Infinity ? 0 : amount * minute / perMinute

/** What may be saved up: the burst, but always enough for one. */
const capacity = (burst: number, perMinute: number): number => Math.max(burst * minute, minute / perMinute)

/** A full bucket. */
export const make = (limits: Limits, now: number): State => ({
  at: now,
  requestsPerMinute: limits.requestsPerMinute,
  tokensPerMinute: limits.tokensPerMinute,
  requests: capacity(limits.burst, limits.requestsPerMinute),
  tokens: capacity(limits.burst, limits.tokensPerMinute),
  learnedRequests: Infinity,
  learnedTokens: Infinity,
  pausedUntil: -Infinity
})

/** The same amount measured with another rate. Without a limit before or after, the bucket is full. */
const convert = (credit: number, burst: number, from: number, to: number): number =>
  from === to
    ? credit
    : Number.isFinite(from) && Number.isFinite(to)
    ? Math.min(credit * from / to, capacity(burst, to))
    : capacity(burst, to)

/** The state measured with the limits that hold now. */
const fit = (limits: Limits, state: State): State => {
  const requestsPerMinute = Math.min(limits.requestsPerMinute, state.learnedRequests)
  const tokensPerMinute = Math.min(limits.tokensPerMinute, state.learnedTokens)
  return requestsPerMinute === state.requestsPerMinute && tokensPerMinute === state.tokensPerMinute ? state : {
    ...state,
    requestsPerMinute,
    tokensPerMinute,
    requests: convert(state.requests, limits.burst, state.requestsPerMinute, requestsPerMinute),
    tokens: convert(state.tokens, limits.burst, state.tokensPerMinute, tokensPerMinute)
  }
}

/**
 * The state at a later moment. `next` is the cost that waits first in line: for it more than the burst is saved up, or
 * a cost above the burst would never start.
 */
export const refill = (limits: Limits, given: State, now: number, next: Cost = nothing): State => {
  const state = fit(limits, given)
  if (now <= state.at) {
    // Outside of a pause the state is never ahead of the clock, so the clock was set back: do not freeze until it is there.
    return now < state.at && state.at > state.pausedUntil ? { ...state, at: now } : state
  }
  const passed = now - state.at
  return {
    at: now,
    requestsPerMinute: state.requestsPerMinute,
    tokensPerMinute: state.tokensPerMinute,
    requests: Math.min(
      Math.max(capacity(limits.burst, state.requestsPerMinute), price(next.requests, state.requestsPerMinute)),
      state.requests + passed
    ),
    tokens: Math.min(
      Math.max(capacity(limits.burst, state.tokensPerMinute), price(next.tokens, state.tokensPerMinute)),
      state.tokens + passed
    ),
    learnedRequests: state.learnedRequests,
    learnedTokens: state.learnedTokens,
    pausedUntil: state.pausedUntil
  }
}

/** The first moment at which both dimensions admit the cost. A debt delays every cost, also one of nothing. */
export const earliest = (state: State, cost: Cost): number => {
  const wait = Math.max(
    price(cost.requests, state.requestsPerMinute) - state.requests,
    price(cost.tokens, state.tokensPerMinute) - state.tokens
  )
  return wait > rounding ? state.at + wait : state.at
}

/** Whether a moment has come. */
export const isDue = (moment: number, now: number): boolean => moment <= now + rounding

/** Whole milliseconds until a moment: a timer must not fire before it. */
export const until = (moment: number, now: number): number => Math.max(0, Math.ceil(moment - now - rounding))

/** Admits the cost at `start`, which must not be before {@link earliest}. */
export const take = (limits: Limits, state: State, cost: Cost, start: number): State => {
  const ready = refill(limits, state, start, cost)
  return {
    at: ready.at,
    requestsPerMinute: ready.requestsPerMinute,
    tokensPerMinute: ready.tokensPerMinute,
    requests: ready.requests - price(cost.requests, ready.requestsPerMinute),
    tokens: ready.tokens - price(cost.tokens, ready.tokensPerMinute),
    learnedRequests: ready.learnedRequests,
    learnedTokens: ready.learnedTokens,
    pausedUntil: ready.pausedUntil
  }
}

/** Gives back what was taken. A negative amount takes more, and may leave a debt. */
export const give = (limits: Limits, state: State, amount: Cost, next: Cost = nothing): State => {
  const most = (perMinute: number, waiting: number): number =>
    Math.max(capacity(limits.burst, perMinute), price(waiting, perMinute))
  return {
    ...state,
    requests: Math.min(
      Math.max(state.requests, most(state.requestsPerMinute, next.requests)),
      state.requests + price(amount.requests, state.requestsPerMinute)
    ),
    tokens: Math.min(
      Math.max(state.tokens, most(state.tokensPerMinute, next.tokens)),
      state.tokens + price(amount.tokens, state.tokensPerMinute)
    )
  }
}

/**
 * Nothing starts before `until`. At most one request is saved up then (or what the first in line needs): after the pause
 * calls go at the limit's rate, the first one at once, and not as one burst.
 */
export const pause = (limits: Limits, given: State, until: number, next: Cost = nothing): State => {
  if (until <= Math.max(given.at, given.pausedUntil)) return given
  const state = refill(limits, given, until, next)
  return {
    ...state,
    requests: Math.min(state.requests, price(Math.max(1, next.requests), state.requestsPerMinute)),
    pausedUntil: until
  }
}

const usable = (value: number | undefined, least: number): value is number =>
  value !== undefined && Number.isFinite(value) && value >= least

/**
 * Believes the other side: a lower limit than configured is kept from now on (a higher one never), and less remaining
 * than in the bucket empties it to that. More remaining says nothing: calls in flight may not be counted yet.
 */
export const learn = (limits: Limits, state: State, told: Learned): State => {
  const fitted = fit(limits, {
    ...state,
    learnedRequests: usable(told.requestsPerMinute, rounding) ? told.requestsPerMinute : state.learnedRequests,
    learnedTokens: usable(told.tokensPerMinute, rounding) ? told.tokensPerMinute : state.learnedTokens
  })
  const lower = (credit: number, remaining: number | undefined, perMinute: number): number =>
    usable(remaining, 0) && Number.isFinite(perMinute) ? Math.min(credit, price(remaining, perMinute)) : credit
  return {
    ...fitted,
    requests: lower(fitted.requests, told.requestsRemaining, fitted.requestsPerMinute),
    tokens: lower(fitted.tokens, told.tokensRemaining, fitted.tokensPerMinute)
  }
}

/** The dimension whose whole limit is less than the cost, so that waiting cannot help. */
export const exceeded = (
  state: State,
  cost: Cost
): { readonly cost: number; readonly limit: number; readonly unit: "requests" | "tokens" } | undefined =>
  cost.tokens > state.tokensPerMinute
    ? { cost: cost.tokens, limit: state.tokensPerMinute, unit: "tokens" }
    : cost.requests > Math.max(1, state.requestsPerMinute)
    ? { cost: cost.requests, limit: state.requestsPerMinute, unit: "requests" }
    : undefined

/** How many of a dimension may go at this moment; negative is a debt, `Infinity` is no limit. */
export const available = (credit: number, perMinute: number): number =>
  Number.isFinite(perMinute) ? credit * perMinute / minute : Infinity

/** Whether the state holds nothing that a new one would not: it is full and not paused. */
export const isFull = (limits: Limits, given: State, now: number): boolean => {
  const state = refill(limits, given, now)
  return state.at <= now &&
    state.requests >= capacity(limits.burst, state.requestsPerMinute) - rounding &&
    state.tokens >= capacity(limits.burst, state.tokensPerMinute) - rounding
}
