import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as TestClock from "effect/TestClock"
import * as RateLimitStore from "../../src/policy/RateLimitStore.ts"
import * as StoreLaws from "../../src/testing/StoreLaws.ts"
import { runs } from "../runs.ts"

const options: StoreLaws.Options = { advance: TestClock.adjust }

describe("The memory store keeps every law", () => {
  for (const law of StoreLaws.laws) {
    it.effect(
      law.name,
      () => law.check(RateLimitStore.layerMemory, options).pipe(Effect.withRandom(Random.make("store laws")))
    )
  }

  it.effect("whatever the order of arrivals, costs, leavers and releases", () =>
    Effect.forEach(
      Array.from({ length: runs(3, 8) }),
      (_, seed) =>
        StoreLaws.neverTooMany.check(RateLimitStore.layerMemory, options).pipe(
          Effect.withRandom(Random.make(`seed ${seed}`))
        ),
      { discard: true }
    ))
})

/** The memory store, changed. */
const broken = (change: (store: RateLimitStore.RateLimitStore) => Partial<RateLimitStore.RateLimitStore>) =>
  Layer.effect(
    RateLimitStore.RateLimitStore,
    Effect.map(RateLimitStore.makeMemory, (store) => ({ ...store, ...change(store) }))
  )

describe("A law notices", () => {
  const cases: ReadonlyArray<readonly [string, StoreLaws.Law, Layer.Layer<RateLimitStore.RateLimitStore>]> = [
    [
      "a store that forgets its bucket",
      StoreLaws.atomic,
      broken((store) => {
        let keys = 0
        return { reserve: (request) => store.reserve({ ...request, key: `${request.key} ${keys++}` }) }
      })
    ],
    [
      "a store that takes although it refuses",
      StoreLaws.bothOrNeither,
      broken((store) => ({
        reserve: (request) => Effect.tap(store.reserve(request), () => store.reserve({ ...request, tokens: 0 }))
      }))
    ],
    [
      "a store whose line does not wait",
      StoreLaws.neverTooMany,
      broken(() => ({ wait: ({ _tag, wait: _, ...rest }) => Effect.succeed({ _tag: "Granted", ...rest }) }))
    ],
    ["a store that keeps what is released", StoreLaws.givenBack, broken(() => ({ release: () => Effect.void }))],
    ["a store that never settles", StoreLaws.settled, broken(() => ({ settle: () => Effect.void }))],
    ["a store that does not pause", StoreLaws.paused, broken(() => ({ pause: () => Effect.succeed(true) }))],
    ["a store that does not resume", StoreLaws.resumed, broken(() => ({ resume: () => Effect.succeed(true) }))],
    [
      "a store whose debts have no bound",
      StoreLaws.boundedDebt,
      broken((store) => ({
        settle: (reservation, tokens) => store.pause(reservation.key, reservation.limits, tokens)
      }))
    ],
    [
      "a store that believes for ever",
      StoreLaws.learnedExpires,
      broken((store) => {
        let told: RateLimitStore.Learned = {}
        return {
          learn: (key, limits, learned) => store.learn(key, limits, told = learned),
          state: (key, limits) => Effect.zipRight(store.learn(key, limits, told), store.state(key, limits))
        }
      })
    ],
    ["a store that does not listen", StoreLaws.learned, broken(() => ({ learn: () => Effect.succeed(false) }))],
    [
      "a store with one bucket for all",
      StoreLaws.isolated,
      broken((store) => ({
        reserve: (request) => store.reserve({ ...request, key: "all" }),
        pause: (_, limits, millis) => store.pause("all", limits, millis)
      }))
    ],
    [
      "a store that grows for ever",
      StoreLaws.forgetful,
      broken(() => {
        let size = 0
        return { size: Effect.sync(() => (size += 1_000)) }
      })
    ]
  ]
  for (const [name, law, layer] of cases) {
    it.effect(name, () =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(law.check(layer, options))
        expect(error.message).toContain(`breaks the law "${law.name}"`)
      }).pipe(Effect.withRandom(Random.make("broken"))))
  }
})
