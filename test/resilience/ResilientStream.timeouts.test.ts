/** The time-outs of a stream, each to the millisecond of a virtual clock. */
import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import * as StreamPart from "../../src/model/StreamPart.ts"
import { type Act, fail, finish, hang, part, ping, start, text, wait } from "./scriptedStream.ts"
import { atOnce, played, strong, tags, textOf, watched } from "./strongStream.ts"

describe("time-outs by phase", () => {
  const limits = { firstContent: "100 millis", idle: "50 millis", total: "1 second" } as const

  it.effect("the first content: not one millisecond late, and empty deltas are none", () =>
    Effect.gen(function*() {
      const late = yield* strong({ stream: limits }, [start, wait(40), text(""), hang])
      const { at, end } = yield* played(late.stream)
      expect(end).toMatchObject({ left: { _tag: "TimedOut", phase: "firstContent", limit: Duration.millis(100) } })
      expect(at).toBe(100)
      const { stream } = yield* strong({ stream: limits }, [start, wait(99), text("a"), finish()])
      expect((yield* played(stream)).end._tag).toBe("Right")
    }))

  it.effect("between contents: thoughts are content, pings are not", () =>
    Effect.gen(function*() {
      const thought = part(StreamPart.reasoningDelta("hm"))
      const { stream } = yield* strong(
        { stream: limits },
        [start, text("a"), wait(49), thought, wait(49), text("b"), wait(20), ping, wait(20), ping, hang]
      )
      const { at, end, seen } = yield* played(stream)
      expect(textOf(seen)).toBe("ab")
      expect(end).toMatchObject({ left: { _tag: "StreamBroken", error: { _tag: "TimedOut", phase: "idle" } } })
      expect(at).toBe(98 + 50)
    }))

  it.effect("any bytes: pings and comments keep a stream alive", () =>
    Effect.gen(function*() {
      const { stream } = yield* strong(
        { stream: { liveness: "30 millis", idle: "1 minute" } },
        [start, text("a"), wait(29), ping, wait(29), ping, wait(29), text("b"), wait(29), ping, hang]
      )
      const { at, end, seen } = yield* played(stream)
      expect(textOf(seen)).toBe("ab")
      expect(end).toMatchObject({ left: { _tag: "StreamBroken", error: { _tag: "TimedOut", phase: "liveness" } } })
      expect(at).toBe(29 * 4 + 30)
    }))

  it.effect("all of it", () =>
    Effect.gen(function*() {
      const steady: ReadonlyArray<Act> = [start, ...Array.from({ length: 40 }, () => [text("a"), wait(30)]).flat()]
      const { stream } = yield* strong({ stream: limits }, steady)
      const { at, end } = yield* played(stream, 1, 1_200)
      expect(end).toMatchObject({ left: { _tag: "StreamBroken", error: { _tag: "TimedOut", phase: "total" } } })
      expect(at).toBe(1_000)
    }))

  it.effect("the attempt time-out counts to the first content", () =>
    Effect.gen(function*() {
      const { stream } = yield* strong({ attemptTimeout: "1 second" }, [start, text("a"), wait(5_000), finish()])
      expect((yield* played(stream, 1_000, 6)).end._tag).toBe("Right")
      const late = yield* strong({ attemptTimeout: "1 second" }, [start, hang])
      expect(yield* played(late.stream, 1_000, 6)).toMatchObject({
        end: { left: { _tag: "TimedOut", phase: "attempt" } },
        at: 7_000
      })
    }))

  it.effect("a slow consumer never times out, and the time it did not ask is added to every limit", () =>
    Effect.gen(function*() {
      const { stream } = yield* strong(
        { stream: { ...limits, liveness: "40 millis" } },
        [start, text("a"), wait(10), text("b"), wait(10), text("c"), hang]
      )
      const slow = Stream.tap(stream, (each) => each._tag === "TextDelta" ? Effect.sleep("10 minutes") : Effect.void)
      const fiber = yield* Effect.fork(watched(slow))
      yield* TestClock.adjust("30 minutes")
      yield* TestClock.adjust("39 millis")
      expect(fiber.unsafePoll()).toBe(null)
      yield* TestClock.adjust("1 millis")
      const { end, seen } = yield* Fiber.join(fiber)
      expect(textOf(seen)).toBe("abc")
      expect(end).toMatchObject({ left: { _tag: "StreamBroken", error: { phase: "liveness" } } })
    }))

  describe("where nothing limits the first content, who has text waits no longer than idle for the next attempt", () => {
    const policy = { idle: "50 millis", onBreak: "restart" } as const
    const stalls = [[start, text("a"), fail()], [start, hang], [start, wait(49), text("b"), finish()]] as const
    const cases = [
      { what: "a stalled attempt is timed out", policy, scripts: stalls, requests: 3, at: 50 + 49 },
      {
        what: "a limit of its own holds alone",
        policy: { ...policy, firstContent: "80 millis" } as const,
        scripts: stalls,
        requests: 3,
        at: 80 + 49
      },
      {
        what: "the first attempt may take its time",
        policy,
        scripts: [[start, wait(150), text("a"), finish()]],
        requests: 1,
        at: 150
      }
    ]
    for (const { at, policy, requests, scripts, what } of cases) {
      it.effect(what, () =>
        Effect.gen(function*() {
          const { counts, stream } = yield* strong({ stream: policy, retry: atOnce }, ...scripts)
          expect(yield* played(stream)).toMatchObject({ end: { _tag: "Right" }, at })
          expect(counts.requests).toBe(requests)
        }))
    }
  })

  it.effect("before the first content a time-out is retried without a trace", () =>
    Effect.gen(function*() {
      const { counts, stream } = yield* strong(
        { stream: limits, retry: atOnce },
        [start, hang],
        [start, text("a"), finish()]
      )
      const { seen } = yield* played(stream)
      expect(tags(seen)).toEqual(["Start", "TextDelta", "Finish"])
      expect(counts.requests).toBe(2)
    }))
})
