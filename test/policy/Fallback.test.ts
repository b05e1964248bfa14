import { describe, expect, it } from "@effect/vitest"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Ref from "effect/Ref"
import * as TestClock from "effect/TestClock"
import * as ModelError from "../../src/error/ModelError.ts"
import * as Verdict from "../../src/error/Verdict.ts"
import * as Fallback from "../../src/policy/Fallback.ts"
import * as Retry from "../../src/policy/Retry.ts"
import * as RetryPolicy from "../../src/policy/RetryPolicy.ts"
import * as Monitor from "../../src/telemetry/Monitor.ts"

class Down extends Data.TaggedError("Down")<{ readonly who: string }> {}
class NotHere extends Data.TaggedError("NotHere")<{}> {
  [Verdict.symbol]() {
    return Verdict.make("Fallback")
  }
}
class BadKey extends Data.TaggedError("BadKey")<{}> {
  [Verdict.symbol]() {
    return Verdict.make("Fail")
  }
}
class Unreadable extends Data.TaggedError("Unreadable")<{}> {
  [Verdict.symbol]() {
    return Verdict.make("Reask")
  }
}

const down = (who: string) => Effect.fail(new Down({ who }))
const cache = { name: "cache", effect: Effect.succeed("cached") }
const archive = { name: "archive", effect: Effect.succeed("archived") }

describe("Fallback", () => {
  it.effect("gives the answer of the first that has one, and does not run the rest", () =>
    Effect.gen(function*() {
      const runs = yield* Ref.make<ReadonlyArray<string>>([])
      const note = (name: string) => Ref.update(runs, (before) => [...before, name])
      const noted = <A, E>(name: string, effect: Effect.Effect<A, E>) => ({
        name,
        effect: Effect.zipRight(note(name), effect)
      })
      const value = yield* Effect.zipRight(note("primary"), down("primary")).pipe(
        Fallback.apply(Fallback.standard, [
          noted("one", down("one")),
          noted("two", Effect.succeed("two")),
          noted("three", Effect.succeed("three"))
        ])
      )
      expect([value, yield* runs]).toEqual(["two", ["primary", "one", "two"]])
    }))

  it.effect("runs no alternative when the first effect succeeds", () =>
    Effect.gen(function*() {
      const value = yield* Effect.succeed("live").pipe(
        Fallback.apply(Fallback.standard, [{ name: "never", effect: Effect.die("ran") }])
      )
      expect(value).toBe("live")
    }))

  it.effect("reads the same data-first", () =>
    Effect.gen(function*() {
      expect(yield* Fallback.apply(down("a"), Fallback.standard, [cache])).toBe("cached")
      expect((yield* Fallback.applyWithReport(down("a"), Fallback.standard, [cache])).step).toBe("cache")
      const error = yield* Effect.flip(Fallback.applyOrExhausted(down("a"), Fallback.standard, []))
      expect(error.steps).toEqual([{ step: "primary", error: new Down({ who: "a" }) }])
    }))

  it.effect("passes the last error through unboxed, the very same value", () =>
    Effect.gen(function*() {
      const last = new Down({ who: "c" })
      const error = yield* Effect.flip(
        down("a").pipe(Fallback.apply(Fallback.standard, [
          { name: "b", effect: down("b") },
          { name: "c", effect: Effect.fail(last) }
        ]))
      )
      expect(error).toBe(last)
    }))

  it.effect("is just the effect when there are no alternatives", () =>
    Effect.gen(function*() {
      expect((yield* Effect.flip(down("a").pipe(Fallback.apply(Fallback.standard, [])))).who).toBe("a")
    }))

  it.effect.each([
    { error: new Down({ who: "a" }), moves: true, why: "its verdict is Retry, and its retries are over" },
    { error: new NotHere(), moves: true, why: "its verdict is Fallback" },
    { error: new BadKey(), moves: false, why: "its verdict is Fail" },
    { error: new Unreadable(), moves: false, why: "its verdict is Reask" },
    { error: new ModelError.ContextLengthExceeded({ provider: "p" }), moves: true, why: "another model may take it" },
    { error: new ModelError.InvalidRequest({ provider: "p" }), moves: false, why: "it is wrong everywhere" }
  ])("by the verdict: $error._tag moves on: $moves, as $why", ({ error, moves }) =>
    Effect.gen(function*() {
      const result = yield* Effect.either(Effect.fail(error).pipe(Fallback.apply(Fallback.standard, [cache])))
      expect(result._tag).toBe(moves ? "Right" : "Left")
    }))

  it.effect("stops in the middle when an alternative fails with a verdict to fail", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(
        down("a").pipe(Fallback.apply(Fallback.standard, [{ name: "b", effect: Effect.fail(new BadKey()) }, cache]))
      )
      expect(error._tag).toBe("BadKey")
    }))

  it.effect("by a condition: named tags, actions and predicates move on, and nothing else does", () =>
    Effect.gen(function*() {
      const attempt = (when: Fallback.Condition, error: Down | NotHere | BadKey | Unreadable) =>
        Effect.gen(function*() {
          const fallback = yield* Fallback.make({ when })
          return (yield* Effect.either(Effect.fail(error).pipe(Fallback.apply(fallback, [cache]))))._tag === "Right"
        })
      const down = new Down({ who: "a" })
      expect(yield* attempt({ tags: ["Down"] }, down)).toBe(true)
      expect(yield* attempt({ tags: ["NotHere"] }, down)).toBe(false)
      expect(yield* attempt({ actions: ["Reask"] }, new Unreadable())).toBe(true)
      expect(yield* attempt({ predicate: (error) => error === down }, down)).toBe(true)
      expect(yield* attempt({ predicate: (error) => error === down }, new Down({ who: "a" }))).toBe(false)
      expect(yield* attempt({ tags: ["BadKey"] }, new BadKey())).toBe(true)
      expect(yield* attempt({ predicate: () => true }, new BadKey())).toBe(false)
    }))

  it.effect("skips an alternative that is for other errors, whatever the fallback's own condition", () =>
    Effect.gen(function*() {
      const fallback = yield* Fallback.make({ when: { tags: ["Down"] } })
      const report = yield* down("a").pipe(
        Fallback.applyWithReport(fallback, [{ ...cache, when: { tags: ["NotHere"] } }, archive])
      )
      expect(report).toMatchObject({ value: "archived", step: "archive", skipped: ["cache"] })
    }))

  it.effect("judges errors by the verdict it was given", () =>
    Effect.gen(function*() {
      const fallback = yield* Fallback.make({ verdict: () => Verdict.make("Fail") })
      expect((yield* Effect.flip(down("a").pipe(Fallback.apply(fallback, [cache]))))._tag).toBe("Down")
    }))

  it.effect("moves on after the retries of each effect are over", () =>
    Effect.gen(function*() {
      const runs = yield* Ref.make(0)
      const retried = Effect.zipRight(Ref.update(runs, (n) => n + 1), down("a")).pipe(
        Retry.apply(RetryPolicy.constant("1 second").pipe(RetryPolicy.attempts(3)))
      )
      const fiber = yield* Effect.fork(retried.pipe(Fallback.apply(Fallback.standard, [cache])))
      yield* TestClock.adjust("2 seconds")
      expect([yield* Fiber.join(fiber), yield* runs]).toEqual(["cached", 3])
    }))
})

describe("Fallback, what it tells", () => {
  it.effect("a report says who answered, who failed with what, and who was skipped", () =>
    Effect.gen(function*() {
      const fallback = yield* Fallback.make({ primary: "live" })
      const report = yield* down("live").pipe(Fallback.applyWithReport(fallback, [
        { name: "special", effect: Effect.succeed("special"), when: { tags: ["NotHere"] } },
        { name: "mirror", effect: Effect.fail(new NotHere()) },
        cache
      ]))
      expect(report).toEqual({
        value: "cached",
        step: "cache",
        failed: [{ step: "live", error: new Down({ who: "live" }) }, { step: "mirror", error: new NotHere() }],
        skipped: ["special"]
      })
    }))

  it.effect("a report of the first effect is an empty log", () =>
    Effect.gen(function*() {
      expect(yield* Effect.succeed(1).pipe(Fallback.applyWithReport(Fallback.standard, [cache]))).toEqual({
        value: 1,
        step: "primary",
        failed: [],
        skipped: []
      })
    }))

  it.effect("PlanExhausted, where asked for, holds every error and says why it went no further", () =>
    Effect.gen(function*() {
      const fallback = yield* Fallback.make({ name: "search" })
      const error = yield* Effect.flip(
        down("a").pipe(
          Fallback.applyOrExhausted(fallback, [{ name: "b", effect: Effect.fail(new BadKey()) }, cache])
        )
      )
      expect(error).toMatchObject({
        _tag: "PlanExhausted",
        name: "search",
        steps: [{ step: "primary", error: { _tag: "Down" } }, { step: "b", error: { _tag: "BadKey" } }],
        skipped: ["cache"],
        reason: "the verdict of the last error is that nothing but a change helps"
      })
      expect(error.message).toContain("Tried: primary")
      expect(error.message).toContain("Not for these errors: cache.")
    }))

  it.effect("PlanExhausted is the value when somebody answers", () =>
    Effect.gen(function*() {
      expect(yield* down("a").pipe(Fallback.applyOrExhausted(Fallback.standard, [cache]))).toBe("cached")
    }))

  it.effect("an event for every step down, with the time, and none on the way of success", () =>
    Effect.gen(function*() {
      const recorder = yield* Monitor.recorder
      const fallback = yield* Fallback.make({ name: "search", primary: "live" })
      const search = <A, E>(effect: Effect.Effect<A, E>) =>
        effect.pipe(
          Fallback.apply(fallback, [{ name: "mirror", effect: down("mirror") }, cache]),
          Effect.provideService(Monitor.Monitor, recorder.monitor)
        )
      yield* search(Effect.succeed("live"))
      expect(yield* recorder.events).toEqual([])
      yield* TestClock.adjust("3 seconds")
      yield* search(down("live"))
      expect(yield* recorder.events).toEqual([
        { _tag: "FellBack", at: 3_000, name: "search", from: "live", to: "mirror", error: new Down({ who: "live" }) },
        { _tag: "FellBack", at: 3_000, name: "search", from: "mirror", to: "cache", error: new Down({ who: "mirror" }) }
      ])
    }))
})

describe("Fallback and what is not an error", () => {
  it.effect("a defect is not answered for", () =>
    Effect.gen(function*() {
      const exit = yield* Effect.exit(Effect.die("broken").pipe(Fallback.apply(Fallback.standard, [cache])))
      expect(exit).toEqual(Exit.die("broken"))
    }))

  it.effect("nor is an error with a defect beside it", () =>
    Effect.gen(function*() {
      const both = Effect.ensuring(down("a"), Effect.die("broken"))
      const exit = yield* Effect.exit(both.pipe(Fallback.apply(Fallback.standard, [cache])))
      expect(Exit.isFailure(exit)).toBe(true)
      const boxed = yield* Effect.exit(both.pipe(Fallback.applyOrExhausted(Fallback.standard, [cache])))
      expect(JSON.stringify(boxed)).toContain("PlanExhausted")
    }))

  it.effect("an error of one of several fibers is answered for, though the others were interrupted", () =>
    Effect.gen(function*() {
      const concurrent = Effect.all([Effect.never, down("a")], { concurrency: "unbounded" })
      expect(yield* concurrent.pipe(Fallback.apply(Fallback.standard, [cache]))).toBe("cached")
    }))

  it.effect("an effect that interrupts itself is not answered for", () =>
    Effect.gen(function*() {
      const exit = yield* Effect.exit(Effect.interrupt.pipe(Fallback.apply(Fallback.standard, [cache])))
      expect(Exit.isInterrupted(exit)).toBe(true)
    }))

  it.effect("an interrupted caller gets no alternative, at whatever step", () =>
    Effect.gen(function*() {
      const ran = yield* Ref.make<ReadonlyArray<string>>([])
      const hanging = (name: string) =>
        Effect.onInterrupt(Effect.never, () => Ref.update(ran, (before) => [...before, `${name} stopped`]))
      const alternatives = [
        { name: "b", effect: hanging("b") },
        { name: "c", effect: Ref.update(ran, (before) => [...before, "c ran"]) }
      ]
      const first = yield* Effect.fork(hanging("a").pipe(Fallback.apply(Fallback.standard, alternatives)))
      const second = yield* Effect.fork(down("a").pipe(Fallback.applyWithReport(Fallback.standard, alternatives)))
      yield* TestClock.adjust("1 second")
      yield* Fiber.interrupt(first)
      yield* Fiber.interrupt(second)
      expect(yield* ran).toEqual(["a stopped", "b stopped"])
    }))
})

describe("Fallback's options", () => {
  it.effect("default to the verdicts and to names of their own", () =>
    Effect.gen(function*() {
      expect(Fallback.defaults).toEqual({ name: "fallback", primary: "primary" })
      expect(yield* Fallback.make()).toMatchObject({ ...Fallback.defaults, when: undefined })
    }))

  it.effect("are all refused in one error when they cannot work", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Fallback.make({
        name: " ",
        primary: "",
        when: { tags: [], predicate: undefined }
      }))
      expect(error).toMatchObject({ _tag: "InvalidOptions", module: "Fallback" })
      expect(error.issues.map((issue) => issue.path)).toEqual(["name", "primary", "when.tags"])
    }))

  it.effect("refuse a condition that says nothing, since it could never hold", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Fallback.make({ when: {} }))
      expect(error.issues).toMatchObject([{ path: "when", found: "{}" }])
    }))

  it.effect("come as a layer, too", () =>
    Effect.gen(function*() {
      const fallback = yield* Fallback.Fallback
      expect(Fallback.describe(fallback)).toBe("search: falls back from live on a Retry or Fallback verdict")
    }).pipe(Effect.provide(Fallback.layer({ name: "search", primary: "live" }))))

  it.effect("fail the layer when they are wrong", () =>
    Effect.gen(function*() {
      expect((yield* Effect.flip(Layer.build(Fallback.layer({ name: "" }))))._tag).toBe("InvalidOptions")
    }).pipe(Effect.scoped))

  it.effect("name no tag that is nearly one of ours", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Fallback.make({ when: { tags: ["ContextLengthExceded"] } }))
      expect(error.issues).toEqual([{
        path: "when.tags.0",
        found: "\"ContextLengthExceded\"",
        allowed: "\"ContextLengthExceeded\"; no error has the tag that was written"
      }])
    }))

  it.effect("are told in one line", () =>
    Effect.gen(function*() {
      const when = { tags: ["Down", "NotHere"], actions: ["Fallback"], predicate: () => true } as const
      expect(Fallback.describe(yield* Fallback.make({ name: "search", when }))).toBe(
        "search: falls back from primary on your own Down, your own NotHere, a Fallback verdict, what its predicate takes"
      )
    }))
})
