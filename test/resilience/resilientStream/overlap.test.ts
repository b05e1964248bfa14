import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { Join } from "../../../src/resilience/resilientStream/overlap.ts"
import { runs } from "../../runs.ts"

/** What is given on of a continuation that comes in these deltas. */
const joined = (text: string, deltas: ReadonlyArray<string>, blanks = 0): string => {
  const join = new Join(text, blanks)
  return deltas.map((delta) => join.push(delta)).join("") + join.end()
}

const longestOverlap = (text: string, continuation: string): number => {
  for (let length = Math.min(text.length, continuation.length); length > 0; length--) {
    if (text.endsWith(continuation.slice(0, length))) return length
  }
  return 0
}

/** Cuts a text into pieces of the given lengths, over and over. */
const inPieces = (text: string, lengths: ReadonlyArray<number>): ReadonlyArray<string> => {
  const pieces: Array<string> = []
  let at = 0
  for (let i = 0; at < text.length; i++) {
    const length = lengths[i % lengths.length] ?? 1
    pieces.push(text.slice(at, at + length))
    at += length
  }
  return pieces
}

describe("a continuation", () => {
  it.each<readonly [string, text: string, continuation: string, fresh: string]>([
    ["that repeats nothing", "The cat sat", " on the mat.", " on the mat."],
    ["that repeats the last words", "one two one two three", "two three four", " four"],
    ["that repeats all", "The cat sat", "The cat sat on the mat.", " on the mat."],
    ["that repeats all and ends there", "The cat sat", "The cat sat", ""],
    ["that stands in the middle of the text, too", "The cat sat. The cat ran", "The cat slept.", "The cat slept."],
    ["that begins like the text a second time", "abcabcabc1 abcabcabc", "abcabcabcabd", "abd"],
    ["that ends within what could be a repetition", "The cat sat on the mat", "The cat", "The cat"],
    ["that repeats a word that was begun", "The capital is Par", "Paris.", "is."],
    ["that repeats a whole word", "It is very", "very good", " good"],
    ["that goes on within a word", "The capital is Par", "is.", "is."],
    ["that begins with the last letter", "a banana", "anas", "anas"],
    ["that begins with the last two letters", "bon", "on and on", "on and on"],
    ["that begins with the end of a word", "a window", "window", ""],
    ["that begins with the blank that came", "The cat ", " sat", " sat"],
    ["that begins another line", "one\n", "\ntwo", "\ntwo"],
    ["that goes on in digits", "1000", "1000", "1000"],
    ["of nothing", "The cat", "", ""],
    ["of a text of nothing", "", "The cat", "The cat"]
  ])("%s gives on what is new", (_, text, continuation, fresh) => {
    expect(joined(text, [continuation])).toBe(fresh)
    expect(joined(text, [...continuation])).toBe(fresh)
  })

  it("is held back only while it may be a repetition", () => {
    const join = new Join("one two one two three")
    expect(["tw", "o t", "hree", " four", "five"].map((delta) => join.push(delta))).toEqual([
      "",
      "",
      "",
      " four",
      "five"
    ])
    const other = new Join("one two one two three")
    expect(["tw", "enty", " two"].map((delta) => other.push(delta))).toEqual(["", "twenty", " two"])
  })

  it("does not repeat blanks that the request left out", () => {
    expect(joined("The cat ", [" sat"], 1)).toBe("sat")
    expect(joined("The cat ", ["sat"], 1)).toBe("sat")
    expect(joined("The cat\n\n", ["\n", "\n", "sat"], 2)).toBe("sat")
    expect(joined("The cat\n\n", ["\nsat"], 2)).toBe("sat")
    expect(joined("The cat \n", ["\nsat"], 2)).toBe("\nsat")
    expect(joined("The cat sat ", ["The cat sat on"], 1)).toBe("on")
    expect(joined("The cat  ", [" "], 2)).toBe("")
  })

  const letters = FastCheck.string({ unit: FastCheck.constantFrom("a", "b"), maxLength: 60 })
  const words = FastCheck.array(FastCheck.constantFrom("one ", "two ", "three\n", "😀", "- "), { maxLength: 40 }).map(
    (all) => all.join("")
  )
  const anyText = FastCheck.oneof(letters, words, FastCheck.string({ maxLength: 40 }))
  const lengths = FastCheck.array(FastCheck.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 5 })

  it("loses exactly the longest overlap, or nothing, however it is cut", () => {
    let overlaps = 0
    FastCheck.assert(
      FastCheck.property(anyText, anyText, FastCheck.nat(60), lengths, (text, more, back, cuts) => {
        const continuation = text.slice(Math.max(0, text.length - back)) + more
        const overlap = longestOverlap(text, continuation)
        const fresh = joined(text, inPieces(continuation, cuts))
        if (overlap >= 8) {
          overlaps += 1
          expect(fresh).toBe(continuation.slice(overlap))
        } else expect([continuation, continuation.slice(overlap)]).toContain(fresh)
        expect(joined(text, [continuation])).toBe(fresh)
      }),
      { numRuns: runs(500, 5_000), seed: 7 }
    )
    expect(overlaps).toBeGreaterThan(runs(100, 1_000))
  })

  it("without an overlap is given on as it came", () => {
    FastCheck.assert(
      FastCheck.property(anyText, anyText, lengths, (text, continuation, cuts) => {
        FastCheck.pre(longestOverlap(text, continuation) < 3)
        expect(joined(text, inPieces(continuation, cuts))).toBe(continuation)
      }),
      { numRuns: runs(200, 2_000), seed: 7 }
    )
  })

  it("never gives on what could still be a repetition, and all else at once", () => {
    FastCheck.assert(
      FastCheck.property(letters, letters, (text, continuation) => {
        const join = new Join(text)
        let came = ""
        let given = ""
        for (const letter of continuation) {
          came += letter
          given += join.push(letter)
          const mayGrow = text.slice(0, -1).includes(came)
          if (mayGrow) expect(given).toBe("")
          else expect(came.endsWith(given) && (given !== "" || longestOverlap(text, came) === came.length)).toBe(true)
        }
      }),
      { numRuns: runs(200, 2_000), seed: 7 }
    )
  })

  it("takes steps in proportion to the text and itself, also where it nearly repeats over and over", () => {
    let reads = 0
    const counted = (text: string): string =>
      // What reads a character of the text is counted.
      Object.assign(Object(text), {
        charCodeAt: (at: number) => {
          reads += 1
          return text.charCodeAt(at)
        }
      })
    const length = 20_000
    const text = `${"a".repeat(length)}`
    const join = new Join(counted(text))
    for (let i = 0; i < length / 2; i++) join.push("a")
    join.push("b")
    join.end()
    expect(reads).toBeLessThan(4 * length)
  })
})
