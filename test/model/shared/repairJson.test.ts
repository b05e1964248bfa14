import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import * as RepairJson from "../../../src/model/shared/repairJson.ts"
import { runs } from "../../runs.ts"

const all = new Set(RepairJson.rules)

describe("repairJson", () => {
  it("leaves JSON alone", () =>
    FastCheck.assert(
      FastCheck.property(FastCheck.json(), FastCheck.constantFrom(undefined, 2, "\t"), (text, space) => {
        expect(RepairJson.mend(JSON.stringify(JSON.parse(text), null, space), all)).toBeUndefined()
      }),
      { numRuns: 500, seed: 3 }
    ))

  it("has nothing more to mend in what it mended, except a fence in a fence", () =>
    FastCheck.assert(
      FastCheck.property(
        FastCheck.array(
          FastCheck.constantFrom(..."{}[],:\"\\/*\n\t 1`", "True", "None", "//", "/*", "*/", "\ufeff", "\"a\"", "10"),
          { maxLength: 14 }
        ),
        (pieces) => {
          const once = RepairJson.mend(pieces.join(""), all)
          const again = once === undefined ? undefined : RepairJson.mend(once.text, all)
          // What a repair leaves standing may be a fence, or a comma that now follows a value.
          if (again !== undefined) expect(again.applied.every((rule) => once?.applied.includes(rule))).toBe(true)
        }
      ),
      { numRuns: runs(500, 2_000), seed: 5 }
    ))

  it("applies the rules it is given and no others", () => {
    const text = "\ufeff```\n{\"a\":[True,],//\n\"b\":\"\t\"}```"
    expect(RepairJson.mend(text, new Set())).toBeUndefined()
    for (const rule of RepairJson.rules) {
      expect(RepairJson.mend(text, new Set([rule]))?.applied ?? []).toEqual(
        rule === "doubleEncoded" || rule === "fence" ? [] : [rule]
      )
    }
    expect(RepairJson.mend(text, all)?.applied).toEqual(RepairJson.rules.filter((rule) => rule !== "doubleEncoded"))
  })

  it("knows where each place of the mended text comes from", () => {
    const text = "\ufeff ```json\n{\"a\": None, /* x */ \"b\": \"1\n2\", \"c\": [7,], d}\n```"
    const mended = RepairJson.mend(text, all)
    const made = mended?.text ?? ""
    for (const mark of ["\"a\"", "\"b\"", "\"c\"", "7", "d}", "2\""]) {
      expect(mended?.origin(made.indexOf(mark)), mark).toBe(text.indexOf(mark))
    }
    expect(mended?.origin(made.length)).toBe(text.lastIndexOf("```"))
    // The inside of an edit is the end of what it took the place of.
    expect(mended?.origin(made.indexOf("null") + 1)).toBe(text.indexOf("None") + 4)
  })

  it.each([
    ["{a: 1}", true],
    ["{'a': 'x'} ;", true],
    ["```\n{a: 1}\n```", true],
    ["\ufeff{a: 1}", true],
    ["{\"a\":[1,2}", true],
    ["{a: 1}}", true],
    ["{a: 1", false],
    ["{a: {b: 1}", false],
    ["{'a': 'x}", false],
    ["{\"a\": \"x}", false],
    ["{a: 1} and more", false],
    ["[1]", false],
    ["", false],
    ["```\n{a: 1}", false]
  ])("says of %j whether it looks whole: %s", (text, whole) => expect(RepairJson.looksWhole(text)).toBe(whole))
})
