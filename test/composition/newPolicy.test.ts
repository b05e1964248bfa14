/** A policy is added to the pipeline by one folder (`support/allowance`) and one line (the list below). */
import { describe, expect, it } from "@effect/vitest"
import { Ajv2020 } from "ajv/dist/2020.js"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import * as Form from "../../src/internal/form.ts"
import { formOf } from "../../src/policy/pipeline/configuration.ts"
import { pipelineOf } from "../../src/policy/pipeline/pipelineOf.ts"
import { sections } from "../../src/policy/pipeline/sections.ts"
import * as RetryPolicy from "../../src/policy/RetryPolicy.ts"
import { make, section as allowance } from "./support/allowance/section.ts"

const all = [...sections, allowance] as const
const Pipeline = pipelineOf(all)

const retry = RetryPolicy.immediate.pipe(RetryPolicy.attempts(3), RetryPolicy.ignoreHints)

describe("a policy that is one folder and one line", () => {
  it.effect("stands round the call and refuses", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make({ name: "chat", allowance: { attempts: 2 } })
      const call = Effect.succeed("answer").pipe(Pipeline.apply(pipeline))
      expect([yield* call, yield* call]).toEqual(["answer", "answer"])
      const refused = yield* Effect.flip(call)
      // The type of the pipeline tells of the refusal.
      expect(refused._tag === "AllowanceSpent" ? refused.name : undefined).toBe("chat")
    }))

  it.effect("is within the retry, and waits", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make({ retry, allowance: { attempts: 5, pause: "2 seconds" } })
      const call = yield* Effect.fork(Effect.flip(Pipeline.apply(Effect.fail("down"), pipeline)))
      yield* TestClock.adjust("6 seconds")
      expect(yield* Fiber.join(call)).toBe("down")
      expect(Pipeline.policies(pipeline).allowance?.cell.used).toBe(3)
    }))

  it.effect("is in the words and the worst case", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make({
        name: "chat",
        retry: { ...retry, honourHints: "never" },
        attemptTimeout: "10 seconds",
        allowance: { attempts: 9, pause: 500 }
      })
      expect(Pipeline.describe(pipeline)).toBe(
        [
          "chat: retry: retry at once, 3 attempts in total, ignoring hints",
          "allowance chat: 9 attempts, each after 500ms",
          "attempt time-out 10s",
          "call"
        ].join("\n  → ") + "\n  worst case: 3 attempts, 0 waiting, 31s 500ms in all"
      )
      const bounds = Pipeline.bounds(pipeline)
      expect(Duration.toSeconds(bounds.duration)).toBe(31.5)
    }))

  it.effect("is read from a policy file, with its faults and contradictions, and written back", () =>
    Effect.gen(function*() {
      const file = { name: "chat", allowance: { attempts: 3, pause: "1 second" } }
      expect(Pipeline.encode(yield* Pipeline.decode(file))).toEqual(file)
      const wrong = yield* Effect.flip(Pipeline.decode({ allowance: { attempts: 0, pause: 5, extra: 1 } }))
      expect(wrong.issues.map(({ path }) => path)).toEqual([
        "allowance.extra",
        "allowance.attempts",
        "allowance.pause"
      ])
      const unwise = { totalTimeout: "1 second", allowance: { attempts: 1, pause: "3 seconds" } }
      const contradiction = yield* Effect.flip(Pipeline.decode(unwise))
      expect(contradiction.issues).toEqual([
        { path: "allowance.pause", found: "3s", allowed: "less than totalTimeout, which is 1s" }
      ])
    }))

  it("is in the JSON Schema of a policy file", () => {
    const validate = new Ajv2020({ strict: true, strictRequired: false }).compile({
      ...Form.toJsonSchema(formOf([allowance]))
    })
    expect(validate({ allowance: { attempts: 3, pause: "1 second" } })).toBe(true)
    expect(validate({ allowance: { pause: "1 second" } })).toBe(false)
    expect(validate({ allowance: { attempts: 3, pauses: "1 second" } })).toBe(false)
  })

  it.effect("takes over other options while calls run, and keeps what it knows", () =>
    Effect.gen(function*() {
      const pipeline = yield* Pipeline.make({ allowance: { attempts: 1 } })
      const call = Pipeline.apply(Effect.succeed("answer"), pipeline)
      yield* call
      yield* Pipeline.reconfigure(pipeline, { allowance: { attempts: 2 } })
      yield* call
      expect(yield* Effect.flip(call)).toMatchObject({ _tag: "AllowanceSpent" })
      const refused = yield* Effect.flip(Pipeline.reload(pipeline, { allowance: { attempts: 9, pause: "1 second" } }))
      expect(refused.issues.map(({ path }) => path)).toEqual(["allowance.pause"])
      expect(Pipeline.policies(pipeline).allowance?.attempts).toBe(2)
    }))

  it.effect("may be shared", () =>
    Effect.gen(function*() {
      const shared = make({ name: "shared", attempts: 1, pause: 0 })
      const [one, other] = [yield* Pipeline.make({ allowance: shared }), yield* Pipeline.make({ allowance: shared })]
      yield* Pipeline.apply(Effect.void, one)
      expect(yield* Effect.flip(Pipeline.apply(Effect.void, other))).toMatchObject({ name: "shared" })
      expect(Pipeline.encode(one)).toEqual({ name: "pipeline" })
    }))
})
