/** Whoever asks for a stream is told that bytes came, also where they say nothing. */
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import * as LanguageModel from "../../src/model/LanguageModel.ts"
import * as OpenAiChat from "../../src/provider/OpenAiChat.ts"

const chunk = (delta: object, finish: string | null) =>
  `data: ${JSON.stringify({ id: "1", model: "m", choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`

const slices = [
  ": ping\n\n",
  chunk({ content: "Hi" }, null),
  ": ping\n\n",
  ": ping\n\n",
  chunk({}, "stop"),
  "data: [DONE]\n\n"
]

const body = (): ReadableStream<Uint8Array> => {
  const encoder = new TextEncoder()
  let at = 0
  return new ReadableStream({
    pull: (controller) => {
      const slice = slices[at++]
      if (slice === undefined) controller.close()
      else controller.enqueue(encoder.encode(slice))
    }
  })
}

const client = HttpClient.make((request) =>
  Effect.sync(() =>
    HttpClientResponse.fromWeb(
      request,
      new globalThis.Response(body(), { headers: { "content-type": "text/event-stream" } })
    )
  )
)

describe("signs of life", () => {
  it.effect("each slice of a stream is one, comments too", () =>
    Effect.gen(function*() {
      let signs = 0
      const model = yield* OpenAiChat.make({ model: "m", apiKey: Redacted.make("sk-test") })
      const parts = yield* model.stream({ prompt: "hi" }).pipe(
        Stream.runCollect,
        Effect.provideService(LanguageModel.CurrentLiveness, () => {
          signs++
        })
      )
      expect([...parts].map(({ _tag }) => _tag)).toContain("Finish")
      expect(signs).toBeGreaterThanOrEqual(slices.length - 1)
    }).pipe(Effect.provideService(HttpClient.HttpClient, client)))
})
