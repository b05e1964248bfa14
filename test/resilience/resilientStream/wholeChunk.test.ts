/** A reply that comes in one chunk behind one that broke: nothing of it is lost where its `Finish` tells the usage of all. */
import { describe, expect, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as ModelError from "../../../src/error/ModelError.ts"
import * as LanguageModel from "../../../src/model/LanguageModel.ts"
import * as StreamPart from "../../../src/model/StreamPart.ts"
import * as Pipeline from "../../../src/policy/Pipeline.ts"
import * as ResilientStream from "../../../src/resilience/ResilientStream.ts"
import { usage } from "../scriptedStream.ts"

const whole = [
  StreamPart.start({ model: "m" }),
  StreamPart.textDelta("one "),
  StreamPart.textDelta("two "),
  StreamPart.textDelta("three"),
  StreamPart.finish({ reason: "stop", usage: usage(3) })
]

/** What stands behind the end of a reply is no part of it. */
const late = StreamPart.textDelta("late")

/** Every way of putting one chunk together from two. */
const chunksOf = (parts: ReadonlyArray<StreamPart.StreamPart>) => [
  Chunk.unsafeFromArray([...parts]),
  ...parts.slice(1).map((_, at) =>
    Chunk.appendAll(Chunk.unsafeFromArray(parts.slice(0, at + 1)), Chunk.unsafeFromArray(parts.slice(at + 1)))
  )
]

const cases = [...chunksOf(whole), ...chunksOf([...whole, late])]

describe("a whole reply in one chunk", () => {
  for (const [index, chunk] of cases.entries()) {
    it.effect(`is given whole behind a Reset: ${index + 1} of ${cases.length}`, () =>
      Effect.gen(function*() {
        let attempts = 0
        const model = LanguageModel.make({
          name: "m",
          provider: "scripted",
          generate: () => Effect.die("nobody asks for a whole reply"),
          stream: () =>
            Stream.suspend(() =>
              attempts++ === 0
                ? Stream.concat(
                  Stream.make(StreamPart.start(), StreamPart.textDelta("o")),
                  Stream.fail(new ModelError.Overloaded({ provider: "scripted" }))
                )
                : Stream.fromChunk(chunk)
            )
        })
        const pipeline = yield* Pipeline.make({
          stream: { onBreak: "restart" },
          retry: { backoff: "immediate", attempts: 2 }
        })
        const parts = Chunk.toReadonlyArray(
          yield* Stream.runCollect(ResilientStream.strengthen(model, pipeline)({ prompt: "Count." }))
        )
        const reset = parts.findIndex(({ _tag }) => _tag === "Reset")
        expect(parts.slice(reset + 1, -1)).toEqual(whole.slice(0, -1))
        expect(parts.at(-1)).toMatchObject({ _tag: "Finish", usage: usage(3), usageOfAll: usage(3) })
      }))
  }
})
