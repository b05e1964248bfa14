import { describe, expect, it } from "@effect/vitest"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Ref from "effect/Ref"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import * as ModelError from "../../src/error/ModelError.ts"
import * as Prompt from "../../src/model/Prompt.ts"
import * as Tool from "../../src/model/Tool.ts"
import * as Toolkit from "../../src/model/Toolkit.ts"
import { Usage } from "../../src/model/Usage.ts"
import * as ResilientModel from "../../src/resilience/ResilientModel.ts"
import * as ToolLoop from "../../src/resilience/ToolLoop.ts"
import * as Monitor from "../../src/telemetry/Monitor.ts"
import * as ScriptedModel from "../../src/testing/ScriptedModel.ts"

const GetWeather = Tool.make("get_weather", { parameters: Schema.Struct({ city: Schema.String }) })
const SendMail = Tool.make("send_mail", { parameters: Schema.Struct({ to: Schema.String }) })

class MailboxFull extends Data.TaggedError("MailboxFull")<{}> {}

const weather = ScriptedModel.toolCall("get_weather", { city: "Rome" })
const notJson = (text = "{\"city\" \"Rome\"}") => ScriptedModel.rawToolCall("get_weather", text)
const refusedByGroq = (failedGeneration: string) =>
  ScriptedModel.fail(
    new ModelError.InvalidToolCall({ provider: "groq", status: 400, failedGeneration, detail: "tool_use_failed" })
  )

interface Given extends
  Omit<
    ToolLoop.Options<
      readonly [typeof GetWeather, typeof SendMail],
      Toolkit.Handlers<readonly [typeof GetWeather, typeof SendMail], unknown, unknown>
    >,
    "handlers" | "toolkit" | "prompt"
  >
{}

/** Asks once, with handlers that write down what they were called with. */
const ask = (given: Given = {}) =>
  Effect.gen(function*() {
    const toolkit = yield* Toolkit.make(GetWeather, SendMail)
    const ran = yield* Ref.make<ReadonlyArray<string>>([])
    const note = (text: string) => Ref.update(ran, (before) => [...before, text])
    const call = ToolLoop.call({
      prompt: "How is the weather in Rome?",
      toolkit,
      handlers: {
        get_weather: ({ city }) => Effect.as(note(city), `Sunny in ${city}`),
        send_mail: ({ to }) => Effect.as(note(to), "sent")
      },
      ...given
    })
    const exit = yield* Effect.either(call)
    return { exit, ran: yield* ran, requests: yield* ScriptedModel.requests }
  })

const succeed = (given: Given = {}) =>
  Effect.flatMap(ask(given), ({ exit, ...rest }) => Effect.map(exit, (outcome) => ({ outcome, ...rest })))
const failure = (given: Given = {}) =>
  Effect.flatMap(ask(given), ({ exit, ...rest }) => Effect.map(Effect.flip(exit), (error) => ({ error, ...rest })))

const messages = (prompt: Prompt.Input | undefined) => prompt === undefined ? [] : Prompt.make(prompt).messages
/** What the model is told as the results of its calls, in order. */
const told = (prompt: Prompt.Input | undefined) =>
  messages(prompt).flatMap((message) => message._tag === "Tool" ? message.content : [])

const scripted = (...script: ReadonlyArray<ScriptedModel.Step>) => Effect.provide(ScriptedModel.layer(script))

describe("ToolLoop, when the calls are good", () => {
  it.effect("runs each handler once, and gives calls, results and the next prompt", () =>
    Effect.gen(function*() {
      const { outcome, ran, requests } = yield* succeed()
      expect(ran).toEqual(["Rome"])
      expect(requests).toHaveLength(1)
      expect(outcome.calls).toEqual([
        { id: "call_1_1", name: "get_weather", arguments: { city: "Rome" }, raw: "{\"city\":\"Rome\"}", repairs: [] }
      ])
      expect(outcome.results).toEqual([
        { id: "call_1_1", name: "get_weather", content: "Sunny in Rome", isError: false, value: "Sunny in Rome" }
      ])
      expect([outcome.reasks, outcome.refused]).toEqual([0, []])
      expect(outcome.prompt.messages).toEqual([
        Prompt.user("How is the weather in Rome?"),
        Prompt.assistant([
          { _tag: "ToolCall", id: "call_1_1", name: "get_weather", arguments: "{\"city\":\"Rome\"}" }
        ]),
        Prompt.toolResult({ id: "call_1_1", name: "get_weather", content: "Sunny in Rome" })
      ])
    }).pipe(scripted(weather)))

  it.effect("runs several calls of one reply in their order", () =>
    Effect.gen(function*() {
      const { outcome, ran } = yield* succeed()
      expect(ran).toEqual(["a@b.c", "Oslo", "Rome"])
      expect(outcome.results.map((result) => result.content)).toEqual(["sent", "Sunny in Oslo", "Sunny in Rome"])
    }).pipe(scripted(ScriptedModel.toolCalls([
      { name: "send_mail", arguments: "{\"to\":\"a@b.c\"}" },
      { name: "get_weather", arguments: "{\"city\":\"Oslo\"}" },
      { name: "get_weather", arguments: "{\"city\":\"Rome\"}" }
    ]))))

  it.effect("accepts a reply without calls as it is", () =>
    Effect.gen(function*() {
      const { outcome, ran } = yield* succeed()
      expect([outcome.response.text, outcome.calls, ran]).toEqual(["I do not know.", [], []])
      expect(outcome.prompt.messages).toHaveLength(2)
    }).pipe(scripted(ScriptedModel.text("I do not know."))))

  it.effect("sends everything else of the request as it is", () =>
    Effect.gen(function*() {
      const { requests } = yield* succeed({ temperature: 0, toolChoice: "required", idempotencyKey: "k", name: "n" })
      expect(requests[0]).toMatchObject({ temperature: 0, toolChoice: "required", idempotencyKey: "k" })
      expect(Object.keys(requests[0] ?? {}).sort()).toEqual([
        "idempotencyKey",
        "prompt",
        "temperature",
        "toolChoice",
        "tools"
      ])
    }).pipe(scripted(weather)))

  it.effect("runs as many handlers at a time as allowed", () =>
    Effect.gen(function*() {
      const toolkit = yield* Toolkit.make(GetWeather)
      const call = ToolLoop.call({
        prompt: "x",
        toolkit,
        concurrency: 2,
        handlers: { get_weather: ({ city }) => Effect.delay(Effect.succeed(city), "1 minute") }
      })
      const fiber = yield* Effect.fork(call)
      yield* TestClock.adjust("1 minute")
      expect((yield* Fiber.join(fiber)).results.map((result) => result.value)).toEqual(["Oslo", "Rome"])
    }).pipe(scripted(ScriptedModel.toolCalls([
      { name: "get_weather", arguments: "{\"city\":\"Oslo\"}" },
      { name: "get_weather", arguments: "{\"city\":\"Rome\"}" }
    ]))))
})

describe("ToolLoop, when a call is bad", () => {
  it.effect("tells the model what is wrong as the result of its call, and asks again", () =>
    Effect.gen(function*() {
      const { outcome, ran, requests } = yield* succeed()
      expect(ran).toEqual(["Rome"])
      expect(outcome.reasks).toBe(1)
      expect(outcome.refused.map((error) => error._tag)).toEqual(["ToolCallsRejected"])
      expect(messages(requests[1]?.prompt).map((message) => message._tag)).toEqual(["User", "Assistant", "Tool"])
      expect(told(requests[1]?.prompt)).toEqual([
        {
          _tag: "ToolResult",
          id: "call_1_1",
          name: "get_weather",
          isError: true,
          content: expect.stringContaining("are not valid JSON at line 1, column 9")
        }
      ])
    }).pipe(scripted(notJson(), weather)))

  it.effect("names every parameter that does not fit", () =>
    Effect.gen(function*() {
      const { requests } = yield* succeed()
      const [result] = told(requests[1]?.prompt)
      expect(result?.content).toContain("- city: ")
      expect(result?.content).toContain("- country: ")
    }).pipe(scripted(ScriptedModel.toolCall("get_weather", { city: 1, country: "IT" }), weather)))

  it.effect("runs nothing of a reply that is partly bad, and tells the good call so", () =>
    Effect.gen(function*() {
      const { ran, requests } = yield* succeed()
      expect(ran).toEqual(["a@b.c", "Rome"])
      expect(told(requests[1]?.prompt).map((result) => [result.id, result.isError])).toEqual([["m", true], ["w", true]])
      const [mail, wrong] = told(requests[1]?.prompt)
      expect(mail?.content).toContain("Not run, because another call of the same reply was refused")
      expect(wrong?.content).toContain("are not valid JSON")
    }).pipe(scripted(
      ScriptedModel.toolCalls([
        { id: "m", name: "send_mail", arguments: "{\"to\":\"a@b.c\"}" },
        { id: "w", name: "get_weather", arguments: "{city: \"Rome\"}" }
      ]),
      ScriptedModel.toolCalls([
        { name: "send_mail", arguments: "{\"to\":\"a@b.c\"}" },
        { name: "get_weather", arguments: "{\"city\":\"Rome\"}" }
      ])
    )))

  it.effect("answers every call of a refused reply under an id that no other has", () =>
    Effect.gen(function*() {
      const { requests } = yield* succeed()
      expect(told(requests[1]?.prompt).map(({ id }) => id)).toEqual(["a", "a_3", "a_2"])
    }).pipe(scripted(
      ScriptedModel.toolCalls(
        ["a", "a", "a_2"].map((id) => ({ id, name: "get_weather", arguments: "{\"city\":\"Rome\"}" }))
      ),
      ScriptedModel.text("Fine.")
    )))

  it.effect("knows no tool called constructor, and sends such a name back in letters that providers take", () =>
    Effect.gen(function*() {
      const { outcome, requests } = yield* succeed()
      expect(told(requests[1]?.prompt)[0]?.content).toContain("There is no tool named \"constructor\"")
      expect(told(requests[2]?.prompt)[1]).toMatchObject({ name: "get_weather__fast_" })
      expect(outcome.reasks).toBe(2)
    }).pipe(scripted(
      ScriptedModel.toolCall("constructor", {}),
      ScriptedModel.toolCall("get_weather (fast)", { city: "Rome" }),
      weather
    )))

  it.effect("does not run a call of a reply that was cut off, even when its JSON is whole", () =>
    Effect.gen(function*() {
      const { outcome, ran, requests } = yield* succeed()
      expect(ran).toEqual(["Rome"])
      expect(told(requests[1]?.prompt)[0]?.content).toContain("the reply ended early (finish reason \"length\")")
      expect(outcome.refused[0]).toMatchObject({ rejected: [{ error: { _tag: "TruncatedArguments" } }] })
    }).pipe(scripted(ScriptedModel.rawToolCall("get_weather", "{\"city\":\"Rome\"}", "length"), weather)))

  it.effect("asks again when the provider itself refused the call, and quotes what it refused", () =>
    Effect.gen(function*() {
      const { outcome, ran, requests } = yield* succeed()
      expect(ran).toEqual(["Rome"])
      expect(outcome.refused.map((error) => error._tag)).toEqual(["InvalidToolCall"])
      const last = messages(requests[1]?.prompt).at(-1)
      expect(last?._tag).toBe("User")
      expect(JSON.stringify(last?.content)).toContain("<function=get_weather")
    }).pipe(scripted(refusedByGroq("<function=get_weather {city: Rome}>"), weather)))

  it.effect("asks at most twice more where nothing is said, and then fails with the last refusal", () =>
    Effect.gen(function*() {
      expect(ToolLoop.defaults.maxReasks).toBe(2)
      const { error, ran, requests } = yield* failure()
      expect(error).toMatchObject({ _tag: "ToolCallsRejected", rejected: [{ raw: "{c" }] })
      expect([ran, requests.length]).toEqual([[], 3])
    }).pipe(scripted(notJson("{a"), notJson("{b"), notJson("{c"), weather)))

  it.effect("never asks again when told so", () =>
    Effect.gen(function*() {
      const { error, requests } = yield* failure({ maxReasks: 0 })
      expect(error).toMatchObject({ _tag: "ToolCallsRejected" })
      expect(requests).toHaveLength(1)
    }).pipe(scripted(notJson(), weather)))

  it.effect("asks as often as allowed", () =>
    Effect.gen(function*() {
      expect((yield* succeed({ maxReasks: 20 })).outcome.reasks).toBe(20)
    }).pipe(scripted(...Array.from({ length: 20 }, (_, i) => notJson(`{"city": ${i}x}`)), weather)))

  it.effect("stops at once when the model repeats a failure it was told of", () =>
    Effect.gen(function*() {
      const { error, requests } = yield* failure({ maxReasks: 20 })
      expect(error).toMatchObject({ _tag: "ToolCallsRejected" })
      expect(requests).toHaveLength(2)
    }).pipe(scripted(notJson(), notJson(), weather)))

  it.effect("notices a repetition also when another failure came between", () =>
    Effect.gen(function*() {
      expect((yield* failure({ maxReasks: 20 })).requests).toHaveLength(3)
    }).pipe(scripted(notJson(), ScriptedModel.toolCall("nothing"), notJson(), weather)))

  it.effect("stops at once when the provider refuses the same call again", () =>
    Effect.gen(function*() {
      const { error, requests } = yield* failure({ maxReasks: 20 })
      expect(error).toMatchObject({ _tag: "InvalidToolCall" })
      expect(requests).toHaveLength(2)
    }).pipe(scripted(refusedByGroq("<a>"), refusedByGroq("<a>"), weather)))

  it.effect("passes other failures of the model through", () =>
    Effect.gen(function*() {
      const { error, requests } = yield* failure()
      expect(error).toMatchObject({ _tag: "ContextLengthExceeded" })
      expect(requests).toHaveLength(2)
    }).pipe(scripted(
      notJson(),
      ScriptedModel.fail(new ModelError.ContextLengthExceeded({ provider: "scripted" }))
    )))

  it.effect("counts the tokens of all replies, the refused ones included", () =>
    Effect.gen(function*() {
      const { outcome } = yield* succeed()
      expect(outcome.usage).toEqual(new Usage({ inputTokens: 30, outputTokens: 15, totalTokens: 45 }))
    }).pipe(scripted(notJson("{a"), notJson("{b"), weather)))

  it.effect("keeps the whole conversation for the next turn", () =>
    Effect.gen(function*() {
      const { outcome } = yield* succeed()
      expect(outcome.prompt.messages.map((message) => message._tag)).toEqual([
        "User",
        "Assistant",
        "Tool",
        "Assistant",
        "Tool"
      ])
    }).pipe(scripted(notJson(), weather)))
})

describe("ToolLoop and idempotency", () => {
  it.effect("gives each re-ask a key of its own, made from the caller's", () =>
    Effect.gen(function*() {
      const { requests } = yield* succeed({ idempotencyKey: "order-7" })
      expect(requests.map((request) => request.idempotencyKey)).toEqual([
        "order-7",
        "order-7-reask-1",
        "order-7-reask-2"
      ])
    }).pipe(scripted(notJson("{a"), notJson("{b"), weather)))

  it.effect("also when the caller's key is as long as a key may be", () =>
    Effect.gen(function*() {
      const { requests } = yield* succeed({ idempotencyKey: "k".repeat(255) })
      const keys = requests.map((request) => request.idempotencyKey)
      expect(new Set(keys).size).toBe(3)
      expect(keys.every((key) => key !== undefined && key.length <= 255)).toBe(true)
    }).pipe(scripted(notJson("{a"), notJson("{b"), weather)))

  it.effect("keeps one key over the retries of one question, and takes another for the re-ask", () =>
    Effect.gen(function*() {
      const { requests } = yield* succeed()
      const [first, second, third, fourth] = requests.map((request) => request.idempotencyKey)
      expect(first).toMatch(/^[0-9a-f]{32}$/)
      expect([second, fourth]).toEqual([first, third])
      expect(third).not.toBe(first)
    }).pipe(Effect.provide(
      ResilientModel.layer({ retry: { backoff: "immediate", attempts: 2 } }).pipe(
        Layer.provideMerge(ScriptedModel.layer([
          ScriptedModel.fail(new ModelError.Overloaded({ provider: "scripted" })),
          notJson(),
          ScriptedModel.fail(new ModelError.Overloaded({ provider: "scripted" })),
          weather
        ]))
      )
    )))
})

describe("ToolLoop and its handlers", () => {
  const strong = ResilientModel.layer({ retry: { backoff: "immediate", attempts: 5 } }).pipe(
    Layer.provideMerge(ScriptedModel.layer([weather], { afterwards: weather }))
  )
  const withHandler = <E, R>(handler: (parameters: { readonly city: string }) => Effect.Effect<string, E, R>) =>
    Effect.flatMap(
      Toolkit.make(GetWeather),
      (toolkit) => ToolLoop.call({ prompt: "x", toolkit, handlers: { get_weather: handler } })
    )

  it.effect("passes a handler's failure through; the model's pipeline does not run the handler again", () =>
    Effect.gen(function*() {
      const runs = yield* Ref.make(0)
      const error = yield* Effect.flip(
        withHandler(() => Effect.zipRight(Ref.update(runs, (n) => n + 1), new MailboxFull()))
      )
      expect(error._tag).toBe("MailboxFull")
      expect([yield* runs, (yield* ScriptedModel.requests).length]).toEqual([1, 1])
    }).pipe(Effect.provide(strong)))

  it.effect("does not take a handler's failure for the model's, whatever its name", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(
        withHandler(() => Effect.fail(new ModelError.InvalidToolCall({ provider: "another" })))
      )
      expect(error).toMatchObject({ _tag: "InvalidToolCall", provider: "another" })
      expect(yield* ScriptedModel.requests).toHaveLength(1)
    }).pipe(Effect.provide(strong)))

  it.effect("lets a handler's defect be a defect", () =>
    Effect.gen(function*() {
      const cause = yield* Effect.sandbox(withHandler(() => Effect.die("broken"))).pipe(Effect.flip)
      expect(cause).toMatchObject({ _tag: "Die", defect: "broken" })
    }).pipe(Effect.provide(strong)))

  it.effect("stops with its caller: a running handler is interrupted, the others never start", () =>
    Effect.gen(function*() {
      const log = yield* Ref.make<ReadonlyArray<string>>([])
      const toolkit = yield* Toolkit.make(GetWeather)
      const fiber = yield* Effect.fork(ToolLoop.call({
        prompt: "x",
        toolkit,
        handlers: {
          get_weather: ({ city }) =>
            Ref.update(log, (before) => [...before, city]).pipe(
              Effect.zipRight(Effect.never),
              Effect.onInterrupt(() => Ref.update(log, (before) => [...before, `${city} stopped`]))
            )
        }
      }))
      yield* TestClock.adjust("1 second")
      yield* Fiber.interrupt(fiber)
      expect(yield* log).toEqual(["Oslo", "Oslo stopped"])
    }).pipe(scripted(ScriptedModel.toolCalls([
      { name: "get_weather", arguments: "{\"city\":\"Oslo\"}" },
      { name: "get_weather", arguments: "{\"city\":\"Rome\"}" }
    ]))))

  it.effect("stops with its caller while the model is asked", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.fork(withHandler(() => Effect.succeed("never")))
      yield* TestClock.adjust("1 second")
      yield* Fiber.interrupt(fiber)
      expect(yield* ScriptedModel.requests).toHaveLength(2)
    }).pipe(scripted(notJson(), ScriptedModel.hang, weather)))
})

describe("ToolLoop's options and events", () => {
  it.effect.each([
    { given: { maxReasks: -1 }, paths: ["maxReasks"] },
    { given: { maxReasks: 21 }, paths: ["maxReasks"] },
    { given: { maxReasks: 1.5 }, paths: ["maxReasks"] },
    { given: { maxReasks: NaN, concurrency: 0 }, paths: ["maxReasks", "concurrency"] },
    { given: { concurrency: Infinity }, paths: ["concurrency"] }
  ])("refuses $given before anything is sent", ({ given, paths }) =>
    Effect.gen(function*() {
      const { error, requests } = yield* failure(given)
      expect(error).toMatchObject({
        _tag: "InvalidOptions",
        module: "ToolLoop",
        issues: paths.map((path) => ({ path }))
      })
      expect(requests).toHaveLength(0)
    }).pipe(scripted(weather)))

  it.effect("reports refusals, re-asks and runs, with its name", () =>
    Effect.gen(function*() {
      const recorder = yield* Monitor.recorder
      yield* Effect.provideService(succeed({ name: "weather" }), Monitor.Monitor, recorder.monitor)
      expect(yield* recorder.events).toEqual([
        {
          _tag: "ToolCallsRejected",
          at: 0,
          name: "weather",
          reask: 0,
          tools: ["get_weather"],
          kinds: ["MalformedArguments Syntax"],
          reasons: [expect.stringContaining("not valid JSON")]
        },
        { _tag: "Reasked", at: 0, name: "weather", reask: 1 },
        {
          _tag: "ToolCallsRejected",
          at: 0,
          name: "weather",
          reask: 1,
          tools: [],
          kinds: ["InvalidToolCall"],
          reasons: [expect.stringContaining("invalid tool call")]
        },
        { _tag: "Reasked", at: 0, name: "weather", reask: 2 },
        { _tag: "ToolRan", at: 0, name: "weather", tool: "get_weather", callId: "call_3_1" }
      ])
    }).pipe(scripted(notJson(), refusedByGroq("<a>"), weather)))

  it.effect("reports the last refusal, too, and no re-ask after it", () =>
    Effect.gen(function*() {
      const recorder = yield* Monitor.recorder
      yield* Effect.provideService(failure({ maxReasks: 1 }), Monitor.Monitor, recorder.monitor)
      expect((yield* recorder.events).map((event) => event._tag)).toEqual([
        "ToolCallsRejected",
        "Reasked",
        "ToolCallsRejected"
      ])
    }).pipe(scripted(notJson("{a"), notJson("{b"))))
})
