/**
 * The closing race of connections that are kept alive. A server may close a connection at rest in the moment in which a
 * client sends a request on it; the request then fails although nobody has looked at it. RFC 9112, 9.3.1: a client has to be
 * prepared for that, and may open a new connection and send again what is idempotent. RFC 9110, 9.2.2: a request that is not
 * idempotent by its method may be repeated where the client knows that its semantics are, which is what the header
 * `idempotency-key` says to the server, or where it can tell that the first one was never applied.
 *
 * What counts as that race, all of it: the connection had answered before, not one byte has come since the request was sent
 * on it, it broke within {@link longestRace}, and the request has an idempotency key. Then it was not processed, so it was
 * not billed, and it is sent once more, at once. A policy does not see the first try, so nothing counts it.
 *
 * Which connection a request goes out on is told by undici, which is Node's `fetch` and the platform's `layerUndici`, on the
 * channel `undici:client:sendHeaders` of `node:diagnostics_channel`. Where nobody tells, nothing is repeated here.
 */
import * as Effect from "effect/Effect"
import * as ModelError from "../../error/ModelError.ts"
import { elapsedMillis } from "../../internal/elapsed.ts"
import { isRecord } from "../../internal/record.ts"
import { fieldsOf } from "../../internal/scrubbed.ts"

/**
 * How long the race may last, in milliseconds from the request to the break: several round trips. What breaks later may
 * have been worked on.
 */
const longestRace = 1_000

/** How a connection that was closed, or reset, at the other side shows itself. */
const closedCodes = new Set(["UND_ERR_SOCKET", "ECONNRESET", "EPIPE"])

interface Socket {
  /** Bytes that have come since the connection was opened. */
  readonly bytesRead: number
}

/** A request on its connection. */
interface Sending {
  readonly socket: Socket
  /** Bytes that had come before the request was sent. */
  readonly bytesBefore: number
  /** Whether the connection had carried a request before. */
  readonly isReused: boolean
}

/** The requests in flight by their idempotency keys, with the connections that each was sent on. */
const inFlight = new Map<string, Array<Sending>>()

const used = new WeakSet<object>()

const keyHeader = /\r\nidempotency-key: ?([^\r\n]*)/i

const isSocket = (value: unknown): value is Socket => isRecord(value) && typeof value["bytesRead"] === "number"

/** What undici says when it has begun to send a request: `{ request, headers, socket }`. */
const onSendHeaders = (message: unknown): void => {
  if (!isRecord(message)) return
  const { headers, socket } = message
  if (!isSocket(socket)) return
  const isReused = used.has(socket)
  used.add(socket)
  const key = typeof headers === "string" ? keyHeader.exec(headers)?.[1] : undefined
  if (key !== undefined) inFlight.get(key)?.push({ socket, bytesBefore: socket.bytesRead, isReused })
}

let isListening = false

/** Asks Node for its channels, without an import that other runtimes could not resolve. */
const listen = (): void => {
  if (isListening) return
  isListening = true
  const { process }: { readonly process?: unknown } = globalThis
  if (!isRecord(process) || typeof process["getBuiltinModule"] !== "function") return
  const channels: unknown = process["getBuiltinModule"]("node:diagnostics_channel")
  if (isRecord(channels) && typeof channels["subscribe"] === "function") {
    channels["subscribe"]("undici:client:sendHeaders", onSendHeaders)
  }
}

const isClosed = (error: ModelError.ModelError): error is ModelError.ConnectionFailed =>
  error._tag === "ConnectionFailed" && error.cause?.code !== undefined && closedCodes.has(error.cause.code)

/** Sent once, on a connection that had answered before, and without a byte of an answer. */
const isUnanswered = (sendings: ReadonlyArray<Sending>): boolean => {
  const [sending, ...others] = sendings
  return sending !== undefined && others.length === 0 && sending.isReused &&
    sending.socket.bytesRead === sending.bytesBefore
}

const unbilled = (error: ModelError.ConnectionFailed): ModelError.ConnectionFailed =>
  new ModelError.ConnectionFailed({ ...fieldsOf(error), billed: "no" })

/** A request that is on its way. */
interface Watched {
  readonly sendings: Array<Sending>
  readonly startedAt: number
}

/**
 * Sends a request, and once more where it met the closing race. `send` is told how often the request was sent before. A
 * second try that meets the race, too, fails as one that was not billed, and is the policy's affair.
 */
export const send = <A, R>(
  idempotencyKey: string | undefined,
  attempt: (resends: 0 | 1) => Effect.Effect<A, ModelError.ModelError, R>
): Effect.Effect<A, ModelError.ModelError, R> =>
  Effect.flatMap(Effect.clock, (clock) => {
    // Two in flight with one key cannot be told apart, so the second of them is not watched.
    if (idempotencyKey === undefined || inFlight.has(idempotencyKey)) return attempt(0)
    listen()

    const watch = (): Watched => {
      const sendings: Array<Sending> = []
      inFlight.set(idempotencyKey, sendings)
      return { sendings, startedAt: elapsedMillis(clock) }
    }
    const metRace = ({ sendings, startedAt }: Watched, error: ModelError.ModelError) =>
      isClosed(error) && isUnanswered(sendings) && elapsedMillis(clock) - startedAt <= longestRace

    const first = watch()
    return attempt(0).pipe(
      Effect.catchAll((error) => {
        if (!metRace(first, error)) return Effect.fail(error)
        const second = watch()
        return Effect.mapError(
          attempt(1),
          (again) => isClosed(again) && metRace(second, again) ? unbilled(again) : again
        )
      }),
      Effect.ensuring(Effect.sync(() => inFlight.delete(idempotencyKey)))
    )
  })
