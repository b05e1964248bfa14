import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import * as Gate from "../../../src/policy/shared/permits.ts"

const admitted = (gate: Gate.Gate): Gate.Permit => {
  const permit = Gate.admit(gate)
  if (permit === undefined) throw new Error("not admitted")
  return permit
}

const queued = (gate: Gate.Gate, deadline = Infinity): Gate.Place => {
  const place = Gate.enqueue(gate, deadline)
  if (place === undefined) throw new Error("not queued")
  return place
}

describe("gate", () => {
  it("admits up to the limit, then queues, then refuses", () => {
    const gate = Gate.make(1, 1, 1)
    expect(Gate.admit(gate)).toMatchObject({ held: true, inFlight: 1 })
    expect(Gate.admit(gate)).toBeUndefined()
    expect(Gate.enqueue(gate, Infinity)).toBeDefined()
    expect(Gate.enqueue(gate, Infinity)).toBeUndefined()
  })

  it("a permit goes from hand to hand: a newcomer finds no room between", () => {
    const gate = Gate.make(1, 1, 1)
    const first = admitted(gate)
    const waiter = queued(gate)
    Gate.release(gate, first)
    expect(waiter.value.permit?.held).toBe(true)
    expect(gate.running).toBe(1)
    expect(Gate.admit(gate)).toBeUndefined()
  })

  it("a permit is given back once, however often it is tried", () => {
    const gate = Gate.make(2, 0, 2)
    const first = admitted(gate)
    admitted(gate)
    Gate.release(gate, first)
    Gate.release(gate, first)
    expect(gate.running).toBe(1)
  })

  it("who goes away after it was handed a permit passes it on", () => {
    const gate = Gate.make(1, 2, 1)
    const first = admitted(gate)
    const [one, two] = [queued(gate), queued(gate)]
    Gate.release(gate, first)
    Gate.abandon(gate, one)
    expect(two.value.permit?.held).toBe(true)
    Gate.abandon(gate, two)
    expect(gate.running).toBe(0)
  })

  it("who goes away while it waits frees its place", () => {
    const gate = Gate.make(1, 1, 1)
    const first = admitted(gate)
    Gate.abandon(gate, queued(gate))
    expect(gate.waiters.size).toBe(0)
    expect(gate.running).toBe(1)
    Gate.release(gate, first)
    expect(gate.running).toBe(0)
  })

  it("whose time is up gets no permit, then or later", () => {
    const gate = Gate.make(1, 3, 1)
    const first = admitted(gate)
    const woken: Array<number> = []
    const places = [10, 20, 30].map((deadline, i) => {
      const place = queued(gate, deadline)
      place.value.wake = () => woken.push(i)
      return place
    })
    expect(Gate.expire(gate, 9)).toBe(10)
    expect(Gate.expire(gate, 20)).toBe(30)
    expect(woken).toEqual([0, 1])
    Gate.release(gate, first)
    expect(places.map((place) => place.value.permit?.held)).toEqual([undefined, undefined, true])
    expect(woken).toEqual([0, 1, 2])
    expect(Gate.expire(gate, 100)).toBeUndefined()
  })

  it("a higher limit lets in who waits; a lower one sends nobody away", () => {
    const gate = Gate.make(1, 3, 1)
    const first = admitted(gate)
    const places = [queued(gate), queued(gate), queued(gate)]
    Gate.resize(gate, 3, 0)
    expect(places.map((place) => place.value.permit !== undefined)).toEqual([true, true, false])
    Gate.resize(gate, 1, 0)
    expect([gate.running, gate.waiters.size]).toEqual([3, 1])
    Gate.release(gate, first)
    expect([gate.running, gate.waiters.size]).toEqual([2, 1])
  })

  it("a full gate with a queue has a tracked holder, whoever came and went", () => {
    FastCheck.assert(
      FastCheck.property(
        FastCheck.integer({ min: 1, max: 4 }),
        FastCheck.array(FastCheck.oneof(FastCheck.constant(-1), FastCheck.nat(8)), { maxLength: 60 }),
        (limit, commands) => {
          const gate = Gate.make(limit, 2, limit)
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
    expect(admitted(Gate.make(1, 0, 1)).tracked).toBe(false)
    expect(admitted(Gate.make(2, 5, 2)).tracked).toBe(false)
    expect(admitted(Gate.make(1, 5, 1)).tracked).toBe(true)
  })
})
