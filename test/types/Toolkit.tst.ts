import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { describe, expect, test } from "tstyche"
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
        parameters: { readonly city: string }
      ) => Effect.Effect<{ readonly degrees: number }, Offline, Thermometer>
      readonly now: (parameters: {}) => Effect.Effect<string, Offline, Thermometer>
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
      Toolkit.Result<"get_weather", { readonly degrees: number }> | Toolkit.Result<"now", string>
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
})
