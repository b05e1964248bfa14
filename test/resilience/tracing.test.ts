/** The spans of calls, as an operator would look at them, in virtual time. */
import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import * as Tracer from "effect/Tracer"
import * as ModelError from "../../src/error/ModelError.ts"
import { draw } from "../../src/internal/seeded.ts"
import * as LanguageModel from "../../src/model/LanguageModel.ts"
import * as StreamPart from "../../src/model/StreamPart.ts"
import * as Tool from "../../src/model/Tool.ts"
import * as Toolkit from "../../src/model/Toolkit.ts"
import * as Pipeline from "../../src/policy/Pipeline.ts"
import * as ResilientModel from "../../src/resilience/ResilientModel.ts"
import * as ToolLoop from "../../src/resilience/ToolLoop.ts"
import * as GenAi from "../../src/telemetry/GenAi.ts"
import * as Monitor from "../../src/telemetry/Monitor.ts"
import * as ScriptedModel from "../../src/testing/ScriptedModel.ts"
import { runs } from "../runs.ts"

interface Seen {
  readonly name: string
  readonly kind: string
  readonly parent: string | undefined
  readonly id: string
  readonly attributes: Readonly<Record<string, unknown>>
  readonly events: ReadonlyArray<string>
  readonly links: ReadonlyArray<string>
  /** Milliseconds. */
  readonly from: number
  readonly until: number | undefined
  readonly failure: string | undefined
}

/** A tracer that keeps every span. */
const recording = () => {
  const spans: Array<{ -readonly [K in keyof Seen]: Seen[K] } & { readonly events: Array<string> }> = []
  const millis = (nanos: bigint) => Number(nanos) / 1e6
  const tracer = Tracer.make({
    context: (run) => run(),
    span: (name, parent, context, links, startTime, kind) => {
      const attributes: Record<string, unknown> = {}
      const events: Array<string> = []
      const linked: Array<string> = []
      const id = `${spans.length + 1}`
      const seen: { -readonly [K in keyof Seen]: Seen[K] } & { readonly events: Array<string> } = {
        name,
        kind,
        id,
        parent: Option.getOrUndefined(Option.map(parent, ({ spanId }) => spanId)),
        attributes,
        events,
        links: linked,
        from: millis(startTime),
        until: undefined,
        failure: undefined
      }
      spans.push(seen)
      return {
        _tag: "Span",
        name,
        spanId: id,
        traceId: "1",
        parent,
        context,
        links,
        kind,
        sampled: true,
        status: { _tag: "Started", startTime },
        attributes: new Map(),
        attribute: (key, value) => void (attributes[key] = value),
        addLinks: (more) => void linked.push(...more.map(({ span }) => span.spanId)),
        event: (event) => void events.push(event),
        end: (endTime, exit) => {
          seen.until = millis(endTime)
          seen.failure = exit._tag === "Failure" ? JSON.stringify(exit.cause) : undefined
        }
      }
    }
  })
  return { tracer, spans: spans as ReadonlyArray<Seen> }
}

const fail = ScriptedModel.fail
const overloaded = fail(new ModelError.Overloaded({ provider: "p", status: 529 }))
const limited = fail(
  new ModelError.RateLimited({ provider: "p", scope: "requests", status: 429, retryAfter: Duration.seconds(3) })
)

const strong = (options: Pipeline.Options, ...script: ReadonlyArray<ScriptedModel.Step>) =>
  Effect.gen(function*() {
    const model = yield* ScriptedModel.make(script, {
      name: "m",
      provider: "gemini",
      afterwards: ScriptedModel.text("fine")
    })
    return ResilientModel.strengthen(model, yield* Pipeline.make(options))
  })

const request: LanguageModel.Request = { prompt: "a secret question", maxOutputTokens: 9, temperature: 0.5 }

/** Runs it for so long in virtual time, and gives the spans. */
const seen = <A, E>(effect: Effect.Effect<A, E>, time: Duration.DurationInput = "10 minutes") =>
  Effect.gen(function*() {
    const { spans, tracer } = recording()
    const fiber = yield* Effect.fork(Effect.withTracer(Effect.exit(effect), tracer))
    yield* TestClock.adjust(time)
    yield* Fiber.join(fiber)
    return spans
  })

const retry: Pipeline.Options["retry"] = { backoff: "constant", delay: "1 second", attempts: 4 }

describe("the spans of a call", () => {
  it.effect("are one for the call, and below it one for each attempt and each wait, with the reason", () =>
    Effect.gen(function*() {
      const model = yield* strong({ name: "chat", retry }, overloaded, limited)
      const spans = yield* seen(model.generate(request))
      expect(spans.map(({ attributes, from, kind, name, parent, until }) => [
        name,
        kind,
        parent,
        from,
        until,
        attributes["llm_resilience.wait.reason"] ?? attributes["error.type"]
      ])).toEqual([
        ["chat m", "client", undefined, 0, 4_000, undefined],
        ["attempt", "internal", "1", 0, 0, "Overloaded"],
        ["wait", "internal", "1", 0, 1_000, "backoff"],
        ["attempt", "internal", "1", 1_000, 1_000, "RateLimited"],
        ["wait", "internal", "1", 1_000, 4_000, "backoff"],
        ["attempt", "internal", "1", 4_000, 4_000, undefined]
      ])
      expect(spans[0]).toMatchObject({
        attributes: {
          "gen_ai.operation.name": "chat",
          "gen_ai.provider.name": "gcp.gemini",
          "gen_ai.request.model": "m",
          "gen_ai.request.max_tokens": 9,
          "gen_ai.request.temperature": 0.5,
          "gen_ai.output.type": "text",
          "gen_ai.response.model": "m",
          "gen_ai.response.finish_reasons": ["stop"],
          "gen_ai.usage.input_tokens": 10,
          "gen_ai.usage.output_tokens": 5,
          "llm_resilience.policy": "chat",
          "llm_resilience.attempts": 3
        },
        events: ["Retried", "Retried", "Recovered"]
      })
      expect(spans[3]?.attributes).toMatchObject({
        "llm_resilience.attempt": 2,
        "http.request.resend_count": 1,
        "llm_resilience.verdict": "Retry",
        "llm_resilience.hint": 3,
        "http.response.status_code": 429
      })
      expect(spans[4]?.attributes["llm_resilience.wait.hint"]).toBe(3)
    }))

  it.effect("tell a rate limiter's wait and a queue's apart", () =>
    Effect.gen(function*() {
      const model = yield* strong(
        { rateLimiter: { requestsPerMinute: 60, burst: 0 }, bulkhead: { maxConcurrent: 1, maxQueued: 5 } },
        ScriptedModel.delayed("3 seconds", ScriptedModel.text("slow")),
        ScriptedModel.delayed("3 seconds", ScriptedModel.text("slow"))
      )
      const spans = yield* seen(Effect.all([model.generate(request), model.generate(request)], { concurrency: 2 }))
      const waits = spans.filter(({ name }) => name === "wait")
      expect(waits.map(({ attributes, from, until }) => [attributes["llm_resilience.wait.reason"], from, until]))
        .toEqual([
          ["rate limiter", 0, expect.any(Number)]
        ])
      expect(waits[0]?.until).toBeGreaterThanOrEqual(1_000)
    }))

  it.effect("say why a call that was never sent failed", () =>
    Effect.gen(function*() {
      const model = yield* strong({
        circuitBreaker: { tripping: { when: "consecutive", failures: 1 } }
      }, overloaded)
      yield* Effect.ignore(model.generate(request))
      const [call, ...others] = yield* seen(model.generate(request))
      expect(call?.attributes).toMatchObject({ "error.type": "CircuitOpen", "llm_resilience.attempts": 0 })
      expect(call?.events).toEqual(["CircuitRefused"])
      expect(others).toEqual([])
    }))

  it.effect("of a hedge that lost know who won", () =>
    Effect.gen(function*() {
      const model = yield* strong(
        { hedge: { delay: "1 second", maxHedges: 1, budget: "none" } },
        ScriptedModel.hang
      )
      const spans = yield* seen(model.generate(request))
      const [lost, won] = spans.filter(({ name }) => name === "attempt")
      expect(lost?.links).toEqual([won?.id])
      expect(won?.links).toEqual([])
      expect(spans.every(({ until }) => until !== undefined)).toBe(true)
    }))

  it.effect("of a stream end with it, and know its first content", () =>
    Effect.gen(function*() {
      const model = yield* strong(
        { retry, stream: { onBreak: "restart" } },
        overloaded,
        ScriptedModel.parts([StreamPart.textDelta("half")])
      )
      const spans = yield* seen(Stream.runDrain(model.stream(request)))
      expect(spans.map(({ name }) => name)).toEqual(["chat m", "attempt", "wait", "attempt", "wait", "attempt"])
      expect(spans[0]?.attributes).toMatchObject({
        "gen_ai.request.stream": true,
        "gen_ai.response.time_to_first_chunk": 1,
        "gen_ai.response.finish_reasons": ["stop"],
        "llm_resilience.attempts": 3
      })
      expect(spans.every(({ until }) => until !== undefined)).toBe(true)
    }))

  it.effect("of a stream that nobody wants any more end as interrupted", () =>
    Effect.gen(function*() {
      const model = yield* strong({ retry }, ScriptedModel.text("a long answer"))
      const spans = yield* seen(Stream.runDrain(Stream.take(model.stream(request), 1)))
      expect(spans.every(({ until }) => until !== undefined)).toBe(true)
    }))

  it.effect("cover the time of the call, whatever happens in it", () =>
    Effect.gen(function*() {
      const calls = runs(60, 300)
      const random = draw("storm")
      const script = Array.from({ length: calls * 3 }, () =>
        ScriptedModel.delayed(
          Duration.millis(random.between(1, 4_000)),
          random.happens(0.3) ? random.pick([overloaded, limited]) : ScriptedModel.text("fine")
        ))
      const model = yield* strong({
        retry: { backoff: "exponential", initial: "500 millis", cap: "8 seconds", jitter: "full", attempts: 4 },
        rateLimiter: { requestsPerMinute: 120 },
        bulkhead: { maxConcurrent: 10, maxQueued: 1_000 },
        attemptTimeout: "3 seconds"
      }, ...script)
      const spans = yield* seen(
        Effect.forEach(Array.from({ length: calls }), () => Effect.exit(model.generate(request)), {
          concurrency: 20
        }),
        "2 hours"
      )
      const roots = spans.filter(({ parent }) => parent === undefined)
      expect(roots).toHaveLength(calls)
      let [total, uncovered] = [0, 0]
      for (const root of roots) {
        const children = spans.filter(({ parent }) => parent === root.id).sort((one, other) => one.from - other.from)
        let at = root.from
        for (const child of children) {
          uncovered += Math.max(0, child.from - at)
          at = Math.max(at, child.until ?? 0)
        }
        uncovered += Math.max(0, (root.until ?? 0) - at)
        total += (root.until ?? 0) - root.from
      }
      expect(total).toBeGreaterThan(0)
      expect(uncovered / total).toBeLessThan(0.01)
    }), 60_000)
})

describe("what is not in a span", () => {
  it.effect("is what was said, and what errors say, unless it is asked for", () =>
    Effect.gen(function*() {
      const refused = fail(new ModelError.InvalidRequest({ provider: "p", detail: "no: a secret question" }))
      const spans = [
        ...(yield* seen(Effect.flatMap(strong({ retry }, refused), (model) => model.generate(request)))),
        ...(yield* seen(Effect.flatMap(strong({ retry }), (model) => model.generate(request))))
      ]
      expect(spans.length).toBe(4)
      expect(JSON.stringify(spans)).not.toContain("secret question")
      expect(JSON.stringify(spans)).not.toContain("fine")
    }))

  it.effect("can be asked for: clipped, and without credentials", () =>
    Effect.gen(function*() {
      const prompt = `my key is sk-proj-abcdefghijklmnopqrstuvwxyz0123456789 ${"x".repeat(10_000)}`
      const spans = yield* seen(
        Effect.flatMap(strong({ retry }), (model) => model.generate({ prompt })).pipe(
          Effect.provide(GenAi.layer({ captureContent: "clipped" }))
        )
      )
      const asked = String(spans[0]?.attributes["gen_ai.input.messages"])
      expect(asked).toContain("my key is")
      expect(asked).not.toContain("abcdefghijklmnop")
      expect(asked.length).toBeLessThanOrEqual(4_096)
      expect(spans[0]?.attributes["gen_ai.output.messages"]).toContain("fine")
    }))

  it.effect("is anything at all where tracing is switched off", () =>
    Effect.gen(function*() {
      const model = yield* strong({ retry })
      expect(yield* seen(Effect.withTracerEnabled(model.generate(request), false))).toEqual([])
    }))
})

describe("tools", () => {
  it.effect("have a span each, with the id of the call", () =>
    Effect.gen(function*() {
      const kit = yield* Toolkit.make(
        Tool.make("look_up", {
          description: "Looks up.",
          parameters: Schema.Struct({ what: Schema.String }),
          success: Schema.String
        })
      )
      const script = [
        ScriptedModel.toolCalls([{ id: "c1", name: "look_up", arguments: "{\"what\":\"a\"}" }]),
        ScriptedModel.text("done")
      ]
      const model = yield* strong({ retry }, ...script)
      const spans = yield* seen(
        ToolLoop.run({
          prompt: "go",
          toolkit: kit,
          handlers: { look_up: ({ what }: { readonly what: string }) => Effect.succeed(`found ${what}`) }
        }).pipe(Effect.provideService(LanguageModel.LanguageModel, model))
      )
      expect(spans.map(({ name }) => name)).toEqual(["chat m", "attempt", "execute_tool look_up", "chat m", "attempt"])
      expect(spans[2]?.attributes).toEqual({
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "look_up",
        "gen_ai.tool.call.id": "c1",
        "gen_ai.tool.type": "function"
      })
    }))
})

it.effect("the monitor of the program hears what it heard before", () =>
  Effect.gen(function*() {
    const model = yield* strong({ retry }, overloaded)
    const recorder = yield* Monitor.recorder
    yield* seen(Effect.provideService(model.generate(request), Monitor.Monitor, recorder.monitor))
    expect((yield* recorder.events).map(({ _tag }) => _tag)).toEqual(["Retried", "Recovered"])
  }))

it.effect("last year's names can be had", () =>
  Effect.sync(() => {
    expect(GenAi.names["2026"].cacheWrite).toBe("gen_ai.usage.cache_write.input_tokens")
    expect(GenAi.names["2025"].cacheWrite).toBe("gen_ai.usage.cache_creation.input_tokens")
  }))
