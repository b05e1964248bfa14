import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Stream from "effect/Stream"
import { heldMegabytes } from "../heap.ts"
import { runs } from "../runs.ts"
import { chat } from "./support/vendorRuns.ts"

const filler = "x".repeat(3_700)

/** A line of results of about 4 kB. */
const line = (id: string): string =>
  `${
    JSON.stringify({
      id: `req-${id}`,
      custom_id: id,
      response: {
        status_code: 200,
        request_id: "r",
        body: {
          id: "c",
          object: "chat.completion",
          model: "gpt-4o-mini",
          choices: [{ index: 0, message: { role: "assistant", content: `${id} ${filler}` }, finish_reason: "stop" }],
          usage: { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 }
        }
      },
      error: null
    })
  }\n`

const encoder = new TextEncoder()

/** A job that has ended with so many results, whose file is made while it is read. */
const clientOf = (count: number): HttpClient.HttpClient =>
  HttpClient.make((request, url) =>
    Effect.sync(() => {
      if (!url.pathname.includes("/files/")) {
        return HttpClientResponse.fromWeb(
          request,
          new globalThis.Response(
            JSON.stringify({ id: "batch_1", status: "completed", output_file_id: "file-out", error_file_id: null }),
            { headers: { "content-type": "application/json" } }
          )
        )
      }
      let next = 0
      const body = new ReadableStream<Uint8Array>({
        pull: (controller) => {
          if (next === count) return controller.close()
          // As sockets give them: pieces of 64 kB that end anywhere.
          let text = ""
          while (text.length < 60_000 && next < count) text += line(`id-${next++}`)
          controller.enqueue(encoder.encode(text))
        }
      })
      return HttpClientResponse.fromWeb(request, new globalThis.Response(body))
    })
  )

describe("the results of a vendor's job", () => {
  it.live("are read line by line: a file of any size needs the memory of a small one", () =>
    Effect.gen(function*() {
      const count = runs(6_000, 50_000)
      const service = yield* Effect.provideService(chat, HttpClient.HttpClient, clientOf(count))
      const samples: Array<number> = []
      let read = 0
      yield* Stream.runForEach(service.results("batch_1"), ({ outcome }) => {
        if (Either.isRight(outcome)) read++
        return read % (count / 4) === 0
          ? Effect.map(heldMegabytes, (megabytes) => samples.push(megabytes))
          : Effect.void
      })
      expect(read).toBe(count)
      // The last three quarters are 18 MB of text in the short form, and 150 MB in the long one.
      expect(Math.max(...samples) - (samples[0] ?? 0)).toBeLessThan(6)
    }), 120_000)
})
