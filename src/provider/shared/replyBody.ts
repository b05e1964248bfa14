/**
 * The body of a reply, read to its end or to a limit.
 *
 * Any client's body can be read as the stream that the platform's interface gives. The platform's own two clients hold the
 * body of their runtime, and that is read as it is where it is found: for one small reply the stream takes 350 to 500 µs of
 * the processor over fetch and 200 to 250 over undici, and reading the runtime's own body takes 100 and 50 (Node 20). Both
 * ways keep the same promise: what came is kept when the rest does not come, and nothing is read beyond the limit.
 */
import type * as HttpClientError from "@effect/platform/HttpClientError"
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { isRecord } from "../../internal/record.ts"

/** How the reading of a body ended. The cause is whatever the client says. */
export type Ending = { readonly _tag: "Complete" } | { readonly _tag: "TooLarge" } | {
  readonly _tag: "Cut"
  readonly error: HttpClientError.ResponseError | { readonly cause: unknown }
}

export interface ReplyBody {
  readonly bytes: Uint8Array
  readonly ending: Ending
}

/** What the platform's clients hold: a web `Response`, or undici's reply, whose body is a `Readable`. */
const sourceOf = (response: HttpClientResponse.HttpClientResponse): unknown =>
  "source" in response ? response.source : undefined

/** Reads up to `limit` bytes; what comes beyond is not read, let alone kept. */
export const read = (
  response: HttpClientResponse.HttpClientResponse,
  limit: number
): Effect.Effect<ReplyBody> =>
  Effect.suspend(() => {
    const source = sourceOf(response)
    if (source instanceof globalThis.Response) {
      if (source.body === null) return Effect.succeed(new Received(limit).as(complete))
      if (!source.bodyUsed && !source.body.locked) return readWeb(source.body, limit)
    }
    const body = isRecord(source) ? source["body"] : undefined
    return isNodeReadable(body) ? readNode(body, limit) : readStream(response.stream, limit)
  })

const complete: Ending = { _tag: "Complete" }
const tooLarge: Ending = { _tag: "TooLarge" }

/** What has come of a body. */
class Received {
  private readonly chunks: Array<Uint8Array> = []
  private readonly limit: number
  private size = 0

  constructor(limit: number) {
    this.limit = limit
  }

  /** Keeps the chunk, unless it goes beyond the limit. */
  take(chunk: Uint8Array): boolean {
    if (this.size + chunk.byteLength > this.limit) return false
    this.chunks.push(chunk)
    this.size += chunk.byteLength
    return true
  }

  as(ending: Ending): ReplyBody {
    return { bytes: this.bytes(), ending }
  }

  private bytes(): Uint8Array {
    const [first] = this.chunks
    if (first !== undefined && this.chunks.length === 1) return first
    const bytes = new Uint8Array(this.size)
    let at = 0
    for (const chunk of this.chunks) {
      bytes.set(chunk, at)
      at += chunk.byteLength
    }
    return bytes
  }
}

/** Any client's body. */
export const readStream = (
  stream: HttpClientResponse.HttpClientResponse["stream"],
  limit: number
): Effect.Effect<ReplyBody> =>
  Effect.suspend(() => {
    const received = new Received(limit)
    let ending: Ending = complete
    return stream.pipe(
      // Caught inside: a stream runs in a fiber of its own, and Effect logs what such a fiber fails with, here the request.
      Stream.catchAll((error) => {
        if (error.reason !== "EmptyBody") ending = { _tag: "Cut", error }
        return Stream.empty
      }),
      Stream.runForEachWhile((chunk) =>
        Effect.sync(() => {
          const isTaken = received.take(chunk)
          if (!isTaken) ending = tooLarge
          return isTaken
        })
      ),
      Effect.map(() => received.as(ending))
    )
  })

/** The body of a web `Response`, which the platform's fetch client holds. */
const readWeb = (body: ReadableStream<Uint8Array>, limit: number): Effect.Effect<ReplyBody> =>
  Effect.async((resume) => {
    const received = new Received(limit)
    const reader = body.getReader()
    const stopReading = (): void => void reader.cancel().catch(() => {})
    const end = (ending: Ending): void => resume(Effect.succeed(received.as(ending)))
    const fail = (cause: unknown): void => end({ _tag: "Cut", error: { cause } })
    const next = (): void => void reader.read().then(take, fail)
    const take = ({ done, value }: ReadableStreamReadResult<Uint8Array>): void => {
      if (done) return end(complete)
      if (received.take(value)) return next()
      stopReading()
      end(tooLarge)
    }
    next()
    return Effect.sync(stopReading)
  })

/** As much of Node's `Readable` as is used here: the platform's undici client holds one. */
interface NodeReadable {
  readonly readable: boolean
  readonly errored: unknown
  readonly on: (event: string, listener: (value: unknown) => void) => unknown
  readonly off: (event: string, listener: (value: unknown) => void) => unknown
  readonly destroy: () => unknown
}

const isNodeReadable = (value: unknown): value is NodeReadable =>
  isRecord(value) && typeof value["readable"] === "boolean" && "errored" in value &&
  typeof value["on"] === "function" && typeof value["off"] === "function" && typeof value["destroy"] === "function"

const readNode = (body: NodeReadable, limit: number): Effect.Effect<ReplyBody> =>
  Effect.async((resume) => {
    const received = new Received(limit)
    const ignore = (): void => {
      body.off("data", onData)
      body.off("end", onEnd)
      body.off("error", onError)
    }
    // The client listens to errors, too, so leaving lets none of them go unheard.
    const stopReading = (): void => {
      ignore()
      body.destroy()
    }
    const end = (ending: Ending): void => {
      ignore()
      resume(Effect.succeed(received.as(ending)))
    }
    const onEnd = (): void => end(complete)
    const onError = (cause: unknown): void => end({ _tag: "Cut", error: { cause } })
    const onData = (chunk: unknown): void => {
      if (!(chunk instanceof Uint8Array) || received.take(chunk)) return
      stopReading()
      end(tooLarge)
    }
    if (body.errored !== null && body.errored !== undefined) return onError(body.errored)
    if (!body.readable) return onEnd()
    body.on("end", onEnd)
    body.on("error", onError)
    body.on("data", onData)
    return Effect.sync(stopReading)
  })
