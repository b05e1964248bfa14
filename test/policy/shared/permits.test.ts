import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import * as Gate from "../../../src/policy/shared/permits.ts"
import * as Waiters from "../../../src/policy/shared/waiters.ts"

const admitted = (gate: Gate.Gate): Gate.Permit => {
  const permit = Gate.admit(gate)
  if (permit === undefined) throw new Error("not admitted")
  return permit
}

const gateOf = (limit: number, maxQueued: number, ageing?: number): Gate.Gate =>
  Gate.make({ limit, maxQueued, floor: limit, ageing })

const arrival = (given: Partial<Gate.Arrival> = {}): Gate.Arrival => ({
  at: 0,
  priority: 0,
  deadline: Infinity,
  timeouts: undefined,
  ...given
})

const queued = (gate: Gate.Gate, given?: Partial<Gate.Arrival>): Gate.Waiter => {
  const waiter = Gate.enqueue(gate, arrival(given))
  if (waiter === undefined) throw new Error("not queued")
  return waiter
}

describe("gate", () => {
  it("admits up to the limit, then queues, then refuses", () => {
    const gate = gateOf(1, 1)
    expect(Gate.admit(gate)).toMatchObject({ held: true, inFlight: 1 })
    expect(Gate.admit(gate)).toBeUndefined()
    expect(Gate.enqueue(gate, arrival())).toBeDefined()
    expect(Gate.enqueue(gate, arrival())).toBeUndefined()
  })

  it("a permit goes from hand to hand: a newcomer finds no room between", () => {
    const gate = gateOf(1, 1)
    const first = admitted(gate)
    const waiter = queued(gate)
    Gate.release(gate, first)
    expect(waiter.permit?.held).toBe(true)
    expect(gate.running).toBe(1)
    expect(Gate.admit(gate)).toBeUndefined()
  })

  it("a permit is given back once, however often it is tried", () => {
    const gate = gateOf(2, 0)
    const first = admitted(gate)
    admitted(gate)
    Gate.release(gate, first)
    Gate.release(gate, first)
    expect(gate.running).toBe(1)
  })

  it("who goes away after it was handed a permit passes it on", () => {
    const gate = gateOf(1, 2)
    const first = admitted(gate)
    const [one, two] = [queued(gate), queued(gate)]
    Gate.release(gate, first)
    Gate.abandon(gate, one)
    expect(two.permit?.held).toBe(true)
    Gate.abandon(gate, two)
    expect(gate.running).toBe(0)
  })

  it("who goes away while it waits frees its place", () => {
    const gate = gateOf(1, 1)
    const first = admitted(gate)
    Gate.abandon(gate, queued(gate))
    expect(gate.queued).toBe(0)
    expect(gate.running).toBe(1)
    Gate.release(gate, first)
    expect(gate.running).toBe(0)
  })

  it("whose time is up gets no permit, then or later", () => {
    const gate = gateOf(1, 3)
    const first = admitted(gate)
    const timeouts = Waiters.make<Gate.Waiter>()
    const woken: Array<number> = []
    const waiting = [10, 20, 30].map((deadline, i) => {
      const waiter = queued(gate, { deadline, timeouts })
      waiter.wake = () => woken.push(i)
      return waiter
    })
    expect(Gate.expire(gate, timeouts, 9)).toBe(10)
    expect(Gate.expire(gate, timeouts, 20)).toBe(30)
    expect(woken).toEqual([0, 1])
    Gate.release(gate, first)
    expect(waiting.map((waiter) => waiter.permit?.held)).toEqual([undefined, undefined, true])
    expect(woken).toEqual([0, 1, 2])
    expect(Gate.expire(gate, timeouts, 100)).toBeUndefined()
  })

  it("a higher limit lets in who waits; a lower one sends nobody away", () => {
    const gate = gateOf(1, 3)
    const first = admitted(gate)
    const waiting = [queued(gate), queued(gate), queued(gate)]
    Gate.resize(gate, 3, 0)
    expect(waiting.map((waiter) => waiter.permit !== undefined)).toEqual([true, true, false])
    Gate.resize(gate, 1, 0)
    expect([gate.running, gate.queued]).toEqual([3, 1])
    Gate.release(gate, first)
    expect([gate.running, gate.queued]).toEqual([2, 1])
  })

  it("a full gate with a queue has a tracked holder, whoever came and went", () => {
    FastCheck.assert(
      FastCheck.property(
        FastCheck.integer({ min: 1, max: 4 }),
        FastCheck.array(FastCheck.oneof(FastCheck.constant(-1), FastCheck.nat(8)), { maxLength: 60 }),
        (limit, commands) => {
          const gate = gateOf(limit, 2)
          const held: Array<Gate.Permit> = []
          for (const each of commands) {
            const permit = each < 0 ? Gate.admit(gate) : undefined
            if (permit !== undefined) held.push(permit)
            if (each >= 0) { for (const gone of held.splice(each, 1)) Gate.release(gate, gone) }
            expect(gate.running).toBe(held.length)
            if (held.length === limit) expect(held.some((each) => each.tracked)).toBe(true)
          }
        }
      ),
      { numRuns: 300 }
    )
  })

  it("where nobody may wait nobody is tracked: the hot path pays nothing", () => {
    expect(admitted(gateOf(1, 0)).tracked).toBe(false)
    expect(admitted(gateOf(2, 5)).tracked).toBe(false)
    expect(admitted(gateOf(1, 5)).tracked).toBe(true)
  })
})

describe("a queue with priorities", () => {
  const step = 1_000
  /** Who gets the permits, in which order, when all have come. */
  const order = (gate: Gate.Gate, arrivals: ReadonlyArray<Partial<Gate.Arrival>>): ReadonlyArray<number> => {
    let holder: Gate.Permit | undefined = admitted(gate)
    const waiting = arrivals.map((given) => queued(gate, given))
    const served: Array<number> = []
    while (holder !== undefined && served.length < arrivals.length) {
      Gate.release(gate, holder)
      const next = waiting.findIndex((waiter, i) => waiter.permit !== undefined && !served.includes(i))
      served.push(next)
      holder = waiting[next]?.permit
    }
    return served
  }

  it("a higher priority goes first, equal ones first come, first served", () =>
    expect(order(gateOf(1, 9, step), [{}, { priority: 2 }, { priority: -1 }, { priority: 2 }, {}]))
      .toEqual([1, 3, 0, 4, 2]))

  it("does not count without an ageing", () =>
    expect(order(gateOf(1, 9), [{}, { priority: 2 }, { priority: -1 }])).toEqual([0, 1, 2]))

  it("a waiter gains one step for each ageing that it waits", () => {
    const late = (millis: number) => order(gateOf(1, 9, step), [{ at: 0 }, { at: millis, priority: 3 }])
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
        const served = order(gateOf(1, 100, step), arrivals)
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
    const gate = gateOf(1, 9, step)
    const timeouts = Waiters.make<Gate.Waiter>()
    const holder = admitted(gate)
    const [late, gone, low] = [
      queued(gate, { priority: 9, deadline: 10, timeouts }),
      queued(gate, { priority: 5 }),
      queued(gate, { priority: -5 })
    ]
    expect(Gate.expire(gate, timeouts, 10)).toBeUndefined()
    Gate.abandon(gate, gone)
    expect(gate.queued).toBe(1)
    Gate.release(gate, holder)
    expect([late, gone, low].map((waiter) => waiter.permit?.held)).toEqual([undefined, undefined, true])
  })

  it("time-outs are kept by clock: each is asked for its own", () => {
    const gate = gateOf(1, 9)
    admitted(gate)
    const [one, other] = [Waiters.make<Gate.Waiter>(), Waiters.make<Gate.Waiter>()]
    queued(gate, { deadline: 1_000, timeouts: one })
    queued(gate, { deadline: 10, timeouts: other })
    expect(Gate.expire(gate, other, 10)).toBeUndefined()
    expect(gate.queued).toBe(1)
    expect(Gate.expire(gate, one, 10)).toBe(1_000)
  })
})
