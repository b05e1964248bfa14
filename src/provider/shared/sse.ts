/**
 * From bytes to the events of a stream. The framing is done by `eventsource-parser`, in any slices: CRLF, BOM, comments
 * and keep-alives included. Pull based: bytes are asked for when an event is asked for, and what is kept between two pulls
 * is one unfinished event, of `maxEventBytes` at most.
 */
import type * as Cause from "effect/Cause"
import * as Channel from "effect/Channel"
import * as Chunk from "effect/Chunk"
import * as Stream from "effect/Stream"
import { createParser } from "eventsource-parser"
import * as ModelError from "../../error/ModelError.ts"

/** Who is asked and what is known of the reply; it goes into every error. */
export interface Facts {
  readonly provider: string
  readonly model?: string | undefined
  readonly requestId?: string | undefined
  readonly status?: number | undefined
  /** The headers of the reply, for what they say of an error inside it. */
  readonly headers?: { readonly [name: string]: string } | undefined
  /** Whether the decoder reads heartbeats that are JSON, too: they may be numbered like all events. */
  readonly heartbeats?: "read" | undefined
}

/** The fields of {@link Facts} as the errors take them: without those that are absent. */
export const factsOf = (facts: Facts): {
  readonly provider: string
  readonly model?: string
  readonly requestId?: string
  readonly status?: number
} => ({
  provider: facts.provider,
  ...(facts.model === undefined ? {} : { model: facts.model }),
  ...(facts.requestId === undefined ? {} : { requestId: facts.requestId }),
  ...(facts.status === undefined ? {} : { status: facts.status })
})

/** How to read the events of a stream. */
export interface Options extends Facts {
  /** The largest event, counted in UTF-16 units (never more than its bytes). Default: 4 MiB. */
  readonly maxEventBytes?: number | undefined
}

export const defaults = { maxEventBytes: 4 * 1024 * 1024 } as const

/** One event. Its data is text; nothing has been parsed. */
export interface SseEvent {
  /** The event's name, where the server gives one. */
  readonly event: string | undefined
  readonly data: string
  /** JSON that came without `data:` between the events, as Gemini writes late errors. */
  readonly raw?: true
  /** The bytes ended before the blank line that ends an event, so the data may be cut. */
  readonly unfinished?: true
}

/** Cuts text into events; what is complete is in `events`. `fault` says why nothing more can be read. */
interface Framer {
  readonly events: Array<SseEvent>
  readonly fault: string | undefined
  readonly feed: (text: string) => void
  /** The text has ended: what is left is an unfinished event. */
  readonly end: () => void
}

const tooLarge = (limit: number): string =>
  `an event is larger than maxEventBytes (${limit} bytes), so the stream is not read any further`

const page = "a page came instead of events; check that the base URL is that of an API (it usually ends in /v1)"

/** The change of depth over one line of pretty-printed JSON; lines never end inside a string. */
const depthOf = (line: string): number => {
  let depth = 0
  let quoted = false
  for (let at = 0; at < line.length; at++) {
    const character = line.charCodeAt(at)
    if (quoted) {
      if (character === 92) at++
      else if (character === 34) quoted = false
    } else if (character === 34) quoted = true
    else if (character === 123 || character === 91) depth++
    else if (character === 125 || character === 93) depth--
  }
  return depth
}

const eventFramer = (limit: number): Framer => {
  const events: Array<SseEvent> = []
  let fault: string | undefined
  let ending = false
  // Lines of JSON outside any event, gathered until the brackets are closed.
  const raw: Array<string> = []
  let rawDepth = 0
  let rawSize = 0
  let hasBegun = false

  const outside = (line: string): void => {
    if (!hasBegun && /^\s*</.test(line)) fault = page
    hasBegun = true
    if (raw.length === 0 && !/^\s*[[{]/.test(line)) return
    raw.push(line)
    rawDepth += depthOf(line)
    rawSize += line.length
    if (rawSize > limit) {
      fault = tooLarge(limit)
    } else if (rawDepth <= 0) {
      const data = raw.splice(0).join("\n")
      events.push(
        ending ? { event: undefined, data, raw: true, unfinished: true } : { event: undefined, data, raw: true }
      )
      rawDepth = 0
      rawSize = 0
    }
  }

  const parser = createParser({
    maxBufferSize: limit,
    onEvent: ({ data, event }) => {
      hasBegun = true
      if (data.length > limit) {
        fault ??= tooLarge(limit)
      } else if (fault === undefined) {
        events.push(ending ? { event, data, unfinished: true } : { event, data })
      }
    },
    onError: (error) => {
      if (error.type === "max-buffer-size-exceeded") {
        fault ??= tooLarge(limit)
      } else if (error.type === "unknown-field" && error.line !== undefined && fault === undefined) {
        // llama.cpp writes an error as a field of its own: `error: {"code":400,"message":"…"}`.
        if (error.field === "error" && raw.length === 0) {
          events.push({ event: "error", data: error.value?.trim() ?? "" })
        } else outside(error.line)
      }
    }
  })
  return {
    events,
    get fault() {
      return fault
    },
    feed: (text) => parser.feed(text),
    end: () => {
      ending = true
      parser.feed("\n\n")
    }
  }
}

const lineFramer = (limit: number): Framer => {
  const events: Array<SseEvent> = []
  let fault: string | undefined
  const rest: Array<string> = []
  let restSize = 0
  const line = (text: string, unfinished: boolean): void => {
    const data = text.trim()
    if (data.length > limit) fault ??= tooLarge(limit)
    if (data === "" || fault !== undefined) return
    events.push(unfinished ? { event: undefined, data, unfinished: true } : { event: undefined, data })
  }
  return {
    events,
    get fault() {
      return fault
    },
    feed: (text) => {
      let from = 0
      for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", from)) {
        line(rest.splice(0).join("") + text.slice(from, at), false)
        restSize = 0
        from = at + 1
      }
      if (from === text.length) return
      rest.push(text.slice(from))
      restSize += text.length - from
      if (restSize > limit) fault ??= tooLarge(limit)
    },
    end: () => line(rest.join(""), true)
  }
}

/** What some bytes gave: events, and then perhaps the reason why nothing more can be read. */
export interface Batch {
  readonly events: ReadonlyArray<SseEvent>
  readonly error?: ModelError.ModelError | undefined
}

/** Reads the bytes of one stream; it holds what is unfinished between two reads. */
export interface Reader {
  readonly read: (bytes: Iterable<Uint8Array>) => Batch
  /** The bytes have ended: what is left is an unfinished event. */
  readonly end: () => Batch
}

/** Why bytes are no text, with what to do about it where that can be seen. */
export const notUtf8 = (what: string, start: Uint8Array | undefined): string =>
  start?.[0] === 0x1f && start[1] === 0x8b
    ? `${what} is gzip, but no content-encoding says so: let the server or the proxy before it declare it, or not compress`
    : `${what} is not valid UTF-8`

const readerOf = (options: Options, makeFramer: (limit: number) => Framer): Reader => {
  const framer = makeFramer(options.maxEventBytes ?? defaults.maxEventBytes)
  // Strict, and a BOM at the start is dropped.
  const decoder = new TextDecoder("utf-8", { fatal: true })
  let isFirst = true
  const broken = (reason: string): Batch => ({
    events: framer.events.splice(0),
    error: new ModelError.MalformedResponse({ ...factsOf(options), reason })
  })
  return {
    read: (bytes) => {
      for (const slice of bytes) {
        let text: string
        try {
          text = decoder.decode(slice, { stream: true })
        } catch {
          return broken(notUtf8("the stream", isFirst ? slice : undefined))
        }
        isFirst = false
        framer.feed(text)
        if (framer.fault !== undefined) return broken(framer.fault)
      }
      return { events: framer.events.splice(0) }
    },
    end: () => {
      framer.end()
      return framer.fault === undefined ? { events: framer.events.splice(0) } : broken(framer.fault)
    }
  }
}

/** A reader of server-sent events. */
export const reader = (options: Options): Reader => readerOf(options, eventFramer)

/** A reader of one payload per line. */
export const lineReader = (options: Options): Reader => readerOf(options, lineFramer)

const framed =
  (makeReader: () => Reader) =>
  <E, R>(bytes: Stream.Stream<Uint8Array, E, R>): Stream.Stream<SseEvent, E | ModelError.ModelError, R> =>
    Stream.suspend(() => {
      const from = makeReader()
      type Out = Channel.Channel<
        Chunk.Chunk<SseEvent>,
        Chunk.Chunk<Uint8Array>,
        E | ModelError.ModelError,
        E,
        unknown,
        unknown
      >
      const send = ({ error, events }: Batch, then: Out): Out => {
        const next = error === undefined ? then : Channel.fail(error)
        return events.length === 0 ? next : Channel.zipRight(Channel.write(Chunk.unsafeFromArray([...events])), next)
      }
      const loop: Out = Channel.readWithCause({
        onInput: (chunk: Chunk.Chunk<Uint8Array>): Out => send(from.read(chunk), loop),
        onFailure: (cause: Cause.Cause<E>): Out => Channel.failCause(cause),
        onDone: (): Out => send(from.end(), Channel.void)
      })
      return Stream.pipeThroughChannelOrFail(bytes, loop)
    })

/**
 * The events of a stream of server-sent events, whatever slices its bytes come in. Fails as the bytes fail, and with
 * `MalformedResponse` for bytes that are not UTF-8 and for an event above `maxEventBytes`. Interrupting the consumer
 * interrupts the bytes. An event that the end of the bytes cut off comes out with `unfinished`.
 */
export const events = (options: Options) => framed(() => reader(options))

/** The same for streams of one payload per line: no framing, blank lines are skipped. */
export const lines = (options: Options) => framed(() => lineReader(options))
