import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import * as Permits from "../../../src/policy/shared/permits.ts"
import * as Waiters from "../../../src/policy/shared/waiters.ts"

const admitted = (pool: Permits.PermitPool): Permits.Permit => {
  const permit = Permits.tryAcquire(pool)
  if (permit === undefined) throw new Error("not admitted")
  return permit
}

const poolOf = (limit: number, maxQueued: number, ageing?: number): Permits.PermitPool =>
  Permits.make({ limit, maxQueued, floor: limit, ageing })

const arrival = (given: Partial<Permits.Arrival> = {}): Permits.Arrival => ({
  at: 0,
  priority: 0,
  deadline: Infinity,
  timeouts: undefined,
  ...given
})

const queued = (pool: Permits.PermitPool, given?: Partial<Permits.Arrival>): Permits.Waiter => {
  const waiter = Permits.enqueue(pool, arrival(given))
  if (waiter === undefined) throw new Error("not queued")
  return waiter
}

describe("a pool of permits", () => {
  it("admits up to the limit, then queues, then refuses", () => {
    const pool = poolOf(1, 1)
    expect(Permits.tryAcquire(pool)).toMatchObject({ isHeld: true, inFlight: 1 })
    expect(Permits.tryAcquire(pool)).toBeUndefined()
    expect(Permits.enqueue(pool, arrival())).toBeDefined()
    expect(Permits.enqueue(pool, arrival())).toBeUndefined()
  })

  it("a permit goes from hand to hand: a newcomer finds no room between", () => {
    const pool = poolOf(1, 1)
    const first = admitted(pool)
    const waiter = queued(pool)
    Permits.release(pool, first)
    expect(waiter.permit?.isHeld).toBe(true)
    expect(pool.running).toBe(1)
    expect(Permits.tryAcquire(pool)).toBeUndefined()
  })

  it("a permit is given back once, however often it is tried", () => {
    const pool = poolOf(2, 0)
    const first = admitted(pool)
    admitted(pool)
    Permits.release(pool, first)
    Permits.release(pool, first)
    expect(pool.running).toBe(1)
  })

  it("who goes away after it was handed a permit passes it on", () => {
    const pool = poolOf(1, 2)
    const first = admitted(pool)
    const [one, two] = [queued(pool), queued(pool)]
    Permits.release(pool, first)
    Permits.abandon(pool, one)
    expect(two.permit?.isHeld).toBe(true)
    Permits.abandon(pool, two)
    expect(pool.running).toBe(0)
  })

  it("who goes away while it waits frees its place", () => {
    const pool = poolOf(1, 1)
    const first = admitted(pool)
    Permits.abandon(pool, queued(pool))
    expect(pool.queued).toBe(0)
    expect(pool.running).toBe(1)
    Permits.release(pool, first)
    expect(pool.running).toBe(0)
  })

  it("whose time is up gets no permit, then or later", () => {
    const pool = poolOf(1, 3)
    const first = admitted(pool)
    const timeouts = Waiters.make<Permits.Waiter>()
    const woken: Array<number> = []
    const waiting = [10, 20, 30].map((deadline, i) => {
      const waiter = queued(pool, { deadline, timeouts })
      waiter.wake = () => woken.push(i)
      return waiter
    })
    expect(Permits.expire(pool, timeouts, 9)).toBe(10)
    expect(Permits.expire(pool, timeouts, 20)).toBe(30)
    expect(woken).toEqual([0, 1])
    Permits.release(pool, first)
    expect(waiting.map((waiter) => waiter.permit?.isHeld)).toEqual([undefined, undefined, true])
    expect(woken).toEqual([0, 1, 2])
    expect(Permits.expire(pool, timeouts, 100)).toBeUndefined()
  })

  it("a higher limit lets in who waits; a lower one sends nobody away", () => {
    const pool = poolOf(1, 3)
    const first = admitted(pool)
    const waiting = [queued(pool), queued(pool), queued(pool)]
    Permits.resize(pool, 3, 0)
    expect(waiting.map((waiter) => waiter.permit !== undefined)).toEqual([true, true, false])
    Permits.resize(pool, 1, 0)
    expect([pool.running, pool.queued]).toEqual([3, 1])
    Permits.release(pool, first)
    expect([pool.running, pool.queued]).toEqual([2, 1])
  })

  it("a full pool with a queue has a tracked holder, whoever came and went", () => {
    FastCheck.assert(
      FastCheck.property(
        FastCheck.integer({ min: 1, max: 4 }),
        FastCheck.array(FastCheck.oneof(FastCheck.constant(-1), FastCheck.nat(8)), { maxLength: 60 }),
        (limit, commands) => {
          const pool = poolOf(limit, 2)
          const held: Array<Permits.Permit> = []
          for (const each of commands) {
            const permit = each < 0 ? Permits.tryAcquire(pool) : undefined
            if (permit !== undefined) held.push(permit)
            if (each >= 0) { for (const gone of held.splice(each, 1)) Permits.release(pool, gone) }
            expect(pool.running).toBe(held.length)
            if (held.length === limit) expect(held.some((each) => each.isTracked)).toBe(true)
          }
        }
      ),
      { numRuns: 300 }
    )
  })

  it("where nobody may wait nobody is tracked: the hot path pays nothing", () => {
    expect(admitted(poolOf(1, 0)).isTracked).toBe(false)
    expect(admitted(poolOf(2, 5)).isTracked).toBe(false)
    expect(admitted(poolOf(1, 5)).isTracked).toBe(true)
  })
})

describe("a queue with priorities", () => {
  const step = 1_000
  /** Who gets the permits, in which order, when all have come. */
  const order = (
    pool: Permits.PermitPool,
    arrivals: ReadonlyArray<Partial<Permits.Arrival>>
  ): ReadonlyArray<number> => {
    let holder: Permits.Permit | undefined = admitted(pool)
    const waiting = arrivals.map((given) => queued(pool, given))
    const served: Array<number> = []
    while (holder !== undefined && served.length < arrivals.length) {
      Permits.release(pool, holder)
      const next = waiting.findIndex((waiter, i) => waiter.permit !== undefined && !served.includes(i))
      served.push(next)
      holder = waiting[next]?.permit
    }
    return served
  }

  it("a higher priority goes first, equal ones first come, first served", () =>
    expect(order(poolOf(1, 9, step), [{}, { priority: 2 }, { priority: -1 }, { priority: 2 }, {}]))
      .toEqual([1, 3, 0, 4, 2]))

  it("does not count without an ageing", () =>
    expect(order(poolOf(1, 9), [{}, { priority: 2 }, { priority: -1 }])).toEqual([0, 1, 2]))

  it("a waiter gains one step for each ageing that it waits", () => {
    const late = (millis: number) => order(poolOf(1, 9, step), [{ at: 0 }, { at: millis, priority: 3 }])
    expect(late(2_999)).toEqual([1, 0])
    expect(late(3_001)).toEqual([0, 1])
  })

  it("nobody starves: whoever comes later than the difference of priorities × ageing does not overtake", () => {
    const given = FastCheck.array(
      FastCheck.record({
        after: FastCheck.nat(3_000),
        priority: FastCheck.integer({ min: -3, max: 3 })
      }),
      { minLength: 1, maxLength: 30 }
    )
    FastCheck.assert(
      FastCheck.property(given, (all) => {
        let at = 0
        const arrivals = all.map(({ after, priority }) => ({ at: at += after, priority }))
        const served = order(poolOf(1, 100, step), arrivals)
        expect([...served].sort((a, b) => a - b)).toEqual(arrivals.map((_, i) => i))
        served.forEach((i, place) => {
          for (const j of served.slice(place + 1)) {
            const [one, other] = [arrivals[i], arrivals[j]]
            if (one === undefined || other === undefined) throw new Error("not an arrival")
            // The other one waits on: it came later, or has so much less priority.
            if (one.priority === other.priority) expect(i).toBeLessThan(j)
            else expect(one.at - other.at).toBeLessThanOrEqual((one.priority - other.priority) * step)
          }
        })
      }),
      { numRuns: 300 }
    )
  })

  it("who goes away or comes too late is passed over, whatever its priority", () => {
    const pool = poolOf(1, 9, step)
    const timeouts = Waiters.make<Permits.Waiter>()
    const holder = admitted(pool)
    const [late, gone, low] = [
      queued(pool, { priority: 9, deadline: 10, timeouts }),
      queued(pool, { priority: 5 }),
      queued(pool, { priority: -5 })
    ]
    expect(Permits.expire(pool, timeouts, 10)).toBeUndefined()
    Permits.abandon(pool, gone)
    expect(pool.queued).toBe(1)
    Permits.release(pool, holder)
    expect([late, gone, low].map((waiter) => waiter.permit?.isHeld)).toEqual([undefined, undefined, true])
  })

  it("time-outs are kept by clock: each is asked for its own", () => {
    const pool = poolOf(1, 9)
    admitted(pool)
    const [one, other] = [Waiters.make<Permits.Waiter>(), Waiters.make<Permits.Waiter>()]
    queued(pool, { deadline: 1_000, timeouts: one })
    queued(pool, { deadline: 10, timeouts: other })
    expect(Permits.expire(pool, other, 10)).toBeUndefined()
    expect(pool.queued).toBe(1)
    expect(Permits.expire(pool, one, 10)).toBe(1_000)
  })
})
