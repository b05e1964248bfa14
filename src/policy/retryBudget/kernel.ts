/**
 * How many further attempts (retries and hedges) may be made beside the calls that are made anyway. Four forms, each a
 * pure function over data:
 *
 * - `Share` (Envoy's retry budget): further attempts in flight, as a share of the calls in flight, with a minimum.
 * - `Tokens` (the AWS SDKs' standard retry quota): a bucket that retries draw from and successes fill.
 * - `Deposits` (Finagle's RetryBudget): every call deposits a part of a retry, which is lost after a while.
 * - `Throttle` (gRPC's retry throttling): a count of tokens that failures lower and successes raise; there are further
 *   attempts only while it is above its half.
 */

export interface Share {
  readonly _tag: "Share"
  /** 0 to 1. */
  readonly ratio: number
  /** So many further attempts at a time are always allowed. 0 or more. */
  readonly minimum: number
}

export interface Tokens {
  readonly _tag: "Tokens"
  readonly capacity: number
  /** What is in the bucket at first: 0 to `capacity`. */
  readonly initial: number
  readonly cost: number
  /** The cost of a retry after an error with a `throttled` verdict. */
  readonly throttlingCost: number
  /** The cost of a retry after a time-out. */
  readonly timeoutCost: number
  readonly reward: number
}

export interface Deposits {
  readonly _tag: "Deposits"
  /** Milliseconds. */
  readonly ttl: number
  readonly minimumPerSecond: number
  readonly ratio: number
}

export interface Throttle {
  readonly _tag: "Throttle"
  /** Tokens at first, and at most: 1 to 1000. */
  readonly maxTokens: number
  /** What a success puts back. Three decimals count. */
  readonly tokenRatio: number
}

export type Form = Share | Tokens | Deposits | Throttle

/** What a further attempt is: one after a failure, in place of it, or one beside an attempt that still runs. */
export type Kind = "retry" | "hedge"

/** The facts about a failure that decide what a retry after it costs. */
export interface Failure {
  readonly throttled: boolean
  readonly timedOut: boolean
}

/** The permission for one further attempt, and what it took from the bucket. */
export interface Grant {
  readonly kind: Kind
  readonly cost: number
}

/** Only `Share` decides by `calls`, `retries` and `hedges`; the other forms keep them for statistics. */
export interface State {
  readonly calls: number
  readonly retries: number
  readonly hedges: number
  /**
   * The level of the bucket (`Tokens`), what is left of the deposits of the running slice (`Deposits`), or a thousand
   * times the count of tokens (`Throttle`), so that sums of decimals are exact.
   */
  readonly level: number
  /** The running slice of time, and what is left of the deposits of the slices before it, oldest first. */
  readonly slice: number
  readonly older: ReadonlyArray<number>
  readonly olderSum: number
}

/** A token in thousandths. */
const thousand = 1000

/** What a success puts back, in thousandths; gRPC ignores what is beyond. 0.57 times 1000 is a little less than 570. */
const tokenRatio = (form: Throttle): number => Math.floor(form.tokenRatio * thousand + 1e-6)

/** At most this many thousandths, and there is no further attempt. */
const threshold = (form: Throttle): number => form.maxTokens * thousand / 2

/** A deposit lives as long as this many slices of time. */
const slices = 10

export const start = (form: Form): State => ({
  calls: 0,
  retries: 0,
  hedges: 0,
  level: form._tag === "Tokens" ? form.initial : form._tag === "Throttle" ? form.maxTokens * thousand : 0,
  slice: 0,
  older: [],
  olderSum: 0
})

const sum = (numbers: ReadonlyArray<number>): number => numbers.reduce((total, each) => total + each, 0)

/** Drops the deposits that are too old; time that runs backwards changes nothing. */
export const advance = (form: Deposits, state: State, now: number): State => {
  const slice = Math.floor(now / (form.ttl / slices))
  if (slice <= state.slice) return state
  const passed = slice - state.slice
  const older = passed >= slices
    ? []
    : [...state.older, state.level, ...new Array<number>(passed - 1).fill(0)].slice(-(slices - 1))
  return { ...state, slice, level: 0, older, olderSum: sum(older) }
}

/** What one retry takes from the deposits. With a ratio of 0 nothing is deposited, and the reserve counts in ones. */
const withdrawal = (form: Deposits): number => form.ratio === 0 ? 1 : 1 / form.ratio

/** A rounding error, as divisions such as 1 / 0.9999 make one, must not cost a whole retry. */
const rounding = 1e-6

/** How many further attempts the deposits allow now. */
const depositBalance = (form: Deposits, state: State): number => {
  const minimum = form.ttl / 1000 * form.minimumPerSecond
  return Math.max(0, Math.floor(minimum + (state.olderSum + state.level) / withdrawal(form) + rounding))
}

/** A copy with other counts. Written out, since each call goes through here and a spread costs several times as much. */
const withCounts = (state: State, calls: number, retries: number, hedges: number, level: number): State => ({
  calls,
  retries,
  hedges,
  level,
  slice: state.slice,
  older: state.older,
  olderSum: state.olderSum
})

/** A call begins. */
export const begin = (form: Form, state: State, now: number): State => {
  const current = form._tag === "Deposits" ? advance(form, state, now) : state
  const deposit = form._tag === "Deposits" && form.ratio > 0 ? 1 : 0
  return withCounts(current, current.calls + 1, current.retries, current.hedges, current.level + deposit)
}

/**
 * A call ends. `isClean`: it succeeded without any further attempt, which fills the bucket of `Tokens` a little.
 * `succeeded`: with or without further attempts, which is what a `Throttle` counts.
 */
export const end = (form: Form, state: State, isClean: boolean, succeeded = isClean): State => {
  const level = form._tag === "Tokens" && isClean
    ? Math.min(form.capacity, state.level + form.reward)
    : form._tag === "Throttle" && succeeded
    ? Math.min(form.maxTokens * thousand, state.level + tokenRatio(form))
    : state.level
  return withCounts(state, Math.max(0, state.calls - 1), state.retries, state.hedges, level)
}

/** An attempt failed with an error that may be retried. */
export const fail = (form: Form, state: State): State =>
  form._tag === "Throttle"
    ? withCounts(state, state.calls, state.retries, state.hedges, Math.max(0, state.level - thousand))
    : state

/**
 * Envoy's rule. `total` are the calls in flight that still make their first attempt: one that is being retried counts as
 * a retry and no longer as a call, so that retries stay below their share of calls and not of calls and retries.
 */
export const allowsShare = (form: Share, total: number, further: number): boolean =>
  further < form.minimum || further <= form.ratio * total && form.ratio > 0 && total > 0

export const costOf = (form: Form, kind: Kind, failure: Failure): number =>
  form._tag !== "Tokens"
    ? 0
    : kind === "hedge"
    ? form.cost
    : failure.throttled
    ? form.throttlingCost
    : failure.timedOut
    ? form.timeoutCost
    : form.cost

/** The state once the grant is taken, or `undefined` when the budget is used up. */
export const take = (form: Form, state: State, grant: Grant, now: number): State | undefined => {
  const counted = grant.kind === "retry"
    ? { ...state, retries: state.retries + 1 }
    : { ...state, hedges: state.hedges + 1 }
  switch (form._tag) {
    case "Share":
      return allowsShare(form, state.calls - state.retries, state.retries + state.hedges) ? counted : undefined
    case "Tokens":
      return grant.cost <= state.level ? { ...counted, level: state.level - grant.cost } : undefined
    case "Throttle":
      return state.level > threshold(form) ? counted : undefined
    case "Deposits": {
      const current = advance(form, state, now)
      return depositBalance(form, current) < 1 ? undefined : {
        ...current,
        retries: counted.retries,
        hedges: counted.hedges,
        level: current.level - withdrawal(form)
      }
    }
  }
}

/**
 * A further attempt ended. A retry that succeeded gives its cost back to the bucket; a hedge never does: hedges that
 * win would be free, and the bucket would not bound them.
 */
export const settle = (form: Form, state: State, grant: Grant, succeeded: boolean): State => ({
  ...state,
  retries: grant.kind === "retry" ? Math.max(0, state.retries - 1) : state.retries,
  hedges: grant.kind === "hedge" ? Math.max(0, state.hedges - 1) : state.hedges,
  level: form._tag === "Tokens" && succeeded && grant.kind === "retry"
    ? Math.min(form.capacity, state.level + grant.cost)
    : state.level
})

/** How many ordinary retries would be allowed now, if they were started one after the other and none ended. */
export const available = (form: Form, state: State, now: number): number => {
  switch (form._tag) {
    case "Share": {
      let further = state.retries + state.hedges
      let fresh = state.calls - state.retries
      let count = 0
      while (allowsShare(form, fresh, further)) {
        count += 1
        further += 1
        // A retry is made by a call in flight; those that come later are not known yet.
        fresh = Math.max(0, fresh - 1)
      }
      return count
    }
    case "Tokens":
      return Math.floor(state.level / form.cost)
    case "Deposits":
      return depositBalance(form, advance(form, state, now))
    case "Throttle":
      // As many failures in a row would still be followed by a retry.
      return Math.max(0, Math.ceil((state.level - threshold(form)) / thousand) - 1)
  }
}
