import { describe, expect, it } from "@effect/vitest"
import * as Either from "effect/Either"
import { draw } from "../../src/internal/seeded.ts"
import { decode, documents } from "./argumentDocuments.ts"
import { damages, late, type Name, names, pairs } from "./damages.ts"
import { evidence, temptations } from "./damageTable.ts"

const outcome = (text: string) =>
  Either.match(decode(text), {
    onLeft: (error) => ({
      refused: error._tag,
      reason: "reason" in error ? error.reason : "hazard" in error ? error.hazard : undefined
    }),
    onRight: (call) => ({ value: call.arguments, repairs: call.repairs })
  })

const inOrder = (used: ReadonlyArray<Name>) => names.filter((name) => used.includes(name))

describe("the lossless repairs give back what was meant", () => {
  it("knows 300 documents, all of them good when whole", () => {
    expect(new Set(documents.map(({ text }) => text)).size).toBe(300)
    for (const { text, value } of documents) expect(outcome(text)).toEqual({ value, repairs: [] })
  })

  it("for every document and every damage", () => {
    const counts = new Map<Name, number>()
    for (const [index, { text, value }] of documents.entries()) {
      for (const name of names) {
        const damaged = damages[name](text, draw("single", name, index))
        if (damaged === undefined) continue
        counts.set(name, (counts.get(name) ?? 0) + 1)
        expect(outcome(damaged), JSON.stringify(damaged)).toEqual({ value, repairs: [name] })
      }
    }
    console.log(`  healed: ${[...counts].map(([name, count]) => `${name} ${count}`).join(", ")}`)
    for (const name of names) expect(counts.get(name)).toBeGreaterThan(90)
  })

  it("for every document and every pair of damages, in both orders", () => {
    const counts = new Map<string, number>()
    for (const [index, { text, value }] of documents.entries()) {
      for (const [first, second] of [...pairs, ...late]) {
        const once = damages[first](text, draw("first", first, second, index))
        const twice = once === undefined ? undefined : damages[second](once, draw("second", first, second, index))
        if (twice === undefined) continue
        counts.set(`${first} ${second}`, (counts.get(`${first} ${second}`) ?? 0) + 1)
        expect(outcome(twice), JSON.stringify(twice)).toEqual({ value, repairs: inOrder([first, second]) })
      }
    }
    const total = [...counts.values()].reduce((sum, count) => sum + count, 0)
    console.log(`  healed: ${total} texts damaged in ${counts.size} pairs of ways`)
    expect(counts.size).toBe(pairs.length + late.length)
    expect(total).toBeGreaterThan(5_000)
  })

  it("for every document with all damages at once", () => {
    for (const [index, { text, value }] of documents.entries()) {
      const used: Array<Name> = []
      const order: ReadonlyArray<Name> = [
        "pythonLiterals",
        "trailingCommas",
        "controlCharacters",
        "comments",
        "doubleEncoded",
        "fence",
        "byteOrderMark"
      ]
      const damaged = order.reduce((before, name) => {
        const after = damages[name](before, draw("all", name, index))
        if (after !== undefined) used.push(name)
        return after ?? before
      }, text)
      expect(outcome(damaged), JSON.stringify(damaged)).toEqual({ value, repairs: inOrder(used) })
    }
  })
})

describe("every way in which models damage JSON", () => {
  const table = [...evidence, ...temptations]

  it.each(table.map(([kind, text, expected]) => [kind, text, expected] as const))(
    "%s: %j",
    (_, text, expected) => {
      const found = outcome(text)
      if (typeof expected === "string") expect(found).toMatchObject({ reason: expected })
      else expect(found).toEqual(expected)
    }
  )

  it("comes out right or is refused, and is never another value", () => {
    const count = (rows: typeof evidence) => {
      const counts = { right: 0, mended: 0, refused: 0, otherValue: 0 }
      for (const [, text, expected] of rows) {
        const found = outcome(text)
        if (!("value" in found)) counts.refused++
        else if (typeof expected === "string" || JSON.stringify(found.value) !== JSON.stringify(expected.value)) {
          counts.otherValue++
        } else if (found.repairs.length > 0) counts.mended++
        else counts.right++
      }
      return counts
    }
    console.log("  evidence:", count(evidence), "\n  temptations:", count(temptations))
    expect(count(evidence)).toEqual({ right: 10, mended: 13, refused: 106, otherValue: 0 })
    expect(count(temptations)).toEqual({ right: 2, mended: 4, refused: 26, otherValue: 0 })
  })
})
