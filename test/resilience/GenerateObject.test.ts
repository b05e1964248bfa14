import { describe, expect, it } from "@effect/vitest"
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import * as AnswerError from "../../src/error/AnswerError.ts"
import * as ModelError from "../../src/error/ModelError.ts"
import * as Verdict from "../../src/error/Verdict.ts"
import * as Prompt from "../../src/model/Prompt.ts"
import * as Response from "../../src/model/Response.ts"
import { Usage } from "../../src/model/Usage.ts"
import * as RetryPolicy from "../../src/policy/RetryPolicy.ts"
import * as GenerateObject from "../../src/resilience/GenerateObject.ts"
import * as Price from "../../src/resilience/Price.ts"
import * as Monitor from "../../src/telemetry/Monitor.ts"
import * as ScriptedModel from "../../src/testing/ScriptedModel.ts"

const City = Schema.Struct({ name: Schema.NonEmptyString, founded: Schema.Int })
type City = typeof City.Type

const rome = { name: "Rome", founded: -753 }
const good = ScriptedModel.json(rome)
const noNumber = (founded: string) => ScriptedModel.json({ name: "Rome", founded })
const refusedByGroq = ScriptedModel.fail(
  new ModelError.InvalidToolCall({ provider: "groq", status: 400, failedGeneration: "<a>", detail: "tool_use_failed" })
)

const ask = (given: Partial<GenerateObject.Options<City>> = {}) =>
  GenerateObject.call({ prompt: "Tell me of Rome.", output: { name: "city", schema: City }, ...given })

const scripted = (...script: ReadonlyArray<ScriptedModel.Step>) => Effect.provide(ScriptedModel.layer(script))
const withoutNative = (...script: ReadonlyArray<ScriptedModel.Step>) =>
  Effect.provide(ScriptedModel.layer(script, { capabilities: { structuredOutput: false } }))

const rejected = (given: Partial<GenerateObject.Options<City>> = {}) =>
  Effect.gen(function*() {
    const error = yield* Effect.flip(ask(given))
    if (error._tag !== "ObjectRejected") throw error
    return { error, requests: yield* ScriptedModel.requests }
  })

const kinds = (error: AnswerError.ObjectRejected) =>
  error.attempts.map((attempt) => attempt.error._tag === "InvalidAnswer" ? attempt.error.kind : attempt.error._tag)

describe("GenerateObject.call, when the answer is good", () => {
  it.effect("gives the value and all that belongs to it, in one question", () =>
    Effect.gen(function*() {
      const outcome = yield* ask({ temperature: 0, idempotencyKey: "k" })
      expect(outcome).toMatchObject({ value: rome, source: "text", repairs: [], reasks: 0, refused: [] })
      expect(outcome.usage.totalTokens).toBe(15)
      expect(outcome.prompt.messages).toEqual([
        Prompt.user("Tell me of Rome."),
        Prompt.assistant(JSON.stringify(rome))
      ])
      const [request, ...others] = yield* ScriptedModel.requests
      expect(others).toEqual([])
      expect(request).toMatchObject({
        temperature: 0,
        idempotencyKey: "k",
        responseFormat: { name: "city", schema: City }
      })
      expect(Object.keys(request ?? {}).sort()).toEqual(["idempotencyKey", "prompt", "responseFormat", "temperature"])
    }).pipe(scripted(good)))

  it.effect.each([{ mode: "tool" }, { mode: undefined }] as const)(
    "asks by a tool when told so, or when the model has nothing else: $mode",
    ({ mode }) =>
      Effect.gen(function*() {
        const outcome = yield* ask({ mode })
        expect(outcome).toMatchObject({ value: rome, source: "call" })
        const [request] = yield* ScriptedModel.requests
        expect(request?.responseFormat).toBeUndefined()
        expect(request).toMatchObject({ toolChoice: { tool: "city" }, tools: { definitions: [{ name: "city" }] } })
        // The call has its result, so that the conversation can go on.
        expect(outcome.prompt.messages.slice(1)).toEqual([
          Prompt.assistant([
            { _tag: "ToolCall", id: "call_1_1", name: "city", arguments: JSON.stringify(rome) }
          ]),
          Prompt.toolResult({ id: "call_1_1", name: "city", content: "Received." })
        ])
      }).pipe(
        mode === "tool"
          ? scripted(ScriptedModel.toolCall("city", rome))
          : withoutNative(ScriptedModel.toolCall("city", rome))
      )
  )

  it.effect("does not send a native question to a model that has no native mode", () =>
    Effect.gen(function*() {
      expect(yield* Effect.flip(ask({ mode: "native" }))).toMatchObject({ _tag: "UnsupportedFeature" })
    }).pipe(withoutNative(good)))

  it.effect("takes the answer where the model wrote it, whichever way it was asked", () =>
    Effect.gen(function*() {
      expect(yield* ask({ mode: "tool" })).toMatchObject({ value: rome, source: "text" })
      expect(yield* ask({ mode: "native" })).toMatchObject({ value: rome, source: "call" })
    }).pipe(scripted(good, ScriptedModel.toolCall("city", rome))))

  it.effect("reports what it had to mend", () =>
    Effect.gen(function*() {
      expect(yield* ask()).toMatchObject({ value: rome, repairs: ["fence", "comments"], reasks: 0 })
    }).pipe(scripted(ScriptedModel.text("```json\n{\"name\":\"Rome\", // the city\n\"founded\":-753}\n```"))))

  it.effect("keeps what it mended in a call mended in the conversation", () =>
    Effect.gen(function*() {
      const { prompt, repairs } = yield* ask({ mode: "tool" })
      expect(repairs).toEqual(["trailingCommas"])
      expect(prompt.messages[1]).toMatchObject({ content: [{ arguments: "{\"name\":\"Rome\",\"founded\":-753}" }] })
    }).pipe(scripted(ScriptedModel.rawToolCall("city", "{\"name\":\"Rome\",\"founded\":-753,}"))))

  it.effect("takes lists and texts out of the object they travel in", () =>
    Effect.gen(function*() {
      const outcome = yield* GenerateObject.call({
        prompt: "Cities?",
        output: { name: "cities", schema: Schema.Array(City) }
      })
      expect(outcome.value).toEqual([rome])
    }).pipe(scripted(ScriptedModel.json({ value: [rome] }))))
})

describe("GenerateObject.call, when the answer is bad", () => {
  it.effect("tells the model exactly what is wrong, and heals", () =>
    Effect.gen(function*() {
      const outcome = yield* ask({ idempotencyKey: "k" })
      expect(outcome).toMatchObject({ value: rome, reasks: 1, refused: [{ kind: "InvalidArguments" }] })
      expect(outcome.usage.totalTokens).toBe(30)
      const requests = yield* ScriptedModel.requests
      expect(Prompt.make(requests[1]?.prompt ?? "").messages).toEqual([
        Prompt.user("Tell me of Rome."),
        Prompt.assistant("{\"name\":\"Rome\",\"founded\":\"long ago\"}"),
        Prompt.user(
          "The answer does not fit the schema:\n- founded: expected an integer, got \"long ago\"\n" +
            "Send the whole answer again with these corrected."
        )
      ])
      expect(requests.map(({ idempotencyKey }) => idempotencyKey)).toEqual(["k", "k-reask-1"])
    }).pipe(scripted(noNumber("long ago"), good)))

  it.effect("heals two different faults, a provider's own refusal among them", () =>
    Effect.gen(function*() {
      const outcome = yield* ask({ mode: "tool" })
      expect(outcome).toMatchObject({
        value: rome,
        reasks: 2,
        refused: [{ _tag: "InvalidToolCall" }, { kind: "MalformedArguments" }]
      })
      expect(outcome.usage.totalTokens).toBe(30)
      expect(outcome.prompt.messages.map(({ _tag }) => _tag)).toEqual([
        "User",
        "User",
        "Assistant",
        "Tool",
        "Assistant",
        "Tool"
      ])
    }).pipe(scripted(
      refusedByGroq,
      ScriptedModel.rawToolCall("city", "{\"name\" \"Rome\"}"),
      ScriptedModel.toolCall("city", rome)
    )))

  it.effect("answers every call of a refused reply, each under an id of its own", () =>
    Effect.gen(function*() {
      const outcome = yield* ask({ mode: "tool" })
      expect(outcome.refused).toMatchObject([{ kind: "SeveralAnswers" }])
      const results = outcome.prompt.messages.flatMap((message) => message._tag === "Tool" ? message.content : [])
      expect(results.map(({ content, id, isError }) => [id, content, isError])).toEqual([
        ["same", "The reply holds several answers. Call \"city\" exactly once.", true],
        ["same_2", "The reply holds several answers. Call \"city\" exactly once.", true],
        ["call_2_1", "Received.", false]
      ])
    }).pipe(scripted(
      ScriptedModel.toolCalls([
        { id: "same", name: "city", arguments: JSON.stringify(rome) },
        { id: "same", name: "city", arguments: JSON.stringify(rome) }
      ]),
      ScriptedModel.toolCall("city", rome)
    )))

  it.effect("sends no empty turn back", () =>
    Effect.gen(function*() {
      const outcome = yield* ask()
      expect(outcome.prompt.messages.map(({ _tag }) => _tag)).toEqual(["User", "User", "Assistant"])
    }).pipe(scripted(ScriptedModel.text(""), good)))

  it.effect("never takes an answer that was cut off, even where its JSON is valid", () =>
    Effect.gen(function*() {
      const outcome = yield* ask()
      expect(outcome).toMatchObject({ value: { name: "Oslo" }, refused: [{ kind: "TruncatedArguments" }] })
    }).pipe(scripted(ScriptedModel.json(rome, "length"), ScriptedModel.json({ name: "Oslo", founded: 1040 }))))

  it.effect.each([{ maxReasks: undefined, asked: 3 }, { maxReasks: 0, asked: 1 }, { maxReasks: 1, asked: 2 }])(
    "stops at the bound: $maxReasks",
    ({ asked, maxReasks }) =>
      Effect.gen(function*() {
        const { error, requests } = yield* rejected({ maxReasks })
        expect(requests).toHaveLength(asked)
        expect(error).toMatchObject({ output: "city", stopped: "Bound", usage: { totalTokens: 15 * asked } })
        expect(error.attempts.map(({ text }) => text)).toEqual(
          ["a", "b", "c"].slice(0, asked).map((founded) => JSON.stringify({ name: "Rome", founded }))
        )
        expect(Verdict.of(error)).toMatchObject({ action: "Reask", weighs: false, billed: "yes" })
      }).pipe(scripted(noNumber("a"), noNumber("b"), noNumber("c"), good))
  )

  it.effect("stops at once when the model repeats itself", () =>
    Effect.gen(function*() {
      const { error, requests } = yield* rejected({ maxReasks: 20 })
      expect(requests).toHaveLength(2)
      expect(error.stopped).toBe("Repeated")
      expect(error.message).toContain(
        "\"city\" in 2 replies and 30 tokens; the model was told what was wrong and repeated"
      )
    }).pipe(scripted(noNumber("a"), noNumber("a"), good)))

  it.effect("does not ask again for what was withheld, unless told so", () =>
    Effect.gen(function*() {
      const { error } = yield* rejected()
      expect([kinds(error), error.stopped]).toEqual([["Withheld"], "Final"])
      expect(Verdict.of(error).action).toBe("Fallback")
      const insist = RetryPolicy.byError([{
        on: ["Withheld"],
        use: RetryPolicy.immediate.pipe(RetryPolicy.attempts(2))
      }])
      expect(yield* ask({ reask: insist })).toMatchObject({ value: rome, reasks: 1 })
    }).pipe(scripted(
      ScriptedModel.text("No.", "content-filter"),
      ScriptedModel.text("No.", "content-filter"),
      good
    )))

  it.effect("passes the model's own errors through", () =>
    Effect.gen(function*() {
      expect(yield* Effect.flip(ask())).toMatchObject({ _tag: "Overloaded" })
    }).pipe(scripted(noNumber("a"), ScriptedModel.fail(new ModelError.Overloaded({ provider: "scripted" })))))

  it.effect("keeps no credential, and travels as JSON", () =>
    Effect.gen(function*() {
      const { error } = yield* rejected({ maxReasks: 0 })
      const wire: unknown = JSON.parse(JSON.stringify(yield* Schema.encode(AnswerError.ObjectRejected)(error)))
      expect(JSON.stringify(wire)).not.toContain("sk-abcdefghij1234567890")
      const back = yield* Schema.decodeUnknown(AnswerError.ObjectRejected)(wire)
      expect(back).toBeInstanceOf(AnswerError.ObjectRejected)
      expect(back).toEqual(error)
      expect(back.message).toBe(error.message)
    }).pipe(scripted(noNumber("sk-abcdefghij1234567890"))))

  it.effect("clips a long answer in the error, not in the conversation", () =>
    Effect.gen(function*() {
      const { error } = yield* rejected({ maxReasks: 0 })
      expect(error.attempts[0].text.length).toBeLessThan(2_100)
      expect(error.message.length).toBeLessThan(1_000)
    }).pipe(scripted(noNumber("x".repeat(50_000)))))
})

describe("GenerateObject.call under a policy", () => {
  it.effect("waits between the questions as the policy says", () =>
    Effect.gen(function*() {
      const reask = RetryPolicy.constant("10 seconds").pipe(RetryPolicy.attempts(3))
      const fiber = yield* Effect.fork(ask({ reask }))
      yield* TestClock.adjust("9 seconds")
      expect(yield* ScriptedModel.requests).toHaveLength(1)
      yield* TestClock.adjust("1 seconds")
      expect(yield* ScriptedModel.requests).toHaveLength(2)
      yield* TestClock.adjust("10 seconds")
      expect(yield* Fiber.join(fiber)).toMatchObject({ value: rome, reasks: 2 })
    }).pipe(scripted(noNumber("a"), noNumber("b"), good)))

  it.effect("has a deadline from the first question on", () =>
    Effect.gen(function*() {
      const reask = RetryPolicy.immediate.pipe(RetryPolicy.attempts(9), RetryPolicy.within("1 minute"))
      const fiber = yield* Effect.fork(rejected({ reask }))
      yield* TestClock.adjust("2 minutes")
      const { error, requests } = yield* Fiber.join(fiber)
      expect([error.stopped, requests.length]).toEqual(["Bound", 2])
    }).pipe(scripted(
      ScriptedModel.delayed("40 seconds", noNumber("a")),
      ScriptedModel.delayed("40 seconds", noNumber("b")),
      good
    )))

  it.effect("has a deadline that a wall clock which is set back does not move", () =>
    Effect.gen(function*() {
      const clock = yield* Effect.clock
      const unsafeCurrentTimeMillis = () => -clock.unsafeCurrentTimeMillis()
      const setBack: Clock.Clock = Object.assign(Object.create(clock), {
        unsafeCurrentTimeMillis,
        unsafeCurrentTimeNanos: () => clock.unsafeCurrentTimeNanos(),
        currentTimeMillis: Effect.sync(unsafeCurrentTimeMillis)
      })
      const reask = RetryPolicy.immediate.pipe(RetryPolicy.attempts(9), RetryPolicy.within("1 minute"))
      const fiber = yield* Effect.fork(Effect.withClock(rejected({ reask }), setBack))
      yield* TestClock.adjust("2 minutes")
      const { error, requests } = yield* Fiber.join(fiber)
      expect([error.stopped, requests.length]).toEqual(["Bound", 2])
    }).pipe(scripted(
      ScriptedModel.delayed("40 seconds", noNumber("a")),
      ScriptedModel.delayed("40 seconds", noNumber("b")),
      good
    )))

  it.effect("knows a rule for each kind of failure", () =>
    Effect.gen(function*() {
      const reask = RetryPolicy.byError([{
        on: ["InvalidArguments"],
        use: RetryPolicy.immediate.pipe(RetryPolicy.attempts(3))
      }])
      const { error, requests } = yield* rejected({ reask })
      expect([kinds(error), error.stopped]).toEqual([["InvalidArguments", "MalformedArguments"], "Final"])
      expect(requests).toHaveLength(2)
    }).pipe(scripted(noNumber("a"), ScriptedModel.text("{"), good)))

  it.effect("is no retry inside a retry", () =>
    Effect.gen(function*() {
      const recorder = yield* Monitor.recorder
      yield* Effect.provideService(ask({ name: "rome" }), Monitor.Monitor, recorder.monitor)
      expect(yield* recorder.events).toEqual([
        {
          _tag: "AnswerRejected",
          at: 0,
          name: "rome",
          reask: 0,
          kind: "InvalidArguments",
          reason: expect.stringContaining("founded: expected an integer")
        },
        { _tag: "Reasked", at: 0, name: "rome", reask: 1 }
      ])
    }).pipe(scripted(noNumber("a"), good)))

  it.effect("stops with its caller, waiting or asking", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.fork(ask({ reask: RetryPolicy.constant("1 hour").pipe(RetryPolicy.attempts(2)) }))
      yield* TestClock.adjust("1 second")
      yield* Fiber.interrupt(fiber)
      const other = yield* Effect.fork(ask())
      yield* TestClock.adjust("1 second")
      yield* Fiber.interrupt(other)
      expect(yield* ScriptedModel.requests).toHaveLength(2)
    }).pipe(scripted(noNumber("a"), ScriptedModel.hang)))
})

describe("GenerateObject's options", () => {
  it.effect.each([
    { given: { maxReasks: -1 }, paths: ["maxReasks"] },
    { given: { maxReasks: 21 }, paths: ["maxReasks"] },
    { given: { maxReasks: 1, reask: RetryPolicy.immediate.pipe(RetryPolicy.attempts(2)) }, paths: ["maxReasks"] },
    { given: { reask: RetryPolicy.immediate }, paths: ["reask"] },
    { given: { maxReasks: 0.5, reask: RetryPolicy.constant("1 second") }, paths: ["maxReasks", "maxReasks", "reask"] }
  ])("refuses $paths before anything is sent", ({ given, paths }) =>
    Effect.gen(function*() {
      expect(yield* Effect.flip(ask(given))).toMatchObject({
        _tag: "InvalidOptions",
        module: "GenerateObject",
        issues: paths.map((path) => ({ path }))
      })
      expect(yield* ScriptedModel.requests).toHaveLength(0)
    }).pipe(scripted(good)))

  it.effect("refuses a schema that cannot be asked for before anything is sent", () =>
    Effect.gen(function*() {
      const call = GenerateObject.call({ prompt: "x", output: { name: "it", schema: Schema.DateFromSelf } })
      expect(yield* Effect.flip(call)).toMatchObject({ _tag: "InvalidOptions", module: "StructuredOutput" })
      expect(yield* ScriptedModel.requests).toHaveLength(0)
    }).pipe(scripted(good)))

  it.effect("says what a reply costs over all, where the replies differ", () =>
    Effect.gen(function*() {
      const reply = (text: string, totalTokens: number) =>
        ScriptedModel.reply(
          new Response.Response({
            model: "m",
            parts: [Prompt.text(text)],
            finishReason: "stop",
            usage: new Usage({ inputTokens: totalTokens - 1, outputTokens: 1, totalTokens, reasoningTokens: 1 })
          })
        )
      const { usage } = yield* ask().pipe(Effect.provide(ScriptedModel.layer([
        reply("{", 10),
        reply(JSON.stringify(rome), 100)
      ])))
      expect({ ...usage }).toEqual({ inputTokens: 108, outputTokens: 2, totalTokens: 110, reasoningTokens: 2 })
    }))
})

describe("GenerateObject.call, within limits", () => {
  const bad = (founded: string) => noNumber(founded)
  const price = Price.make({ models: { "scripted-model": { input: 1_000, output: 1_000 } } })

  it.effect("does not ask again once the tokens or the money are spent", () =>
    Effect.gen(function*() {
      for (
        const [given, unit, spent] of [
          [{ limits: { tokens: 30 } }, "tokens", 30],
          [{ limits: { cost: 0.03 }, price }, "cost", 0.03],
          [{ limits: { cost: 0.03 }, price: ({ totalTokens }: Usage) => totalTokens / 1_000 }, "cost", 0.03]
        ] as const
      ) {
        const { error, requests } = yield* Effect.all({
          error: Effect.flip(ask({ maxReasks: 5, ...given })),
          requests: ScriptedModel.requests
        }).pipe(scripted(bad("a"), bad("b"), good))
        expect(error).toMatchObject({ _tag: "SpendLimitExceeded", unit, spent })
        expect(requests).toHaveLength(2)
      }
    }))

  it.effect("gives an answer that was good, whatever it cost", () =>
    Effect.map(ask({ limits: { tokens: 1, cost: 1e-9 }, price }), ({ value }) => expect(value).toEqual(rome)).pipe(
      scripted(good)
    ))

  it.effect("stops at a reply of a model that has no price", () =>
    Effect.gen(function*() {
      const other = Price.make({ models: { other: { input: 1, output: 1 } } })
      const error = yield* Effect.flip(ask({ limits: { cost: 1 }, price: other }))
      expect(error).toMatchObject({ _tag: "InvalidOptions" })
    }).pipe(scripted(bad("a"), good)))

  it.effect("refuses limits that can never hold before anything is sent", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(ask({ limits: { tokens: 0, cost: 1 } }))
      if (error._tag !== "InvalidOptions") return expect.unreachable()
      expect(error.issues.map(({ path }) => path)).toEqual(["limits.tokens", "price"])
    }).pipe(scripted(good)))
})
