import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as Usage from "../../src/model/Usage.ts"
import * as Price from "../../src/resilience/Price.ts"

const usage = (inputTokens: number, outputTokens: number, parts: Partial<Usage.Usage> = {}) =>
  new Usage.Usage({ inputTokens, outputTokens, totalTokens: inputTokens + outputTokens, ...parts })

const price = Price.make({
  models: {
    small: { input: 0.25, output: 2, cachedInput: 0.025, cacheWrite: 0.3, batchShare: 0.5 },
    large: {
      input: 1.25,
      output: 10,
      longPrompts: [{ above: 200_000, input: 2.5, output: 15 }, { above: 500_000, input: 4 }]
    },
    thinker: { input: 1, output: 4, reasoning: 8 },
    "dated-2025-01-01": { input: 3, output: 3 },
    dated: { input: 1, output: 1 }
  }
})

const cost = (used: Usage.Usage, model = "small", table = price) => Either.getOrThrow(Price.cost(table, used, model))

describe("what a reply costs", () => {
  it.each([
    ["input and output", usage(1_000_000, 1_000_000), "small", 2.25],
    ["cached input", usage(1_000_000, 0, { cachedInputTokens: 400_000 }), "small", 0.16],
    ["input that was written to the cache", usage(1_000_000, 0, { cacheWriteInputTokens: 1_000_000 }), "small", 0.3],
    ["cached input without a price of its own", usage(1_000_000, 0, { cachedInputTokens: 400_000 }), "large", 4],
    ["reasoning with a price of its own", usage(0, 1_000_000, { reasoningTokens: 500_000 }), "thinker", 6],
    ["reasoning without one", usage(0, 1_000_000, { reasoningTokens: 500_000 }), "small", 2],
    ["a prompt that is not longer than a tier", usage(200_000, 1_000), "large", 0.26],
    ["a prompt that is", usage(200_001, 1_000), "large", 0.5150025],
    ["the highest tier that is reached", usage(600_000, 1_000), "large", 2.415],
    ["nothing", usage(0, 0), "small", 0]
  ])("%s", (_, used, model, expected) => expect(cost(used, model)).toBe(expected))

  it("is the batch service's share of it, or all where none is known", () => {
    expect(cost(usage(1_000_000, 1_000_000), "small", Price.forBatch(price))).toBe(1.125)
    expect(cost(usage(1_000_000, 0), "thinker", Price.forBatch(price))).toBe(1)
  })

  it("pays for no part twice where the parts add up to more than the whole", () => {
    const odd = usage(100, 100, { cachedInputTokens: 90, cacheWriteInputTokens: 90, reasoningTokens: 500 })
    expect(cost(odd, "small")).toBe((90 * 0.025 + 10 * 0.3 + 100 * 2) / 1e6)
  })

  const rate = FastCheck.integer({ min: 0, max: 100_000_000 }).map((millionths) => millionths / 1e6)
  const count = FastCheck.integer({ min: 0, max: 2_000_000 })

  it("is exact: so many tokens cost so many times one, to the last digit", () => {
    FastCheck.assert(FastCheck.property(rate, rate, count, count, (input, output, sent, got) => {
      const table = Price.make({ models: { m: { input, output } } })
      const millionths = (value: number) => BigInt(Math.round(value * 1e6))
      const exact = millionths(input) * BigInt(sent) + millionths(output) * BigInt(got)
      expect(cost(usage(sent, got), "m", table)).toBe(Number(exact) / 1e12)
    }))
  })

  it("is never negative, and never lower for more tokens", () => {
    FastCheck.assert(FastCheck.property(count, count, count, (sent, got, more) => {
      for (const model of price.models.keys()) {
        const before = cost(usage(sent, got), model)
        expect(before).toBeGreaterThanOrEqual(0)
        expect(cost(usage(sent + more, got), model)).toBeGreaterThanOrEqual(before)
        expect(cost(usage(sent, got + more), model)).toBeGreaterThanOrEqual(before)
      }
    }))
  })
})

describe("the name of a model", () => {
  it.each([
    ["small", 0.25],
    ["openai/small", 0.25],
    ["models/small", 0.25],
    ["small-2025-08-07", 0.25],
    ["small-20250929", 0.25],
    ["small@20250929", 0.25],
    ["small-latest", 0.25],
    ["dated-2025-01-01", 3],
    ["dated-2025-02-02", 1]
  ])("%s is found", (model, input) => expect(Either.getOrThrow(Price.ratesOf(price, model)).input).toBe(input))

  it.each(["smaller", "small-2", "", "toString", "__proto__", "constructor"])(
    "%j has no price, and is not free",
    (model) => {
      expect(Price.cost(price, usage(10, 10), model)).toMatchObject({
        _tag: "Left",
        left: { _tag: "UnknownPrice", model }
      })
    }
  )

  it("is told with the names that are nearly it", () => {
    const error = Either.getOrThrow(Either.flip(Price.ratesOf(price, "larg")))
    expect(error.near).toEqual(["large"])
    expect(error.message).toBe(
      "The table has no price for \"larg\". The nearest name it has is \"large\". Add the model, or name it as the table does."
    )
  })
})

describe("a table as data", () => {
  it.effect("is read with every wrong price named", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Price.decode({
        currency: "",
        models: {
          a: { input: -1, output: "2" },
          b: { output: 1, longPrompts: [{ above: 0, inpt: 1 }], batchShare: 2 },
          c: 5
        },
        rates: {}
      }))
      expect(error.issues.map(({ path }) => path)).toEqual([
        "currency",
        "rates",
        "models.a.input",
        "models.a.output",
        "models.b.input",
        "models.b.longPrompts.0.inpt",
        "models.b.longPrompts.0.above",
        "models.b.batchShare",
        "models.c"
      ])
    }))

  it.effect.each([undefined, null, 1, [], {}, { models: {} }, { models: [] }])(
    "%j is none",
    (json) => Effect.map(Effect.flip(Price.decode(json)), (error) => expect(error._tag).toBe("InvalidOptions"))
  )

  it("is refused where it is written in code", () => {
    expect(() => Price.make({ models: { a: { input: NaN, output: 1 } } })).toThrow("models.a.input")
  })
})

describe("a public list", () => {
  const list = {
    sample_spec: { input_cost_per_token: "what a prompt token costs", output_cost_per_token: 0 },
    "gpt-x": {
      litellm_provider: "openai",
      input_cost_per_token: 2.5e-7,
      output_cost_per_token: 2e-6,
      cache_read_input_token_cost: 2.5e-8,
      input_cost_per_token_batches: 1.25e-7,
      output_cost_per_token_batches: 1e-6,
      max_input_tokens: 400_000
    },
    "gemini/pro": {
      input_cost_per_token: 1.25e-6,
      output_cost_per_token: 1e-5,
      input_cost_per_token_above_200k_tokens: 2.5e-6,
      output_cost_per_token_above_200k_tokens: 1.5e-5,
      input_cost_per_token_above_200k_tokens_priority: 9
    },
    painter: { output_cost_per_image: 0.04 },
    broken: { input_cost_per_token: "1e-6", output_cost_per_token: 1e-6 },
    negative: { input_cost_per_token: -1, output_cost_per_token: 1e-6 }
  }

  it.effect("is read in the format of LiteLLM, and what is wrong with it is told", () =>
    Effect.gen(function*() {
      const read = yield* Price.decodePublicList(list)
      expect([...read.models.keys()]).toEqual(["gpt-x", "gemini/pro"])
      expect(read.models.get("gpt-x")).toEqual({ input: 0.25, output: 2, cachedInput: 0.025, batchShare: 0.5 })
      expect(cost(usage(200_001, 0), "gemini/pro", read)).toBe(0.5000025)
      expect(read.problems.map(({ path }) => path)).toEqual([
        "broken.input_cost_per_token",
        "negative.input_cost_per_token"
      ])
    }))

  it.effect.each([undefined, [], {}, { a: {} }, { a: { input_cost_per_token: 1e-6 } }])(
    "%j has no prices",
    (json) =>
      Effect.map(Effect.flip(Price.decodePublicList(json)), (error) => expect(error._tag).toBe("InvalidOptions"))
  )

  it.effect("may hold anything: nothing of it throws", () =>
    Effect.promise(() =>
      FastCheck.assert(FastCheck.asyncProperty(
        FastCheck.dictionary(
          FastCheck.string(),
          FastCheck.dictionary(
            FastCheck.constantFrom(
              "input_cost_per_token",
              "output_cost_per_token",
              "input_cost_per_token_above_200k_tokens",
              "input_cost_per_token_batches"
            ),
            FastCheck.anything()
          )
        ),
        async (json) => {
          const read = await Effect.runPromise(Effect.either(Price.decodePublicList(json)))
          if (Either.isLeft(read)) return
          for (const model of read.right.models.keys()) {
            expect(cost(usage(10, 10), model, read.right)).toBeGreaterThanOrEqual(0)
          }
        }
      ))
    ))
})

it("what costs are told by is a table or a function", () => {
  expect(Price.charge(price, usage(1_000_000, 0), "small")).toEqual(Either.right(0.25))
  expect(Price.charge(({ inputTokens }) => inputTokens * 2, usage(3, 0), "any")).toEqual(Either.right(6))
  expect(Price.isPrice(price)).toBe(true)
  expect(Price.isPrice({ models: {} })).toBe(false)
})
