import { describe, expect, it } from "@effect/vitest"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import * as ModelError from "../../src/error/ModelError.ts"
import * as LanguageModel from "../../src/model/LanguageModel.ts"
import * as Prompt from "../../src/model/Prompt.ts"
import * as StreamPart from "../../src/model/StreamPart.ts"
import * as ModelPool from "../../src/resilience/ModelPool.ts"
import * as Monitor from "../../src/telemetry/Monitor.ts"
import * as ScriptedModel from "../../src/testing/ScriptedModel.ts"

const { fail } = ScriptedModel
const overloaded = fail(new ModelError.Overloaded({ provider: "p" }))
const limited = (retryAfter?: Duration.Duration) =>
  fail(new ModelError.RateLimited({ provider: "p", scope: "requests", retryAfter }))
const badKey = fail(new ModelError.Authentication({ provider: "p" }))
const badRequest = fail(new ModelError.InvalidRequest({ provider: "p" }))
const tooLong = fail(new ModelError.ContextLengthExceeded({ provider: "p" }))
const spent = fail(new ModelError.QuotaExhausted({ provider: "p", reason: "billing" }))

/** A model that answers with its name after what is in its script. */
const model = (name: string, ...script: ReadonlyArray<ScriptedModel.Step>) =>
  ScriptedModel.make(script, { name: "m", provider: "p", afterwards: ScriptedModel.text(name) })
const always = (step: ScriptedModel.Step) => ScriptedModel.make([], { name: "m", provider: "p", afterwards: step })

const request: LanguageModel.Request = { prompt: "hello" }
const textOf = (pool: LanguageModel.Service) => Effect.map(pool.generate(request), (response) => response.text)
const count = (scripted: ScriptedModel.Memory) => Effect.map(scripted.requests, (requests) => requests.length)
const named = (models: Readonly<Record<string, LanguageModel.Service>>) =>
  Object.entries(models).map(([name, model]) => ({ name, model }))

describe("ModelPool", () => {
  it.effect("spreads calls over its members", () =>
    Effect.gen(function*() {
      const [a, b] = [yield* model("a"), yield* model("b")]
      const pool = yield* ModelPool.make({ members: named({ a, b }) })
      const texts = yield* Effect.replicateEffect(textOf(pool), 6)
      expect(texts).toEqual(["a", "b", "a", "b", "a", "b"])
    }))

  it.effect("goes to the next member at once when one is throttled, and leaves that one alone for as long as it says", () =>
    Effect.gen(function*() {
      const a = yield* model("a", limited(Duration.seconds(30)))
      const b = yield* model("b")
      const pool = yield* ModelPool.make({ members: named({ a, b }) })
      const { failed, member, value } = yield* pool.generateWithReport(request)
      expect([value.text, member, failed.map((each) => `${each.member} ${each.error._tag}`)]).toEqual([
        "b",
        "b",
        ["a RateLimited"]
      ])
      expect(yield* Effect.replicateEffect(textOf(pool), 4)).toEqual(["b", "b", "b", "b"])
      expect((yield* pool.standings)[0]).toMatchObject({
        name: "a",
        restsFor: Duration.seconds(30),
        lastError: "RateLimited"
      })
      yield* TestClock.adjust("30 seconds")
      expect(yield* textOf(pool)).toBe("a")
    }))

  it.effect("lets a member rest whose key is refused or whose quota is spent, and asks it again later", () =>
    Effect.gen(function*() {
      for (const refusal of [badKey, spent]) {
        const a = yield* model("a", refusal)
        const pool = yield* ModelPool.make({ members: named({ a, b: yield* model("b") }) })
        expect(yield* Effect.replicateEffect(textOf(pool), 3)).toEqual(["b", "b", "b"])
        expect(yield* count(a)).toBe(1)
        yield* TestClock.adjust("5 minutes")
        expect(yield* textOf(pool)).toBe("a")
      }
    }))

  it.effect("lets a member rest until its quota of the day is back", () =>
    Effect.gen(function*() {
      const resetAt = DateTime.unsafeMake(Duration.toMillis("7 hours"))
      const a = yield* model("a", fail(new ModelError.QuotaExhausted({ provider: "p", reason: "daily", resetAt })))
      const pool = yield* ModelPool.make({ members: named({ a, b: yield* model("b") }) })
      yield* textOf(pool)
      expect((yield* pool.standings)[0]?.restsFor).toEqual(Duration.hours(7))
    }))

  it.effect("takes a member out by its circuit breaker, and back by a probe", () =>
    Effect.gen(function*() {
      const a = yield* always(overloaded)
      const pool = yield* ModelPool.make({
        members: [
          {
            name: "a",
            model: a,
            pipeline: { circuitBreaker: { tripping: { when: "consecutive", failures: 3 }, openFor: "10 seconds" } }
          },
          { name: "b", model: yield* model("b") }
        ]
      })
      expect(new Set(yield* Effect.replicateEffect(textOf(pool), 20))).toEqual(new Set(["b"]))
      const before = yield* count(a)
      expect(before).toBe(3)
      expect((yield* pool.standings)[0]?.circuit?._tag).toBe("Open")
      yield* TestClock.adjust("10 seconds")
      yield* Effect.replicateEffect(textOf(pool), 20)
      expect(yield* count(a)).toBe(before + 1)
    }))

  it.effect("has a circuit breaker for a member without a pipeline", () =>
    Effect.gen(function*() {
      const a = yield* always(overloaded)
      const pool = yield* ModelPool.make({ members: named({ a, b: yield* model("b") }) })
      yield* Effect.replicateEffect(textOf(pool), 100)
      expect(yield* count(a)).toBe(10)
    }))

  it.effect("stops at what no member can mend", () =>
    Effect.gen(function*() {
      const b = yield* model("b")
      const pool = yield* ModelPool.make({ members: named({ a: yield* always(badRequest), b }) })
      expect((yield* Effect.flip(textOf(pool)))._tag).toBe("InvalidRequest")
      expect(yield* count(b)).toBe(0)
    }))

  it.effect("asks another model, but no other key, for what a model cannot do", () =>
    Effect.gen(function*() {
      const same = yield* model("same")
      const other = yield* ScriptedModel.make([], {
        name: "larger",
        provider: "p",
        afterwards: ScriptedModel.text("other")
      })
      const pool = yield* ModelPool.make({ members: named({ a: yield* always(tooLong), same, other }) })
      expect(yield* textOf(pool)).toBe("other")
      expect(yield* count(same)).toBe(0)
    }))

  it.effect("fails with the error of the member that is ready soonest", () =>
    Effect.gen(function*() {
      const members = named({
        a: yield* always(limited(Duration.seconds(40))),
        b: yield* always(limited(Duration.seconds(20))),
        c: yield* always(limited(Duration.seconds(30)))
      })
      const pool = yield* ModelPool.make({ members })
      expect(yield* Effect.flip(textOf(pool))).toMatchObject({ _tag: "RateLimited", retryAfter: Duration.seconds(20) })
    }))

  it.effect("waits for the first member that is ready again where all rest", () =>
    Effect.gen(function*() {
      const pool = yield* ModelPool.make({
        members: named({
          a: yield* model("a", limited(Duration.seconds(40))),
          b: yield* model("b", limited(Duration.seconds(20)))
        })
      })
      yield* Effect.flip(textOf(pool))
      const fiber = yield* Effect.fork(textOf(pool))
      yield* TestClock.adjust("19999 millis")
      expect(yield* Fiber.poll(fiber)).toMatchObject({ _tag: "None" })
      yield* TestClock.adjust("1 millis")
      expect(yield* Fiber.join(fiber)).toBe("b")
    }))

  it.effect("says how long all rest, and why, where that is longer than a call may wait", () =>
    Effect.gen(function*() {
      const pool = yield* ModelPool.make({
        name: "keys",
        maxWait: "10 seconds",
        members: named({ a: yield* always(limited(Duration.seconds(40))), b: yield* always(badKey) })
      })
      yield* Effect.flip(textOf(pool))
      const error = yield* Effect.flip(textOf(pool))
      expect(error).toMatchObject({
        _tag: "CircuitOpen",
        name: "keys",
        retryAfter: Duration.seconds(40),
        openedBy: { tag: "RateLimited" }
      })
    }))

  it.effect("sends a call to the member whose limiter has room", () =>
    Effect.gen(function*() {
      const [a, b] = [yield* model("a"), yield* model("b")]
      const pool = yield* ModelPool.make({
        members: [
          { name: "a", model: a, pipeline: { rateLimiter: { requestsPerMinute: 60, burst: 0 } } },
          { name: "b", model: b, pipeline: { rateLimiter: { requestsPerMinute: 600, burst: 0.01 } } }
        ]
      })
      const texts = yield* Effect.replicateEffect(textOf(pool), 7)
      expect(texts.filter((text) => text === "a")).toHaveLength(1)
      expect(texts.filter((text) => text === "b")).toHaveLength(6)
    }))

  it.effect("keeps a conversation at one member as it grows, and comes back to it after its rest", () =>
    Effect.gen(function*() {
      const models = named(Object.fromEntries(
        yield* Effect.forEach(["a", "b", "c"], (name) => Effect.map(model(name), (made) => [name, made] as const))
      ))
      const pool = yield* ModelPool.make({ members: models, affinity: "conversation" })
      const turns = (first: string, length: number): LanguageModel.Request => ({
        prompt: Prompt.make([
          Prompt.system("You are helpful."),
          Prompt.user(first),
          ...Array.from({ length }, (_, turn) => [Prompt.assistant(`answer ${turn}`), Prompt.user(`turn ${turn}`)])
            .flat()
        ])
      })
      const homes = yield* Effect.forEach(
        Array.from({ length: 30 }, (_, each) => `question ${each}`),
        (first) =>
          Effect.map(
            Effect.forEach([0, 1, 2, 3], (length) => pool.generateWithReport(turns(first, length))),
            (reports) => [...new Set(reports.map(({ member }) => member))].join()
          )
      )
      expect(new Set(homes)).toEqual(new Set(["a", "b", "c"]))
    }))

  it.effect("takes a text of the user's own for what belongs together", () =>
    Effect.gen(function*() {
      const [a, b] = [yield* model("a"), yield* model("b")]
      const pool = yield* ModelPool.make({ members: named({ a, b }), affinity: ({ user }) => user })
      const ask = (user: string | undefined) =>
        Effect.map(pool.generateWithReport({ prompt: "hello", user }), ({ member }) => member)
      expect(new Set(yield* Effect.replicateEffect(ask("anna"), 5)).size).toBe(1)
      expect(new Set(yield* Effect.replicateEffect(ask(undefined), 5)).size).toBe(2)
    }))

  it.effect("sends the same idempotency key to another key of a model, and one of its own to another model", () =>
    Effect.gen(function*() {
      const [a, same] = [yield* always(overloaded), yield* always(overloaded)]
      const other = yield* ScriptedModel.make([], { name: "other", afterwards: ScriptedModel.text("other") })
      const pool = yield* ModelPool.make({ members: named({ a, same, other }) })
      yield* pool.generate({ ...request, idempotencyKey: "key-1" })
      const keys = yield* Effect.forEach(
        [a, same, other],
        (each) => Effect.map(each.requests, ([sent]) => sent?.idempotencyKey)
      )
      expect(keys.slice(0, 2)).toEqual(["key-1", "key-1"])
      expect(keys[2]).toMatch(/^key-1.+/)
    }))

  it.effect("reports every move from one member to the next", () =>
    Effect.gen(function*() {
      const pool = yield* ModelPool.make({ members: named({ a: yield* always(overloaded), b: yield* model("b") }) })
      const recorder = yield* Monitor.recorder
      yield* Effect.provideService(textOf(pool), Monitor.Monitor, recorder.monitor)
      const events = yield* recorder.events
      expect(events.filter(({ _tag }) => _tag === "FellBack")).toMatchObject([{ name: "pool", from: "a", to: "b" }])
    }))
})

describe("calls in flight", () => {
  it.effect("are counted until they end, also those that are interrupted", () =>
    Effect.gen(function*() {
      const pool = yield* ModelPool.make({ members: named({ a: yield* always(ScriptedModel.hang) }) })
      const fibers = yield* Effect.replicateEffect(Effect.fork(textOf(pool)), 5)
      yield* TestClock.adjust("1 second")
      expect((yield* pool.standings)[0]?.inFlight).toBe(5)
      yield* Fiber.interruptAll(fibers)
      expect((yield* pool.standings)[0]?.inFlight).toBe(0)
    }))

  it.effect("are counted of a stream until it is over or nobody wants more", () =>
    Effect.gen(function*() {
      const pool = yield* ModelPool.make({ members: named({ a: yield* model("a") }) })
      const during: Array<number> = []
      yield* pool.stream(request).pipe(
        Stream.runForEach(() => Effect.map(pool.standings, ([a]) => during.push(a?.inFlight ?? -1)))
      )
      expect(new Set(during)).toEqual(new Set([1]))
      yield* pool.stream(request).pipe(Stream.take(1), Stream.runDrain)
      expect((yield* pool.standings)[0]?.inFlight).toBe(0)
    }))
})

describe("a stream of a pool", () => {
  it.effect("comes from the next member where one fails before the first content", () =>
    Effect.gen(function*() {
      const pool = yield* ModelPool.make({
        members: named({ a: yield* always(limited(Duration.seconds(9))), b: yield* model("b") })
      })
      const response = yield* StreamPart.collect(pool.stream(request), { provider: "p", model: "m" })
      expect(response.text).toBe("b")
      expect((yield* pool.standings)[0]?.restsFor).toEqual(Duration.seconds(9))
    }))
})

describe("a pool as data", () => {
  const file = {
    $schema: "./pool.schema.json",
    name: "keys",
    strategy: "weighted",
    affinity: "conversation",
    throttledRest: "2 seconds",
    members: [
      { name: "a", weight: 3, pipeline: { rateLimiter: { requestsPerMinute: 500 } } },
      { name: "b" }
    ]
  }

  it.effect("is read from a file, with the models beside it", () =>
    Effect.gen(function*() {
      const models = { a: yield* model("a"), b: yield* model("b") }
      const pool = yield* ModelPool.decode(file, models)
      expect(ModelPool.describe(pool)).toBe(
        "keys: weighted of a (weight 3), b; a conversation stays with its member while that is ready"
      )
      expect(["a", "b"]).toContain(yield* textOf(pool))
    }))

  it.effect("names every wrong field, those of the pipelines included", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(ModelPool.decode({
        ...file,
        strategy: "fastest",
        members: [{ name: "a", weight: 0, pipeline: { bulkhead: { maxConcurrent: 0 } } }, { name: "a" }]
      }, { a: yield* model("a") }))
      expect(error.issues.map(({ path }) => path)).toEqual([
        "strategy",
        "members.0.weight",
        "members.1.name",
        "members.0.pipeline.bulkhead.maxConcurrent"
      ])
    }))

  it.effect("names a member without a model", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(ModelPool.decode(file, { a: yield* model("a") }))
      expect(error.message).toContain("members.1.name")
      expect(error.message).toContain("the name of a model that is given beside the file: a")
    }))

  it.effect("asks for prices where the cheapest is wanted", () =>
    Effect.gen(function*() {
      const members = named({ a: yield* model("a") })
      const error = yield* Effect.flip(ModelPool.make({ strategy: "cheapest", members }))
      expect(error.issues.map(({ path }) => path)).toEqual(["members.0.price"])
    }))
})

it.effect("a pool stands under the tag of a model, its layers built once", () => {
  let built = 0
  const counted = Layer.effect(
    LanguageModel.LanguageModel,
    Effect.tap(model("a"), () => Effect.sync(() => built++))
  )
  return Effect.gen(function*() {
    const { text } = yield* LanguageModel.generate(request)
    const pool = yield* ModelPool.ModelPool
    expect([text, (yield* pool.standings).map(({ name }) => name), built]).toEqual(["a", ["one", "two"], 1])
  }).pipe(Effect.provide(ModelPool.layer({
    members: [{ name: "one", model: counted }, { name: "two", model: counted }]
  })))
})
