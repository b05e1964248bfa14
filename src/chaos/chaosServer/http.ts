/** The few things the chaos server needs of node's HTTP server, as effects. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { Buffer } from "node:buffer"
import type { IncomingMessage, Server, ServerResponse } from "node:http"
import { createServer } from "node:http"
import type { Outcome, Step } from "./outcome.ts"
import type { Reply } from "./protocol.ts"
import { beforeReset } from "./streamScore.ts"

export interface Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  /** Set when we break the connection: then it is not the client that has left. */
  isBroken: boolean
  /** How many pieces of what the model says were sent. */
  contentSent: number
}

const close = (server: Server) =>
  Effect.async<void>((resume) => {
    server.close(() => resume(Effect.void))
    // Without this a hanging exchange would keep the server, and the program, alive.
    server.closeAllConnections()
  })

/** A server on 127.0.0.1 that hands each exchange over; the scope's end cuts what is still open. Fails with the code. */
export const listen = (options: {
  readonly port: number
  readonly onExchange: (exchange: Exchange) => void
  readonly onConnection: () => void
}): Effect.Effect<{ readonly port: number }, string, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.async<Server, string>((resume) => {
      const server = createServer((request, response) =>
        options.onExchange({ request, response, isBroken: false, contentSent: 0 })
      )
      server.on("connection", options.onConnection)
      // An idle connection closed by us while the client reuses it would be a reset that is in no book.
      server.keepAliveTimeout = 0
      server.requestTimeout = 0
      server.headersTimeout = 0
      server.once("error", (error) =>
        resume(Effect.fail("code" in error && typeof error.code === "string" ? error.code : error.message)))
      server.listen(options.port, "127.0.0.1", 4096, () =>
        resume(Effect.succeed(server)))
    }),
    close
  ).pipe(Effect.map((server) => {
    const address = server.address()
    return { port: typeof address === "object" && address !== null ? address.port : options.port }
  }))

/**
 * The whole body as text; `undefined` where it is larger than the limit, in bytes. `latin1` gives each byte as one unit of the
 * text, for bodies that may end within a letter.
 */
export const readBody = (
  { request }: Exchange,
  limit: number,
  encoding: "utf8" | "latin1" = "utf8"
): Effect.Effect<string | undefined> =>
  Effect.async<string | undefined>((resume) => {
    const chunks: Array<Buffer> = []
    let size = 0
    request.on("data", (chunk: Buffer) => {
      size += chunk.length
      if (size <= limit) chunks.push(chunk)
    })
    request.on("end", () => resume(Effect.succeed(size > limit ? undefined : Buffer.concat(chunks).toString(encoding))))
    // Without a listener a reset by the client would end the process.
    request.on("error", () => undefined)
  })

/** Ends when the client has gone before it was answered; never ends otherwise. */
export const clientGone = (exchange: Exchange): Effect.Effect<void> =>
  Effect.async<void>((resume) => {
    const { response } = exchange
    const closed = () => {
      if (!response.writableEnded && !exchange.isBroken) resume(Effect.void)
    }
    response.on("error", () => undefined)
    if (response.closed) closed()
    else response.once("close", closed)
  })

/** The headers that are there once. */
export const headersOf = ({ request }: Exchange): Readonly<Record<string, string>> =>
  Object.fromEntries(
    Object.entries(request.headers).flatMap(([name, value]) => typeof value === "string" ? [[name, value]] : [])
  )

const reset = (exchange: Exchange) =>
  Effect.sync(() => {
    exchange.isBroken = true
    exchange.request.socket.resetAndDestroy()
  })

/** Ends when the bytes have been taken by the socket, so a client that does not read holds the writer up. */
const write = ({ response }: Exchange, bytes: string | Buffer) =>
  Effect.async<void>((resume) => {
    response.write(bytes, (error) => {
      // Nobody is there to read: whoever waits for the client's leave ends the exchange.
      if (error === undefined || error === null) resume(Effect.void)
    })
  })

const writeBytes = (exchange: Exchange, text: string) => {
  const bytes = Buffer.from(text)
  return Effect.forEach(Array.from(bytes.keys()), (at) => write(exchange, bytes.subarray(at, at + 1)), {
    discard: true
  })
}

const end = ({ response }: Exchange) => Effect.sync(() => response.end())

const take = (exchange: Exchange, step: Step): Effect.Effect<void> => {
  switch (step._tag) {
    case "Write":
      return Effect.suspend(() => {
        if (step.isContent) exchange.contentSent++
        return step.pieces === "whole" ? write(exchange, step.text) : writeBytes(exchange, step.text)
      })
    case "Wait":
      return step.millis === undefined ? Effect.never : Effect.sleep(step.millis)
    case "Close":
      return step.how === "clean" ? end(exchange) : reset(exchange)
  }
}

/**
 * Does with the exchange what was decided. A hang, and a stall without an end, never return: only the client or the
 * server's end is their end.
 */
export const perform = (
  exchange: Exchange,
  outcome: Outcome,
  headers: Readonly<Record<string, string>>
): Effect.Effect<void> => {
  const { response } = exchange
  const head = (reply: Reply) =>
    Effect.sync(() =>
      response.writeHead(reply.status, {
        ...headers,
        ...reply.headers,
        "content-length": String(Buffer.byteLength(reply.body))
      })
    )
  switch (outcome._tag) {
    case "Hang":
      return Effect.never
    case "Reply":
      return Effect.zipRight(head(outcome), Effect.sync(() => response.end(outcome.body)))
    case "Streamed":
      return Effect.sync(() => {
        response.writeHead(200, { ...headers, ...outcome.headers })
        // The client is to know that the stream has begun, even where nothing follows.
        response.flushHeaders()
      }).pipe(
        Effect.zipRight(Effect.forEach(outcome.steps, (step) => take(exchange, step), { discard: true }))
      )
    case "Reset": {
      const { after } = outcome
      if (after === undefined) return reset(exchange)
      return head(after).pipe(
        Effect.zipRight(write(exchange, after.body.slice(0, Math.ceil(after.body.length / 2)))),
        Effect.zipRight(Effect.sleep(beforeReset)),
        Effect.zipRight(reset(exchange))
      )
    }
  }
}
