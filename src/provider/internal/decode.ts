/**
 * Runs the decoder of a provider over the events of a stream. A decoder is a pure step, `(state, message) -> state, parts
 * or error`; JSON, ends, cuts and back-pressure are dealt with here, once for all.
 *
 * How a provider uses it:
 *
 *     export const decoder = (facts: Facts): decode.Decoder<State> => ({ facts, initial, step, end })
 *     export const decodeStream = (options) => (bytes) => decode.bytes(decoder({ provider, ...options }))(bytes)
 *     // in a test of a fixture with one payload per line:
 *     decode.run(decoder(facts))(sse.lines(facts)(bytes))
 */
import * as Channel from "effect/Channel"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as ModelError from "../../error/ModelError.ts"
import { type CauseInfo, describeCause } from "../../internal/redact.ts"
import type { StreamPart } from "../../model/StreamPart.ts"
import * as ProviderError from "../ProviderError.ts"
import * as sse from "./sse.ts"

export type { Facts } from "./sse.ts"

/** One event with its data parsed. `[DONE]`, empty data and errors never reach a decoder. */
export interface Message {
  /** The event's name, where the server gives one. */
  readonly event: string | undefined
  readonly json: unknown
  /** The data as it was sent, for errors that quote it. */
  readonly text: string
  /** JSON outside any event, which is not an error: a whole reply at best. */
  readonly raw: boolean
}

/** What a message leads to. `parts` are sent on in any case, also before an error. */
export interface Step<S> {
  readonly state: S
  readonly parts: ReadonlyArray<StreamPart>
  /** Ends the stream with this error. */
  readonly error?: ModelError.ModelError | undefined
  /** The reply is over and `parts` hold its `Finish`: nothing more is read, `end` is not called. */
  readonly done?: boolean | undefined
}

/** How the bytes ended: by `[DONE]`, by their end, or by a failure of the transport. */
export type Ending = "done" | "end" | "failure"

/** A provider's reading of its stream. */
export interface Decoder<S> {
  readonly facts: sse.Facts
  readonly initial: S
  /** Pure, and never throws: a message of the wrong shape is a step with `malformed(...)` as its error. */
  readonly step: (state: S, message: Message) => Step<S>
  /**
   * What is left to send when no more messages come: the last parts with `Finish`, or an error, or nothing where the
   * stream gave no sign of its end. Then the run fails: with `Truncated` and the text so far, or as the transport failed.
   */
  readonly end: (state: S, ending: Ending) => ReadonlyArray<StreamPart> | ModelError.ModelError | undefined
}

/** The error for a message that breaks the wire contract. */
export const malformed = (
  facts: sse.Facts,
  message: { readonly text: string },
  reason: string
): ModelError.ModelError => new ModelError.MalformedResponse({ ...sse.factsOf(facts), body: message.text, reason })

/** As much of the text as an error quotes; the rest need not be kept. */
const keptText = 8_192

const withText = (received: string, parts: ReadonlyArray<StreamPart>): string => {
  let text = received
  for (const part of parts) {
    if (text.length >= keptText) return text
    if (part._tag === "TextDelta") text += part.text
    if (part._tag === "ToolArgumentsDelta") text += part.delta
    if (part._tag === "Reset") text = ""
  }
  return text
}

const truncated = (facts: sse.Facts, received: string, cause: CauseInfo): ModelError.ModelError =>
  new ModelError.Truncated({ ...sse.factsOf(facts), received, cause })

const noEnd: CauseInfo = { name: "MissingEnd", message: "the stream ended without its terminal event" }

/** The transport knows that the reply was cut; what had come is known here. */
const completed = <E>(facts: sse.Facts, received: string, error: E): E | ModelError.ModelError =>
  error instanceof ModelError.Truncated && error.received === ""
    ? truncated(
      { ...facts, requestId: error.requestId ?? facts.requestId, status: error.status ?? facts.status },
      received,
      error.cause ?? noEnd
    )
    : error

type Parsed = { readonly message: Message } | { readonly error: ModelError.ModelError } | "done" | "skip"

const parse = (facts: sse.Facts, event: sse.SseEvent): Parsed => {
  const { data } = event
  if (data === "" || data.trim() === "") return "skip"
  if (data === "[DONE]" || data.trim() === "[DONE]") return "done"
  let json: unknown
  try {
    json = JSON.parse(data)
  } catch (cause) {
    // What the end of the bytes cut off is not wrong, only short: the end of the stream is judged instead.
    return event.unfinished === true ? "skip" : {
      error: new ModelError.MalformedResponse({
        ...sse.factsOf(facts),
        body: data,
        reason: "an event of the stream is not JSON",
        cause: describeCause(cause)
      })
    }
  }
  const error = ProviderError.fromStreamEvent({
    provider: facts.provider,
    model: facts.model,
    event: json,
    name: event.event,
    headers: facts.headers
  })
  if (Option.isSome(error)) return { error: error.value }
  return { message: { event: event.event, json, text: data, raw: event.raw === true } }
}

/**
 * How long the end of the bytes is waited for when the reply is over: a body that was read to its end leaves the
 * connection fit for the next request. A server that never ends it is left.
 */
const linger = "100 millis"

/** What some events lead to: parts to send, and then more, the end, or an error. */
interface Turn<S, E> {
  readonly state: S
  readonly received: string
  readonly parts: ReadonlyArray<StreamPart>
  readonly then: "more" | "over" | { readonly error: E }
}

/** How the chunks of a stream become events: those of bytes are framed first. */
interface Source<X> {
  readonly read: (chunk: Chunk.Chunk<X>) => sse.Batch
  readonly end: () => sse.Batch
}

/** No more events will come. */
const finish = <S, E>(
  decoder: Decoder<S>,
  from: Turn<S, E>,
  ending: Ending,
  otherwise: () => E
): Turn<S, E | ModelError.ModelError> => {
  if (from.then !== "more") return from
  const left = decoder.end(from.state, ending)
  if (left === undefined) return { ...from, then: { error: otherwise() } }
  return ModelError.isModelError(left)
    ? { ...from, then: { error: left } }
    : { ...from, parts: [...from.parts, ...left], then: "over" }
}

/** Goes through the events that have come. */
const advance = <S>(
  decoder: Decoder<S>,
  before: S,
  text: string,
  { error, events }: sse.Batch
): Turn<S, ModelError.ModelError> => {
  const { facts } = decoder
  let state = before
  let received = text
  const parts: Array<StreamPart> = []
  for (const event of events) {
    const parsed = parse(facts, event)
    if (parsed === "skip") continue
    if (parsed === "done") {
      return finish(decoder, { state, received, parts, then: "more" }, "done", () => truncated(facts, received, noEnd))
    }
    if ("error" in parsed) return { state, received, parts, then: parsed }
    const step = decoder.step(state, parsed.message)
    state = step.state
    received = withText(received, step.parts)
    for (const part of step.parts) parts.push(part)
    if (step.error !== undefined) return { state, received, parts, then: { error: step.error } }
    if (step.done === true) return { state, received, parts, then: "over" }
  }
  return { state, received, parts, then: error === undefined ? "more" : { error } }
}

const interpret =
  <S, X>(decoder: Decoder<S>, makeSource: () => Source<X>) =>
  <E, R>(input: Stream.Stream<X, E, R>): Stream.Stream<StreamPart, E | ModelError.ModelError, R> => {
    const { facts } = decoder
    type Failure = E | ModelError.ModelError
    type Out = Channel.Channel<Chunk.Chunk<StreamPart>, unknown, Failure, unknown, unknown, unknown, R>

    const out = (pull: Effect.Effect<Chunk.Chunk<X>, Option.Option<E>, R>): Out => {
      const source = makeSource()

      const drained: Out = Channel.fromEffect(
        Effect.forever(pull).pipe(Effect.ignore, Effect.timeoutOption(linger))
      )

      const from = (state: S, received: string): Out =>
        Channel.unwrap(Effect.match(pull, {
          onSuccess: (chunk) => send(advance(decoder, state, received, source.read(chunk))),
          onFailure: (failure) => {
            if (failure._tag === "None") {
              const last = advance(decoder, state, received, source.end())
              return send(finish(decoder, last, "end", () => truncated(facts, last.received, noEnd)))
            }
            // A reply that was over is not lost because its connection broke afterwards.
            const { value } = failure
            const last: Turn<S, Failure> = { state, received, parts: [], then: "more" }
            return send(finish(decoder, last, "failure", () => completed(facts, received, value)))
          }
        }))

      const send = ({ parts, received, state, then }: Turn<S, Failure>): Out => {
        const next = (): Out =>
          then === "more" ? from(state, received) : then === "over" ? drained : Channel.fail(then.error)
        return parts.length === 0 ? next() : Channel.flatMap(Channel.write(Chunk.unsafeFromArray([...parts])), next)
      }
      return from(decoder.initial, "")
    }

    return Stream.unwrapScoped(Effect.map(Stream.toPull(input), (pull) => Stream.fromChannel(out(pull))))
  }

const asItIs: Source<sse.SseEvent> = {
  read: (chunk) => ({ events: Chunk.toReadonlyArray(chunk) }),
  end: () => ({ events: [] })
}

/**
 * Turns events into the parts of a reply. Errors inside the stream are found here (`ProviderError.fromStreamEvent`), so a
 * decoder never sees them. Once the reply is over nothing more is read but the end of the bytes, for a moment.
 */
export const run = <S>(decoder: Decoder<S>) => interpret(decoder, () => asItIs)

/** The same from the bytes of server-sent events, in one go. */
export const bytes = <S>(
  decoder: Decoder<S>,
  options: { readonly maxEventBytes?: number | undefined } = {}
) => interpret(decoder, () => sse.reader({ ...decoder.facts, ...options }))
