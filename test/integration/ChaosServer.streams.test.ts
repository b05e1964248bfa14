/** Every wire protocol under every fault of a stream, met by our own clients over real sockets. */
import { describe, expect, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Net from "node:net"
import * as ChaosServer from "../../src/chaos/ChaosServer.ts"
import { clientGone, type Exchange, listen, perform } from "../../src/chaos/chaosServer/http.ts"
import * as Fault from "../../src/chaos/Fault.ts"
import * as StreamFault from "../../src/chaos/StreamFault.ts"
import * as Verdict from "../../src/error/Verdict.ts"
import type * as LanguageModel from "../../src/model/LanguageModel.ts"
import * as StreamPart from "../../src/model/StreamPart.ts"
import * as Tool from "../../src/model/Tool.ts"
import * as ToolCall from "../../src/model/ToolCall.ts"
import * as Toolkit from "../../src/model/Toolkit.ts"
import { dealt, modelOf, type WireName, wireNames } from "./chaosWires.ts"

/** No tool: the reply is a text. Or with tools: the reply is a call. */
const subjects = ["text", "tool call"] as const

const kit = Toolkit.make(
  Tool.make("book_flight", {
    parameters: Schema.Struct({
      from: Schema.String,
      passengers: Schema.Int.pipe(Schema.between(1, 9)),
      note: Schema.String,
      legs: Schema.Array(Schema.Struct({ to: Schema.String, cabin: Schema.Literal("economy", "business") }))
    })
  })
)

const prompt = "Please book a flight to Tromsø."

type Subject = (typeof subjects)[number]

/** A server that deals the faults in order, and a client of it. */
const meet = (
  wire: WireName,
  faults: ReadonlyArray<Fault.Fault | null>,
  options: ChaosServer.Options = {}
) =>
  Effect.gen(function*() {
    const server = yield* ChaosServer.make({ ...options, plan: Fault.script({ inOrder: faults }, 7) })
    const model = yield* modelOf(server, wire)
    const tools = yield* kit
    const request = (subject: Subject): LanguageModel.Request =>
      subject === "text" ? { prompt } : { prompt, tools, toolChoice: "auto" }
    return { server, model, tools, request }
  })

const booksUntil = (server: ChaosServer.Service, done: (books: ChaosServer.Books) => boolean) =>
  Effect.repeat(server.books, { until: done, schedule: Schedule.spaced("2 millis") })

const harmless: ReadonlyArray<readonly [name: string, fault: Fault.Fault | null]> = [
  ["nothing", null],
  ["a slow reply", Fault.slowReply("20 millis")],
  ["a stall before the first token that ends", StreamFault.stallBeforeFirstToken("30 millis")],
  ["a stall in the middle that ends", StreamFault.stallMidStream("30 millis")],
  ["a duplicated start", StreamFault.duplicatedStart],
  ["slow tokens", StreamFault.slowTokens("2 millis")],
  ["a chunk for every byte", StreamFault.byteChunks]
]

const harmful: ReadonlyArray<readonly [fault: Fault.Fault, error: string]> = [
  [StreamFault.cut("clean"), "Truncated"],
  [StreamFault.cut("reset"), "Truncated"],
  [Fault.resetDuringBody, "Truncated"],
  [StreamFault.missingTerminal, "Truncated"],
  [StreamFault.malformedChunk, "MalformedResponse"],
  [StreamFault.error({ when: "first", kind: "overloaded" }), "Overloaded"],
  [StreamFault.error({ when: "first", kind: "server" }), "ServerError"],
  [StreamFault.error({ when: "first", kind: "rate-limit" }), "RateLimited"],
  [StreamFault.error({ when: "late", kind: "overloaded" }), "Overloaded"],
  [StreamFault.error({ when: "late", kind: "server" }), "ServerError"],
  [StreamFault.error({ when: "late", kind: "rate-limit" }), "RateLimited"],
  // The faults of any reply come as they come to whoever asks for no stream.
  [Fault.rateLimited({ hint: "none" }), "RateLimited"],
  [Fault.insufficientQuota, "QuotaExhausted"],
  [Fault.serverError(500), "ServerError"],
  [Fault.serverError(529), "Overloaded"],
  [Fault.resetBeforeBody, "ConnectionFailed"],
  [Fault.htmlErrorPage(200), "MalformedResponse"],
  [Fault.htmlErrorPage(502), "ServerError"]
]

const endless: ReadonlyArray<readonly [name: string, fault: Fault.Fault, heard: ReadonlyArray<string>]> = [
  ["a hang", Fault.hang, []],
  ["a stall before the first token", StreamFault.stallBeforeFirstToken(), []],
  ["a stall in the middle", StreamFault.stallMidStream(), ["TextDelta"]]
]

for (const wire of wireNames) {
  describe(`ChaosServer, ${wire}`, () => {
    for (const subject of subjects) {
      for (const [what, fault] of harmless) {
        it.scopedLive(`streams the right ${subject} under ${what}`, () =>
          Effect.gen(function*() {
            const { model, request, server, tools } = yield* meet(wire, [fault, null])
            const streamed = yield* StreamPart.collect(model.stream(request(subject)))
            const whole = yield* model.generate(request(subject))
            expect(streamed.text).toBe(whole.text)
            expect(streamed.finishReason).toBe(subject === "text" ? "stop" : "tool-calls")
            expect(whole.finishReason).toBe(streamed.finishReason)
            expect(streamed.usage).toEqual(whole.usage)
            if (subject === "text") {
              expect(streamed.text).toContain("made up by a server that only pretends")
            } else {
              const meant = Option.getOrThrow(yield* server.meant(prompt))
              const calls = Either.getOrThrow(ToolCall.decode(tools, streamed))
              expect(calls.map(({ arguments: given, name }) => ({ name, arguments: given }))).toEqual(meant)
            }
            const books = yield* server.books
            const kind = subject === "text" ? "texts" : "toolCalls"
            expect(books).toMatchObject({ streams: 1, requests: 2, right: { [kind]: 2 }, aborted: 0, inFlight: 0 })
            expect(books.byProtocol[wire]).toBe(2)
            expect(books.tokens.completion).toBe(streamed.usage.outputTokens + whole.usage.outputTokens)
            expect((yield* server.leastCalls).total).toBe(1)
          }))
      }

      it.scopedLive(`has the ${subject} lost with its right error`, () =>
        Effect.gen(function*() {
          const { model, request, server } = yield* meet(wire, dealt(harmful.map(([fault]) => fault)))
          const met = yield* Effect.forEach(harmful, ([fault]) =>
            Effect.map(
              Effect.either(StreamPart.collect(model.stream(request(subject)))),
              (end) => [fault, Either.isLeft(end) ? end.left._tag : "no error"] as const
            ))
          expect(met).toEqual(harmful)
          const books = yield* server.books
          expect(books).toMatchObject({ aborted: 0, inFlight: 0, right: { texts: 0, toolCalls: 0 } })
          // What came whole was paid for: of these only the stream with a broken event.
          expect(books.tokens.completion).toBeGreaterThan(0)
          // Of the others, what was sent before they broke.
          expect(books.brokenTokens.prompt).toBeGreaterThan(0)
          expect(books.brokenTokens.completion).toBeGreaterThan(0)
          // One reset was dealt twice.
          expect((yield* server.leastCalls).total).toBe(harmful.length + 2)
        }))
    }

    for (const [what, fault, heard] of endless) {
      it.scopedLive(`waits under ${what} until it is interrupted, and is gone`, () =>
        Effect.gen(function*() {
          const { model, request, server } = yield* meet(wire, [fault])
          const parts: Array<string> = []
          const fiber = yield* model.stream(request("text")).pipe(
            Stream.runForEach((part) => Effect.sync(() => parts.push(part._tag))),
            Effect.fork
          )
          const told = () => [...new Set(parts)].filter((tag) => tag !== "Start")
          yield* booksUntil(server, ({ admitted }) => admitted === 1 && told().length >= heard.length)
          yield* Effect.sleep("60 millis")
          expect(yield* Fiber.poll(fiber)).toEqual(Option.none())
          expect(told()).toEqual(heard)
          yield* Fiber.interrupt(fiber)
          yield* booksUntil(server, ({ inFlight }) => inFlight === 0)
          const { aborted, brokenTokens, inFlight, tokens } = yield* server.books
          expect({ aborted, inFlight, tokens }).toEqual({
            aborted: 1,
            inFlight: 0,
            tokens: { prompt: 0, completion: 0 }
          })
          // Half of the text was sent, or none.
          const whole = (yield* model.generate(request("text"))).usage
          const isBegun = heard.length > 0
          expect(brokenTokens.prompt).toBe(isBegun ? whole.inputTokens : 0)
          expect(brokenTokens.completion / whole.outputTokens).toBeCloseTo(isBegun ? 0.5 : 0, 0.5)
        }))
    }

    it.scopedLive("ends a stream that its reader leaves, and counts it", () =>
      Effect.gen(function*() {
        const { model, request, server } = yield* meet(wire, [], { tokenDelay: "20 millis" })
        const read = yield* model.stream(request("text")).pipe(
          Stream.filter((part) => part._tag === "TextDelta"),
          Stream.take(1),
          Stream.runCollect
        )
        expect(Chunk.size(read)).toBe(1)
        yield* booksUntil(server, ({ inFlight }) => inFlight === 0)
        expect(yield* server.books).toMatchObject({
          aborted: 1,
          streams: 1,
          right: { texts: 0 },
          tokens: { completion: 0 }
        })
        const { brokenTokens } = yield* server.books
        const whole = (yield* model.generate(request("text"))).usage
        expect(brokenTokens.prompt).toBe(whole.inputTokens)
        expect(brokenTokens.completion).toBeGreaterThan(0)
        expect(brokenTokens.completion).toBeLessThan(whole.outputTokens)
      }))

    it.scopedLive("ends a stall when the server stops", () =>
      Effect.gen(function*() {
        const ended = yield* Deferred.make<string>()
        const books = yield* Effect.scoped(Effect.gen(function*() {
          const { model, request, server } = yield* meet(wire, [StreamFault.stallMidStream()])
          yield* StreamPart.collect(model.stream(request("text"))).pipe(
            Effect.match({ onFailure: (error) => error._tag, onSuccess: () => "no error" }),
            Effect.intoDeferred(ended),
            Effect.forkDaemon
          )
          yield* booksUntil(server, ({ admitted }) => admitted === 1)
          yield* Effect.sleep("30 millis")
          return server.books
        }))
        expect(yield* Deferred.await(ended)).toBe("Truncated")
        expect(yield* books).toMatchObject({ aborted: 0, inFlight: 0 })
      }))

    it.scopedLive("has damaged calls refused and cut replies told, as without a stream", () =>
      Effect.gen(function*() {
        const faults = [
          Fault.damagedToolCall("unknown-tool"),
          Fault.damagedToolCall("missing-close"),
          Fault.finishLength
        ]
        const { model, request, server, tools } = yield* meet(wire, faults)
        const [, , cut] = yield* Effect.forEach(faults, () =>
          model.stream(request("tool call")).pipe(
            StreamPart.collect,
            Effect.tap((response) =>
              Effect.sync(() =>
                expect(Either.isRight(ToolCall.decode(tools, response)) && response.toolCalls.length > 0).toBe(false)
              )
            ),
            Effect.map((response) => response.finishReason),
            // Where arguments are an object on the wire, the vendor itself says that the model wrote a bad call.
            Effect.catchTag("InvalidToolCall", "MalformedResponse", (error) => Effect.succeed(error._tag))
          ))
        expect(cut).toBe("length")
        expect((yield* server.books).faults).toEqual({ DamagedToolCall: 2, FinishLength: 1 })
      }))

    it.scopedLive("tells a wait where this vendor tells it, never a shorter one", () =>
      Effect.gen(function*() {
        const wait = Duration.millis(1_500)
        const { model, request, server } = yield* meet(
          wire,
          Fault.hintForms.map((hint) => Fault.rateLimited({ hint, wait }))
        )
        const told = yield* Effect.forEach(Fault.hintForms, (hint) =>
          Effect.flip(StreamPart.collect(model.stream(request("text")))).pipe(
            Effect.map((error) =>
              [hint, error._tag, Option.getOrNull(Verdict.of(error).retryAfter)] as const
            )
          ))
        for (const [hint, tag, retryAfter] of told) {
          expect(tag, hint).toBe("RateLimited")
          if (hint === "none") expect(retryAfter).toBeNull()
          // An instant has been coming nearer since it was told.
          else expect(retryAfter === null ? 0 : Duration.toMillis(retryAfter), hint).toBeGreaterThan(1_000)
        }
        expect((yield* server.books).faults).toEqual({ RateLimited: Fault.hintForms.length })
      }))

    it.scopedLive("refuses a wrong key and an unknown model in this vendor's words", () =>
      Effect.gen(function*() {
        const tagOf = (options: ChaosServer.Options) =>
          Effect.gen(function*() {
            const { model, request, server } = yield* meet(wire, [], options)
            const error = yield* Effect.flip(StreamPart.collect(model.stream(request("text"))))
            const { refused } = yield* server.books
            return [error._tag, refused.authentication, refused.model]
          })
        expect(yield* tagOf({ models: ["another"] })).toEqual(["ModelNotFound", 0, 1])
        const server = yield* ChaosServer.make({ apiKeys: ["sk-another-key-of-this-server"] })
        const stranger = yield* modelOf({ ...server, apiKey: "sk-not-known-here" }, wire)
        const error = yield* Effect.flip(stranger.generate({ prompt }))
        expect(error._tag).toBe("Authentication")
        expect((yield* server.books).refused.authentication).toBe(1)
      }))

    it.scopedLive("enforces its limits in this vendor's headers", () =>
      Effect.gen(function*() {
        const { model, request, server } = yield* meet(wire, [], { limits: { requestsPerMinute: 1 } })
        const first = yield* StreamPart.collect(model.stream(request("text")))
        expect(first.rateLimit?.requests?.remaining).toBe(wire === "gemini" ? undefined : 0)
        const error = yield* Effect.flip(model.generate(request("text")))
        expect(error._tag).toBe("RateLimited")
        const retryAfter = Option.getOrThrow(Verdict.of(error).retryAfter)
        expect(Duration.toMillis(retryAfter)).toBeGreaterThan(55_000)
        expect(Duration.toMillis(retryAfter)).toBeLessThanOrEqual(61_000)
        expect(yield* server.books).toMatchObject({ refused: { limit: 1 }, admitted: 1, streams: 1 })
      }))

    it.scopedLive("writes JSON that follows the schema, where structured output is asked for", () =>
      Effect.gen(function*() {
        const { model } = yield* meet(wire, [])
        const schema = Schema.Struct({
          city: Schema.String,
          days: Schema.Int,
          cabin: Schema.Literal("economy", "business")
        })
        const asked: LanguageModel.Request = { prompt, responseFormat: { name: "trip", schema } }
        const read = Schema.decodeUnknown(Schema.parseJson(schema), { onExcessProperty: "error" })
        const whole = yield* Effect.flatMap(model.generate(asked), ({ text }) => read(text))
        const streamed = yield* Effect.flatMap(StreamPart.collect(model.stream(asked)), ({ text }) => read(text))
        expect(streamed).toEqual(whole)
      }))

    it.scopedLive("spares whoever asks for no stream the faults of streams, and says nothing where nothing is said", () =>
      Effect.gen(function*() {
        const { model, request, server } = yield* meet(wire, [
          StreamFault.cut(),
          StreamFault.error(),
          Fault.emptyChoices
        ])
        const first = yield* model.generate(request("text"))
        expect((yield* model.generate(request("text"))).text).toBe(first.text)
        expect(yield* server.books).toMatchObject({ spared: 2, faults: {}, right: { texts: 2 }, streams: 0 })
        expect((yield* server.leastCalls).total).toBe(1)
        const empty = yield* Effect.either(StreamPart.collect(model.stream(request("text"))))
        expect(Either.isLeft(empty) || empty.right.text === "").toBe(true)
      }))
  })
}

it.scopedLive("a stream waits for a reader that does not read, and ends when it leaves", () =>
  Effect.gen(function*() {
    const arrived = yield* Deferred.make<Exchange>()
    const { port } = yield* listen({
      port: 0,
      onExchange: (exchange) => Effect.runSync(Deferred.succeed(arrived, exchange)),
      onConnection: () => undefined
    })
    const socket = Net.connect(port, "127.0.0.1")
    socket.pause()
    socket.on("error", () => undefined)
    socket.write("GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
    const exchange = yield* Deferred.await(arrived)
    const text = "x".repeat(64 * 1024)
    const steps = Array.from(
      { length: 1_000 },
      () => ({ _tag: "Write", text, pieces: "whole", isContent: true } as const)
    )
    const fiber = yield* Effect.fork(
      Effect.raceFirst(
        perform(exchange, { _tag: "Streamed", headers: {}, steps, content: steps.length }, {}),
        clientGone(exchange)
      )
    )
    yield* Effect.sleep("100 millis")
    expect(yield* Fiber.poll(fiber)).toEqual(Option.none())
    // What waits in this process is one write; the rest of the 64 MB has not been made.
    expect(exchange.response.writableLength).toBeLessThan(2 * text.length)
    socket.destroy()
    yield* Fiber.join(fiber)
  }))
