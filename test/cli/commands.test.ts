/** The commands that show, check and start something. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as Fiber from "effect/Fiber"
import * as ChaosServer from "../../src/chaos/ChaosServer.ts"
import { policyOf } from "../../src/cli/init.ts"
import * as Pipeline from "../../src/policy/Pipeline.ts"
import { make } from "./shell.ts"

describe("preview", () => {
  it.scopedLive("tells a policy in words, and the waits of a call that fails again and again", () =>
    Effect.gen(function*() {
      const shell = yield* make
      yield* shell.write(
        "policy.json",
        JSON.stringify({
          totalTimeout: "30 seconds",
          retry: { backoff: "exponential", initial: "1 second", cap: "4 seconds", jitter: "full", attempts: 4 }
        })
      )
      const { code, out } = yield* shell.run(["preview", shell.path("policy.json")])
      expect(code).toBe(0)
      expect(out).toContain("retry: exponential from 1s ×2, full jitter, at most 4s, 4 attempts in total")
      expect(out).toMatch(/attempt +least +usual +most +begins at/)
      expect(out).toMatch(/ 2 +0 +500ms +1s +500ms +├/)
      const json: unknown = JSON.parse((yield* shell.run(["preview", shell.path("policy.json"), "--json"])).out)
      expect(json).toMatchObject({
        bounds: { attempts: 4, durationMillis: 30_000 },
        retries: [
          { attempt: 2, least: 0, usual: 500, most: 1_000, elapsed: 500 },
          { attempt: 3, least: 0, usual: 1_000, most: 2_000, elapsed: 1_500 },
          { attempt: 4, least: 0, usual: 2_000, most: 4_000, elapsed: 3_500 }
        ]
      })
    }))

  it.scopedLive("shows what is used where there is no file, and what is not retried", () =>
    Effect.gen(function*() {
      const shell = yield* make
      expect((yield* shell.run(["preview"])).out).toContain("5 attempts in total")
      yield* shell.write("policy.json", "{\"attemptTimeout\":\"1 second\"}")
      expect((yield* shell.run(["preview", shell.path("policy.json")])).out).toContain("Nothing is retried.")
    }))

  it.scopedLive("tells every wrong field of a file, and ends with 2", () =>
    Effect.gen(function*() {
      const shell = yield* make
      yield* shell.write("policy.json", "{\"retry\":{\"backof\":1},\"totalTimeout\":\"soon\"}")
      const { code, err } = yield* shell.run(["preview", shell.path("policy.json")])
      expect(code).toBe(2)
      expect(err).toContain("totalTimeout")
      expect(err).toContain("retry")
      expect((yield* shell.run(["preview", "--rows", "0"])).code).toBe(2)
    }))
})

describe("init", () => {
  it("writes policies that can work, whatever is answered", () => {
    FastCheck.assert(FastCheck.property(
      FastCheck.constantFrom("interactive" as const, "background" as const),
      FastCheck.constantFrom("wait" as const, "give-up" as const),
      FastCheck.integer({ min: 1, max: 10_000 }),
      (kind, outage, concurrency) => {
        const pipeline = Effect.runSync(Pipeline.decode(policyOf({ kind, outage, concurrency })))
        expect(Number.isFinite(Pipeline.bounds(pipeline).calls)).toBe(true)
      }
    ))
  })

  it.scopedLive("writes a file with the line for editors, and never over another one", () =>
    Effect.gen(function*() {
      const shell = yield* make
      const typed = [
        "init",
        "--out",
        shell.path("policy.json"),
        "--kind",
        "background",
        "--outage",
        "wait",
        "--concurrency",
        "8"
      ]
      expect((yield* shell.run(typed)).code).toBe(0)
      const written = yield* shell.read("policy.json")
      expect(JSON.parse(written)).toMatchObject({ $schema: expect.any(String), bulkhead: { maxConcurrent: 8 } })
      expect((yield* shell.run(["preview", shell.path("policy.json")])).code).toBe(0)
      const again = yield* shell.run(typed)
      expect(again.code).toBe(2)
      expect(again.err).toContain("is there already")
      expect(yield* shell.read("policy.json")).toBe(written)
    }))
})

describe("doctor", () => {
  it.scopedLive("says what a provider can, and of one without a key which variable to set", () =>
    Effect.gen(function*() {
      const shell = yield* make
      const { code, out } = yield* shell.run(["doctor", "--provider", "chaos", "--json"])
      const { findings } = JSON.parse(out) as { readonly findings: ReadonlyArray<{ readonly check: string }> }
      expect(findings[0]).toMatchObject({ check: "reachable" })
      expect([0, 1]).toContain(code)
      const missing = yield* shell.run(["doctor", "--provider", "anthropic"])
      expect(missing.code).toBe(2)
      expect(missing.err).toContain("ANTHROPIC_API_KEY")
    }))

  it.scopedLive("tells an address where nobody is, without the key", () =>
    Effect.gen(function*() {
      const shell = yield* make
      const { code, err, out } = yield* shell.run(["doctor", "--provider", "openai", "--model", "m"], {
        env: { OPENAI_BASE_URL: "http://127.0.0.1:1/v1", OPENAI_API_KEY: "sk-proj-secret0123456789secret" }
      })
      expect(code).toBe(1)
      expect(out).toMatch(/BAD +reachable .*ConnectionFailed/)
      expect(out + err).not.toContain("secret0123456789")
    }))
})

describe("doctor, of a provider that is well", () => {
  const withServer = Effect.gen(function*() {
    const shell = yield* make
    const { apiKey, baseUrl, books, model } = yield* ChaosServer.make()
    const env = { OPENAI_API_KEY: apiKey, OPENAI_BASE_URL: baseUrl, OPENAI_MODEL: model }
    const ask = (changed: Readonly<Record<string, string>> = {}) =>
      Effect.map(
        shell.run(["doctor", "--provider", "openai", "--json"], { env: { ...env, ...changed } }),
        ({ code, out }) => ({
          code,
          ...JSON.parse(out) as {
            readonly findings: ReadonlyArray<{ readonly check: string; readonly isGood: boolean }>
          }
        })
      )
    return { ask, books }
  })

  it.scopedLive("says all that it saw, by three calls", () =>
    Effect.gen(function*() {
      const { ask, books } = yield* withServer
      const { code, findings } = yield* ask()
      expect(code).toBe(0)
      expect(findings.map(({ check }) => check)).toEqual([
        "reachable",
        "key",
        "model",
        "answers",
        "limits",
        "streams",
        "tools"
      ])
      expect((yield* books).requests).toBe(3)
    }))

  it.scopedLive.each(
    [
      ["key", { OPENAI_API_KEY: "sk-wrong" }, ["reachable"]],
      ["model", { OPENAI_MODEL: "unheard-of" }, ["reachable", "key"]]
    ] as const
  )("tells a wrong %s from what is right", ([wrong, changed, right]) =>
    Effect.gen(function*() {
      const { ask } = yield* withServer
      const { code, findings } = yield* ask(changed)
      expect(code).toBe(1)
      expect(findings).toMatchObject([
        ...right.map((check) => ({ check, isGood: true })),
        { check: wrong, isGood: false, saw: expect.any(String) }
      ])
    }))
})

describe("chaos", () => {
  it.scopedLive("serves until it is stopped, with its books beside it", () =>
    Effect.gen(function*() {
      const shell = yield* make
      yield* shell.write("plan.json", "{\"seed\":3}")
      // The addresses go to stdout while it runs, so the shell is asked for them by another command once it is over.
      const { code, out } = yield* shell.run(["chaos", "--port", "0", "--plan", shell.path("plan.json"), "--json"], {
        stop: Effect.sleep("200 millis")
      })
      expect(code).toBe(130)
      const [addresses, books] = out.split("\n").map((line): unknown => JSON.parse(line))
      expect(addresses).toMatchObject({
        baseUrls: { openAiChat: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+\/v1$/) },
        books: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+\/$/)
      })
      expect(books).toMatchObject({ requests: 0 })
    }))

  it.scopedLive("names what is wrong with a plan or a port", () =>
    Effect.gen(function*() {
      const shell = yield* make
      yield* shell.write("plan.json", "{\"seed\":3,\"serverErors\":{}}")
      const wrong = yield* shell.run(["chaos", "--port", "0", "--plan", shell.path("plan.json")])
      expect(wrong.code).toBe(2)
      expect(wrong.err).toContain("serverErors")
      const latency = yield* shell.run(["chaos", "--port", "0", "--latency", "slow"])
      expect(latency.code).toBe(2)
      const fiber = yield* Effect.fork(shell.run(["chaos", "--port", "0"], { stop: Effect.void }))
      expect((yield* Fiber.join(fiber)).code).toBe(130)
    }))
})

describe("help", () => {
  it.scopedLive("names every command, and each command its codes", () =>
    Effect.gen(function*() {
      const shell = yield* make
      const { code, out } = yield* shell.run(["--help"])
      expect(code).toBe(0)
      for (const name of ["init", "preview", "batch", "chaos", "doctor"]) {
        expect(out).toMatch(new RegExp(`^  ${name} +[a-z]`, "m"))
      }
      expect(Math.max(...out.split("\n").map((line) => line.length))).toBeLessThanOrEqual(120)
      const help = (yield* shell.run(["batch", "--help"])).out
      expect(help).toContain("npx effect-llm-resilience batch prompts.jsonl --provider chaos")
      expect(help).toMatch(/ 0 {2}all were answered\s+1 {2}some failed/)
      expect(help).toContain("130  Ctrl-C")
      // What an example says can be typed.
      for (const name of ["init", "preview", "batch", "chaos", "doctor"]) {
        const [before = "", options = ""] = (yield* shell.run([name, "--help"])).out.split(/^OPTIONS$/m)
        const examples = before.split("EXAMPLES")[1] ?? ""
        expect(examples).toContain(`npx effect-llm-resilience ${name}`)
        for (const [flag] of examples.matchAll(/--[a-z-]+/g)) expect(options).toContain(flag)
      }
      expect((yield* shell.run(["--version"])).out).toContain("1.2.3")
      const misspelt = yield* shell.run(["bach"])
      expect(misspelt.code).toBe(2)
    }))
})
