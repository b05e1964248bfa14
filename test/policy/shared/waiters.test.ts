import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import * as Waiters from "../../../src/policy/shared/waiters.ts"

/** Takes the first. */
const takeFirst = <A>(queue: Waiters.Waiters<A>): A | undefined => {
  const { first } = queue
  if (first !== undefined) Waiters.remove(queue, first)
  return first?.value
}

describe("waiters", () => {
  it("first in, first out", () => {
    const queue = Waiters.make<string>()
    for (const name of ["a", "b", "c"]) Waiters.add(queue, name)
    expect([takeFirst(queue), takeFirst(queue), takeFirst(queue), takeFirst(queue)])
      .toEqual(["a", "b", "c", undefined])
    expect(queue).toEqual(Waiters.make())
  })

  it.each([
    ["first", 0, ["b", "c"]],
    ["middle", 1, ["a", "c"]],
    ["last", 2, ["a", "b"]]
  ])("the %s may leave, once", (_, index, rest) => {
    const queue = Waiters.make<string>()
    const entry = ["a", "b", "c"].map((name) => Waiters.add(queue, name))[index]
    if (entry === undefined) throw new Error("no such entry")
    expect(Waiters.remove(queue, entry)).toBe(true)
    expect(Waiters.remove(queue, entry)).toBe(false)
    expect(Waiters.toArray(queue)).toEqual(rest)
    expect(queue.size).toBe(2)
  })

  it("who was taken can not leave any more", () => {
    const queue = Waiters.make<string>()
    const entry = Waiters.add(queue, "a")
    takeFirst(queue)
    expect(Waiters.remove(queue, entry)).toBe(false)
    expect(queue.size).toBe(0)
  })

  it("who left keeps no neighbour alive", () => {
    const queue = Waiters.make<string>()
    const [, middle] = ["a", "b", "c"].map((name) => Waiters.add(queue, name))
    if (middle === undefined) throw new Error("no such entry")
    Waiters.remove(queue, middle)
    expect([middle.previous, middle.next]).toEqual([undefined, undefined])
  })

  it("does what an array does, whatever the order", () => {
    const command = FastCheck.oneof(
      FastCheck.constant("add" as const),
      FastCheck.constant("next" as const),
      FastCheck.nat(20)
    )
    FastCheck.assert(
      FastCheck.property(FastCheck.array(command, { maxLength: 60 }), (commands) => {
        const queue = Waiters.make<number>()
        const model: Array<number> = []
        const entries: Array<Waiters.Entry<number>> = []
        for (const each of commands) {
          if (each === "add") {
            model.push(entries.length)
            entries.push(Waiters.add(queue, entries.length))
          } else if (each === "next") {
            expect(takeFirst(queue)).toBe(model.shift())
          } else {
            const entry = entries[each]
            const index = model.indexOf(each)
            if (entry !== undefined) expect(Waiters.remove(queue, entry)).toBe(index >= 0)
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
