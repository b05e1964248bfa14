import { describe, expect, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import { isDeepStrictEqual } from "node:util"
import * as StrictJson from "../../src/internal/strictJson.ts"
import { runs } from "../runs.ts"
import { decode, documents } from "./argumentDocuments.ts"

const platform = (text: string): Either.Either<unknown, unknown> => Either.try(() => JSON.parse(text))

const isJson = (text: string): boolean => Either.isRight(platform(text))

const strings = /"(?:[^"\\]|\\[\s\S])*"/g

/** What closes the brackets that are open, strings aside. */
const closers = (text: string): string => {
  const open: Array<string> = []
  for (const mark of text.replace(strings, "").match(/[{}[\]]/g) ?? []) {
    if (mark === "{") open.push("}")
    else if (mark === "[") open.push("]")
    else open.pop()
  }
  return open.reverse().join("")
}

/** Ways to end what may be begun at the end of a text: a word, a number, an escape, a string, a pair. */
const endings = ["", "0", ":0", "\"\":0", "rue", "ue", "e", "alse", "lse", "se", "ull", "ll", "l"].concat(
  ["", "\"", "n", "0", "00", "000", "0000"].flatMap((escape) => [`${escape}"`, `${escape}":0`])
)

/** Whether some text behind this one would make it JSON. */
const hasFuture = (text: string): boolean =>
  endings.some((ending) => isJson(`${text}${ending}${closers(`${text}${ending}`)}`))

/** By the definition alone: the fault lies at the first character that no continuation can make good again. */
const faultOf = (text: string): { readonly reason: "Truncated" | "Refused" | "Empty"; readonly offset: number } => {
  if (/^[ \t\n\r]*$/.test(text)) return { reason: "Empty", offset: 0 }
  for (let end = 1; end <= text.length; end++) {
    if (!hasFuture(text.slice(0, end))) return { reason: "Refused", offset: end - 1 }
  }
  return { reason: "Truncated", offset: text.length }
}

/** A key is a string with a colon behind it. */
const keysOf = (text: string): ReadonlyArray<string> =>
  Array.from(text.matchAll(/"((?:[^"\\]|\\[\s\S])*)"(?=\s*:)/g), (found) => String(JSON.parse(`"${found[1]}"`)))

const ownKeys = (value: unknown): number =>
  typeof value !== "object" || value === null
    ? 0
    : Object.values(value).reduce(
      (sum: number, each) => sum + ownKeys(each),
      Array.isArray(value) ? 0 : Object.keys(value).length
    )

const reachesPrototype = (value: unknown): boolean =>
  typeof value === "object" && value !== null &&
  Object.entries(value).some(([key, each]) =>
    (!Array.isArray(value) && key === "constructor" && !Array.isArray(each) && typeof each === "object" &&
      each !== null && Object.hasOwn(each, "prototype")) || reachesPrototype(each)
  )

const isUnsafe = (number: string): boolean => {
  const value = Number(number)
  if (!Number.isFinite(value)) return true
  const integer = /^(-?\d+)(?:\.0+)?$/.exec(number)?.[1]
  return integer !== undefined && BigInt(integer) !== BigInt(value)
}

/** The documented hazards of a text that is JSON, each found by other means than reading it. */
const hazardsOf = (text: string): ReadonlyArray<StrictJson.HazardKind> => {
  const value: unknown = JSON.parse(text)
  const keys = keysOf(text)
  const read = (text.match(strings) ?? []).map((string) => String(JSON.parse(string)))
  const numbers = text.replace(strings, " ").match(/-?\d[\d.eE+-]*/g) ?? []
  const found: ReadonlyArray<readonly [StrictJson.HazardKind, boolean]> = [
    ["DuplicateKey", ownKeys(value) !== keys.length],
    ["LoneSurrogate", read.some((string) => /\p{Surrogate}/u.test(string))],
    ["ProtoKey", keys.includes("__proto__") || reachesPrototype(value)],
    ["UnsafeNumber", numbers.some(isUnsafe)]
  ]
  return found.flatMap(([kind, is]) => is ? [kind] : [])
}

const counts = { accepted: 0, hazardous: 0, refused: 0, cut: 0 }

const agrees = (text: string): void => {
  const theirs = platform(text)
  const ours = StrictJson.parse(text)
  const told = JSON.stringify(text)
  if (Either.isRight(theirs)) {
    const { hazards, value } = Either.getOrThrow(ours)
    // `toStrictEqual` calls what is under the key `constructor`.
    expect(isDeepStrictEqual(value, theirs.right), told).toBe(true)
    const expected = hazardsOf(text)
    const kinds = [...new Set(hazards.map(({ hazard }) => hazard))].sort()
    // A key that stands twice hides what stood under it the first time from the platform's value.
    if (expected.includes("DuplicateKey")) expect(kinds, told).toContain("DuplicateKey")
    else expect(kinds, told).toEqual(expected)
    const isObject = typeof theirs.right === "object" && theirs.right !== null && !Array.isArray(theirs.right)
    const call = decode(text)
    if (isObject && expected.length === 0) {
      const { arguments: read, repairs } = Either.getOrThrow(call)
      expect(isDeepStrictEqual(read, theirs.right) && repairs.length === 0, told).toBe(true)
    } else if (isObject) {
      expect(Either.flip(call), told).toMatchObject(Either.right({ _tag: "HazardousArguments" }))
    }
    counts[expected.length === 0 ? "accepted" : "hazardous"]++
  } else {
    const { offset, reason } = Either.getOrThrow(Either.flip(ours))
    const fault = faultOf(text)
    expect({ offset, reason: reason === "Syntax" || reason === "TrailingContent" ? "Refused" : reason }, told).toEqual(
      fault
    )
    counts[fault.reason === "Truncated" ? "cut" : "refused"]++
  }
}

const accepted = [
  "{}",
  "[]",
  " {\t}\r\n",
  "0",
  "-0",
  "-0.0e-0",
  "1E22",
  "1e-10",
  "123456789",
  "-1.5",
  "20e1",
  "\"\"",
  "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
  "\"\\u0060\\u012a\\u12AB\"",
  "\"\\uD801\\udc37\"",
  "\"\ud801\udc37\"",
  "\"\u007f\"",
  "\"\u2028\u2029\ufeff\"",
  "\"\\u0000\"",
  "\"\\uFFFF\uffff\"",
  "\"a/*b*/c//d#e\"",
  "true",
  "false",
  "null",
  "[[],[[]],{}]",
  "[1,null,1,\"1\",{}]",
  "{\"\":0}",
  "{\"a\\u0000b\":1}",
  "{\"a\":{\"b\":{\"c\":[]}}}",
  "{\"min\":-1.0e+28,\"max\":1.0e+28}",
  "{\n\"a\"\r:\t[\n1 ,\n2 ]\n}",
  "{\"constructor\":1,\"prototype\":2,\"toString\":3,\"hasOwnProperty\":4}",
  "{\"constructor\":[{\"prototype\":1}]}",
  "[1e400]",
  "[-1e999]",
  "[9007199254740993]",
  "[100000000000000000001]",
  "[0.1234567890123456789]",
  "[\"\\ud800\"]",
  "[\"\\udc00\\ud800\"]",
  "[\"\\ud800\\n\"]",
  "[\"\\ud800\\ud800\\udc00\"]",
  "{\"\\udfaa\":0}",
  "{\"a\":1,\"a\":1}",
  "{\"a\":1,\"\\u0061\":2}",
  "{\"__proto__\":null}",
  "{\"\\u005f_proto__\":1}",
  "{\"constructor\":{\"prototype\":1}}",
  "{\"constructor\":{\"x\":{\"prototype\":1}}}"
]

const refused = [
  "[1 true]",
  "[a]",
  "[\"\":1]",
  "[\"\"],",
  "[,1]",
  "[1,,2]",
  "[1,,]",
  "[1,]",
  "[,]",
  "[\"x\"]]",
  "[\"x\"",
  "[x",
  "[3[4]]",
  "[\u00ff]",
  "[-]",
  "[*]",
  "[\"\",",
  "[1,\n1\n,1",
  "[{}",
  "[fals]",
  "[nul]",
  "[tru]",
  "[++1]",
  "[+1]",
  "[+Inf]",
  "[-01]",
  "[-1.0.]",
  "[-2.]",
  "[-NaN]",
  "[.-1]",
  "[.2e-3]",
  "[0.1.2]",
  "[0.3e+]",
  "[0.3e]",
  "[0.e1]",
  "[0E+]",
  "[0E]",
  "[1.0e+]",
  "[1.0e-]",
  "[1eE2]",
  "[1 000.0]",
  "[2.e+3]",
  "[9.e+]",
  "[Inf]",
  "[NaN]",
  "[\uff11]",
  "[1+2]",
  "[0x1]",
  "[0x42]",
  "[-Infinity]",
  "[-foo]",
  "[- 1]",
  "[-012]",
  "[-.123]",
  "[1.2a-3]",
  "[1.8011670033376514H-308]",
  "[012]",
  "[\"x\", truth]",
  "{[: \"x\"}",
  "{\"x\", null}",
  "{\"x\"::\"b\"}",
  "{\ud83c\udde8\ud83c\udded}",
  "{\"a\":\"a\" 123}",
  "{key: 'value'}",
  "{\"a\" b}",
  "{\"a\"",
  "{:\"b\"}",
  "{\"a\":",
  "{1:1}",
  "{9999E9999:1}",
  "{null:null,null:null}",
  "{\"id\":0,,,,,}",
  "{'a':0}",
  "{\"id\":0,}",
  "{\"a\":\"b\"}/**/",
  "{\"a\":\"b\"}//",
  "{\"a\":\"b\"}/",
  "{\"a\":\"b\",,\"c\":\"d\"}",
  "{a: \"b\"}",
  "{\"a\":\"a",
  "{ \"foo\" : \"bar\", \"a\" }",
  "{\"a\":\"b\"}#",
  " ",
  "",
  "[\"\\uD800\\\"]",
  "[\"\\uD800\\u\"]",
  "[\"\\uD800\\u1\"]",
  "[\"\\uD800\\u1x\"]",
  "[\u00e9]",
  "[\"\\x00\"]",
  "[\"\\\\\\\"]",
  "[\"\\\t\"]",
  "[\"\\\ud83c\udf00\"]",
  "[\"\\\"]",
  "[\"\\u00A\"]",
  "[\"\\uqqqq\"]",
  "[\"\\a\"]",
  "['single quote']",
  "abc",
  "[\"\\",
  "[\"a\u0000a\"]",
  "[\"new\nline\"]",
  "[\"\t\"]",
  "\"\\UA66D\"",
  "\"\"x",
  "<.>",
  "[<null>]",
  "[1]x",
  "[1]]",
  "aÃ¥",
  "[True]",
  "1]",
  "{\"x\": true,",
  "[][]",
  "]",
  "{}}",
  "{\"\":",
  "\ufeff",
  "\ufeff{}",
  "[",
  "[\u000c]",
  "2@",
  "{}x",
  "\\",
  "\u2060",
  "nan",
  "[\u2028]",
  "{\"a\":tr",
  "-",
  "{\"a\":1e",
  "{\"a\":\"\\u12",
  "truex",
  "nullnull",
  "1 2"
]

describe("whatever JSON.parse accepts is accepted unless it is hazardous, and nothing else is JSON", () => {
  it.each(accepted)("%j is JSON", (text) => {
    expect(isJson(text)).toBe(true)
    agrees(text)
  })

  it.each(refused)("%j is not, and the fault is where no continuation helps any more", (text) => {
    expect(isJson(text)).toBe(false)
    agrees(text)
  })

  it("for any JSON, spoilt at any place", () =>
    FastCheck.assert(
      FastCheck.property(
        FastCheck.oneof(FastCheck.json({ maxDepth: 3 }), FastCheck.constantFrom(...documents.map(({ text }) => text))),
        FastCheck.nat(),
        FastCheck.constantFrom(..." \t\n\u00a0\ufeff{}[]:,\"'\\/0159.-+eEutfn\u0000\ud800x"),
        FastCheck.constantFrom("keep", "change", "remove", "insert", "cut"),
        (json, seed, character, how) => {
          const text = json.slice(0, 120)
          const at = seed % (text.length + 1)
          agrees(
            how === "keep"
              ? json
              : how === "cut"
              ? text.slice(0, at)
              : text.slice(0, at) + (how === "remove" ? "" : character) + text.slice(how === "insert" ? at : at + 1)
          )
        }
      ),
      { numRuns: runs(200, 1_000), seed: 7 }
    ))

  it("for any text made of the pieces of JSON", () =>
    FastCheck.assert(
      FastCheck.property(
        FastCheck.array(
          FastCheck.constantFrom(
            ..." \n{}[]:,\"\\0127.-+eEu",
            ...[
              "true",
              "null",
              "\"a\"",
              "\"a\":",
              "\"__proto__\":1",
              "\\u0041",
              "\\ud83d",
              "1e5",
              "1e400",
              "-0",
              "{\"a\":1}"
            ]
          ),
          { maxLength: 12 }
        ),
        (pieces) => {
          agrees(pieces.join(""))
          agrees(`{"a":${pieces.join("")}}`)
        }
      ),
      { numRuns: runs(200, 1_000), seed: 11 }
    ))

  it("says how much was compared", () => {
    console.log(
      `  ${counts.accepted} accepted, ${counts.hazardous} hazardous, ${counts.refused} refused at the right place, ` +
        `${counts.cut} cut`
    )
    expect(Math.min(...Object.values(counts))).toBeGreaterThan(runs(4, 20))
  })
})
