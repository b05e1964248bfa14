import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Exit from "effect/Exit"
import * as FastCheck from "effect/FastCheck"
import * as Hash from "effect/Hash"
import * as Schema from "effect/Schema"
import { deepStrictEqual } from "node:assert"
import { inspect } from "node:util"
import * as PolicyError from "../../src/error/PolicyError.ts"
import * as Verdict from "../../src/error/Verdict.ts"
import { runs } from "../runs.ts"

const times = { numRuns: runs(40, 200) }

type Refusal =
  | PolicyError.CircuitOpen
  | PolicyError.BulkheadFull
  | PolicyError.RateLimitExceeded
  | PolicyError.TimedOut

interface Pair {
  /** Made with `new`. */
  readonly made: Refusal
  /** Made by the factory of the policies. */
  readonly lean: Refusal
}

const { CircuitOpen, BulkheadFull, RateLimitExceeded, TimedOut } = PolicyError

const name = FastCheck.stringMatching(/^[a-z][a-z0-9 /-]{0,20}$/)
const wait = FastCheck.integer({ min: 0, max: 2 ** 40 }).map(Duration.millis)
const count = FastCheck.nat()

const pairs: FastCheck.Arbitrary<Pair> = FastCheck.oneof(
  FastCheck.record({
    name,
    retryAfter: wait,
    reason: FastCheck.constantFrom<["open", "probing", "isolated"]>("open", "probing", "isolated")
  }).map((fields): Pair => ({
    made: new CircuitOpen(fields),
    lean: PolicyError.refusal(CircuitOpen, fields)
  })),
  FastCheck.record({
    name,
    maxConcurrent: count,
    maxQueued: count,
    reason: FastCheck.constantFrom<["full", "reentrant"]>("full", "reentrant")
  }).map((fields): Pair => ({
    made: new BulkheadFull(fields),
    lean: PolicyError.refusal(BulkheadFull, fields)
  })),
  FastCheck.record({ name, retryAfter: wait }).map((fields): Pair => ({
    made: new RateLimitExceeded(fields),
    lean: PolicyError.refusal(RateLimitExceeded, { ...fields, reason: "rate" })
  })),
  FastCheck.record({
    name,
    retryAfter: wait,
    reason: FastCheck.constant("cost" as const),
    cost: count,
    limit: count,
    unit: FastCheck.constantFrom<["requests", "tokens"]>("requests", "tokens")
  }).map((fields): Pair => ({
    made: new RateLimitExceeded(fields),
    lean: PolicyError.refusal(RateLimitExceeded, fields)
  })),
  FastCheck.record({
    phase: FastCheck.constantFrom<["attempt", "total", "firstContent", "idle", "liveness", "queue"]>(
      "attempt",
      "total",
      "firstContent",
      "idle",
      "liveness",
      "queue"
    ),
    limit: wait
  }).map((fields): Pair => ({
    made: new TimedOut(fields),
    lean: PolicyError.refusal(TimedOut, fields)
  }))
)

const holds = (law: (pair: Pair) => void): void => {
  FastCheck.assert(FastCheck.property(pairs, law), times)
}

const sameHere = (ask: (error: Refusal) => unknown): void =>
  holds(({ lean, made }) => {
    expect(ask(lean)).toEqual(ask(made))
  })

describe("a refusal as policies make it is what the constructor makes", () => {
  it("in its class, its tag and its words", () => {
    holds(({ lean, made }) => {
      expect(lean).toBeInstanceOf(made.constructor)
      expect(lean).toBeInstanceOf(Error)
      expect(lean._tag).toBe(made._tag)
      expect(lean.message).toBe(made.message)
      expect(String(lean)).toBe(String(made))
      expect(Object.keys(lean)).toEqual(Object.keys(made))
    })
  })

  it("equal, both ways, with the same hash", () => {
    holds(({ lean, made }) => {
      expect(Equal.equals(lean, made)).toBe(true)
      expect(Equal.equals(made, lean)).toBe(true)
      expect(Hash.hash(lean)).toBe(Hash.hash(made))
    })
  })

  it("to assertions, which compare and print it as an error", () => {
    holds(({ lean, made }) => {
      expect(lean).toEqual(made)
      expect(lean).toStrictEqual(made)
      deepStrictEqual(lean, made)
    })
    const lean = PolicyError.refusal(TimedOut, { phase: "queue", limit: Duration.seconds(1) })
    const other = new TimedOut({ phase: "queue", limit: Duration.seconds(2) })
    expect(lean).not.toEqual(other)
    expect(() => expect(lean).toEqual(other)).toThrow("to deeply equal")
    expect(inspect(new TimedOut({ phase: "queue", limit: Duration.seconds(1) }))).toContain(`TimedOut: ${lean.message}`)
  })

  it("in its verdict", () => {
    sameHere(Verdict.of)
  })

  it("to schemas: it is one, it is written the same, and it comes back", () => {
    holds(({ lean, made }) => {
      expect(PolicyError.isPolicyError(lean)).toBe(true)
      const wire = Schema.encodeSync(PolicyError.PolicyError)(lean)
      expect(wire).toEqual(Schema.encodeSync(PolicyError.PolicyError)(made))
      expect(Equal.equals(Schema.decodeUnknownSync(PolicyError.PolicyError)(wire), lean)).toBe(true)
    })
  })

  it("as JSON", () => {
    sameHere((error) => JSON.stringify(error))
  })

  it("as a yieldable effect, and for catchTag", () => {
    const caught = (error: Refusal): unknown =>
      Effect.runSync(
        Effect.gen(function*() {
          return yield* error
        }).pipe(
          Effect.catchTags({
            CircuitOpen: (error) => Effect.succeed(error.message),
            BulkheadFull: (error) => Effect.succeed(error.message),
            RateLimitExceeded: (error) => Effect.succeed(error.message),
            TimedOut: (error) => Effect.succeed(error.message)
          })
        )
      )
    sameHere(caught)
  })

  it("in a cause, but for the stack trace it does not have", () => {
    const firstLine = (text: string): string | undefined => text.split("\n    at ")[0]
    sameHere((error) => firstLine(Cause.pretty(Cause.fail(error))))
    sameHere((error) => Cause.prettyErrors(Cause.fail(error)).map((each) => each.message))
    holds(({ lean }) => {
      expect(lean.stack).toBeUndefined()
      expect(inspect(lean)).toContain(lean.message)
    })
  })

  it.effect("under a span, which the cause then tells", () =>
    Effect.gen(function*() {
      const lean = PolicyError.refusal(TimedOut, { phase: "queue", limit: Duration.seconds(1) })
      const exit = yield* Effect.exit(Effect.withSpan(Effect.fail(lean), "ask"))
      expect(Exit.isFailure(exit) && Cause.pretty(exit.cause)).toContain(lean.message)
      expect(Exit.isFailure(exit) && Cause.prettyErrors(exit.cause)[0]?.span).toMatchObject({ name: "ask" })
    }))
})
