/**
 * A language model behind Anthropic's Messages API, or behind any server that speaks the same (Bedrock and Vertex gateways,
 * LiteLLM, OpenRouter, Vercel's AI gateway and so on).
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
 * import * as Anthropic from "effect-llm-resilience/provider/Anthropic"
 *
 * const program = LanguageModel.generate({
 *   prompt: "What is 27 * 453?",
 *   // What the API has and this library does not name: merged into the body.
 *   providerOptions: { top_k: 40 }
 * }).pipe(
 *   Effect.map((response) => response.text),
 *   Effect.catchTag("Overloaded", (error) => Effect.succeed(`Too busy: ${error.message}`))
 * )
 *
 * const Claude = Anthropic.layer({
 *   apiKey: Redacted.make("sk-ant-..."),
 *   model: "claude-sonnet-4-5",
 *   thinking: { budgetTokens: 2048 }
 * })
 *
 * // Ready to run; every call goes through the HttpClient you provide.
 * export const runnable = program.pipe(Effect.provide(Layer.provide(Claude, FetchHttpClient.layer)))
 *
 * @since 0.1.0
 */
import type * as HttpClient from "@effect/platform/HttpClient"
import type * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type * as Stream from "effect/Stream"
import type { InvalidOptions, Issue } from "../error/InvalidOptions.ts"
import type * as ModelError from "../error/ModelError.ts"
import type { Fields } from "../internal/record.ts"
import type * as BatchService from "../model/BatchService.ts"
import type * as LanguageModel from "../model/LanguageModel.ts"
import type { StreamPart } from "../model/StreamPart.ts"
import * as anthropicBatch from "./anthropic/batch.ts"
import * as anthropicReply from "./anthropic/reply.ts"
import * as anthropicStream from "./anthropic/stream.ts"
import * as anthropicWire from "./anthropic/wire.ts"
import * as decode from "./shared/decode.ts"
import type * as httpModel from "./shared/httpModel.ts"
import * as checks from "./shared/options.ts"
import { plainIds } from "./shared/portableHistory.ts"
import type { Wire } from "./shared/preparedRequest.ts"
import * as vendor from "./shared/vendor.ts"

/**
 * How the model thinks. Models differ in what of this they take, and refuse the rest.
 *
 * @since 0.1.0
 * @category models
 */
export interface Thinking {
  /**
   * `"enabled"` (with `budgetTokens`), `"adaptive"` (the model decides, newer models only) or `"disabled"`. Default:
   * `"enabled"` where there is a budget, else the model's own way.
   */
  readonly mode?: "enabled" | "adaptive" | "disabled" | undefined
  /** The most tokens of thinking, 1024 or more at Anthropic; paid from the same purse as the reply. */
  readonly budgetTokens?: number | undefined
  /** Whether thinking is shown or only signed. Default: the model's own way. */
  readonly display?: "summarized" | "omitted" | undefined
  /** `"low"`, `"medium"`, `"high"` or what else the model takes: how much it puts into its whole reply. */
  readonly effort?: string | undefined
}

/**
 * How the schemas of a request are written: `"anthropic"` is the part of JSON Schema to which the API holds the model.
 *
 * @since 0.1.0
 * @category models
 */
export interface Dialects {
  /** For the parameters of tools. */
  readonly tools?: "plain" | "anthropic" | undefined
  /** For `responseFormat`. */
  readonly output?: "plain" | "anthropic" | undefined
}

/**
 * How to reach the model. Only `model` is always required; a missing key is allowed for any base URL but Anthropic's own.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** The model's name, for example `"claude-sonnet-4-5"`. */
  readonly model: string
  /** Sent as `x-api-key`. Required for `https://api.anthropic.com`; gateways may want a header of their own instead. */
  readonly apiKey?: Redacted.Redacted<string> | undefined
  /**
   * Where the API is, without `/v1/messages`, as in Anthropic's own SDKs; an address that already ends in `/v1` is taken too.
   * Default: `"https://api.anthropic.com"`.
   */
  readonly baseUrl?: string | undefined
  /**
   * The most tokens of a reply whose request names no `maxOutputTokens`, 1 or more: the API does not go without. A thinking
   * budget is added to it, as it is paid from the same purse. Default: 4096.
   */
  readonly maxOutputTokens?: number | undefined
  /** Sent as `thinking` and `output_config.effort`; a request's `providerOptions` can replace it. Default: nothing. */
  readonly thinking?: Thinking | undefined
  /**
   * More headers; they win over ours, for example `"anthropic-beta"` or another `"anthropic-version"`. Wrap secret ones in
   * `Redacted`, so that spans do not show them.
   */
  readonly headers?: { readonly [name: string]: string | Redacted.Redacted<string> } | undefined
  /** The name in errors and spans. Default: `"anthropic"`. */
  readonly provider?: string | undefined
  /**
   * What the model can take. Default: tools, images and structured output. Models up to Claude 4.5 go on with the text of a
   * last assistant message, so for these `resume: { continuation: "prefill" }` lets a stream that broke be continued; later
   * ones refuse it, and can be asked to by `"followUp"`.
   */
  readonly capabilities?: Partial<LanguageModel.Capabilities> | undefined
  /** The largest reply that is read, in bytes, 1024 or more. Default: 16 MiB. */
  readonly maxBodyBytes?: number | undefined
  /** The largest event of a stream that is read, in bytes, 1024 or more. Default: 4 MiB. */
  readonly maxEventBytes?: number | undefined
  /** The most tool calls that one reply may have; one with more is a `MalformedResponse`. Default: 256. */
  readonly maxToolCalls?: number | undefined
  /**
   * How schemas are written for the API, see `SchemaDialect` and the table at {@link make}. What a dialect cannot carry
   * fails the request before it is sent; `SchemaDialect.forToolkit` tells it when the tools are registered.
   */
  readonly dialects?: Dialects | undefined
}

/**
 * The defaults of {@link Options}, and the version of the API that is asked for.
 *
 * @since 0.1.0
 * @category defaults
 */
export const defaults = {
  baseUrl: "https://api.anthropic.com",
  provider: "anthropic",
  version: "2023-06-01",
  maxOutputTokens: 4096,
  dialects: { tools: "plain", output: "anthropic" },
  ...checks.defaults
} as const

const keyPlace = "https://console.anthropic.com/settings/keys"

const issuesOf = ({ maxOutputTokens, thinking }: Options): ReadonlyArray<Issue> => [
  ...checks.countIssues("maxOutputTokens", maxOutputTokens, "tokens"),
  ...checks.countIssues("thinking.budgetTokens", thinking?.budgetTokens, "tokens"),
  ...checks.textIssues("thinking.effort", thinking?.effort),
  ...checks.oneOf("thinking.mode", thinking?.mode, ["enabled", "adaptive", "disabled"]),
  ...checks.oneOf("thinking.display", thinking?.display, ["summarized", "omitted"]),
  ...(thinking?.mode === "enabled" && thinking.budgetTokens === undefined
    ? [{
      path: "thinking.budgetTokens",
      found: "nothing",
      allowed: "a whole number of tokens, as the mode is \"enabled\""
    }]
    : [])
]

/** A budget alone means that thinking is enabled. */
const thinkingOf = ({ thinking }: Options): Fields | undefined => {
  const mode = thinking?.mode ?? (thinking?.budgetTokens === undefined ? undefined : "enabled")
  return mode === undefined ? undefined : {
    type: mode,
    ...(mode === "enabled" ? { budget_tokens: thinking?.budgetTokens } : {}),
    ...(thinking?.display === undefined ? {} : { display: thinking.display })
  }
}

/** The API takes 64 letters, digits, `_` and `-` as an id, and in the name of a property a dot besides. */
const wire: Wire = {
  ids: plainIds(64),
  toolName: /^[a-zA-Z0-9_-]{1,64}$/,
  floor: { numericEnums: "taken", references: "free", propertyName: /^[a-zA-Z0-9_.-]{1,64}$/ }
}

const path = (baseUrl: string): string =>
  new URL(baseUrl).pathname.replace(/(?<!\/)\/+$/, "").endsWith("/v1") ? "/messages" : "/v1/messages"

/** Sent without a message, the request would only be refused by the API. */
const fault = (request: LanguageModel.Request, provider: string): httpModel.Fault | undefined =>
  request.providerOptions?.["messages"] !== undefined || anthropicWire.hasContent(request.prompt, provider)
    ? undefined
    : {
      param: "prompt",
      message: "prompt has no content that can be sent: instructions alone, or blank text, are not enough for this API"
    }

const provider = vendor.provider<Options, anthropicStream.State>({
  module: "Anthropic",
  defaults,
  example: "claude-sonnet-4-5",
  added: "/messages",
  dialects: { known: ["plain", "anthropic"], usual: () => defaults.dialects },
  keyRule: (host) => ({
    isNeeded: host === "api.anthropic.com",
    remedy: `a key of ${keyPlace}, as Redacted; or the baseUrl of a server that needs none`
  }),
  issues: issuesOf,
  headers: ({ apiKey }) => ({
    "anthropic-version": defaults.version,
    ...(apiKey === undefined ? {} : { "x-api-key": Redacted.value(apiKey) })
  }),
  protocol: (options, baseUrl) => {
    const url = checks.endpoint(baseUrl, path(baseUrl))
    const provider = options.provider ?? defaults.provider
    const dialect: anthropicWire.Dialect = {
      maxOutputTokens: options.maxOutputTokens ?? defaults.maxOutputTokens,
      thinking: thinkingOf(options),
      effort: options.thinking?.effort
    }
    return {
      url: () => url,
      api: "the Messages API",
      lacks: [],
      wire,
      fault: (request) => fault(request, provider),
      encode: (prepared) => anthropicWire.encode(options.model, prepared, dialect),
      reply: anthropicReply.decode,
      decoder: (facts) => anthropicStream.decoder(facts, "nothing")
    }
  },
  batch: (_, baseUrl) => anthropicBatch.wire(checks.endpoint(baseUrl, `${path(baseUrl)}/batches`)),
  variableNames: { apiKey: ["ANTHROPIC_API_KEY"], baseUrl: "ANTHROPIC_BASE_URL", model: "ANTHROPIC_MODEL" },
  variables: {
    apiKey: {
      name: "ANTHROPIC_API_KEY",
      remedy:
        `the environment variable set to a key of ${keyPlace}, without blanks or line breaks; or ANTHROPIC_BASE_URL set to a server that needs no key`
    },
    baseUrl: { name: "ANTHROPIC_BASE_URL", remedy: "" },
    model: {
      name: "ANTHROPIC_MODEL",
      remedy: "the environment variable set to the name of a model, such as claude-sonnet-4-5; or the option model"
    }
  },
  configured: (options, configured) => ({ ...options, ...configured })
})

/**
 * A language model over the `HttpClient` of the context.
 *
 * Fails with `InvalidOptions`, naming every wrong option, what was found and what is allowed. Calls fail with `ModelError`:
 * `ConnectionFailed` when the server cannot be reached or the connection breaks before the reply, `Truncated` when it breaks
 * within, `MalformedResponse` for a reply that is no message or is larger than `maxBodyBytes`, `ContentFiltered` for a
 * refusal without a word (one behind some words is a reply with the finish reason `"content-filter"`), and what `ProviderError.fromResponse` says for the provider's own errors, also those that come with
 * status 200 or inside a stream. Interrupting a call aborts its request.
 *
 * How a request is written: instructions go to the front, wherever they stand; neighbouring messages of one role become one,
 * tool results first; blank text is left out. `seed`, the two penalties and the detail of images do not exist in this API and
 * are left out (the rule is at `LanguageModel.Request`). `responseFormat` is sent as `output_config.format`, without a beta
 * header; servers that do not know it want `capabilities: { structuredOutput: false }`. What the API has beyond `LanguageModel.Request` (`top_k`, `cache_control`, `service_tier`, server tools, …) goes
 * into `providerOptions`, and the beta headers that belong to it into `headers`.
 *
 * | schema of | default dialect | sent as |
 * |---|---|---|
 * | tools | `"plain"` | `input_schema`; `"anthropic"` adds `strict: true` |
 * | `responseFormat` | `"anthropic"` | `output_config.format`; most of what `"plain"` adds is refused by the API |
 *
 * A schema that its dialect cannot carry is an `InvalidRequest` before anything is sent, which names tool, place and the way
 * out. Calls stay in the conversation as they were written, each with its dialect.
 *
 * Thinking of earlier replies goes back as it came and where it stood, with its signature, redacted thinking too: the API
 * wants it so while tools are called. It is kept in `providerMetadata` of the reasoning parts. Thinking without a signature, or signed
 * for another `provider` name, is left out, as is thinking at the end of a message, which the API refuses.
 *
 * How a reply is read: what Anthropic does itself (web search, code execution, MCP, fallbacks) and what comes of it are
 * `ProviderPart`s between the text, nothing to run, and go back to the letter. `pause_turn` is the finish reason `"unknown"`,
 * as the turn is not over: send the reply back as it is, which `ToolLoop.run` does by itself. Input tokens include those
 * read from and written to the cache.
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
 * Anthropic's Message Batches as a `BatchService`: many requests in one job, for `VendorBatch.run`. The options are those of {@link make};
 * requests and replies are written and read as those of live calls are.
 * At most 100 000 requests and 256 MB a job. The service keeps nothing of ours by which a job could be found, so one whose id
 * was lost is found by its time and the number of its requests.
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
 * {@link make} from the configuration: `ANTHROPIC_API_KEY` (required unless `ANTHROPIC_BASE_URL` names another server than
 * Anthropic's), `ANTHROPIC_BASE_URL` (default `https://api.anthropic.com`) and `ANTHROPIC_MODEL`. What the configuration
 * leaves out is taken from `options`. Fails with `InvalidOptions`, which names the variables and how to set them.
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
 * Reads the bytes of a stream of the Messages API, wherever they come from: a recording, a queue, a client of your own.
 *
 * Only `message_stop` ends a reply: without it the stream fails with `Truncated`, which holds the text so far. An event that
 * is not what the protocol says is a `MalformedResponse`, an error inside the stream what `ProviderError.fromStreamEvent`
 * says. A failure of the bytes passes through, unless the reply was over by then.
 *
 * A second `message_start` of the same message is ignored. One of another message before the end of the first, as gateways
 * send it that lost their connection and asked again, is a `Reset` (the case of vercel/ai#18331).
 *
 * A recording of a whole turn, where a message that waits for tools (`tool_use`, `pause_turn`) is followed by the next one,
 * is one stream with a `Seam` between its messages; its `Finish` is that of the last. So after these two reasons the bytes
 * are read to their end; after all others the stream ends at once. A `LanguageModel` always ends at `message_stop`.
 *
 * @since 0.1.0
 * @category conversions
 */
export const decodeStream = (
  options: decode.StreamOptions = {}
): <E, R>(bytes: Stream.Stream<Uint8Array, E, R>) => Stream.Stream<StreamPart, E | ModelError.ModelError, R> =>
  decode.bytes(
    anthropicStream.decoder({ provider: options.provider ?? defaults.provider, model: options.model }, "messages"),
    options
  )
