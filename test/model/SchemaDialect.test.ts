import { describe, expect, it } from "@effect/vitest"
import * as SchemaDialect from "effect-llm-resilience/model/SchemaDialect"
import * as Arbitrary from "effect/Arbitrary"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as Schema from "effect/Schema"
import { runs } from "../runs.ts"
import { cases, open, recursive, recursiveValues, Root } from "./dialectCases.ts"
import { breaches, type Vendor, vendors } from "./dialectRules.ts"
import { validator } from "./dialectValidator.ts"

const strictly = { errors: "all", onExcessProperty: "error" } as const

const times = { numRuns: runs(40, 200), seed: 5 }

const translated = <A, I>(dialect: SchemaDialect.Dialect, schema: Schema.Schema<A, I>) =>
  Either.getOrThrow(SchemaDialect.make(dialect)(schema))

const throughJson = (value: unknown): unknown => JSON.parse(JSON.stringify(value))

/** Values of a schema, encoded, written, checked, read and compared. */
const roundTrip = <A, I>(dialect: Vendor, schema: Schema.Schema<A, I>, values = Arbitrary.make(schema)) => {
  const { codec, decode, jsonSchema, write } = translated(dialect, schema)
  const isValid = validator(jsonSchema)
  FastCheck.assert(
    FastCheck.property(values, (value) => {
      const plain = throughJson(Schema.encodeSync(schema)(value))
      FastCheck.pre(Either.isRight(Schema.decodeUnknownEither(schema, strictly)(plain)))
      const written = throughJson(write(plain))
      expect(isValid(written), JSON.stringify({ written, errors: isValid.errors })).toBe(true)
      const expected: unknown = Schema.decodeUnknownSync(schema, strictly)(plain)
      expect(Either.getOrThrow(decode(written, strictly))).toStrictEqual(expected)
      expect(Schema.decodeUnknownSync(codec, strictly)(written)).toStrictEqual(expected)
      expect(throughJson(Schema.encodeSync(codec)(value))).toStrictEqual(written)
    }),
    times
  )
}

/** A written value with one thing wrong, somewhere. */
const damaged = (value: unknown): FastCheck.Arbitrary<unknown> => {
  const other = FastCheck.constantFrom<unknown>(null, "zzz", -7.5, true, [], {}, ["zzz"], { key: "zzz", value: 1 })
  if (typeof value !== "object" || value === null) return other
  const steps: ReadonlyArray<string> = Object.keys(value)
  const inside = steps.map((step) => damaged(Reflect.get(value, step)).map((part) => replaced(value, step, part)))
  const without = steps.map((step) => FastCheck.constant(replaced(value, step, undefined)))
  const more = FastCheck.constant(Array.isArray(value) ? [...value, "zzz"] : { ...value, zzz: 1 })
  return FastCheck.oneof(other, more, ...inside, ...without)
}

const replaced = (value: object, step: string, part: unknown): unknown => {
  const entries = Object.entries(value).flatMap(([key, old]) =>
    key !== step ? [[key, old]] : part === undefined ? [] : [[key, part]]
  )
  return Array.isArray(value) ? entries.map(([, item]) => item) : Object.fromEntries(entries)
}

const noLoosening = <A, I>(dialect: Vendor, schema: Schema.Schema<A, I>, values = Arbitrary.make(schema)) => {
  const { decode, restore, write } = translated(dialect, schema)
  const plainly = Schema.decodeUnknownEither(schema, strictly)
  FastCheck.assert(
    FastCheck.property(
      values.chain((value) => {
        const plain = throughJson(Schema.encodeSync(schema)(value))
        return FastCheck.oneof(
          damaged(throughJson(write(plain))),
          damaged(plain).map((broken) => throughJson(write(broken)))
        )
      }),
      (written) => {
        const decoded = decode(written, strictly)
        const restored = restore(written)
        if (Either.isRight(decoded)) {
          expect(Schema.is(schema)(decoded.right)).toBe(true)
          expect(Either.isRight(plainly(Either.getOrThrow(restored).value))).toBe(true)
        }
        if (Either.isRight(restored) && Either.isLeft(plainly(restored.right.value))) {
          expect(Either.isLeft(decoded)).toBe(true)
        }
      }
    ),
    times
  )
}

describe("SchemaDialect", () => {
  for (const vendor of vendors) {
    describe(vendor, () => {
      for (const [name, schema] of cases) {
        it(`${name}: the vendor takes the schema, and what is written is read back`, () => {
          expect(breaches(vendor, translated(vendor, schema).jsonSchema)).toStrictEqual([])
          roundTrip(vendor, schema)
        })
        it(`${name}: nothing is taken that the schema refuses`, () => {
          noLoosening(vendor, schema)
        })
      }
      it("any JSON: is written as text", () => {
        const { decode, jsonSchema, write } = translated(vendor, open)
        expect(breaches(vendor, jsonSchema)).toStrictEqual([])
        const value = { any: { a: [1, null, { b: "x" }] }, none: {} }
        const written = write(value)
        expect(validator(jsonSchema)(written)).toBe(true)
        expect(written).toMatchObject({ any: "{\"a\":[1,null,{\"b\":\"x\"}]}" })
        expect(decode(written, strictly)).toStrictEqual(Either.right(value))
        expect(write({ any: null, some: null, none: {} })).toMatchObject({ any: "null", some: "null" })
        for (const text of ["hello", "{\"a\":1,\"a\":2}", "{\"__proto__\":{\"x\":1}}", "[1", "9007199254740993"]) {
          expect(Either.isLeft(decode({ any: text, some: "1", none: "{}" }, strictly)), text).toBe(true)
        }
      })
    })
  }
})

describe("schemas that hold themselves", () => {
  it("go to OpenAI by reference, records in them included", () => {
    expect(breaches("openai-strict", translated("openai-strict", recursive).jsonSchema)).toStrictEqual([])
    roundTrip("openai-strict", recursive, recursiveValues)
    noLoosening("openai-strict", recursive, recursiveValues)
  })
  it("go to OpenAI as the root too", () => {
    const values = recursiveValues.map(({ root }) => root)
    expect(breaches("openai-strict", translated("openai-strict", Root).jsonSchema)).toStrictEqual([])
    roundTrip("openai-strict", Root, values)
  })
  for (const vendor of ["anthropic", "gemini"] as const) {
    it(`are refused for ${vendor}, with the place and the way out`, () => {
      const refused = SchemaDialect.make(vendor)(recursive)
      expect(Either.isLeft(refused) ? refused.left.problems : []).toStrictEqual([{
        path: ["root", "children", "*", "children", "*"],
        problem: expect.stringMatching(/holds itself/),
        remedy: expect.stringMatching(/"plain"/)
      }])
    })
  }
})
