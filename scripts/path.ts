// Which files of src one tool call runs through, by the engine's own coverage: the walk that src/README.md tells.
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { Session } from "node:inspector/promises"
import type * as LanguageModel from "../src/model/LanguageModel.ts"
import * as Tool from "../src/model/Tool.ts"
import * as Toolkit from "../src/model/Toolkit.ts"
import * as OpenAiChat from "../src/provider/OpenAiChat.ts"
import * as ResilientModel from "../src/resilience/ResilientModel.ts"
import * as ToolLoop from "../src/resilience/ToolLoop.ts"
import * as ScriptedModel from "../src/testing/ScriptedModel.ts"

const reply = JSON.stringify({
  model: "m",
  choices: [{
    index: 0,
    finish_reason: "tool_calls",
    message: {
      role: "assistant",
      content: null,
      tool_calls: [{ id: "c", type: "function", function: { name: "get_weather", arguments: "{\"city\":\"Rome\"}" } }]
    }
  }],
  usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 }
})

const http = OpenAiChat.layer({ apiKey: Redacted.make("none"), model: "m" }).pipe(
  Layer.provide(FetchHttpClient.layer),
  Layer.provide(Layer.succeed(
    FetchHttpClient.Fetch,
    () => Promise.resolve(new Response(reply, { headers: { "content-type": "application/json" } }))
  ))
)

const scripted = ScriptedModel.layer([1, 2].map(() => ScriptedModel.toolCall("get_weather", { city: "Rome" })))

const strengthened = ResilientModel.layer({
  totalTimeout: "1 minute",
  retry: { backoff: "exponential", initial: "500 millis", attempts: 4 },
  retryBudget: "standard",
  circuitBreaker: {},
  rateLimiter: { requestsPerMinute: 500 },
  bulkhead: { maxConcurrent: 50 },
  attemptTimeout: "10 seconds"
})

const GetWeather = Tool.make("get_weather", { parameters: Schema.Struct({ city: Schema.String }) })

const filesOf = async (work: Effect.Effect<unknown, unknown>): Promise<ReadonlyArray<string>> => {
  const session = new Session()
  session.connect()
  await session.post("Profiler.enable")
  await session.post("Profiler.startPreciseCoverage", { callCount: true, detailed: false })
  await session.post("Profiler.takePreciseCoverage")
  await Effect.runPromise(work)
  const { result } = await session.post("Profiler.takePreciseCoverage")
  session.disconnect()
  return result.filter(({ functions, url }) =>
    // A function that begins behind the start of its file is not the module itself.
    /\/src\//.test(url) && !url.includes("node_modules") &&
    functions.some(({ ranges }) => (ranges[0]?.startOffset ?? 0) > 0 && ranges.some(({ count }) => count > 0))
  ).map(({ url }) => url.replace(/^.*\/src\//, "").replace(/\?.*$/, "")).sort()
}

const walk = <A, E>(model: Layer.Layer<A | LanguageModel.LanguageModel, E>) =>
  Effect.gen(function*() {
    const toolkit = yield* Toolkit.make(GetWeather)
    const call = ToolLoop.call({
      prompt: "How is the weather in Rome?",
      toolkit,
      handlers: { get_weather: ({ city }) => Effect.succeed(`Sunny in ${city}`) }
    })
    const context = yield* Layer.build(Layer.provide(strengthened, model))
    // What is made on first use belongs to no call.
    yield* Effect.provide(call, context)
    return yield* Effect.promise(() => filesOf(Effect.provide(call, context)))
  })

const shown = (name: string, files: ReadonlyArray<string>): void =>
  console.log(`${name}: ${files.length} files\n  ${files.join("\n  ")}`)

shown("over HTTP", await Effect.runPromise(Effect.scoped(walk(http))))
shown("scripted", await Effect.runPromise(Effect.scoped(walk(scripted))))
