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
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as HttpClient from "@effect/platform/HttpClient"
import * as Config from "effect/Config"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { found, InvalidOptions, type Issue } from "../error/InvalidOptions.ts"
import * as ModelError from "../error/ModelError.ts"
import { describeCause } from "../internal/redact.ts"
import * as LanguageModel from "../model/LanguageModel.ts"
import type { Response } from "../model/Response.ts"
import * as httpExchange from "./internal/httpExchange.ts"
import * as checks from "./internal/openAiChatOptions.ts"
import * as openAiChatReply from "./internal/openAiChatReply.ts"
import * as openAiChatWire from "./internal/openAiChatWire.ts"
import * as ProviderError from "./ProviderError.ts"

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
  /** What the model can take. Default: tools and images both. */
  readonly capabilities?: Partial<LanguageModel.Capabilities> | undefined
  /** The largest reply that is read, in bytes, 1024 or more. Default: 16 MiB. */
  readonly maxBodyBytes?: number | undefined
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
}

/**
 * The defaults of {@link Options}.
 *
 * @since 0.1.0
 * @category constants
 */
export const defaults = checks.defaults

const issuesOf = (options: Options): ReadonlyArray<Issue> => {
  const baseUrl = options.baseUrl ?? defaults.baseUrl
  const size = options.maxBodyBytes ?? defaults.maxBodyBytes
  return [
    ...(typeof options.model === "string" && options.model.trim() !== "" ? [] : [{
      path: "model",
      found: found(options.model),
      allowed: "the name of a model, such as \"gpt-4o-mini\""
    }]),
    ...checks.keyIssues(options.apiKey, checks.hostOf(baseUrl)),
    ...checks.baseUrlIssues(baseUrl),
    ...checks.textIssues("organization", options.organization),
    ...checks.textIssues("project", options.project),
    ...checks.textIssues("provider", options.provider),
    ...checks.headerIssues(options.headers),
    ...(Number.isSafeInteger(size) && size >= checks.smallestBody ? [] : [{
      path: "maxBodyBytes",
      found: found(size),
      allowed: `a whole number of bytes, ${checks.smallestBody} or more`
    }]),
    ...checks.oneOf("maxTokensField", options.maxTokensField, ["max_tokens", "max_completion_tokens"]),
    ...checks.oneOf("reasoningField", options.reasoningField, ["none", "reasoning_content"])
  ]
}

const headersOf = (options: Options): { readonly [name: string]: string } => ({
  accept: "application/json",
  ...(options.apiKey === undefined ? {} : { authorization: `Bearer ${Redacted.value(options.apiKey)}` }),
  ...(options.organization === undefined ? {} : { "openai-organization": options.organization }),
  ...(options.project === undefined ? {} : { "openai-project": options.project }),
  ...checks.openHeaders(options.headers)
})

/** The settings, or every issue of the options at once. */
const settle = (options: Options): Either.Either<checks.Settings, InvalidOptions> => {
  const issues = issuesOf(options)
  if (issues.length > 0) return Either.left(new InvalidOptions({ module: "OpenAiChat", issues }))
  const baseUrl = options.baseUrl ?? defaults.baseUrl
  return Either.right({
    model: options.model,
    provider: options.provider ?? defaults.provider,
    url: checks.endpoint(baseUrl),
    headers: headersOf(options),
    secretHeaders: checks.secretNames(options.headers),
    maxBodyBytes: options.maxBodyBytes ?? defaults.maxBodyBytes,
    dialect: {
      maxTokensField: options.maxTokensField ??
        (checks.isOpenAi(checks.hostOf(baseUrl)) ? "max_completion_tokens" : "max_tokens"),
      reasoningField: options.reasoningField ?? defaults.reasoningField
    }
  })
}

const encodeBody = (
  request: LanguageModel.Request,
  settings: checks.Settings
): Either.Either<string, ModelError.ModelError> =>
  Either.try({
    try: () => {
      const body = openAiChatWire.encode(settings.model, request, settings.dialect)
      if (body["stream"] === true) {
        throw new TypeError("stream: true asks for an event stream; generate reads one reply")
      }
      return JSON.stringify(body)
    },
    catch: (cause) =>
      new ModelError.InvalidRequest({
        provider: settings.provider,
        model: settings.model,
        param: "providerOptions",
        billed: "no",
        cause: describeCause(cause)
      })
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
    const client = yield* HttpClient.HttpClient
    const requestInit = Option.getOrUndefined(yield* Effect.serviceOption(FetchHttpClient.RequestInit))
    const settings = yield* settle(options)
    const { model, provider } = settings
    const generate = (request: LanguageModel.Request): Effect.Effect<Response, ModelError.ModelError> =>
      Effect.gen(function*() {
        const body = yield* encodeBody(request, settings)
        const idempotencyKey = request.idempotencyKey ?? (yield* LanguageModel.freshIdempotencyKey)
        const incoming = yield* httpExchange.post(client, {
          url: settings.url,
          headers: { "idempotency-key": idempotencyKey, ...settings.headers },
          body,
          maxBodyBytes: settings.maxBodyBytes,
          secretHeaders: settings.secretHeaders,
          requestInit
        }, { provider, model })
        const now = yield* DateTime.now
        if (incoming.status >= 200 && incoming.status <= 299) {
          return yield* openAiChatReply.decode(incoming, { provider, model }, now)
        }
        return yield* ProviderError.fromResponse({
          provider,
          model,
          status: incoming.status,
          headers: incoming.headers,
          body: incoming.text,
          now
        })
      })
    return LanguageModel.make({
      name: model,
      provider,
      capabilities: options.capabilities,
      generate
    })
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

/** A variable that is not set is absent; one that cannot be read is an issue that says why. */
const variable = <A>(name: string, config: Config.Config<A>): Effect.Effect<Option.Option<A>, Issue> =>
  Config.option(config).pipe(
    Effect.mapError((error) => ({ path: name, found: found(describeCause(error).message), allowed: "readable text" }))
  )

/**
 * {@link make} from the configuration: `OPENAI_API_KEY` (required unless `OPENAI_BASE_URL` names another server than
 * OpenAI's), `OPENAI_BASE_URL` (default `https://api.openai.com/v1`) and `OPENAI_MODEL`. What the configuration leaves out is
 * taken from `options`. Fails with `InvalidOptions`, which names the variables and how to set them.
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeConfig = (
  options: Partial<Options> = {}
): Effect.Effect<LanguageModel.Service<ModelError.ModelError>, InvalidOptions, HttpClient.HttpClient> =>
  Effect.gen(function*() {
    const [apiKey, baseUrl, model] = yield* Effect.all([
      variable("OPENAI_API_KEY", Config.redacted("OPENAI_API_KEY")),
      variable("OPENAI_BASE_URL", Config.string("OPENAI_BASE_URL")),
      variable("OPENAI_MODEL", Config.string("OPENAI_MODEL"))
    ], { mode: "validate" }).pipe(
      Effect.mapError((unreadable) =>
        new InvalidOptions({ module: "OpenAiChat", issues: unreadable.flatMap((issue) => Option.toArray(issue)) })
      )
    )
    return yield* make({
      ...options,
      apiKey: Option.getOrElse(apiKey, () => options.apiKey),
      baseUrl: Option.getOrElse(baseUrl, () => options.baseUrl),
      model: Option.getOrElse(model, () => options.model ?? "")
    }).pipe(Effect.mapError(checks.nameVariables))
  })

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
