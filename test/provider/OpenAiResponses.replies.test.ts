import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as Prompt from "../../src/model/Prompt.ts"
import { runs } from "../runs.ts"
import { json } from "./fakeOpenAi.ts"
import { answered, ask, bodyOf, call, failed, message, response } from "./fakeOpenAiResponses.ts"

const reply = (output: ReadonlyArray<unknown>, rest?: object) => answered(() => json(response(output, rest)))

const incomplete = (reason: string) => ({ status: "incomplete", incomplete_details: { reason } })

describe("OpenAiResponses, a whole reply", () => {
  it.effect("is its text, with id, model, usage and the provider's own word for the end", () =>
    Effect.map(
      answered(() => json(response([message("Paris.")]), { headers: { "x-request-id": "req_1" } })),
      (answer) =>
        expect({ ...answer, usage: { ...answer.usage } }).toEqual({
          id: "resp_1",
          model: "gpt-5-mini-2025-08-07",
          parts: [{ _tag: "Text", text: "Paris." }],
          finishReason: "stop",
          rawFinishReason: "completed",
          usage: { inputTokens: 9, outputTokens: 5, totalTokens: 14, reasoningTokens: 2, cachedInputTokens: 3 },
          requestId: "req_1"
        })
    ))

  it.effect("keeps the order of reasoning, text and calls, the server's own work among them", () =>
    Effect.map(
      reply([
        { type: "reasoning", id: "rs_1", summary: [{ type: "summary_text", text: "First, " }] },
        { type: "web_search_call", id: "ws_1", status: "completed" },
        {
          type: "reasoning",
          summary: [],
          content: [{ type: "reasoning_text", text: "then." }],
          encrypted_content: "x"
        },
        message("I add."),
        call(),
        call({ id: "fc_2", call_id: "call_2", arguments: "" }),
        { type: "mcp_call", id: "mcp_1", name: "add", arguments: "{}" }
      ]),
      (answer) => {
        expect(answer.parts).toEqual([
          { _tag: "Reasoning", text: "First, " },
          {
            _tag: "ProviderPart",
            kind: "web_search_call",
            providerMetadata:
              "responses/openai:item:{\"type\":\"web_search_call\",\"id\":\"ws_1\",\"status\":\"completed\"}"
          },
          {
            _tag: "Reasoning",
            text: "then.",
            providerMetadata: "responses/openai:reasoning:" + JSON.stringify({
              summary: [],
              content: [{ type: "reasoning_text", text: "then." }],
              encrypted_content: "x"
            })
          },
          { _tag: "Text", text: "I add." },
          { _tag: "ToolCall", id: "call_1", name: "add", arguments: "{\"a\":1}" },
          { _tag: "ToolCall", id: "call_2", name: "add", arguments: "{}" },
          {
            _tag: "ProviderPart",
            kind: "mcp_call",
            providerMetadata:
              "responses/openai:item:{\"type\":\"mcp_call\",\"id\":\"mcp_1\",\"name\":\"add\",\"arguments\":\"{}\"}"
          }
        ])
        expect(answer.finishReason).toBe("tool-calls")
      }
    ))

  it.effect("gives each call an id of its own, and arguments sent as an object to the letter", () =>
    Effect.map(
      answered(() =>
        json(
          `{"id":"r","status":"completed","model":"m","output":[
            {"type":"function_call","call_id":"c","name":"f","arguments":{"n": 12345678901234567890}},
            {"type":"function_call","call_id":"c","name":"f","arguments":"{}"},
            {"type":"function_call","id":"fc_9","name":"f","arguments":null},
            {"type":"function_call","name":"f"}]}`
        )
      ),
      (answer) =>
        expect(answer.toolCalls.map((each) => [each.id, each.arguments])).toEqual([
          ["c", "{\"n\": 12345678901234567890}"],
          ["call_1", "{}"],
          ["fc_9", "{}"],
          ["call_3", "{}"]
        ])
    ))

  it.effect("that ran out of tokens has the finish reason length, and what was cut stays cut", () =>
    Effect.gen(function*() {
      const cut = yield* reply(
        [call({ status: "incomplete", arguments: "{\"x\":17,\"y\":25" })],
        incomplete("max_output_tokens")
      )
      expect(cut).toMatchObject({ finishReason: "length", rawFinishReason: "max_output_tokens" })
      expect(cut.toolCalls[0]?.arguments).toBe("{\"x\":17,\"y\":25")
      // As everywhere: no arguments at all are {}; the finish reason keeps the call from being run.
      expect((yield* reply([call({ arguments: "" })], incomplete("max_output_tokens"))).toolCalls[0]?.arguments).toBe(
        "{}"
      )
      // A server that calls the reply complete although it cut the call.
      expect(yield* reply([call({ status: "incomplete" })])).toMatchObject({ finishReason: "length" })
    }))

  it.effect("that was filtered has the finish reason content-filter, or fails when nothing is left", () =>
    Effect.gen(function*() {
      expect(yield* reply([message("Some")], incomplete("content_filter"))).toMatchObject({
        finishReason: "content-filter",
        rawFinishReason: "content_filter"
      })
      const error = yield* Effect.flip(reply([], incomplete("content_filter")))
      expect(error).toMatchObject({ _tag: "ContentFiltered", stage: "completion", billed: "yes", status: 200 })
      const content_filters = [{
        blocked: true,
        source_type: "prompt",
        content_filter_results: { hate: { filtered: false }, jailbreak: { filtered: true, detected: true } }
      }]
      const azure = yield* Effect.flip(reply([], { ...incomplete("content_filter"), usage: null, content_filters }))
      expect(azure).toMatchObject({
        _tag: "ContentFiltered",
        stage: "prompt",
        categories: ["jailbreak"],
        billed: "maybe"
      })
    }))

  it.effect("that refuses is content-filter, with the refusal as its text", () =>
    Effect.map(
      reply([message("", { content: [{ type: "refusal", refusal: "I can't help." }] })]),
      (answer) =>
        expect(answer).toMatchObject({
          text: "I can't help.",
          finishReason: "content-filter",
          rawFinishReason: "completed"
        })
    ))

  it.effect("with an end this library does not know is unknown, so no tool is run", () =>
    Effect.gen(function*() {
      expect(yield* reply([call()], incomplete("max_tool_calls"))).toMatchObject({
        finishReason: "unknown",
        rawFinishReason: "max_tool_calls"
      })
      expect(yield* reply([message("ok")], { status: undefined })).toMatchObject({ finishReason: "unknown" })
    }))

  it.effect("lives with servers that leave things out", () =>
    Effect.map(
      answered(() =>
        json({ status: "completed", output: [{ type: "message", content: "plain" }, { type: "new_thing" }] })
      ),
      (answer) => {
        expect(answer).toMatchObject({ text: "plain", model: "gpt-5-mini", finishReason: "stop" })
        expect(answer.usage.totalTokens).toBe(0)
      }
    ))

  it.effect("goes on in the next request", () =>
    Effect.gen(function*() {
      const { result } = yield* ask(() => json(response([message("I add."), call()])))
      const answer = yield* result
      const body = yield* bodyOf({
        prompt: Prompt.append(
          "Add.",
          Prompt.assistant(answer.parts),
          Prompt.toolResult({ id: "call_1", name: "add", content: "1" })
        )
      })
      expect(body).toMatchObject({
        input: [
          { role: "user" },
          { role: "assistant", content: "I add." },
          { type: "function_call", call_id: "call_1", arguments: "{\"a\":1}" },
          { type: "function_call_output", call_id: "call_1", output: "1" }
        ]
      })
    }))

  describe("that is none", () => {
    it.effect("is classified by its error, whatever the status says", () =>
      Effect.gen(function*() {
        const quota = { code: "insufficient_quota", message: "You exceeded your current quota" }
        expect(yield* failed(() => json(response([], { status: "failed", error: quota })))).toMatchObject({
          _tag: "QuotaExhausted",
          billed: "maybe"
        })
        expect(yield* failed(() => json({ error: { ...quota, type: "insufficient_quota" } }, { status: 429 })))
          .toMatchObject({ _tag: "QuotaExhausted", billed: "no" })
        expect(
          yield* failed(() =>
            json(
              response([], { status: "failed", error: { code: "server_error", message: "The server had an error" } })
            )
          )
        ).toMatchObject({ _tag: "ServerError" })
        expect(yield* failed(() => json({ error: { code: 429, message: "Rate limit reached" } }))).toMatchObject({
          _tag: "RateLimited"
        })
        expect(
          yield* failed(() =>
            json({ error: { type: "invalid_request_error", code: "model_not_found", message: "No such model" } }, {
              status: 400
            })
          )
        ).toMatchObject({ _tag: "ModelNotFound" })
      }))

    it.effect("is a ServerError where it fails without a word of the reason", () =>
      Effect.map(
        failed(() => json(response([], { status: "failed", error: null }))),
        (error) => expect(error).toMatchObject({ _tag: "ServerError", billed: "maybe" })
      ))

    it.effect("is MalformedResponse, saying what is wrong", () =>
      Effect.gen(function*() {
        const cases: ReadonlyArray<readonly [string, RegExp]> = [
          ["", /the body is empty/],
          ["<html><body>Welcome</body></html>", /looks like an HTML page/],
          ["[]", /no object/],
          ["{}", /output: a list of items is missing/],
          ["{\"choices\":[]}", /output: a list of items is missing/],
          ["{\"output\":[3]}", /output\.0: not an object/],
          ["{\"output\":[{\"type\":\"function_call\"}]}", /output\.0\.name/],
          ["{\"status\":\"queued\",\"output\":[]}", /not finished but "queued"/]
        ]
        for (const [body, reason] of cases) {
          const error = yield* failed(() => json(body))
          expect(error).toMatchObject({ _tag: "MalformedResponse", reason: expect.stringMatching(reason) })
        }
      }))

    it.effect("is Truncated when it ends inside", () =>
      Effect.map(
        failed(() => json(JSON.stringify(response([message("Par")])).slice(0, 120))),
        (error) => expect(error).toMatchObject({ _tag: "Truncated" })
      ))
  })

  it("never throws, whatever JSON comes", () => {
    const anything = FastCheck.jsonValue({ maxDepth: 4 })
    const item = FastCheck.record({
      type: FastCheck.constantFrom("message", "reasoning", "function_call", "other"),
      content: anything,
      summary: anything,
      name: anything,
      arguments: anything,
      status: anything
    }, { requiredKeys: [] })
    const body = FastCheck.record({
      status: FastCheck.oneof(FastCheck.constantFrom("completed", "incomplete", "failed"), anything),
      output: FastCheck.oneof(FastCheck.array(FastCheck.oneof(item, anything)), anything),
      usage: anything,
      incomplete_details: anything,
      error: anything
    }, { requiredKeys: [] })
    return Effect.runPromise(Effect.promise(() =>
      FastCheck.assert(
        FastCheck.asyncProperty(FastCheck.oneof(body, anything), async (value) => {
          const result = await Effect.runPromise(ask(() => json(JSON.stringify(value))))
          expect(["Left", "Right"]).toContain(result.result._tag)
        }),
        { numRuns: runs(60, 200), seed: 7 }
      )
    ))
  })
})
