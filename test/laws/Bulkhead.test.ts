import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FastCheck from "effect/FastCheck"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import * as TestContext from "effect/TestContext"
import * as Bulkhead from "../../src/policy/Bulkhead.ts"
import { runs } from "../runs.ts"

/** What may happen to a bulkhead; numbers name a call that was started before. */
type Command =
  | { readonly do: "start" }
  | { readonly do: "succeed" | "fail" | "die" | "interrupt"; readonly call: number }
  | { readonly do: "wait"; readonly millis: number }
  | { readonly do: "resize"; readonly maxConcurrent: number; readonly maxQueued: number }

const command: FastCheck.Arbitrary<Command> = FastCheck.oneof(
  { weight: 5, arbitrary: FastCheck.constant({ do: "start" as const }) },
  {
    weight: 6,
    arbitrary: FastCheck.record({
      do: FastCheck.constantFrom("succeed" as const, "fail" as const, "die" as const, "interrupt" as const),
      call: FastCheck.nat(30)
    })
  },
  {
    weight: 1,
    arbitrary: FastCheck.record({
      do: FastCheck.constant("wait" as const),
      millis: FastCheck.integer({ min: 1, max: 60 })
    })
  },
  {
    weight: 1,
    arbitrary: FastCheck.record({
      do: FastCheck.constant("resize" as const),
      maxConcurrent: FastCheck.integer({ min: 1, max: 4 }),
      maxQueued: FastCheck.integer({ min: 0, max: 4 })
    })
  }
)

const queueTimeout = 50

type Phase = "running" | "queued" | "BulkheadFull" | "TimedOut" | "success" | "no" | "bug" | "interrupted"

/** The same bulkhead as lists, moved one command at a time. */
class Model {
  now = 0
  readonly phases: Array<Phase> = []
  running: Array<number> = []
  queue: Array<{ readonly call: number; readonly deadline: number }> = []
  maxConcurrent: number
  maxQueued: number

  constructor(maxConcurrent: number, maxQueued: number) {
    this.maxConcurrent = maxConcurrent
    this.maxQueued = maxQueued
  }

  step(given: Command): void {
    switch (given.do) {
      case "start": {
        const call = this.phases.length
        this.phases.push("BulkheadFull")
        if (this.running.length < this.maxConcurrent) this.run(call)
        else if (this.queue.length < this.maxQueued) {
          this.phases[call] = "queued"
          this.queue.push({ call, deadline: this.now + queueTimeout })
        }
        break
      }
      case "wait":
        this.now += given.millis
        for (const late of this.queue.filter((each) => each.deadline <= this.now)) this.phases[late.call] = "TimedOut"
        this.queue = this.queue.filter((each) => each.deadline > this.now)
        break
      case "resize":
        this.maxConcurrent = given.maxConcurrent
        this.maxQueued = given.maxQueued
        break
      default: {
        const phase = this.phases[given.call]
        const ending = { succeed: "success", fail: "no", die: "bug", interrupt: "interrupted" } as const
        if (phase === "running" || (phase === "queued" && given.do === "interrupt")) {
          this.phases[given.call] = ending[given.do]
          this.running = this.running.filter((call) => call !== given.call)
          this.queue = this.queue.filter(({ call }) => call !== given.call)
        }
      }
    }
    while (this.running.length < this.maxConcurrent) {
      const next = this.queue.shift()
      if (next === undefined) break
      this.run(next.call)
    }
  }

  private run(call: number): void {
    this.phases[call] = "running"
    this.running.push(call)
  }
}

const settled = Effect.yieldNow().pipe(Effect.repeatN(15))

const phaseOf = (
  exit: Exit.Exit<string, string | { readonly _tag: "BulkheadFull" | "TimedOut" }> | null,
  isRunning: boolean
): string =>
  exit === null
    ? isRunning ? "running" : "queued"
    : Exit.match(exit, {
      onSuccess: (value) => value,
      onFailure: (cause) =>
        cause._tag === "Fail"
          ? typeof cause.error === "string" ? cause.error : cause.error._tag
          : cause._tag === "Die"
          ? String(cause.defect)
          : "interrupted"
    })

const play = (maxConcurrent: number, maxQueued: number, commands: ReadonlyArray<Command>) =>
  Effect.gen(function*() {
    const bulkhead = yield* Bulkhead.make({ maxConcurrent, maxQueued: Math.max(1, maxQueued), queueTimeout })
    yield* Bulkhead.resize(bulkhead, { maxQueued })
    const model = new Model(maxConcurrent, maxQueued)
    const started: Array<number> = []
    const calls: Array<{
      readonly end: Deferred.Deferred<string, string>
      readonly fiber: Fiber.RuntimeFiber<string, string | { readonly _tag: "BulkheadFull" | "TimedOut" }>
    }> = []
    for (const given of commands) {
      model.step(given)
      if (given.do === "start") {
        const call = calls.length
        const end = yield* Deferred.make<string, string>()
        const work = Effect.zipRight(Effect.sync(() => started.push(call)), Deferred.await(end))
        calls.push({ end, fiber: yield* Effect.fork(Bulkhead.apply(work, bulkhead)) })
      } else if (given.do === "wait") {
        yield* TestClock.adjust(given.millis)
      } else if (given.do === "resize") {
        yield* Bulkhead.resize(bulkhead, { maxConcurrent: given.maxConcurrent, maxQueued: given.maxQueued })
      } else {
        const call = calls[given.call]
        // An ending that comes while the call still waits would end it as soon as it runs: the model has no such thing.
        if (call !== undefined && (started.includes(given.call) || given.do === "interrupt")) {
          if (given.do === "succeed") yield* Deferred.succeed(call.end, "success")
          if (given.do === "fail") yield* Deferred.fail(call.end, "no")
          if (given.do === "die") yield* Deferred.die(call.end, "bug")
          if (given.do === "interrupt") yield* Fiber.interrupt(call.fiber)
        }
      }
      yield* settled
      expect(calls.map(({ fiber }, call) => phaseOf(fiber.unsafePoll(), started.includes(call)))).toEqual(model.phases)
      expect(yield* Bulkhead.stats(bulkhead)).toEqual({
        running: model.running.length,
        queued: model.queue.length,
        maxConcurrent: model.maxConcurrent,
        maxQueued: model.maxQueued
      })
    }
    for (const { fiber } of calls) yield* Fiber.interrupt(fiber)
    expect(yield* Bulkhead.stats(bulkhead)).toMatchObject({ running: 0, queued: 0 })
    expect(bulkhead.admission.sweepers.size).toBe(0)
    expect([...started].sort((a, b) => a - b), "first come, first served").toEqual(started)
  })

describe("Bulkhead", () => {
  it("does what its model does, whatever happens in whatever order", () =>
    FastCheck.assert(
      FastCheck.asyncProperty(
        FastCheck.integer({ min: 1, max: 3 }),
        FastCheck.integer({ min: 0, max: 4 }),
        FastCheck.array(command, { maxLength: 40 }),
        (maxConcurrent, maxQueued, commands) =>
          Effect.runPromise(Effect.provide(play(maxConcurrent, maxQueued, commands), TestContext.TestContext))
      ),
      { numRuns: runs(80, 300) }
    ))
})
