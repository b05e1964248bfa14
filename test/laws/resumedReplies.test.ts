/** What a server may send of a reply that is gone on with: anything at all, and none of it is a defect. */
import { describe, expect, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import { isRecord } from "../../src/internal/record.ts"
import * as numbered from "../../src/provider/openAiResponses/numbered.ts"
import { rest } from "../../src/provider/openAiResponses/rest.ts"
import { initial, type State } from "../../src/provider/openAiResponses/state.ts"
import * as responsesStream from "../../src/provider/openAiResponses/stream.ts"
import { story } from "../provider/fakeBackground.ts"
import { call, message, response } from "../provider/fakeOpenAiResponses.ts"
import { runs } from "../runs.ts"

const inner = responsesStream.decoder({ provider: "hostile", model: "asked" }, "one")

/** The same with some of its values replaced by others, at any depth. */
const spoiled = (value: unknown): FastCheck.Arbitrary<unknown> => {
  const others = FastCheck.oneof({ weight: 1, arbitrary: FastCheck.jsonValue({ maxDepth: 2 }) }, {
    weight: 12,
    arbitrary: FastCheck.constant(undefined)
  })
  const within = Array.isArray(value)
    ? FastCheck.tuple(...value.map(spoiled))
    : isRecord(value)
    ? FastCheck.record(Object.fromEntries(Object.entries(value).map(([name, each]) => [name, spoiled(each)])))
    : FastCheck.constant(value)
  return FastCheck.tuple(others, within).map(([other, same]) => other === undefined ? same : other)
}

const anyEvent = FastCheck.oneof(
  ...story.map(spoiled),
  FastCheck.jsonValue(),
  spoiled({ type: "response.output_item.done", sequence_number: 3, output_index: 0, item: call() })
)

const read = (events: ReadonlyArray<unknown>, isResumed: boolean): numbered.State<State> => {
  const decoder = numbered.decoder(inner, numbered.initial(initial), isResumed)
  let state = decoder.initial
  for (const json of events) {
    const step = decoder.step(state, { event: undefined, json, text: JSON.stringify(json), raw: false })
    state = step.state
    expect(step.state.last).toBeGreaterThanOrEqual(-1)
    if (step.error !== undefined) break
  }
  return state
}

describe("a reply that is gone on with", () => {
  it("is read whatever its events are, with a state that only goes forward", () =>
    FastCheck.assert(
      FastCheck.property(FastCheck.array(anyEvent, { maxLength: 12 }), FastCheck.boolean(), (events, isResumed) => {
        read(events, isResumed)
      }),
      { numRuns: runs(500, 5_000) }
    ))

  it("is completed from whatever the whole reply is, or does not fit it", () =>
    FastCheck.assert(
      FastCheck.property(
        FastCheck.integer({ min: 0, max: story.length - 1 }),
        spoiled(response([message("Hello world, again."), call()])),
        (count, whole) => {
          const state = read(story.slice(0, count), false)
          const reply = isRecord(whole) ? whole : {}
          const left = rest(inner, state, reply, JSON.stringify(reply))
          expect(Either.isEither(left)).toBe(true)
        }
      ),
      { numRuns: runs(500, 5_000) }
    ))

  it("takes the same text for the same and another for another, however it is cut into deltas", () =>
    FastCheck.assert(
      FastCheck.property(
        FastCheck.array(FastCheck.string({ minLength: 1 }), { minLength: 1, maxLength: 6 }),
        FastCheck.string({ minLength: 1 }),
        FastCheck.nat(),
        (pieces, more, at) => {
          const events = pieces.map((delta, index) => ({
            type: "response.output_text.delta",
            sequence_number: index,
            output_index: 0,
            content_index: 0,
            delta
          }))
          const state = read(events, false)
          const text = pieces.join("")
          const completed = (whole: string) => {
            const reply = response([message(whole)])
            return rest(inner, state, { ...reply }, JSON.stringify(reply))
          }
          const left = completed(text + more)
          const told = Either.isRight(left)
            ? left.right.parts.map((part) => part._tag === "TextDelta" ? part.text : "").join("")
            : undefined
          expect(told).toBe(more)
          const place = at % text.length
          const other = `${text.slice(0, place)}${text[place] === "a" ? "b" : "a"}${text.slice(place + 1)}`
          expect(Either.isLeft(completed(other + more))).toBe(true)
          expect(Either.isLeft(completed(text.slice(0, -1)))).toBe(true)
        }
      ),
      { numRuns: runs(300, 3_000) }
    ))
})
