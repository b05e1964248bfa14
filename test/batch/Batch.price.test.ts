import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Batch from "../../src/batch/Batch.ts"
import * as Usage from "../../src/model/Usage.ts"
import * as Price from "../../src/resilience/Price.ts"

describe("Batch.run", () => {
  it.effect("prices items by a table, and tells those that it cannot price", () =>
    Effect.gen(function*() {
      const usage = new Usage.Usage({ inputTokens: 1_000_000, outputTokens: 0, totalTokens: 1_000_000 })
      const price = Price.make({ models: { known: { input: 2, output: 1 } } })
      const call = (model: string) => Effect.succeed({ usage, model })
      const items = ["known", "new-1", "known", "new-2", "new-1"]
      const { summary } = yield* Batch.run(items, call, { concurrency: 1, price })
      expect(summary).toMatchObject({ succeeded: 5, cost: 4, unpriced: { items: 3, models: ["new-1", "new-2"] } })
      // What is not known cannot be held to a limit.
      const limited = yield* Batch.run(items, call, { concurrency: 1, price, stopWhen: { spend: { cost: 100 } } })
      expect(limited.summary).toMatchObject({ succeeded: 2, skipped: 3, stoppedBecause: "spend", cost: 2 })
    }))
})
