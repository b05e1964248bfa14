import { describe, expect, it, vi } from "@effect/vitest"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import { isDeepStrictEqual } from "node:util"
import { readByKey, readJson } from "../../src/internal/readJson.ts"
import * as StrictJson from "../../src/internal/strictJson.ts"
import { runs } from "../runs.ts"

/** A value that is known without reading any JSON, and one of the ways to write it. */
interface Written {
  readonly value: unknown
  readonly text: string
}

const inUnicode = (unit: string): string => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`

/** Each character as it is, where it may stand so, or in the one or the other escape. */
const spelled = (text: string, choices: ReadonlyArray<number>): string => {
  const characters = text.split("").map((unit, index) => {
    const choice = choices[index % choices.length]
    return choice === 1 ? inUnicode(unit) : choice === 2 && unit === "/" ? "\\/" : JSON.stringify(unit).slice(1, -1)
  })
  return `"${characters.join("")}"`
}

/** Few characters, so that the escaped form of one key begins with another key. */
const Text = FastCheck.string({ unit: FastCheck.constantFrom(..."\\\"\n\ti/au0"), maxLength: 4 })
const Choices = FastCheck.array(FastCheck.nat(2), { minLength: 1, maxLength: 4 })
const Blank = FastCheck.constantFrom("", "", " ", "\n", "\t\r ")

const WrittenText: FastCheck.Arbitrary<Written> = FastCheck.tuple(Text, Choices).map(([value, choices]) => ({
  value,
  text: spelled(value, choices)
}))

const Scalar: FastCheck.Arbitrary<Written> = FastCheck.oneof(
  WrittenText,
  FastCheck.constantFrom(
    { value: 1, text: "1" },
    { value: -150, text: "-1.5e2" },
    { value: 0.25, text: "0.25" },
    { value: true, text: "true" },
    { value: false, text: "false" },
    { value: null, text: "null" }
  )
)

const record = (members: ReadonlyArray<readonly [string, unknown]>): object => {
  const made = {}
  for (const [key, value] of members) {
    Object.defineProperty(made, key, { value, configurable: true, enumerable: true, writable: true })
  }
  return made
}

const grown = (levels: number): FastCheck.Arbitrary<Written> => {
  if (levels === 0) return Scalar
  const item = grown(levels - 1)
  const Key = FastCheck.oneof({ weight: 8, arbitrary: Text }, {
    weight: 1,
    arbitrary: FastCheck.constantFrom("__proto__", "constructor", "1", "")
  })
  return FastCheck.oneof(
    { weight: 1, arbitrary: Scalar },
    {
      weight: 2,
      arbitrary: FastCheck.tuple(FastCheck.array(item, { maxLength: 3 }), Blank).map(([items, blank]): Written => ({
        value: items.map(({ value }) => value),
        text: `[${blank}${items.map(({ text }) => text).join(`${blank},`)}${blank}]`
      }))
    },
    {
      weight: 4,
      arbitrary: FastCheck.tuple(FastCheck.array(FastCheck.tuple(Key, Choices, item), { maxLength: 4 }), Blank)
        .map(([members, blank]): Written => ({
          value: record(members.map(([key, , { value }]) => [key, value])),
          text: `{${blank}${
            members.map(([key, choices, { text }]) => `${spelled(key, choices)}${blank}:${blank}${text}`).join(
              `${blank},${blank}`
            )
          }${blank}}`
        }))
    }
  )
}

const Document = FastCheck.tuple(grown(3), Blank, Blank).map(([{ text, value }, before, behind]) => ({
  value,
  text: `${before}${text}${behind}`
}))

const strictly = (text: string): unknown => Either.getOrThrow(StrictJson.parse(text)).value

describe("a document with escapes in its keys", () => {
  const times = { numRuns: runs(2_000, 20_000) }

  it.each([["readJson", readJson], ["readByKey", readByKey], ["strictJson", strictly]] as const)(
    "is read by %s as it is written, on every engine",
    (_, read) =>
      FastCheck.assert(
        FastCheck.property(Document, ({ text, value }) => {
          expect([text, isDeepStrictEqual(read(text), value)]).toEqual([text, true])
        }),
        times
      )
  )

  // The pairs that Node 24.21 misreads: the first key, then one whose escaped form begins with it.
  it.each([
    ["[{\"\\\\\":5},{\"\\n\":7}]", [{ "\\": 5 }, { "\n": 7 }]],
    ["[{\"i\\\\\":0},{\"i\\\"\":1}]", [{ "i\\": 0 }, { "i\"": 1 }]],
    ["[{\"i\":1,\"\\\\\":5},{\"i\":2,\"\\\"\":3}]", [{ "i": 1, "\\": 5 }, { "i": 2, "\"": 3 }]]
  ])("has the keys that stand in it: %s", (text, value) => {
    for (let again = 0; again < 3; again++) {
      expect(strictly(text)).toStrictEqual(value)
      expect(readJson(text)).toStrictEqual(value)
    }
  })

  it("is not read by an engine that misreads it", () => {
    const engine = JSON.parse
    const parse = vi.spyOn(JSON, "parse").mockImplementation((text: string) =>
      /^\s*[[{]/.test(text) ? { misread: true } : engine(text)
    )
    try {
      expect([strictly("{\"a\\n\":[1]}"), readJson("{\"a\\n\":[1]}")]).toEqual([{ "a\n": [1] }, { "a\n": [1] }])
      // Escapes in values are read rightly everywhere; these are left to the engine, which is faster.
      expect([strictly("{\"a\":\"\\n\"}"), readJson("{\"a\":\"\\\":\"}")]).toEqual([{ misread: true }, {
        misread: true
      }])
    } finally {
      parse.mockRestore()
    }
  })
})

describe("readJson", () => {
  it("throws for what is no JSON", () => {
    for (const text of ["", "{\"a\\n\":", "{\"a\\n\":1", "{\"a\\", "{\"a\\n\":01}", "{\"a\\x\":1}"]) {
      expect(() => readJson(text), text).toThrow(SyntaxError)
    }
  })

  it("keeps the last of repeated keys in the place of the first", () => {
    expect(Object.entries(readJson("{\"\\n\":1,\"b\":2,\"\\u000a\":3}") as object)).toEqual([["\n", 3], ["b", 2]])
  })

  it("sets no prototype", () => {
    const read = readJson("{\"__pr\\u006fto__\":{\"x\":1}}")
    expect(Object.getPrototypeOf(read)).toBe(Object.prototype)
    expect(Object.keys(read as object)).toEqual(["__proto__"])
  })

  it("reads what is nested deeply", () => {
    const depth = 100_000
    const text = `${"[".repeat(depth)}{"\\n":0}${"]".repeat(depth)}`
    let read = readJson(text)
    for (let level = 0; level < depth; level++) read = Array.isArray(read) ? read[0] : undefined
    expect(read).toEqual({ "\n": 0 })
  })
})
