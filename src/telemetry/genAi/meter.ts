/** The metrics of model calls by the conventions: histograms and counters with the boundaries and labels they name. */
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as MetricBoundaries from "effect/MetricBoundaries"

/** A call that has ended. */
export interface Call {
  /** As the conventions call it. */
  readonly provider: string
  readonly model: string
  readonly seconds: number
  /** Of a stream. */
  readonly secondsToFirstChunk: number | undefined
  readonly inputTokens: number | undefined
  readonly outputTokens: number | undefined
  readonly cacheReadTokens: number | undefined
  readonly reasoningTokens: number | undefined
  /** The tag of the error it ended with. */
  readonly error: string | undefined
}

export type Version = "2026" | "2025"

/** Seconds: 0.01, doubled up to 81.92. Source: the conventions' advice for durations of generative AI. */
const durations = MetricBoundaries.exponential({ start: 0.01, factor: 2, count: 14 })

/** Tokens: 1, each four times the one before, up to 67 108 864. Source: the same advice for tokens. */
const counts = MetricBoundaries.exponential({ start: 1, factor: 4, count: 14 })

const metrics2026 = {
  duration: Metric.histogram("gen_ai.client.inference.duration", durations),
  firstChunk: Metric.histogram("gen_ai.client.inference.time_to_first_chunk", durations),
  inputPerCall: Metric.histogram("gen_ai.client.inference.operation.input_tokens", counts),
  outputPerCall: Metric.histogram("gen_ai.client.inference.operation.output_tokens", counts),
  input: Metric.counter("gen_ai.client.inference.usage.input_tokens", { incremental: true }),
  output: Metric.counter("gen_ai.client.inference.usage.output_tokens", { incremental: true }),
  cacheRead: Metric.counter("gen_ai.client.inference.usage.cache_read.input_tokens", { incremental: true }),
  reasoning: Metric.counter("gen_ai.client.inference.usage.reasoning.output_tokens", { incremental: true })
} as const

const metrics2025 = {
  duration: Metric.histogram("gen_ai.client.operation.duration", durations),
  tokens: Metric.histogram("gen_ai.client.token.usage", counts)
} as const

/** How many names a label may have; Effect keeps a metric for ever once it was used. */
const mostNames = 100

const other = "other"

/** The first names as they are, all further ones as one. */
const bounded = (): (name: string) => string => {
  const known = new Set<string>()
  return (name) => {
    if (known.has(name)) return name
    if (known.size >= mostNames) return other
    known.add(name)
    return name
  }
}

/** Records calls. One for a program, since it knows which names it has given out. */
export const make = (version: Version): (call: Call) => Effect.Effect<void> => {
  const [models, errors] = [bounded(), bounded()]
  return (call) => {
    const labels: Record<string, string> = {
      "gen_ai.operation.name": "chat",
      "gen_ai.provider.name": call.provider,
      "gen_ai.request.model": models(call.model)
    }
    const tagged = <Type, In, Out>(metric: Metric.Metric<Type, In, Out>, more: Record<string, string> = {}) =>
      Object.entries({ ...labels, ...more }).reduce((self, [name, value]) => Metric.tagged(self, name, value), metric)
    const failed = call.error === undefined ? {} : { "error.type": errors(call.error) }
    const { duration } = version === "2026" ? metrics2026 : metrics2025
    const common = [
      Metric.update(tagged(duration, failed), call.seconds),
      // The conventions of 2025 have no such metric of a client.
      ...(call.secondsToFirstChunk === undefined || version === "2025"
        ? []
        : [Metric.update(tagged(metrics2026.firstChunk), call.secondsToFirstChunk)])
    ]
    const tokens = version === "2025"
      ? [
        ...(call.inputTokens === undefined
          ? []
          : [Metric.update(tagged(metrics2025.tokens, { "gen_ai.token.type": "input" }), call.inputTokens)]),
        ...(call.outputTokens === undefined
          ? []
          : [Metric.update(tagged(metrics2025.tokens, { "gen_ai.token.type": "output" }), call.outputTokens)])
      ]
      : [
        ...(call.inputTokens === undefined ? [] : [
          Metric.update(tagged(metrics2026.inputPerCall), call.inputTokens),
          Metric.update(tagged(metrics2026.input, text), call.inputTokens)
        ]),
        ...(call.outputTokens === undefined ? [] : [
          Metric.update(tagged(metrics2026.outputPerCall), call.outputTokens),
          Metric.update(tagged(metrics2026.output, text), call.outputTokens)
        ]),
        ...(call.cacheReadTokens === undefined
          ? []
          : [Metric.update(tagged(metrics2026.cacheRead, text), call.cacheReadTokens)]),
        ...(call.reasoningTokens === undefined
          ? []
          : [Metric.update(tagged(metrics2026.reasoning, text), call.reasoningTokens)])
      ]
    return Effect.all([...common, ...tokens], { discard: true })
  }
}

/** The conventions ask for the kind of content that tokens are of; providers do not tell others apart. */
const text = { "gen_ai.token.modality": "text" }
