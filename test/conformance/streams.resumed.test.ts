/**
 * The recorded streams of the Responses API as background responses: broken behind each event, and gone on with by the events
 * that follow, by all events again, or by the whole reply. Each way gives the parts of the unbroken stream, each once.
 *
 * Left out are recordings that hold several replies, that end without one, whose events have no numbers, or each another id of
 * the reply (GitHub Copilot), which cannot be asked about.
 */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { isRecord } from "../../src/internal/record.ts"
import * as StreamPart from "../../src/model/StreamPart.ts"
import * as numbered from "../../src/provider/openAiResponses/numbered.ts"
import { rest } from "../../src/provider/openAiResponses/rest.ts"
import { initial, type State } from "../../src/provider/openAiResponses/state.ts"
import * as responsesStream from "../../src/provider/openAiResponses/stream.ts"
import type * as decode from "../../src/provider/shared/decode.ts"
import { runs } from "../runs.ts"

const folder = join(process.env["FIXTURES"] ?? "../shared/fixtures", "streams")

const Event = Schema.parseJson(Schema.Struct({ type: Schema.String, sequence_number: Schema.Int }))
const Terminal = Schema.parseJson(
  Schema.Struct({ type: Schema.Literal("response.completed", "response.incomplete"), response: Schema.Object })
)
const Whole = Schema.Struct({ output: Schema.NonEmptyArray(Schema.Unknown) })

/** The payloads of a recording. */
const payloadsOf = (file: string): ReadonlyArray<string> =>
  readFileSync(join(folder, file), "utf8").split(/\r?\n/).flatMap((line) => {
    const payload = line.replace(/^data: ?/, "")
    return payload.startsWith("{") ? [payload] : []
  })

const isOneReply = (payloads: ReadonlyArray<string>): boolean =>
  payloads.length > 0 && payloads.every((payload, at) =>
    Option.exists(Schema.decodeUnknownOption(Event)(payload), ({ sequence_number }) =>
      sequence_number === at)
  ) && payloads.findIndex((payload) => Option.isSome(Schema.decodeUnknownOption(Terminal)(payload))) ===
    payloads.length - 1

const files = existsSync(folder)
  ? readdirSync(folder).filter((file) => /openai|azure|xai/.test(file) && !/github-copilot/.test(file))
  : []

const recordings = files.map((file) => ({ file, payloads: payloadsOf(file) })).filter(({ payloads }) =>
  isOneReply(payloads)
)

const inner = responsesStream.decoder({ provider: "recorded", model: "asked" }, "one")

type Numbered = numbered.State<State>

const messageOf = (payload: string): decode.Message => ({
  event: undefined,
  json: JSON.parse(payload),
  text: payload,
  raw: false
})

/** The state before each event, and after the last; and all parts. */
const read = (payloads: ReadonlyArray<string>, from: Numbered, isResumed: boolean) => {
  const decoder = numbered.decoder(inner, from, isResumed)
  const states: Array<Numbered> = [from]
  const counts: Array<number> = [0]
  const parts: Array<StreamPart.StreamPart> = []
  let state = from
  for (const payload of payloads) {
    const step = decoder.step(state, messageOf(payload))
    if (step.error !== undefined) throw step.error
    state = step.state
    parts.push(...step.parts)
    states.push(state)
    counts.push(parts.length)
  }
  return { states, counts, parts }
}

/**
 * What a reply says. What the server encrypts is encrypted anew within the whole reply, and items of its own that are worked on
 * side by side are delivered as they are done, not as they stand there.
 */
const collected = (parts: ReadonlyArray<StreamPart.StreamPart>) => {
  const { finishReason, parts: said, usage } = Effect.runSync(StreamPart.collect(Stream.fromIterable(parts)))
  return {
    said: said.flatMap((part) =>
      part._tag === "ProviderPart"
        ? []
        : [{ ...part, providerMetadata: part.providerMetadata === undefined ? "absent" : "present" }]
    ),
    own: said.flatMap((part) => part._tag === "ProviderPart" ? [part.kind] : []).sort(),
    finishReason,
    usage
  }
}

/** Its deltas and its whole reply were written by hand, and are two texts. */
const isTwoTexts = (file: string): boolean => file.includes("openai-shell-container")

/** Some places of a recording, its first and its last among them. */
const cutsOf = (payloads: ReadonlyArray<string>): ReadonlyArray<number> => {
  const step = Math.max(1, Math.floor(payloads.length / runs(10, 60)))
  return payloads.flatMap((_, at) => at % step === 0 || at === payloads.length - 1 ? [at] : [])
}

describe("a recorded stream that broke behind any event", () => {
  it.skipIf(files.length === 0)(
    "is tried with many recordings",
    () => expect(recordings.length).toBeGreaterThanOrEqual(20)
  )

  it.each(recordings)("is gone on with by its events: $file", ({ payloads }) => {
    const whole = read(payloads, numbered.initial(initial), false)
    for (const at of cutsOf(payloads)) {
      const state = whole.states[at]
      if (state === undefined) throw new Error(`no state before event ${at}`)
      const before = whole.parts.slice(0, whole.counts[at])
      for (const following of [payloads.slice(at), payloads]) {
        expect([...before, ...read(following, state, true).parts]).toEqual(whole.parts)
      }
    }
  })

  it.each(recordings.filter(({ file }) => !isTwoTexts(file)))(
    "is gone on with by the whole reply: $file",
    ({ payloads }) => {
      const { counts, parts, states } = read(payloads, numbered.initial(initial), false)
      const last: unknown = JSON.parse(payloads.at(-1) ?? "")
      const response = isRecord(last) ? last["response"] : undefined
      // A recording whose end was written without the output, as some servers send it.
      if (!isRecord(response) || !Schema.is(Whole)(response)) return
      const expected = collected(parts)
      const text = JSON.stringify(response)
      for (const at of cutsOf(payloads)) {
        const state = states[at]
        if (state === undefined) throw new Error(`no state before event ${at}`)
        const left = Either.getOrThrowWith(
          rest(inner, state, response, text),
          (misfit) => new Error(`behind ${at} events: ${misfit}`)
        )
        expect(left.error).toBeUndefined()
        expect(collected([...parts.slice(0, counts[at]), ...left.parts])).toEqual(expected)
      }
    }
  )
})
