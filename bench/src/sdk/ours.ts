/** Our providers as clients of the same server. */
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Redacted from "effect/Redacted"
import type * as LanguageModel from "../../../src/model/LanguageModel.ts"
import * as StreamPart from "../../../src/model/StreamPart.ts"
import * as Anthropic from "../../../src/provider/Anthropic.ts"
import * as Gemini from "../../../src/provider/Gemini.ts"
import * as OpenAiChat from "../../../src/provider/OpenAiChat.ts"
import * as OpenAiResponses from "../../../src/provider/OpenAiResponses.ts"
import type * as ChaosServer from "../../../src/chaos/ChaosServer.ts"
import { type Answer, parsed, said } from "./answer.ts"
import { type Asked, toolkit } from "./asked.ts"

export type Wire = "openai-chat" | "openai-responses" | "anthropic" | "gemini"

const modelOf = (wire: Wire, urls: ChaosServer.Service["baseUrls"], { apiKey, model }: Asked) => {
  const options = { apiKey: Redacted.make(apiKey), model }
  switch (wire) {
    case "openai-chat":
      return OpenAiChat.make({ ...options, baseUrl: urls.openAiChat })
    case "openai-responses":
      return OpenAiResponses.make({ ...options, baseUrl: urls.openAiResponses })
    case "anthropic":
      return Anthropic.make({ ...options, baseUrl: urls.anthropic })
    case "gemini":
      return Gemini.make({ ...options, baseUrl: urls.gemini })
  }
}

/** The answer, and how long a 429 asks to wait, in milliseconds. */
export interface Ours {
  readonly answer: Answer
  readonly wait: number | undefined
}

export const ours = (
  wire: Wire,
  urls: ChaosServer.Service["baseUrls"],
  asked: Asked,
  streaming: boolean
): Effect.Effect<Ours> => {
  const request: LanguageModel.Request = asked.tools ? { prompt: asked.text, tools: toolkit } : { prompt: asked.text }
  const call = modelOf(wire, urls, asked).pipe(
    Effect.orDie,
    Effect.flatMap((model) => streaming ? StreamPart.collect(model.stream(request)) : model.generate(request))
  )
  return Effect.map(Effect.either(call), (result): Ours => {
    if (Either.isLeft(result)) {
      const error = result.left
      const wait = "retryAfter" in error && error.retryAfter !== undefined ? Duration.toMillis(error.retryAfter) : undefined
      return {
        answer: { _tag: "Failed", error: error._tag, words: error.message.replace(/\s+/g, " ").slice(0, 120) },
        wait
      }
    }
    const { finishReason, text, toolCalls, usage } = result.right
    return {
      answer: said({
        text,
        calls: toolCalls.map((each) => ({ name: each.name, arguments: parsed(each.arguments) })),
        usage: [usage.inputTokens, usage.outputTokens, usage.totalTokens],
        finish: finishReason
      }),
      wait: undefined
    }
  }).pipe(Effect.provide(FetchHttpClient.layer))
}
