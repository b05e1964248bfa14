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
import * as Either from "effect/Either"
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

/** The text that has come in one run. It is joined now and then: a chain of many short strings takes ten times its text. */
export class Received {
  private joined = ""
  private pieces: Array<string> = []
  private length = 0

  add(parts: ReadonlyArray<StreamPart>): void {
    for (const part of parts) {
      if (part._tag === "TextDelta") this.keep(part.text)
      else if (part._tag === "ToolArgumentsDelta") this.keep(part.delta)
      else if (part._tag === "Reset") this.forget()
    }
  }

  get text(): string {
    this.join()
    return this.joined
  }

  private keep(piece: string): void {
    if (this.length >= keptText) return
    this.length += piece.length
    this.pieces.push(piece)
    if (this.pieces.length === 64 || this.length >= keptText) this.join()
  }

  private join(): void {
    this.joined = [this.joined, ...this.pieces].join("")
    this.pieces = []
  }

  private forget(): void {
    this.joined = ""
    this.pieces = []
    this.length = 0
  }
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

type Parsed = Message | { readonly error: ModelError.ModelError } | "done" | "skip"

const brace = 0x7b

const parse = (facts: sse.Facts, event: sse.SseEvent): Parsed => {
  const { data } = event
  // Nearly all data is an object, and that is neither blank nor the end.
  if (data.charCodeAt(0) !== brace) {
    const trimmed = data.trim()
    if (trimmed === "") return "skip"
    if (trimmed === "[DONE]") return "done"
  }
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
  return Option.isSome(error)
    ? { error: error.value }
    : { event: event.event, json, text: data, raw: event.raw === true }
}

/**
 * How long the end of the bytes is waited for when the reply is over: a body that was read to its end leaves the
 * connection fit for the next request. A server that never ends it is left.
 */
const linger = "100 millis"

/** What some events lead to: parts to send, and then more, the end, or an error. */
export interface Turn<S, E> {
  readonly state: S
  readonly parts: Array<StreamPart>
  readonly then: "more" | "over" | { readonly error: E }
}

/** How the chunks of a stream become events: those of bytes are framed first. */
interface Source<X> {
  readonly read: (chunk: Chunk.Chunk<X>) => sse.Batch
  readonly end: () => sse.Batch
}

/** No more events will come. Pure, so that every cut of a stream can be judged. */
export const finish = <S, E>(
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

/** Goes through the events that have come; what it reads of the text is added to `received`. */
export const advance = <S>(
  decoder: Decoder<S>,
  before: S,
  received: Received,
  { error, events }: sse.Batch
): Turn<S, ModelError.ModelError> => {
  const { facts } = decoder
  let state = before
  const parts: Array<StreamPart> = []
  for (const event of events) {
    const parsed = parse(facts, event)
    if (parsed === "skip") continue
    if (parsed === "done") {
      return finish(decoder, { state, parts, then: "more" }, "done", () => truncated(facts, received.text, noEnd))
    }
    if ("error" in parsed) return { state, parts, then: parsed }
    const step = decoder.step(state, parsed)
    state = step.state
    received.add(step.parts)
    for (const part of step.parts) parts.push(part)
    if (step.error !== undefined) return { state, parts, then: { error: step.error } }
    if (step.done === true) return { state, parts, then: "over" }
  }
  return { state, parts, then: error === undefined ? "more" : { error } }
}

const interpret =
  <S, X>(decoder: Decoder<S>, makeSource: () => Source<X>) =>
  <E, R>(input: Stream.Stream<X, E, R>): Stream.Stream<StreamPart, E | ModelError.ModelError, R> => {
    const { facts } = decoder
    type Failure = E | ModelError.ModelError
    type Out = Channel.Channel<Chunk.Chunk<StreamPart>, unknown, Failure, unknown, unknown, unknown, R>

    const out = (pull: Effect.Effect<Chunk.Chunk<X>, Option.Option<E>, R>): Out => {
      const source = makeSource()
      let state = decoder.initial
      const received = new Received()

      const drained: Out = Channel.fromEffect(
        Effect.forever(pull).pipe(Effect.ignore, Effect.timeoutOption(linger))
      )

      /** Sends the parts; what then is over, is over without more events. */
      const send = ({ parts, then }: Turn<S, Failure>, more: () => Out): Out => {
        const next = then === "more" ? more : () => then === "over" ? drained : Channel.fail(then.error)
        return parts.length === 0 ? next() : Channel.flatMap(Channel.write(Chunk.unsafeFromArray(parts)), next)
      }

      const pulled = Channel.fromEffect(Effect.either(pull))

      const loop = (): Out => Channel.flatMap(pulled, onPulled)

      const onPulled = (result: Either.Either<Chunk.Chunk<X>, Option.Option<E>>): Out => {
        if (Either.isRight(result)) {
          const turn = advance(decoder, state, received, source.read(result.right))
          state = turn.state
          return send(turn, loop)
        }
        if (Option.isNone(result.left)) {
          const last = advance(decoder, state, received, source.end())
          return send(finish(decoder, last, "end", () => truncated(facts, received.text, noEnd)), () => Channel.void)
        }
        // A reply that was over is not lost because its connection broke afterwards.
        const { value } = result.left
        const last: Turn<S, Failure> = { state, parts: [], then: "more" }
        return send(
          finish(decoder, last, "failure", () => completed(facts, received.text, value)),
          () => Channel.void
        )
      }
      return loop()
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
