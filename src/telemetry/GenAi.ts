/**
 * Traces of model calls by the conventions of OpenTelemetry for generative AI. A `ResilientModel` writes them by itself
 * wherever a tracer is installed (`@effect/opentelemetry`, or any other of Effect's), and nothing where none is:
 *
 * | span | kind | what it is |
 * |---|---|---|
 * | `chat {model}` | client | one call as the program makes it, with all its attempts and waits |
 * | `attempt` | internal | one request to the provider; the span of HTTP is below it |
 * | `wait` | internal | the time between attempts, and why: backoff, rate limiter, queue |
 * | `execute_tool {tool}` | internal | one handler of a `ToolLoop` |
 *
 * What a policy reports (`Event`) is an event of the call's span. No prompt, answer, argument or result is in a span unless
 * `captureContent` is `"clipped"`; what an error says is not either, only its tag.
 *
 * {@link layerMetrics} records the conventions' metrics of calls beside them: how long they took, the time to the first
 * chunk of a stream, and tokens, by provider, model and error.
 *
 * All names of the conventions are still called "development" (opentelemetry.io, semantic conventions for generative AI,
 * autumn 2026), so they stand in one table, and a version chooses among them.
 *
 * @example
 * import * as Effect from "effect/Effect"
 * import * as LanguageModel from "effect-llm-resilience/model/LanguageModel"
 * import * as ResilientModel from "effect-llm-resilience/resilience/ResilientModel"
 * import * as GenAi from "effect-llm-resilience/telemetry/GenAi"
 * import * as ScriptedModel from "effect-llm-resilience/testing/ScriptedModel"
 * import * as Layer from "effect/Layer"
 *
 * const Model = ResilientModel.layer({ retry: { backoff: "immediate", attempts: 3 } }).pipe(
 *   Layer.provide(ScriptedModel.layer([ScriptedModel.text("Hello.")]))
 * )
 *
 * // Beneath any span of the program, and with a tracer beneath that: "chat scripted-model" with one "attempt".
 * const program = LanguageModel.generate({ prompt: "Say hello." }).pipe(
 *   Effect.withSpan("my request"),
 *   Effect.provide(Model),
 *   Effect.provide(GenAi.layer({ captureContent: "clipped" }))
 * )
 *
 * Effect.runPromise(program).then((response) => console.log(response.text)) // Hello.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as DefaultServices from "effect/DefaultServices"
import type * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as FiberRef from "effect/FiberRef"
import * as Layer from "effect/Layer"
import * as Tracer from "effect/Tracer"
import * as Meter from "./genAi/meter.ts"

/**
 * The year of the conventions whose names are used. `"2025"` is for dashboards that read last year's.
 *
 * @since 0.1.0
 * @category models
 */
export type Version = "2026" | "2025"

/**
 * What is written.
 *
 * @since 0.1.0
 * @category models
 */
export interface Settings {
  /** Default: `"2026"`. */
  readonly version: Version
  /**
   * Whether prompts, answers, arguments and results are written: never, or the first 4 096 characters of each, with what looks
   * like a credential hidden. Default: `"never"`.
   */
  readonly captureContent: "never" | "clipped"
}

/**
 * What is written where nothing else is said.
 *
 * @since 0.1.0
 * @category defaults
 */
export const defaults: Settings = { version: "2026", captureContent: "never" }

/**
 * The settings of the running program.
 *
 * @since 0.1.0
 * @category tags
 */
export class CurrentSettings
  extends Context.Reference<CurrentSettings>()("effect-llm-resilience/GenAi/CurrentSettings", {
    defaultValue: (): Settings => defaults
  })
{}

/**
 * Other settings for everything below.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Partial<Settings>): Layer.Layer<never> =>
  Layer.succeed(CurrentSettings, { ...defaults, ...options })

const names2026 = {
  operation: "gen_ai.operation.name",
  provider: "gen_ai.provider.name",
  requestModel: "gen_ai.request.model",
  stream: "gen_ai.request.stream",
  maxTokens: "gen_ai.request.max_tokens",
  temperature: "gen_ai.request.temperature",
  topP: "gen_ai.request.top_p",
  seed: "gen_ai.request.seed",
  stopSequences: "gen_ai.request.stop_sequences",
  frequencyPenalty: "gen_ai.request.frequency_penalty",
  presencePenalty: "gen_ai.request.presence_penalty",
  outputType: "gen_ai.output.type",
  responseId: "gen_ai.response.id",
  responseModel: "gen_ai.response.model",
  finishReasons: "gen_ai.response.finish_reasons",
  firstChunk: "gen_ai.response.time_to_first_chunk",
  inputTokens: "gen_ai.usage.input_tokens",
  outputTokens: "gen_ai.usage.output_tokens",
  cacheRead: "gen_ai.usage.cache_read.input_tokens",
  cacheWrite: "gen_ai.usage.cache_write.input_tokens",
  reasoning: "gen_ai.usage.reasoning.output_tokens",
  toolName: "gen_ai.tool.name",
  toolCallId: "gen_ai.tool.call.id",
  toolType: "gen_ai.tool.type",
  toolArguments: "gen_ai.tool.call.arguments",
  toolResult: "gen_ai.tool.call.result",
  inputMessages: "gen_ai.input.messages",
  outputMessages: "gen_ai.output.messages",
  errorType: "error.type"
} as const

/**
 * The names of one version of the conventions.
 *
 * @since 0.1.0
 * @category models
 */
export type Names = { readonly [Name in keyof typeof names2026]: string }

/**
 * The table of names. Sources: `open-telemetry/semantic-conventions-genai` for 2026, version 1.37 of the semantic
 * conventions for 2025.
 *
 * @since 0.1.0
 * @category constants
 */
export const names: { readonly [Each in Version]: Names } = {
  2026: names2026,
  2025: { ...names2026, cacheWrite: "gen_ai.usage.cache_creation.input_tokens" }
}

/**
 * How the conventions call a provider: `gcp.gemini` for Gemini, others by their own name.
 *
 * @since 0.1.0
 * @category constants
 */
export const providerName = (provider: string): string => provider === "gemini" ? "gcp.gemini" : provider

/** The tracer that nobody has installed: its spans reach nobody. */
const native = Context.get(DefaultServices.liveServices, Tracer.Tracer)

/**
 * Whether somebody sees the spans of this fiber: a tracer is installed, or there is a span around it, and tracing is not
 * switched off.
 *
 * @since 0.1.0
 * @category guards
 */
export const isTraced = (fiber: Fiber.RuntimeFiber<unknown, unknown>): boolean =>
  (fiber.currentSpan !== undefined || Context.get(fiber.currentDefaultServices, Tracer.Tracer) !== native) &&
  fiber.getFiberRef(FiberRef.currentTracerEnabled)

/**
 * A call that has ended, as its metrics tell it.
 *
 * @since 0.1.0
 * @category models
 */
export type Call = Meter.Call

/**
 * What records calls; nothing by default.
 *
 * @since 0.1.0
 * @category tags
 */
export class CurrentMeter extends Context.Reference<CurrentMeter>()("effect-llm-resilience/GenAi/CurrentMeter", {
  defaultValue: (): ((call: Call) => Effect.Effect<void>) | undefined => undefined
}) {}

/**
 * Records every call of a `ResilientModel` below it in Effect's metrics, which any exporter of them shows: in the names of
 * the version, with the boundaries that the conventions advise. The first 100 models and kinds of error have series of
 * their own, all further ones share `other`. Retries are part of their call and are not counted again.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerMetrics = (options: { readonly version?: Version | undefined } = {}): Layer.Layer<never> =>
  Layer.sync(CurrentMeter, () => Meter.make(options.version ?? defaults.version))
