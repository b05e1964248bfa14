import { describe, expect, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Hash from "effect/Hash"
import * as Stream from "effect/Stream"
import * as openAiChat from "../../../src/provider/openAiChat/stream.ts"
import * as decode from "../../../src/provider/shared/decode.ts"
import * as table from "../../../src/provider/shared/table.ts"

const letters = [..."ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"]

/** How Effect's hash of a string goes on; it reads from the end. */
const hashedOn = (hash: number, text: string): number =>
  [...text].reverse().reduce((before, letter) => (before * 33) ^ letter.charCodeAt(0), hash)

/** Two texts of two letters that lead from a hash to the same one. */
const twins = (hash: number): readonly [string, string] => {
  const seen = new Map<number, string>()
  for (const first of letters) {
    for (const second of letters) {
      const text = first + second
      const other = seen.get(hashedOn(hash, text))
      if (other !== undefined) return [other, text]
      seen.set(hashedOn(hash, text), text)
    }
  }
  throw new Error("no two texts lead to the same hash")
}

/** Ids of one hash, twice as many with each pair of twins. */
const colliding = (size: number): ReadonlyArray<string> => {
  let ids: ReadonlyArray<string> = [""]
  let hash = 5381
  while (ids.length < size) {
    const [one, other] = twins(hash)
    hash = hashedOn(hash, one)
    ids = ids.flatMap((id) => [one + id, other + id])
  }
  return ids
}

describe("table", () => {
  it("keeps what every handle held, however they are read in turns", () => {
    let seed = 7
    const random = (below: number): number => {
      seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648
      return Math.floor(seed / 65_536) % below
    }
    const made: Array<readonly [table.Table<number, number>, ReadonlyMap<number, number>]> = [
      [table.empty(), new Map()]
    ]
    for (let step = 0; step < 500; step++) {
      const [from, model] = made[random(made.length)] ?? [table.empty<number, number>(), new Map<number, number>()]
      const key = random(8)
      const next = new Map(model)
      if (random(3) === 0) {
        next.delete(key)
        made.push([table.remove(from, key), next])
      } else {
        next.set(key, step)
        made.push([table.set(from, key, step), next])
      }
      const [read, expected] = made[random(made.length)] ?? [from, model]
      expect(new Map(table.entries(read))).toEqual(expected)
      expect(table.size(read)).toBe(expected.size)
      expect(table.get(read, key)).toBe(expected.get(key))
      expect(table.has(read, key)).toBe(expected.has(key))
    }
  })

  it("has ids of one hash to be tried with", () => {
    expect(new Set(colliding(64)).size).toBe(64)
    expect(new Set(colliding(64).map(Hash.string)).size).toBe(1)
  })

  it.effect("reads calls whose ids have one hash", () => {
    const ids = colliding(1_024)
    const bytes =
      ids.map((id, index) =>
        `data: ${
          JSON.stringify({ choices: [{ delta: { tool_calls: [{ index, id, function: { name: "f" } }] } }] })
        }\n\n`
      ).join("") + "data: [DONE]\n\n"
    return Stream.make(new TextEncoder().encode(bytes)).pipe(
      decode.bytes(openAiChat.decoder({ provider: "p", model: "m" }), { maxToolCalls: 2_000 }),
      Stream.runCollect,
      Effect.map((parts) => {
        const calls = Chunk.toReadonlyArray(parts).flatMap((part) => part._tag === "ToolCall" ? [part.id] : [])
        expect(calls).toEqual(ids)
      })
    )
  })
})
