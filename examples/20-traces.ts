import * as NodeSdk from "@effect/opentelemetry/NodeSdk"
import { InMemorySpanExporter, type ReadableSpan, SimpleSpanProcessor } from "@opentelemetry/sdk-trace-base"
import * as ModelError from "effect-llm-resilience/error/ModelError"
import * as LanguageModel from "effect-llm-resilience/model/LanguageModel"
import * as ResilientModel from "effect-llm-resilience/resilience/ResilientModel"
import * as ScriptedModel from "effect-llm-resilience/testing/ScriptedModel"
import * as Console from "effect/Console"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

// A model that is overloaded, then throttles, then answers: in an application a layer such as OpenAiChat.layerConfig().
const Provider = ScriptedModel.layer([
  ScriptedModel.delayed(
    "30 millis",
    ScriptedModel.fail(new ModelError.Overloaded({ provider: "openai", status: 503 }))
  ),
  ScriptedModel.fail(
    new ModelError.RateLimited({ provider: "openai", scope: "requests", retryAfter: Duration.millis(200) })
  ),
  ScriptedModel.delayed("50 millis", ScriptedModel.text("The sky is blue because of how air scatters light."))
], { name: "gpt-4.1-mini", provider: "openai" })

const Model = ResilientModel.layer({
  name: "answers",
  retry: { backoff: "exponential", initial: "100 millis", jitter: "none", attempts: 4 }
}).pipe(Layer.provide(Provider))

// Nothing has to be switched on: where a tracer is installed, calls write spans. Here one that keeps them; in an application
// the exporter of your collector, or `Otlp.layerJson` of @effect/opentelemetry, which needs no SDK.
const exporter = new InMemorySpanExporter()
const spanProcessor = new SimpleSpanProcessor(exporter)
const Tracing = NodeSdk.layer(() => ({ resource: { serviceName: "docs" }, spanProcessor }))

const millis = ([seconds, nanos]: readonly [number, number]): number => Math.round(seconds * 1000 + nanos / 1e6)

/** The spans as a tree, with what matters of each. */
const tree = (spans: ReadonlyArray<ReadableSpan>, parent: string | undefined, depth: number): ReadonlyArray<string> =>
  spans.filter((span) => span.parentSpanContext?.spanId === parent).flatMap((span) => {
    const { attributes } = span
    const facts = ["gen_ai.usage.output_tokens", "error.type", "llm_resilience.verdict", "llm_resilience.wait.reason"]
      .flatMap((name) =>
        attributes[name] === undefined ? [] : [`${name.split(".").at(-1)}: ${String(attributes[name])}`]
      )
    const line = `${"  ".repeat(depth)}${span.name.padEnd(24 - depth * 2)} about ${
      Math.round(millis(span.duration) / 50) * 50
    } ms`
    return [`${line}  ${facts.join(", ")}`.trimEnd(), ...tree(spans, span.spanContext().spanId, depth + 1)]
  })

const program = Effect.gen(function*() {
  const { text } = yield* LanguageModel.generate({ prompt: "Why is the sky blue?" })
  yield* Console.log(text)
  yield* Effect.promise(() => spanProcessor.forceFlush())
  const spans = [...exporter.getFinishedSpans()].sort((one, other) => millis(one.startTime) - millis(other.startTime))
  yield* Console.log(tree(spans, undefined, 0).join("\n"))
})

Effect.runPromise(program.pipe(Effect.provide(Model), Effect.provide(Tracing)))
