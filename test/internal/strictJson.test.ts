import { describe, expect, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as StrictJson from "../../src/internal/strictJson.ts"
import { runs } from "../runs.ts"

const times = { numRuns: runs(200, 500) }

const parsed = (text: string, limits?: StrictJson.Limits) => Either.getOrThrow(StrictJson.parse(text, limits))
const refused = (text: string, limits?: StrictJson.Limits) =>
  Either.getOrThrow(Either.flip(StrictJson.parse(text, limits)))
const reason = (text: string, limits?: StrictJson.Limits) => refused(text, limits).reason
const hazards = (text: string) => parsed(text).hazards.map(({ hazard, path }) => [hazard, path])

const platform = (text: string) => Either.try(() => JSON.parse(text) as unknown)

/** What the platform's own reader says is the specification; hazards come on top of it. */
const agrees = (text: string) => {
  const ours = StrictJson.parse(text)
  const theirs = platform(text)
  expect(Either.isRight(ours)).toBe(Either.isRight(theirs))
  if (Either.isRight(ours) && Either.isRight(theirs)) expect(ours.right.value).toStrictEqual(theirs.right)
}

describe("strictJson agrees with JSON.parse", () => {
  it("on documents that are valid", () =>
    FastCheck.assert(
      FastCheck.property(FastCheck.json(), FastCheck.constantFrom(undefined, 1, "\t"), (text, space) => {
        agrees(text)
        agrees(JSON.stringify(JSON.parse(text), null, space))
      }),
      times
    ))

  it("on documents with one character changed, removed or put in", () =>
    FastCheck.assert(
      FastCheck.property(
        FastCheck.json(),
        FastCheck.nat(),
        FastCheck.constantFrom(..." \t\n\u00a0\ufeff{}[]:,\"'\\/0159.-+eEutfn\u0000\ud800x"),
        FastCheck.constantFrom("change", "remove", "insert"),
        (text, seed, character, how) => {
          const at = seed % (text.length + 1)
          agrees(text.slice(0, at) + (how === "remove" ? "" : character) + text.slice(how === "insert" ? at : at + 1))
        }
      ),
      { numRuns: runs(1_000, 3_000) }
    ))

  it("on any text made of the characters of JSON", () =>
    FastCheck.assert(
      FastCheck.property(
        FastCheck.array(
          FastCheck.constantFrom(
            ..." \n{}[]:,\"\\0127.-+eEu",
            "true",
            "false",
            "null",
            "\"a\"",
            "\\u0041",
            "1e5",
            "-0",
            "1.5"
          ),
          { maxLength: 12 }
        ),
        (pieces) => agrees(pieces.join(""))
      ),
      { numRuns: runs(1_500, 5_000) }
    ))

  it.each([
    "-0",
    "0.1",
    "0.12345678901234567",
    "1e21",
    "1E-400",
    "\"\\u00e9\\n\\/\"",
    " [ ] ",
    "{\"\":{}}",
    "\"\u007f\u2028\"",
    "[[],{}]",
    "01",
    "-",
    "-01",
    "+1",
    ".5",
    "5.",
    "1e",
    "1e+",
    "tru",
    "nul",
    "truex",
    "NaN",
    "Infinity",
    "undefined",
    "'a'",
    "[1,]",
    "{\"a\":1,}",
    "{,}",
    "[,]",
    "{\"a\"}",
    "{\"a\":}",
    "{a:1}",
    "\"\\x\"",
    "\"\\u00g0\"",
    "\"a\nb\"",
    "\"\u0000\"",
    "\ufeff{}",
    "{\u00a0}",
    "[1 2]",
    "[1}",
    "{]"
  ])("on %j", (text) => agrees(text))
})

describe("strictJson says why and where it stops", () => {
  it.each(
    [
      ["", "Empty", 0],
      [" \n\t ", "Empty", 0],
      ["{\"a\":tru}", "Syntax", 8],
      ["hello", "Syntax", 0],
      ["\ufeff{\"a\":1}", "Syntax", 0],
      ["{\"a\":1,}", "Syntax", 7],
      ["{'a':1}", "Syntax", 1],
      ["{\"a\":\"x\ny\"}", "Syntax", 7],
      ["{\"a\":007}", "Syntax", 6],
      ["007", "Syntax", 1],
      ["{\"a\":5.}", "Syntax", 7],
      ["{\"a\":1}{\"a\":2}", "TrailingContent", 7],
      ["{\"a\":1} thanks", "TrailingContent", 8],
      ["{\"a\":1}}", "TrailingContent", 7],
      ["{\"a\":[1,2}", "Syntax", 9],
      ["{\"a\":1", "Truncated", 6],
      ["{\"a\":tr", "Truncated", 7],
      ["{\"a\":\"x\\u00", "Truncated", 11],
      ["{\"a\":1e", "Truncated", 7],
      ["{\"a\":-", "Truncated", 6],
      ["{", "Truncated", 1],
      ["{\"a\" : ", "Truncated", 7],
      ["[1, ", "Truncated", 4]
    ] as const
  )("%j: %s at %d", (text, expected, offset) => expect(refused(text)).toMatchObject({ reason: expected, offset }))

  it("counts lines and columns from one, in every line ending", () => {
    expect(refused("{\n  \"a\": 1,\n  b: 2\n}")).toMatchObject({ line: 3, column: 3 })
    expect(refused("{\r\n\r\nb")).toMatchObject({ line: 3, column: 1 })
    expect(refused("{\rb")).toMatchObject({ line: 2, column: 1 })
    expect(refused("b")).toMatchObject({ line: 1, column: 1 })
  })

  it("shows the text round the fault, short and without credentials", () => {
    const { excerpt } = refused(`{"note":"${"n".repeat(500)}", oops: "${"m".repeat(5_000)}"}`)
    expect(excerpt).toContain("oops")
    expect(excerpt.length).toBeLessThanOrEqual(82)
    expect(excerpt.startsWith("…") && excerpt.endsWith("…")).toBe(true)
    expect(refused("{\"key\": sk-abcdefghijklmnopqrstuvwxyz0123456789 }").excerpt).not.toContain("abcdefghij")
  })

  it("calls every proper prefix of an object truncated", () => {
    const text = JSON.stringify({ to: "bob 😀", n: -12.5e3, list: [1, [true, null], {}], deep: { "é\"\\": "\u0001" } })
    for (let end = 1; end < text.length; end++) expect(reason(text.slice(0, end))).toBe("Truncated")
  })
})

describe("strictJson reports what JSON.parse swallows", () => {
  it.each<[string, ReadonlyArray<readonly [StrictJson.HazardKind, ReadonlyArray<string | number>]>]>([
    ["{\"a\":1,\"a\":2}", [["DuplicateKey", ["a"]]]],
    ["{\"a\":1,\"\\u0061\":2}", [["DuplicateKey", ["a"]]]],
    ["{\"x\":[{},{\"a\":1,\"a\":1}]}", [["DuplicateKey", ["x", 1, "a"]]]],
    ["{\"__proto__\":{\"admin\":true}}", [["ProtoKey", ["__proto__"]]]],
    ["{\"\\u005f_proto__\":1}", [["ProtoKey", ["__proto__"]]]],
    ["{\"a\":{\"constructor\":{\"prototype\":{}}}}", [["ProtoKey", ["a", "constructor", "prototype"]]]],
    ["{\"id\":9007199254740993}", [["UnsafeNumber", ["id"]]]],
    ["{\"id\":9007199254740993.0}", [["UnsafeNumber", ["id"]]]],
    ["[12345678901234567890]", [["UnsafeNumber", [0]]]],
    ["{\"a\":1e400}", [["UnsafeNumber", ["a"]]]],
    ["{\"a\":-1e400}", [["UnsafeNumber", ["a"]]]],
    [`[${"9".repeat(400)}]`, [["UnsafeNumber", [0]]]],
    ["{\"a\":\"\\ud800\"}", [["LoneSurrogate", ["a"]]]],
    ["{\"a\":\"\ud800x\"}", [["LoneSurrogate", ["a"]]]],
    ["{\"a\":\"\udc00\"}", [["LoneSurrogate", ["a"]]]],
    ["{\"a\":\"\\ude00\\ud83d\"}", [["LoneSurrogate", ["a"]]]],
    ["{\"a\":\"\ud83d\\n\\ude00\"}", [["LoneSurrogate", ["a"]]]],
    ["{\"\\udc00\":1}", [["LoneSurrogate", ["\udc00"]]]]
  ])("%s", (text, expected) => expect(hazards(text)).toEqual(expected))

  it.each([
    "-0",
    "0.1",
    "0.12345678901234567890",
    "1e21",
    "6.02214076e23",
    "9007199254740991",
    "-9007199254740991",
    "9007199254740992",
    "100000000000000000000",
    "12345678901234567.5",
    "1e-400",
    "\"😀\"",
    "\"\\ud83d\\ude00\"",
    "\"\ud83d\\ude00\"",
    "{\"constructor\":1,\"prototype\":2,\"toString\":3}",
    "[{\"a\":1},{\"a\":1}]",
    "{\"constructor\":[{\"prototype\":1}]}"
  ])("%s is none", (text) => expect(hazards(text)).toEqual([]))

  it("keeps at most a handful of them", () =>
    expect(hazards(`[${"\"\\ud800\",".repeat(1_000)}0]`)).toHaveLength(StrictJson.hazardLimit))

  it("leaves no shared prototype touched", () => {
    parsed("{\"__proto__\":{\"admin\":true}}")
    expect(Reflect.get({}, "admin")).toBeUndefined()
  })
})

describe("strictJson is linear and cannot overflow the stack", () => {
  const unlimited = { maxLength: Number.POSITIVE_INFINITY }

  it("refuses what is larger or deeper than its caps", () => {
    expect(reason(" ".repeat(StrictJson.defaults.maxLength + 1))).toBe("TooLarge")
    expect(parsed(`"${"a".repeat(StrictJson.defaults.maxLength - 2)}"`).hazards).toEqual([])
    expect(reason("[".repeat(257) + "]".repeat(257))).toBe("TooDeep")
    expect(parsed("[".repeat(256) + "]".repeat(256)).hazards).toEqual([])
    expect(reason("{\"a\":".repeat(100_000))).toBe("TooDeep")
    expect(reason("[".repeat(3), { maxDepth: 2 })).toBe("TooDeep")
    expect(reason("[1]", { maxLength: 2 })).toBe("TooLarge")
  })

  it("reads 10 MB, 100 000 levels and 1 000 000 keys", () => {
    expect(parsed(`"${"a".repeat(10_000_000)}"`, unlimited).hazards).toEqual([])
    const levels = 100_000
    expect(parsed("[".repeat(levels) + "]".repeat(levels), { maxDepth: levels }).hazards).toEqual([])
    const keys = Array.from({ length: 1_000_000 }, (_, index) => `"k${index}":0`).join(",")
    expect(parsed(`{${keys}}`, unlimited).hazards).toEqual([])
    expect(parsed(`[${"1".repeat(2_000_000)}]`, unlimited).hazards).toHaveLength(1)
  })
})
