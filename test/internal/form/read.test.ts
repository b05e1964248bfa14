import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as Form from "../../../src/internal/form.ts"
import { form, rule, Shared } from "./sample.ts"

/** What was read, or what is wrong as `[path, found, allowed]`. */
const outcome = <Read>(of: Form.Form<Read, unknown>, value: unknown, mode: Form.Mode = "code"): unknown =>
  Either.match(Form.read(of, value, mode), {
    onLeft: (faults) => faults.map(({ allowed, found, path }) => [path, found, allowed]),
    onRight: (read) => read
  })

const pathsOf = (of: Form.Form<unknown, unknown>, value: unknown, mode: Form.Mode = "code"): ReadonlyArray<string> =>
  Either.match(Form.read(of, value, mode), {
    onLeft: (faults) => faults.map(({ path }) => path),
    onRight: () => []
  })

describe("a value without parts", () => {
  it.each<
    readonly [string, Form.Form<unknown, unknown>, right: unknown, wrong: ReadonlyArray<unknown>, allowed: string]
  >([
    [
      "a count",
      Form.count(1, 10),
      10,
      [0, 11, 1.5, NaN, Infinity, "3", 3n, null, undefined, [3]],
      "a whole number, 1 to 10"
    ],
    ["a number", Form.number({ min: 1, max: 2 }), 1, [0.99, 2.01, NaN, Infinity, "1", {}], "a number from 1 to 2"],
    ["a number above", Form.number({ above: 0 }), 1e-9, [0, -1, Infinity], "a number above 0"],
    ["a number below", Form.number({ above: 0, below: 1 }), 0.5, [0, 1], "a number above 0, below 1"],
    ["a number at most", Form.number({ above: 0, max: 1 }), 1, [0, 1.1], "a number above 0, at most 1"],
    ["a number without a range", Form.number({}), -5, [NaN, Infinity, "5"], "a number"],
    ["a share", Form.share(), 0, [-0.1, 1.1, NaN], "a number from 0 to 1"],
    ["one of several texts", Form.oneOf("a", "b"), "a", ["c", "", 1, ["a"], undefined], "one of \"a\", \"b\""],
    ["a single text", Form.oneOf("a"), "a", ["b"], "\"a\""],
    ["a text", Form.text(), "x", ["", "  ", 5, null], "a text that is not empty"],
    ["a name", Form.name, "x", ["", 5], "a text that is not empty"]
  ])("%s", (_, of, right, wrong, allowed) => {
    for (const mode of ["code", "file"] as const) {
      expect(outcome(of, right, mode)).toEqual(right)
      for (const value of wrong) expect(outcome(of, value, mode)).toEqual([["", value, allowed]])
    }
  })

  it("says what is allowed in the author's words, where there are any", () => {
    expect(outcome(Form.count(2, 9, "attempts in total"), 1)).toEqual([["", 1, "attempts in total"]])
  })

  it("a name is made safe to show", () => {
    expect(outcome(Form.name, "key sk-proj-abcdefghijklmnopqrstuvwxyz0123456789")).not.toContain("abcdefghijklmnop")
  })
})

describe("a duration", () => {
  it.each<readonly [unknown, number]>([
    [500, 500],
    [0.5, 0.5],
    [5n, 5e-6],
    ["500 millis", 500],
    ["  1.5 seconds ", 1_500],
    ["3 weeks", 1_814_400_000],
    ["1 nano", 1e-6],
    ["2.5 micros", 0.0025],
    [[1, 500_000_000], 1_500],
    [Duration.seconds(2), 2_000],
    [Duration.nanos(1n), 1e-6]
  ])("in code, %s", (value, millis) => {
    expect(outcome(Form.millis(), value)).toBe(millis)
    expect(outcome(Form.duration(), value)).toSatisfy((read) =>
      Duration.isDuration(read) && Duration.toMillis(read) === millis
    )
  })

  it.each<unknown>([
    0,
    -5,
    -5n,
    NaN,
    Infinity,
    "-5 seconds",
    "0 seconds",
    "5",
    "500ms",
    "1e3 millis",
    ".5 seconds",
    "5 fortnights",
    "5 Seconds",
    "Infinity",
    "36501 days",
    `${"9".repeat(400)} days`,
    [-1, 5],
    [1, NaN],
    [1, 2, 3],
    Duration.zero,
    Duration.infinity,
    {},
    null,
    undefined,
    true
  ])("refuses %s, in code and in a file", (value) => {
    for (const mode of ["code", "file"] as const) {
      expect(outcome(Form.duration(), value, mode)).toEqual([["", value, Form.allowedDuration]])
      expect(outcome(Form.millis(), value, mode)).toEqual([["", value, Form.allowedDuration]])
    }
  })

  it.each<unknown>([500, 5n, [1, 0], Duration.seconds(1)])(
    "in a file has to say its unit, which %s does not",
    (value) => {
      expect(outcome(Form.duration(), value, "file")).toEqual([["", value, Form.allowedDuration]])
    }
  )

  it("may be zero, without end, or within bounds, where its form says so", () => {
    const open = Form.millis({ from: "zero", to: "Infinity" })
    for (const mode of ["code", "file"] as const) {
      expect(outcome(open, "0 seconds", mode)).toBe(0)
      expect(outcome(open, "Infinity", mode)).toBe(Infinity)
    }
    expect(outcome(open, 0)).toBe(0)
    expect(outcome(open, Duration.infinity)).toBe(Infinity)
    expect(pathsOf(open, -1)).toEqual([""])
    const bounded = Form.duration({ min: "1 second", max: "60 seconds" })
    expect(outcome(bounded, "1 minute")).toEqual(Duration.minutes(1))
    expect(outcome(bounded, "61 seconds")).toEqual([
      ["", "61 seconds", "a duration from \"1 second\" to \"1 minute\""]
    ])
    expect(pathsOf(bounded, 999)).toEqual([""])
  })
})

describe("an object", () => {
  it("is read field by field, with the defaults of what was left out", () => {
    const verdict = () => true
    expect(outcome(form, { maxConcurrent: 2, name: undefined, verdict })).toEqual({
      name: "sample",
      maxConcurrent: 2,
      maxQueued: 0,
      verdict
    })
  })

  it("tells all faults at once: unknown fields, then the fields in their order, then what they are together", () => {
    expect(outcome(form, { queueTimeout: "1 second", maxConcurrent: 0, typo: 1, name: " " })).toEqual([
      [
        "typo",
        1,
        "no such field here; there are name, maxConcurrent, maxQueued, queueTimeout, delay, jitter, rule, budget, tags, " +
        "verdict"
      ],
      ["name", " ", "a text that is not empty"],
      ["maxConcurrent", 0, "a whole number, 1 to 1000"],
      ["queueTimeout", "1 second", "nothing while maxQueued is 0"]
    ])
  })

  it("checks together only the fields that are right", () => {
    expect(pathsOf(form, { maxConcurrent: 1, maxQueued: -1, queueTimeout: "1 second" })).toEqual(["maxQueued"])
    expect(pathsOf(form, { maxConcurrent: 1, queueTimeout: 0 })).toEqual(["queueTimeout"])
  })

  it.each<unknown>([null, 5, "text", [], undefined, () => 1])("is not %j", (value) => {
    expect(outcome(form, value)).toEqual([["", value, "an object with the options of a sample"]])
  })

  it("has only the fields that are its own", () => {
    const inherited: unknown = Object.create({ maxConcurrent: 3 })
    expect(outcome(form, inherited)).toEqual([["maxConcurrent", undefined, "a whole number, 1 to 1000"]])
    const polluted: unknown = JSON.parse("{\"maxConcurrent\":1,\"__proto__\":{\"maxQueued\":-1},\"toString\":1}")
    expect(pathsOf(form, polluted, "file")).toEqual(["__proto__", "toString"])
  })

  it("puts the path that it stands at before every path", () => {
    const faults = Form.read(form, { typo: 1, queueTimeout: 5, maxConcurrent: 1 }, "code", "retry.0")
    expect(Either.getOrElse(faults, (all) => all.map(({ path }) => path))).toEqual([
      "retry.0.typo",
      "retry.0.queueTimeout"
    ])
  })
})

describe("what only code, or only a file, can say", () => {
  it("a function or a shared value in a file is told that, at its own path", () => {
    expect(outcome(form, { maxConcurrent: 1, verdict: "strict", budget: new Shared() }, "file")).toEqual([
      ["budget", new Shared(), "\"standard\""],
      ["verdict", "strict", "nothing in a file: only code can judge errors"]
    ])
    expect(outcome(form, { maxConcurrent: 1, verdict: "strict" })).toEqual([
      ["verdict", "strict", "a function from an error to a verdict"]
    ])
  })

  it("a shared value is taken as it is", () => {
    const budget = new Shared()
    expect(outcome(form, { maxConcurrent: 1, budget })).toMatchObject({ budget })
  })

  it("is not among the fields that the other is told of", () => {
    expect(String(outcome(form, { typo: 1, maxConcurrent: 1 }, "file"))).toMatch(/there are \$schema, name, .*, tags$/)
    expect(pathsOf(form, { $schema: "x", maxConcurrent: 1 }, "file")).toEqual([])
    expect(pathsOf(form, { $schema: 5, maxConcurrent: 1 }, "file")).toEqual(["$schema"])
    expect(pathsOf(form, { $schema: "x", maxConcurrent: 1 })).toEqual(["$schema"])
  })
})

describe("a choice", () => {
  it.each<readonly [unknown, ReadonlyArray<readonly [path: string, found: unknown, allowed: string]>]>([
    ["some", [["jitter", "some", "one of \"none\", \"full\""]]],
    [{ ratio: 2 }, [["jitter.ratio", 2, "a number above 0, at most 1"]]],
    [{ ratio: 0.5, min: 1 }, [["jitter.min", 1, "no such field here; there are ratio"]]],
    [{ min: -1 }, [["jitter.min", -1, "a number from 0 to 10"], ["jitter.max", undefined, "a number from 0 to 10"]]],
    [{ min: 2, max: 1 }, [["jitter", { min: 2, max: 1 }, "min not above max"]]],
    [5, [["jitter", 5, "a jitter"]]]
  ])("says of %j what is wrong with the member that was meant", (jitter, faults) => {
    expect(outcome(form, { maxConcurrent: 1, jitter })).toEqual(faults)
  })

  it("says what is allowed where nothing is meant", () => {
    const either = Form.choose("a text or a flag", Form.when(Form.isText, Form.text()))
    expect(outcome(either, 5)).toEqual([["", 5, "a text or a flag"]])
  })

  it("by the text in a field speaks of the object with that text", () => {
    expect(outcome(rule, { when: "consecutive", failures: 0, share: 1 })).toEqual([
      ["share", 1, "no such field here; there are when, failures"],
      ["failures", 0, "a whole number, 1 to 100"]
    ])
  })

  it("by the text in a field tells what would be wrong in every object, where the text is none of them", () => {
    expect(outcome(rule, { when: "sometimes", failures: 0, share: 0.5, typo: 1 })).toEqual([
      ["when", "sometimes", "one of \"consecutive\", \"failureRate\""],
      ["typo", 1, "no such field here; there are when, failures, share, window"],
      ["failures", 0, "a whole number, 1 to 100"]
    ])
    const strategy = Form.tagged(
      "a strategy",
      { name: "kind", allowed: "\"aimd\" or \"gradient\"" },
      Form.struct("a strategy", { kind: Form.oneOf("aimd", "gradient") })
    )
    expect(outcome(strategy, {})).toEqual([["kind", undefined, "\"aimd\" or \"gradient\""]])
    expect(outcome(rule, 5)).toEqual([["", 5, "a rule with \"when\" or \"any\""]])
  })
})

describe("a list", () => {
  it("tells each item at its own path", () => {
    expect(outcome(form, { maxConcurrent: 1, tags: ["a", "", 5] })).toEqual([
      ["tags.1", "", "a text that is not empty"],
      ["tags.2", 5, "a text that is not empty"]
    ])
  })

  it.each<unknown>(["a", { 0: "a", length: 1 }, null])("is not %j", (value) => {
    expect(outcome(Form.list(Form.text(), { allowed: "a list" }), value)).toEqual([["", value, "a list"]])
  })

  it("is not empty, unless it may be", () => {
    expect(outcome(Form.list(Form.text(), { allowed: "a list" }), [])).toEqual([["", [], "a list"]])
    expect(outcome(Form.list(Form.text(), { allowed: "a list", minItems: 0 }), [])).toEqual([])
  })
})

const nested = (levels: number): unknown => {
  let value: unknown = { when: "consecutive", failures: 0 }
  for (let i = 1; i < levels; i += 1) value = { any: [value] }
  return value
}

describe("a form that contains itself", () => {
  it("is read as deep as it may be", () => {
    expect(pathsOf(rule, nested(16))).toEqual([`${"any.0.".repeat(15)}failures`])
    expect(outcome(rule, nested(17))).toEqual([
      [`${"any.0.".repeat(15)}any.0`, { when: "consecutive", failures: 0 }, "rules at most 16 deep"]
    ])
  })

  it("refuses ten thousand levels, and reads two hundred thousand items, each once", () => {
    expect(pathsOf(rule, nested(10_000))).toHaveLength(1)
    const many = { any: Array.from({ length: 200_000 }, () => ({ when: "consecutive", failures: 0 })) }
    expect(pathsOf(rule, many)).toHaveLength(200_000)
    const right = { any: Array.from({ length: 200_000 }, () => ({ when: "consecutive" })) }
    expect(pathsOf(rule, right)).toEqual([])
  })
})

describe("reading", () => {
  it("tells what is wrong in the order of the fields where that is asked for, and with the whole at the end", () => {
    const fields = Form.struct(
      "a range",
      { from: Form.count(0, 9), to: Form.count(0, 9), name: Form.text() },
      () => [{ path: [], allowed: "a range that is used", found: undefined }],
      ({ to }) => to === 3 ? [{ path: ["to"], allowed: "not 3" }] : []
    )
    const range = Form.inFieldOrder(fields)
    const wrong = { colour: "red", name: "", to: 3, from: -1 }
    expect(pathsOf(fields, wrong)).toEqual(["colour", "from", "name", "", "to"])
    expect(pathsOf(range, wrong)).toEqual(["colour", "from", "to", "name", ""])
    const nested = Form.struct("an object with a range", { range, other: Form.text() })
    expect(pathsOf(nested, { range: wrong })).toEqual([
      "range.colour",
      "range.from",
      "range.to",
      "range.name",
      "range",
      "other"
    ])
  })

  it("takes no more time for each of many unknown fields", () => {
    const many = Object.fromEntries(Array.from({ length: 200_000 }, (_, i) => [`field${i}`, i]))
    expect(pathsOf(form, many, "file")).toHaveLength(200_001)
  })

  it("never throws, whatever the file says", () => {
    FastCheck.assert(
      FastCheck.property(FastCheck.anything({ withBigInt: true, withDate: true, withNullPrototype: true }), (value) => {
        for (const mode of ["code", "file"] as const) {
          Form.read(form, value, mode)
          Form.read(form, { maxConcurrent: value, jitter: value, queueTimeout: value, rule: value, tags: value }, mode)
          Form.read(rule, { any: value }, mode)
        }
      }),
      { numRuns: 1_000 }
    )
  })
})
