import { describe, expect, it } from "@effect/vitest"
import * as Step from "../../../src/policy/shared/retryStep.ts"
import { baseDelay, longest } from "../../../src/policy/shared/retryTree.ts"
import type { Jitter, RetryTree } from "../../../src/policy/shared/retryTree.ts"

/** One row of a transition table: what failed, when, and with which draw. */
interface Row {
  readonly tag?: string
  readonly retryable?: boolean
  readonly forbidden?: boolean
  readonly hint?: number
  /** Milliseconds since the first attempt's start; default: as long as was waited. */
  readonly at?: number
  readonly random?: number
}

/** The decisions of a policy about failures in a row: the wait, or why it stopped. It is asked on after a stop. */
const decisions = (tree: RetryTree, rows: ReadonlyArray<Row>): ReadonlyArray<number | Step.StopReason> => {
  const startedAt = 1_700_000_000_000
  let state = Step.start(tree, startedAt)
  let elapsed = 0
  return rows.map(({ at, forbidden = false, hint, random = 1, retryable = true, tag = "ServerError" }) => {
    elapsed = at ?? elapsed
    const [next, decision] = Step.step(state, { tag, retryable, forbidden, hint }, startedAt + elapsed, random)
    state = next
    if (decision._tag === "Stop") return decision.reason
    elapsed += decision.delay
    return decision.delay
  })
}

const times = (count: number, row: Row = {}): ReadonlyArray<Row> => Array.from({ length: count }, () => row)

const day = 86_400_000
const never: RetryTree = { _tag: "Never" }
const immediate: RetryTree = { _tag: "Immediate" }
const constant = (delay: number): RetryTree => ({ _tag: "Constant", delay })
const linear = (initial: number, increment: number): RetryTree => ({ _tag: "Linear", initial, increment })
const exponential = (initial: number, factor = 2): RetryTree => ({ _tag: "Exponential", initial, factor })
const fibonacci = (initial: number): RetryTree => ({ _tag: "Fibonacci", initial })
const jittered = (policy: RetryTree, mode: Jitter): RetryTree => ({ _tag: "Jittered", policy, mode })
const capped = (policy: RetryTree, max: number): RetryTree => ({ _tag: "Capped", policy, max })
const atLeast = (policy: RetryTree, min: number): RetryTree => ({ _tag: "AtLeast", policy, min })
const attempts = (policy: RetryTree, max: number): RetryTree => ({ _tag: "Attempts", policy, max })
const within = (policy: RetryTree, limit: number): RetryTree => ({ _tag: "Within", policy, limit })
const honourHints = (policy: RetryTree, max: number): RetryTree => ({ _tag: "HonourHints", policy, max })
const ignoreHints = (policy: RetryTree): RetryTree => ({ _tag: "HonourHints", policy, max: "never" })
const union = (left: RetryTree, right: RetryTree): RetryTree => ({ _tag: "Union", left, right })
const intersect = (left: RetryTree, right: RetryTree): RetryTree => ({ _tag: "Intersect", left, right })
const andThen = (first: RetryTree, second: RetryTree): RetryTree => ({ _tag: "AndThen", first, second })
const byError = (
  rules: Readonly<Record<string, RetryTree>>,
  otherwise: "fail" | RetryTree = "fail",
  growth: "rule" | "call" = "rule"
): RetryTree => ({
  _tag: "ByError",
  rules: Object.entries(rules).map(([tag, use]) => ({ on: [tag], use })),
  otherwise,
  growth
})

interface Case {
  readonly it: string
  readonly policy: RetryTree
  readonly rows: ReadonlyArray<Row>
  readonly decides: ReadonlyArray<number | Step.StopReason>
}

const check = (cases: ReadonlyArray<Case>) =>
  it.each(cases)("$it", ({ decides, policy, rows }) => {
    expect(decisions(policy, rows)).toEqual(decides)
  })

describe("a leaf says how long to wait", () => {
  check([
    { it: "never does not retry", policy: never, rows: times(1), decides: ["Never"] },
    { it: "immediate waits not at all", policy: immediate, rows: times(3), decides: [0, 0, 0] },
    { it: "constant waits the same each time", policy: constant(1000), rows: times(3), decides: [1000, 1000, 1000] },
    { it: "linear adds the increment", policy: linear(1000, 500), rows: times(3), decides: [1000, 1500, 2000] },
    { it: "exponential multiplies", policy: exponential(100, 3), rows: times(4), decides: [100, 300, 900, 2700] },
    {
      it: "fibonacci adds the last two",
      policy: fibonacci(10),
      rows: times(7),
      decides: [10, 10, 20, 30, 50, 80, 130]
    },
    {
      it: "no leaf retries an error whose verdict is not to",
      policy: immediate,
      rows: times(1, { retryable: false }),
      decides: ["NotRetryable"]
    },
    {
      it: "no leaf retries what the other side forbids (x-should-retry: false)",
      policy: immediate,
      rows: times(1, { forbidden: true }),
      decides: ["NotRetryable"]
    }
  ])

  it("stays at the longest delay where the formula overflows, or at the cap", () => {
    const at1000 = (tree: RetryTree) => decisions(tree, times(1000)).at(-1)
    expect(at1000(exponential(day))).toBe(longest)
    expect(at1000(capped(exponential(day), 2 * day))).toBe(2 * day)
    expect(at1000(fibonacci(day))).toBe(longest)
    expect(at1000(jittered(exponential(day), { ratio: 1 }))).toBe(longest)
    expect(at1000(jittered(exponential(day), "full"))).toBe(longest)
    expect(at1000(jittered(exponential(day), "decorrelated"))).toBe(longest)
  })
})

describe("a modifier changes the waits", () => {
  const draws = [0, 0.25, 1].map((random) => ({ random }))
  check([
    { it: "no jitter", policy: jittered(constant(100), "none"), rows: draws, decides: [100, 100, 100] },
    {
      it: "full jitter: nothing to all of it",
      policy: jittered(constant(100), "full"),
      rows: draws,
      decides: [0, 25, 100]
    },
    {
      it: "equal jitter: half to all of it",
      policy: jittered(constant(100), "equal"),
      rows: draws,
      decides: [50, 62.5, 100]
    },
    {
      it: "ratio: that much less or more",
      policy: jittered(constant(100), { ratio: 0.5 }),
      rows: draws,
      decides: [50, 75, 150]
    },
    {
      it: "min and max: a share between the two",
      policy: jittered(constant(100), { min: 0.5, max: 1.5 }),
      rows: draws,
      decides: [50, 75, 150]
    },
    {
      it: "decorrelated: from the base to three times the previous delay",
      policy: jittered(constant(100), "decorrelated"),
      rows: [{ random: 1 }, { random: 0.5 }, { random: 0 }, { random: 1 }],
      decides: [300, 500, 100, 300]
    },
    {
      it: "decorrelated grows from what was waited, cap included",
      policy: capped(jittered(constant(100), "decorrelated"), 250),
      rows: [{ random: 1 }, { random: 1 }, { random: 0.5 }],
      decides: [250, 250, 250]
    },
    {
      it: "of two caps above, decorrelated knows the tighter one",
      policy: capped(capped(jittered(constant(100), "decorrelated"), 1000), 200),
      rows: [{ random: 1 }, { random: 0.1 }],
      decides: [200, 150]
    },
    {
      it: "a cap holds after jitter",
      policy: capped(jittered(constant(100), { ratio: 1 }), 120),
      rows: times(1),
      decides: [120]
    },
    {
      it: "jitter after a cap may exceed it",
      policy: jittered(capped(constant(100), 50), { ratio: 1 }),
      rows: times(1),
      decides: [100]
    },
    { it: "atLeast raises", policy: atLeast(exponential(1), 3), rows: times(4), decides: [3, 3, 4, 8] },
    { it: "attempts count the first one", policy: attempts(immediate, 3), rows: times(3), decides: [0, 0, "Attempts"] },
    {
      it: "the reason for a stop is the error's, not the limit's, where both hold",
      policy: attempts(immediate, 2),
      rows: [{}, { retryable: false }],
      decides: [0, "NotRetryable"]
    }
  ])
})

describe("a deadline counts from the first attempt's start", () => {
  check([
    {
      it: "stops where the wait would cross it, not after",
      policy: within(exponential(1000), 5000),
      rows: times(3),
      decides: [1000, 2000, "Deadline"]
    },
    {
      it: "a wait may end exactly at it",
      policy: within(constant(1000), 3000),
      rows: times(4),
      decides: [1000, 1000, 1000, "Deadline"]
    },
    {
      it: "the time that attempts take counts",
      policy: within(constant(1000), 5000),
      rows: [{ at: 3000 }, { at: 4001 }],
      decides: [1000, "Deadline"]
    },
    {
      it: "after it nothing goes on, not even at once",
      policy: within(immediate, 5000),
      rows: [{ at: 5001 }],
      decides: ["Deadline"]
    },
    {
      it: "a clock that went back is no time at all",
      policy: within(constant(10), 10),
      rows: [{ at: -5000 }],
      decides: [10]
    },
    {
      it: "a cap above it saves a wait that is too long",
      policy: capped(within(constant(100), 10), 5),
      rows: times(2),
      decides: [5, 5]
    },
    {
      it: "a hint that crosses it stops at once",
      policy: within(honourHints(constant(10), 1000), 500),
      rows: [{ hint: 501 }],
      decides: ["Deadline"]
    }
  ])
})

describe("hints", () => {
  const policy = honourHints(constant(100), 60_000)
  check([
    { it: "a longer one is waited", policy, rows: [{ hint: 7000 }, {}], decides: [7000, 100] },
    { it: "a shorter one does not shorten", policy, rows: [{ hint: 5 }], decides: [100] },
    { it: "the longest one allowed is waited", policy, rows: [{ hint: 60_000 }], decides: [60_000] },
    { it: "one above that stops at once", policy, rows: [{ hint: 60_001 }], decides: ["HintTooLong"] },
    { it: "of a year stops at once", policy, rows: [{ hint: 365 * day }], decides: ["HintTooLong"] },
    { it: "of Infinity stops at once", policy, rows: [{ hint: Infinity }], decides: ["HintTooLong"] },
    {
      it: "that are zero, negative or NaN ask for nothing",
      policy,
      rows: [{ hint: 0 }, { hint: -1 }, { hint: NaN }],
      decides: [100, 100, 100]
    },
    {
      it: "of up to a minute are waited where nothing is said of them",
      policy: constant(100),
      rows: [{ hint: 7000 }, {}, { hint: 60_000 }, { hint: 60_001 }],
      decides: [7000, 100, 60_000, "HintTooLong"]
    },
    {
      it: "are not looked at where they are to be ignored",
      policy: ignoreHints(constant(100)),
      rows: [{ hint: 7000 }, { hint: 60_001 }],
      decides: [100, 100]
    },
    {
      it: "are honoured where a limit stands round what ignores them",
      policy: honourHints(ignoreHints(constant(100)), 60_000),
      rows: [{ hint: 7000 }],
      decides: [7000]
    },
    {
      it: "are a matter of each rule",
      policy: byError({ RateLimited: constant(5), Overloaded: ignoreHints(constant(7)) }),
      rows: [{ tag: "RateLimited", hint: 900 }, { tag: "Overloaded", hint: 900 }],
      decides: [900, 7]
    },
    { it: "no cap shortens them", policy: capped(policy, 50), rows: [{ hint: 7000 }, {}], decides: [7000, 50] },
    {
      it: "no jitter changes them",
      policy: jittered(policy, "full"),
      rows: [{ hint: 7000, random: 0.1 }],
      decides: [7000]
    },
    {
      it: "do not make an error retryable",
      policy,
      rows: [{ hint: 5, retryable: false }],
      decides: ["NotRetryable"]
    },
    {
      it: "the tighter of two limits counts",
      policy: honourHints(honourHints(immediate, 10), 1000),
      rows: [{ hint: 11 }],
      decides: ["HintTooLong"]
    }
  ])
})

describe("union goes on while either does, with the shorter wait", () => {
  check([
    { it: "shorter of the two", policy: union(exponential(1), constant(3)), rows: times(4), decides: [1, 2, 3, 3] },
    {
      it: "when one stops the other goes on",
      policy: union(attempts(constant(1), 2), attempts(constant(9), 4)),
      rows: times(4),
      decides: [1, 9, 9, "Attempts"]
    },
    {
      it: "where one is past its deadline the other counts",
      policy: union(within(constant(100), 50), constant(200)),
      rows: times(1),
      decides: [200]
    },
    { it: "with never is the other", policy: union(never, constant(5)), rows: times(1), decides: [5] },
    {
      it: "the shorter one that honours a hint gives way to the longer that does not",
      policy: union(honourHints(constant(1), 1000), ignoreHints(constant(50))),
      rows: [{ hint: 100 }, {}],
      decides: [50, 1]
    }
  ])
})

describe("intersect goes on while both do, with the longer wait", () => {
  check([
    { it: "longer of the two", policy: intersect(exponential(1), constant(3)), rows: times(4), decides: [3, 3, 4, 8] },
    {
      it: "when one stops both do",
      policy: intersect(attempts(constant(1), 2), constant(9)),
      rows: times(2),
      decides: [9, "Attempts"]
    },
    { it: "with never is never", policy: intersect(constant(5), never), rows: times(1), decides: ["Never"] },
    {
      it: "a deadline of one holds for the wait of the other",
      policy: intersect(within(immediate, 50), constant(100)),
      rows: times(1),
      decides: ["Deadline"]
    }
  ])
})

describe("andThen follows the first until it stops, then the second for good", () => {
  check([
    {
      it: "the second counts its attempts from then on",
      policy: andThen(attempts(constant(1), 3), attempts(constant(9), 2)),
      rows: times(4),
      decides: [1, 1, 9, "Attempts"]
    },
    {
      it: "the second grows its delays from then on",
      policy: andThen(attempts(constant(1), 3), exponential(100)),
      rows: times(5),
      decides: [1, 1, 100, 200, 400]
    },
    {
      it: "does not go back",
      policy: andThen(honourHints(constant(1), 10), constant(50)),
      rows: [{}, { hint: 11 }, {}],
      decides: [1, 50, 50]
    },
    {
      it: "moves on where the first would cross its deadline",
      policy: andThen(within(constant(30), 50), constant(5)),
      rows: times(3),
      decides: [30, 5, 5]
    },
    { it: "stops where both stop", policy: andThen(never, never), rows: times(1), decides: ["Never"] },
    {
      it: "three in a row",
      policy: andThen(attempts(constant(1), 2), andThen(attempts(constant(2), 2), attempts(constant(3), 2))),
      rows: times(4),
      decides: [1, 2, 3, "Attempts"]
    }
  ])
})

describe("byError keeps a policy for each kind of error", () => {
  const limited = { tag: "RateLimited" }
  const server = { tag: "ServerError" }
  check([
    {
      it: "an error that no rule names is not retried",
      policy: byError({ RateLimited: immediate }),
      rows: [server],
      decides: ["NoRule"]
    },
    {
      it: "or goes to otherwise",
      policy: byError({ RateLimited: immediate }, constant(5)),
      rows: [server, limited],
      decides: [5, 0]
    },
    {
      it: "otherwise keeps the verdict",
      policy: byError({ RateLimited: immediate }, constant(5)),
      rows: [{ tag: "Other", retryable: false }],
      decides: ["NotRetryable"]
    },
    {
      it: "a rule outranks the verdict",
      policy: byError({ RateLimited: immediate }),
      rows: [{ ...limited, retryable: false }],
      decides: [0]
    },
    {
      it: "nothing outranks what the other side forbids",
      policy: byError({ RateLimited: immediate }),
      rows: [{ ...limited, forbidden: true }],
      decides: ["NotRetryable"]
    },
    {
      it: "each rule counts its own attempts",
      policy: byError({ RateLimited: attempts(constant(60), 3), ServerError: attempts(constant(1), 2) }),
      rows: [limited, server, limited, limited],
      decides: [60, 1, 60, "Attempts"]
    },
    {
      it: "otherwise counts its own attempts",
      policy: byError({ RateLimited: immediate }, attempts(constant(7), 2)),
      rows: [limited, limited, server, server],
      decides: [0, 0, 7, "Attempts"]
    },
    {
      it: "each rule grows its own delays",
      policy: byError({ RateLimited: exponential(1000), ServerError: exponential(10) }),
      rows: [server, server, limited, server, limited],
      decides: [10, 20, 1000, 40, 2000]
    },
    {
      it: "with growth of the call, delays grow with all failures and limits stay with the rule",
      policy: byError({ RateLimited: attempts(exponential(1000), 3), ServerError: exponential(10) }, "fail", "call"),
      rows: [server, limited, limited, server, limited],
      decides: [10, 2000, 4000, 80, "Attempts"]
    },
    {
      it: "attempts round it count all failures",
      policy: attempts(byError({ RateLimited: immediate, ServerError: immediate }), 3),
      rows: [limited, server, limited],
      decides: [0, 0, "Attempts"]
    },
    {
      it: "each rule keeps its own jitter",
      policy: byError({ RateLimited: jittered(constant(10), "decorrelated"), ServerError: constant(1) }),
      rows: [limited, server, limited, limited],
      decides: [30, 1, 90, 270]
    },
    {
      it: "rules may be nested",
      policy: byError({ RateLimited: byError({ RateLimited: attempts(constant(1), 2) }) }, byError({ B: constant(2) })),
      rows: [limited, { tag: "B" }, limited],
      decides: [1, 2, "Attempts"]
    }
  ])
})

describe("one draw is shared by all jitter of a tree", () => {
  check([{
    it: "so a policy joined with itself is that policy",
    policy: union(jittered(constant(100), "full"), jittered(constant(100), "full")),
    rows: [{ random: 0.3 }, { random: 0.7 }],
    decides: [30, 70]
  }, {
    it: "on both sides of an intersect",
    policy: intersect(jittered(constant(100), "full"), jittered(constant(50), "equal")),
    rows: [{ random: 0 }, { random: 0.5 }, { random: 1 }],
    decides: [25, 50, 100]
  }])
})

describe("the base that decorrelated jitter starts from", () => {
  it.each<readonly [string, RetryTree, number]>([
    ["a leaf's first delay", exponential(100), 100],
    ["immediate: none", immediate, 0],
    ["raised by atLeast", atLeast(constant(5), 10), 10],
    ["lowered by a cap", capped(constant(50), 10), 10],
    ["untouched by limits", within(attempts(honourHints(constant(5), 10), 2), 3), 5],
    ["the shorter of a union", union(constant(5), constant(9)), 5],
    ["the longer of an intersect", intersect(constant(5), constant(9)), 9],
    ["the first of a sequence", andThen(constant(5), constant(1)), 5],
    ["the shortest of the rules", byError({ A: constant(5), B: constant(3) }), 3],
    ["otherwise included", byError({ A: constant(5) }, constant(2)), 2]
  ])("%s", (_, tree, base) => {
    expect(baseDelay(tree)).toBe(base)
  })

  it("stays put while the parts make progress", () => {
    const tree = jittered(
      union(attempts(constant(10), 2), andThen(attempts(constant(20), 2), constant(1))),
      "decorrelated"
    )
    expect(decisions(tree, times(4, { random: 0 }))).toEqual([10, 10, 10, 10])
  })
})

describe("the state is data", () => {
  it("and a step changes nothing of the old one", () => {
    const failure: Step.Failure = { tag: "A", retryable: true, forbidden: false }
    const state = Step.start(byError({ A: andThen(attempts(immediate, 2), jittered(constant(1), "decorrelated")) }), 0)
    const before = JSON.stringify(state)
    const [next] = Step.step(state, failure, 0, 0.5)
    Step.step(next, failure, 0, 0.5)
    expect(JSON.stringify(state)).toBe(before)
    expect(Step.step(JSON.parse(JSON.stringify(next)), failure, 7, 0.5)).toEqual(Step.step(next, failure, 7, 0.5))
  })
})
