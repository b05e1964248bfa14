import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import * as Reader from "../../src/internal/reader.ts"

const read = <A>(reader: Reader.Reader<A>, value: unknown) => {
  const report: Reader.Report = { problems: [] }
  const result = reader(value, "here", report)
  return [result, report.problems.map(({ allowed, found, path }) => [path, found, allowed])]
}

describe("durations as text", () => {
  it.each<readonly [string, number]>([
    ["1 milli", 1],
    ["500 millis", 500],
    ["1.5 seconds", 1500],
    ["8 seconds", 8000],
    ["1 minute", 60_000],
    ["2 hours", 7_200_000],
    ["1 day", 86_400_000],
    ["3 weeks", 1_814_400_000],
    ["  60 seconds ", 60_000]
  ])("%s", (text, millis) => {
    expect(Reader.parseDuration(text)).toBe(millis)
    expect(read(Reader.duration(), text)).toEqual([millis, []])
  })

  it.each<unknown>([
    500,
    "500",
    "500ms",
    "-1 second",
    "1e3 millis",
    ".5 seconds",
    "5. seconds",
    "Infinity",
    "NaN millis",
    "five seconds",
    "5 fortnights",
    "5 Seconds",
    "0 millis",
    "0.0 seconds",
    "36501 days",
    `${"9".repeat(400)} days`,
    "",
    null,
    undefined,
    {},
    [5, 0]
  ])("refuses %j", (value) => {
    expect(read(Reader.duration(), value)).toEqual([undefined, [["here", value, Reader.allowedDuration]]])
  })

  it("says in its own words what is allowed", () => {
    expect(read(Reader.duration("a wait"), 5)).toEqual([undefined, [["here", 5, "a wait"]]])
  })

  it.each<readonly [number, string]>([
    [1, "1 milli"],
    [500, "500 millis"],
    [1000, "1 second"],
    [1500, "1500 millis"],
    [90_000, "90 seconds"],
    [60_000, "1 minute"],
    [7_200_000, "2 hours"],
    [86_400_000, "1 day"],
    [0.5, "0.5 millis"],
    [0.000_001, "0.000001 millis"]
  ])("writes %d as %s", (millis, text) => {
    expect(Reader.formatDuration(millis)).toBe(text)
  })

  it("what is written reads back as the same number", () =>
    FastCheck.assert(
      FastCheck.property(
        FastCheck.oneof(
          FastCheck.integer({ min: 1, max: 3_153_600_000_000 }),
          // Nothing finer than a nanosecond comes out of a Duration.
          FastCheck.integer({ min: 1, max: 1e12 }).map((nanos) => nanos / 1e6),
          FastCheck.integer({ min: 1, max: 36_500 }).map((days) => days * 86_400_000)
        ),
        (millis) => {
          expect(Reader.parseDuration(Reader.formatDuration(millis))).toBe(millis)
          expect(read(Reader.duration(), Reader.formatDuration(millis))).toEqual([millis, []])
        }
      ),
      { numRuns: 1_000 }
    ))
})

describe("readers", () => {
  it("numbers are within a range, both ends included", () => {
    const reader = Reader.number(1, 100, "1 to 100")
    for (const good of [1, 1.5, 100]) expect(read(reader, good)).toEqual([good, []])
    for (const bad of [0, 0.999, 100.1, NaN, Infinity, "5", null, undefined, 5n]) {
      expect(read(reader, bad)).toEqual([undefined, [["here", bad, "1 to 100"]]])
    }
  })

  it("integers are whole and within a range", () => {
    const reader = Reader.integer(2, 5, "2 to 5")
    for (const good of [2, 3, 5]) expect(read(reader, good)).toEqual([good, []])
    for (const bad of [1, 2.5, 6, NaN, Infinity, "3", [3], true]) {
      expect(read(reader, bad)).toEqual([undefined, [["here", bad, "2 to 5"]]])
    }
  })

  it("a choice names all its members", () => {
    const reader = Reader.oneOf("rule", "call")
    expect(read(reader, "call")).toEqual(["call", []])
    for (const bad of ["Call", "", 1, undefined, "toString"]) {
      expect(read(reader, bad)).toEqual([undefined, [["here", bad, "one of \"rule\", \"call\""]]])
    }
  })

  it("a text is not empty", () => {
    expect(read(Reader.text, "a")).toEqual(["a", []])
    for (const bad of ["", "  ", 1]) expect(read(Reader.text, bad)[0]).toBeUndefined()
  })

  it("a list reports every wrong element at its own path, and is not empty", () => {
    const reader = Reader.list(Reader.text, "texts")
    expect(read(reader, ["a", "b"])).toEqual([["a", "b"], []])
    expect(read(reader, ["a", 1, ""])).toEqual([undefined, [
      ["here.1", 1, "a text that is not empty"],
      ["here.2", "", "a text that is not empty"]
    ]])
    for (const bad of [[], "a", { length: 1 }, undefined]) {
      expect(read(reader, bad)).toEqual([undefined, [["here", bad, "texts"]]])
    }
  })

  it("a field may be left out or must be there", () => {
    const report: Reader.Report = { problems: [] }
    expect(Reader.optional({}, "a", "", Reader.text, report)).toBeUndefined()
    expect(report.problems).toEqual([])
    expect(Reader.required({}, "a", "top", Reader.text, report)).toBeUndefined()
    expect(report.problems).toEqual([{ path: "top.a", found: undefined, allowed: "a text that is not empty" }])
  })

  it("a field that is null is there, and wrong", () => {
    const report: Reader.Report = { problems: [] }
    Reader.optional({ a: null }, "a", "", Reader.text, report)
    expect(report.problems.map(({ path }) => path)).toEqual(["a"])
  })

  it("fields that nobody reads are refused by name, __proto__ too", () => {
    const report: Reader.Report = { problems: [] }
    const value = JSON.parse(`{ "a": 1, "b": 2, "__proto__": 3 }`)
    Reader.fields(value, "top", ["a", "c"], report, "a thing")
    expect(report.problems.map(({ allowed, found, path }) => [path, found, allowed])).toEqual([
      ["top.b", 2, "no such field here; there are a, c"],
      ["top.__proto__", 3, "no such field here; there are a, c"]
    ])
    expect(Reader.fields([], "top", [], report, "a thing")).toBeUndefined()
    expect(report.problems.at(-1)).toEqual({ path: "top", found: [], allowed: "a thing" })
  })
})
