/** Streams through a pipeline: guarded to their end, and what follows a break after the first content. */
import { describe, expect, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import * as ModelError from "../../src/error/ModelError.ts"
import type * as LanguageModel from "../../src/model/LanguageModel.ts"
import * as StreamPart from "../../src/model/StreamPart.ts"
import * as Bulkhead from "../../src/policy/Bulkhead.ts"
import * as CircuitBreaker from "../../src/policy/CircuitBreaker.ts"
import * as Pipeline from "../../src/policy/Pipeline.ts"
import * as RateLimiter from "../../src/policy/RateLimiter.ts"
import * as Tripping from "../../src/policy/Tripping.ts"
import * as ResilientModel from "../../src/resilience/ResilientModel.ts"
import * as ResilientStream from "../../src/resilience/ResilientStream.ts"
import { type Act, fail, finish, hang, modelOf, part, start, text, usage, wait } from "./scriptedStream.ts"
import { atOnce, played, request, strong, tags, textOf, watched } from "./strongStream.ts"

describe("a pipeline guards a stream to its end", () => {
  it.effect("a total time-out ends a stream that fell silent after its content", () =>
    Effect.gen(function*() {
      const { counts, stream } = yield* strong({ totalTimeout: "1 second" }, [start, text("a"), hang])
      const { at, end, seen } = yield* played(stream, 1, 1_000)
      expect(textOf(seen)).toBe("a")
      expect(end).toMatchObject({ left: { _tag: "TimedOut", phase: "total" } })
      expect([at, counts.open]).toEqual([1_000, 0])
    }))

  it.effect("replies that are cut in the middle open the breaker", () =>
    Effect.gen(function*() {
      const circuitBreaker = yield* CircuitBreaker.make({ name: "b", tripping: Tripping.consecutive(3) })
      const { counts, stream } = yield* strong({ circuitBreaker }, [start, text("a"), fail()])
      for (let i = 0; i < 10; i++) yield* watched(stream)
      expect(yield* CircuitBreaker.state(circuitBreaker)).toMatchObject({ _tag: "Open" })
      expect(counts.requests).toBe(3)
    }))

  /** A half-open circuit, and what becomes of it while its one probe is a stream that follows the script. */
  const probing = (...script: ReadonlyArray<Act>) =>
    Effect.gen(function*() {
      const circuitBreaker = yield* CircuitBreaker.make({
        name: "b",
        tripping: Tripping.consecutive(1),
        openFor: "10 seconds",
        probes: 1,
        probeLimit: "5 seconds"
      })
      const { stream } = yield* strong({ circuitBreaker }, [start, fail()], script, [start, text("b"), finish()])
      yield* watched(stream)
      yield* TestClock.adjust("10 seconds")
      const probe = yield* Effect.fork(watched(stream))
      const at = (seconds: number) =>
        Effect.zipRight(TestClock.adjust(Duration.seconds(seconds)), CircuitBreaker.state(circuitBreaker))
      return { at, probe, stream }
    })

  it.effect("a probe that delivers content is a success at its limit, however long it goes on", () =>
    Effect.gen(function*() {
      const { at, probe, stream } = yield* probing(start, wait(2_000), text("a"), wait(60_000), text("z"), finish())
      expect(yield* at(4.999)).toMatchObject({ _tag: "HalfOpen", probing: 1 })
      expect(yield* at(0.001)).toMatchObject({ _tag: "Closed" })
      // Others go through meanwhile, and the probe itself is not disturbed.
      expect(textOf((yield* watched(stream)).seen)).toBe("b")
      yield* TestClock.adjust("1 minute")
      expect(textOf((yield* Fiber.join(probe)).seen)).toBe("az")
    }))

  it.effect("a probe that breaks behind its content has failed, and so has one that has none at its limit", () =>
    Effect.gen(function*() {
      const broken = yield* probing(start, text("a"), wait(4_000), fail())
      expect(yield* broken.at(3.999)).toMatchObject({ _tag: "HalfOpen" })
      expect(yield* broken.at(0.001)).toMatchObject({ _tag: "Open" })
      const silent = yield* probing(start, wait(5_001), text("a"), finish())
      expect(yield* silent.at(5)).toMatchObject({ _tag: "Open" })
      expect(yield* silent.at(1)).toMatchObject({ _tag: "Open" })
    }))

  it.effect("content that comes after the limit, when nobody has looked, is too late for a probe", () =>
    Effect.gen(function*() {
      const { at } = yield* probing(start, wait(5_001), text("a"), hang)
      expect(yield* at(6)).toMatchObject({ _tag: "Open" })
    }))

  it.effect("no more streams are open than the bulkhead allows", () =>
    Effect.gen(function*() {
      const { counts, stream } = yield* strong(
        { bulkhead: { maxConcurrent: 2, maxQueued: 10 } },
        [start, text("a"), wait(10), text("b"), finish()]
      )
      const fiber = yield* Effect.fork(Effect.all(Array.from({ length: 5 }, () => watched(stream)), {
        concurrency: "unbounded"
      }))
      yield* Effect.replicateEffect(TestClock.adjust("10 millis"), 3)
      const ends = yield* Fiber.join(fiber)
      expect(ends.map(({ seen }) => textOf(seen))).toEqual(["ab", "ab", "ab", "ab", "ab"])
      expect(counts.mostOpen).toBe(2)
    }))

  /** A stream that breaks behind its content and is retried a second later, when another one has taken its permit. */
  const overtaken = (maxQueued: number) =>
    Effect.gen(function*() {
      const { stream } = yield* strong(
        {
          bulkhead: { name: "b", maxConcurrent: 1, maxQueued },
          retry: { backoff: "constant", delay: "1 second", attempts: 2 },
          stream: { onBreak: "restart" }
        },
        [start, text("a"), fail()],
        [start, text("b"), wait(5_000), finish()],
        [start, text("c"), finish()]
      )
      const first = yield* Effect.fork(watched(stream))
      yield* TestClock.adjust("500 millis")
      const second = yield* Effect.fork(watched(stream))
      yield* TestClock.adjust("1 minute")
      expect(textOf((yield* Fiber.join(second)).seen)).toBe("b")
      return yield* Fiber.join(first)
    })

  it.effect("between two attempts it holds no permit: without a queue it is refused when another one has taken that", () =>
    Effect.gen(function*() {
      const { end, seen } = yield* overtaken(0)
      expect(tags(seen)).toEqual(["Start", "TextDelta"])
      expect(end).toMatchObject({
        left: { _tag: "StreamBroken", error: { _tag: "BulkheadFull", reason: "full" }, received: { text: "a" } }
      })
    }))

  it.effect("with a queue it waits for its turn, and goes on", () =>
    Effect.gen(function*() {
      const { seen } = yield* overtaken(1)
      expect(tags(seen)).toEqual(["Start", "TextDelta", "Reset", "Start", "TextDelta", "Finish"])
    }))

  for (const [maxQueued, went] of [[0, "is refused"], [1, "waits for that"]] as const) {
    it.effect(`an attempt that is timed out holds its permit until it has ended: with ${maxQueued} queued the next ${went}`, () =>
      Effect.gen(function*() {
        const pipeline = yield* Pipeline.make({
          bulkhead: { name: "b", maxConcurrent: 1, maxQueued },
          retry: { backoff: "immediate", attempts: 2 },
          stream: { idle: "1 second", onBreak: "restart" }
        })
        const { model } = modelOf([start, text("a"), hang], [start, text("b"), finish()])
        const closing: LanguageModel.Service<ModelError.ModelError> = {
          ...model,
          // Its connection takes a moment to close.
          stream: (asked) => Stream.ensuring(model.stream(asked), Effect.sleep("20 millis"))
        }
        const fiber = yield* Effect.fork(watched(ResilientStream.strengthen(closing, pipeline)(request)))
        yield* TestClock.adjust("2 seconds")
        const { end, seen } = yield* Fiber.join(fiber)
        if (maxQueued > 0) return expect(textOf(seen)).toBe("ab")
        expect(end).toMatchObject({ left: { _tag: "StreamBroken", error: { _tag: "BulkheadFull" } } })
      }))
  }

  it.effect("a reservation is settled with the usage of the Finish, and the permit is free when that is seen", () =>
    Effect.gen(function*() {
      const rateLimiter = yield* RateLimiter.make({ name: "r", requestsPerMinute: 10, tokensPerMinute: 10_000 })
      const bulkhead = yield* Bulkhead.make({ name: "b", maxConcurrent: 1 })
      const { stream } = yield* strong({ rateLimiter, bulkhead }, [start, text("a"), text("b"), finish(99)])
      let held: number | undefined
      yield* Stream.runForEach(
        stream,
        (each) =>
          each._tag !== "Finish" ? Effect.void : Effect.map(Bulkhead.stats(bulkhead), ({ running }) => {
            held = running
          })
      )
      expect(held).toBe(0)
      expect((yield* RateLimiter.state(rateLimiter)).tokensAvailable).toBe(9_900)
    }))

  it.effect("a consumer that leaves gives everything back", () =>
    Effect.gen(function*() {
      const bulkhead = yield* Bulkhead.make({ name: "b", maxConcurrent: 1 })
      const { counts, stream } = yield* strong({ bulkhead, totalTimeout: "1 minute" }, [start, text("a"), hang])
      yield* Stream.runDrain(Stream.take(stream, 1))
      expect(counts.open).toBe(0)
      const fiber = yield* Effect.fork(Stream.runDrain(stream))
      yield* Effect.yieldNow().pipe(Effect.repeatN(50))
      expect([counts.open, (yield* Bulkhead.stats(bulkhead)).running]).toEqual([1, 1])
      yield* Fiber.interrupt(fiber)
      expect([counts.open, (yield* Bulkhead.stats(bulkhead)).running]).toEqual([0, 0])
    }))

  it.effect("a slow consumer does not make a call slow, and the length of a stream does not either", () =>
    Effect.gen(function*() {
      const circuitBreaker = yield* CircuitBreaker.make({
        name: "b",
        tripping: Tripping.slowCallRate({ share: 0.5, longerThan: "1 second", window: "1 calls" })
      })
      const { stream } = yield* strong({ circuitBreaker }, [start, text("a"), wait(10_000), text("b"), finish()])
      yield* played(stream, 1_000, 12)
      expect(yield* CircuitBreaker.state(circuitBreaker)).toMatchObject({ _tag: "Closed" })
    }))
})

describe("after the first content", () => {
  const cut: ReadonlyArray<Act> = [start, text("Hel"), fail()]
  const whole: ReadonlyArray<Act> = [start, text("Hello"), finish(5)]

  it.effect("without a stream policy the error is the plain one, and nothing is asked again", () =>
    Effect.gen(function*() {
      const { counts, stream } = yield* strong({ retry: atOnce }, cut, whole)
      const { end, seen } = yield* watched(stream)
      expect(end).toMatchObject({ left: { _tag: "ServerError" } })
      expect([textOf(seen), counts.requests]).toEqual(["Hel", 1])
    }))

  it.effect("fail: the error holds everything that came", () =>
    Effect.gen(function*() {
      const { counts, stream } = yield* strong({ name: "chat", stream: {}, retry: atOnce }, [
        start,
        part(StreamPart.reasoningDelta("hm")),
        text("Hel"),
        text("lo"),
        part(StreamPart.toolCallStart(0, "1", "add")),
        part(StreamPart.toolCall(0, "1", "add", "{}")),
        part(StreamPart.toolCallStart(1, "2", "add")),
        part(StreamPart.toolArgumentsDelta(1, "{\"a")),
        fail()
      ])
      const { end } = yield* watched(stream)
      expect(end).toMatchObject({
        left: {
          _tag: "StreamBroken",
          name: "chat",
          attempts: 1,
          error: { _tag: "ServerError", status: 503 },
          received: { text: "Hello", reasoning: "hm", toolCalls: [{ id: "1", name: "add", arguments: "{}" }] }
        }
      })
      expect(counts.requests).toBe(1)
    }))

  it.effect("restart: a Reset says what is void, and the new attempt follows", () =>
    Effect.gen(function*() {
      const { counts, stream } = yield* strong({ stream: { onBreak: "restart" }, retry: atOnce }, cut, whole)
      const { end, seen } = yield* watched(stream)
      expect(end._tag).toBe("Right")
      expect(tags(seen)).toEqual(["Start", "TextDelta", "Reset", "Start", "TextDelta", "Finish"])
      expect(seen[2]).toMatchObject({ attempt: 2, discarded: { characters: 3, toolCalls: 0 } })
      expect((yield* StreamPart.collect(Stream.fromIterable(seen))).text).toBe("Hello")
      expect(counts.requests).toBe(2)
    }))

  it.effect("restart: within the attempts of the retry, then it fails with what the last one brought", () =>
    Effect.gen(function*() {
      const { counts, stream } = yield* strong(
        { stream: { onBreak: "restart" }, retry: atOnce },
        [start, text("one"), fail()],
        [start, fail()],
        [start, text("three"), fail()]
      )
      const { end, seen } = yield* watched(stream)
      expect(end).toMatchObject({ left: { _tag: "StreamBroken", attempts: 3, received: { text: "three" } } })
      expect(tags(seen)).toEqual(["Start", "TextDelta", "Reset", "Start", "TextDelta"])
      expect(seen[2]).toMatchObject({ attempt: 3 })
      expect(counts.requests).toBe(3)
    }))

  it.effect("restart: an error that is not to be retried ends it", () =>
    Effect.gen(function*() {
      const { counts, stream } = yield* strong({ stream: { onBreak: "restart" }, retry: atOnce }, [
        start,
        text("a"),
        fail(new ModelError.ContentFiltered({ provider: "scripted", stage: "completion" }))
      ])
      expect((yield* watched(stream)).end).toMatchObject({ left: { _tag: "StreamBroken" } })
      expect(counts.requests).toBe(1)
    }))

  it.effect("truncate: ends with what came", () =>
    Effect.gen(function*() {
      const { counts, stream } = yield* strong({ stream: { onBreak: "truncate" }, retry: atOnce }, cut)
      const response = yield* StreamPart.collect(stream)
      expect([response.text, response.finishReason, counts.requests]).toEqual(["Hel", "truncated", 1])
    }))

  it.effect("a stream that ends without a Finish is cut", () =>
    Effect.gen(function*() {
      const { stream } = yield* strong({ stream: { onBreak: "restart" }, retry: atOnce }, [start, text("a")], whole)
      expect((yield* StreamPart.collect(stream)).text).toBe("Hello")
      const plain = yield* strong({}, [start, text("a")])
      expect((yield* watched(plain.stream)).end).toMatchObject({ left: { _tag: "Truncated" } })
    }))

  it.effect("a consumer that is interrupted during a Reset leaves nothing behind", () =>
    Effect.gen(function*() {
      const { counts, stream } = yield* strong(
        { stream: { onBreak: "restart" }, retry: { backoff: "constant", delay: "1 second", attempts: 3 } },
        cut,
        [start, hang]
      )
      for (const millis of [500, 1_500]) {
        const fiber = yield* Effect.fork(Stream.runDrain(stream))
        yield* TestClock.adjust(Duration.millis(millis))
        yield* Fiber.interrupt(fiber)
        expect(counts.open).toBe(0)
      }
    }))

  it.effect("generate over a stream collects the strengthened one", () =>
    Effect.gen(function*() {
      const { model } = modelOf(cut, whole)
      const pipeline = yield* Pipeline.make({ stream: { onBreak: "restart" }, retry: atOnce })
      const response = yield* ResilientModel.strengthen(model, pipeline).generate({ ...request, via: "stream" })
      expect([response.text, response.finishReason]).toEqual(["Hello", "stop"])
      expect(response.usage).toEqual(usage(5))
      expect(response.usageOfAll).toEqual(usage(5))
    }))
})

describe("hedges race to the first content", () => {
  const hedged = { hedge: { delay: "10 millis", budget: "none" } } as const

  it.effect("the first one that has content goes on alone, and the others end", () =>
    Effect.gen(function*() {
      const { counts, stream } = yield* strong(
        hedged,
        [start, wait(100), text("slow"), finish()],
        [start, wait(20), text("fast"), wait(200), text("er"), finish()]
      )
      const fiber = yield* Effect.fork(watched(stream))
      yield* Effect.replicateEffect(TestClock.adjust("1 millis"), 40)
      expect([counts.requests, counts.open]).toEqual([2, 1])
      yield* Effect.replicateEffect(TestClock.adjust("1 millis"), 200)
      expect(textOf((yield* Fiber.join(fiber)).seen)).toBe("faster")
      expect(counts.requests).toBe(2)
    }))

  it.effect("a stream that has begun is not hedged, and one that breaks is not replaced", () =>
    Effect.gen(function*() {
      const { counts, stream } = yield* strong(hedged, [start, text("a"), wait(50), fail()], [
        start,
        text("b"),
        finish()
      ])
      const { end, seen } = yield* played(stream)
      expect(end).toMatchObject({ left: { _tag: "ServerError" } })
      expect([textOf(seen), counts.requests]).toEqual(["a", 1])
    }))
})

describe("peek", () => {
  it.effect("an error right behind the first content is invisible, too", () =>
    Effect.gen(function*() {
      const { counts, stream } = yield* strong(
        { stream: { peek: "20 millis" }, retry: atOnce },
        [start, text("a"), wait(19), fail()],
        [start, text("b"), wait(30), text("c"), finish()]
      )
      const { end, seen } = yield* played(stream)
      expect(end._tag).toBe("Right")
      expect(tags(seen)).toEqual(["Start", "TextDelta", "TextDelta", "Finish"])
      expect([textOf(seen), counts.requests]).toEqual(["bc", 2])
    }))

  it.effect("what came is shown when the time is up, also while nothing more comes", () =>
    Effect.gen(function*() {
      const { stream } = yield* strong({ stream: { peek: "20 millis" } }, [start, text("a"), text("b"), hang])
      const scope = yield* Scope.make()
      const pull = yield* Scope.extend(Stream.toPull(stream), scope)
      const fiber = yield* Effect.fork(pull)
      yield* TestClock.adjust("19 millis")
      expect(fiber.unsafePoll()).toBe(null)
      yield* TestClock.adjust("1 millis")
      expect(textOf(Chunk.toReadonlyArray(yield* Fiber.join(fiber)))).toBe("ab")
      yield* Scope.close(scope, Exit.void)
    }))
})
