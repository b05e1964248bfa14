/**
 * A language model behind Google's Gemini API (`generateContent`), or behind any server that speaks the same (Vertex AI,
 * gateways).
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
 * import * as Gemini from "effect-llm-resilience/provider/Gemini"
 *
 * const program = LanguageModel.generate({
 *   prompt: "Say hello",
 *   // What the request does not name is merged into the body.
 *   providerOptions: { generationConfig: { thinkingConfig: { thinkingBudget: 0 } } }
 * }).pipe(
 *   Effect.map((response) => response.text),
 *   Effect.catchTag("Overloaded", (error) => Effect.succeed(`Too busy: ${error.message}`))
 * )
 *
 * const Google = Gemini.layer({ apiKey: Redacted.make("AIza..."), model: "gemini-2.5-flash" })
 *
 * // Ready to run; every call goes through the HttpClient you provide.
 * export const runnable = program.pipe(Effect.provide(Layer.provide(Google, FetchHttpClient.layer)))
 *
 * @since 0.1.0
 */
import type * as HttpClient from "@effect/platform/HttpClient"
import type * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type * as Stream from "effect/Stream"
import { found, type InvalidOptions, type Issue } from "../error/InvalidOptions.ts"
import type * as ModelError from "../error/ModelError.ts"
import type { Fields } from "../internal/record.ts"
import type * as BatchService from "../model/BatchService.ts"
import type * as LanguageModel from "../model/LanguageModel.ts"
import type { StreamPart } from "../model/StreamPart.ts"
import * as geminiBatch from "./gemini/batch.ts"
import * as geminiReply from "./gemini/reply.ts"
import * as geminiStream from "./gemini/stream.ts"
import * as geminiWire from "./gemini/wire.ts"
import * as decode from "./shared/decode.ts"
import * as checks from "./shared/options.ts"
import { anyIds } from "./shared/portableHistory.ts"
import type { Wire } from "./shared/preparedRequest.ts"
import * as vendor from "./shared/vendor.ts"

/**
 * How the model thinks. Models differ in what of this they take, and refuse the rest.
 *
 * @since 0.1.0
 * @category models
 */
export interface Thinking {
  /** The most tokens of thinking: 0 for none, -1 to let the model decide. Gemini 2.5 and before. */
  readonly budgetTokens?: number | undefined
  /** `"minimal"`, `"low"`, `"medium"` or `"high"`. Gemini 3 and later. */
  readonly level?: string | undefined
  /** Whether a summary of the thoughts is sent, which comes as reasoning parts. Default: left out. */
  readonly thoughts?: "include" | "leave-out" | undefined
}

/**
 * How the schemas of a request are written: `"gemini"` is the part of JSON Schema that all models know.
 *
 * @since 0.1.0
 * @category models
 */
export interface Dialects {
  /** For the parameters of tools. */
  readonly tools?: "plain" | "gemini" | undefined
  /** For `responseFormat`. */
  readonly output?: "plain" | "gemini" | undefined
}

/**
 * How to reach the model. Only `model` is always required; a missing key is allowed for any base URL but Google's own.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** The model's name, for example `"gemini-2.5-flash"`; one with a slash (`"tunedModels/mine"`) is the whole path. */
  readonly model: string
  /** Sent as `x-goog-api-key`, never in the address. Required for `https://generativelanguage.googleapis.com`. */
  readonly apiKey?: Redacted.Redacted<string> | undefined
  /**
   * Where the API is, without `/models/…`; a query is kept. To an address without a path `/v1beta` is added, as Google's own
   * SDKs do. Default: `"https://generativelanguage.googleapis.com/v1beta"`.
   */
  readonly baseUrl?: string | undefined
  /**
   * More headers; they win over ours, for example `authorization` for Vertex AI. Wrap secret ones in `Redacted`, so that
   * spans do not show them.
   */
  readonly headers?: { readonly [name: string]: string | Redacted.Redacted<string> } | undefined
  /** Sent as `generationConfig.thinkingConfig`; a request's `providerOptions` can replace it. Default: nothing. */
  readonly thinking?: Thinking | undefined
  /** The name in errors and spans. Default: `"google"`. */
  readonly provider?: string | undefined
  /**
   * What the model can take. Default: tools, images and structured output. With `resume: { continuation: "followUp" }` a
   * stream that broke can be continued by asking the model to.
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
  /**
   * How {@link makeBatchService} sends the requests of a job: as a file, or `"inline"` within the request that makes the job,
   * for servers without files; then a job takes 19 MB. Default: `"file"`.
   */
  readonly batchInput?: "file" | "inline" | undefined
}

/**
 * The defaults of {@link Options}.
 *
 * @since 0.1.0
 * @category defaults
 */
export const defaults = {
  baseUrl: "https://generativelanguage.googleapis.com/v1beta",
  provider: "google",
  dialects: { tools: "plain", output: "plain" },
  batchInput: "file",
  ...checks.defaults
} as const

const keyPlace = "https://aistudio.google.com/apikey"

/** The name of a function begins with a letter or `_`; ids mean nothing to the API unless it made them itself. */
const wire: Wire = {
  ids: anyIds,
  toolName: /^[a-zA-Z_][a-zA-Z0-9_.:-]{0,63}$/,
  floor: { numericEnums: "refused", references: "bound", propertyName: /^[a-zA-Z0-9_.-]{1,64}$/ }
}

/** Segments that would lead out of the path of the API. */
const modelPathIssues = (model: unknown): ReadonlyArray<Issue> =>
  typeof model === "string" && model.split("/").some((segment) => segment === "." || segment === "..")
    ? [{ path: "model", found: JSON.stringify(model), allowed: "the name of a model, such as \"gemini-2.5-flash\"" }]
    : []

const endpoint = (baseUrl: string, model: string, kind: "generate" | "stream"): string => {
  const version = new URL(baseUrl).pathname === "/" ? "/v1beta" : ""
  return kind === "generate"
    ? checks.endpoint(baseUrl, version + geminiWire.path(model, "generateContent"))
    : checks.endpoint(baseUrl, version + geminiWire.path(model, "streamGenerateContent"), { alt: "sse" })
}

const thinkingOf = ({ thinking }: Options): Fields | undefined =>
  thinking === undefined ? undefined : {
    ...(thinking.budgetTokens === undefined ? {} : { thinkingBudget: thinking.budgetTokens }),
    ...(thinking.level === undefined ? {} : { thinkingLevel: thinking.level }),
    ...(thinking.thoughts === undefined ? {} : { includeThoughts: thinking.thoughts === "include" })
  }

const budgetIssues = (budget: number | undefined): ReadonlyArray<Issue> =>
  budget === undefined || (Number.isSafeInteger(budget) && budget >= -1) ? [] : [{
    path: "thinking.budgetTokens",
    found: found(budget),
    allowed: "a whole number of tokens; 0 for none, -1 to let the model decide"
  }]

const provider = vendor.provider<Options, geminiStream.State>({
  module: "Gemini",
  defaults,
  example: "gemini-2.5-flash",
  added: "/models",
  dialects: { known: ["plain", "gemini"], usual: () => defaults.dialects },
  keyRule: (host) => ({
    isNeeded: host === "generativelanguage.googleapis.com",
    remedy: `a key of ${keyPlace}, as Redacted; or the baseUrl of a server that needs none`
  }),
  issues: ({ batchInput, model, thinking }) => [
    ...modelPathIssues(model),
    ...budgetIssues(thinking?.budgetTokens),
    ...checks.oneOf("batchInput", batchInput, ["file", "inline"]),
    ...checks.textIssues("thinking.level", thinking?.level),
    ...checks.oneOf("thinking.thoughts", thinking?.thoughts, ["include", "leave-out"])
  ],
  headers: ({ apiKey }): { readonly [name: string]: string } =>
    apiKey === undefined ? {} : { "x-goog-api-key": Redacted.value(apiKey) },
  protocol: (options, baseUrl) => {
    const urls = {
      generate: endpoint(baseUrl, options.model, "generate"),
      stream: endpoint(baseUrl, options.model, "stream")
    }
    const thinking = thinkingOf(options)
    return {
      url: (kind) => urls[kind],
      api: "the Gemini API",
      lacks: ["parallelToolCalls"],
      wire,
      encode: (prepared) => geminiWire.encode(options.model, prepared, thinking),
      reply: geminiReply.decode,
      decoder: geminiStream.decoder
    }
  },
  batch: (options, baseUrl) => geminiBatch.wire(baseUrl, options.model, options.batchInput ?? defaults.batchInput),
  variableNames: { apiKey: ["GEMINI_API_KEY", "GOOGLE_API_KEY"], baseUrl: "GEMINI_BASE_URL", model: "GEMINI_MODEL" },
  variables: {
    apiKey: {
      name: "GEMINI_API_KEY",
      remedy:
        `the environment variable (or GOOGLE_API_KEY) set to a key of ${keyPlace}, without blanks or line breaks; or GEMINI_BASE_URL set to a server that needs no key`
    },
    baseUrl: { name: "GEMINI_BASE_URL", remedy: "" },
    model: {
      name: "GEMINI_MODEL",
      remedy: "the environment variable set to the name of a model, such as gemini-2.5-flash; or the option model"
    }
  },
  configured: (options, configured) => ({ ...options, ...configured })
})

/**
 * A language model over the `HttpClient` of the context.
 *
 * Fails with `InvalidOptions`, naming every wrong option, what was found and what is allowed. Calls fail with `ModelError`:
 * `ConnectionFailed` when the server cannot be reached or the connection breaks before the reply, `Truncated` when it breaks
 * within, `MalformedResponse` for a reply that breaks the protocol or is larger than `maxBodyBytes`, `ContentFiltered` where
 * prompt or reply were blocked, `InvalidToolCall` for a reply that ends with `MALFORMED_FUNCTION_CALL`, and what
 * `ProviderError.fromResponse` says for the API's own errors. Interrupting a call aborts its request.
 *
 * `providerOptions` are merged into the body, object by object: `{ generationConfig: { topK: 40 }, safetySettings: [...] }`.
 * `thinkingConfig` may stand by itself. The API has no way to forbid parallel tool calls, so `parallelToolCalls: false` fails
 * with `UnsupportedFeature`; `user` and the detail of an image are not sent (the rule is at `LanguageModel.Request`).
 * Output tokens include thoughts, which the API counts apart.
 *
 * | schema of | default dialect | sent as |
 * |---|---|---|
 * | tools | `"plain"` | `parametersJsonSchema`; in `"gemini"` as `parameters`, none for a tool that takes nothing |
 * | `responseFormat` | `"plain"` | `responseJsonSchema`; in `"gemini"` as `responseSchema` |
 *
 * Models before Gemini 3 refuse `responseFormat` together with tools. A schema that its dialect cannot carry is an
 * `InvalidRequest` before anything is sent, which names tool, place and the way out. Calls stay in the conversation as they
 * were written, each with its dialect.
 *
 * Calls without an id get one, made from the reply's own id. Signatures of thoughts (`providerMetadata` of a part) go back on the part
 * they came with, be it a call, a text or a text without characters; calls that have none, being another provider's, go to
 * Gemini 3 with Google's mark for an absent signature. Thoughts without a signature are not sent back. Code that Gemini ran
 * and what came of it, and the grounding of an answer, are `ProviderPart`s, nothing to run; code and its results go back as
 * they came.
 *
 * Each request carries the header `idempotency-key`: the request's own, or 128 random bits from Effect's `Random`. Redirects are not followed, as the key would go with them.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make: (
  options: Options
) => Effect.Effect<LanguageModel.Service<ModelError.ModelError>, InvalidOptions, HttpClient.HttpClient> = provider.make

/**
 * Gemini's batch mode as a `BatchService`: many requests in one job, for `VendorBatch.run`. The options are those of {@link make};
 * requests and replies are written and read as those of live calls are.
 * Requests and results go as files, up to 200 MB a job: results within the job's own reply lose their keys now and then, and
 * large ones cannot be read at all.
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
 * {@link make} from the configuration: `GEMINI_API_KEY`, or else `GOOGLE_API_KEY` (one is required unless `GEMINI_BASE_URL`
 * names another server than Google's), `GEMINI_BASE_URL` and `GEMINI_MODEL`. What the configuration leaves out is taken from
 * `options`. Fails with `InvalidOptions`, which names the variables and how to set them.
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
 * Reads the bytes of a `streamGenerateContent?alt=sse` stream, wherever they come from: a recording, a queue, a client of
 * your own. It is what `LanguageModel.stream` does with the reply of the server.
 *
 * Chunks may be cut anywhere. The reply is over when the bytes end (or `[DONE]` comes) after a finish reason; without one it
 * fails with `Truncated`, which holds the text so far. A chunk that is not what the protocol says is a `MalformedResponse`,
 * an error inside the stream, with or without `data:`, what `ProviderError.fromStreamEvent` says. The list of chunks that
 * the API sends without `alt=sse` is read too, once it is whole.
 *
 * @since 0.1.0
 * @category conversions
 */
export const decodeStream = (
  options: decode.StreamOptions = {}
): <E, R>(bytes: Stream.Stream<Uint8Array, E, R>) => Stream.Stream<StreamPart, E | ModelError.ModelError, R> =>
  decode.bytes(geminiStream.decoder({ provider: options.provider ?? defaults.provider, model: options.model }), options)
