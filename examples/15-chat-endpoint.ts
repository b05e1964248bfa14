// A chat endpoint that survives a cut on either side: the model's stream breaks and begins anew, the browser's connection
// breaks and goes on where it was. The model is asked twice, for the stream that broke, and never for the browser.
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as HttpRouter from "@effect/platform/HttpRouter"
import * as HttpServer from "@effect/platform/HttpServer"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as LanguageModel from "effect-llm-resilience/model/LanguageModel"
import * as StreamPart from "effect-llm-resilience/model/StreamPart"
import * as ResilientModel from "effect-llm-resilience/resilience/ResilientModel"
import * as StreamRelay from "effect-llm-resilience/resilience/StreamRelay"
import * as ScriptedModel from "effect-llm-resilience/testing/ScriptedModel"
import * as Chunk from "effect/Chunk"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { createParser, type EventSourceMessage } from "eventsource-parser"

// ── The server ──────────────────────────────────────────────────────────────────────────────────────────────────────────

const eventStream = { contentType: "text/event-stream", headers: { "cache-control": "no-store" } }

const endpoint = Effect.map(StreamRelay.make({ linger: "30 seconds" }), (relay) =>
  HttpRouter.get(
    "/chat/:id",
    Effect.gen(function*() {
      const { id = "" } = yield* HttpRouter.params
      const { headers, url } = yield* HttpServerRequest.HttpServerRequest
      const lastEventId = headers["last-event-id"]
      const prompt = new URL(url, "http://localhost").searchParams.get("question") ?? ""
      // Who comes back goes on; it never asks the model again.
      if (lastEventId === undefined) yield* StreamRelay.begin(relay, id, LanguageModel.stream({ prompt }))
      const events = yield* StreamRelay.events(relay, id, { lastEventId })
      return HttpServerResponse.stream(Stream.encodeText(events), eventStream)
    }).pipe(
      Effect.catchTag("ReplayMissed", (error) => HttpServerResponse.text(StreamRelay.missed(error), eventStream)),
      Effect.catchTag("RelayFull", (error) => HttpServerResponse.text(error.message, { status: 503 }))
    )
  ))

const Server = Layer.unwrapScoped(Effect.map(endpoint, (get) => HttpServer.serve(HttpRouter.empty.pipe(get))))

// A reply that breaks after a few words, and then one that does not.
const Model = ResilientModel.layer({
  stream: { onBreak: "restart" },
  retry: { backoff: "constant", delay: "50 millis", attempts: 3 }
}).pipe(Layer.provideMerge(ScriptedModel.layer([
  ScriptedModel.parts(["The ", "answer ", "is 41"].map((text) => StreamPart.textDelta(text))),
  ScriptedModel.text("The answer is 42, and nothing of it came twice.")
])))

// ── A client, as a browser's EventSource is one ─────────────────────────────────────────────────────────────────────────

interface Received {
  readonly id: string
  readonly part: StreamPart.StreamPart
}

const received = ({ data, id }: EventSourceMessage): Effect.Effect<Received> =>
  Effect.map(Effect.orDie(Schema.decodeUnknown(Schema.parseJson(StreamPart.StreamPart))(data)), (part) => ({
    id: id ?? "",
    part
  }))

const connect = (question: string, lastEventId: Option.Option<string>) =>
  HttpClientRequest.get("/chat/7", { urlParams: { question } }).pipe(
    HttpClientRequest.setHeaders(Option.match(lastEventId, {
      onNone: () => ({}),
      onSome: (id) => ({ "last-event-id": id })
    })),
    HttpClient.execute,
    HttpClientResponse.stream,
    Stream.decodeText(),
    Stream.mapAccum(Option.none<ReturnType<typeof sse>>(), (state, text) => {
      const parser = Option.getOrElse(state, sse)
      return [Option.some(parser), parser(text)]
    }),
    Stream.flattenIterables,
    Stream.mapEffect(received)
  )

/** Reads the events of a connection, however they are cut. */
const sse = () => {
  const events: Array<EventSourceMessage> = []
  const parser = createParser({ onEvent: (event) => events.push(event) })
  return (text: string): ReadonlyArray<EventSourceMessage> => {
    parser.feed(text)
    return events.splice(0)
  }
}

const program = Effect.gen(function*() {
  const question = "What is the answer?"
  const before = yield* Stream.runCollect(Stream.take(connect(question, Option.none()), 3)) // and the connection breaks
  const seen = Option.map(Chunk.last(before), ({ id }) => id)
  const after = yield* Stream.runCollect(connect(question, seen))
  yield* Console.log(
    `${before.length} events, a cut at ${Option.getOrElse(seen, () => "0")}, and ${after.length} more:`
  )
  const parts = Stream.map(Stream.fromChunk(Chunk.appendAll(before, after)), ({ part }) => part)
  yield* Stream.runForEach(
    StreamPart.toText(parts, { output: process.stdout.isTTY ? "terminal" : "plain", columns: process.stdout.columns }),
    (text) => Effect.sync(() => process.stdout.write(text))
  )
  const reply = yield* StreamPart.collect(parts)
  const asked = yield* ScriptedModel.requests
  yield* Console.log(`\n(${reply.finishReason}; the model was asked ${asked.length} times)`)
})

Effect.runPromise(program.pipe(
  Effect.provide(Server.pipe(Layer.provideMerge(NodeHttpServer.layerTest), Layer.provideMerge(Model)))
))
