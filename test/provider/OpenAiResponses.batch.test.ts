import * as HttpClient from "@effect/platform/HttpClient"
import { describe, expect, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type * as BatchService from "../../src/model/BatchService.ts"
import type * as LanguageModel from "../../src/model/LanguageModel.ts"
import * as Tool from "../../src/model/Tool.ts"
import * as Toolkit from "../../src/model/Toolkit.ts"
import * as OpenAiResponses from "../../src/provider/OpenAiResponses.ts"
import { fakeClient, json } from "./fakeOpenAi.ts"
import { bodyOf, call, message, options, response } from "./fakeOpenAiResponses.ts"

const addTool = Tool.make("add", {
  description: "Adds",
  parameters: Schema.Struct({ a: Schema.Number, b: Schema.optional(Schema.Number) })
})

const asked: Effect.Effect<LanguageModel.Request> = Effect.map(
  Effect.orDie(Toolkit.make(addTool)),
  (tools) => ({ prompt: "1 + 1?", tools, maxOutputTokens: 50 })
)

const serviceOf = (client: HttpClient.HttpClient, more: Partial<OpenAiResponses.Options> = {}) =>
  Effect.provideService(OpenAiResponses.makeBatchService({ ...options, ...more }), HttpClient.HttpClient, client)

const job = (fields: object = {}) => ({
  id: "batch_1",
  object: "batch",
  status: "completed",
  output_file_id: "file-out",
  error_file_id: null,
  ...fields
})

/** The results of a job whose file has these lines. */
const resultsOf = (lines: ReadonlyArray<object>) =>
  Effect.gen(function*() {
    const replies = [json(job()), new globalThis.Response(lines.map((line) => `${JSON.stringify(line)}\n`).join(""))]
    const { client, sent } = fakeClient(() => replies.shift() ?? json({}, { status: 500 }))
    const service = yield* serviceOf(client)
    const results = Chunk.toReadonlyArray(yield* Stream.runCollect(service.results("batch_1")))
    return { results, urls: sent.map(({ url }) => url) }
  })

const line = (id: string, body: object, status = 200) => ({
  id: `batch_req_${id}`,
  custom_id: id,
  response: { status_code: status, request_id: `req_${id}`, body },
  error: null
})

const outcomes = (results: ReadonlyArray<BatchService.Result>) =>
  results.map(({ id, outcome }) => [id, Either.isRight(outcome) ? outcome.right.text : outcome.left._tag])

describe("the batch service of OpenAI's responses", () => {
  it.effect("writes a request as a line with the body of a live call", () =>
    Effect.gen(function*() {
      const request = yield* asked
      const { client } = fakeClient(() => json({}))
      const service = yield* serviceOf(client)
      const { bytes } = yield* service.write(request, "r-1")
      const text = new TextDecoder().decode(bytes)
      expect(text).not.toContain("\n")
      expect(JSON.parse(text)).toEqual({
        custom_id: "r-1",
        method: "POST",
        url: "/v1/responses",
        body: yield* bodyOf(request)
      })
    }))

  it.effect("asks for no reply in the background, although live calls may", () =>
    Effect.gen(function*() {
      const request = yield* asked
      const { client } = fakeClient(() => json({}))
      const service = yield* serviceOf(client, { background: true })
      const { bytes } = yield* service.write(request, "r-1")
      expect(JSON.parse(new TextDecoder().decode(bytes)).body).not.toHaveProperty("background")
    }))

  it.effect("refuses what the API lacks before anything is sent", () =>
    Effect.gen(function*() {
      const request = yield* asked
      const { client, sent } = fakeClient(() => json({}))
      const service = yield* serviceOf(client)
      const error = yield* Effect.flip(service.write({ ...request, stop: ["END"] }, "r-1"))
      expect(error).toMatchObject({ _tag: "UnsupportedFeature", feature: "stop" })
      expect(sent).toEqual([])
    }))

  it.effect("reads text, errors and lines without an answer by their ids", () =>
    Effect.gen(function*() {
      const { results, urls } = yield* resultsOf([
        line("r-2", response([message("two")])),
        line("r-1", response([message("one")])),
        line("r-3", { error: { type: "invalid_request_error", message: "bad" } }, 400),
        line("r-4", response([], { status: "failed", error: { code: "server_error", message: "broken" } })),
        { ...line("r-5", {}, 0) },
        { ...line("r-6", {}), response: null, error: { code: "batch_expired", message: "too late" } }
      ])
      expect(outcomes(results)).toEqual([
        ["r-2", "two"],
        ["r-1", "one"],
        ["r-3", "InvalidRequest"],
        ["r-4", "ServerError"],
        ["r-5", "Unanswered"],
        ["r-6", "Unanswered"]
      ])
      expect(urls).toEqual([
        "https://api.openai.com/v1/batches/batch_1",
        "https://api.openai.com/v1/files/file-out/content"
      ])
    }))

  it.effect("gives a tool call back in the words of its request", () =>
    Effect.gen(function*() {
      const request = yield* asked
      const { client } = fakeClient(() => json({}))
      const entry = yield* (yield* serviceOf(client)).write(request, "r-1")
      const { results } = yield* resultsOf([line("r-1", response([call()]))])
      const [read] = results.map(({ outcome }) => Either.map(outcome, entry.restore))
      const reply = yield* read ?? Effect.dieMessage("no result")
      expect(reply.requestId).toBe("req_r-1")
      const [toolCall] = reply.toolCalls
      expect(toolCall).toMatchObject({ name: "add", arguments: "{\"a\":1}" })
    }))
})
