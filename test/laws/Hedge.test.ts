import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FastCheck from "effect/FastCheck"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import type { Scheduler } from "effect/Scheduler"
import * as TestClock from "effect/TestClock"
import * as TestContext from "effect/TestContext"
import * as Verdict from "../../src/error/Verdict.ts"
import * as Hedge from "../../src/policy/Hedge.ts"
import * as RetryBudget from "../../src/policy/RetryBudget.ts"
import { runs } from "../runs.ts"

type End = "answer" | "transient" | "fatal" | "throttled" | "defect"

interface Step {
  readonly ms: number
  readonly end: End
  readonly interruptible: boolean
}

const verdict = (error: unknown): Verdict.Verdict =>
  error === "fatal" ? Verdict.make("Fail") : Verdict.make("Retry", { throttled: error === "throttled" })

const step = FastCheck.record<Step>({
  ms: FastCheck.oneof(FastCheck.constant(0), FastCheck.integer({ min: 1, max: 500 })),
  end: FastCheck.constantFrom<End>("answer", "answer", "transient", "transient", "fatal", "throttled", "defect"),
  interruptible: FastCheck.boolean()
})

const scenario = FastCheck.record({
  steps: FastCheck.array(step, { minLength: 4, maxLength: 4 }),
  delay: FastCheck.constantFrom(0, 50, 200, Infinity),
  maxHedges: FastCheck.integer({ min: 1, max: 3 }),
  minimum: FastCheck.integer({ min: 0, max: 3 }),
  interruptAt: FastCheck.option(FastCheck.integer({ min: 0, max: 700 }), { nil: undefined })
})

/** Plays one scenario in virtual time; tells what came out of it and what is left behind. */
const play = (each: typeof scenario extends FastCheck.Arbitrary<infer A> ? A : never) =>
  Effect.gen(function*() {
    const seen = { started: 0, running: 0, ended: 0 }
    const budget = yield* RetryBudget.make({ form: RetryBudget.share({ ratio: 0, minimum: each.minimum }) })
    const hedge = yield* Hedge.make({ delay: each.delay, maxHedges: each.maxHedges, budget, verdict })
    const call = Effect.flatMap(Hedge.CurrentAttempt, (n) => {
      const { end, interruptible, ms } = each.steps[n - 1] ?? { ms: 0, end: "answer", interruptible: true }
      const work = Effect.zipRight(
        ms === 0 ? Effect.void : Effect.sleep(ms),
        end === "answer" ? Effect.succeed(n) : end === "defect" ? Effect.die("defect") : Effect.fail(`${end}`)
      )
      return Effect.acquireUseRelease(
        Effect.sync(() => {
          seen.started += 1
          seen.running += 1
        }),
        () => interruptible ? work : Effect.uninterruptible(work),
        () => Effect.sync(() => void (seen.running -= 1))
      )
    })
    const fiber = yield* Effect.fork(Effect.onExit(
      call.pipe(Hedge.applyWithReport(hedge)),
      () => Effect.sync(() => void (seen.ended += 1))
    ))
    const interrupted = each.interruptAt
    if (interrupted !== undefined) {
      yield* TestClock.adjust(interrupted)
      yield* Fiber.interruptFork(fiber)
    }
    yield* TestClock.adjust("1 minute")
    return { exit: yield* Fiber.await(fiber), seen, stats: yield* RetryBudget.stats(budget) }
  }).pipe(Effect.provide(TestContext.TestContext))

describe("laws of Hedge", () => {
  it("each call has one outcome, starts at most the hedges it may, and leaves nothing behind", () =>
    FastCheck.assert(
      FastCheck.asyncProperty(scenario, async (each) => {
        const { exit, seen, stats } = await Effect.runPromise(play(each))
        expect(seen.ended).toBe(1)
        expect(seen.started).toBeGreaterThanOrEqual(each.interruptAt === 0 ? 0 : 1)
        expect(seen.started).toBeLessThanOrEqual(1 + Math.min(each.maxHedges, each.minimum === 0 ? 0 : 3))
        expect(seen.running).toBe(0)
        expect(stats).toMatchObject({ calls: 0, retries: 0, hedges: 0 })
        if (Exit.isSuccess(exit)) {
          expect(exit.value.attempts).toBe(seen.started)
          expect(each.steps[exit.value.winner - 1]?.end).toBe("answer")
        }
      }),
      { numRuns: runs(60, 250) }
    ))

  it("without interruption, an error that may be repeated is the first attempt's", () =>
    FastCheck.assert(
      FastCheck.asyncProperty(scenario, async (each) => {
        const { exit } = await Effect.runPromise(play({ ...each, interruptAt: undefined }))
        const first = each.steps[0]?.end
        if (Exit.isSuccess(exit)) return
        const cause = exit.cause
        if (cause._tag === "Fail" && cause.error !== "fatal") expect(cause.error).toBe(first)
        else expect(["Fail", "Die"]).toContain(cause._tag)
      }),
      { numRuns: runs(50, 200) }
    ))
})

/** Runs everything by hand, and makes a fiber yield at its k-th operation, so that the call can be interrupted just there. */
class Stepper implements Scheduler {
  private tasks: Array<() => void> = []
  private operation = 0
  private readonly at: number
  private readonly counts: (fiber: Fiber.RuntimeFiber<unknown, unknown>) => boolean

  constructor(at: number, counts: (fiber: Fiber.RuntimeFiber<unknown, unknown>) => boolean) {
    this.at = at
    this.counts = counts
  }

  scheduleTask(task: () => void): void {
    this.tasks.push(task)
  }

  shouldYield(fiber: Fiber.RuntimeFiber<unknown, unknown>): number | false {
    return this.counts(fiber) && this.operation++ === this.at ? 0 : false
  }

  get reached(): boolean {
    return this.operation > this.at
  }

  drain(until: () => boolean = () => false): void {
    while (!until()) {
      const task = this.tasks.shift()
      if (task === undefined) return
      task()
    }
  }
}

describe("interruption of a hedged call", () => {
  const sweep = (k: number, whose: "the caller" | "any fiber", ends: "never" | "a hedge answers") => {
    const budget = Effect.runSync(RetryBudget.make())
    const hedge = Effect.runSync(Hedge.make({ delay: 0, maxHedges: 2, budget }))
    let running = 0
    const call = Effect.acquireUseRelease(
      Effect.sync(() => void (running += 1)),
      () => Effect.flatMap(Hedge.CurrentAttempt, (n) => ends === "never" || n < 3 ? Effect.never : Effect.yieldNow()),
      () => Effect.sync(() => void (running -= 1))
    )
    let caller: Fiber.RuntimeFiber<unknown, unknown> | undefined
    const stepper = new Stepper(k, (fiber) => whose === "any fiber" || caller === undefined || fiber === caller)
    const fiber = Effect.runFork(
      Effect.withFiberRuntime<void>((own) => {
        caller = own
        return call.pipe(Hedge.apply(hedge))
      }),
      { scheduler: stepper, immediate: false }
    )
    stepper.drain(() => stepper.reached)
    const reached = stepper.reached
    const beside = running
    fiber.unsafeInterruptAsFork(FiberId.none)
    stepper.drain()
    const { calls, hedges, retries } = budget.cell.state
    return { k, reached, beside, left: { running, calls, hedges, retries }, ended: fiber.unsafePoll() !== null }
  }

  for (const whose of ["the caller", "any fiber"] as const) {
    for (const ends of ["never", "a hedge answers"] as const) {
      it(`at any operation of ${whose}, when ${ends === "never" ? "no attempt answers" : ends}, leaves nothing behind`, () => {
        const all = Array.from({ length: 300 }, (_, k) => sweep(k, whose, ends))
        const nothing = { running: 0, calls: 0, hedges: 0, retries: 0 }
        for (const { ended, k, left } of all) expect({ k, left, ended }).toEqual({ k, left: nothing, ended: true })
        const points = all.filter((each) => each.reached)
        console.log(`Hedge, ${whose}, ${ends}: interrupted at ${points.length} operations; nothing was left behind`)
        expect(points.length).toBeGreaterThan(10)
        expect(points.length).toBeLessThan(300)
        expect(new Set(all.map((each) => each.beside)).size).toBeGreaterThan(1)
      })
    }
  }
})
