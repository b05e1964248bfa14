import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import { Wait } from "../../src/error/shared/fields.ts"
import { checkedOnce } from "../../src/internal/checkedOnce.ts"
import { scrubbed } from "../../src/internal/scrubbed.ts"

const fields = {
  name: Schema.String,
  wait: Schema.optional(Wait),
  count: Schema.NonNegativeInt,
  kind: Schema.Literal("a", "b").pipe(Schema.propertySignature, Schema.withConstructorDefault((): "a" => "a"))
}

class Plain extends Schema.TaggedError<Plain>()("Sample", fields) {}
class Scrubbed extends scrubbed(Schema.TaggedError<Scrubbed>()("Sample", fields)) {}

const filtered = Schema.Struct({ low: Wait, high: Wait }).pipe(
  Schema.filter(({ high, low }) => Duration.lessThanOrEqualTo(low, high) || "low above high")
)
class PlainRange extends Schema.Class<PlainRange>("Range")(filtered) {}
class Range extends checkedOnce(Schema.Class<Range>("Range")(filtered)) {}

/** The fields that come of it, in order, or the words of what it throws. */
const outcome = (make: () => object): unknown => {
  try {
    return Object.entries(make())
  } catch (error) {
    return error instanceof Error ? [error.name, error.message] : error
  }
}

const wait = Duration.seconds(2)

const given: { readonly [title: string]: { readonly [field: string]: unknown } | undefined } = {
  "all fields": { name: "x", wait, count: 1, kind: "b" },
  "the defaults": { count: 1, name: "x" },
  "a field that is undefined": { name: "x", wait: undefined, count: 1, kind: undefined },
  "a field too many": { name: "x", count: 1, more: true },
  "another tag": { _tag: "Other", name: "x", count: 1 },
  "a field that is missing": { name: "x" },
  "a field of a wrong type": { name: 1, count: 1 },
  "the wire's form of a wait": { name: "x", count: 1, wait: 2_000 },
  "null for a default": { name: "x", count: 1, kind: null },
  "a refinement that fails": { name: "x", count: -1 },
  "nothing": undefined
}

describe("a class whose validator is built once", () => {
  for (const [title, props] of Object.entries(given)) {
    it(`makes of ${title} what Effect's own class makes of it`, () => {
      const plain = outcome(() => Reflect.construct(Plain, [props]))
      expect(outcome(() => Reflect.construct(Scrubbed, [props]))).toEqual(plain)
    })
  }

  it("keeps a check over several fields", () => {
    const right = { low: Duration.seconds(1), high: wait }
    const wrong = { low: wait, high: Duration.seconds(1) }
    expect(outcome(() => new Range(right))).toEqual(outcome(() => new PlainRange(right)))
    expect(outcome(() => new Range(wrong))).toEqual(outcome(() => new PlainRange(wrong)))
    expect(outcome(() => new Range(wrong))).toEqual(["ParseError", expect.stringContaining("low above high")])
  })

  it("takes the fields unchecked where it is told to, as Effect does", () => {
    for (const options of [true, { disableValidation: true }]) {
      expect(Reflect.construct(Scrubbed, [{ name: 1 }, options])).toMatchObject({ name: 1, kind: "a", _tag: "Sample" })
    }
    for (const options of [false, { disableValidation: false }, undefined]) {
      expect(() => Reflect.construct(Scrubbed, [{ name: 1 }, options])).toThrow("Sample (Constructor)")
    }
  })

  it("builds its validator for the first instance, and for no other", () => {
    let built = 0
    const validate = () => {
      built++
      return ParseResult.succeed
    }
    const counted = Schema.declare([Wait], { decode: validate, encode: validate })
    class Counted extends scrubbed(Schema.TaggedError<Counted>()("Counted", { counted })) {}
    const make = (): unknown => Reflect.construct(Counted, [{ counted: wait }])
    make()
    expect(built).toBe(1)
    make()
    expect(built).toBe(1)
  })
})
