/** Servers that answer, but not as an API does: each provider, whole and as a stream, says what is wrong and what to do. */
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Http from "node:http"
import * as Zlib from "node:zlib"
import { asked, type Handle, type Kind, kinds, listen, type Provider, providers, refused } from "./badInputServers.ts"

const page = "<!doctype html>\n<html lang=\"en\"><head><title>Welcome to nginx!</title></head></html>\n"

const overloaded = JSON.stringify({
  type: "error",
  error: { type: "overloaded_error", code: 503, message: "Overloaded", status: "UNAVAILABLE" }
})

const reply = (body: string | Buffer, type: string, more: Http.OutgoingHttpHeaders = {}): Handle => (response) =>
  void response.writeHead(200, { "content-type": type, ...more }).end(body)

const good = (provider: Provider, { kind }: Kind): string =>
  kind === "generate" ? provider.whole : provider.begun + provider.rest

/** Writes blocks until the client has left or all is written. */
const flood = (written: { bytes: number }, block: Buffer, total: number) => (response: Http.ServerResponse): void => {
  const more = (): void => {
    while (written.bytes < total && !response.destroyed) {
      written.bytes += block.length
      if (!response.write(block)) return void response.once("drain", more)
    }
    if (!response.destroyed) response.end()
  }
  more()
}

const megabyte = 1024 * 1024

/** Text of no end, as an event, as a line of none, as an event of many lines, and as JSON between events. */
const endless: ReadonlyArray<readonly [name: string, first: string, block: string]> = [
  ["one line of 1 GB", "data: \"", "x".repeat(64 * 1024)],
  ["1 GB without a newline or a colon", "", "x".repeat(64 * 1024)],
  ["an event of 1 GB in short lines", "", `data: ${"x".repeat(58)}\n`.repeat(1024)],
  ["1 GB of JSON between events", "{\n", `"field": "${"x".repeat(50)}",\n`.repeat(1024)]
]

for (const provider of providers) {
  for (const kind of kinds) {
    describe(`${provider.name}, ${kind.kind}`, () => {
      const gives = (name: string, test: () => Effect.Effect<unknown, unknown, never>) => it.live(name, test)
      const error = (handle: Handle, caps = {}) =>
        Effect.provide(refused(provider, kind, handle, caps), FetchHttpClient.layer)

      gives("a wrong key: Authentication, and the key stays secret", () =>
        Effect.map(
          error((response) =>
            void response.writeHead(provider.refusal.status, { "content-type": "application/json" })
              .end(JSON.stringify(provider.refusal.body))
          ),
          (found) => {
            expect(found._tag).toBe("Authentication")
            expect(found.message).toMatch(/key/i)
          }
        ))

      for (const type of ["text/html; charset=utf-8", kind.type, "text/plain"]) {
        gives(
          `an HTML page under 200, called ${type}: says to check the base URL`,
          () =>
            Effect.map(error(reply(page, type)), (found) => {
              expect(found._tag).toBe("MalformedResponse")
              expect(found.message).toContain("base URL")
            })
        )
      }

      for (const status of [301, 302, 303, 307, 308]) {
        gives(`a redirect ${status} is not followed, so the key does not go with it`, () =>
          Effect.gen(function*() {
            let visits = 0
            const elsewhere = yield* listen((response) => {
              visits++
              response.end()
            })
            const found = yield* error((response) => void response.writeHead(status, { location: elsewhere }).end())
            expect(found).toMatchObject({ _tag: "InvalidRequest", param: "baseUrl", status })
            expect(JSON.stringify(found)).toContain("set baseUrl")
            expect(visits).toBe(0)
          }))
      }

      gives("gzip that is declared is read", () =>
        Effect.map(
          Effect.provide(
            asked(
              provider,
              kind,
              reply(Zlib.gzipSync(good(provider, kind)), kind.type, { "content-encoding": "gzip" })
            ),
            FetchHttpClient.layer
          ),
          (response) => expect(response.text).toBe("Hello")
        ))

      gives(
        "gzip that is not declared: says so",
        () =>
          Effect.map(error(reply(Zlib.gzipSync(good(provider, kind)), kind.type)), (found) => {
            expect(found._tag).toBe("MalformedResponse")
            expect(found.message).toContain("content-encoding")
          })
      )

      gives(
        "what is declared as gzip and is not: typed",
        () =>
          Effect.map(error(reply(good(provider, kind), kind.type, { "content-encoding": "gzip" })), (found) => {
            expect(["MalformedResponse", "Truncated"]).toContain(found._tag)
          })
      )

      for (const type of ["application/json", kind.type]) {
        gives(
          `an error under 200, called ${type}: the error it is`,
          () => Effect.map(error(reply(overloaded, type)), (found) => expect(found._tag).toBe("Overloaded"))
        )
      }

      gives("bytes that are no UTF-8: says so", () =>
        Effect.map(
          error(reply(Buffer.concat([Buffer.from(good(provider, kind)), Buffer.of(0xc3, 0x28, 0x0a)]), kind.type)),
          (found) => {
            expect(found._tag).toBe("MalformedResponse")
            expect(found.message).toContain("UTF-8")
          }
        ))

      gives("nothing at all: typed", () =>
        Effect.map(error(reply("", kind.type)), (found) => {
          expect(["MalformedResponse", "Truncated"]).toContain(found._tag)
        }))

      const caps = { maxBodyBytes: megabyte, maxEventBytes: megabyte }
      for (const [name, first, block] of endless) {
        gives(`${name} is cut off at the cap, and the rest is not read`, () =>
          Effect.gen(function*() {
            const written = { bytes: 0 }
            const found = yield* error((response) => {
              response.writeHead(200, { "content-type": kind.type }).write(first)
              flood(written, Buffer.from(block), 1024 * megabyte)(response)
            }, caps)
            expect(found._tag).toBe("MalformedResponse")
            expect(found.message).toContain(kind.kind === "generate" ? "maxBodyBytes" : "maxEventBytes")
            // The cap, and what the buffers of two sockets and a client hold.
            expect(written.bytes).toBeLessThan(24 * megabyte)
          }))
      }
    })
  }
}
