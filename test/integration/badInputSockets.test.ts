/** Servers that hang, break off or never end: a typed error that says what came, and no socket is left behind. */
import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import type * as Http from "node:http"
import * as Timeout from "../../src/policy/Timeout.ts"
import { asked, clients, type Handle, type Kind, kinds, type Provider, providers, refused } from "./badInputServers.ts"

const begin = (provider: Provider, { kind, type }: Kind) => (response: Http.ServerResponse): void => {
  response.writeHead(200, { "content-type": type })
  response.write(kind === "generate" ? provider.whole.slice(0, 12) : provider.begun)
}

for (const [clientName, client] of clients) {
  for (const provider of providers) {
    for (const kind of kinds) {
      describe(`${provider.name}, ${kind.kind}, over ${clientName}`, () => {
        const stages: ReadonlyArray<readonly [name: string, start: (response: Http.ServerResponse) => void]> = [
          ["before the head", () => {}],
          ["behind the head", (response) => {
            response.writeHead(200, { "content-type": kind.type })
            response.flushHeaders()
          }],
          ["in the middle", begin(provider, kind)]
        ]

        const error = (handle: Handle) => Effect.provide(refused(provider, kind, handle), client)

        for (const [stage, start] of stages) {
          /** A request that hangs at this stage, and what the server sees of it. */
          const hanging = Effect.gen(function*() {
            const began = yield* Deferred.make<void>()
            const gone = yield* Deferred.make<void>()
            const call = Effect.provide(
              asked(provider, kind, (response, request) => {
                request.socket.on("close", () => Deferred.unsafeDone(gone, Effect.void))
                start(response)
                Deferred.unsafeDone(began, Effect.void)
              }),
              client
            )
            return { began, call, gone }
          })

          it.live(`a hang ${stage}: an interrupt frees the socket`, () =>
            Effect.gen(function*() {
              const { began, call, gone } = yield* hanging
              const fiber = yield* Effect.fork(call)
              yield* Deferred.await(began)
              yield* Effect.sleep("20 millis")
              yield* Fiber.interrupt(fiber)
              yield* Deferred.await(gone)
            }))

          it.effect(`a hang ${stage}: a time-out is a typed error, and frees the socket too`, () =>
            Effect.gen(function*() {
              const { began, call, gone } = yield* hanging
              const limit = yield* Timeout.make({ limit: "300 millis" })
              const fiber = yield* Effect.fork(Effect.flip(Timeout.apply(call, limit)))
              yield* Deferred.await(began)
              yield* TestClock.adjust("300 millis")
              const found = yield* Fiber.join(fiber)
              expect(found._tag).toBe("TimedOut")
              expect(found.message).toContain("300")
              yield* Deferred.await(gone)
            }))
        }

        const before = [
          ["a reset", (request: Http.IncomingMessage) => void request.socket.resetAndDestroy()],
          ["a half-closed socket", (request: Http.IncomingMessage) => void request.socket.end()]
        ] as const
        for (const [name, cut] of before) {
          it.live(`${name} before the head: ConnectionFailed, perhaps billed`, () =>
            Effect.map(error((_, request) => cut(request)), (found) => {
              expect(found).toMatchObject({ _tag: "ConnectionFailed", billed: "maybe" })
            }))
        }

        const within = [
          ["a reset", (response: Http.ServerResponse) => void response.socket?.resetAndDestroy()],
          ["a half-closed socket", (response: Http.ServerResponse) => void response.socket?.end()],
          ["a clean end", (response: Http.ServerResponse) => void response.end()]
        ] as const
        for (const [name, cut] of within) {
          it.live(`${name} in the middle: Truncated, with what had come`, () =>
            Effect.map(
              error((response) => {
                begin(provider, kind)(response)
                setTimeout(() => cut(response), 30)
              }),
              (found) =>
                expect(found).toMatchObject({
                  _tag: "Truncated",
                  received: kind.kind === "generate" ? provider.whole.slice(0, 12) : "Hel"
                })
            ))
        }

        if (kind.kind === "stream") {
          it.live("a server that never ends the reply: what the protocol calls the end is the end", () =>
            Effect.gen(function*() {
              const gone = yield* Deferred.make<void>()
              const call = Effect.provide(
                asked(provider, kind, (response, request) => {
                  request.socket.on("close", () => Deferred.unsafeDone(gone, Effect.void))
                  begin(provider, kind)(response)
                  response.write(provider.rest)
                  // The end of Gemini's reply is the end of its bytes, and nothing else.
                  if (!provider.saysItsEnd) setTimeout(() => response.socket?.end(), 50)
                }),
                client
              )
              expect((yield* call).text).toBe("Hello")
              yield* Deferred.await(gone)
            }))
        }
      })
    }
  }
}
