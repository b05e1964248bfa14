/** Names that a wire refuses, there and back; and a tool that must be called where the vendor does not let it be forced. */
import * as HttpClient from "@effect/platform/HttpClient"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type * as LanguageModel from "../../src/model/LanguageModel.ts"
import * as Prompt from "../../src/model/Prompt.ts"
import * as Tool from "../../src/model/Tool.ts"
import * as Toolkit from "../../src/model/Toolkit.ts"
import * as Anthropic from "../../src/provider/Anthropic.ts"
import * as Gemini from "../../src/provider/Gemini.ts"
import * as GenerateObject from "../../src/resilience/GenerateObject.ts"
import * as ToolLoop from "../../src/resilience/ToolLoop.ts"
import * as anthropic from "./fakeAnthropic.ts"
import * as gemini from "./fakeGemini.ts"
import { fakeClient, json } from "./fakeOpenAi.ts"

const render = Tool.make("3d_render", { parameters: Schema.Struct({ $top: Schema.Int }) })
const other = Tool.make("_3d_render", { parameters: Schema.Struct({ q: Schema.String }) })

const replies = (...bodies: ReadonlyArray<() => globalThis.Response>) => {
  let next = 0
  return () => bodies[Math.min(next++, bodies.length - 1)]?.() ?? json({})
}

const eventStream = (text: string): globalThis.Response =>
  new globalThis.Response(text, { headers: { "content-type": "text/event-stream" } })

describe("A tool whose name Gemini refuses", () => {
  const functionCall = { functionCall: { name: "_3d_render_2", args: { _top: 1 } } }
  const earlier = Prompt.make([
    Prompt.user("Hi"),
    Prompt.assistant([{ _tag: "ToolCall", id: "c", name: "3d_render", arguments: "{\"$top\":0}" }]),
    Prompt.toolResult({ id: "c", name: "3d_render", content: "done" }),
    Prompt.user("Again")
  ])

  it.effect("has another on the wire: offered, forced and in what was said before", () =>
    Effect.gen(function*() {
      const tools = yield* Toolkit.make(render, other)
      expect(yield* gemini.bodyOf({ prompt: earlier, tools, toolChoice: { tool: "3d_render" } })).toMatchObject({
        tools: [{ functionDeclarations: [{ name: "_3d_render_2" }, { name: "_3d_render" }] }],
        toolConfig: { functionCallingConfig: { mode: "ANY", allowedFunctionNames: ["_3d_render_2"] } },
        contents: [
          {},
          { parts: [{ functionCall: { name: "_3d_render_2", args: { _top: 0 } } }] },
          { parts: [{ functionResponse: { name: "_3d_render_2" } }] },
          {}
        ]
      })
    }))

  it.effect("has its own again in a reply and in a stream, from the start of the call on", () =>
    Effect.gen(function*() {
      const tools = yield* Toolkit.make(render, other)
      const { result } = yield* gemini.ask(() => json(gemini.answer(functionCall)), { prompt: "Hi", tools })
      const reply = yield* result
      expect(reply.toolCalls).toMatchObject([{ name: "3d_render", arguments: "{\"$top\":1}" }])
      const { client } = fakeClient(() => eventStream(gemini.events(gemini.answer(functionCall))))
      const parts = yield* Gemini.make(gemini.options).pipe(
        Effect.flatMap((model) => Stream.runCollect(model.stream({ prompt: "Hi", tools }))),
        Effect.provideService(HttpClient.HttpClient, client)
      )
      expect([...parts].filter(({ _tag }) => _tag === "ToolCallStart" || _tag === "ToolCall")).toMatchObject([
        { _tag: "ToolCallStart", name: "3d_render" },
        { _tag: "ToolCall", name: "3d_render", arguments: "{\"$top\":1}" }
      ])
    }))

  it.effect("runs in a tool loop under its own", () =>
    Effect.gen(function*() {
      const toolkit = yield* Toolkit.make(render)
      const { client, sent } = fakeClient(
        replies(
          () => json(gemini.answer({ functionCall: { name: "_3d_render", args: { _top: 7 } } })),
          () => json(gemini.answer({ text: "Seven." }))
        )
      )
      const outcome = yield* ToolLoop.run({
        prompt: "Hi",
        toolkit,
        handlers: { "3d_render": ({ $top }) => Effect.succeed(`top ${$top}`) }
      }).pipe(
        Effect.provide(Gemini.layer(gemini.options)),
        Effect.provideService(HttpClient.HttpClient, client)
      )
      expect(outcome.response.text).toBe("Seven.")
      expect(sent[1]?.body).toMatchObject({
        contents: [{}, { parts: [{ functionCall: { name: "_3d_render" } }] }, {
          parts: [{ functionResponse: { name: "_3d_render", response: { output: "top 7" } } }]
        }]
      })
    }))
})

describe("A forced tool with Anthropic's thinking", () => {
  const answer = { name: "answer", schema: Schema.Struct({ a: Schema.String }) }
  const asked = (thinking: object) => {
    const { client, sent } = fakeClient(
      replies(
        () => json(anthropic.said("The answer is x.")),
        () =>
          json(anthropic.message([{ type: "tool_use", id: "t", name: "answer", input: { a: "x" } }], {
            stop_reason: "tool_use"
          }))
      )
    )
    return GenerateObject.call({ prompt: "Hi", output: answer, mode: "tool", providerOptions: { thinking } }).pipe(
      Effect.provide(Anthropic.layer(anthropic.options)),
      Effect.provideService(HttpClient.HttpClient, client),
      Effect.map((outcome) => ({ outcome, sent }))
    )
  }

  it.effect("is asked for in words, and prose is asked again", () =>
    Effect.gen(function*() {
      for (const thinking of [{ type: "enabled", budget_tokens: 2048 }, { type: "adaptive" }]) {
        const { outcome, sent } = yield* asked(thinking)
        expect(outcome).toMatchObject({ value: { a: "x" }, source: "call", reasks: 1 })
        for (const { body } of sent) {
          expect(body).toMatchObject({
            tool_choice: { type: "auto" },
            system: "Answer by calling the tool \"answer\", and with nothing else."
          })
        }
        expect(sent[1]?.body).toMatchObject({
          messages: [{}, { role: "assistant", content: [{ text: "The answer is x." }] }, { role: "user" }]
        })
      }
    }))

  it.effect("is forced where thinking is off", () =>
    Effect.gen(function*() {
      const { sent } = yield* asked({ type: "disabled" })
      expect(sent[0]?.body).toMatchObject({ tool_choice: { type: "tool", name: "answer" } })
      expect(sent[0]?.body).not.toHaveProperty("system")
    }))

  it.effect("keeps the instructions that the prompt has", () =>
    Effect.gen(function*() {
      const tools = yield* Toolkit.make(other)
      const prompt = Prompt.make([Prompt.system("Be kind."), Prompt.user("Hi")])
      const request: LanguageModel.Request = { prompt, tools, toolChoice: "required", parallelToolCalls: false }
      expect(yield* anthropic.bodyOf({ ...request, providerOptions: { thinking: { type: "adaptive" } } }))
        .toMatchObject({
          system: [{ text: "Be kind." }, { text: "Answer by calling a tool, and with nothing else." }],
          tool_choice: { type: "auto", disable_parallel_tool_use: true }
        })
    }))
})
