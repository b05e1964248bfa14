/** Scripted streams through a pipeline, and what came of them. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import type * as StreamPart from "../../src/model/StreamPart.ts"
import * as Pipeline from "../../src/policy/Pipeline.ts"
import * as ResilientStream from "../../src/resilience/ResilientStream.ts"
import { type Act, modelOf } from "./scriptedStream.ts"

export const request = { prompt: "hello" }
export const atOnce = { backoff: "immediate", attempts: 3 } as const

/** The parts that came, how it ended, and when, in milliseconds of the virtual clock. */
export const watched = <E>(stream: Stream.Stream<StreamPart.StreamPart, E>) =>
  Effect.gen(function*() {
    const seen: Array<StreamPart.StreamPart> = []
    const end = yield* Effect.either(Stream.runForEach(stream, (each) => Effect.sync(() => seen.push(each))))
    const clock = yield* Effect.clock
    return { seen, end, at: clock.unsafeCurrentTimeMillis() }
  })

/** The same while the clock goes on by itself, second by second or in the steps given. */
export const played = <E>(stream: Stream.Stream<StreamPart.StreamPart, E>, stepMillis = 1, steps = 200) =>
  Effect.gen(function*() {
    const fiber = yield* Effect.fork(watched(stream))
    yield* Effect.replicateEffect(TestClock.adjust(Duration.millis(stepMillis)), steps)
    return yield* Fiber.join(fiber)
  })

export const textOf = (parts: ReadonlyArray<StreamPart.StreamPart>): string =>
  parts.map((each) => each._tag === "TextDelta" ? each.text : "").join("")

export const tags = (parts: ReadonlyArray<StreamPart.StreamPart>): ReadonlyArray<string> =>
  parts.map(({ _tag }) => _tag)

export const strong = (options: Pipeline.Options, ...scripts: ReadonlyArray<ReadonlyArray<Act>>) =>
  Effect.map(Pipeline.make(options), (pipeline) => {
    const { counts, model } = modelOf(...scripts)
    return { stream: ResilientStream.strengthen(model, pipeline)(request), counts, pipeline }
  })
