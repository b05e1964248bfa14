/** The command `batch` against the embedded provider, over real HTTP. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as ChaosServer from "../../src/chaos/ChaosServer.ts"
import { jsonLines, make } from "./shell.ts"

const prompts = (count: number) => Array.from({ length: count }, (_, at) => JSON.stringify(`Prompt ${at}`)).join("\n")

const price = JSON.stringify({ models: { "gpt-4o-mini": { input: 1, output: 2, batchShare: 0.5 } } })

/** A provider of the test's own, and the variables that lead to it. */
const provider = (options: ChaosServer.Options) =>
  Effect.map(ChaosServer.make(options), ({ apiKey, baseUrl, books, model }) => ({
    books,
    env: { OPENAI_API_KEY: apiKey, OPENAI_BASE_URL: baseUrl, OPENAI_MODEL: model }
  }))

describe("batch", () => {
  it.scopedLive("answers every line in the order of the input, and ends with 0", () =>
    Effect.gen(function*() {
      const shell = yield* make
      yield* shell.write(
        "p.jsonl",
        `"Hello"\n{"id":"b","prompt":"Goodbye","system":"Be brief.","more":1}\n${prompts(30)}\n`
      )
      const { code, out } = yield* shell.run([
        "batch",
        shell.path("p.jsonl"),
        "--provider",
        "chaos",
        "--out",
        shell.path("r")
      ])
      expect(code).toBe(0)
      expect(out).toMatch(/answered +32/)
      const lines = jsonLines(yield* shell.read("r"))
      expect(lines).toHaveLength(32)
      expect(lines.slice(0, 2)).toMatchObject([
        { index: 0, model: "gpt-4o-mini", finishReason: "stop", source: "run" },
        { index: 1, id: "b" }
      ])
      expect(lines.map((line) => (line as { readonly index: number }).index)).toEqual(lines.map((_, at) => at))
    }))

  it.scopedLive("tells lines that are no prompts with what is wrong, answers the others, and ends with 1", () =>
    Effect.gen(function*() {
      const shell = yield* make
      yield* shell.write("p.jsonl", "\"Hello\"\nno json\n{\"prompt\":1}\n")
      const { code, out } = yield* shell.run(["batch", shell.path("p.jsonl"), "--provider", "chaos"])
      expect(code).toBe(1)
      expect(out).toContain("2 lines of the input are no prompts")
      expect(out).not.toContain("Run the same command again")
      const [first, second, third] = jsonLines(yield* shell.read("p.jsonl.results"))
      expect(first).toMatchObject({ index: 0 })
      expect(second).toMatchObject({
        error: { tag: "InvalidLine", message: expect.stringContaining("Line 2 (byte 8)") }
      })
      expect(third).toMatchObject({ error: { tag: "InvalidLine", message: expect.stringContaining("Line 3") } })
    }))

  it.scopedLive("stops in good order when asked to, ends with 130, and goes on where it was", () =>
    Effect.gen(function*() {
      const shell = yield* make
      yield* shell.write("p.jsonl", prompts(60))
      const typed = [
        "batch",
        shell.path("p.jsonl"),
        "--provider",
        "chaos",
        "--out",
        shell.path("r"),
        "--concurrency",
        "4"
      ]
      const first = yield* shell.run(typed, { stop: Effect.sleep("100 millis") })
      expect(first.code).toBe(130)
      expect(first.out).toContain("Stopped: interrupted.")
      expect(first.out).toMatch(/Run the same command again to ask for the \d+ that have no answer/)
      const { code, out } = yield* shell.run([...typed, "--json"])
      expect(code).toBe(0)
      const summary: unknown = JSON.parse(out)
      expect(summary).toMatchObject({ answered: 60, failed: 0, leftOut: 0, exit: 0 })
      expect((summary as { readonly fromJournal: number }).fromJournal).toBeGreaterThan(0)
      expect(jsonLines(yield* shell.read("r"))).toHaveLength(60)
      expect(yield* shell.exists("r.part")).toBe(false)
    }))

  it.scopedLive("interrupts the calls in flight when asked a second time, and still sums up", () =>
    Effect.gen(function*() {
      const shell = yield* make
      const { env } = yield* provider({ latency: "10 minutes" })
      yield* shell.write("p.jsonl", prompts(3))
      const { code, err, out } = yield* shell.run(["batch", shell.path("p.jsonl"), "--provider", "openai", "--json"], {
        env,
        stop: Effect.sleep("50 millis"),
        stopNow: Effect.sleep("150 millis")
      })
      expect(code).toBe(130)
      expect(err).toContain("press Ctrl-C again to interrupt them")
      const summary: unknown = JSON.parse(out)
      expect(summary).toMatchObject({ answered: 0, leftOut: 3, stoppedBecause: "interrupted", exit: 130 })
    }))

  it.scopedLive.each([["finish", 0, "the same command finds them again"], ["interrupt", 1, "were cancelled"]] as const)(
    "with --on-interrupt %s, a stop while the vendor's job runs cancels %i jobs, and is told",
    ([onInterrupt, cancelled, message]) =>
      Effect.gen(function*() {
        const shell = yield* make
        const { books, env } = yield* provider({ batches: { running: "10 minutes" } })
        yield* shell.write("p.jsonl", prompts(2))
        const isSubmitted = Effect.repeat(Effect.delay(books, "20 millis"), {
          until: ({ batches }) => batches.submitted > 0
        })
        const { code, err, out } = yield* shell.run(
          ["batch", shell.path("p.jsonl"), "--provider", "openai", "--service", "--on-interrupt", onInterrupt],
          { env, stop: Effect.zipRight(isSubmitted, Effect.sleep("100 millis")) }
        )
        expect({ code, out }).toEqual({ code: 130, out: "" })
        expect(err).toContain(message)
        expect(yield* shell.exists("p.jsonl.results.part")).toBe(false)
        yield* Effect.sleep("100 millis")
        expect((yield* books).batches).toMatchObject({ submitted: 1, cancelled })
      })
  )

  it.scopedLive("stops at a limit of money, and ends with 3", () =>
    Effect.gen(function*() {
      const shell = yield* make
      yield* shell.write("p.jsonl", prompts(100))
      yield* shell.write("prices.json", price)
      const { code, out } = yield* shell.run([
        "batch",
        shell.path("p.jsonl"),
        "--provider",
        "chaos",
        "--concurrency",
        "1",
        "--prices",
        shell.path("prices.json"),
        "--max-cost",
        "0.0005"
      ])
      expect(code).toBe(3)
      expect(out).toContain("Stopped: the limit of tokens or money was reached.")
      expect(out).toMatch(/cost in USD +0\.0005/)
    }))

  it.scopedLive("asks by the vendor's batch service at its price", () =>
    Effect.gen(function*() {
      const shell = yield* make
      yield* shell.write("p.jsonl", `"Hello"\nno json\n"Goodbye"\n`)
      yield* shell.write("prices.json", price)
      const { code, out } = yield* shell.run([
        "batch",
        shell.path("p.jsonl"),
        "--provider",
        "chaos",
        "--service",
        "--live",
        "--prices",
        shell.path("prices.json"),
        "--json"
      ])
      expect(code).toBe(1)
      const summary = JSON.parse(out) as {
        readonly jobs: ReadonlyArray<string>
        readonly cost: number
        readonly tokens: number
      }
      expect(summary).toMatchObject({ answered: 2, failed: 1 })
      expect(summary.jobs).toHaveLength(1)
      expect(summary.cost).toBeGreaterThan(0)
      expect(summary.cost).toBeLessThan(summary.tokens * 2 / 1e6)
      const lines = jsonLines(yield* shell.read("p.jsonl.results"))
      expect(lines).toMatchObject([{ index: 0 }, { index: 1, error: { tag: "InvalidLine" } }, { index: 2 }])
    }), 30_000)

  it.scopedLive("tells in a dry run what it would do at worst, and sends nothing", () =>
    Effect.gen(function*() {
      const shell = yield* make
      yield* shell.write("p.jsonl", `"${"x".repeat(400)}"\n${prompts(9)}`)
      yield* shell.write("prices.json", JSON.stringify({ models: { small: { input: 1, output: 2 } } }))
      yield* shell.write(
        "policy.json",
        JSON.stringify({
          totalTimeout: "1 minute",
          retry: { backoff: "constant", delay: "1 second", attempts: 3 }
        })
      )
      const typed = [
        "batch",
        shell.path("p.jsonl"),
        "--provider",
        "openai",
        "--model",
        "small",
        "--policy",
        shell.path("policy.json"),
        "--prices",
        shell.path("prices.json"),
        "--max-output-tokens",
        "100",
        "--concurrency",
        "5",
        "--dry-run"
      ]
      const { code, out } = yield* shell.run(typed)
      expect(code).toBe(0)
      expect(out).toContain("Nothing was sent.")
      expect(out).toMatch(/requests +10 +30/)
      expect(out).toMatch(/time at 5 at a time +2m/)
      const summary: unknown = JSON.parse((yield* shell.run([...typed, "--json"])).out)
      expect(summary).toMatchObject({ prompts: 10, replyTokens: 1_000, worst: { calls: 30, millis: 120_000 } })
      expect(yield* shell.exists("p.jsonl.results.journal")).toBe(false)
    }))

  it.scopedLive("prices a dry run by the model of the environment, and a job at the price of jobs", () =>
    Effect.gen(function*() {
      const shell = yield* make
      yield* shell.write("p.jsonl", prompts(10))
      yield* shell.write("prices.json", price)
      const costOf = (...flags: ReadonlyArray<string>) =>
        Effect.map(
          shell.run(
            [
              "batch",
              shell.path("p.jsonl"),
              "--provider",
              "openai",
              "--prices",
              shell.path("prices.json"),
              "--dry-run",
              "--json",
              ...flags
            ],
            { env: { OPENAI_MODEL: "gpt-4o-mini" } }
          ),
          ({ out }) => (JSON.parse(out) as { readonly cost?: number }).cost
        )
      const live = yield* costOf()
      expect(live).toBeGreaterThan(0)
      expect(yield* costOf("--service")).toBeCloseTo((live ?? 0) / 2, 12)
      expect(yield* costOf("--model", "unheard-of")).toBe(undefined)
    }))
})

describe("what makes no sense", () => {
  const cases: ReadonlyArray<readonly [string, ReadonlyArray<string>, string]> = [
    ["a file that is not there", ["nowhere.jsonl", "--provider", "chaos"], "must exist"],
    [
      "results in the place of the prompts",
      ["p.jsonl", "--provider", "chaos", "--out", "p.jsonl"],
      "is to hold the prompts and the results: take another file with --out"
    ],
    [
      "a journal in the place of the results",
      ["p.jsonl", "--provider", "chaos", "--out", "r.jsonl", "--journal", "./r.jsonl"],
      "is to hold the results and the journal: take another file with --journal"
    ],
    [
      "a folder for the results",
      ["p.jsonl", "--provider", "chaos", "--out", "/"],
      "is a folder: name the file for the results"
    ],
    [
      "a reply of no tokens",
      ["p.jsonl", "--provider", "chaos", "--max-output-tokens", "0"],
      "--max-output-tokens 0: expected a whole number of 1 or more"
    ],
    ["a provider that nobody knows", ["p.jsonl", "--provider", "acme"], "Expected one of the following cases"],
    [
      "a concurrency of nothing",
      ["p.jsonl", "--provider", "chaos", "--concurrency", "0"],
      "a whole number from 1 to 100000, or auto"
    ],
    ["a time that is none", ["p.jsonl", "--provider", "chaos", "--max-time", "soon"], "expected a duration such as"],
    [
      "a limit of money without prices",
      ["p.jsonl", "--provider", "chaos", "--max-cost", "1"],
      "--max-cost needs --prices"
    ],
    ["live answers beside live answers", ["p.jsonl", "--provider", "chaos", "--live"], "--live is for --service"],
    ["a policy that cannot work", ["p.jsonl", "--provider", "chaos", "--policy", "bad.json"], "bulkhead.maxConcurrent"],
    ["a policy that is no JSON", ["p.jsonl", "--provider", "chaos", "--policy", "p.jsonl"], "is no JSON"],
    ["a key that is not set", ["p.jsonl", "--provider", "openai"], "OPENAI_API_KEY"]
  ]
  it.scopedLive.each(cases)(
    "%s is told on stderr, sends nothing and ends with 2",
    ([, typed, message]) =>
      Effect.gen(function*() {
        const shell = yield* make
        yield* shell.write("p.jsonl", "\"Hello\"\n\"Again\"")
        yield* shell.write("bad.json", "{\"bulkhead\":{\"maxConcurrent\":0}}")
        const inFolder = typed.map((word) => word.includes(".json") ? shell.path(word) : word)
        const { code, err, out } = yield* shell.run(["batch", ...inFolder])
        expect(code).toBe(2)
        expect(err + out).toContain(message)
        expect(yield* shell.exists("p.jsonl.results")).toBe(false)
        expect(yield* shell.read("p.jsonl")).toBe("\"Hello\"\n\"Again\"")
      })
  )
})
