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
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import type * as Stream from "effect/Stream"
import * as ModelError from "../../error/ModelError.ts"
import { elapsedMillis } from "../../internal/elapsed.ts"
import { type CauseInfo, describeCause } from "../../internal/redact.ts"
import type { StreamPart } from "../../model/StreamPart.ts"
import { type Message, parse } from "./messages.ts"
import { fromStream, type Pull, toStream } from "./pull.ts"
import * as sse from "./sse.ts"

export type { Message } from "./messages.ts"
export type { Facts } from "./sse.ts"

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
  /** How near the reply is to its end, so that a server which never closes the stream is not waited for. */
  readonly closing: (state: S) => Closing
}

/** The reply goes on; it has a reason to finish and may still get its usage; it has all that a reply has. */
export type Closing = "open" | "ended" | "whole"

/** The error for a message that breaks the wire contract. */
export const malformed = (
  facts: sse.Facts,
  message: { readonly text: string },
  reason: string
): ModelError.ModelError => new ModelError.MalformedResponse({ ...sse.factsOf(facts), body: message.text, reason })

/** How much of one reply is read. */
export interface Limits {
  /** Text, thinking and arguments together, counted in UTF-16 units (never more than their bytes). Default: 16 MiB. */
  readonly maxBodyBytes: number
  /** The tool calls of one reply. Default: 256. */
  readonly maxToolCalls: number
}

export const defaults: Limits = { maxBodyBytes: 16 * 1024 * 1024, maxToolCalls: 256 }

/** As much of the text as an error quotes; the rest need not be kept. */
const keptText = 8_192

/**
 * What has come in one run: the start of its text, for errors, and its size. The text is joined now and then: a chain of
 * many short strings takes ten times its text.
 */
export class Received {
  private joined = ""
  private pieces: Array<string> = []
  private length = 0
  private size = 0
  private calls = 0
  private readonly limits: Limits

  constructor(limits: Limits = defaults) {
    this.limits = limits
  }

  /** Adds what came, and gives the limit that it breaks. */
  add(parts: ReadonlyArray<StreamPart>): string | undefined {
    for (const part of parts) {
      switch (part._tag) {
        case "TextDelta":
          this.keep(part.text)
          break
        case "ReasoningDelta":
          this.size += part.text.length
          break
        case "ToolArgumentsDelta":
          this.keep(part.delta)
          break
        case "ToolCall":
          this.calls = Math.max(this.calls, part.index + 1)
          break
        case "ToolCallStart":
          this.calls = Math.max(this.calls, part.index + 1)
          break
        case "Reset":
          this.forget()
          break
      }
    }
    return this.broken()
  }

  private broken(): string | undefined {
    const { maxBodyBytes, maxToolCalls } = this.limits
    if (this.calls > maxToolCalls) return tooManyCalls(maxToolCalls)
    return this.size > maxBodyBytes
      ? `the reply is larger than maxBodyBytes (${maxBodyBytes} bytes), so it was not read to its end`
      : undefined
  }

  get text(): string {
    this.join()
    return this.joined
  }

  private keep(piece: string): void {
    this.size += piece.length
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
    this.size = 0
    this.calls = 0
  }
}

export const tooManyCalls = (limit: number): string =>
  `the reply has more tool calls than maxToolCalls (${limit}) allows; raise maxToolCalls if a reply can have so many`

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

/**
 * How long the end of the bytes is waited for when the reply is over: a body that was read to its end leaves the
 * connection fit for the next request. A server that never ends it is left.
 */
const linger = "100 millis"

/**
 * How long a server may go on after the end of its reply, in milliseconds: with a reason to finish it may still send the
 * usage, with both only the end of the bytes is missing. Heartbeats do not prolong it.
 */
const grace = { ended: 2_000, whole: 500 } as const

/**
 * The most parts of one chunk. Effect's sinks call themselves for each element of a chunk: `Stream.runFold` overflows the
 * stack with 10 000 of them (measured in effect 3.22), and one event of a server may hold any number of parts.
 */
const largestChunk = 1_024

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

/** The error for what a decoder threw: a fault of its own, or a value that nobody foresaw. */
const unreadable = (facts: sse.Facts, cause: unknown): ModelError.ModelError =>
  new ModelError.MalformedResponse({
    ...sse.factsOf(facts),
    reason: "the stream cannot be read",
    cause: describeCause(cause)
  })

/** No more events will come. Pure, so that every cut of a stream can be judged. */
export const finish = <S, E>(
  decoder: Decoder<S>,
  from: Turn<S, E>,
  ending: Ending,
  otherwise: () => E
): Turn<S, E | ModelError.ModelError> => {
  if (from.then !== "more") return from
  let left: ReturnType<Decoder<S>["end"]>
  try {
    left = decoder.end(from.state, ending)
  } catch (cause) {
    left = unreadable(decoder.facts, cause)
  }
  if (left === undefined) return { ...from, then: { error: otherwise() } }
  return ModelError.isModelError(left)
    ? { ...from, then: { error: left } }
    : { ...from, parts: [...from.parts, ...left], then: "over" }
}

/**
 * Goes through the events that have come; what it reads of the text is added to `received`.
 *
 * Nothing that is thrown here gets out: a channel takes what the continuation of `Channel.flatMap` throws for its end
 * (measured in effect 3.22), so the stream would end as a success, with half a reply or none.
 */
export const advance = <S>(
  decoder: Decoder<S>,
  before: S,
  received: Received,
  { error, events }: sse.Batch
): Turn<S, ModelError.ModelError> => {
  const { facts } = decoder
  let state = before
  const parts: Array<StreamPart> = []
  try {
    for (const event of events) {
      for (const parsed of parse(facts, event)) {
        if (parsed === "done") {
          return finish(decoder, { state, parts, then: "more" }, "done", () => truncated(facts, received.text, noEnd))
        }
        if ("error" in parsed) return { state, parts, then: parsed }
        const step = decoder.step(state, parsed)
        state = step.state
        const broken = received.add(step.parts)
        if (broken !== undefined) return { state, parts, then: { error: tooLarge(facts, broken) } }
        for (const part of step.parts) parts.push(part)
        if (step.error !== undefined) return { state, parts, then: { error: step.error } }
        if (step.done === true) return { state, parts, then: "over" }
      }
    }
  } catch (cause) {
    return { state, parts, then: { error: unreadable(facts, cause) } }
  }
  return { state, parts, then: error === undefined ? "more" : { error } }
}

const tooLarge = (facts: sse.Facts, reason: string): ModelError.ModelError =>
  new ModelError.MalformedResponse({ ...sse.factsOf(facts), reason })

/** How a stream is read. */
export interface Options extends Partial<Limits> {
  readonly maxEventBytes?: number | undefined
  /** Called whenever bytes have come, whatever they say. */
  readonly onBytes?: (() => void) | undefined
}

/** Whom the bytes of a stream come from, and how much of it is read. */
export interface StreamOptions extends Partial<Limits> {
  readonly provider?: string | undefined
  readonly model?: string | undefined
}

const interpret =
  <S, X>(decoder: Decoder<S>, makeSource: () => Source<X>, limits: Limits, onBytes?: () => void) =>
  <E, R>(pull: Pull<X, E, R>): Pull<StreamPart, E | ModelError.ModelError, R> => {
    const { facts } = decoder
    type Failure = E | ModelError.ModelError
    type Pulled = ReturnType<Pull<StreamPart, Failure, R>>

    const source = makeSource()
    const received = new Received(limits)
    let state = decoder.initial
    // When the reply got its end, in milliseconds of the clock that only goes forward.
    let endedAt: number | undefined

    const ended: Pulled = Effect.succeed(Either.left(undefined))

    /** Reads the end of the bytes for a moment. */
    const drained: Pulled = Effect.suspend(pull).pipe(
      Effect.repeat({ while: Either.isRight }),
      Effect.ignore,
      Effect.timeoutOption(linger),
      Effect.zipRight(ended)
    )

    /** Sends the parts, if there are any. What then is over, is over without more events. */
    const send = ({ parts, state: after, then }: Turn<S, Failure>, over: Pulled): Pulled => {
      state = after
      next = then === "more" ? more() : then === "over" ? over : Effect.fail(then.error)
      return parts.length <= largestChunk
        ? parts.length === 0 ? next : Effect.succeed(Either.right(Chunk.unsafeFromArray(parts)))
        : inChunks(parts, 0, next)
    }

    const inChunks = (parts: ReadonlyArray<StreamPart>, from: number, then: Pulled): Pulled =>
      Effect.suspend(() => {
        const end = from + largestChunk
        next = end < parts.length ? inChunks(parts, end, then) : then
        return Effect.succeed(Either.right(Chunk.unsafeFromArray(parts.slice(from, end))))
      })

    const onEnd = (last: Turn<S, ModelError.ModelError>): Pulled =>
      send(finish(decoder, last, "end", () => truncated(facts, received.text, noEnd)), ended)

    const onPulled = (pulled: Either.Either<Chunk.Chunk<X>, unknown>): Pulled => {
      onBytes?.()
      if (Either.isLeft(pulled)) return onEnd(advance(decoder, state, received, reading(facts, () => source.end())))
      const turn = advance(decoder, state, received, reading(facts, () => source.read(pulled.right)))
      // More of the reply has come, so what looked like its end was none.
      if (turn.parts.length > 0) endedAt = undefined
      return send(turn, drained)
    }

    /** A reply that was over is not lost because its connection broke afterwards. */
    const onFailure = (error: E): Pulled => {
      const last: Turn<S, Failure> = { state, parts: [], then: "more" }
      return send(finish(decoder, last, "failure", () => completed(facts, received.text, error)), ended)
    }

    const handlers = { onFailure, onSuccess: onPulled }

    /** Waits no longer than the grace that a reply with its end has. */
    const pulledInGrace = (closing: "ended" | "whole"): Pulled =>
      Effect.gen(function*() {
        const now = elapsedMillis(yield* Effect.clock)
        endedAt ??= now
        const left = endedAt + grace[closing] - now
        return yield* Effect.disconnect(Effect.either(pull())).pipe(Effect.timeoutOption(Math.max(0, left)))
      }).pipe(Effect.flatMap(Option.match({
        onNone: () => onEnd({ state, parts: [], then: "more" }),
        onSome: Either.match({ onLeft: onFailure, onRight: onPulled })
      })))

    const more = (): Pulled => {
      const closing = decoder.closing(state)
      return closing === "open" ? Effect.matchEffect(pull(), handlers) : pulledInGrace(closing)
    }

    let next = more()
    return () => next
  }

const reading = (facts: sse.Facts, read: () => sse.Batch): sse.Batch => {
  try {
    return read()
  } catch (cause) {
    return { events: [], error: unreadable(facts, cause) }
  }
}

const limitsOf = ({ maxBodyBytes, maxToolCalls }: Partial<Limits>): Limits => ({
  maxBodyBytes: maxBodyBytes ?? defaults.maxBodyBytes,
  maxToolCalls: maxToolCalls ?? defaults.maxToolCalls
})

const asItIs: Source<sse.SseEvent> = {
  read: (chunk) => ({ events: Chunk.toReadonlyArray(chunk) }),
  end: () => ({ events: [] })
}

/**
 * Turns events into the parts of a reply. Errors inside the stream are found here (`ProviderError.fromStreamEvent`), so a
 * decoder never sees them. Once the reply is over nothing more is read but the end of the bytes, for a moment.
 */
export const run =
  <S>(decoder: Decoder<S>, options: Options = {}) =>
  <E, R>(events: Stream.Stream<sse.SseEvent, E, R>): Stream.Stream<StreamPart, E | ModelError.ModelError, R> =>
    toStream(Effect.map(fromStream(events), interpret(decoder, () => asItIs, limitsOf(options))))

/** The same from the bytes of server-sent events, in one go. */
export const pull = <S>(
  decoder: Decoder<S>,
  options: StreamOptions & Pick<Options, "maxEventBytes" | "onBytes"> = {}
): <E, R>(bytes: Pull<Uint8Array, E, R>) => Pull<StreamPart, E | ModelError.ModelError, R> =>
  interpret(
    decoder,
    () => sse.reader({ ...decoder.facts, maxEventBytes: options.maxEventBytes }),
    limitsOf(options),
    options.onBytes
  )

/** The same as a stream. */
export const bytes =
  <S>(decoder: Decoder<S>, options: StreamOptions & Pick<Options, "maxEventBytes"> = {}) =>
  <E, R>(input: Stream.Stream<Uint8Array, E, R>): Stream.Stream<StreamPart, E | ModelError.ModelError, R> =>
    toStream(Effect.map(fromStream(input), pull(decoder, options)))
