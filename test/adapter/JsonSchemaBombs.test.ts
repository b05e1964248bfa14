import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import * as JsonSchema from "../../src/adapter/JsonSchema.ts"
import * as Compiled from "../../src/adapter/jsonSchema/compile.ts"
import * as Document from "../../src/adapter/jsonSchema/document.ts"

const object = (properties: object, rest: object = {}) => ({ type: "object", properties, ...rest })
/** As and bs without a pattern to them, the same ones each time. */
const letters = (length: number): string => {
  let seed = 1
  const next = () => {
    seed = Math.imul(seed, 1_103_515_245) + 12_345 >>> 0
    return (seed & 65_536) === 0 ? "a" : "b"
  }
  return Array.from({ length }, next).join("")
}

const compiled = (schema: unknown) =>
  Either.getOrThrow(Either.flatMap(Document.read(schema), (document) => Compiled.compile(document, undefined)))

describe("bombs are over soon", () => {
  const chain = (length: number) =>
    Object.fromEntries(Array.from({ length }, (_, n) => {
      const next = { $ref: `#/$defs/a${n + 1}` }
      return [`a${n}`, n === length - 1 ? {} : { allOf: [next, next] }]
    }))
  const deep = Array.from({ length: 200 }).reduce<unknown>((inner) => ({ next: inner }), {})
  const one = { properties: { next: { $ref: "#" } } }

  it.each<[string, unknown, unknown, string]>([
    [
      "a pattern that explodes, 28 letters",
      object({ a: { pattern: "^(a+)+$" } }),
      { a: `${"a".repeat(28)}!` },
      "must match"
    ],
    [
      "the same, a million letters",
      object({ a: { pattern: "^(a+)+$" } }),
      { a: `${"a".repeat(1_000_000)}!` },
      "must match"
    ],
    [
      "a pattern with two readings",
      object({ a: { pattern: "^(a|a)*$" } }),
      { a: `${"a".repeat(5_000)}!` },
      "must match"
    ],
    [
      "a pattern with a million states",
      object({ a: { pattern: "(a|b)*a(a|b){20}c" } }),
      { a: letters(600_000) },
      "would take too long"
    ],
    [
      "a schema that doubles 40 times",
      { allOf: [{ $ref: "#/$defs/a0" }], $defs: chain(40) },
      {},
      "would take too long"
    ],
    ["one that doubles at every level of the value", object({}, { allOf: [one, one] }), deep, "would take too long"],
    ["many elements to compare", object({ a: { uniqueItems: true } }), {
      a: Array.from({ length: 60_000 }, (_, n) => [n])
    }, "would take too long"],
    [
      "many elements in a long enum",
      object({ a: { items: { enum: Array.from({ length: 4_000 }, (_, n) => `v${n}`) } } }),
      { a: Array.from({ length: 60_000 }, () => "v3999") },
      "would take too long"
    ]
  ])("%s", (name, schema, args, message) => {
    const decoding = Schema.decodeUnknownEither(Effect.runSync(JsonSchema.schema(schema)))
    const result = decoding(args)
    expect(Either.isLeft(result) && result.left.message).toContain(message)
    // Work is counted, not timed, since machines differ and are busy; the budget is about 50 ms of it.
    const { check, workDone } = compiled(schema)
    check(args)
    const most = message === "must match" ? JSON.stringify(args).length + 1_000 : Compiled.budget + 10_000
    expect(workDone()).toBeLessThan(most)
    console.log(`${name}: ${workDone()} units`)
  })

  it("a schema of patterns that are many and large is refused, with the way out", () => {
    const properties = Object.fromEntries(
      Array.from({ length: 2_000 }, (_, n) => [`p${n}`, { pattern: `^[a-z]{0,900}${n}` }])
    )
    const error = Effect.runSync(Effect.flip(JsonSchema.schema(object(properties))))
    expect(error.path.at(-1)).toBe("pattern")
    expect(error.problem).toContain("is too large together with those before it")
    expect(error.remedy).toContain("maxLength")
  })
})
