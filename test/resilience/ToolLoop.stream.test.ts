import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Ref from "effect/Ref"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import * as ModelError from "../../src/error/ModelError.ts"
import * as LanguageModel from "../../src/model/LanguageModel.ts"
import * as Prompt from "../../src/model/Prompt.ts"
import * as StreamPart from "../../src/model/StreamPart.ts"
import * as Tool from "../../src/model/Tool.ts"
import * as Toolkit from "../../src/model/Toolkit.ts"
import * as Usage from "../../src/model/Usage.ts"
import * as ResilientModel from "../../src/resilience/ResilientModel.ts"
import * as ToolLoop from "../../src/resilience/ToolLoop.ts"
import * as ScriptedModel from "../../src/testing/ScriptedModel.ts"

class Closed extends Schema.TaggedError<Closed>()("Closed", {}) {}

const GetWeather = Tool.make("get_weather", { parameters: Schema.Struct({ city: Schema.String }) })
const kit = Toolkit.make(GetWeather)
const rainIn = { get_weather: ({ city }: { readonly city: string }) => Effect.succeed(`Rain in ${city}`) }

type Kit = Effect.Effect.Success<typeof kit>["tools"]
type Handlers = Toolkit.Handlers<Kit, Closed>
type More = Omit<ToolLoop.RunOptions<Kit, Handlers>, "toolkit" | "handlers" | "prompt">

/** The progress of a run with one tool, the weather. */
const progress = (handlers: Handlers = rainIn, more: More = {}) =>
  Stream.unwrap(
    Effect.map(kit, (toolkit) =>
      ToolLoop.stream({ prompt: "Umbrella in Rome?", toolkit, handlers, idempotencyKey: "run", ...more }))
  )

const words = (one: ToolLoop.Progress<Kit>): string => {
  switch (one._tag) {
    case "Part":
      return `${one.step} ${one.part._tag}`
    case "Refused":
      return `${one.step} Refused ${one.error._tag}`
    case "Result":
      return `${one.step} Result ${one.result.content}`
    case "Done":
      return `Done ${one.outcome.response.text}`
  }
}

const seen = (handlers: Handlers = rainIn, more: More = {}) =>
  Effect.map(Stream.runCollect(progress(handlers, more)), (all) => Chunk.toReadonlyArray(all).map(words))

/** What came before the failure, and the failure. */
const untilFailure = (handlers: Handlers = rainIn, more: More = {}) =>
  Effect.gen(function*() {
    const before: Array<string> = []
    const error = yield* Effect.flip(
      Stream.runForEach(progress(handlers, more), (one) => Effect.sync(() => void before.push(words(one))))
    )
    return { before, error }
  })

const scripted = (...script: ReadonlyArray<ScriptedModel.Step>) => Effect.provide(ScriptedModel.layer(script))
const weather = ScriptedModel.toolCall("get_weather", { city: "Rome" })
const bad = ScriptedModel.rawToolCall("get_weather", "{\"city\" \"Rome\"}")
const yes = ScriptedModel.text("Take it.")

/** A model that answers with this stream, whatever it is asked. */
const streaming = (parts: Stream.Stream<StreamPart.StreamPart, LanguageModel.LanguageModelError>) =>
  Effect.provideService(
    LanguageModel.LanguageModel,
    LanguageModel.make({
      name: "streaming",
      provider: "test",
      generate: () => StreamPart.collect(parts),
      stream: () => parts
    })
  )

const finish = StreamPart.finish({ reason: "stop", usage: Usage.zero })

describe("ToolLoop.stream", () => {
  it.effect("tells the parts of each reply, then its results, and at last the outcome", () =>
    Effect.gen(function*() {
      expect(yield* seen()).toEqual([
        "1 Start",
        "1 ToolCallStart",
        "1 ToolArgumentsDelta",
        "1 ToolArgumentsDelta",
        "1 ToolCall",
        "1 Finish",
        "1 Result Rain in Rome",
        "2 Start",
        "2 TextDelta",
        "2 Finish",
        "Done Take it."
      ])
    }).pipe(scripted(weather, yes)))

  it.effect("tells that a reply was refused before it asks again, within the same step", () =>
    Effect.gen(function*() {
      const steps = (yield* seen()).filter((one) => !/Delta|ToolCall/.test(one) || one.includes("Refused"))
      expect(steps).toEqual([
        "1 Start",
        "1 Finish",
        "1 Refused ToolCallsRejected",
        "1 Start",
        "1 Finish",
        "1 Result Rain in Rome",
        "2 Start",
        "2 Finish",
        "Done Take it."
      ])
    }).pipe(scripted(bad, weather, yes)))

  it.effect("ends in the same outcome as a run", () =>
    Effect.gen(function*() {
      const script = [bad, weather, yes]
      const streamed = yield* Stream.runLast(progress()).pipe(Effect.flatten, scripted(...script))
      const toolkit = yield* kit
      const ran = yield* ToolLoop.run({
        prompt: "Umbrella in Rome?",
        toolkit,
        handlers: rainIn,
        idempotencyKey: "run"
      }).pipe(scripted(...script))
      expect(streamed).toEqual({ _tag: "Done", outcome: ran })
    }))

  it.effect("gives results as the handlers end, and keeps the conversation in the order of the calls", () =>
    Effect.gen(function*() {
      const handlers = {
        get_weather: ({ city }: { readonly city: string }) =>
          Effect.as(Effect.sleep(city === "Rome" ? "2 seconds" : "1 second"), city)
      }
      const running = yield* Effect.fork(Stream.runCollect(progress(handlers, { concurrency: 2 })))
      yield* TestClock.adjust("2 seconds")
      const all = Chunk.toReadonlyArray(yield* Fiber.join(running))
      expect(all.map(words).filter((one) => one.includes("Result"))).toEqual(["1 Result Oslo", "1 Result Rome"])
      const last = all.at(-1)
      const told = last?._tag === "Done"
        ? last.outcome.state.prompt.messages.flatMap((one) => one._tag === "Tool" ? one.content : [])
        : []
      expect(told.map(({ content }) => content)).toEqual(["Rome", "Oslo"])
    }).pipe(scripted(
      ScriptedModel.toolCalls([
        { name: "get_weather", arguments: "{\"city\":\"Rome\"}" },
        { name: "get_weather", arguments: "{\"city\":\"Oslo\"}" }
      ]),
      yes
    )))

  it.effect("shows the model its call as it was read, where it had to be mended", () =>
    Effect.gen(function*() {
      expect(yield* seen()).toContain("1 Result Rain in Rome")
      const [, second] = yield* ScriptedModel.requests
      expect(Prompt.make(second?.prompt ?? "").messages[1]?.content).toMatchObject([
        { _tag: "ToolCall", arguments: "{\"city\":\"Rome\"}" }
      ])
    }).pipe(scripted(ScriptedModel.rawToolCall("get_weather", "{\"city\": \"Rome\",}"), yes)))

  it.effect("begins a run of its own each time it is run", () =>
    Effect.gen(function*() {
      const first = yield* seen()
      const second = yield* seen()
      expect(second).toEqual(first)
      expect(yield* ScriptedModel.requests).toHaveLength(4)
    }).pipe(scripted(weather, yes, weather, yes)))

  it.effect("runs first what an earlier run had left unanswered", () =>
    Effect.gen(function*() {
      const failing = { get_weather: () => Effect.fail(new Closed()) }
      const { error } = yield* untilFailure(failing)
      const state = error._tag === "RunFailed" ? error.state : undefined
      expect((yield* seen(rainIn, { state }))[0]).toBe("1 Result Rain in Rome")
    }).pipe(scripted(weather, yes)))
})

describe("ToolLoop.stream, when a model begins anew", () => {
  it.effect("passes the Reset on, and goes by what came after it", () =>
    Effect.gen(function*() {
      const all = yield* seen()
      expect(all.filter((one) => /Reset|Result|Done/.test(one))).toEqual([
        "1 Reset",
        "1 Result Rain in Oslo",
        "Done Take it."
      ])
    }).pipe(scripted(
      ScriptedModel.parts([
        StreamPart.start(),
        StreamPart.toolCall(0, "a", "get_weather", "{\"city\":\"Rome\"}"),
        StreamPart.reset(2, "cut"),
        StreamPart.toolCall(0, "b", "get_weather", "{\"city\":\"Oslo\"}"),
        StreamPart.finish({ reason: "tool-calls", usage: Usage.zero })
      ]),
      yes
    )))

  it.effect("shows nothing of a retry before the first word", () =>
    Effect.gen(function*() {
      expect((yield* seen()).filter((one) => /Start|Done/.test(one))).toEqual(["1 Start", "Done Take it."])
    }).pipe(Effect.provide(
      ResilientModel.layer({ retry: { backoff: "immediate", attempts: 2 } }).pipe(
        Layer.provide(ScriptedModel.layer([ScriptedModel.fail(new ModelError.Overloaded({ provider: "demo" })), yes]))
      )
    )))
})

describe("ToolLoop.stream, when it fails", () => {
  it.effect("asks nothing with options that cannot be", () =>
    Effect.gen(function*() {
      const { before, error } = yield* untilFailure(rainIn, { maxReasks: -1 })
      expect([before, error._tag]).toEqual([[], "InvalidOptions"])
      expect(yield* ScriptedModel.requests).toEqual([])
    }).pipe(scripted(yes)))

  it.effect("gives all that came, and then how far the run had got", () =>
    Effect.gen(function*() {
      const { before, error } = yield* untilFailure()
      expect(before.slice(-3)).toEqual(["1 Result Rain in Rome", "2 Start", "2 TextDelta"])
      expect(error).toMatchObject({
        _tag: "RunFailed",
        error: { _tag: "Truncated", received: "Take" },
        state: { steps: 1, toolCalls: 1, usage: { totalTokens: 15 } }
      })
    }).pipe(scripted(weather, ScriptedModel.parts([StreamPart.start(), StreamPart.textDelta("Take")]))))

  it.effect("tells the last refusal as well", () =>
    Effect.gen(function*() {
      const { before, error } = yield* untilFailure(rainIn, { maxReasks: 0 })
      expect(before.at(-1)).toBe("1 Refused ToolCallsRejected")
      expect(error).toMatchObject({ _tag: "RunFailed", error: { _tag: "ToolCallsRejected" } })
    }).pipe(scripted(bad)))

  it.effect("fails with what a handler fails with", () =>
    Effect.gen(function*() {
      const { error } = yield* untilFailure({ get_weather: () => Effect.fail(new Closed()) })
      expect(error).toMatchObject({ _tag: "RunFailed", error: { _tag: "Closed" }, state: { steps: 1, toolCalls: 0 } })
    }).pipe(scripted(weather)))

  it.effect("passes a handler's defect on as it is", () =>
    Effect.gen(function*() {
      const exit = yield* Effect.exit(Stream.runDrain(progress({ get_weather: () => Effect.die("broken") })))
      expect(Exit.isFailure(exit) && Cause.isDieType(exit.cause) && exit.cause.defect).toBe("broken")
    }).pipe(scripted(weather)))
})

describe("ToolLoop.stream, when its consumer leaves", () => {
  it.effect("interrupts the model in the middle of a reply", () =>
    Effect.gen(function*() {
      const left = yield* Deferred.make<void>()
      const endless = Stream.concat(Stream.make(StreamPart.start()), Stream.never).pipe(
        Stream.ensuring(Deferred.succeed(left, undefined))
      )
      const some = yield* progress().pipe(Stream.take(1), Stream.runCollect, streaming(endless))
      expect(Chunk.toReadonlyArray(some).map(words)).toEqual(["1 Start"])
      expect(yield* Deferred.isDone(left)).toBe(true)
    }))

  it.effect("interrupts a handler that is still running", () =>
    Effect.gen(function*() {
      const [begun, left] = yield* Effect.all([Deferred.make<void>(), Deferred.make<void>()])
      const waiting = {
        get_weather: () =>
          Deferred.succeed(begun, undefined).pipe(
            Effect.zipRight(Effect.never),
            Effect.onInterrupt(() => Deferred.succeed(left, undefined))
          )
      }
      const running = yield* Effect.fork(Stream.runDrain(progress(waiting)))
      yield* Deferred.await(begun)
      yield* Fiber.interrupt(running)
      expect(yield* Deferred.isDone(left)).toBe(true)
      expect(yield* ScriptedModel.requests).toHaveLength(1)
    }).pipe(scripted(weather, yes)))

  it.effect("does nothing more, once what it waits for has been interrupted", () =>
    Effect.gen(function*() {
      const ran = yield* Ref.make(0)
      const counting = { get_weather: () => Effect.as(Ref.update(ran, (count) => count + 1), "Rain") }
      yield* progress(counting).pipe(Stream.takeUntil((one) => one._tag === "Result"), Stream.runDrain)
      yield* TestClock.adjust("1 hour")
      expect((yield* ScriptedModel.requests).length).toBeLessThanOrEqual(2)
      expect(yield* ran).toBe(1)
    }).pipe(scripted(weather, ScriptedModel.delayed("1 second", weather), yes)))
})

describe("ToolLoop.stream, when its consumer is slow", () => {
  /** As many words as asked for; `sent` counts those that were taken from the model. */
  const talk = (sent: Ref.Ref<number>, length: number) =>
    Stream.range(1, length).pipe(
      Stream.rechunk(1),
      Stream.tap(() => Ref.update(sent, (count) => count + 1)),
      Stream.map((number): StreamPart.StreamPart => StreamPart.textDelta(`${number} `)),
      Stream.concat(Stream.make(finish))
    )

  it.effect("takes from the model no more than fits between the two", () =>
    Effect.gen(function*() {
      const sent = yield* Ref.make(0)
      const running = yield* progress().pipe(
        Stream.runForEach(() => Effect.sleep("1 second")),
        streaming(talk(sent, 1000)),
        Effect.fork
      )
      const ahead: Array<number> = []
      for (let second = 0; second < 100; second++) {
        ahead.push((yield* sent) - second)
        yield* TestClock.adjust("1 second")
      }
      expect(Math.max(...ahead)).toBeLessThanOrEqual(18)
      yield* Fiber.interrupt(running)
    }))

  it.effect("loses nothing", () =>
    Effect.gen(function*() {
      const sent = yield* Ref.make(0)
      const running = yield* progress().pipe(
        Stream.tap(() => Effect.sleep("1 second")),
        Stream.runCollect,
        streaming(talk(sent, 200)),
        Effect.fork
      )
      yield* TestClock.adjust("5 minutes")
      const all = Chunk.toReadonlyArray(yield* Fiber.join(running))
      const numbers = Array.from({ length: 200 }, (_, index) => `${index + 1} `).join("")
      expect(words(all.at(-1) ?? { _tag: "Part", step: 0, part: finish })).toBe(`Done ${numbers}`)
      expect(all).toHaveLength(202)
    }))
})
