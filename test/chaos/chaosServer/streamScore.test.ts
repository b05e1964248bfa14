import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { fragments, pieces } from "../../../src/chaos/chaosServer/openAiChat/protocol.ts"
import type { Step } from "../../../src/chaos/chaosServer/outcome.ts"
import type { Frame } from "../../../src/chaos/chaosServer/protocol.ts"
import { applies, type Mishap, score } from "../../../src/chaos/chaosServer/streamScore.ts"
import * as StreamFault from "../../../src/chaos/StreamFault.ts"
import { draw } from "../../../src/internal/seeded.ts"

const of = (kind: Frame["kind"], count: number): ReadonlyArray<Frame> =>
  Array.from({ length: count }, (_, n) => ({ kind, text: `${kind} ${n}\n\n` }))

const anyFrames = FastCheck.tuple(
  FastCheck.integer({ min: 0, max: 2 }),
  FastCheck.integer({ min: 0, max: 9 }),
  FastCheck.integer({ min: 1, max: 2 }),
  FastCheck.integer({ min: 0, max: 2 })
).map(([start, content, finish, end]) => [
  ...of("start", start),
  ...of("content", content),
  ...of("finish", finish),
  ...of("end", end)
])
const anySeed = FastCheck.integer()

const play = (frames: ReadonlyArray<Frame>, fault: Mishap | undefined, delay = 0, seed = 1): ReadonlyArray<Step> =>
  score(
    { frames, delay, errorFrame: ({ kind }) => `error ${kind}\n\n`, brokenFrame: () => "broken\n\n" },
    fault,
    draw(seed)
  )

const written = (steps: ReadonlyArray<Step>): string =>
  steps.map((step) => step._tag === "Write" ? step.text : "").join("")
const textOf = (frames: ReadonlyArray<Frame>): string => frames.map(({ text }) => text).join("")
const waits = (steps: ReadonlyArray<Step>) => steps.flatMap((step) => step._tag === "Wait" ? [step.millis] : [])

describe("the moves of a stream", () => {
  it("write every frame in order, and end cleanly, under what does no harm", () =>
    FastCheck.assert(
      FastCheck.property(
        anyFrames,
        FastCheck.constantFrom(
          undefined,
          StreamFault.slowTokens("5 millis"),
          StreamFault.byteChunks,
          StreamFault.stallBeforeFirstToken("1 second"),
          StreamFault.stallMidStream("1 second")
        ),
        (frames, fault) => {
          const steps = play(frames, fault)
          expect(written(steps)).toBe(textOf(frames))
          expect(steps.at(-1)).toEqual({ _tag: "Close", how: "clean" })
        }
      ),
      { numRuns: 500 }
    ))

  it("never write the end of the reply under what breaks it off", () =>
    FastCheck.assert(
      FastCheck.property(
        anyFrames,
        FastCheck.constantFrom(
          StreamFault.cut("clean"),
          StreamFault.cut("reset"),
          { _tag: "ResetDuringBody" } as const,
          StreamFault.missingTerminal
        ),
        anySeed,
        (frames, fault, seed) => {
          const steps = play(frames, fault, 0, seed)
          expect(written(steps)).not.toMatch(/finish \d\n\n|end/)
          expect(textOf(frames).startsWith(written(steps))).toBe(true)
          expect(steps.at(-1)).toEqual({
            _tag: "Close",
            how: fault._tag === "ResetDuringBody" || (fault._tag === "CutStream" && fault.close === "reset")
              ? "reset"
              : "clean"
          })
        }
      ),
      { numRuns: 500 }
    ))

  const frames = [...of("start", 1), ...of("content", 4), ...of("finish", 1), ...of("end", 1)]

  it("cut between two frames and inside one, and give the client time to read before a reset", () => {
    const ends = Array.from({ length: 40 }, (_, seed) => written(play(frames, StreamFault.cut("reset"), 0, seed)))
    expect(new Set(ends)).toEqual(
      new Set(["start 0\n\ncontent 0\n\ncontent 1\n\n", "start 0\n\ncontent 0\n\ncontent 1\n\nconten"])
    )
    expect(waits(play(frames, StreamFault.cut("reset")))).toEqual([15])
  })

  it("say an error first, or in the middle, and nothing after it", () => {
    expect(written(play(frames, StreamFault.error({ when: "first", kind: "server" })))).toBe("error server\n\n")
    expect(written(play(frames, StreamFault.error()))).toBe("start 0\n\ncontent 0\n\ncontent 1\n\nerror overloaded\n\n")
  })

  it("put a broken frame in the place of a right one, and go on", () => {
    expect(written(play(frames, StreamFault.malformedChunk))).toBe(
      "start 0\n\ncontent 0\n\nbroken\n\ncontent 2\n\ncontent 3\n\nfinish 0\n\nend 0\n\n"
    )
    expect(written(play(of("finish", 1), StreamFault.malformedChunk))).toBe("broken\n\nfinish 0\n\n")
  })

  it("begin twice where there is a beginning", () => {
    expect(written(play(frames, StreamFault.duplicatedStart))).toBe(`start 0\n\n${textOf(frames)}`)
    expect(applies(StreamFault.duplicatedStart, frames, undefined)).toBe(true)
    expect(applies(StreamFault.duplicatedStart, frames, "array")).toBe(false)
    expect(applies(StreamFault.duplicatedStart, of("content", 2), undefined)).toBe(false)
  })

  it("pause between pieces of content only, by the longer of the two delays", () => {
    expect(waits(play(frames, undefined, 3))).toEqual([3, 3, 3])
    expect(waits(play(frames, StreamFault.slowTokens("5 millis"), 3))).toEqual([5, 5, 5])
    expect(waits(play(frames, StreamFault.slowTokens("5 millis"), 9))).toEqual([9, 9, 9])
    expect(waits(play(frames, StreamFault.stallMidStream()))).toEqual([undefined])
    expect(waits(play(frames, StreamFault.stallBeforeFirstToken("2 seconds"), 3))).toEqual([2_000, 3, 3, 3])
  })
})

describe("the pieces of a chat stream", () => {
  it("are the text when they are put together, and no character is torn", () =>
    FastCheck.assert(
      FastCheck.property(FastCheck.string({ unit: "grapheme", maxLength: 200 }), (text) => {
        expect(pieces(text).join("")).toBe(text)
        expect(fragments(text).join("")).toBe(text)
        for (const piece of [...pieces(text), ...fragments(text)]) {
          expect(new TextDecoder().decode(new TextEncoder().encode(piece))).toBe(piece)
        }
      }),
      { numRuns: 500 }
    ))
})
