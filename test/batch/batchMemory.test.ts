import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Batch from "../../src/batch/Batch.ts"
import { heldMegabytes } from "../heap.ts"
import { runs } from "../runs.ts"

describe("Batch.stream", () => {
  it.live("needs no more memory for a million items than for a few", () =>
    Effect.gen(function*() {
      const items = runs(40_000, 1_000_000)
      const samples: Array<number> = []
      const results = Batch.stream(Stream.range(1, items), (item) => Effect.as(Effect.yieldNow(), { item }), {
        concurrency: 100
      })
      let read = 0
      yield* Stream.runForEach(results, () => {
        read++
        return read % (items / 4) === 0
          ? Effect.map(heldMegabytes, (megabytes) => samples.push(megabytes))
          : Effect.void
      })
      expect(read).toBe(items)
      const [first = 0] = samples
      // A result alone takes some 300 bytes: a million of them would be 300 MB.
      expect(Math.max(...samples) - first).toBeLessThan(8)
    }), 120_000)
})
