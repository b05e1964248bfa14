/**
 * A language model behind OpenAI's Responses API, or behind any server that speaks the same (Azure's v1, xAI, LM Studio,
 * vLLM, Ollama and others of the Open Responses kind).
 *
 * Nothing is kept at the provider: each request carries the whole conversation, and `store` is false unless you say
 * otherwise. The provider does no retries of its own: strengthen it with `ResilientModel`. Every failure is a `ModelError`,
 * and none holds the key.
 *
 * What `LanguageModel.Request` does not name goes into `providerOptions`: `text: { verbosity }`, `include`,
 * `previous_response_id`, the server's own tools and so on.
 *
 * @example
 * import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
 * import * as Effect from "effect/Effect"
 * import * as Layer from "effect/Layer"
 * import * as Redacted from "effect/Redacted"
 * import * as LanguageModel from "effect-llm-resilience/model/LanguageModel"
 * import * as OpenAiResponses from "effect-llm-resilience/provider/OpenAiResponses"
 *
 * const program = LanguageModel.generate({ prompt: "Say hello", maxOutputTokens: 200 }).pipe(
 *   Effect.map((response) => response.text),
 *   Effect.catchTag("RateLimited", (error) => Effect.succeed(`Too busy: ${error.message}`))
 * )
 *
 * const OpenAi = OpenAiResponses.layer({
 *   apiKey: Redacted.make("sk-..."),
 *   model: "gpt-5-mini",
 *   reasoning: { effort: "low", summary: "auto" }
 * })
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
import { found, type Issue } from "../error/InvalidOptions.ts"
import type * as ModelError from "../error/ModelError.ts"
import type * as BatchService from "../model/BatchService.ts"
import type * as LanguageModel from "../model/LanguageModel.ts"
import type { StreamPart } from "../model/StreamPart.ts"
import * as background from "./openAiResponses/background.ts"
import * as openAiResponsesReply from "./openAiResponses/reply.ts"
import type { State } from "./openAiResponses/state.ts"
import * as openAiResponsesStream from "./openAiResponses/stream.ts"
import * as openAiResponsesWire from "./openAiResponses/wire.ts"
import * as decode from "./shared/decode.ts"
import * as openAiBatch from "./shared/openAiBatch.ts"
import * as openAi from "./shared/openAiOptions.ts"
import * as checks from "./shared/options.ts"
import { plainIds } from "./shared/portableHistory.ts"
import type { Wire } from "./shared/preparedRequest.ts"
import * as vendor from "./shared/vendor.ts"

/**
 * How much the model thinks, and whether it tells. Models that do not reason refuse both.
 *
 * @since 0.1.0
 * @category models
 */
export interface Reasoning {
  /** `"none"`, `"minimal"`, `"low"`, `"medium"`, `"high"` or what else the model takes. Default: the model's own. */
  readonly effort?: string | undefined
  /** Asks for a summary of the reasoning, which comes as reasoning parts. Default: none. */
  readonly summary?: "auto" | "concise" | "detailed" | undefined
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
  /** The model's name, for example `"gpt-5-mini"`. */
  readonly model: string
  /** Sent as `Authorization: Bearer …`. Required for `https://api.openai.com`; local servers often need none. */
  readonly apiKey?: Redacted.Redacted<string> | undefined
  /**
   * Where the API is, without `/responses`; a query such as `?api-version=…` is kept. Default:
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
   * Whether the provider keeps the reply, to be continued with `previous_response_id` or read in its console. The API's
   * own default is true; ours is false, as nothing here needs it. Default: `false`.
   */
  readonly store?: boolean | undefined
  /**
   * Whether the server makes replies in the background, so that one whose stream broke is gone on with and nothing is paid
   * twice: then the model has `resumable`, which a policy's `onBreak: "resume"` uses. It asks with `background: true` and
   * `store: true` (unless `store` here or in the request's `providerOptions` is false, which OpenAI may refuse); the
   * provider then keeps the reply for its own time, some minutes at least. A stored reply holds no encrypted reasoning, so
   * none is sent back with the next request. Background replies begin later than others. `generate` and `stream` never ask
   * for one. Default: `true` at OpenAI and Azure, `false` at all other base URLs.
   */
  readonly background?: boolean | undefined
  /** Sent as `reasoning`; a request's `providerOptions` can replace it. Default: nothing is sent. */
  readonly reasoning?: Reasoning | undefined
  /**
   * Whether the reasoning of earlier replies is sent back, as items with `reasoning_text`. Servers of open-weight models
   * want it while tools are called; OpenAI itself takes back only items of its own and refuses these. Default: `"none"`.
   */
  readonly reasoningItems?: "none" | "reasoning_text" | undefined
  /**
   * Whether reasoning is asked for in the encrypted form in which it can be sent back (`include:
   * ["reasoning.encrypted_content"]`). Models that do not reason refuse that, so `"auto"` asks models with a name that is
   * known to reason (`o…`, `gpt-5…`, `codex…`, `grok-4…`), and all where `reasoning` is given; not where the provider stores
   * the reply. Default: `"auto"`.
   */
  readonly encryptedReasoning?: "auto" | "include" | "none" | undefined
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
  ...checks.defaults,
  dialects: openAi.ownDialects,
  store: false,
  reasoningItems: "none",
  encryptedReasoning: "auto"
} as const

const path = "/responses"

/** The API takes 64 characters as the id of a call. */
const wire: Wire = {
  ids: plainIds(64),
  toolName: /^[a-zA-Z0-9_-]{1,64}$/,
  floor: { numericEnums: "taken", references: "free" }
}

const switchIssues = (path: string, value: unknown): ReadonlyArray<Issue> =>
  value === undefined || typeof value === "boolean" ? [] : [{ path, found: found(value), allowed: "true or false" }]

/** Models that reason, by the names OpenAI and xAI give them; a gateway puts the vendor before it. */
const reasons = /^(?:[\w.-]+\/)?(?:o\d|gpt-[5-9](?!.*chat)|codex|computer-use|grok-(?:[4-9]|code)(?!.*non-reasoning))/i

/** Models that do not reason refuse to be asked for it; OpenAI itself refuses it for a reply that it stores. */
const wantsReasoning = (options: Options, store: boolean): boolean => {
  switch (options.encryptedReasoning ?? defaults.encryptedReasoning) {
    case "include":
      return true
    case "none":
      return false
    case "auto":
      return !store && (options.reasoning !== undefined || reasons.test(options.model))
  }
}

const dialectOf = (options: Options, store: boolean): openAiResponsesWire.Dialect => ({
  store,
  reasoning: options.reasoning,
  reasoningItems: options.reasoningItems ?? defaults.reasoningItems,
  encryptedReasoning: wantsReasoning(options, store)
})

const provider = vendor.provider<Options, State>({
  module: "OpenAiResponses",
  defaults,
  example: "gpt-5-mini",
  added: path,
  dialects: openAi.dialects,
  keyRule: openAi.keyRule,
  issues: (options) => [
    ...openAi.ownIssues(options),
    ...switchIssues("store", options.store),
    ...switchIssues("background", options.background),
    ...checks.textIssues("reasoning.effort", options.reasoning?.effort),
    ...checks.oneOf("reasoning.summary", options.reasoning?.summary, ["auto", "concise", "detailed"]),
    ...checks.oneOf("reasoningItems", options.reasoningItems, ["none", "reasoning_text"]),
    ...checks.oneOf("encryptedReasoning", options.encryptedReasoning, ["auto", "include", "none"])
  ],
  headers: openAi.headers,
  protocol: (options, baseUrl) => {
    const url = checks.endpoint(baseUrl, path)
    const dialect = dialectOf(options, options.store ?? defaults.store)
    // What is kept is stored: https://platform.openai.com/docs/guides/background
    const keptDialect = dialectOf(options, options.store ?? true)
    const hasBackground = options.background ?? openAi.isOpenAi(checks.hostOf(baseUrl))
    return {
      url: () => url,
      api: "the Responses API",
      lacks: ["stop"],
      wire,
      encode: (prepared) =>
        openAiResponsesWire.encode(options.model, prepared, prepared.kind === "background" ? keptDialect : dialect),
      reply: openAiResponsesReply.decode,
      decoder: (facts) => openAiResponsesStream.decoder(facts, "one"),
      keeps: hasBackground ? background.keeps(url) : undefined
    }
  },
  batch: (_, baseUrl) => openAiBatch.wire("openai-responses-batch", baseUrl, path),
  variableNames: openAi.variableNames,
  variables: openAi.variables,
  configured: (options, configured) => ({ ...options, ...configured })
})

/**
 * A language model over the `HttpClient` of the context.
 *
 * Fails with `InvalidOptions`, naming every wrong option, what was found and what is allowed. Calls fail with `ModelError`:
 * `UnsupportedFeature` for `stop`, which this API does not have (it has no `seed` either: that is left out; the rule is at
 * `LanguageModel.Request`),
 * `ConnectionFailed` when the server cannot be reached or the connection breaks before the reply, `Truncated` when it breaks
 * within, `MalformedResponse` for a reply that is no response or is larger than `maxBodyBytes`, and what
 * `ProviderError.fromResponse` says for the provider's own errors, also those that come with status 200. Interrupting a call
 * aborts its request.
 *
 * Reasoning that came encrypted goes back as it came, before what came of it; it is kept in `providerMetadata` of the reasoning parts.
 * Another server cannot read it and refuses the request, so give servers that answer by turns (OpenAI and Azure, say) names
 * of their own with `provider`: what one wrote is then not sent to the other.
 *
 * | schema of | default dialect | sent as |
 * |---|---|---|
 * | tools | `"plain"` | `parameters` |
 * | `responseFormat` | `"openai-strict"` at OpenAI and Azure, `"plain"` at all other base URLs | `text.format` |
 *
 * `strict` is true in `"openai-strict"` and false or absent in `"plain"`. A schema that its dialect cannot carry is an
 * `InvalidRequest` before anything is sent, which names tool, place and the way out. Calls stay in the conversation as they
 * were written, each with its dialect.
 *
 * Where the server makes replies in the background (see `background` of {@link Options}), `resumable` asks for one. Its `resume`
 * goes on behind the last event that was read; events that come again are skipped, and a missing one is a
 * `MalformedResponse`. A reply too old to be streamed (five minutes at OpenAI) is polled until it is finished, at most for an
 * hour, and its rest comes in one go. `ResumeExpired` is told where the provider has it no more, where it failed or was
 * cancelled there, where its stream broke before its id was known, and where it does not fit what was delivered. An account or
 * server that refuses such replies is `UnsupportedFeature` with the feature `"background responses"`, before anything is
 * paid; for ten minutes `resumable` then fails so at once, as it does for `providerOptions: { background: false }`. Ask for an
 * ordinary `stream` then. `cancel` takes 5 seconds at most.
 *
 * `providerOptions` win over everything, but `text` is merged into it and `include` is added to.
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
 * OpenAI's Batch API for responses as a `BatchService`: many requests in one job, for `VendorBatch.run`. The options are those of {@link make};
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
 * Reads the bytes of an event stream of the Responses API, wherever they come from: a recording, a queue, a client of your
 * own. Chunks may be cut anywhere.
 *
 * A reply ends with `response.completed` or `response.incomplete`; a stream without them fails with `Truncated`, which holds
 * the text so far (a `[DONE]` in their place gives a `Finish` of unknown reason). An event that is not what the protocol
 * says is a `MalformedResponse`; an error event and `response.failed` are what `ProviderError.fromStreamEvent` says. A
 * failure of the bytes passes through, unless the reply was over by then.
 *
 * Unlike `LanguageModel.stream`, which is over with its reply, this reads the bytes to their end: several replies in a row,
 * as recordings of a tool loop hold them, come out as one stream, each with its `Finish` and joined by `Seam`.
 *
 * @since 0.1.0
 * @category conversions
 */
export const decodeStream = (
  options: decode.StreamOptions = {}
): <E, R>(
  bytes: Stream.Stream<Uint8Array, E, R>
) => Stream.Stream<StreamPart, E | ModelError.ModelError, R> =>
  decode.bytes(
    openAiResponsesStream.decoder({ provider: options.provider ?? defaults.provider, model: options.model }, "all"),
    options
  )
