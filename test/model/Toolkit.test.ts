import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Verdict from "../../src/error/Verdict.ts"
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

const call = { id: "call_1", name: "get_weather", arguments: { city: "Rome" }, raw: "{\"city\":\"Rome\"}" } as const
const nowCall = { id: "call_2", name: "now", arguments: {}, raw: "" } as const

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
      for (const value of [circular, 12n, { deep: [1n] }]) {
        const error = yield* Effect.flip(Toolkit.run(toolkit, handlers(value, 1), nowCall))
        expect(error).toMatchObject({ _tag: "InvalidHandler", callId: "call_2", tool: "now" })
        expect(error.message).toContain("success schema")
      }
      const ageCall = { id: "call_3", name: "age", arguments: {}, raw: "" } as const
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
