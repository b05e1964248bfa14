/** Spans and metrics as OpenTelemetry's own SDK sees them, and as they arrive at a collector over OTLP/HTTP. */
import * as NodeSdk from "@effect/opentelemetry/NodeSdk"
import * as Otlp from "@effect/opentelemetry/Otlp"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import { describe, expect, it } from "@effect/vitest"
import { InMemorySpanExporter, type ReadableSpan, SimpleSpanProcessor } from "@opentelemetry/sdk-trace-base"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import { createServer } from "node:http"
import * as ChaosServer from "../../src/chaos/ChaosServer.ts"
import * as Fault from "../../src/chaos/Fault.ts"
import * as Pipeline from "../../src/policy/Pipeline.ts"
import * as ResilientModel from "../../src/resilience/ResilientModel.ts"
import * as Metrics from "../../src/telemetry/Metrics.ts"
import * as Monitor from "../../src/telemetry/Monitor.ts"
import { runs } from "../runs.ts"
import { modelOf, wireNames } from "./chaosWires.ts"

const calls = runs(25, 75)

const secretKey = "sk-proj-0123456789abcdefghijABCDEFGHIJ0123456789"

const prompt = (index: number) => `Prompt ${index} with words that no span may hold`

/** So many calls in bad weather, and the books of the provider. */
const storm = (policy: string) =>
  Effect.gen(function*() {
    const server = yield* ChaosServer.make({
      apiKeys: [secretKey],
      plan: Fault.storm({
        seed: 5,
        serverErrors: { probability: 0.15 },
        rateLimited: { probability: 0.1, wait: "20 millis" }
      })
    })
    const pipeline = yield* Pipeline.make({
      name: policy,
      retry: { backoff: "exponential", initial: "10 millis", cap: "50 millis", jitter: "full", attempts: 8 }
    })
    for (const wire of wireNames) {
      const model = ResilientModel.strengthen(yield* modelOf(server, wire), pipeline)
      yield* Effect.forEach(
        Array.from({ length: calls }, (_, index) => index),
        (index) => Effect.exit(model.generate({ prompt: `${prompt(index)} ${wire}` })),
        { concurrency: 10 }
      )
    }
    return yield* server.books
  }).pipe(Effect.scoped)

const total = calls * wireNames.length

describe("spans in OpenTelemetry's SDK", () => {
  it.live(
    "are as many as the provider's books say, nested call, attempt, HTTP, and hold no secret",
    () =>
      Effect.gen(function*() {
        const exporter = new InMemorySpanExporter()
        const spanProcessor = new SimpleSpanProcessor(exporter)
        const recorder = yield* Monitor.recorder
        const counting = Metrics.make()
        const [books, spans] = yield* storm("told-otel").pipe(
          // Read before the SDK is shut down, which forgets them.
          Effect.tap(() => Effect.promise(() => spanProcessor.forceFlush())),
          Effect.map((books) => [books, [...exporter.getFinishedSpans()]] as const),
          Effect.provideService(Monitor.Monitor, Monitor.both(recorder.monitor, counting)),
          Effect.provide(NodeSdk.layer(() => ({
            resource: { serviceName: "test" },
            spanProcessor
          })))
        )
        const named = (test: (span: ReadableSpan) => boolean) => spans.filter(test)
        const roots = named(({ name }) => name.startsWith("chat "))
        const attempts = named(({ name }) => name === "attempt")
        const http = named(({ name }) => name.startsWith("http.client"))
        expect(roots).toHaveLength(total)
        expect(roots.every(({ kind }) => kind === 2)).toBe(true)
        expect(attempts).toHaveLength(books.requests)
        expect(http).toHaveLength(books.requests)
        const idOf = (span: ReadableSpan) => span.spanContext().spanId
        const rootIds = new Set(roots.map(idOf))
        const attemptIds = new Set(attempts.map(idOf))
        expect(attempts.every(({ parentSpanContext }) => rootIds.has(parentSpanContext?.spanId ?? ""))).toBe(true)
        expect(http.every(({ parentSpanContext }) => attemptIds.has(parentSpanContext?.spanId ?? ""))).toBe(true)

        // Every event is an event of a span, and counted once in the metrics.
        const events = yield* recorder.events
        const inSpans = roots.flatMap((span) => span.events.map(({ name }) => name))
        const tags = new Set(events.map(({ _tag }) => _tag))
        expect(tags.has("Retried")).toBe(true)
        for (const tag of tags) {
          const count = events.filter(({ _tag }) => _tag === tag).length
          expect(inSpans.filter((name) => name === tag)).toHaveLength(count)
          expect((yield* Metric.value(Metrics.events(tag, "told-otel"))).count).toBe(count)
        }
        // What failed and was made again is what the provider was asked beyond once a call.
        expect(events.filter(({ _tag }) => _tag === "Retried")).toHaveLength(books.requests - total)

        const everything = JSON.stringify(
          spans.map(({ attributes, events, links, name, status }) => ({ name, attributes, events, links, status }))
        )
        expect(everything).not.toContain("words that no span may hold")
        expect(everything).not.toContain(secretKey.slice(8, 30))
      }),
    60_000
  )
})

/** What OTLP/HTTP sends as JSON, as far as it is looked at. */
interface Sent {
  readonly resourceSpans?: ReadonlyArray<{
    readonly scopeSpans: ReadonlyArray<{
      readonly spans: ReadonlyArray<{ readonly name: string; readonly spanId: string; readonly parentSpanId?: string }>
    }>
  }>
}

/** A collector on this machine that keeps what it is sent. */
const collector = Effect.acquireRelease(
  Effect.async<{ readonly url: string; readonly bodies: Array<readonly [string, string]>; readonly close: () => void }>(
    (resume) => {
      const bodies: Array<readonly [string, string]> = []
      const server = createServer((request, response) => {
        let body = ""
        request.setEncoding("utf8")
        request.on("data", (text: string) => body += text)
        request.on("end", () => {
          bodies.push([request.url ?? "", body])
          response.writeHead(200, { "content-type": "application/json" }).end("{}")
        })
      })
      server.listen(0, "127.0.0.1", () => {
        const address = server.address()
        const port = typeof address === "object" && address !== null ? address.port : 0
        resume(Effect.succeed({ url: `http://127.0.0.1:${port}`, bodies, close: () => void server.close() }))
      })
    }
  ),
  ({ close }) => Effect.sync(close)
)

describe("a collector over OTLP/HTTP", () => {
  it.scopedLive("gets every span with its parent, and our metrics", () =>
    Effect.gen(function*() {
      const { bodies, url } = yield* collector
      const books = yield* storm("told-otlp").pipe(
        Effect.provide(Metrics.layer),
        Effect.provide(
          Otlp.layerJson({ baseUrl: url, resource: { serviceName: "test" }, maxBatchSize: 100 }).pipe(
            Layer.provide(FetchHttpClient.layer)
          )
        )
      )
      const spans = bodies.filter(([path]) => path.endsWith("/v1/traces")).flatMap(([, body]) => {
        const sent: Sent = JSON.parse(body)
        return (sent.resourceSpans ?? []).flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans))
      })
      const attempts = spans.filter(({ name }) => name === "attempt")
      expect(spans.filter(({ name }) => name.startsWith("chat "))).toHaveLength(total)
      expect(attempts).toHaveLength(books.requests)
      const ids = new Set(spans.map(({ spanId }) => spanId))
      expect(attempts.every(({ parentSpanId }) => ids.has(parentSpanId ?? ""))).toBe(true)
      const all = bodies.map(([, body]) => body).join("")
      expect(bodies.some(([path, body]) => path.endsWith("/v1/metrics") && body.includes("llm_resilience.events")))
        .toBe(true)
      expect(all).not.toContain("words that no span may hold")
      expect(all).not.toContain(secretKey.slice(8, 30))
    }), 60_000)
})
