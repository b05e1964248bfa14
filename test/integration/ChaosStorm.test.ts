import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as ChaosServer from "../../src/chaos/ChaosServer.ts"
import * as Fault from "../../src/chaos/Fault.ts"
import * as Verdict from "../../src/error/Verdict.ts"
import * as LanguageModel from "../../src/model/LanguageModel.ts"
import * as Repair from "../../src/model/Repair.ts"
import * as Tool from "../../src/model/Tool.ts"
import * as ToolCall from "../../src/model/ToolCall.ts"
import * as Toolkit from "../../src/model/Toolkit.ts"
import * as OpenAiChat from "../../src/provider/OpenAiChat.ts"
import * as ToolLoop from "../../src/resilience/ToolLoop.ts"
import { runs } from "../runs.ts"
import { dealt } from "./chaosWires.ts"

const weather = (repairs: ReadonlyArray<Repair.Repair>) =>
  Tool.make("get_weather", {
    repairs,
    description: "The weather in a city",
    parameters: Schema.Struct({
      city: Schema.String,
      unit: Schema.Literal("celsius", "fahrenheit"),
      days: Schema.Int.pipe(Schema.between(1, 14)),
      note: Schema.optional(Schema.String)
    })
  })
const remind = (repairs: ReadonlyArray<Repair.Repair>) =>
  Tool.make("set_reminder", {
    repairs,
    description: "Reminds the user",
    parameters: Schema.Struct({
      message: Schema.String,
      at: Schema.Struct({ date: Schema.String, hour: Schema.Int.pipe(Schema.between(0, 23)) }),
      urgent: Schema.Boolean,
      people: Schema.Array(Schema.String)
    })
  })
const kitWith = (repairs: ReadonlyArray<Repair.Repair>) => Toolkit.make(weather(repairs), remind(repairs))
/** Takes every slip for a lost call, as the plan does. */
const kit = kitWith(Repair.none)

const modelFor = (server: ChaosServer.Service) =>
  OpenAiChat.make({ model: server.model, baseUrl: server.baseUrl, apiKey: Redacted.make(server.apiKey) }).pipe(
    Effect.provide(FetchHttpClient.layer)
  )

/**
 * Gives a hanging call up. The time is counted in turns of the event loop that are ten milliseconds apart, and the server
 * lives in this process, so on a machine that is slow or pauses no call that is answered is given up.
 */
const patience = <A, E>(call: Effect.Effect<A, E>) =>
  Effect.raceFirst(
    call,
    Effect.sleep("10 millis").pipe(
      Effect.repeatN(200),
      Effect.zipRight(Effect.fail(new Cause.TimeoutException()))
    )
  )

/** Asks again for as long as the verdict says that it may help; a hanging call counts as one that may. */
const patiently = (model: LanguageModel.Service): LanguageModel.Service => ({
  ...model,
  generate: (request) =>
    Effect.retry(
      patience(model.generate(request)),
      { while: (error) => error._tag === "TimeoutException" || Verdict.of(error).action === "Retry", times: 50 }
    ).pipe(Effect.catchTag("TimeoutException", (error) => Effect.die(error)))
})

describe("a storm of the ChaosServer, met by the real client", () => {
  const meetings: ReadonlyArray<readonly [Fault.Fault, string]> = [
    [Fault.rateLimited({ hint: "retry-after" }), "RateLimited"],
    [Fault.rateLimited({ hint: "retry-after-ms" }), "RateLimited"],
    [Fault.rateLimited({ hint: "http-date" }), "RateLimited"],
    [Fault.rateLimited({ hint: "x-ratelimit-reset" }), "RateLimited"],
    [Fault.rateLimited({ hint: "prose" }), "RateLimited"],
    [Fault.rateLimited({ hint: "none" }), "RateLimited"],
    [Fault.insufficientQuota, "QuotaExhausted"],
    [Fault.serverError(500), "ServerError"],
    [Fault.serverError(502), "ServerError"],
    [Fault.serverError(503), "Overloaded"],
    [Fault.serverError(529), "Overloaded"],
    [Fault.resetBeforeBody, "ConnectionFailed"],
    [Fault.resetDuringBody, "Truncated"],
    [Fault.htmlErrorPage(200), "MalformedResponse"],
    [Fault.htmlErrorPage(502), "ServerError"],
    [Fault.nonJsonBody, "MalformedResponse"],
    [Fault.emptyChoices, "MalformedResponse"]
  ]
  it.scopedLive("gives each fault the error it deserves, with the wait that was told", () =>
    Effect.gen(function*() {
      const server = yield* ChaosServer.make({
        plan: Fault.script({ inOrder: dealt(meetings.map(([fault]) => fault)) })
      })
      const model = yield* modelFor(server)
      const met = yield* Effect.forEach(
        meetings,
        ([fault, expected]) =>
          Effect.map(Effect.flip(model.generate({ prompt: "Hello" })), (error) => ({ fault, expected, error }))
      )
      expect(met.map(({ error }) => error._tag)).toEqual(met.map(({ expected }) => expected))
      for (const { error, fault } of met) {
        if (fault._tag !== "RateLimited") continue
        expect(Option.isSome(Verdict.of(error).retryAfter), fault.hint).toBe(fault.hint !== "none")
      }
    }))

  it.scopedLive("has every damaged call refused by the decoder, and every whole one taken", () =>
    Effect.gen(function*() {
      const toolkit = yield* kit
      const plan = Fault.script({
        everyRequest: [...Fault.damageClasses.map((name) => Fault.damagedToolCall(name)), Fault.finishLength, null]
      })
      const server = yield* ChaosServer.make({ plan })
      const model = yield* modelFor(server)
      const replies = yield* Effect.replicateEffect(
        model.generate({ prompt: "Hello", tools: toolkit }),
        Fault.damageClasses.length + 2
      )
      const taken = replies.map((reply) => Either.isRight(ToolCall.decode(toolkit, reply)))
      expect(taken).toEqual(replies.map((_, index) => index === replies.length - 1))
    }))

  const storm = Fault.storm({
    seed: 20_261,
    toolCalls: { probability: 0.2 },
    serverErrors: { probability: 0.05 },
    rateLimited: { probability: 0.05, wait: "20 millis" },
    hangs: 0.02,
    cuts: 0.04,
    emptyChoices: 0.02,
    nonJson: 0.02,
    htmlPages: 0.02,
    finishLength: 0.04
  })
  const texts = Array.from({ length: runs(60, 150) }, (_, n) => `Request number ${n}`)

  /** Every request through the storm; what was called must be what was meant. */
  const survive = (repairs: ReadonlyArray<Repair.Repair>) =>
    Effect.gen(function*() {
      const toolkit = yield* kitWith(repairs)
      const server = yield* ChaosServer.make({ plan: storm, latency: { least: "1 millis", most: "10 millis" } })
      const model = patiently(yield* modelFor(server))
      const outcomes = yield* Effect.forEach(texts, (prompt) =>
        ToolLoop.call({
          prompt,
          toolkit,
          handlers: { get_weather: () => Effect.succeed("ok"), set_reminder: () => Effect.succeed("ok") },
          maxReasks: 20
        }).pipe(
          Effect.provideService(LanguageModel.LanguageModel, model),
          Effect.map(({ calls }) => calls.map((call) => ({ name: call.name, arguments: call.arguments })))
        ), { concurrency: 16 })
      const meant = yield* Effect.forEach(texts, (text) => Effect.map(server.meant(text), Option.getOrThrow))
      expect(outcomes).toEqual(meant)
      return { books: yield* server.books, least: (yield* server.leastCalls).total }
    })

  it.scopedLive(
    "ends right for every request, with no more calls than the plan makes unavoidable",
    () =>
      Effect.gen(function*() {
        const { books, least } = yield* survive(Repair.none)
        expect(books.admitted).toBe(least)
        expect(books).toMatchObject({ right: { toolCalls: texts.length, texts: 0 }, spared: 0, inFlight: 0 })
        expect(books.aborted).toBe(books.faults.Hang)
      })
  )

  it.scopedLive(
    "ends right with fewer calls still, where slips of the pen are repaired",
    () =>
      Effect.gen(function*() {
        const { books, least } = yield* survive(Repair.lossless)
        expect(books.admitted).toBeLessThan(least)
        expect(books.inFlight).toBe(0)
      })
  )
})
