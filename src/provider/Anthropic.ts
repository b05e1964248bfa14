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
 *   providerOptions: { thinking: { type: "enabled", budget_tokens: 2048 } }
 * }).pipe(
 *   Effect.map((response) => response.text),
 *   Effect.catchTag("Overloaded", (error) => Effect.succeed(`Too busy: ${error.message}`))
 * )
 *
 * const Claude = Anthropic.layer({ apiKey: Redacted.make("sk-ant-..."), model: "claude-sonnet-4-5" })
 *
 * // Ready to run; every call goes through the HttpClient you provide.
 * export const runnable = program.pipe(Effect.provide(Layer.provide(Claude, FetchHttpClient.layer)))
 *
 * @since 0.1.0
 */
import type * as HttpClient from "@effect/platform/HttpClient"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import { found, InvalidOptions, type Issue } from "../error/InvalidOptions.ts"
import * as ModelError from "../error/ModelError.ts"
import * as LanguageModel from "../model/LanguageModel.ts"
import type { StreamPart } from "../model/StreamPart.ts"
import * as anthropicReply from "./internal/anthropicReply.ts"
import * as anthropicStream from "./internal/anthropicStream.ts"
import * as anthropicWire from "./internal/anthropicWire.ts"
import * as decode from "./internal/decode.ts"
import * as httpModel from "./internal/httpModel.ts"
import * as checks from "./internal/options.ts"

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
   * budget in `providerOptions` is added to it, as it is paid from the same purse. Default: 4096.
   */
  readonly maxOutputTokens?: number | undefined
  /**
   * More headers; they win over ours, for example `"anthropic-beta"` or another `"anthropic-version"`. Wrap secret ones in
   * `Redacted`, so that spans do not show them.
   */
  readonly headers?: { readonly [name: string]: string | Redacted.Redacted<string> } | undefined
  /** The name in errors and spans. Default: `"anthropic"`. */
  readonly provider?: string | undefined
  /** What the model can take. Default: tools and images both. */
  readonly capabilities?: Partial<LanguageModel.Capabilities> | undefined
  /** The largest reply that is read, in bytes, 1024 or more. Default: 16 MiB. */
  readonly maxBodyBytes?: number | undefined
  /** The largest event of a stream that is read, in bytes, 1024 or more. Default: 4 MiB. */
  readonly maxEventBytes?: number | undefined
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
  ...checks.defaults
} as const

const keyRemedy =
  "a key of https://console.anthropic.com/settings/keys, as Redacted; or the baseUrl of a server that needs none"

const variables: { readonly [option: string]: checks.Variable } = {
  apiKey: {
    name: "ANTHROPIC_API_KEY",
    remedy:
      "the environment variable set to a key of https://console.anthropic.com/settings/keys, without blanks or line breaks; or ANTHROPIC_BASE_URL set to a server that needs no key"
  },
  baseUrl: { name: "ANTHROPIC_BASE_URL", remedy: "" },
  model: {
    name: "ANTHROPIC_MODEL",
    remedy: "the environment variable set to the name of a model, such as claude-sonnet-4-5; or the option model"
  }
}

const issuesOf = (options: Options): ReadonlyArray<Issue> => {
  const baseUrl = options.baseUrl ?? defaults.baseUrl
  const tokens = options.maxOutputTokens ?? defaults.maxOutputTokens
  return [
    ...checks.modelIssues(options.model, "claude-sonnet-4-5"),
    ...checks.keyIssues(options.apiKey, {
      isNeeded: checks.hostOf(baseUrl) === "api.anthropic.com",
      remedy: keyRemedy
    }),
    ...checks.baseUrlIssues(baseUrl, { example: defaults.baseUrl, added: "/messages" }),
    ...(Number.isSafeInteger(tokens) && tokens >= 1 ? [] : [{
      path: "maxOutputTokens",
      found: found(tokens),
      allowed: "a whole number of tokens, 1 or more"
    }]),
    ...checks.textIssues("provider", options.provider),
    ...checks.headerIssues(options.headers),
    ...checks.sizeIssues("maxBodyBytes", options.maxBodyBytes),
    ...checks.sizeIssues("maxEventBytes", options.maxEventBytes)
  ]
}

const path = (baseUrl: string): string =>
  new URL(baseUrl).pathname.replace(/\/+$/, "").endsWith("/v1") ? "/messages" : "/v1/messages"

const headersOf = (options: Options): { readonly [name: string]: string } => ({
  "anthropic-version": defaults.version,
  ...(options.apiKey === undefined ? {} : { "x-api-key": Redacted.value(options.apiKey) }),
  ...checks.openHeaders(options.headers)
})

/** The options as settings and protocol, or every issue at once. */
const settle = (
  options: Options
): Either.Either<readonly [httpModel.Settings, httpModel.Protocol<anthropicStream.State>], InvalidOptions> => {
  const issues = issuesOf(options)
  if (issues.length > 0) return Either.left(new InvalidOptions({ module: "Anthropic", issues }))
  const baseUrl = options.baseUrl ?? defaults.baseUrl
  const url = checks.endpoint(baseUrl, path(baseUrl))
  const limits = { maxOutputTokens: options.maxOutputTokens ?? defaults.maxOutputTokens }
  const settings: httpModel.Settings = {
    model: options.model,
    provider: options.provider ?? defaults.provider,
    headers: headersOf(options),
    secretHeaders: checks.secretNames(options.headers),
    maxBodyBytes: options.maxBodyBytes ?? defaults.maxBodyBytes,
    maxEventBytes: options.maxEventBytes ?? defaults.maxEventBytes,
    capabilities: options.capabilities
  }
  return Either.right([settings, {
    url: () => url,
    encode: (request, kind) => anthropicWire.encode(options.model, request, limits, kind),
    reply: anthropicReply.decode,
    decoder: (facts) => anthropicStream.decoder(facts, "nothing")
  }])
}

/** Sent without a message, the request would only be refused by the API. */
const refusal = (
  settings: httpModel.Settings,
  request: LanguageModel.Request
): ModelError.ModelError | undefined =>
  request.providerOptions?.["messages"] !== undefined || anthropicWire.hasContent(request.prompt)
    ? undefined
    : new ModelError.InvalidRequest({
      provider: settings.provider,
      model: settings.model,
      param: "prompt",
      billed: "no",
      cause: {
        name: "RequestCheck",
        message:
          "prompt has no content that can be sent: instructions alone, or blank text, are not enough for this API"
      }
    })

/**
 * A language model over the `HttpClient` of the context.
 *
 * Fails with `InvalidOptions`, naming every wrong option, what was found and what is allowed. Calls fail with `ModelError`:
 * `ConnectionFailed` when the server cannot be reached or the connection breaks before the reply, `Truncated` when it breaks
 * within, `MalformedResponse` for a reply that is no message or is larger than `maxBodyBytes`, `ContentFiltered` for a
 * refusal without a word, and what `ProviderError.fromResponse` says for the provider's own errors, also those that come with
 * status 200 or inside a stream. Interrupting a call aborts its request.
 *
 * How a request is written: instructions go to the front, wherever they stand; neighbouring messages of one role become one,
 * tool results first; blank text is left out. `seed`, the two penalties and the detail of images do not exist in this API and
 * are left out, as is thinking of earlier replies, which the API takes back only with its signature. What it has beyond
 * `LanguageModel.Request` (`thinking`, `top_k`, `cache_control`, `service_tier`, server tools, …) goes into
 * `providerOptions`, and the beta headers that belong to it into `headers`.
 *
 * How a reply is read: tools that Anthropic runs itself (web search, code execution, MCP) leave no part, only the text that
 * comes of them. `pause_turn` is the finish reason `"unknown"`, as the reply is not whole. Input tokens include those read
 * from and written to the cache.
 *
 * Each request carries the header `idempotency-key`: the request's own, or 128 random bits from Effect's `Random`.
 * Redirects are not followed, as the key would go with them. For that, a fetch client gets `redirect: "manual"` with every
 * request; if you have a `FetchHttpClient.RequestInit` of your own, provide it to this layer too.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  options: Options
): Effect.Effect<LanguageModel.Service<ModelError.ModelError>, InvalidOptions, HttpClient.HttpClient> =>
  Effect.gen(function*() {
    const [settings, protocol] = yield* settle(options)
    const model = yield* httpModel.make(settings, protocol)
    return {
      ...model,
      generate: (request) => {
        const refused = refusal(settings, request)
        return refused === undefined ? model.generate(request) : Effect.fail(refused)
      },
      stream: (request) => {
        const refused = refusal(settings, request)
        return refused === undefined ? model.stream(request) : Stream.fail(refused)
      }
    }
  })

/**
 * {@link make} as a layer of `LanguageModel`.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  options: Options
): Layer.Layer<LanguageModel.LanguageModel, InvalidOptions, HttpClient.HttpClient> =>
  Layer.effect(LanguageModel.LanguageModel, make(options))

/**
 * {@link make} from the configuration: `ANTHROPIC_API_KEY` (required unless `ANTHROPIC_BASE_URL` names another server than
 * Anthropic's), `ANTHROPIC_BASE_URL` (default `https://api.anthropic.com`) and `ANTHROPIC_MODEL`. What the configuration
 * leaves out is taken from `options`. Fails with `InvalidOptions`, which names the variables and how to set them.
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeConfig = (
  options: Partial<Options> = {}
): Effect.Effect<LanguageModel.Service<ModelError.ModelError>, InvalidOptions, HttpClient.HttpClient> =>
  Effect.flatMap(
    checks.configured("Anthropic", {
      apiKey: ["ANTHROPIC_API_KEY"],
      baseUrl: "ANTHROPIC_BASE_URL",
      model: "ANTHROPIC_MODEL"
    }),
    ({ apiKey, baseUrl, model }) =>
      make({
        ...options,
        apiKey: Option.getOrElse(apiKey, () => options.apiKey),
        baseUrl: Option.getOrElse(baseUrl, () => options.baseUrl),
        model: Option.getOrElse(model, () => options.model ?? "")
      }).pipe(Effect.mapError(checks.nameVariables(variables)))
  )

/**
 * {@link makeConfig} as a layer of `LanguageModel`.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerConfig = (
  options?: Partial<Options>
): Layer.Layer<LanguageModel.LanguageModel, InvalidOptions, HttpClient.HttpClient> =>
  Layer.effect(LanguageModel.LanguageModel, makeConfig(options))

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
  options: { readonly provider?: string | undefined; readonly model?: string | undefined } = {}
): <E, R>(bytes: Stream.Stream<Uint8Array, E, R>) => Stream.Stream<StreamPart, E | ModelError.ModelError, R> =>
  decode.bytes(
    anthropicStream.decoder({ provider: options.provider ?? defaults.provider, model: options.model }, "messages")
  )
