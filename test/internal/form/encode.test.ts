import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as Form from "../../../src/internal/form.ts"
import { files, form, type Options, Shared } from "./sample.ts"

describe("the way back to JSON", () => {
  it("writes durations as text, with the defaults, without functions and shared values", () => {
    const read = Either.getOrThrow(Form.read(form, {
      maxConcurrent: 2,
      maxQueued: 1,
      queueTimeout: 1_500,
      delay: Infinity,
      jitter: { ratio: 0.2 },
      rule: { any: [{ when: "consecutive" }, { when: "failureRate", window: "100 calls" }] },
      budget: new Shared(),
      verdict: () => true
    }, "code"))
    expect(Form.encode(form, read)).toEqual({
      name: "sample",
      maxConcurrent: 2,
      maxQueued: 1,
      queueTimeout: "1500 millis",
      delay: "Infinity",
      jitter: { ratio: 0.2 },
      rule: {
        any: [{ when: "consecutive", failures: 5 }, { when: "failureRate", share: 0.5, window: "100 calls" }]
      }
    })
  })

  it("of what was read from any file reads the same again", () => {
    let right = 0
    FastCheck.assert(
      FastCheck.property(files, (file) => {
        const read = Form.read(form, file, "file")
        if (Either.isLeft(read)) return
        right += 1
        const json: unknown = JSON.parse(JSON.stringify(Form.encode(form, read.right)))
        expect(Form.read(form, json, "file")).toEqual(read)
        expect(Form.read(form, json, "code")).toEqual(read)
      }),
      { numRuns: 1_000 }
    )
    expect(right).toBeGreaterThan(100)
  })

  it("a value that is shared is written where its form says how", () => {
    const isShared = (value: unknown): value is Shared => value instanceof Shared
    const shared = Form.value(isShared, "a budget", { encode: ({ limit }) => ({ limit }) })
    const either = Form.choose(
      "a budget",
      Form.when(isShared, shared),
      Form.otherwise(Form.struct("a budget", { limit: Form.count(1, 9) }))
    )
    expect(Form.encode(either, new Shared())).toEqual({ limit: 3 })
    expect(Form.toFile(either, new Shared())).toEqual({ limit: 3 })
    expect(Form.read(either, { limit: 3 }, "file")).toEqual(Either.right({ limit: 3 }))
  })
})

describe("what code gave, in the spelling of a file", () => {
  it("has what was given, and no defaults", () => {
    const given: Options = {
      maxConcurrent: 2,
      queueTimeout: Duration.seconds(5),
      delay: 0,
      rule: { any: [{ when: "failureRate", window: Duration.minutes(1) }] },
      verdict: () => true,
      tags: undefined
    }
    expect(Form.toFile(form, given)).toEqual({
      maxConcurrent: 2,
      queueTimeout: "5 seconds",
      delay: "0 millis",
      rule: { any: [{ when: "failureRate", window: "1 minute" }] }
    })
  })

  it("is read from a file as it was from code", () => {
    FastCheck.assert(FastCheck.property(files, (file) => {
      const read = Form.read(form, file, "file")
      if (Either.isLeft(read)) return
      expect(Form.read(form, Form.toFile(form, file as Options), "file")).toEqual(read)
    }))
  })
})

describe("the defaults", () => {
  it("are those of the form", () => {
    expect(Form.defaults(form)).toEqual({ name: "sample", maxQueued: 0 })
  })
})
