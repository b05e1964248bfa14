import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import * as Equal from "effect/Equal"
import * as FastCheck from "effect/FastCheck"
import * as Hash from "effect/Hash"
import { isInvalidOptions } from "../../src/error/InvalidOptions.ts"
import { slowerThan } from "../../src/policy/shared/trippingRule.ts"
import * as Tripping from "../../src/policy/Tripping.ts"

const refusal = (make: () => unknown): string => {
  try {
    make()
  } catch (error) {
    if (isInvalidOptions(error)) return error.message
  }
  throw new Error("expected InvalidOptions")
}

const listing = (json: unknown, path?: string): ReadonlyArray<string> =>
  Either.match(Tripping.decode(json, { path }), {
    onLeft: (error) => error.issues.map((issue) => `${issue.path}: ${issue.found}`),
    onRight: (tripping) => [`fine: ${String(tripping)}`]
  })

const calls = FastCheck.integer({ min: 1, max: 100_000 })
const share = FastCheck.double({ min: 0.001, max: 1, noNaN: true })
const millis = FastCheck.integer({ min: 1, max: 10_000_000 })
const rate = FastCheck.record({
  share,
  window: FastCheck.oneof(millis.map((each) => Duration.millis(each)), calls.map((each) => `${each} calls` as const))
})
const leaf = FastCheck.oneof(
  calls.map(Tripping.consecutive),
  rate.map(Tripping.failureRate),
  FastCheck.tuple(rate, millis).map(([options, longerThan]) => Tripping.slowCallRate({ ...options, longerThan }))
)
const several = FastCheck.array(leaf, { minLength: 1, maxLength: 3 })
const tripping: FastCheck.Arbitrary<Tripping.Tripping> = FastCheck.oneof(
  leaf,
  several.map(Tripping.any),
  several.map(Tripping.all),
  FastCheck.tuple(several, several).map(([one, two]) => Tripping.any([Tripping.all(one), ...two]))
)

describe("the standard rule", () => {
  it("is half of the calls within 30 seconds, from 10 calls on", () => {
    expect(Tripping.defaults).toEqual({ failures: 5, share: 0.5, window: Duration.seconds(30), minimumCalls: 10 })
    expect(String(Tripping.standard)).toBe("50% of calls failed within 30s (from 10 calls on)")
    expect(Equal.equals(Tripping.standard, Tripping.failureRate())).toBe(true)
  })

  it("asks for no more calls than a small window holds", () =>
    expect(String(Tripping.failureRate({ window: "4 calls" })))
      .toBe("50% of calls failed among the last 4 (from 4 calls on)"))
})

describe("describe", () => {
  it.each<[Tripping.Tripping, string]>([
    [Tripping.consecutive(), "5 failures in a row"],
    [Tripping.consecutive(1), "1 failure in a row"],
    [
      Tripping.slowCallRate({ longerThan: "20 seconds", share: 0.07, window: "100 calls" }),
      "7% of calls slower than 20s among the last 100 (from 10 calls on)"
    ],
    [
      Tripping.any([Tripping.consecutive(3), Tripping.all([Tripping.consecutive(1), Tripping.consecutive(2)])]),
      "any of (3 failures in a row; all of (1 failure in a row; 2 failures in a row))"
    ]
  ])("%s", (rule, words) => {
    expect(Tripping.describe(rule)).toBe(words)
    expect(`${rule}`).toBe(words)
  })
})

describe("JSON", () => {
  it("is flat", () => {
    expect(Tripping.encode(Tripping.consecutive(3))).toEqual({ when: "consecutive", failures: 3 })
    expect(JSON.parse(JSON.stringify(Tripping.any([
      Tripping.standard,
      Tripping.slowCallRate({ share: 0.8, longerThan: Duration.seconds(20), window: "100 calls", minimumCalls: 5 })
    ])))).toEqual({
      any: [
        { when: "failureRate", share: 0.5, window: "30 seconds", minimumCalls: 10 },
        { when: "slowCallRate", longerThan: "20 seconds", share: 0.8, window: "100 calls", minimumCalls: 5 }
      ]
    })
  })

  it("reads back as an equal rule", () =>
    FastCheck.assert(
      FastCheck.property(tripping, (rule) => {
        const back = Either.getOrThrow(Tripping.decode(JSON.parse(JSON.stringify(rule))))
        expect(Equal.equals(back, rule)).toBe(true)
        expect(Hash.hash(back)).toBe(Hash.hash(rule))
        expect(String(back)).toBe(String(rule))
      }),
      { numRuns: 300 }
    ))

  it("fills in what is left out", () => {
    expect(listing({ when: "consecutive" })).toEqual(["fine: 5 failures in a row"])
    expect(listing({ when: "failureRate" })).toEqual([`fine: ${String(Tripping.standard)}`])
  })

  it("lists every wrong field, with its path", () => {
    expect(listing({ when: "failureRate", share: 50, window: 30, minimumCalls: 0, of: 1 })).toEqual([
      "of: 1",
      "share: 50",
      "window: 30",
      "minimumCalls: 0"
    ])
    expect(
      listing({ any: [{ when: "consecutive", failures: 1.5 }, { when: "slowCallRate", longerThan: 5 }] }, "breaker")
    )
      .toEqual(["breaker.any.0.failures: 1.5", "breaker.any.1.longerThan: 5"])
    expect(listing({ when: "often" })).toEqual(["when: \"often\""])
    expect(listing({ all: [] })).toEqual(["all: []"])
    expect(listing({ all: [{ when: "consecutive" }], any: [] })).toEqual([
      "all: [{\"when\":\"consecutive\"}]",
      "any: []"
    ])
    for (const junk of [null, 3, "consecutive", [], undefined, () => 1]) expect(listing(junk)).toHaveLength(1)
  })

  it("names both fields where two contradict each other", () => {
    const text = refusal(() =>
      Either.getOrThrowWith(
        Tripping.decode({ when: "failureRate", window: "5 calls", minimumCalls: 6 }),
        (error) => error
      )
    )
    expect(text).toContain("minimumCalls (found 6); allowed: at most window, which is 5 calls")
  })

  it("refuses rules that are too deep to be meant, instead of running out of stack", () => {
    let json: unknown = { when: "consecutive" }
    for (let i = 0; i < 100_000; i++) json = { any: [json] }
    expect(listing(json)).toHaveLength(1)
  })
})

describe("a rule of many rules", () => {
  it("is not made so deep that its JSON could not be read", () => {
    let rule = Tripping.consecutive()
    for (let depth = 1; depth < 16; depth++) rule = Tripping.any([rule])
    expect(Either.map(Tripping.decode(Tripping.encode(rule)), (back) => Equal.equals(back, rule)))
      .toEqual(Either.right(true))
    expect(refusal(() => Tripping.all([rule]))).toContain("rules at most 16 deep")
  })

  it("may be as wide as it likes", () => {
    const wide = Tripping.any(Array.from({ length: 200_000 }, () => Tripping.consecutive(1)))
    expect(slowerThan(wide.rule)).toBe(Infinity)
  })
})

describe("constructors", () => {
  it("throw InvalidOptions where the value is written", () => {
    expect(refusal(() => Tripping.consecutive(0))).toContain("failures (found 0); allowed: a whole number from 1")
    expect(refusal(() => Tripping.failureRate({ share: 0 }))).toContain("share (found 0)")
    expect(refusal(() => Tripping.failureRate({ share: 1.01 }))).toContain("half of the calls is 0.5")
    expect(refusal(() => Tripping.failureRate({ window: "0 calls" }))).toContain("window (found \"0 calls\")")
    expect(refusal(() => Tripping.failureRate({ window: Duration.zero }))).toContain("window")
    expect(refusal(() => Tripping.slowCallRate({ longerThan: Duration.infinity }))).toContain("longerThan")
    expect(refusal(() => Tripping.failureRate({ window: "2 calls", minimumCalls: 3 }))).toContain("at most window")
    expect(refusal(() => Tripping.any([]))).toContain("any (found [])")
    expect(refusal(() => Tripping.all([]))).toContain("all (found [])")
  })

  it("make values that compare by what they say", () => {
    expect(Equal.equals(Tripping.consecutive(3), Tripping.consecutive(3))).toBe(true)
    expect(Equal.equals(Tripping.consecutive(3), Tripping.consecutive(4))).toBe(false)
    expect(Tripping.isTripping(Tripping.standard)).toBe(true)
    expect(Tripping.isTripping({ rule: {} })).toBe(false)
  })
})
