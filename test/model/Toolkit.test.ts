import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Ref from "effect/Ref"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import * as PolicyError from "../../src/error/PolicyError.ts"
import * as Verdict from "../../src/error/Verdict.ts"
import * as Repair from "../../src/model/Repair.ts"
import * as Tool from "../../src/model/Tool.ts"
import * as Toolkit from "../../src/model/Toolkit.ts"

const nothing = Schema.Struct({})
const weather = Tool.make("get_weather", {
  description: "The weather of a city",
  parameters: Schema.Struct({ city: Schema.String }),
  success: Schema.Struct({ degrees: Schema.Number, at: Schema.Date })
})
const now = Tool.make("now", { parameters: nothing })

const problems = (...tools: ReadonlyArray<Tool.Any>) =>
  Toolkit.make(...tools).pipe(
    Effect.flip,
    Effect.map((error) => error.problems.map(({ problem, tool }) => [tool, problem]))
  )

describe("Toolkit.make", () => {
  it.effect("holds its tools in order and has their definitions ready", () =>
    Effect.gen(function*() {
      const toolkit = yield* Toolkit.make(weather, now)
      expect(toolkit.tools).toEqual([weather, now])
      expect(toolkit.definitions).toMatchObject([
        {
          name: "get_weather",
          description: "The weather of a city",
          parameters: { type: "object", required: ["city"] }
        },
        { name: "now", description: undefined, parameters: { type: "object", properties: {} } }
      ])
      expect(Toolkit.empty.tools).toEqual([])
      expect((yield* Toolkit.make()).definitions).toEqual([])
    }))

  it.effect("refuses two tools of one name", () =>
    Effect.gen(function*() {
      expect(yield* problems(now, weather, Tool.make("now", { parameters: nothing }))).toEqual([
        ["now", "the name is taken by tool 1 of this toolkit (this is tool 3)"]
      ])
    }))

  it.effect("refuses names that every object has", () =>
    Effect.gen(function*() {
      for (const name of ["constructor", "toString", "__proto__", "hasOwnProperty", "valueOf", "__defineGetter__"]) {
        expect(yield* problems(Tool.make(name, { parameters: nothing }))).toEqual([
          [name, "the name is a member of every JavaScript object"]
        ])
      }
    }))

  it.effect("refuses names that some provider refuses", () =>
    Effect.gen(function*() {
      for (const name of ["", "get weather", "wetter.heute", "größe", "a".repeat(65), "x\n"]) {
        expect(yield* problems(Tool.make(name, { parameters: nothing }))).toEqual([
          [name, "the name is not one that every provider takes"]
        ])
      }
      yield* Toolkit.make(
        Tool.make("A-z_0-9", { parameters: nothing }),
        Tool.make("a".repeat(64), { parameters: nothing })
      )
    }))

  it.effect("lists everything that is wrong, with place and way out", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Toolkit.make(
        Tool.make("constructor", { parameters: Schema.Struct({ when: Schema.DateFromSelf }) }),
        Tool.make("text", { parameters: Schema.String }),
        now,
        now
      ))
      expect(error._tag).toBe("InvalidToolkit")
      expect(error.problems.map(({ path, tool }) => [tool, path])).toEqual([
        ["constructor", []],
        ["constructor", ["when"]],
        ["text", []],
        ["now", []]
      ])
      expect(error.message.split("\n")).toHaveLength(4)
      expect(error.message).toContain("Rename one of them")
      expect(Verdict.of(error).action).toBe("Fail")
      const json = Schema.parseJson(Toolkit.InvalidToolkit)
      const again = yield* Schema.decode(json)(yield* Schema.encode(json)(error))
      expect(again.message).toBe(error.message)
    }))
})

describe("Toolkit.make refuses", () => {
  const parameters = nothing
  const lossy = Effect.runSync(Repair.make("guess", { kind: "lossy", repair: () => "{}" }))
  const unsound = (options: object): Tool.Any => ({ ...now, ...options })

  it.effect.each<[string, Tool.Any, string, string]>([
    [
      "a lossy repair on a tool that may write",
      Tool.make("now", { parameters, repairs: [...Repair.lossless, lossy] }),
      "it is read-write, and what guess makes of broken arguments may not be what was meant",
      "access: \"read-only\""
    ],
    ["a repair that is none", unsound({ repairs: ["fence"] }), "one of its repairs is \"fence\"", "Repair.lossless"],
    ["no time at all", Tool.make("now", { parameters, timeout: 0 }), "the time-out is 0", "30 seconds"],
    ["less than no time", Tool.make("now", { parameters, timeout: -5 }), "the time-out is -5", "30 seconds"],
    ["endless time", Tool.make("now", { parameters, timeout: Infinity }), "the time-out is Infinity", "leave it out"],
    ["no number", Tool.make("now", { parameters, timeout: NaN }), "the time-out is NaN", "30 seconds"],
    ["a word for time", unsound({ timeout: "soon" }), "the time-out is \"soon\"", "30 seconds"],
    ["an unknown access", unsound({ access: "readonly" }), "access is \"readonly\"", "\"read-only\""],
    ["an unknown way to fail", unsound({ onFailure: "ignore" }), "onFailure is \"ignore\"", "\"tell\""],
    ["failures that nobody is told", unsound({ failure: Schema.String }), "it has a failure schema", "\"tell\""],
    [
      "an answer without a schema",
      unsound({ success: { type: "object" } }),
      "its success is no Effect Schema",
      "JsonSchema"
    ],
    [
      "a failure without a schema",
      unsound({ failure: {}, onFailure: "tell" }),
      "its failure is no Effect Schema",
      "JsonSchema"
    ],
    [
      "plain JSON Schema as parameters",
      unsound({ parameters: { type: "object" } }),
      "the parameters are no Effect Schema",
      "JsonSchema.tool"
    ]
  ])("%s", ([_, tool, problem, remedy]) =>
    Effect.gen(function*() {
      const { problems } = yield* Effect.flip(Toolkit.make(tool))
      expect(problems).toHaveLength(1)
      expect(problems[0]?.problem).toContain(problem)
      expect(problems[0]?.remedy).toContain(remedy)
    }))

  it.effect("but takes a lossy repair where nothing can be broken", () =>
    Toolkit.make(Tool.make("now", { parameters, access: "read-only", repairs: [lossy] })))
})

describe("Toolkit.get", () => {
  it.effect("finds tools by their own exact names only", () =>
    Effect.gen(function*() {
      const toolkit = yield* Toolkit.make(weather, now)
      expect(Toolkit.get(toolkit, "now")).toEqual(Option.some(now))
      for (const name of ["Now", "", "constructor", "toString", "__proto__", "length", "0"]) {
        expect(Toolkit.get(toolkit, name)).toEqual(Option.none())
      }
    }))
})

class Offline extends Data.TaggedError("Offline")<{}> {}
class Thermometer extends Context.Tag("Thermometer")<Thermometer, { readonly degrees: number }>() {}

const call = {
  id: "call_1",
  name: "get_weather",
  arguments: { city: "Rome" },
  raw: "{\"city\":\"Rome\"}",
  repairs: []
} as const
const nowCall = { id: "call_2", name: "now", arguments: {}, raw: "", repairs: [] } as const

describe("Toolkit.run", () => {
  it.effect("runs the handler of the call and writes its answer through the success schema", () =>
    Effect.gen(function*() {
      const toolkit = yield* Toolkit.make(weather, now)
      const at = new Date(0)
      const result = yield* Toolkit.run(toolkit, {
        get_weather: ({ city }) => Effect.map(Thermometer, ({ degrees }) => ({ degrees: degrees + city.length, at })),
        now: () => new Offline()
      }, call).pipe(Effect.provideService(Thermometer, { degrees: 20 }))
      expect(result).toEqual({
        id: "call_1",
        name: "get_weather",
        content: "{\"degrees\":24,\"at\":\"1970-01-01T00:00:00.000Z\"}",
        isError: false,
        value: { degrees: 24, at }
      })
    }))

  it.effect("sends text as it is and the rest as JSON", () =>
    Effect.gen(function*() {
      const toolkit = yield* Toolkit.make(now)
      const content = (value: unknown) =>
        Effect.map(Toolkit.run(toolkit, { now: () => Effect.succeed(value) }, nowCall), (result) => result.content)
      expect(yield* content("it is \"noon\"")).toBe("it is \"noon\"")
      expect(yield* content([1, { a: null }])).toBe("[1,{\"a\":null}]")
      expect(yield* content(12)).toBe("12")
      expect(yield* content(undefined)).toBe("null")
    }))

  it.effect("passes the handler's failure and defect through", () =>
    Effect.gen(function*() {
      const toolkit = yield* Toolkit.make(now)
      expect(yield* Effect.flip(Toolkit.run(toolkit, { now: () => new Offline() }, nowCall))).toBeInstanceOf(Offline)
      const died = yield* Effect.exit(Toolkit.run(toolkit, { now: () => Effect.die("bug") }, nowCall))
      expect(Exit.isFailure(died) && Cause.isDie(died.cause)).toBe(true)
    }))

  it.effect("names an answer that has no text, and the way out", () =>
    Effect.gen(function*() {
      const toolkit = yield* Toolkit.make(now, Tool.make("age", { parameters: nothing, success: Schema.Int }))
      const handlers = (value: unknown, age: number) => ({
        now: () => Effect.succeed(value),
        age: () => Effect.succeed(age)
      })
      const circular: Record<string, unknown> = {}
      circular.self = circular
      const noData = [Promise.resolve(1), () => 1, Symbol.for("now"), Effect.succeed(1)]
      for (const value of [circular, 12n, { deep: [1n] }, ...noData]) {
        const error = yield* Effect.flip(Toolkit.run(toolkit, handlers(value, 1), nowCall))
        expect(error).toMatchObject({ _tag: "InvalidHandler", callId: "call_2", tool: "now" })
        expect(error.message).toContain("success schema")
      }
      const ageCall = { id: "call_3", name: "age", arguments: {}, raw: "", repairs: [] } as const
      expect(yield* Effect.flip(Toolkit.run(toolkit, handlers(null, 1.5), ageCall))).toMatchObject({ tool: "age" })
    }))

  it.effect("names a handler that is not there, own properties only", () =>
    Effect.gen(function*() {
      const toolkit = yield* Toolkit.make(now)
      const inherited: { readonly now: () => Effect.Effect<unknown> } = Object.create({ now: () => Effect.succeed(1) })
      const error = yield* Effect.flip(Toolkit.run(toolkit, inherited, nowCall))
      expect(error.message).toContain("no handler for this tool")
      const other = yield* Toolkit.make(weather)
      const foreign = yield* Effect.flip(
        Toolkit.run(other, { get_weather: () => Effect.never }, { ...call, name: JSON.parse("\"now\"") })
      )
      expect(foreign.message).toContain("no tool of this name")
    }))
})

class CityNotFound extends Schema.TaggedError<CityNotFound>()("CityNotFound", { city: Schema.String }) {}

describe("a failure of the handler", () => {
  const telling = Tool.make("now", { parameters: nothing, failure: CityNotFound, onFailure: "tell" })
  const run = <E>(handler: Effect.Effect<unknown, E>) =>
    Effect.flatMap(Toolkit.make(telling), (toolkit) => Toolkit.run(toolkit, { now: () => handler }, nowCall))

  it.effect("is told when the tool says so, written by its schema", () =>
    Effect.gen(function*() {
      const error = new CityNotFound({ city: "Romme" })
      expect(yield* run(error)).toEqual({
        id: "call_2",
        name: "now",
        content: "{\"city\":\"Romme\",\"_tag\":\"CityNotFound\"}",
        isError: true,
        error
      })
    }))

  it.effect("is told clipped and without credentials", () =>
    Effect.gen(function*() {
      const { content } = yield* run(new CityNotFound({ city: `Bearer abcdefghijkl ${"x".repeat(9_000)}` }))
      expect(content).not.toContain("abcdefghijkl")
      expect(content.length).toBeLessThan(2_100)
    }))

  it.effect("is raised when it is none of those that are told", () =>
    Effect.gen(function*() {
      expect(yield* Effect.flip(run(new Offline()))).toBeInstanceOf(Offline)
    }))

  it.effect("is never told beside a defect, nor an interruption, nor a defect by itself", () =>
    Effect.gen(function*() {
      const failed = new CityNotFound({ city: "Rome" })
      for (
        const handler of [
          Effect.die("bug"),
          Effect.interrupt,
          Effect.failCause(Cause.parallel(Cause.fail(failed), Cause.die("bug"))),
          Effect.ensuring(failed, Effect.die("bug in a finalizer")),
          Effect.suspend((): Effect.Effect<never> => {
            throw new Error("thrown")
          })
        ]
      ) {
        const exit = yield* Effect.exit(run(handler))
        expect(Exit.isFailure(exit) && (Cause.isDie(exit.cause) || Cause.isInterrupted(exit.cause))).toBe(true)
      }
    }))

  it.effect("that its schema cannot write is a mistake of the program", () =>
    Effect.gen(function*() {
      const tool = Tool.make("now", { parameters: nothing, failure: Schema.BigIntFromSelf, onFailure: "tell" })
      const toolkit = yield* Toolkit.make(tool)
      const error = yield* Effect.flip(Toolkit.run(toolkit, { now: () => Effect.fail(1n) }, nowCall))
      expect(error).toMatchObject({ _tag: "InvalidHandler", callId: "call_2" })
      expect(error.message).toContain("its failure cannot be written as text")
    }))
})

describe("a time-out", () => {
  const slow = Tool.make("now", { parameters: nothing, timeout: "5 seconds" })
  const slowTelling = Tool.make("now", { parameters: nothing, timeout: "5 seconds", onFailure: "tell" })
  const handlers = {
    "interruptible": Effect.never,
    "uninterruptible": Effect.uninterruptible(Effect.sleep("1 hour")),
    "slow to clean up": Effect.onInterrupt(Effect.never, () => Effect.sleep("1 hour"))
  }

  for (const [what, handler] of Object.entries(handlers)) {
    it.effect(`is raised on time over work that is ${what}`, () =>
      Effect.gen(function*() {
        const toolkit = yield* Toolkit.make(slow)
        const fiber = yield* Effect.fork(Effect.flip(Toolkit.run(toolkit, { now: () => handler }, nowCall)))
        yield* TestClock.adjust("5 seconds")
        const error = yield* Fiber.join(fiber)
        expect(error).toEqual(new PolicyError.TimedOut({ phase: "attempt", limit: Duration.seconds(5) }))
      }))
  }

  it.effect("is told to the model by a tool that tells", () =>
    Effect.gen(function*() {
      const toolkit = yield* Toolkit.make(slowTelling)
      const fiber = yield* Effect.fork(Toolkit.run(toolkit, { now: () => Effect.never }, nowCall))
      yield* TestClock.adjust("5 seconds")
      expect(yield* Fiber.join(fiber)).toMatchObject({
        isError: true,
        content: "now took longer than 5s and was given up. It may or may not have had its effect.",
        error: { _tag: "TimedOut", phase: "attempt" }
      })
    }))

  it.effect("interrupts the handler, and does not touch one that is in time", () =>
    Effect.gen(function*() {
      const toolkit = yield* Toolkit.make(slow)
      const stopped = yield* Deferred.make<void>()
      const handler = Effect.onInterrupt(Effect.never, () => Deferred.succeed(stopped, undefined))
      const late = yield* Effect.fork(Effect.exit(Toolkit.run(toolkit, { now: () => handler }, nowCall)))
      yield* TestClock.adjust("5 seconds")
      yield* Fiber.join(late)
      yield* Deferred.await(stopped)
      const timely = yield* Effect.fork(
        Toolkit.run(toolkit, { now: () => Effect.delay(Effect.succeed("noon"), "4 seconds") }, nowCall)
      )
      yield* TestClock.adjust("4 seconds")
      expect(yield* Fiber.join(timely)).toMatchObject({ content: "noon", isError: false })
    }))
})

describe("interruption", () => {
  it.effect("passes through at once, whatever is told or timed", () =>
    Effect.gen(function*() {
      for (const timeout of [undefined, "1 hour"] as const) {
        const tool = Tool.make("now", { parameters: nothing, failure: Schema.Unknown, onFailure: "tell", timeout })
        const toolkit = yield* Toolkit.make(tool)
        const fiber = yield* Effect.fork(Toolkit.run(toolkit, { now: () => Effect.never }, nowCall))
        yield* Effect.yieldNow()
        expect(Exit.isInterrupted(yield* Fiber.interrupt(fiber))).toBe(true)
      }
    }))
})

describe("the context of a handler", () => {
  it.effect("holds the call's id and its idempotency key, by default the same", () =>
    Effect.gen(function*() {
      const toolkit = yield* Toolkit.make(now)
      const handlers = { now: (_: object, context: Toolkit.HandlerContext) => Effect.succeed(context) }
      const value = Effect.map((result: { readonly value: unknown }) => result.value)
      expect(yield* value(Toolkit.run(toolkit, handlers, nowCall))).toEqual({
        callId: "call_2",
        idempotencyKey: "call_2"
      })
      expect(yield* value(Toolkit.run(toolkit, handlers, nowCall, { idempotencyKey: "order-7" }))).toEqual({
        callId: "call_2",
        idempotencyKey: "order-7"
      })
    }))
})

describe("Toolkit.runAll", () => {
  const item = Tool.make("item", {
    parameters: Schema.Struct({ n: Schema.Number }),
    failure: Schema.String,
    onFailure: "tell"
  })
  const itemCall = (n: number) => ({ id: `c${n}`, name: "item", arguments: { n }, raw: "", repairs: [] }) as const
  const calls = [3, 1, 2].map(itemCall)

  it.effect("gives the results in the order of the calls, told failures among them", () =>
    Effect.gen(function*() {
      const toolkit = yield* Toolkit.make(item)
      const fiber = yield* Effect.fork(Toolkit.runAll(
        toolkit,
        {
          item: ({ n }) => Effect.delay(n === 1 ? Effect.fail("no one") : Effect.succeed(`item ${n}`), `${n} seconds`)
        },
        calls,
        { concurrency: 3 }
      ))
      yield* TestClock.adjust("3 seconds")
      const results = yield* Fiber.join(fiber)
      expect(results.map(({ content, id, isError }) => [id, content, isError])).toEqual([
        ["c3", "item 3", false],
        ["c1", "no one", true],
        ["c2", "item 2", false]
      ])
    }))

  it.effect.each([[undefined, 1], [1, 1], [2, 2], [5, 5]] as const)(
    "runs at most as many at a time as it is told: %s",
    ([concurrency, most]) =>
      Effect.gen(function*() {
        const toolkit = yield* Toolkit.make(item)
        const running = yield* Ref.make(0)
        const peak = yield* Ref.make(0)
        const handlers = {
          item: () =>
            Ref.updateAndGet(running, (count) => count + 1).pipe(
              Effect.tap((count) => Ref.update(peak, (before) => Math.max(before, count))),
              Effect.zipRight(Effect.sleep("1 second")),
              Effect.zipRight(Ref.update(running, (count) => count - 1))
            )
        }
        const many = Array.from({ length: 10 }, (_, n) => itemCall(n))
        const fiber = yield* Effect.fork(Toolkit.runAll(toolkit, handlers, many, { concurrency }))
        yield* TestClock.adjust("1 minute")
        expect(yield* Fiber.join(fiber)).toHaveLength(10)
        expect(yield* peak).toBe(most)
      })
  )

  it.effect("stops the others at the first failure that is raised, and starts no more", () =>
    Effect.gen(function*() {
      const toolkit = yield* Toolkit.make(item)
      const events = yield* Ref.make<ReadonlyArray<string>>([])
      const note = (event: string) => Ref.update(events, (before) => [...before, event])
      const handlers = {
        item: ({ n }: { readonly n: number }) =>
          Effect.zipRight(
            note(`start ${n}`),
            n === 1
              ? Effect.delay(Effect.fail(new Offline()), "1 second")
              : Effect.onInterrupt(Effect.never, () => note(`stop ${n}`))
          )
      }
      const fiber = yield* Effect.fork(Effect.flip(Toolkit.runAll(toolkit, handlers, calls, { concurrency: 2 })))
      yield* TestClock.adjust("1 second")
      expect(yield* Fiber.join(fiber)).toBeInstanceOf(Offline)
      expect(yield* events).toEqual(["start 3", "start 1", "stop 3"])
    }))

  it.effect("gives each handler the key with the place of its call, or its id", () =>
    Effect.gen(function*() {
      const toolkit = yield* Toolkit.make(item)
      const handlers = {
        item: (_: object, { idempotencyKey }: Toolkit.HandlerContext) => Effect.succeed(idempotencyKey)
      }
      const keys = (options?: Toolkit.RunAllOptions) =>
        Effect.map(
          Toolkit.runAll(toolkit, handlers, calls, options),
          (results) => results.map(({ content }) => content)
        )
      expect(yield* keys({ idempotencyKey: "turn-4" })).toEqual(["turn-4-1", "turn-4-2", "turn-4-3"])
      expect(yield* keys()).toEqual(["c3", "c1", "c2"])
    }))

  it.effect("refuses a concurrency that is none, and runs nothing", () =>
    Effect.gen(function*() {
      const toolkit = yield* Toolkit.make(item)
      for (const concurrency of [0, -1, 1.5, NaN, Infinity]) {
        const error = yield* Effect.flip(
          Toolkit.runAll(toolkit, { item: () => Effect.die("ran") }, calls, { concurrency })
        )
        expect(error).toMatchObject({ _tag: "InvalidOptions", module: "Toolkit", issues: [{ path: "concurrency" }] })
      }
    }))
})
