import * as HttpClient from "@effect/platform/HttpClient"
import { describe, expect, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as StreamPart from "../../src/model/StreamPart.ts"
import * as Usage from "../../src/model/Usage.ts"
import * as Anthropic from "../../src/provider/Anthropic.ts"
import { blockStart, blockStop, ending, message, messageStart, options, saying, sse } from "./fakeAnthropic.ts"
import { fakeClient, json } from "./fakeOpenAi.ts"

const tool = (id: string, input: object = {}): object => ({ type: "tool_use", id, name: "f", input })

const usage = (inputTokens: number, outputTokens: number): Usage.Usage =>
  new Usage.Usage({ inputTokens, outputTokens, totalTokens: inputTokens + outputTokens })

describe("Anthropic.stream", () => {
  const streamed = (reply: () => globalThis.Response) => {
    const { client, sent } = fakeClient(reply)
    return Anthropic.make(options).pipe(
      Effect.flatMap((model) => Effect.either(Stream.runCollect(model.stream({ prompt: "Hi" })))),
      Effect.map((result) => ({ result: Effect.map(result, Chunk.toReadonlyArray), sent })),
      Effect.provideService(HttpClient.HttpClient, client)
    )
  }

  const events = (text: string, headers: Record<string, string> = {}): globalThis.Response =>
    new globalThis.Response(text, { headers: { "content-type": "text/event-stream", ...headers } })

  it.effect("asks for a stream and gives its parts, with the request id at their start", () =>
    Effect.gen(function*() {
      const { result, sent } = yield* streamed(() => events(sse(saying("Hello")), { "request-id": "req_1" }))
      expect(sent[0]).toMatchObject({ headers: { accept: "text/event-stream" }, body: { stream: true } })
      const parts = yield* result
      expect(parts.map((part) => part._tag)).toEqual(["Start", "TextDelta", "Finish"])
      expect(parts[0]).toMatchObject({ id: "msg_1", requestId: "req_1" })
    }))

  it.effect("ends at message_stop, also where the model waits for tools", () =>
    Effect.gen(function*() {
      const { result } = yield* streamed(() =>
        events(sse([messageStart(), blockStart(0, tool("a")), blockStop(0), ...ending("tool_use"), ...saying("more")]))
      )
      expect((yield* result).at(-1)).toMatchObject({ _tag: "Finish", reason: "tool-calls" })
    }))

  it.effect("takes a whole message from a server that knows no streams, said to be JSON or not", () =>
    Effect.gen(function*() {
      const whole = message([{ type: "text", text: "ok" }, tool("a", { n: 1 })], { stop_reason: "tool_use" })
      for (const reply of [() => json(whole), () => events(JSON.stringify(whole, null, 2))]) {
        const { result } = yield* streamed(reply)
        const response = yield* StreamPart.collect(Stream.fromIterable(yield* result))
        expect(response).toMatchObject({ text: "ok", finishReason: "tool-calls", usage: usage(9, 2) })
        expect(JSON.parse(response.toolCalls[0]?.arguments ?? "")).toEqual({ n: 1 })
      }
    }))

  it.effect("fails as generate does for a status that is none of success", () =>
    Effect.gen(function*() {
      const { result } = yield* streamed(() =>
        json({ type: "error", error: { type: "overloaded_error", message: "Overloaded" } }, { status: 529 })
      )
      expect(yield* Effect.flip(result)).toMatchObject({ _tag: "Overloaded", status: 529 })
    }))

  it.effect("names the request in an error inside the stream", () =>
    Effect.gen(function*() {
      const { result } = yield* streamed(() =>
        events(sse([{ type: "error", error: { type: "api_error", message: "x" } }]), { "request-id": "req_7" })
      )
      expect(yield* Effect.flip(result)).toMatchObject({ _tag: "ServerError", requestId: "req_7" })
    }))
})
