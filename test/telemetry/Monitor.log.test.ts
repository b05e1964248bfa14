import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as HashMap from "effect/HashMap"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as TestClock from "effect/TestClock"
import * as ModelError from "../../src/error/ModelError.ts"
import * as CircuitBreaker from "../../src/policy/CircuitBreaker.ts"
import * as Retry from "../../src/policy/Retry.ts"
import * as RetryPolicy from "../../src/policy/RetryPolicy.ts"
import * as Event from "../../src/telemetry/Event.ts"
import * as Monitor from "../../src/telemetry/Monitor.ts"

/** What is logged while the effect runs: level, text, annotations. */
const logged = <A, E>(effect: Effect.Effect<A, E>) =>
  Effect.gen(function*() {
    const lines: Array<readonly [string, string, Record<string, unknown>]> = []
    const logger = Logger.make(({ annotations, logLevel, message }) => {
      lines.push([logLevel.label, String(message), Object.fromEntries(HashMap.toEntries(annotations))])
    })
    const fiber = yield* Effect.fork(
      Effect.exit(effect).pipe(
        Effect.provide(Layer.mergeAll(
          Monitor.layerLog,
          Logger.replace(Logger.defaultLogger, logger),
          Logger.minimumLogLevel(LogLevel.All)
        ))
      )
    )
    yield* TestClock.adjust("1 minute")
    yield* fiber.await
    return lines
  })

const overloaded = new ModelError.Overloaded({ provider: "p", detail: "a secret prompt" })

describe("Monitor.layerLog", () => {
  it.effect("logs a retry as info and giving up as a warning, with what programs can count by", () =>
    Effect.gen(function*() {
      const retry = RetryPolicy.constant("1 second").pipe(RetryPolicy.attempts(2))
      expect(yield* logged(Effect.fail(overloaded).pipe(Retry.apply(retry)))).toEqual([
        ["INFO", "retry: attempt 1 failed after 0 with Overloaded; next attempt in 1s", {
          "llm_resilience.event": "Retried",
          "llm_resilience.policy": "retry",
          "llm_resilience.attempt": 1,
          "error.type": "Overloaded"
        }],
        [
          "WARN",
          "retry: attempt 2 failed after 1s with Overloaded; giving up: no attempts are left",
          expect.any(Object)
        ]
      ])
    }))

  it.effect("warns of a circuit that opens once, however many calls it refuses", () =>
    Effect.gen(function*() {
      const breaker = yield* CircuitBreaker.make({ name: "p", tripping: { when: "consecutive", failures: 1 } })
      const call = Effect.ignore(Effect.fail(overloaded).pipe(CircuitBreaker.apply(breaker)))
      const lines = yield* logged(Effect.replicateEffect(call, 20, { discard: true }))
      expect(lines.filter(([level]) => level === "WARN")).toHaveLength(1)
      expect(lines.filter(([level]) => level === "DEBUG")).toHaveLength(19)
      expect(JSON.stringify(lines)).not.toContain("secret prompt")
    }))

  it.effect("logs nothing that a model or a tool said", () =>
    Effect.gen(function*() {
      const common = { at: 0, name: "loop" }
      const said = "the words of the model"
      const lines = yield* logged(Effect.all([
        Monitor.emit(Event.ToolFailed({ ...common, tool: "t", callId: "1", messageToModel: said })),
        Monitor.emit(Event.AnswerRejected({ ...common, reask: 0, kind: "NotJson", reason: said })),
        Monitor.emit(
          Event.ToolCallsRejected({ ...common, reask: 0, tools: ["t"], kinds: ["UnknownTool"], reasons: [said] })
        )
      ]))
      expect(lines).toHaveLength(3)
      expect(JSON.stringify(lines)).not.toContain(said)
    }))
})
