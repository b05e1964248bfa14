import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/TestClock"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { BulkheadFull } from "../../src/error/PolicyError.ts"
import * as CircuitBreaker from "../../src/policy/CircuitBreaker.ts"
import * as Tripping from "../../src/policy/Tripping.ts"
import * as Monitor from "../../src/telemetry/Monitor.ts"

const fixtures = process.env["FIXTURES"] ?? "../shared/fixtures"
const file = join(fixtures, "resilience", "circuit-breaker.pitfalls.json")

const Config = Schema.Struct({
  threshold: Schema.optional(Schema.Number),
  windowMs: Schema.optional(Schema.Number),
  minimumCalls: Schema.optional(Schema.Union(Schema.Number, Schema.Literal("default"))),
  consecutive: Schema.optional(Schema.Number),
  failureRate: Schema.optional(Schema.Number),
  breakMs: Schema.optional(Schema.Number),
  halfOpenProbes: Schema.optional(Schema.Number),
  halfOpenMaxWaitMs: Schema.optional(Schema.Number),
  bulkhead: Schema.optional(Schema.Number)
})
const Step = Schema.Struct({
  op: Schema.String,
  times: Schema.optional(Schema.Number),
  n: Schema.optional(Schema.Number),
  ms: Schema.optional(Schema.Number),
  id: Schema.optional(Schema.String),
  state: Schema.optional(Schema.String),
  states: Schema.optional(Schema.Array(Schema.String)),
  opened: Schema.optional(Schema.Number),
  outcome: Schema.optional(Schema.String),
  expect: Schema.optional(Schema.String)
})
const Scenario = Schema.Struct({ name: Schema.String, config: Config, steps: Schema.Array(Step) })
const Table = Schema.Struct({ scenarios: Schema.Array(Scenario) })

/** The peers in the table let one probe through at a time; so does a breaker with `probes: 1`. */
const options = (config: typeof Config.Type): CircuitBreaker.Options => ({
  name: "peer",
  tripping: config.consecutive !== undefined
    ? Tripping.consecutive(config.consecutive)
    : Tripping.failureRate({
      share: config.threshold ?? config.failureRate,
      window: config.windowMs === undefined ? undefined : Duration.millis(config.windowMs),
      minimumCalls: config.minimumCalls === "default" ? undefined : config.minimumCalls
    }),
  openFor: config.breakMs,
  probes: config.halfOpenProbes ?? 1,
  probeLimit: config.halfOpenMaxWaitMs
})

const names: Record<CircuitBreaker.State["_tag"], string> = {
  Closed: "closed",
  Open: "open",
  HalfOpen: "half-open",
  Isolated: "isolated",
  Disabled: "disabled"
}

interface Running {
  readonly gate: Deferred.Deferred<string, string>
  readonly fiber: Fiber.RuntimeFiber<unknown, unknown>
}

const play = (scenario: typeof Scenario.Type) =>
  Effect.gen(function*() {
    let breaker = yield* CircuitBreaker.make(options(scenario.config))
    const { events, monitor } = yield* Monitor.recorder
    const sink = Monitor.make((event) => Effect.zipRight(monitor.emit(event), Effect.sync(() => listener())))
    let listener = (): void => undefined
    const running = new Map<string, Running>()
    const through = <A, E>(effect: Effect.Effect<A, E>) =>
      effect.pipe(CircuitBreaker.apply(breaker), Effect.provideService(Monitor.Monitor, sink))

    const start = (id: string) =>
      Effect.gen(function*() {
        const gate = yield* Deferred.make<string, string>()
        const fiber = yield* Effect.fork(through(Deferred.await(gate)))
        yield* Effect.yieldNow()
        running.set(id, { gate, fiber })
      })
    const end = (id: string, how: (gate: Deferred.Deferred<string, string>) => Effect.Effect<unknown>) =>
      Effect.gen(function*() {
        const call = running.get(id)
        if (call === undefined) return yield* Effect.die(`no call ${id}`)
        yield* how(call.gate)
        yield* Fiber.await(call.fiber)
      })
    const stateNow = Effect.suspend(() => Effect.map(CircuitBreaker.state(breaker), (state) => names[state._tag]))

    for (const step of scenario.steps) {
      const times = step.times ?? 1
      switch (step.op) {
        case "failure":
          for (let i = 0; i < times; i++) yield* Effect.either(through(Effect.fail("down")))
          break
        case "advance":
          yield* TestClock.adjust(Duration.millis(step.ms ?? 0))
          break
        case "start":
          yield* start(step.id ?? "")
          break
        case "startMany":
          for (let i = 0; i < (step.n ?? 0); i++) yield* start(String(i))
          break
        case "succeed":
          yield* end(step.id ?? "", (gate) => Deferred.succeed(gate, "up"))
          break
        case "fail":
          yield* end(step.id ?? "", (gate) => Deferred.fail(gate, "down"))
          break
        case "failAll":
          // All at once: every gate is opened before any of the calls goes on.
          for (const { gate } of running.values()) yield* Deferred.fail(gate, "down")
          for (const { fiber } of running.values()) yield* Fiber.await(fiber)
          break
        case "interrupt":
          yield* Fiber.interrupt(running.get(step.id ?? "")?.fiber ?? Fiber.never)
          break
        case "listener":
          listener = () => {
            throw new Error("a listener that throws")
          }
          break
        case "call":
          for (let i = 0; i < times; i++) {
            const before = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
            const refusal = new BulkheadFull({ name: "local", maxConcurrent: 1, maxQueued: 0 })
            const got = yield* Effect.either(
              through(step.expect === "bulkheadRejected" ? Effect.fail(refusal) : Effect.succeed("up"))
            )
            expect(yield* Effect.clockWith((clock) => clock.currentTimeMillis)).toBe(before)
            const told = Either.match(got, {
              onLeft: (error) =>
                error instanceof BulkheadFull ? ["bulkheadRejected"] : ["rejected", "rejectedImmediately"],
              onRight: () => ["executed", "success"]
            })
            expect(told).toContain(step.expect)
          }
          break
        case "expectState":
          expect(yield* stateNow).toBe(step.state)
          break
        case "expectStateIn":
          expect(step.states).toContain(yield* stateNow)
          break
        case "expectEvents":
          expect((yield* events).filter((event) => event._tag === "CircuitOpened")).toHaveLength(step.opened ?? 0)
          break
        case "serializeRestore": {
          const text = JSON.stringify(yield* CircuitBreaker.snapshot(breaker))
          breaker = yield* CircuitBreaker.make(options(scenario.config))
          yield* CircuitBreaker.restore(breaker, JSON.parse(text))
          break
        }
        default:
          return yield* Effect.die(`unknown step ${step.op}`)
      }
    }
  })

describe.skipIf(!existsSync(file))("the pitfalls of other circuit breakers", () => {
  const { scenarios } = existsSync(file)
    ? Schema.decodeUnknownSync(Table)(JSON.parse(readFileSync(file, "utf8")))
    : { scenarios: [] }
  console.log(`circuit-breaker.pitfalls.json: all ${scenarios.length} rows apply`)
  for (const scenario of scenarios) it.effect(scenario.name, () => play(scenario))
})

if (!existsSync(file)) console.log(`skipped: ${file} is absent (set FIXTURES)`)
