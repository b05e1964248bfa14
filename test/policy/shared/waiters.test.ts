import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import * as Waiters from "../../../src/policy/shared/waiters.ts"

describe("waiters", () => {
  it("first in, first out", () => {
    const queue = Waiters.make<string>()
    for (const name of ["a", "b", "c"]) Waiters.join(queue, name)
    expect([Waiters.next(queue), Waiters.next(queue), Waiters.next(queue), Waiters.next(queue)])
      .toEqual(["a", "b", "c", undefined])
    expect(queue).toEqual(Waiters.make())
  })

  it.each([
    ["first", 0, ["b", "c"]],
    ["middle", 1, ["a", "c"]],
    ["last", 2, ["a", "b"]]
  ])("the %s may leave, once", (_, index, rest) => {
    const queue = Waiters.make<string>()
    const place = ["a", "b", "c"].map((name) => Waiters.join(queue, name))[index]
    if (place === undefined) throw new Error("no such place")
    expect(Waiters.leave(queue, place)).toBe(true)
    expect(Waiters.leave(queue, place)).toBe(false)
    expect(Waiters.toArray(queue)).toEqual(rest)
    expect(queue.size).toBe(2)
  })

  it("who was taken can not leave any more", () => {
    const queue = Waiters.make<string>()
    const place = Waiters.join(queue, "a")
    Waiters.next(queue)
    expect(Waiters.leave(queue, place)).toBe(false)
    expect(queue.size).toBe(0)
  })

  it("who left keeps no neighbour alive", () => {
    const queue = Waiters.make<string>()
    const [, middle] = ["a", "b", "c"].map((name) => Waiters.join(queue, name))
    if (middle === undefined) throw new Error("no such place")
    Waiters.leave(queue, middle)
    expect([middle.before, middle.behind]).toEqual([undefined, undefined])
  })

  it("does what an array does, whatever the order", () => {
    const command = FastCheck.oneof(
      FastCheck.constant("join" as const),
      FastCheck.constant("next" as const),
      FastCheck.nat(20)
    )
    FastCheck.assert(
      FastCheck.property(FastCheck.array(command, { maxLength: 60 }), (commands) => {
        const queue = Waiters.make<number>()
        const model: Array<number> = []
        const places: Array<Waiters.Place<number>> = []
        for (const each of commands) {
          if (each === "join") {
            model.push(places.length)
            places.push(Waiters.join(queue, places.length))
          } else if (each === "next") {
            expect(Waiters.next(queue)).toBe(model.shift())
          } else {
            const place = places[each]
            const index = model.indexOf(each)
            if (place !== undefined) expect(Waiters.leave(queue, place)).toBe(index >= 0)
            if (index >= 0) model.splice(index, 1)
          }
          expect(Waiters.toArray(queue)).toEqual(model)
          expect(queue.size).toBe(model.length)
        }
      }),
      { numRuns: 300 }
    )
  })
})
