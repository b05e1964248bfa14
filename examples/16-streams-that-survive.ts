import * as LanguageModel from "effect-llm-resilience/model/LanguageModel"
import * as StreamPart from "effect-llm-resilience/model/StreamPart"
import * as ResilientModel from "effect-llm-resilience/resilience/ResilientModel"
import * as ScriptedModel from "effect-llm-resilience/testing/ScriptedModel"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"

// A reply that breaks off after a few words, and a whole one.
// In your application this is OpenAiResponses.layerConfig() over FetchHttpClient.layer, or another provider.
const Provider = ScriptedModel.layer([
  ScriptedModel.parts([StreamPart.textDelta("Roses are red, "), StreamPart.textDelta("violets are ")]),
  ScriptedModel.text("Roses are red, violets are blue, and this line was not printed twice to you.")
])

const Model = ResilientModel.layer({
  stream: {
    firstContent: "30 seconds",
    idle: "20 seconds", // between two pieces of content; time in which nobody asks for more does not count
    total: "10 minutes",
    onBreak: "resume", // where the provider keeps its replies: nothing is paid twice
    otherwise: "restart" // elsewhere: a Reset, then the reply of a new attempt
  },
  retry: { backoff: "exponential", initial: "100 millis", jitter: "full", attempts: 4 }
}).pipe(Layer.provide(Provider))

const { columns, isTTY, rows } = process.stdout

const program = LanguageModel.stream({ prompt: "A short poem?" }).pipe(
  // Erases on a terminal what a Reset voids; elsewhere a line says so.
  (parts) => StreamPart.toText(parts, { output: isTTY ? "terminal" : "plain", columns, rows }),
  Stream.runForEach((text) => Effect.sync(() => process.stdout.write(text))),
  // When the attempts are used up: the error holds what came, whole tool calls and usage included.
  Effect.catchTag(
    "StreamBroken",
    ({ message, received }) => Console.log(`\n[${received.text.length} characters came. ${message}]`)
  ),
  Effect.zipRight(Console.log(""))
)

Effect.runPromise(program.pipe(Effect.provide(Model)))
