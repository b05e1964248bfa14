import { describe, expect, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as FastCheck from "effect/FastCheck"
import * as Schema from "effect/Schema"
import * as Usage from "../../src/model/Usage.ts"
import { runs } from "../runs.ts"

const usages = Arbitrary.make(Usage.Usage)
const times = { numRuns: runs(100, 300) }

describe("Usage", () => {
  it("refuses counts that are negative, broken or not whole", () => {
    for (const inputTokens of [-1, 0.5, Number.NaN, Infinity]) {
      expect(() => new Usage.Usage({ inputTokens, outputTokens: 0, totalTokens: 0 })).toThrow()
    }
  })

  it("adds optional counts that only one side has", () => {
    const left = new Usage.Usage({ inputTokens: 1, outputTokens: 2, totalTokens: 3, reasoningTokens: 4 })
    const right = new Usage.Usage({ inputTokens: 10, outputTokens: 20, totalTokens: 30, cachedInputTokens: 5 })
    expect(Usage.add(left, right)).toEqual(
      new Usage.Usage({
        inputTokens: 11,
        outputTokens: 22,
        totalTokens: 33,
        reasoningTokens: 4,
        cachedInputTokens: 5
      })
    )
  })

  it("stands still at the largest safe integer", () => {
    const most = new Usage.Usage({ inputTokens: Number.MAX_SAFE_INTEGER, outputTokens: 0, totalTokens: 1 })
    expect(Usage.add(most, most).inputTokens).toBe(Number.MAX_SAFE_INTEGER)
  })

  it("law: adding is associative and commutative, and zero changes nothing", () =>
    FastCheck.assert(
      FastCheck.property(usages, usages, usages, (a, b, c) => {
        expect(Usage.add(Usage.add(a, b), c)).toEqual(Usage.add(a, Usage.add(b, c)))
        expect(Usage.add(a, b)).toEqual(Usage.add(b, a))
        expect(Usage.add(a, Usage.zero).totalTokens).toBe(a.totalTokens)
      }),
      times
    ))

  it("law: JSON and back is the same", () =>
    FastCheck.assert(
      FastCheck.property(usages, (usage) => {
        const wire = JSON.parse(JSON.stringify(Schema.encodeSync(Usage.Usage)(usage)))
        expect(Schema.decodeUnknownSync(Usage.Usage)(wire)).toEqual(usage)
      }),
      times
    ))
})
