/** Events as log lines: at which level, and with which facts. */
import * as Effect from "effect/Effect"
import * as Event from "../Event.ts"

/**
 * What a person has to look at is a warning, what happens in bad weather is info, and the rest is there for whoever looks
 * closely. What repeats for every call while a circuit is open is debug: that it opened was a warning, once.
 */
const levels: { readonly [Tag in Event.Tag]: "Warning" | "Info" | "Debug" } = {
  Retried: "Info",
  GaveUp: "Warning",
  Recovered: "Info",
  TimedOut: "Info",
  ToolCallsRejected: "Info",
  AnswerRejected: "Info",
  Reasked: "Info",
  ToolRan: "Debug",
  ToolFailed: "Warning",
  CircuitOpened: "Warning",
  CircuitHalfOpened: "Info",
  CircuitClosed: "Info",
  CircuitIsolated: "Warning",
  CircuitDisabled: "Warning",
  CircuitRefused: "Debug",
  ThrottleRefused: "Debug",
  BulkheadRefused: "Debug",
  ConcurrencyLimitChanged: "Debug",
  RateLimitDelayed: "Debug",
  RateLimitRefused: "Info",
  RateLimitPaused: "Warning",
  RateLimitLearned: "Debug",
  RetryBudgetExhausted: "Warning",
  Hedged: "Debug",
  HedgeWon: "Debug",
  FellBack: "Warning",
  Degraded: "Warning",
  NestedRetry: "Warning",
  ConfigSwapped: "Info"
}

export const levelOf = (event: Event.Event): "Warning" | "Info" | "Debug" => levels[event._tag]

/** The line of an event. What a model or a tool said is not in it. */
const textOf = (event: Event.Event): string => {
  switch (event._tag) {
    case "ToolCallsRejected":
      return `${event.name}: refused tool calls (${event.kinds.join(", ")})`
    case "AnswerRejected":
      return `${event.name}: refused the answer (${event.kind})`
    case "ToolFailed":
      return `${event.name}: ${event.tool} failed, and the model was told`
    default:
      return Event.describe(event)
  }
}

/** What programs that read logs can count by. */
const factsOf = (event: Event.Event): Record<string, unknown> => ({
  "llm_resilience.event": event._tag,
  "llm_resilience.policy": event.name,
  ...("attempt" in event ? { "llm_resilience.attempt": event.attempt } : {}),
  ...("error" in event ? { "error.type": Event.errorTag(event.error) } : {})
})

const logs = { Warning: Effect.logWarning, Info: Effect.logInfo, Debug: Effect.logDebug } as const

export const log = (event: Event.Event): Effect.Effect<void> =>
  Effect.annotateLogs(logs[levelOf(event)](textOf(event)), factsOf(event))
