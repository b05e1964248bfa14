import { describe, expect, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as LinearRegExp from "../../../src/adapter/jsonSchema/linearRegExp.ts"
import { runs } from "../../runs.ts"

const compile = (pattern: string, spend: LinearRegExp.Spend = () => {}) =>
  LinearRegExp.compile(pattern, LinearRegExp.shared(spend))

const atoms = [
  ..."ab-_/ é😀Ωſ\u0130.^$",
  ..."dDwWsSbBtn0.$/".split("").map((letter) => `\\${letter}`),
  ...["\\x61", "\\u00e9", "\\u{61}", "\\u{1F600}", "\\ud83d\\ude00", "\\ud83d", "\\ude00", "\\cJ"],
  ...["[ab]", "[^a]", "[a-z\\]]", "[^]", "[]", "[\\ud83d]", "[😀-😂]", "[\\p{L}\\d]", "[\\S\\n]", "[^\\S ]", "[\\W_]"],
  ...["[\\b]", "[\\-a]", "[.]", "[(?:]", "[(?<]", "[$^|]", "[\\t-\\r]", "[\\u2028-\\u2029]", "[\\cA-\\cZ]"],
  ...["\\p{L}", "\\P{L}", "\\p{Lu}", "\\p{Letter}", "\\p{Script=Greek}", "\\p{Emoji}", "\\p{ASCII}"]
]

const { pattern } = FastCheck.letrec<{ readonly pattern: string }>((tie) => ({
  pattern: FastCheck.oneof(
    { depthSize: "small" },
    FastCheck.constantFrom(...atoms),
    FastCheck.array(tie("pattern"), { maxLength: 3 }).map((parts) => parts.join("")),
    FastCheck.array(tie("pattern"), { minLength: 1, maxLength: 3 }).map((parts) => `(?:${parts.join("|")})`),
    tie("pattern").map((inner) => `(${inner})`),
    FastCheck.tuple(tie("pattern"), FastCheck.constantFrom("*", "+", "?", "{2}", "{1,3}", "{2,}", "{0}", "*?", "+?"))
      .map((
        [inner, times]
      ) => `(?:${inner})${times}`)
  )
}))

const text = FastCheck.array(
  FastCheck.constantFrom(
    ..."abcA1 -é😀😂Ωſ\u0130Ⅷ\n\r\t\b\0\u0085\u00a0\u180e\u2028\u3000\ufeff._/$^([",
    "\ud83d",
    "\ude00"
  ),
  { maxLength: 8 }
).map((letters) => letters.join(""))

/** As and bs without a pattern to them, the same ones each time. */
const letters = (length: number): string => {
  let seed = 1
  const next = () => {
    seed = Math.imul(seed, 1_103_515_245) + 12_345 >>> 0
    return (seed & 65_536) === 0 ? "a" : "b"
  }
  return Array.from({ length }, next).join("")
}

describe("a pattern matched in linear time", () => {
  it("matches what JavaScript's own engine matches", () => {
    let matched = 0
    FastCheck.assert(
      FastCheck.property(pattern, text, (source, given) => {
        const compiled = compile(source)
        if (Either.isLeft(compiled)) return expect(compiled.left).toBe("TooLarge")
        const expected = new RegExp(source, "u").test(given)
        if (expected) matched++
        expect(compiled.right.test(given)).toBe(expected)
        // Once more, now that its states are known.
        expect(compiled.right.test(given)).toBe(expected)
      }),
      { numRuns: runs(4_000, 20_000) }
    )
    expect(matched).toBeGreaterThan(runs(1_000, 5_000))
  }, 60_000)

  it.each([
    ["^[\\w\\-\\.]+$", "a-b.c", true],
    ["\\-\\_\\@", "-_@", true],
    ["a{,3}", "a{,3}", true],
    ["^(?<year>\\d{4})-\\d{2}$", "2024-01", true],
    ["^\\cA$", "\u0001", true],
    ["[\\b]", "\b", true],
    ["a\\Bb", "ab", true],
    ["^\\u{1F600}$", "😀", true],
    ["", "", true],
    ["^$", "x", false],
    ["^.{64}$", "x".repeat(64), true],
    ["^.{64}$", "x".repeat(65), false],
    ["^(?:[^@\\s]+@[^@\\s]+\\.[^@\\s]+)?$", "a@b.c", true]
  ])(
    "%s on %j is %s",
    (source, given, expected) => expect(Either.getOrThrow(compile(source)).test(given)).toBe(expected)
  )

  it.each([
    ["[", "Syntax"],
    ["a**", "Syntax"],
    // Not valid with Unicode, and without it `\\p{L}` is the text "p{L}".
    ["^\\p{L}+\\@$", "Syntax"],
    ["(?=a)", "Unsupported"],
    ["(?!a)", "Unsupported"],
    ["(?<=a)", "Unsupported"],
    ["(?<!a)", "Unsupported"],
    ["(a)\\1", "Unsupported"],
    ["(?<n>a)\\k<n>", "Unsupported"],
    ["a{2000}", "TooLarge"],
    ["((a{1,100}){1,100}){1,100}", "TooLarge"],
    ["(?:){100000000}", "TooLarge"],
    [`${"(".repeat(101)}${")".repeat(101)}`, "TooLarge"],
    ["a".repeat(5_000), "TooLarge"]
  ])("%s is refused: %s", (source, reason) => expect(compile(source)).toEqual(Either.left(reason)))

  it.each([
    ["^(a+)+$", `${"a".repeat(100_000)}!`],
    ["^(a|a)*$", `${"a".repeat(100_000)}!`],
    ["^(\\w+\\s?)*$", `${"word ".repeat(20_000)}!`],
    ["\\s+$", `${" ".repeat(100_000)}x`],
    ["(.*)(.*)(.*)(.*)x", "a".repeat(100_000)]
  ])("%s takes work in proportion to the text", (source, given) => {
    let work = 0
    const matcher = Either.getOrThrow(compile(source, (units) => {
      work += units
    }))
    expect(matcher.test(given)).toBe(false)
    expect(work).toBeLessThan(given.length + 1_000)
  })

  it("keeps no more of its states than it may, and stays right", () => {
    const matcher = Either.getOrThrow(compile("(a|b)*a(a|b){12}c"))
    const given = letters(50_000)
    expect(matcher.test(given)).toBe(false)
    expect(matcher.test(`${given}a${"b".repeat(12)}c`)).toBe(true)
  })

  it("shares what it may keep, and the steps it may have, with the other patterns of its schema", () => {
    const shared = LinearRegExp.shared(() => {})
    const matchers = Array.from(
      { length: 40 },
      (_, n) => Either.getOrThrow(LinearRegExp.compile(`[ab]*a[ab]{60}[cd]${n}`, shared))
    )
    const given = letters(500)
    for (const matcher of matchers) {
      expect(matcher.test(given)).toBe(false)
      expect(shared.kept).toBeLessThanOrEqual(LinearRegExp.limits.kept)
    }
    expect(shared.states.size).toBeLessThan(LinearRegExp.limits.kept / 200)
    matchers.forEach((matcher, n) => expect(matcher.test(`${given}a${"b".repeat(60)}c${n}`)).toBe(true))

    const refused = Array.from({ length: 60 }, (_, n) => LinearRegExp.compile(`a{1000}${n}`, shared))
    expect(refused.at(0)).toMatchObject({ _tag: "Right" })
    expect(refused.at(-1)).toEqual(Either.left("TooMany"))
  })
})
