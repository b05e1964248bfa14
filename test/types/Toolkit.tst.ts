import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { describe, expect, test } from "tstyche"
import type { InvalidOptions } from "../../src/error/InvalidOptions.ts"
import type { TimedOut } from "../../src/error/PolicyError.ts"
import * as Tool from "../../src/model/Tool.ts"
import * as Toolkit from "../../src/model/Toolkit.ts"

const weather = Tool.make("get_weather", {
  parameters: Schema.Struct({ city: Schema.String }),
  success: Schema.Struct({ degrees: Schema.Number })
})
const now = Tool.make("now", { parameters: Schema.Struct({}), success: Schema.String })
type Tools = readonly [typeof weather, typeof now]

class Offline extends Data.TaggedError("Offline")<{}> {}
class Broken extends Data.TaggedError("Broken")<{}> {}
class Thermometer extends Context.Tag("Thermometer")<Thermometer, { readonly degrees: number }>() {}

declare const toolkit: Toolkit.Toolkit<Tools>
declare const call: Toolkit.CallOf<Tools>

describe("Toolkit", () => {
  test("keeps its tools as a tuple and says what can be wrong with them", () => {
    expect(Toolkit.make(weather, now)).type.toBe<
      Effect.Effect<Toolkit.Toolkit<Tools>, Toolkit.InvalidToolkit>
    >()
    expect(Toolkit.empty).type.toBe<Toolkit.Toolkit<readonly []>>()
    expect(toolkit).type.toBeAssignableTo<Toolkit.Any>()
  })

  test("wants one handler for each tool, with its own types", () => {
    type Handlers = Toolkit.Handlers<Tools, Offline, Thermometer>
    expect<Handlers>().type.toBe<{
      readonly get_weather: (
        parameters: { readonly city: string },
        context: Toolkit.HandlerContext
      ) => Effect.Effect<{ readonly degrees: number }, Offline, Thermometer>
      readonly now: (parameters: {}, context: Toolkit.HandlerContext) => Effect.Effect<string, Offline, Thermometer>
    }>()
    expect(Toolkit.run).type.not.toBeCallableWith(toolkit, { now: () => Effect.succeed("noon") }, call)
    expect(Toolkit.run).type.not.toBeCallableWith(
      toolkit,
      { get_weather: () => Effect.succeed({ degrees: "hot" }), now: () => Effect.succeed("noon") },
      call
    )
    expect(Toolkit.run).type.not.toBeCallableWith(
      toolkit,
      {
        get_weather: ({ town }: { readonly town: string }) => Effect.succeed({ degrees: town.length }),
        now: () => Effect.succeed("noon")
      },
      call
    )
  })

  test("passes failures and needs of the handlers through, and adds only its own", () => {
    const run = Toolkit.run(toolkit, {
      get_weather: ({ city }) => {
        expect(city).type.toBe<string>()
        return city === "" ? Effect.fail(new Offline()) : Effect.map(Thermometer, ({ degrees }) => ({ degrees }))
      },
      now: () => Effect.fail(new Broken())
    }, call)
    expect(run).type.toBe<
      Effect.Effect<Toolkit.ResultOf<Tools>, Offline | Broken | Toolkit.InvalidHandler, Thermometer>
    >()
  })

  test("gives a result that is told apart by name", () => {
    expect<Toolkit.ResultOf<Tools>>().type.toBe<
      Toolkit.Success<"get_weather", { readonly degrees: number }> | Toolkit.Success<"now", string>
    >()
  })

  test("composes in code that knows no tool by name", () => {
    const runAll = <T extends ReadonlyArray<Tool.Any>, H extends Toolkit.Handlers<T, unknown, unknown>>(
      tools: Toolkit.Toolkit<T>,
      handlers: H,
      calls: ReadonlyArray<Toolkit.CallOf<T>>
    ) => Effect.forEach(calls, (one) => Toolkit.run(tools, handlers, one))
    const handlers = { get_weather: () => new Offline(), now: () => Effect.succeed("noon") }
    expect(runAll(toolkit, handlers, [call])).type.toBe<
      Effect.Effect<Array<Toolkit.ResultOf<Tools>>, Offline | Toolkit.InvalidHandler>
    >()
  })

  describe("tools that tell their failures, and tools with a time-out", () => {
    const parameters = Schema.Struct({})
    const telling = Tool.make("telling", { parameters, failure: Schema.Literal("busy"), onFailure: "tell" })
    const tellingSlow = Tool.make("telling_slow", {
      parameters,
      failure: Schema.Literal("busy"),
      onFailure: "tell",
      timeout: "5 seconds"
    })
    const slow = Tool.make("slow", { parameters, timeout: "5 seconds" })
    const toolkit = Effect.runSync(Toolkit.make(telling, tellingSlow, slow))
    type All = readonly [typeof telling, typeof tellingSlow, typeof slow]
    const handlers = {
      telling: () => Effect.fail<"busy" | Offline>("busy"),
      telling_slow: () => Effect.fail<"busy" | Broken>("busy"),
      slow: () => Effect.succeed(1)
    }

    test("raise what is not told", () => {
      expect<Toolkit.Raised<All, typeof handlers>>().type.toBe<Offline | Broken | TimedOut>()
      expect<Toolkit.Raised<readonly [typeof telling], typeof handlers>>().type.toBe<Offline>()
      expect<Toolkit.Raised<readonly [typeof tellingSlow], typeof handlers>>().type.toBe<Broken>()
      expect<Toolkit.Raised<readonly [typeof slow], typeof handlers>>().type.toBe<TimedOut>()
    })

    test("have what is told in their results", () => {
      expect<Toolkit.ResultOf<readonly [typeof telling]>>().type.toBe<
        Toolkit.Success<"telling", unknown> | Toolkit.Failure<"telling", "busy">
      >()
      expect<Toolkit.ResultOf<readonly [typeof tellingSlow]>>().type.toBe<
        Toolkit.Success<"telling_slow", unknown> | Toolkit.Failure<"telling_slow", "busy" | TimedOut>
      >()
      expect<Toolkit.ResultOf<readonly [typeof slow]>>().type.toBe<Toolkit.Success<"slow", unknown>>()
    })

    test("of which nothing is known may do either", () => {
      expect<Toolkit.ResultOf<ReadonlyArray<Tool.Any>>["isError"]>().type.toBe<boolean>()
    })

    test("run together", () => {
      expect(Toolkit.runAll(toolkit, handlers, [])).type.toBe<
        Effect.Effect<
          ReadonlyArray<Toolkit.ResultOf<All>>,
          Offline | Broken | TimedOut | Toolkit.InvalidHandler | InvalidOptions
        >
      >()
    })
  })
})
