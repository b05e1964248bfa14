/**
 * The laws every `RateLimitStore` keeps, to be run against a store of your own. No test framework is needed: a law is a
 * function from the layer of a store to an effect that fails with `StoreLawBroken`. Each law uses keys of its own.
 *
 * Under `TestClock` give `advance: TestClock.adjust`; a store with a clock of its own (a server) is tested live, with
 * the default `Effect.sleep` and some tolerance. The laws about idle keys and learned limits
 * take half an hour of its clock.
 *
 * @example
 * import * as Effect from "effect/Effect"
 * import * as TestClock from "effect/TestClock"
 * import * as TestContext from "effect/TestContext"
 * import * as RateLimitStore from "effect-llm-resilience/policy/RateLimitStore"
 * import * as StoreLaws from "effect-llm-resilience/testing/StoreLaws"
 *
 * const program = StoreLaws.all(RateLimitStore.layerMemory, { advance: TestClock.adjust })
 *
 * Effect.runPromise(program.pipe(Effect.provide(TestContext.TestContext))).then((names) => console.log(names.length))
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as RateLimitStore from "../policy/RateLimitStore.ts"
import { drain, type Law, law, limits, type Options, pass, request, type StoreLawBroken } from "./storeLaws/law.ts"
import { overAdmission, type Start } from "./storeLaws/windows.ts"

export type {
  /**
   * One law: its name, and the check of a store.
   *
   * @since 0.1.0
   * @category models
   */
  Law,
  /**
   * How the laws are run.
   *
   * @since 0.1.0
   * @category models
   */
  Options
} from "./storeLaws/law.ts"
export {
  /**
   * A store broke a law; `detail` tells what was seen.
   *
   * @since 0.1.0
   * @category errors
   */
  StoreLawBroken
} from "./storeLaws/law.ts"

/**
 * Of many that ask at once, exactly as many get through as there is room for.
 *
 * @since 0.1.0
 * @category laws
 */
export const atomic: Law = law("reservations are atomic", ({ holds, store, tolerance }) =>
  Effect.gen(function*() {
    const all = yield* Effect.all(
      Array.from({ length: 100 }, () => store.reserve(request("atomic", { tokens: 1, maxWait: 0 }))),
      { concurrency: "unbounded" }
    )
    const granted = all.filter(({ _tag }) => _tag === "Granted").length
    yield* holds(
      granted >= 10 && granted <= 10 + Math.ceil(tolerance / 100),
      `${granted} of 100 were granted where there was room for 10`
    )
  }))

/**
 * A refusal takes nothing from either dimension.
 *
 * @since 0.1.0
 * @category laws
 */
export const bothOrNeither: Law = law(
  "both dimensions are taken, or neither",
  ({ holds, store, tolerance }) =>
    Effect.gen(function*() {
      yield* store.reserve(request("both", { tokens: 9_000 }))
      const refused = yield* store.reserve(request("both", { tokens: 9_000, maxWait: 0 }))
      yield* holds(refused._tag === "Refused", `a call without room was ${refused._tag}`)
      const state = yield* store.state("both", limits)
      yield* holds(
        Math.abs(state.requestsAvailable - 9) <= tolerance / 100 + 1e-6,
        `${state.requestsAvailable} requests are left instead of 9`
      )
    })
)

/**
 * In any window no more starts than the burst (or the largest cost) and what refills in it, whoever leaves the line
 * meanwhile or gives back what it took.
 *
 * @since 0.1.0
 * @category laws
 */
export const neverTooMany: Law = law(
  "no window holds more than is allowed",
  ({ advance, holds, store, tolerance }) =>
    Effect.gen(function*() {
      const starts: Array<Start> = []
      const caller = Effect.gen(function*() {
        const tokens = yield* Random.nextIntBetween(0, 15_000)
        const fate = yield* Random.next
        const granted = yield* pass(store, request("window", { tokens }))
        if (granted._tag === "Refused") return
        if (fate < 0.2) return yield* store.release(granted)
        starts.push({ at: yield* Clock.currentTimeMillis, requests: 1, tokens })
      })
      const fibers: Array<Fiber.RuntimeFiber<void>> = []
      for (let i = 0; i < 60; i++) {
        fibers.push(yield* Effect.fork(caller))
        if ((yield* Random.next) < 0.5) yield* advance(yield* Random.nextIntBetween(0, 300))
        const left = fibers[yield* Random.nextIntBetween(0, fibers.length)]
        if (left !== undefined && (yield* Random.next) < 0.3) yield* Fiber.interrupt(left)
      }
      yield* advance(90_000)
      for (const fiber of fibers) {
        yield* holds(fiber.unsafePoll() !== null, "a caller still waits although there has been room for everybody")
      }
      const wrong = overAdmission(
        starts,
        { requests: 1 / 100, tokens: 10 },
        { requests: 10, tokens: 10_000 },
        tolerance
      )
      yield* holds(wrong === undefined, wrong ?? "")
    })
)

/**
 * First come, first served, each at the moment its cost has refilled.
 *
 * @since 0.1.0
 * @category laws
 */
export const inOrder: Law = law(
  "the line is first come, first served",
  ({ advance, holds, store, tolerance }) =>
    Effect.gen(function*() {
      const begun = yield* Clock.currentTimeMillis
      yield* drain(store, "order")
      const seen: Array<readonly [number, number]> = []
      for (let i = 0; i < 5; i++) {
        yield* Effect.fork(Effect.flatMap(
          pass(store, request("order", { tokens: i === 1 ? 9_000 : 0 })),
          () => Effect.map(Clock.currentTimeMillis, (now) => seen.push([i, now - begun]))
        ))
        yield* Effect.yieldNow()
      }
      for (let i = 0; i < 5; i++) yield* advance(100)
      yield* advance(tolerance)
      const order = seen.map(([i]) => i).join(" ")
      yield* holds(order === "0 1 2 3 4", `they started in the order "${order}"`)
      for (const [i, at] of seen) {
        yield* holds(at >= (i + 1) * 100, `caller ${i} started after ${at} ms, before its turn`)
        yield* holds(at <= (i + 1) * 100 + tolerance, `caller ${i} started after ${at} ms, late`)
      }
    })
)

/**
 * What is released is there again at once: taken or only waited for. Nobody waits behind those who left.
 *
 * @since 0.1.0
 * @category laws
 */
export const givenBack: Law = law(
  "what is released is there again",
  ({ holds, store, tolerance }) =>
    Effect.gen(function*() {
      const taken = yield* store.reserve(request("released", { requests: 10, tokens: 5_000 }))
      const places = yield* Effect.replicateEffect(store.reserve(request("released")), 50)
      yield* holds(places.every(({ _tag }) => _tag === "Waiting"), "calls without room were not told to wait")
      for (const grant of places) if (grant._tag !== "Refused") yield* store.release(grant)
      if (taken._tag !== "Refused") yield* store.release(taken)
      const again = yield* store.reserve(request("released", { requests: 10, maxWait: tolerance }))
      yield* holds(again._tag === "Granted", "after everything was released, a full bucket is not there")
      const next = yield* store.reserve(request("released", { maxWait: 100 + tolerance }))
      yield* holds(next._tag !== "Refused", "a call waits behind places that were released")
    })
)

/**
 * Interrupted waiters leave no trace, and those behind them come no later.
 *
 * @since 0.1.0
 * @category laws
 */
export const interrupted: Law = law(
  "an interrupted waiter takes nothing with it",
  ({ advance, holds, store, tolerance }) =>
    Effect.gen(function*() {
      yield* drain(store, "interrupted")
      const leaving = yield* Effect.forEach(
        Array.from({ length: 20 }),
        () => Effect.zipLeft(Effect.fork(pass(store, request("interrupted"))), Effect.yieldNow())
      )
      const last = yield* Effect.fork(pass(store, request("interrupted")))
      yield* Effect.yieldNow()
      yield* Effect.forEach(leaving, Fiber.interrupt)
      const { waiting } = yield* store.state("interrupted", limits)
      yield* holds(waiting <= 1, `${waiting} stand in line where 1 is left`)
      yield* advance(2_100 + tolerance)
      yield* holds(last.unsafePoll() !== null, "the one behind them did not start at its own time")
    })
)

/**
 * Settling gives back what was not used, and leaves a debt where more was used; nobody starts before it has refilled.
 *
 * @since 0.1.0
 * @category laws
 */
export const settled: Law = law(
  "settling corrects the tokens",
  ({ advance, holds, store, tolerance }) =>
    Effect.gen(function*() {
      const less = yield* store.reserve(request("settle", { tokens: 8_000 }))
      if (less._tag === "Granted") yield* store.settle(less, 1_000)
      const after = yield* store.state("settle", limits)
      yield* holds(
        Math.abs(after.tokensAvailable - 9_000) <= tolerance * 10 + 1e-6,
        `${after.tokensAvailable} tokens are left instead of 9000`
      )
      const more = yield* store.reserve(request("settle", { tokens: 1_000 }))
      if (more._tag === "Granted") yield* store.settle(more, 14_000)
      const debt = yield* store.reserve(request("settle", { maxWait: 0 }))
      yield* holds(debt._tag === "Refused", "a call started although there is a debt")
      yield* advance(500 + tolerance)
      const paid = yield* store.reserve(request("settle", { maxWait: 0 }))
      yield* holds(paid._tag === "Granted", "the debt of 5000 tokens was not paid after 500 ms")
    })
)

/**
 * During a pause nobody starts, not even who waited before; afterwards calls go at the limit's rate. A shorter pause
 * does not end a longer one.
 *
 * @since 0.1.0
 * @category laws
 */
export const paused: Law = law(
  "a pause holds everybody",
  ({ advance, holds, store, tolerance }) =>
    Effect.gen(function*() {
      yield* drain(store, "pause")
      const waiter = yield* Effect.fork(pass(store, request("pause")))
      yield* Effect.yieldNow()
      yield* holds(yield* store.pause("pause", limits, 1_000), "a first pause was not taken")
      yield* holds(!(yield* store.pause("pause", limits, 300)), "a shorter pause replaced a longer one")
      yield* advance(900)
      yield* holds(waiter.unsafePoll() === null, "one that waited before the pause started during it")
      const refused = yield* store.reserve(request("pause", { maxWait: 0 }))
      yield* holds(refused._tag === "Refused", "a call started during the pause")
      yield* advance(200 + tolerance)
      yield* holds(waiter.unsafePoll() !== null, "one that waited before the pause did not start after it")
    })
)

/**
 * A pause that is ended holds nobody any more: who waited goes on, at the limit's rate.
 *
 * @since 0.1.0
 * @category laws
 */
export const resumed: Law = law(
  "a pause can be ended",
  ({ advance, holds, store, tolerance }) =>
    Effect.gen(function*() {
      yield* holds(!(yield* store.resume("resume", limits)), "there was a pause to end where nobody made one")
      yield* store.pause("resume", limits, 3_600_000)
      const waiter = yield* Effect.fork(pass(store, request("resume")))
      yield* Effect.yieldNow()
      yield* holds(yield* store.resume("resume", limits), "there was no pause to end")
      yield* advance(tolerance)
      yield* holds(waiter.unsafePoll() !== null, "one that waited did not start when the pause was ended")
      const refused = yield* store.reserve(request("resume", { maxWait: 0 }))
      yield* holds(refused._tag === "Refused", "after a pause that was ended a burst started")
    })
)

/**
 * Whoever would have to wait longer than it is willing to is refused at once, also when a pause comes later, and told
 * how long it would have been.
 *
 * @since 0.1.0
 * @category laws
 */
export const neverInVain: Law = law("nobody waits in vain", ({ holds, store, tolerance }) =>
  Effect.gen(function*() {
    yield* drain(store, "vain")
    const short = yield* store.reserve(request("vain", { maxWait: 50 }))
    yield* holds(
      short._tag === "Refused" && short.reason === "rate" && Math.abs(short.retryAfter - 100) <= tolerance,
      `a wait of 100 ms for a caller with 50 ms gave ${JSON.stringify(short)}`
    )
    const waiter = yield* Effect.fork(pass(store, request("vain", { maxWait: 500 })))
    yield* Effect.yieldNow()
    yield* store.pause("vain", limits, 1_000)
    const turn = yield* Fiber.join(waiter)
    yield* holds(turn._tag === "Refused", "a waiter stays although the pause is longer than it is willing to wait")
  }))

/**
 * A cost above the whole limit is refused as such and takes nothing.
 *
 * @since 0.1.0
 * @category laws
 */
export const tooCostly: Law = law(
  "what can never pass is refused at once",
  ({ holds, store }) =>
    Effect.gen(function*() {
      const refused = yield* store.reserve(request("costly", { tokens: 600_001 }))
      yield* holds(refused._tag === "Refused" && refused.reason === "cost", `it was ${JSON.stringify(refused)}`)
      const full = yield* store.reserve(request("costly", { requests: 10, maxWait: 0 }))
      yield* holds(full._tag === "Granted", "the refusal took something")
    })
)

/**
 * No usage, however large, makes a debt of more than one minute's limit.
 *
 * @since 0.1.0
 * @category laws
 */
export const boundedDebt: Law = law(
  "a debt is one minute's limit at most",
  ({ advance, holds, store, tolerance }) =>
    Effect.gen(function*() {
      for (const used of [1e9, 1e15]) {
        const granted = yield* store.reserve(request("debt", { maxWait: 0 }))
        if (granted._tag === "Granted") yield* store.settle(granted, used)
        yield* advance(60_000 + tolerance)
        const after = yield* store.reserve(request("debt", { maxWait: 0 }))
        yield* holds(after._tag === "Granted", `a usage of ${used} tokens was not paid after a minute`)
        yield* advance(1_000)
      }
    })
)

/**
 * A limit that was learned is forgotten ten minutes later, and meanwhile a call above it passes as a probe.
 *
 * @since 0.1.0
 * @category laws
 */
export const learnedExpires: Law = law(
  "a learned limit is not the last word",
  ({ advance, holds, store }) =>
    Effect.gen(function*() {
      const costly = request("expire", { tokens: 5_000, maxWait: 0 })
      yield* store.learn("expire", limits, { tokensPerMinute: 100 })
      yield* holds((yield* store.reserve(costly))._tag === "Granted", "a first call above a learned limit was refused")
      yield* holds((yield* store.reserve(costly))._tag === "Refused", "a second call above a learned limit passed")
      yield* advance(Duration.toMillis(RateLimitStore.defaults.learnedLimits) + 60_000)
      const state = yield* store.state("expire", limits)
      yield* holds(state.tokensPerMinute === 600_000, `the limit of tokens is still ${state.tokensPerMinute}`)
      yield* holds((yield* store.reserve(costly))._tag === "Granted", "a call is still refused by a learned limit")
    })
)

/**
 * A lower limit is learned, a higher one is not; less remaining empties the bucket.
 *
 * @since 0.1.0
 * @category laws
 */
export const learned: Law = law(
  "the other side is believed when it allows less",
  ({ holds, store, tolerance }) =>
    Effect.gen(function*() {
      yield* store.learn("learn", limits, { requestsPerMinute: 6_000, tokensPerMinute: 60_000, requestsRemaining: 3 })
      const state = yield* store.state("learn", limits)
      yield* holds(state.requestsPerMinute === 600, `the limit of requests is ${state.requestsPerMinute}`)
      yield* holds(state.tokensPerMinute === 60_000, `the limit of tokens is ${state.tokensPerMinute}`)
      yield* holds(
        Math.abs(state.requestsAvailable - 3) <= tolerance / 100 + 1e-6,
        `${state.requestsAvailable} requests are left instead of 3`
      )
    })
)

/**
 * One key's calls, pauses and debts are nothing to another key.
 *
 * @since 0.1.0
 * @category laws
 */
export const isolated: Law = law("keys do not know each other", ({ holds, store }) =>
  Effect.gen(function*() {
    yield* drain(store, "one")
    yield* store.pause("one", limits, 60_000)
    const other = yield* drain(store, "other")
    yield* holds(other._tag === "Granted", "a pause of one key holds another")
  }))

/**
 * Keys nobody uses are forgotten, so that a store does not grow for ever.
 *
 * @since 0.1.0
 * @category laws
 */
export const forgetful: Law = law(
  "idle keys are forgotten",
  ({ advance, holds, idle, store }) =>
    Effect.gen(function*() {
      const touch = (name: string): Effect.Effect<void> =>
        Effect.forEach(Array.from({ length: 200 }), (_, i) => store.reserve(request(`${name} ${i}`)), { discard: true })
      const before = yield* store.size
      for (let round = 0; round < 5; round++) {
        yield* touch(`round ${round}`)
        yield* advance(2 * idle)
      }
      yield* store.reserve(request("last"))
      const size = yield* store.size
      yield* holds(size <= before + 200, `${size} keys are held of 1000 that were used once`)
    })
)

/**
 * Every law.
 *
 * @since 0.1.0
 * @category laws
 */
export const laws: ReadonlyArray<Law> = [
  atomic,
  bothOrNeither,
  neverTooMany,
  inOrder,
  givenBack,
  interrupted,
  settled,
  boundedDebt,
  paused,
  resumed,
  neverInVain,
  tooCostly,
  learned,
  learnedExpires,
  isolated,
  forgetful
]

/**
 * Checks every law, each with a store of its own, and returns their names. Fails at the first one that is broken.
 *
 * @since 0.1.0
 * @category combinators
 */
export const all = <E, R>(
  layer: Layer.Layer<RateLimitStore.RateLimitStore, E, R>,
  options?: Options
): Effect.Effect<ReadonlyArray<string>, StoreLawBroken | E, R> =>
  Effect.forEach(laws, (each) => Effect.as(each.check(layer, options), each.name))
