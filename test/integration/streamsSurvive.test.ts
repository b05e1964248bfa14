/** Strengthened streams over real sockets, 30 % of whose connections break in the middle: all end as their policy declares. */
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import * as ChaosServer from "../../src/chaos/ChaosServer.ts"
import type * as LanguageModel from "../../src/model/LanguageModel.ts"
import * as StreamPart from "../../src/model/StreamPart.ts"
import * as ToolCall from "../../src/model/ToolCall.ts"
import * as Bulkhead from "../../src/policy/Bulkhead.ts"
import * as Pipeline from "../../src/policy/Pipeline.ts"
import * as OpenAiResponses from "../../src/provider/OpenAiResponses.ts"
import * as ResilientModel from "../../src/resilience/ResilientModel.ts"
import { answer, breaksInTheMiddle, kit, modelOf, wireNames } from "./chaosWires.ts"

const count = 200

const concurrency = 25

const strong = (model: LanguageModel.Service, stream: Pipeline.Options["stream"]) =>
  Effect.map(
    Pipeline.make({
      name: "survivor",
      // A stall costs this much real time. A busy machine must not make a slow first content into a further attempt.
      stream: { firstContent: "30 seconds", idle: "300 millis", ...stream },
      retry: { backoff: "immediate", attempts: 15 },
      // An attempt that is timed out gives its place back once its connection is closed; the next one waits for that.
      bulkhead: { maxConcurrent: concurrency, maxQueued: concurrency }
    }),
    (pipeline) => ({ model: ResilientModel.strengthen(model, pipeline), pipeline })
  )

const promptOf = (index: number) => `Request ${index}: please book a flight to Tromsø.`

/** What a reader holds who follows the parts by the book: a `Reset` voids, a `Seam` joins. */
interface Followed {
  readonly text: string
  readonly calls: ReadonlyArray<StreamPart.ToolCall>
  /** All parts since the last `Reset`. */
  readonly parts: ReadonlyArray<StreamPart.StreamPart>
  readonly starts: number
  readonly resets: number
  readonly last: StreamPart.StreamPart | undefined
  /** The error where it ended with one. */
  readonly error: unknown
}

const follow = <E>(stream: Stream.Stream<StreamPart.StreamPart, E>): Effect.Effect<Followed> =>
  Effect.gen(function*() {
    let text = ""
    let calls: Array<StreamPart.ToolCall> = []
    let starts = 0
    let resets = 0
    let parts: Array<StreamPart.StreamPart> = []
    const end = yield* Effect.either(Stream.runForEach(stream, (part) =>
      Effect.sync(() => {
        parts.push(part)
        if (part._tag === "Start") starts++
        if (part._tag === "TextDelta") text += part.text
        if (part._tag === "ToolCall") calls.push(part)
        if (part._tag !== "Reset") return
        resets++
        text = ""
        calls = []
        parts = []
      })))
    return { text, calls, parts, starts, resets, last: parts.at(-1), error: Either.isLeft(end) ? end.left : undefined }
  })

/** Follows all streams: the even ones are texts, the odd ones tool calls. */
const followAll = (model: LanguageModel.Service<unknown>) =>
  Effect.gen(function*() {
    const tools = yield* kit
    return yield* Effect.forEach(
      Array.from({ length: count }, (_, index) => index),
      (index) =>
        follow(model.stream(index % 2 === 0 ? { prompt: promptOf(index) } : { prompt: promptOf(index), tools })),
      { concurrency }
    )
  })

const isFinished = ({ last }: Followed, reason: string): boolean => last?._tag === "Finish" && last.reason === reason

/** A reply that is exactly the server's score. */
const expectWhole = (server: ChaosServer.Service, followed: Followed, index: number) =>
  Effect.gen(function*() {
    expect(followed.error).toBeUndefined()
    if (index % 2 === 0) {
      expect(isFinished(followed, "stop")).toBe(true)
      return expect(followed.text).toBe(answer)
    }
    expect(isFinished(followed, "tool-calls")).toBe(true)
    const reply = yield* StreamPart.collect(Stream.fromIterable(followed.parts))
    const calls = Either.getOrThrow(ToolCall.decode(yield* kit, reply))
    const meant = Option.getOrThrow(yield* server.meant(promptOf(index)))
    expect(calls.map(({ arguments: given, name }) => ({ name, arguments: given }))).toEqual(meant)
  })

/** A reply that broke: what came of it is the beginning of the score, and no call is half of one. */
const expectPartial = (server: ChaosServer.Service, { calls, text }: Pick<Followed, "calls" | "text">, index: number) =>
  Effect.gen(function*() {
    if (index % 2 === 0) {
      expect(answer.startsWith(text)).toBe(true)
      expect(text).not.toBe("")
      return expect(text).not.toBe(answer)
    }
    const meant = Option.getOrThrow(yield* server.meant(promptOf(index)))
    expect(calls.length).toBeLessThanOrEqual(meant.length)
    for (const [at, call] of calls.entries()) expect(JSON.parse(call.arguments)).toEqual(meant[at]?.arguments)
  })

const idleServer = (server: ChaosServer.Service) =>
  server.books.pipe(
    Effect.filterOrFail(({ inFlight }) => inFlight === 0),
    Effect.retry(Schedule.spaced("5 millis")),
    Effect.timeout("10 seconds"),
    Effect.orDie
  )

/** Nothing is held for a stream that is over. */
const expectFree = (server: ChaosServer.Service, pipeline: Pipeline.Pipeline) =>
  Effect.gen(function*() {
    const { bulkhead } = Pipeline.policies(pipeline)
    if (bulkhead !== undefined) expect(yield* Bulkhead.stats(bulkhead)).toMatchObject({ running: 0, queued: 0 })
    return yield* idleServer(server)
  })

/** Those that broke at least once by the plan; each is one of three in ten. */
const leastBroken = count * 0.2

for (const wire of wireNames) {
  describe(`${count} streams of ${wire}, 30 % broken in the middle`, () => {
    it.scopedLive("begin anew, and end with exactly the score", () =>
      Effect.gen(function*() {
        const server = yield* ChaosServer.make({ plan: breaksInTheMiddle })
        const { model, pipeline } = yield* strong(yield* modelOf(server, wire), { onBreak: "restart" })
        const all = yield* followAll(model)
        for (const [index, followed] of all.entries()) yield* expectWhole(server, followed, index)
        expect(all.filter(({ resets }) => resets > 0).length).toBeGreaterThan(leastBroken)
        const books = yield* expectFree(server, pipeline)
        // No attempt more than the breaks asked for.
        expect(books.admitted).toBe(count + all.reduce((sum, { resets }) => sum + resets, 0))
      }), 60_000)

    it.scopedLive("are truncated, and say so", () =>
      Effect.gen(function*() {
        const server = yield* ChaosServer.make({ plan: breaksInTheMiddle })
        const { model, pipeline } = yield* strong(yield* modelOf(server, wire), { onBreak: "truncate" })
        const all = yield* followAll(model)
        for (const [index, followed] of all.entries()) {
          expect(followed).toMatchObject({ error: undefined, resets: 0, starts: 1 })
          yield* (isFinished(followed, "truncated") ? expectPartial : expectWhole)(server, followed, index)
        }
        expect(all.filter((each) => isFinished(each, "truncated")).length).toBeGreaterThan(leastBroken)
        expect((yield* expectFree(server, pipeline)).admitted).toBe(count)
      }), 60_000)

    it.scopedLive("fail with all that came", () =>
      Effect.gen(function*() {
        const server = yield* ChaosServer.make({ plan: breaksInTheMiddle })
        const { model, pipeline } = yield* strong(yield* modelOf(server, wire), { onBreak: "fail" })
        const all = yield* followAll(model)
        for (const [index, followed] of all.entries()) {
          if (followed.error === undefined) {
            yield* expectWhole(server, followed, index)
            continue
          }
          expect(followed.error).toMatchObject({
            _tag: "StreamBroken",
            attempts: 1,
            received: { text: followed.text, toolCalls: followed.calls.map(({ id, name }) => ({ id, name })) }
          })
          yield* expectPartial(server, followed, index)
        }
        expect(all.filter(({ error }) => error !== undefined).length).toBeGreaterThan(leastBroken)
        expect((yield* expectFree(server, pipeline)).admitted).toBe(count)
      }), 60_000)
  })
}

describe(`${count} streams that the vendor keeps, 30 % of all connections broken in the middle`, () => {
  it.scopedLive(
    "go on where they broke: no part twice, and nothing that is gone on with is paid twice",
    () =>
      Effect.gen(function*() {
        const server = yield* ChaosServer.make({ plan: breaksInTheMiddle })
        const kept = yield* OpenAiResponses.make({
          model: "gpt-4o-mini",
          baseUrl: server.baseUrls.openAiResponses,
          apiKey: Redacted.make(server.apiKey),
          background: true
        }).pipe(Effect.provide(FetchHttpClient.layer))
        const { model, pipeline } = yield* strong(kept, { onBreak: "resume", otherwise: "restart" })
        const all = yield* followAll(model)
        for (const [index, followed] of all.entries()) yield* expectWhole(server, followed, index)
        // A reply that brings nothing three times in a row is given up; such weather is rare, and each such reply is paid again.
        const givenUp = all.reduce((sum, { resets }) => sum + resets, 0)
        expect(givenUp).toBeLessThan(count * 0.03)
        const books = yield* expectFree(server, pipeline)
        expect(books.background.created).toBe(count + givenUp)
        expect(books.background.resumed + books.background.polled).toBeGreaterThan(leastBroken)
        const paid = all.flatMap(({ last, resets }) =>
          last?._tag === "Finish" ? [{ ...last.usage, times: 1 + resets }] : []
        )
        expect(books.tokens).toEqual({
          prompt: paid.reduce((sum, { inputTokens, times }) => sum + times * inputTokens, 0),
          completion: paid.reduce((sum, { outputTokens, times }) => sum + times * outputTokens, 0)
        })
      }),
    60_000
  )
})
