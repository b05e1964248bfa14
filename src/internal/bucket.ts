/**
 * A token bucket over two dimensions, requests and tokens, that a call passes in one step. It is kept as data so that a
 * store may keep it anywhere: every function takes a state and gives the next one.
 *
 * Credits and prices are measured in milliseconds of refill (as GCRA does, ITU-T I.371). Refilling is then plain
 * addition, and round limits give whole numbers. A credit may be negative: that is a debt, made by a call that used more
 * than it had reserved, and everybody waits for it.
 *
 * An example with 120 requests and 60 000 tokens a minute, and a burst of 0.05. A request costs 60 000 / 120 = 500 ms of
 * refill, a token costs 1 ms, and at most 0.05 × 60 000 = 3 000 ms are saved up: six requests or 3 000 tokens.
 *
 * | time | what happens | credit of requests | credit of tokens |
 * |---|---|---|---|
 * | 0 | a new bucket is full | 3 000 | 3 000 |
 * | 0 | a call that reserves 2 000 tokens passes | 2 500 | 1 000 |
 * | 100 | 100 ms have refilled; a call of 1 500 tokens lacks 400, so it may start at 500 | 2 600 | 1 100 |
 * | 500 | it starts | 2 500 | 0 |
 * | 700 | the first call ends and used 2 600 tokens, 600 more than reserved: a debt | 2 700 | -400 |
 * | 1 100 | the debt has refilled; until now nobody could start | 3 000 | 0 |
 *
 * Learned limits are believed within bounds: a debt is at most one window (a minute of refill), a learned limit
 * expires, and a cost above a learned limit passes as a probe, once a window, for all that is saved up.
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

/** Moments are milliseconds on the clock of whoever keeps the state. */
export interface State {
  /** The moment at which the credits are right. */
  readonly at: number
  /** The rates that the credits are measured with: the lower of what was configured and what was learned. */
  readonly requestsPerMinute: number
  readonly tokensPerMinute: number
  /** Credits, in milliseconds of refill. */
  readonly requests: number
  readonly tokens: number
  /** Limits learned from the other side, and when they expire; `Infinity` is none. */
  readonly learnedRequests: number
  readonly learnedTokens: number
  readonly requestsExpireAt: number
  readonly tokensExpireAt: number
  /** Nothing starts before. */
  readonly pausedUntil: number
  /** From when on a cost above a learned limit may pass as a probe. */
  readonly probeAt: number
}

/** The limits of the other side, as its replies give them; what they do not give is absent. */
export interface Learned {
  readonly requestsPerMinute?: number | undefined
  readonly tokensPerMinute?: number | undefined
  readonly requestsRemaining?: number | undefined
  readonly tokensRemaining?: number | undefined
}

/** A cost that is above a whole limit, so that waiting cannot help. */
export interface Excess {
  readonly cost: number
  readonly limit: number
  readonly unit: "requests" | "tokens"
}

/** The window of all limits, and the credit that a whole limit is worth. */
const minute = 60_000

/** How long a learned limit is believed unless a reply gives it again. */
export const learnedLimitMillis = 10 * minute

/**
 * The lowest rate that can be configured: one in a week is 0.000 099 a minute. Rates far below would make prices
 * infinite, and then nothing is limited any more.
 */
export const lowestRate = 1e-4

/** The lowest limit that the other side is believed: less than one a minute is no limit per minute. */
const lowestLearnedLimit = 1

/** In milliseconds: far less than a timer can tell, far more than rounding adds up to. */
const rounding = 1e-6

const noCost: Cost = { requests: 0, tokens: 0 }

/** How long an amount takes to refill. */
const refillMillis = (amount: number, perMinute: number): number =>
  perMinute === Infinity ? 0 : amount * minute / perMinute

/** What may be saved up: the burst, but always enough for one. */
const capacity = (burst: number, perMinute: number): number => Math.max(burst * minute, minute / perMinute)

/** What a call pays for an amount. Only a probe asks for more than the limit: it pays all that may be saved up. */
const price = (burst: number, amount: number, perMinute: number): number =>
  amount > Math.max(1, perMinute) ? capacity(burst, perMinute) : refillMillis(amount, perMinute)

/** A full bucket. */
export const make = (limits: Limits, now: number): State => ({
  at: now,
  requestsPerMinute: limits.requestsPerMinute,
  tokensPerMinute: limits.tokensPerMinute,
  requests: capacity(limits.burst, limits.requestsPerMinute),
  tokens: capacity(limits.burst, limits.tokensPerMinute),
  learnedRequests: Infinity,
  learnedTokens: Infinity,
  requestsExpireAt: Infinity,
  tokensExpireAt: Infinity,
  pausedUntil: -Infinity,
  probeAt: -Infinity
})

/** The same amount measured with another rate. Without a limit before or after, the bucket is full. */
const convert = (credit: number, burst: number, from: number, to: number): number =>
  from === to
    ? credit
    : Number.isFinite(from) && Number.isFinite(to)
    ? Math.max(-minute, Math.min(credit * from / to, capacity(burst, to)))
    : capacity(burst, to)

/** The state with its credits measured by the limits that hold now. */
const withLimitsInForce = (limits: Limits, state: State): State => {
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

/** The state after its clock was set back: pauses and learned limits last as long as they had left. */
const setBack = (state: State, now: number): State => {
  const shift = now - state.at
  return {
    ...state,
    at: now,
    requestsExpireAt: state.requestsExpireAt + shift,
    tokensExpireAt: state.tokensExpireAt + shift,
    pausedUntil: state.pausedUntil + shift,
    probeAt: state.probeAt + shift
  }
}

/** The highest credit of a dimension: during a pause that of one request, or what the first waiter needs. */
const creditLimit = (paused: boolean, burst: number, perMinute: number, waiting: number): number =>
  paused
    ? price(burst, Math.max(1, waiting), perMinute)
    : Math.max(capacity(burst, perMinute), price(burst, waiting, perMinute))

/** Adds what refills until `now`, up to which no pause ends and no limit expires. */
const accrue = (limits: Limits, state: State, now: number, next: Cost): State => {
  const passed = now - state.at
  const paused = now <= state.pausedUntil
  return {
    at: now,
    requestsPerMinute: state.requestsPerMinute,
    tokensPerMinute: state.tokensPerMinute,
    requests: Math.min(
      creditLimit(paused, limits.burst, state.requestsPerMinute, next.requests),
      state.requests + passed
    ),
    tokens: Math.min(
      creditLimit(false, limits.burst, state.tokensPerMinute, next.tokens),
      state.tokens + passed
    ),
    learnedRequests: state.learnedRequests,
    learnedTokens: state.learnedTokens,
    requestsExpireAt: state.requestsExpireAt,
    tokensExpireAt: state.tokensExpireAt,
    pausedUntil: state.pausedUntil,
    probeAt: state.probeAt
  }
}

/** Forgets the learned limits whose time is up. */
const expire = (limits: Limits, state: State): State => {
  const requests = state.at >= state.requestsExpireAt
  const tokens = state.at >= state.tokensExpireAt
  return !requests && !tokens ? state : withLimitsInForce(limits, {
    ...state,
    learnedRequests: requests ? Infinity : state.learnedRequests,
    learnedTokens: tokens ? Infinity : state.learnedTokens,
    requestsExpireAt: requests ? Infinity : state.requestsExpireAt,
    tokensExpireAt: tokens ? Infinity : state.tokensExpireAt
  })
}

const expiry = (state: State): number => Math.min(state.requestsExpireAt, state.tokensExpireAt)

/**
 * The state at a later moment. `next` is the cost of the first waiter: for it more than the burst is saved up, or
 * a cost above the burst would never start. A moment before the state's means that the clock was set back.
 */
export const refill = (limits: Limits, given: State, now: number, next: Cost = noCost): State => {
  let state = withLimitsInForce(limits, given)
  if (now < state.at) return setBack(state, now)
  while (state.at < now) {
    const pauseEnd = state.pausedUntil > state.at ? state.pausedUntil : Infinity
    state = expire(limits, accrue(limits, state, Math.min(now, pauseEnd, expiry(state)), next))
  }
  return state
}

/** The first moment at which both dimensions admit the cost. A debt delays every cost, also one of nothing. */
export const earliest = (limits: Limits, state: State, cost: Cost): number => {
  const wait = Math.max(
    price(limits.burst, cost.requests, state.requestsPerMinute) - state.requests,
    price(limits.burst, cost.tokens, state.tokensPerMinute) - state.tokens
  )
  const start = Math.max(wait > rounding ? state.at + wait : state.at, state.pausedUntil)
  const expiresAt = expiry(state)
  // The rate is higher after that moment.
  return start > expiresAt ? earliest(limits, refill(limits, state, expiresAt, cost), cost) : start
}

/**
 * Whether a cost is saved up from a full bucket within `maxWait`. A cost above the burst may need longer than its caller
 * waits: then it would never start, although it is not above the limit. So it passes when {@link withinBurst} of it does,
 * and leaves a debt: in any time as much goes out as the largest single cost and what refills.
 */
export const canSaveUp = ({ burst }: Limits, state: State, cost: Cost, maxWait: number): boolean =>
  price(burst, cost.requests, state.requestsPerMinute) - capacity(burst, state.requestsPerMinute) <=
    maxWait + rounding &&
  price(burst, cost.tokens, state.tokensPerMinute) - capacity(burst, state.tokensPerMinute) <= maxWait + rounding

/** The part of a cost that a full bucket holds. */
export const withinBurst = ({ burst }: Limits, { requestsPerMinute, tokensPerMinute }: State, cost: Cost): Cost => ({
  requests: Math.min(cost.requests, available(capacity(burst, requestsPerMinute), requestsPerMinute)),
  tokens: Math.min(cost.tokens, available(capacity(burst, tokensPerMinute), tokensPerMinute))
})

/** Whether a moment has come. */
export const isDue = (moment: number, now: number): boolean => moment <= now + rounding

/** Whole milliseconds until a moment: a timer must not fire before it. */
export const until = (moment: number, now: number): number => Math.max(0, Math.ceil(moment - now - rounding))

const isAboveLearned = (state: State, cost: Cost): boolean =>
  cost.tokens > state.tokensPerMinute || cost.requests > Math.max(1, state.requestsPerMinute)

/** Admits the cost at `start`, which must not be before {@link earliest}. */
export const take = (limits: Limits, state: State, cost: Cost, start: number): State => {
  const ready = refill(limits, state, start, cost)
  return {
    at: ready.at,
    requestsPerMinute: ready.requestsPerMinute,
    tokensPerMinute: ready.tokensPerMinute,
    requests: ready.requests - price(limits.burst, cost.requests, ready.requestsPerMinute),
    tokens: ready.tokens - price(limits.burst, cost.tokens, ready.tokensPerMinute),
    learnedRequests: ready.learnedRequests,
    learnedTokens: ready.learnedTokens,
    requestsExpireAt: ready.requestsExpireAt,
    tokensExpireAt: ready.tokensExpireAt,
    pausedUntil: ready.pausedUntil,
    probeAt: isAboveLearned(ready, cost) ? ready.at + minute : ready.probeAt
  }
}

/** A credit with an amount more, never above what may be saved up. */
const credited = (limits: Limits, credit: number, amount: number, perMinute: number, waiting: number): number =>
  Math.min(Math.max(credit, creditLimit(false, limits.burst, perMinute, waiting)), credit + amount)

/** Gives back what was taken for a call that was not sent. */
export const giveBack = (limits: Limits, state: State, cost: Cost, next: Cost = noCost): State => ({
  ...state,
  requests: credited(
    limits,
    state.requests,
    price(limits.burst, cost.requests, state.requestsPerMinute),
    state.requestsPerMinute,
    next.requests
  ),
  tokens: credited(
    limits,
    state.tokens,
    price(limits.burst, cost.tokens, state.tokensPerMinute),
    state.tokensPerMinute,
    next.tokens
  )
})

/** Corrects the tokens that were reserved to those that were used. What was used beyond leaves a debt of one window at most. */
export const settle = (limits: Limits, state: State, reserved: number, used: number, next: Cost = noCost): State => {
  const { tokens, tokensPerMinute } = state
  const amount = used > reserved
    ? -refillMillis(used - reserved, tokensPerMinute)
    : price(limits.burst, reserved, tokensPerMinute) - price(limits.burst, used, tokensPerMinute)
  return { ...state, tokens: Math.max(-minute, credited(limits, tokens, amount, tokensPerMinute, next.tokens)) }
}

/**
 * Nothing starts before `until`. At most one request is saved up then (or what the first waiter needs): after the pause
 * calls go at the limit's rate, the first one at once, and not as one burst.
 */
export const pause = (limits: Limits, state: State, until: number, next: Cost = noCost): State =>
  until <= Math.max(state.at, state.pausedUntil) ? state : {
    ...state,
    requests: Math.min(state.requests, price(limits.burst, Math.max(1, next.requests), state.requestsPerMinute)),
    pausedUntil: until
  }

/** Ends a pause. Calls go at the limit's rate from now on, as they would at its end. */
export const resume = (state: State): State =>
  state.pausedUntil <= state.at ? state : { ...state, pausedUntil: state.at }

const usable = (value: number | undefined, least: number): value is number =>
  value !== undefined && Number.isFinite(value) && value >= least

/**
 * Believes the other side: a lower limit than configured is kept for `validMillis` from now on, or until a reply gives
 * another one (a higher one than configured changes nothing), and less remaining than in the bucket empties it to that. More
 * remaining says nothing: calls in flight may not be counted yet.
 */
export const learn = (
  limits: Limits,
  state: State,
  learned: Learned,
  validMillis: number = learnedLimitMillis
): State => {
  const requests = usable(learned.requestsPerMinute, lowestLearnedLimit) ? learned.requestsPerMinute : undefined
  const tokens = usable(learned.tokensPerMinute, lowestLearnedLimit) ? learned.tokensPerMinute : undefined
  const fitted = withLimitsInForce(limits, {
    ...state,
    learnedRequests: requests ?? state.learnedRequests,
    learnedTokens: tokens ?? state.learnedTokens,
    requestsExpireAt: requests === undefined ? state.requestsExpireAt : state.at + validMillis,
    tokensExpireAt: tokens === undefined ? state.tokensExpireAt : state.at + validMillis
  })
  const lower = (credit: number, remaining: number | undefined, perMinute: number): number =>
    usable(remaining, 0) && Number.isFinite(perMinute) ? Math.min(credit, refillMillis(remaining, perMinute)) : credit
  return {
    ...fitted,
    requests: lower(fitted.requests, learned.requestsRemaining, fitted.requestsPerMinute),
    tokens: lower(fitted.tokens, learned.tokensRemaining, fitted.tokensPerMinute)
  }
}

/**
 * The dimension whose whole limit is less than the cost. A learned limit may be out of date, so once a window a
 * cost above it is not refused: its reply can give the limit anew.
 */
export const excess = (limits: Limits, state: State, cost: Cost, now: number): Excess | undefined => {
  const { requestsPerMinute, tokensPerMinute } = now >= state.probeAt ? limits : state
  return cost.tokens > tokensPerMinute
    ? { cost: cost.tokens, limit: tokensPerMinute, unit: "tokens" }
    : cost.requests > Math.max(1, requestsPerMinute)
    ? { cost: cost.requests, limit: requestsPerMinute, unit: "requests" }
    : undefined
}

/** How many of a dimension may go at this moment; negative is a debt, `Infinity` is no limit. */
export const available = (credit: number, perMinute: number): number =>
  Number.isFinite(perMinute) ? credit * perMinute / minute : Infinity

/** The credit that an amount is worth. */
export const creditOf = refillMillis

/** Whether the state holds nothing that a new one would not: it is full and not paused. */
export const isFull = (limits: Limits, given: State, now: number): boolean => {
  const state = refill(limits, given, now)
  return state.pausedUntil <= now &&
    state.requests >= capacity(limits.burst, state.requestsPerMinute) - rounding &&
    state.tokens >= capacity(limits.burst, state.tokensPerMinute) - rounding
}
