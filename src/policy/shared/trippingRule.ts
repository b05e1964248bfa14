/**
 * When a circuit opens, as plain data, and the counts that answer it. A rule is asked only about calls that are bad in
 * its own sense: so a success never opens a circuit, however the counts stand.
 */
import * as Window from "./window.ts"

export type Rule =
  | { readonly _tag: "Consecutive"; readonly failures: number }
  | {
    readonly _tag: "FailureRate"
    readonly share: number
    readonly window: Window.WindowSpec
    readonly minimumCalls: number
  }
  | {
    readonly _tag: "SlowCallRate"
    readonly share: number
    /** Milliseconds; a call that takes longer is slow. */
    readonly longerThan: number
    readonly window: Window.WindowSpec
    readonly minimumCalls: number
  }
  | { readonly _tag: "Any"; readonly of: ReadonlyArray<Rule> }
  | { readonly _tag: "All"; readonly of: ReadonlyArray<Rule> }

/** From how many milliseconds on slowness alone is bad for this rule: `Infinity` where it never is. */
export const slowerThan = (rule: Rule): number => {
  switch (rule._tag) {
    case "Consecutive":
    case "FailureRate":
      return Infinity
    case "SlowCallRate":
      return rule.longerThan
    case "Any":
      return rule.of.reduce((least, each) => Math.min(least, slowerThan(each)), Infinity)
    case "All":
      return rule.of.reduce((most, each) => Math.max(most, slowerThan(each)), 0)
  }
}

/** Whether the rule asks how long calls take. */
export const isTimed = (rule: Rule): boolean =>
  rule._tag === "Any" || rule._tag === "All" ? rule.of.some(isTimed) : rule._tag === "SlowCallRate"

/** Whether the rule asks what time it is. */
export const hasClock = (rule: Rule): boolean =>
  rule._tag === "Any" || rule._tag === "All"
    ? rule.of.some(hasClock)
    : rule._tag !== "Consecutive" && rule.window._tag === "Time"

/** The counts of one rule since the circuit closed, written in place by the circuit that owns them. */
export type Counts =
  | { readonly _tag: "Consecutive"; readonly limit: number; failures: number }
  | {
    readonly _tag: "Rate"
    readonly share: number
    readonly minimumCalls: number
    /** Calls that take longer are bad; `undefined` where failures are. */
    readonly longerThan: number | undefined
    readonly window: Window.Window
  }
  | { readonly _tag: "Any" | "All"; readonly of: ReadonlyArray<Counts> }

export const counts = (rule: Rule): Counts => {
  switch (rule._tag) {
    case "Consecutive":
      return { _tag: "Consecutive", limit: rule.failures, failures: 0 }
    case "FailureRate":
    case "SlowCallRate":
      return {
        _tag: "Rate",
        share: rule.share,
        minimumCalls: rule.minimumCalls,
        longerThan: rule._tag === "SlowCallRate" ? rule.longerThan : undefined,
        window: Window.make(rule.window)
      }
    case "Any":
    case "All":
      return { _tag: rule._tag, of: rule.of.map(counts) }
  }
}

/** What a call does to a rule: nothing; the rule holds, but this call is not bad for it; or this call trips it. */
type Mark = 0 | 1 | 2
const none = 0
const holds = 1
const trips = 2

const countCall = (all: Counts, failed: boolean, durationMillis: number, now: number): Mark => {
  switch (all._tag) {
    case "Consecutive": {
      all.failures = failed ? all.failures + 1 : 0
      return all.failures < all.limit ? none : trips
    }
    case "Rate": {
      const bad = all.longerThan === undefined ? failed : durationMillis > all.longerThan
      const { window } = all
      Window.record(window, bad, now)
      return window.calls < all.minimumCalls || window.bad / window.calls < all.share ? none : bad ? trips : holds
    }
    case "Any": {
      let most: Mark = none
      for (const each of all.of) {
        const mark = countCall(each, failed, durationMillis, now)
        if (mark > most) most = mark
      }
      return most
    }
    case "All": {
      let [least, most]: [Mark, Mark] = [trips, none]
      for (const each of all.of) {
        const mark = countCall(each, failed, durationMillis, now)
        if (mark > most) most = mark
        if (mark < least) least = mark
      }
      return least === none ? none : most
    }
  }
}

/** Counts one call that ended now; `true` where it opens the circuit. */
export const record = (all: Counts, failed: boolean, durationMillis: number, now: number): boolean =>
  countCall(all, failed, durationMillis, now) === trips

export interface Sum {
  readonly calls: number
  readonly failures: number
  readonly slow: number
}

/** The counts in three numbers: the most that any rule sees. */
export const sum = (all: Counts, now: number): Sum => {
  switch (all._tag) {
    case "Consecutive":
      return { calls: all.failures, failures: all.failures, slow: 0 }
    case "Rate": {
      Window.roll(all.window, now)
      const { bad, calls } = all.window
      return all.longerThan === undefined ? { calls, failures: bad, slow: 0 } : { calls, failures: 0, slow: bad }
    }
    case "Any":
    case "All":
      return all.of.map((each) => sum(each, now)).reduce((a, b) => ({
        calls: Math.max(a.calls, b.calls),
        failures: Math.max(a.failures, b.failures),
        slow: Math.max(a.slow, b.slow)
      }))
  }
}

/** The counts of the leaves from left to right, as plain data. */
export type Written = ReadonlyArray<{ readonly failures: number } | Window.Written>

type Leaf = Extract<Counts, { readonly _tag: "Consecutive" | "Rate" }>

const leaves = (all: Counts): ReadonlyArray<Leaf> => "of" in all ? all.of.flatMap(leaves) : [all]

export const write = (all: Counts, now: number): Written =>
  leaves(all).map((leaf) => leaf._tag === "Consecutive" ? { failures: leaf.failures } : Window.write(leaf.window, now))

/** Fills new counts with what others held; leaves that are of another kind now start empty. */
export const fill = (all: Counts, written: Written, now: number): void =>
  leaves(all).forEach((leaf, i) => {
    const held = written[i]
    if (held === undefined) return
    if (leaf._tag === "Consecutive") {
      // One below the limit: the counts that a circuit can have while it is closed.
      if ("failures" in held) leaf.failures = Math.min(held.failures, leaf.limit - 1)
    } else if (!("failures" in held)) Window.fill(leaf.window, held, now)
  })
