import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import { describe, expect, test } from "tstyche"
import type { InvalidOptions } from "../../src/error/InvalidOptions.ts"
import type { InvalidToolCall, Truncated } from "../../src/error/ModelError.ts"
import type { ReplyError } from "../../src/error/ReplyError.ts"
import type { ToolCallsRejected } from "../../src/error/ToolCallError.ts"
import type * as LanguageModel from "../../src/model/LanguageModel.ts"
import * as Tool from "../../src/model/Tool.ts"
import * as Toolkit from "../../src/model/Toolkit.ts"
import * as ToolLoop from "../../src/resilience/ToolLoop.ts"

const weather = Tool.make("get_weather", {
  parameters: Schema.Struct({ city: Schema.String }),
  success: Schema.Struct({ degrees: Schema.Number })
})
const now = Tool.make("now", { parameters: Schema.Struct({}), success: Schema.String })
type Tools = readonly [typeof weather, typeof now]

class Offline extends Data.TaggedError("Offline")<{}> {}
class Thermometer extends Context.Tag("Thermometer")<Thermometer, { readonly degrees: number }>() {}

class Refused extends Schema.TaggedError<Refused>()("Refused", {}) {}

declare const toolkitOf: <const Tool1 extends Tool.Any>(tool: Tool1) => Toolkit.Toolkit<readonly [Tool1]>
declare const toolkit: Toolkit.Toolkit<Tools>

describe("ToolLoop", () => {
  const call = ToolLoop.call({
    prompt: "x",
    toolkit,
    handlers: {
      get_weather: ({ city }) =>
        city === "" ? Effect.fail(new Offline()) : Effect.map(Thermometer, ({ degrees }) => ({ degrees })),
      now: () => Effect.succeed("noon")
    }
  })

  test("passes the handlers' failures and needs through, and adds exactly its own", () => {
    expect(call).type.toBe<
      Effect.Effect<ToolLoop.Outcome<Tools>, ToolLoop.Failure | Offline, LanguageModel.LanguageModel | Thermometer>
    >()
    expect<ToolLoop.Failure>().type.toBe<
      LanguageModel.LanguageModelError | ToolCallsRejected | InvalidOptions | Toolkit.InvalidHandler
    >()
  })

  test("tells calls and results apart by the tool's name", () => {
    expect<ToolLoop.Outcome<Tools>["calls"][number]>().type.toBe<
      | Toolkit.Call<"get_weather", { readonly city: string }>
      | Toolkit.Call<"now", {}>
    >()
    expect<ToolLoop.Outcome<Tools>["results"][number]>().type.toBe<
      | Toolkit.Success<"get_weather", { readonly degrees: number }>
      | Toolkit.Success<"now", string>
    >()
    expect<ToolLoop.Outcome<Tools>["refused"][number]>().type.toBe<
      ToolCallsRejected | InvalidToolCall | Truncated | ReplyError
    >()
  })

  test("wants a handler for each tool, which answers what the tool says", () => {
    expect(ToolLoop.call).type.not.toBeCallableWith({
      prompt: "x",
      toolkit,
      handlers: { now: () => Effect.succeed("noon") }
    })
    expect(ToolLoop.call).type.not.toBeCallableWith({
      prompt: "x",
      toolkit,
      handlers: { get_weather: () => Effect.succeed({ degrees: "hot" }), now: () => Effect.succeed("noon") }
    })
  })

  test("takes its tools from the toolkit alone", () => {
    expect(Toolkit.make(weather, now)).type.toBe<Effect.Effect<typeof toolkit, Toolkit.InvalidToolkit>>()
    expect<ToolLoop.Options<Tools, Toolkit.Handlers<Tools>>>().type.not.toHaveProperty("tools")
  })

  test("boxes what ends a run, so that the state comes with it", () => {
    const handlers = {
      get_weather: ({ city }: { readonly city: string }) =>
        city === "" ? Effect.fail(new Offline()) : Effect.succeed({ degrees: 20 }),
      now: () => Effect.map(Thermometer, () => "noon")
    }
    const run = ToolLoop.run({ prompt: "x", toolkit, handlers })
    expect(run).type.toBe<
      Effect.Effect<
        ToolLoop.RunOutcome<Tools>,
        InvalidOptions | ToolLoop.RunFailed<ToolLoop.RunFailure | Offline>,
        LanguageModel.LanguageModel | Thermometer
      >
    >()
    expect(ToolLoop.stream({ prompt: "x", toolkit, handlers })).type.toBe<
      Stream.Stream<
        ToolLoop.Progress<Tools>,
        InvalidOptions | ToolLoop.RunFailed<ToolLoop.RunFailure | Offline>,
        LanguageModel.LanguageModel | Thermometer
      >
    >()
  })

  test("does not raise what the model is told", () => {
    const shy = Tool.make("shy", { parameters: Schema.Struct({}), failure: Refused, onFailure: "tell" })
    const run = ToolLoop.run({
      prompt: "x",
      toolkit: toolkitOf(shy),
      handlers: { shy: () => Effect.fail(new Refused()) }
    })
    expect(run).type.toBe<
      Effect.Effect<
        ToolLoop.RunOutcome<readonly [typeof shy]>,
        InvalidOptions | ToolLoop.RunFailed<ToolLoop.RunFailure>,
        LanguageModel.LanguageModel
      >
    >()
  })
})
