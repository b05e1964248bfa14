import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import * as Circuit from "../../src/policy/circuitBreaker/kernel.ts"
import * as Snapshot from "../../src/policy/circuitBreaker/snapshot.ts"
import * as Tripping from "../../src/policy/shared/trippingRule.ts"
import { runs } from "../runs.ts"

type Happening =
  | { readonly _tag: "Start" }
  | { readonly _tag: "End"; readonly which: number; readonly outcome: Circuit.Outcome; readonly hint: number }
  | { readonly _tag: "Wait"; readonly millis: number }
  | { readonly _tag: "Hand"; readonly to: "Isolated" | "Disabled" | "Closed" }
  | { readonly _tag: "Restore" }

const happening: FastCheck.Arbitrary<Happening> = FastCheck.oneof(
  { weight: 10, arbitrary: FastCheck.constant<Happening>({ _tag: "Start" }) },
  {
    weight: 10,
    arbitrary: FastCheck.record({
      _tag: FastCheck.constant("End" as const),
      which: FastCheck.nat({ max: 10 }),
      outcome: FastCheck.constantFrom<Circuit.Outcome>("success", "failure", "failure", "nothing"),
      hint: FastCheck.constantFrom(0, 0, 50, 5_000)
    })
  },
  {
    weight: 5,
    arbitrary: FastCheck.record({
      _tag: FastCheck.constant("Wait" as const),
      millis: FastCheck.constantFrom(0, 1, 9, 10, 25, 100, 1_000, 36_000_000, -50, -36_000_000)
    })
  },
  {
    weight: 1,
    arbitrary: FastCheck.record({
      _tag: FastCheck.constant("Hand" as const),
      to: FastCheck.constantFrom("Isolated" as const, "Disabled" as const, "Closed" as const)
    })
  },
  { weight: 1, arbitrary: FastCheck.constant<Happening>({ _tag: "Restore" }) }
)

const window = FastCheck.constantFrom(
  { _tag: "Calls" as const, calls: 4 },
  { _tag: "Time" as const, millis: 100 },
  { _tag: "Time" as const, millis: 1_000 }
)
const leaf: FastCheck.Arbitrary<Tripping.Rule> = FastCheck.oneof(
  FastCheck.record({
    _tag: FastCheck.constant("Consecutive" as const),
    failures: FastCheck.integer({ min: 1, max: 4 })
  }),
  FastCheck.record({
    _tag: FastCheck.constant("FailureRate" as const),
    share: FastCheck.constantFrom(0.1, 0.5, 1),
    window,
    minimumCalls: FastCheck.integer({ min: 1, max: 4 })
  }),
  FastCheck.record({
    _tag: FastCheck.constant("SlowCallRate" as const),
    share: FastCheck.constantFrom(0.5, 1),
    longerThan: FastCheck.constantFrom(5, 50),
    window,
    minimumCalls: FastCheck.integer({ min: 1, max: 4 })
  })
)
const several = FastCheck.array(leaf, { minLength: 1, maxLength: 3 })
const rule: FastCheck.Arbitrary<Tripping.Rule> = FastCheck.oneof(
  leaf,
  several.map((of) => ({ _tag: "Any" as const, of })),
  several.map((of) => ({ _tag: "All" as const, of }))
)

const settings: FastCheck.Arbitrary<Circuit.Settings> = FastCheck.record({
  rule,
  breaks: FastCheck.constantFrom<Circuit.Settings["breaks"]>(
    { _tag: "Constant", delay: 10 },
    { _tag: "Capped", max: 80, policy: { _tag: "Exponential", initial: 10, factor: 2 } },
    { _tag: "Jittered", mode: "full", policy: { _tag: "Constant", delay: 100 } }
  ),
  longestHint: FastCheck.constantFrom(100, 1_000),
  probes: FastCheck.integer({ min: 1, max: 3 }),
  successesToClose: FastCheck.integer({ min: 1, max: 3 }),
  failuresToOpen: FastCheck.integer({ min: 1, max: 3 }),
  slowStart: FastCheck.constantFrom(0, 0, 15),
  probeLimit: FastCheck.constantFrom(20, 200),
  seed: FastCheck.double({ min: 0, max: 1, noNaN: true })
}).map((all) => ({ ...all, slowerThan: Tripping.slowerThan(all.rule) }))

interface Call {
  readonly ticket: number
  readonly startedAt: number
}

interface Seen {
  readonly before: Circuit.State
  readonly after: Circuit.State
  readonly now: number
  readonly what: Happening
  /** The call that ended, where one did. */
  readonly call?: Call
}

const settled = (s: Circuit.Settings, state: Circuit.State, now: number): Circuit.State => {
  const next = Circuit.due(s, state, now)
  return next === state ? state : settled(s, next, now)
}

/** Plays what happens and shows every step. */
const play = (s: Circuit.Settings, story: ReadonlyArray<Happening>, look: (seen: Seen) => void): void => {
  let [state, now] = [Circuit.closed(s, 0), 1_000_000_000]
  let running: ReadonlyArray<Call> = []
  for (const what of story) {
    if (what._tag === "Wait") now += what.millis
    state = settled(s, state, now)
    const before = state
    let call: Call | undefined
    switch (what._tag) {
      case "Start": {
        const [next, ticket] = Circuit.admit(s, state, now)
        state = next
        if (ticket !== Circuit.refused) running = [...running, { ticket, startedAt: now }]
        break
      }
      case "End": {
        const at = what.which % Math.max(1, running.length)
        call = running[at]
        if (call === undefined) continue
        running = running.filter((_, i) => i !== at)
        state = Circuit.settle(s, state, call.ticket, what.outcome, now - call.startedAt, what.hint, now)
        break
      }
      case "Hand":
        state = what.to === "Closed"
          ? Circuit.closed(s, state.ticket)
          : what.to === "Isolated"
          ? Circuit.isolated(state.ticket)
          : Circuit.disabled(state.ticket)
        break
      case "Restore":
        state = Snapshot.restore(s, state.ticket, JSON.parse(JSON.stringify(Snapshot.write(state, now))), now)
        break
      case "Wait":
        break
    }
    look({ before, after: state, now, what, ...(call === undefined ? {} : { call }) })
  }
}

const stories = FastCheck.array(happening, { minLength: 1, maxLength: 80 })

const law = (text: string, look: (s: Circuit.Settings) => (seen: Seen) => void) =>
  it(
    text,
    () =>
      FastCheck.assert(FastCheck.property(settings, stories, (s, story) => play(s, story, look(s))), {
        numRuns: runs(100, 400)
      })
  )

describe("whatever happens to a circuit", () => {
  law("a success that is not slow never opens it", (s) => ({ after, before, call, now, what }) => {
    const leastSlow = Math.min(...leaves(s.rule).map(Tripping.slowerThan))
    if (what._tag !== "End" || what.outcome !== "success" || call === undefined) return
    if (now - call.startedAt <= leastSlow) expect([before._tag, "Closed"]).toContain(after._tag)
  })

  law("what came to nothing moves it nowhere", () => ({ after, before, what }) => {
    if (what._tag === "End" && what.outcome === "nothing") expect(after._tag).toBe(before._tag)
  })

  law("a result with a ticket of another time changes nothing at all", () => ({ after, before, call }) => {
    if (call === undefined) return
    const isCurrent = before._tag === "Closed"
      ? before.ticket === call.ticket
      : before._tag === "HalfOpen" && before.probes.some((probe) => probe.ticket === call.ticket)
    if (!isCurrent) expect(after).toBe(before)
  })

  law("no more probes run than allowed, and each is younger than its limit", (s) => ({ after, now }) => {
    if (after._tag !== "HalfOpen") return
    expect(after.probes.length).toBeLessThanOrEqual(s.probes)
    for (const { startedAt = now } of after.probes) expect(now - startedAt).toBeLessThan(s.probeLimit)
    expect(after.successes).toBeLessThan(s.successesToClose)
    expect(after.failures).toBeLessThan(s.failuresToOpen)
  })

  law("it is open for a break, a hint or what a snapshot left, and never longer", (s) => ({ after, now }) => {
    const left = Circuit.remaining(s, after, now)
    expect(left).toBeGreaterThanOrEqual(0)
    expect(left).toBeLessThanOrEqual(after._tag === "Open" ? Math.max(100, s.longestHint) : s.probeLimit)
    if (after._tag !== "Open") return
    expect(settled(s, after, now + left)._tag).toBe("HalfOpen")
    if (left > 0) expect(settled(s, after, now + left - left / 2)).toBe(after)
  })

  law(
    "who waits as long as a refusal says is let through, or somebody else decided meanwhile",
    (s) => ({ after, now }) => {
      const [, ticket] = Circuit.admit(s, after, now)
      if (ticket !== Circuit.refused || after._tag === "Isolated") return
      const later = now + Circuit.remaining(s, after, now)
      const then = settled(s, after, later)
      expect(Circuit.admit(s, then, later)[1] !== Circuit.refused || then._tag === "Open").toBe(true)
    }
  )

  it("a probe that was let through before the clock was set back still has its whole limit, and no more", () => {
    const s: Circuit.Settings = {
      rule: { _tag: "Consecutive", failures: 1 },
      breaks: { _tag: "Constant", delay: 10 },
      longestHint: 100,
      probes: 1,
      successesToClose: 1,
      failuresToOpen: 1,
      slowStart: 0,
      probeLimit: 20,
      seed: 0,
      slowerThan: Infinity
    }
    const wait = (millis: number) => ({ _tag: "Wait", millis }) as const
    const states: Array<string> = []
    play(s, [
      { _tag: "Start" },
      { _tag: "End", which: 0, outcome: "failure", hint: 0 },
      wait(100),
      { _tag: "Start" },
      wait(-50),
      wait(19),
      wait(1)
    ], ({ after, now }) => states.push(`${after._tag} ${Circuit.remaining(s, after, now)}`))
    expect(states.slice(3)).toEqual(["HalfOpen 20", "HalfOpen 20", "HalfOpen 1", "Open 10"])
  })

  law("tickets only grow", () => ({ after, before }) => expect(after.ticket).toBeGreaterThanOrEqual(before.ticket))
})

const leaves = (all: Tripping.Rule): ReadonlyArray<Tripping.Rule> =>
  all._tag === "Any" || all._tag === "All" ? all.of.flatMap(leaves) : [all]
