import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import * as Kernel from "../../src/policy/retryBudget/kernel.ts"
import { runs } from "../runs.ts"

/**
 * A dependency that is down: calls come evenly, every attempt fails after `latency`, and is retried after `backoff` up to
 * `attempts` times while the budget allows. Milliseconds.
 */
interface Storm {
  readonly callsPerSecond: number
  readonly seconds: number
  readonly latency: number
  readonly backoff: number
  readonly attempts: number
}

interface Attempt {
  readonly number: number
  readonly grant: Kernel.Grant | undefined
}

/** Plays the storm on the kernel; tells how many calls and attempts were made. */
const play = (form: Kernel.Form, storm: Storm): { readonly calls: number; readonly attempts: number } => {
  const end = storm.seconds * 1000
  // What ends at which millisecond.
  const ending = new Map<number, Array<Attempt>>()
  const endsAt = (at: number, attempt: Attempt) => ending.set(at, [...ending.get(at) ?? [], attempt])
  let state = Kernel.start(form)
  let [calls, attempts] = [0, 0]
  for (let now = 0; now < end || ending.size > 0; now++) {
    for (const attempt of ending.get(now) ?? []) {
      state = Kernel.fail(form, state)
      if (attempt.grant !== undefined) state = Kernel.settle(form, state, attempt.grant, false)
      const grant: Kernel.Grant = {
        kind: "retry",
        cost: Kernel.costOf(form, "retry", { throttled: false, timedOut: false })
      }
      const next = attempt.number < storm.attempts ? Kernel.take(form, state, grant, now) : undefined
      if (next === undefined) {
        state = Kernel.end(form, state, false)
        continue
      }
      state = next
      attempts += 1
      endsAt(now + storm.backoff + storm.latency, { number: attempt.number + 1, grant })
    }
    ending.delete(now)
    if (now >= end) continue
    const due = Math.floor((now + 1) * storm.callsPerSecond / 1000) - calls
    for (let i = 0; i < due; i++) {
      state = Kernel.begin(form, state, now)
      calls += 1
      attempts += 1
      endsAt(now + storm.latency, { number: 1, grant: undefined })
    }
  }
  expect(state).toMatchObject({ calls: 0, retries: 0, hedges: 0 })
  return { calls, attempts }
}

const outage: Storm = { callsPerSecond: 1000, seconds: 20, latency: 100, backoff: 0, attempts: 3 }

const share: Kernel.Share = { _tag: "Share", ratio: 0.2, minimum: 3 }
const deposits: Kernel.Deposits = { _tag: "Deposits", ttl: 10_000, minimumPerSecond: 10, ratio: 0.2 }
const tokens: Kernel.Tokens = {
  _tag: "Tokens",
  capacity: 500,
  initial: 500,
  cost: 14,
  throttlingCost: 5,
  timeoutCost: 14,
  reward: 1
}

const throttle: Kernel.Throttle = { _tag: "Throttle", maxTokens: 10, tokenRatio: 0.1 }

/** Retries for each call, beside the reserve. */
const ratioOf = (form: Kernel.Form): number => form._tag === "Tokens" || form._tag === "Throttle" ? 0 : form.ratio

/** What a budget may spend beside its share. */
const reserve = (form: Kernel.Form, storm: Storm): number => {
  switch (form._tag) {
    case "Share":
      // So many retries at a time, one after the other, for as long as the storm lasts.
      return Math.max(1, form.minimum) * (storm.seconds * 1000 / (storm.latency + storm.backoff) + storm.attempts)
    case "Tokens":
      return form.capacity / form.cost
    case "Deposits":
      return form.minimumPerSecond * (storm.seconds + 2 * form.ttl / 1000)
    case "Throttle":
      return form.maxTokens / 2
  }
}

describe("a storm of retries", () => {
  it("without a budget makes three attempts of each call", () => {
    const free: Kernel.Share = { ...share, minimum: Infinity }
    expect(play(free, outage)).toEqual({ calls: 20_000, attempts: 60_000 })
  })

  for (const form of [share, deposits, tokens, throttle]) {
    for (const backoff of [0, 500]) {
      it(`${form._tag}, back-off ${backoff} ms: at most 1.2 attempts a call and the reserve`, () => {
        const storm = { ...outage, backoff }
        const { attempts, calls } = play(form, storm)
        console.log(
          `${form._tag}, back-off ${backoff} ms: ${attempts} attempts of ${calls} calls (${attempts / calls})`
        )
        expect(calls).toBe(20_000)
        expect(attempts).toBeLessThanOrEqual((1 + ratioOf(form)) * calls + reserve(form, storm))
        // The bound means something here: the reserve is small beside the share.
        expect(reserve(form, storm)).toBeLessThan(0.2 * calls)
      })
    }
  }

  it("is bounded whatever the latency, the wait, the number of attempts and the size of the budget", () => {
    const storms = FastCheck.record({
      callsPerSecond: FastCheck.constantFrom(10, 100, 500),
      seconds: FastCheck.constantFrom(2, 5),
      latency: FastCheck.integer({ min: 5, max: 1_000 }),
      backoff: FastCheck.integer({ min: 0, max: 1_000 }),
      attempts: FastCheck.integer({ min: 2, max: 5 })
    })
    FastCheck.assert(
      FastCheck.property(
        storms,
        FastCheck.constantFrom<Kernel.Form["_tag"]>("Share", "Deposits", "Tokens", "Throttle"),
        FastCheck.constantFrom(0, 0.1, 0.2, 0.5),
        FastCheck.integer({ min: 0, max: 10 }),
        (storm, tag, ratio, minimum) => {
          const form: Kernel.Form = tag === "Share"
            ? { ...share, ratio, minimum }
            : tag === "Deposits"
            ? { ...deposits, ratio, minimumPerSecond: minimum }
            : tag === "Throttle"
            ? throttle
            : tokens
          const { attempts, calls } = play(form, storm)
          expect(attempts).toBeLessThanOrEqual((1 + ratioOf(form)) * calls + reserve(form, storm))
        }
      ),
      { numRuns: runs(50, 200) }
    )
  })
})
