/**
 * A language model behind OpenAI's chat completions, or behind any server that speaks the same (vLLM, Ollama, Groq,
 * DeepSeek, Mistral, OpenRouter, Azure's v1 and so on).
 *
 * The provider does no retries of its own: strengthen it with `ResilientModel`. Every failure is a `ModelError`, and none
 * holds the key.
 *
 * @example
 * import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
 * import * as Effect from "effect/Effect"
 * import * as Layer from "effect/Layer"
 * import * as Redacted from "effect/Redacted"
 * import * as LanguageModel from "effect-llm-resilience/model/LanguageModel"
 * import * as OpenAiChat from "effect-llm-resilience/provider/OpenAiChat"
 *
 * const program = LanguageModel.generate({ prompt: "Say hello", maxOutputTokens: 20 }).pipe(
 *   Effect.map((response) => response.text),
 *   Effect.catchTag("RateLimited", (error) => Effect.succeed(`Too busy: ${error.message}`))
 * )
 *
 * const OpenAi = OpenAiChat.layer({ apiKey: Redacted.make("sk-..."), model: "gpt-4o-mini" })
 *
 * // Ready to run; every call goes through the HttpClient you provide.
 * export const runnable = program.pipe(Effect.provide(Layer.provide(OpenAi, FetchHttpClient.layer)))
 *
 * @since 0.1.0
 */
import type * as HttpClient from "@effect/platform/HttpClient"
import type * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Redacted from "effect/Redacted"
import type * as Stream from "effect/Stream"
import type { InvalidOptions } from "../error/InvalidOptions.ts"
import type * as ModelError from "../error/ModelError.ts"
import type * as BatchService from "../model/BatchService.ts"
import type * as LanguageModel from "../model/LanguageModel.ts"
import type { StreamPart } from "../model/StreamPart.ts"
import * as openAiChatReply from "./openAiChat/reply.ts"
import * as openAiChatStream from "./openAiChat/stream.ts"
import * as openAiChatWire from "./openAiChat/wire.ts"
import * as decode from "./shared/decode.ts"
import * as openAiBatch from "./shared/openAiBatch.ts"
import * as openAi from "./shared/openAiOptions.ts"
import * as checks from "./shared/options.ts"
import { nineLetters, plainIds } from "./shared/portableHistory.ts"
import type { Wire } from "./shared/preparedRequest.ts"
import * as vendor from "./shared/vendor.ts"

/**
 * How much the model thinks. Models that do not reason refuse it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Reasoning {
  /** `"none"`, `"minimal"`, `"low"`, `"medium"`, `"high"` or what else the model takes. Default: the model's own. */
  readonly effort?: string | undefined
}

/**
 * How the schemas of a request are written: `"openai-strict"` is the part of JSON Schema to which the API holds the model.
 *
 * @since 0.1.0
 * @category models
 */
export interface Dialects {
  /** For the parameters of tools. */
  readonly tools?: "plain" | "openai-strict" | undefined
  /** For `responseFormat`. */
  readonly output?: "plain" | "openai-strict" | undefined
}

/**
 * How to reach the model. Only `model` is always required; a missing key is allowed for any base URL but OpenAI's own.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** The model's name, for example `"gpt-4o-mini"`. */
  readonly model: string
  /** Sent as `Authorization: Bearer …`. Required for `https://api.openai.com`; local servers often need none. */
  readonly apiKey?: Redacted.Redacted<string> | undefined
  /**
   * Where the API is, without `/chat/completions`; a query such as `?api-version=…` is kept. Default:
   * `"https://api.openai.com/v1"`.
   */
  readonly baseUrl?: string | undefined
  /** Sent as `OpenAI-Organization`. */
  readonly organization?: string | undefined
  /** Sent as `OpenAI-Project`. */
  readonly project?: string | undefined
  /** More headers; they win over ours. Wrap secret ones in `Redacted`, so that spans do not show them. */
  readonly headers?: { readonly [name: string]: string | Redacted.Redacted<string> } | undefined
  /** The name in errors and spans. Default: `"openai"`. */
  readonly provider?: string | undefined
  /** What the model can take. Default: tools, images and structured output. */
  readonly capabilities?: Partial<LanguageModel.Capabilities> | undefined
  /** The largest reply that is read, in bytes, 1024 or more. Default: 16 MiB. */
  readonly maxBodyBytes?: number | undefined
  /** The largest event of a stream that is read, in bytes, 1024 or more. Default: 4 MiB. */
  readonly maxEventBytes?: number | undefined
  /** The most tool calls that one reply may have; one with more is a `MalformedResponse`. Default: 256. */
  readonly maxToolCalls?: number | undefined
  /**
   * How the server calls the limit of output tokens. Default: `"max_completion_tokens"` for the hosts of OpenAI and Azure,
   * `"max_tokens"` for all others, which mostly know no other name.
   */
  readonly maxTokensField?: "max_tokens" | "max_completion_tokens" | undefined
  /**
   * Whether the reasoning of earlier replies is sent back, and under which name. DeepSeek wants `"reasoning_content"` while
   * tools are called; most servers refuse it. Default: `"none"`.
   */
  readonly reasoningField?: "none" | "reasoning_content" | undefined
  /** Sent as `reasoning_effort`; a request's `providerOptions` can replace it. Default: nothing is sent. */
  readonly reasoning?: Reasoning | undefined
  /**
   * Whether a stream asks for its usage with `stream_options`. `"none"` is for servers that refuse the field; their streams
   * then mostly have a usage of zero. Default: `"ask"`.
   */
  readonly streamUsage?: "ask" | "none" | undefined
  /**
   * How the server is told to go on with the text of a last assistant message, where it can: `"prefix"` marks the message
   * (Mistral, DeepSeek's beta URL), `"continue_final_message"` the request (vLLM, SGLang). It declares the capability
   * `resume.continuation: "prefill"`, by which a stream that broke can be continued. Default: `"none"`.
   */
  readonly prefill?: "none" | "prefix" | "continue_final_message" | undefined
  /**
   * How schemas are written for the API, see `SchemaDialect` and the table at {@link make}. What a dialect cannot carry
   * fails the request before it is sent; `SchemaDialect.forToolkit` tells it when the tools are registered.
   */
  readonly dialects?: Dialects | undefined
}

/**
 * The defaults of {@link Options}.
 *
 * @since 0.1.0
 * @category defaults
 */
export const defaults = {
  baseUrl: openAi.baseUrl,
  provider: "openai",
  maxBodyBytes: checks.defaults.maxBodyBytes,
  maxEventBytes: checks.defaults.maxEventBytes,
  maxToolCalls: checks.defaults.maxToolCalls,
  dialects: openAi.ownDialects,
  reasoningField: "none",
  streamUsage: "ask",
  prefill: "none"
} as const

const path = "/chat/completions"

/** OpenAI takes 40 characters as the id of a call, and 1024 as the description of a tool. */
const ownWire: Wire = {
  ids: plainIds(40),
  toolName: /^[a-zA-Z0-9_-]{1,64}$/,
  floor: { numericEnums: "taken", references: "free" },
  longestDescription: 1024
}

/** Mistral takes nine letters and digits, also where another server serves its models. */
const mistralWire: Wire = { ...ownWire, ids: nineLetters }

const isMistral = ({ model, provider }: Options, baseUrl: string): boolean =>
  /mistral/i.test(provider ?? "") || /(?:^|\.)mistral\.ai$/.test(checks.hostOf(baseUrl) ?? "") ||
  /(?:mistral|ministral|magistral|codestral|devstral|pixtral|mixtral)/i.test(model)

/** Unless several alternatives are asked for, all that comes is one reply. */
const expectedOf = ({ providerOptions, tools }: LanguageModel.Request): openAiChatStream.Expected => {
  const alternatives = providerOptions?.["n"]
  return {
    choices: typeof alternatives === "number" && alternatives > 1 ? "several" : "one",
    tools: tools === undefined ? undefined : new Set(tools.tools.map(({ name }) => name))
  }
}

const provider = vendor.provider<Options, openAiChatStream.State>({
  module: "OpenAiChat",
  defaults,
  example: "gpt-4o-mini",
  added: path,
  dialects: openAi.dialects,
  keyRule: openAi.keyRule,
  issues: (options) => [
    ...openAi.ownIssues(options),
    ...checks.oneOf("maxTokensField", options.maxTokensField, ["max_tokens", "max_completion_tokens"]),
    ...checks.oneOf("reasoningField", options.reasoningField, ["none", "reasoning_content"]),
    ...checks.oneOf("streamUsage", options.streamUsage, ["ask", "none"]),
    ...checks.oneOf("prefill", options.prefill, ["none", "prefix", "continue_final_message"]),
    ...checks.textIssues("reasoning.effort", options.reasoning?.effort)
  ],
  headers: openAi.headers,
  capabilities: ({ capabilities, prefill = defaults.prefill }) =>
    prefill === "none"
      ? capabilities
      : { ...capabilities, resume: { continuation: "prefill", ...capabilities?.resume } },
  protocol: (options, baseUrl) => {
    const url = checks.endpoint(baseUrl, path)
    const dialect: openAiChatWire.Dialect = {
      maxTokensField: options.maxTokensField ??
        (openAi.isOpenAi(checks.hostOf(baseUrl)) ? "max_completion_tokens" : "max_tokens"),
      reasoningField: options.reasoningField ?? defaults.reasoningField,
      streamUsage: options.streamUsage ?? defaults.streamUsage,
      reasoningEffort: options.reasoning?.effort,
      prefill: options.prefill ?? defaults.prefill
    }
    return {
      url: () => url,
      api: "the chat completions API",
      lacks: [],
      wire: isMistral(options, baseUrl) ? mistralWire : ownWire,
      encode: (prepared) => openAiChatWire.encode(options.model, prepared, dialect),
      reply: openAiChatReply.decode,
      decoder: (facts, request) => openAiChatStream.decoder(facts, expectedOf(request))
    }
  },
  batch: (_, baseUrl) => openAiBatch.wire("openai-chat-batch", baseUrl, path),
  variableNames: openAi.variableNames,
  variables: openAi.variables,
  configured: (options, configured) => ({ ...options, ...configured })
})

/**
 * A language model over the `HttpClient` of the context.
 *
 * Fails with `InvalidOptions`, naming every wrong option, what was found and what is allowed. Calls fail with `ModelError`:
 * `ConnectionFailed` when the server cannot be reached or the connection breaks before the reply, `Truncated` when it breaks
 * within, `MalformedResponse` for a reply that is no chat completion or is larger than `maxBodyBytes`, and what
 * `ProviderError.fromResponse` says for the provider's own errors, also those that come with status 200. Interrupting a call
 * aborts its request.
 *
 * | schema of | default dialect | sent as |
 * |---|---|---|
 * | tools | `"plain"` | `function.parameters` |
 * | `responseFormat` | `"openai-strict"` at OpenAI and Azure, `"plain"` at all other base URLs | `response_format.json_schema` |
 *
 * `strict` is true in `"openai-strict"` and false or absent in `"plain"`. A schema that its dialect cannot carry is an
 * `InvalidRequest` before anything is sent, which names tool, place and the way out. Calls stay in the conversation as they
 * were written, each with its dialect.
 *
 * For servers that do not know `response_format` set `capabilities: { structuredOutput: false }`. What a server adds to a tool call (`extra_content`, where Gemini's OpenAI
 * endpoint puts a signature) is kept in `providerMetadata` of the call and goes back with it.
 *
 * Each request carries the header `idempotency-key`: the request's own, or 128 random bits from Effect's `Random`.
 * Redirects are not followed, as the key would go with them. For that, a fetch client gets `redirect: "manual"` with every
 * request; if you have a `FetchHttpClient.RequestInit` of your own, provide it to this layer too.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make: (
  options: Options
) => Effect.Effect<LanguageModel.Service<ModelError.ModelError>, InvalidOptions, HttpClient.HttpClient> = provider.make

/**
 * OpenAI's Batch API for chat completions as a `BatchService`: many requests in one job, for `VendorBatch.run`. The options are those of {@link make};
 * requests and replies are written and read as those of live calls are.
 * At most 50 000 requests and 200 MB a job.
 *
 * Fails with `InvalidOptions`, as {@link make} does.
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeBatchService: (
  options: Options
) => Effect.Effect<BatchService.Service, InvalidOptions, HttpClient.HttpClient> = provider.makeBatchService

/**
 * {@link makeBatchService} from the configuration, with the variables of {@link makeConfig}.
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeBatchServiceConfig: (
  options?: Partial<Options>
) => Effect.Effect<BatchService.Service, InvalidOptions, HttpClient.HttpClient> = provider.makeBatchServiceConfig

/**
 * {@link make} as a layer of `LanguageModel`.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer: (
  options: Options
) => Layer.Layer<LanguageModel.LanguageModel, InvalidOptions, HttpClient.HttpClient> = provider.layer

/**
 * {@link make} from the configuration: `OPENAI_API_KEY` (required unless `OPENAI_BASE_URL` names another server than
 * OpenAI's), `OPENAI_BASE_URL` (default `https://api.openai.com/v1`) and `OPENAI_MODEL`. What the configuration leaves out is
 * taken from `options`. Fails with `InvalidOptions`, which names the variables and how to set them.
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeConfig: (
  options?: Partial<Options>
) => Effect.Effect<LanguageModel.Service<ModelError.ModelError>, InvalidOptions, HttpClient.HttpClient> =
  provider.makeConfig

/**
 * {@link makeConfig} as a layer of `LanguageModel`.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerConfig: (
  options?: Partial<Options>
) => Layer.Layer<LanguageModel.LanguageModel, InvalidOptions, HttpClient.HttpClient> = provider.layerConfig

/**
 * Reads the bytes of a chat completion stream, wherever they come from: a recording, a queue, a client of your own. It is
 * what `LanguageModel.stream` does with the reply of the server.
 *
 * Chunks may be cut anywhere. The reply ends with `[DONE]` or a finish reason; a stream with neither fails with
 * `Truncated`, which holds the text so far. A chunk that is not what the protocol says is a `MalformedResponse`, an error
 * inside the stream what `ProviderError.fromStreamEvent` says. A failure of the bytes passes through, unless the reply was
 * over by then.
 *
 * @since 0.1.0
 * @category conversions
 */
export const decodeStream = (
  options: decode.StreamOptions = {}
): <E, R>(bytes: Stream.Stream<Uint8Array, E, R>) => Stream.Stream<StreamPart, E | ModelError.ModelError, R> =>
  decode.bytes(
    openAiChatStream.decoder({ provider: options.provider ?? defaults.provider, model: options.model }),
    options
  )
