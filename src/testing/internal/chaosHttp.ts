/** The few things the chaos server needs of node's HTTP server, as effects. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { Buffer } from "node:buffer"
import type { IncomingMessage, Server, ServerResponse } from "node:http"
import { createServer } from "node:http"
import type { Outcome } from "./openAiReplies.ts"

export interface Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
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
      const server = createServer((request, response) => options.onExchange({ request, response }))
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

/** The whole body as text; `undefined` where it is larger than the limit, in bytes. */
export const readBody = ({ request }: Exchange, limit: number): Effect.Effect<string | undefined> =>
  Effect.async<string | undefined>((resume) => {
    const chunks: Array<Buffer> = []
    let size = 0
    request.on("data", (chunk: Buffer) => {
      size += chunk.length
      if (size <= limit) chunks.push(chunk)
    })
    request.on("end", () => resume(Effect.succeed(size > limit ? undefined : Buffer.concat(chunks).toString("utf8"))))
    // Without a listener a reset by the client would end the process.
    request.on("error", () => undefined)
  })

/** Ends when the client has gone before it was answered; never ends otherwise. */
export const clientGone = ({ response }: Exchange): Effect.Effect<void> =>
  Effect.async<void>((resume) => {
    response.on("error", () => undefined)
    response.once("close", () => {
      if (!response.writableEnded) resume(Effect.void)
    })
  })

export const header = ({ request }: Exchange, name: string): string | undefined => {
  const value = request.headers[name]
  return typeof value === "string" ? value : undefined
}

const reset = ({ request }: Exchange) => Effect.sync(() => request.socket.resetAndDestroy())

const write = ({ response }: Exchange, body: string) =>
  Effect.async<void>((resume) => {
    response.write(body, () => resume(Effect.void))
  })

/** Does with the exchange what was decided. A hang never returns: only the client or the server's end is its end. */
export const perform = (
  exchange: Exchange,
  outcome: Outcome,
  headers: Readonly<Record<string, string>>
): Effect.Effect<void> => {
  const { response } = exchange
  const head = (reply: Extract<Outcome, { _tag: "Reply" }>) =>
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
    case "Reset": {
      const { after } = outcome
      if (after === undefined) return reset(exchange)
      return head(after).pipe(
        Effect.zipRight(write(exchange, after.body.slice(0, Math.ceil(after.body.length / 2)))),
        // A reset overtakes what the client has not read yet: give it time to see the first half.
        Effect.zipRight(Effect.sleep("15 millis")),
        Effect.zipRight(reset(exchange))
      )
    }
  }
}
