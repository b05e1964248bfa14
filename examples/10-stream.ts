import * as ModelError from "effect-llm-resilience/error/ModelError"
import * as LanguageModel from "effect-llm-resilience/model/LanguageModel"
import * as StreamPart from "effect-llm-resilience/model/StreamPart"
import * as ResilientModel from "effect-llm-resilience/resilience/ResilientModel"
import * as ScriptedModel from "effect-llm-resilience/testing/ScriptedModel"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"

// OpenAiChat, OpenAiResponses, Anthropic and Gemini stream behind the same tag.
const Model = ResilientModel.layer({ retry: { backoff: "immediate", attempts: 3 } }).pipe(
  Layer.provide(ScriptedModel.layer([
    ScriptedModel.fail(new ModelError.Overloaded({ provider: "demo" })), // before the first word: a retry is invisible
    ScriptedModel.text("A stream that ends without its end is Truncated, never success.")
  ]))
)

const program = Effect.gen(function*() {
  const parts = LanguageModel.stream({ prompt: "What about streams?" })
  const reply = yield* StreamPart.collect(
    Stream.tap(parts, (part) => part._tag === "TextDelta" ? Console.log(JSON.stringify(part.text)) : Effect.void)
  )
  yield* Console.log(`${reply.text} (${reply.finishReason})`)
})

Effect.runPromise(program.pipe(Effect.provide(Model)))
