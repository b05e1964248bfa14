import { describe, expect, it } from "@effect/vitest"
import * as SchemaDialect from "effect-llm-resilience/model/SchemaDialect"
import * as Tool from "effect-llm-resilience/model/Tool"
import * as Toolkit from "effect-llm-resilience/model/Toolkit"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as Schema from "effect/Schema"
import { runs } from "../runs.ts"
import { breaches, type Vendor, vendors } from "./dialectRules.ts"
import { accepted, validator } from "./dialectValidator.ts"

/** A tool of an MCP server: the schema of its arguments is JSON Schema, and the value is checked elsewhere. */
const fromJson = (jsonSchema: object) => Schema.Unknown.annotations({ jsonSchema })

const translated = (vendor: SchemaDialect.Dialect, jsonSchema: object) =>
  Either.getOrThrow(SchemaDialect.make(vendor)(fromJson(jsonSchema)))

const problems = (vendor: SchemaDialect.Dialect, jsonSchema: object) => {
  const made = SchemaDialect.make(vendor)(fromJson(jsonSchema))
  return Either.isLeft(made) ? made.left.problems : []
}

const object = (properties: object, more: object = {}) => ({ type: "object", properties, ...more })

/** A JSON Schema with an arbitrary of the values it takes. */
interface Sample {
  readonly schema: object
  readonly values: FastCheck.Arbitrary<unknown>
}

/** Any JSON without what `StrictJson` calls a hazard, which no dialect carries. */
const anything = FastCheck.oneof(
  FastCheck.constantFrom<unknown>(null, true, "null", "[]", {}, [{ a: [null] }], { "a b": { key: 1 } }),
  FastCheck.integer(),
  FastCheck.string(),
  FastCheck.array(FastCheck.string(), { maxLength: 2 })
)

const leaves: ReadonlyArray<Sample> = [
  { schema: { type: "string" }, values: FastCheck.string() },
  { schema: { type: "string", minLength: 1, maxLength: 4 }, values: FastCheck.string({ minLength: 1, maxLength: 4 }) },
  { schema: { type: "string", pattern: "^(?=a)a+$" }, values: FastCheck.constant("aa") },
  { schema: { type: "string", format: "ipv4" }, values: FastCheck.ipV4() },
  { schema: { type: "integer", minimum: 1, exclusiveMaximum: 9 }, values: FastCheck.integer({ min: 1, max: 8 }) },
  { schema: { type: "number" }, values: FastCheck.integer() },
  { schema: { type: "boolean" }, values: FastCheck.boolean() },
  { schema: { const: 3 }, values: FastCheck.constant(3) },
  { schema: { enum: ["a", "", "b"] }, values: FastCheck.constantFrom("a", "", "b") },
  { schema: { enum: ["1", 1, true, null] }, values: FastCheck.constantFrom("1", 1, true, null) },
  { schema: { enum: [{ a: 1 }, "x"] }, values: FastCheck.constantFrom({ a: 1 }, "x") },
  { schema: { type: ["string", "null"], description: "maybe" }, values: FastCheck.constantFrom("x", null) },
  { schema: {}, values: anything },
  { schema: { type: "object" }, values: FastCheck.constantFrom({}, { a: [1] }) },
  { schema: { type: "array" }, values: FastCheck.constantFrom([], [1, "x"]) }
]

const names = FastCheck.constantFrom(
  "a",
  "b b",
  "filter[id]",
  "entries",
  "$top",
  "item0",
  "key",
  "value",
  "nothing",
  "rest"
)

const list = (sample: Sample): Sample => ({
  schema: { type: "array", items: sample.schema, minItems: 0, maxItems: 3 },
  values: FastCheck.array(sample.values, { maxLength: 3 })
})

const record = (sample: Sample): Sample => ({
  schema: { type: "object", additionalProperties: sample.schema },
  values: FastCheck.dictionary(names, sample.values, { maxKeys: 3 })
})

const tuple = (samples: ReadonlyArray<Sample>): Sample => ({
  schema: {
    type: "array",
    items: samples.map(({ schema }) => schema),
    minItems: samples.length,
    additionalItems: false
  },
  values: FastCheck.tuple(...samples.map(({ values }) => values))
})

const struct = (
  samples: ReadonlyArray<Sample>,
  keys: ReadonlyArray<string>,
  required: number,
  open: boolean
): Sample => {
  const named = samples.slice(0, keys.length).map((sample, index) => [keys[index] ?? "", sample] as const)
  const must = named.slice(0, required).map(([name]) => name)
  const fields = FastCheck.record(Object.fromEntries(named.map(([name, { values }]) => [name, values])), {
    requiredKeys: must
  })
  const more = FastCheck.dictionary(FastCheck.constantFrom("zz", "key", "entries"), FastCheck.integer(), { maxKeys: 2 })
  return {
    schema: {
      type: "object",
      properties: Object.fromEntries(named.map(([name, { schema }]) => [name, schema])),
      required: must,
      additionalProperties: open ? { type: "integer" } : false
    },
    values: open ? FastCheck.tuple(more, fields).map(([others, own]) => ({ ...without(others, keys), ...own })) : fields
  }
}

const without = (value: object, keys: ReadonlyArray<string>): object =>
  Object.fromEntries(Object.entries(value).filter(([key]) => !keys.includes(key)))

const structs = (inner: FastCheck.Arbitrary<Sample>): FastCheck.Arbitrary<Sample> =>
  FastCheck.tuple(
    FastCheck.array(inner, { minLength: 4, maxLength: 4 }),
    FastCheck.uniqueArray(names, { maxLength: 4 }),
    FastCheck.nat(4),
    FastCheck.boolean()
  ).map(([samples, keys, required, open]) => struct(samples, keys, required, open))

/** Alternatives of different outline; what no reader could tell apart is tried by itself further down. */
const choice = (left: Sample, right: Sample): Sample => ({
  schema: {
    anyOf: [
      object({ is: { const: "left" }, it: left.schema }, { required: ["is", "it"], additionalProperties: false }),
      object({ is: { const: "right" }, it: right.schema }, { required: ["is"], additionalProperties: false }),
      { type: "null" }
    ]
  },
  values: FastCheck.oneof(
    left.values.map((it) => ({ is: "left", it })),
    right.values.map((it) => ({ is: "right", it })),
    FastCheck.constantFrom(null, { is: "right" })
  )
})

const samples = (levels: number): FastCheck.Arbitrary<Sample> => {
  const leaf = FastCheck.constantFrom(...leaves)
  if (levels === 0) return leaf
  const inner = samples(levels - 1)
  return FastCheck.oneof(
    leaf,
    inner.map(list),
    inner.map(record),
    FastCheck.array(inner, { minLength: 1, maxLength: 3 }).map(tuple),
    structs(inner),
    FastCheck.tuple(inner, inner).map(([left, right]) => choice(left, right))
  )
}

const throughJson = (value: unknown): unknown => JSON.parse(JSON.stringify(value))

describe("any JSON Schema", () => {
  for (const vendor of vendors) {
    it(`${vendor}: is one that the vendor takes, and every value of it is written under it and read back`, () => {
      FastCheck.assert(
        FastCheck.property(
          structs(samples(2)).chain(({ schema, values }) =>
            FastCheck.tuple(FastCheck.constant(schema), FastCheck.array(values, { minLength: 3, maxLength: 3 }))
          ),
          ([schema, values]) => {
            const made = SchemaDialect.make(vendor)(fromJson(schema))
            // The vendor's own limits on amounts are tried by themselves.
            if (Either.isLeft(made)) {
              expect(made.left.message).toMatch(/and the vendor takes/)
              return
            }
            const { jsonSchema, restore, write } = made.right
            expect(breaches(vendor, jsonSchema)).toStrictEqual([])
            const isValid = validator(jsonSchema)
            const isTaken = accepted(schema)
            for (const value of values.map(throughJson)) {
              expect(isTaken(value)).toBe(true)
              const written = throughJson(write(value))
              expect(isValid(written), JSON.stringify({ written, jsonSchema, errors: isValid.errors })).toBe(true)
              const restored = restore(written)
              expect(Either.isRight(restored) ? restored.right.value : restored.left.message).toStrictEqual(value)
            }
          }
        ),
        { numRuns: runs(50, 200), seed: 11, endOnFailure: true }
      )
    })
  }
})

describe("schemas of MCP servers", () => {
  it("null for an optional property whose default is null means that it is absent", () => {
    const schema = object({ q: { anyOf: [{ type: "string" }, { type: "null" }], default: null, title: "Q" } })
    const { jsonSchema, restore } = translated("openai-strict", schema)
    expect(jsonSchema.properties.q).toStrictEqual({
      anyOf: [{ type: "string" }, { type: "null" }],
      description: "Default: null."
    })
    expect(Either.getOrThrow(restore({ q: null })).value).toStrictEqual({})
  })
  it("bounds of draft 4 are written as numbers, also in the plain dialect", () => {
    const schema = object({ q: { type: "integer", minimum: 1, exclusiveMinimum: true } })
    for (const dialect of ["plain", "openai-strict"] as const) {
      expect(translated(dialect, schema).jsonSchema.properties.q).toMatchObject(
        dialect === "plain" ? { exclusiveMinimum: 1 } : { anyOf: [{ type: "integer", exclusiveMinimum: 1 }, {}] }
      )
    }
  })
  it("references are written out, also with something beside them and inside of allOf", () => {
    const schema = object({
      a: { $ref: "#/definitions/Size", description: "How big", minimum: 3 },
      b: { allOf: [{ $ref: "#/definitions/Size" }], title: "B" },
      c: { allOf: [{ type: "string", pattern: "a" }, { pattern: "b" }] }
    }, { required: ["a", "b", "c"], definitions: { Size: { type: "integer", minimum: 1, maximum: 5 } } })
    for (const vendor of vendors) expect(breaches(vendor, translated(vendor, schema).jsonSchema)).toStrictEqual([])
    expect(translated("openai-strict", schema).jsonSchema.properties).toStrictEqual({
      a: { type: "integer", description: "How big. Constraint: minimum 1.", minimum: 3, maximum: 5 },
      b: { type: "integer", minimum: 1, maximum: 5 },
      c: { type: "string", description: "Constraint: pattern b.", pattern: "a" }
    })
  })
  it("a schema that holds itself by allOf goes to OpenAI", () => {
    const Node = object({ next: { allOf: [{ $ref: "#/$defs/Node" }], description: "More" } })
    const { jsonSchema, restore } = translated(
      "openai-strict",
      object({ node: { $ref: "#/$defs/Node" } }, { $defs: { Node } })
    )
    expect(breaches("openai-strict", jsonSchema)).toStrictEqual([])
    expect(Either.getOrThrow(restore({ node: { next: { next: null } } })).value).toStrictEqual({ node: { next: {} } })
  })
  it("a root that is an object and a choice becomes an object with all their properties", () => {
    const schema = object({ q: { type: "string" } }, {
      anyOf: [object({ id: { type: "integer" } }), { required: ["name"], properties: { name: { type: "string" } } }]
    })
    for (const vendor of vendors) {
      const { jsonSchema, moved } = translated(vendor, schema)
      expect(breaches(vendor, jsonSchema)).toStrictEqual([])
      expect(Object.keys(jsonSchema.properties)).toStrictEqual(["q", "id", "name"])
      expect(moved[0]?.constraint).toMatch(/^anyOf/)
    }
  })
  it("a reference to nothing, to another document or to itself is refused with its place", () => {
    for (const $ref of ["#/$defs/No", "https://example.org/a.json"]) {
      expect(problems("gemini", object({ a: { items: { $ref }, type: "array" } }))).toMatchObject([{
        path: ["a", "*"]
      }])
    }
    for (const Loop of [{ $ref: "#/$defs/Loop" }, { anyOf: [{ $ref: "#/$defs/Loop" }, { type: "null" }] }]) {
      expect(problems("openai-strict", object({ a: { $ref: "#/$defs/Loop" } }, { $defs: { Loop } }))).toMatchObject([
        { path: ["a"], problem: expect.stringMatching(/itself/) }
      ])
    }
  })
})

describe("what a model writes wrongly", () => {
  const Labels = Schema.Struct({
    labels: Schema.Record({ key: Schema.String, value: Schema.Struct({ n: Schema.Int }) }),
    pair: Schema.Tuple(Schema.String, Schema.Int),
    list: Schema.optional(Schema.NullOr(Schema.Int)),
    "filter[id]": Schema.Int
  })
  const good = {
    labels: [{ key: "a", value: { n: 1 } }],
    pair: { item0: "x", item1: 1 },
    list: [2],
    "filter[id]": 1
  }
  const issuesOf = (written: unknown) => {
    const { decode } = Either.getOrThrow(SchemaDialect.make("openai-strict")(Labels))
    const decoded = decode(written, { errors: "all", onExcessProperty: "error" })
    return Either.isLeft(decoded) ? decoded.left.message : "taken"
  }
  it("is told at the place where the model wrote it", () => {
    expect(issuesOf(good)).toBe("taken")
    expect(issuesOf({ ...good, labels: [{ key: "a", value: { n: "x" } }] })).toMatch(
      /\["labels"\][^]*\[0\]\["value"\][^]*\["n"\]/
    )
    expect(issuesOf({ ...good, pair: { item0: "x", item1: "y" } })).toMatch(
      /\["pair"\]\n\s+.*\["item1"\]|\["pair"\]\["item1"\]/s
    )
    expect(issuesOf({ ...good, list: ["x"] })).toContain("[\"list\"]")
  })
  it("a key twice, a key that reaches a prototype and a broken entry are refused", () => {
    const labels = (...entries: ReadonlyArray<unknown>) => issuesOf({ ...good, labels: entries })
    const one = { key: "a", value: { n: 1 } }
    expect(labels(one, one)).toMatch(/\["labels"\]\[1\]\["key"\][^]*given twice/)
    expect(labels({ key: "__proto__", value: { n: 1 } })).toMatch(/not taken as a key/)
    expect(labels({ ...one, more: 1 })).toMatch(/nothing else/)
    expect(labels("a")).toMatch(/must be an entry/)
    expect(issuesOf({ ...good, labels: "a" })).toMatch(/must be a list of/)
  })
  it("null does not pass for a list round a value, since absent and null differ", () => {
    expect(issuesOf({ ...good, list: null })).toMatch(/must be a list with at most one value/)
    expect(issuesOf({ ...good, list: [1, 2] })).toMatch(/must be a list with at most one value/)
  })
  it("a property under its own name and the name it was given is refused", () => {
    const { restore } = translated("anthropic", object({ "a b": { type: "string" } }))
    expect(Either.getOrThrow(restore({ a_b: "x" })).value).toStrictEqual({ "a b": "x" })
    expect(Either.isLeft(restore({ a_b: "x", "a b": "y" }))).toBe(true)
  })
  it("a place of a tuple is not skipped", () => {
    const schema = Schema.Struct({
      t: Schema.Tuple(Schema.optionalElement(Schema.Int), Schema.optionalElement(Schema.Int))
    })
    const { decode } = Either.getOrThrow(SchemaDialect.make("gemini")(schema))
    expect(Either.isLeft(decode({ t: { item1: 1 } }))).toBe(true)
    expect(decode({ t: { item0: 1 } })).toStrictEqual(Either.right({ t: [1] }))
  })
  it("what can be read in two ways is refused, not guessed", () => {
    const entry = object({ key: { type: "string" }, value: { type: "integer" } }, { required: ["key", "value"] })
    const schema = object({
      a: {
        anyOf: [object({ entries: { type: "array", items: entry } }, { required: ["entries"] }), {
          type: "object",
          additionalProperties: { type: "integer" }
        }, { type: "array", items: { type: "string" } }]
      }
    }, { required: ["a"] })
    const { restore } = translated("anthropic", schema)
    expect(Either.getOrThrow(restore({ a: ["x"] })).value).toStrictEqual({ a: ["x"] })
    expect(Either.isLeft(restore({ a: { entries: [{ key: "k", value: 1 }] } }))).toBe(true)
  })
})

describe("hostile schemas and values", () => {
  const nested = (levels: number): object => {
    let schema: object = { type: "string" }
    for (let level = 0; level < levels; level++) schema = object({ a: schema }, { required: ["a"] })
    return schema
  }
  /** The same value, and how often something of it was looked at. */
  const watched = <A extends object>(whole: A) => {
    let looks = 0
    const known = new WeakMap<object, object>()
    const handler: ProxyHandler<object> = {
      get: (target, key, receiver): unknown => {
        looks++
        const found: unknown = Reflect.get(target, key, receiver)
        return typeof found === "object" && found !== null ? watch(found) : found
      }
    }
    // What is one thing stays one thing.
    const watch = (value: object): object => {
      const before = known.get(value) ?? new Proxy(value, handler)
      known.set(value, before)
      return before
    }
    return { value: watch(whole), looks: () => looks }
  }
  it("deeper than a vendor or anybody takes are refused", () => {
    expect(problems("openai-strict", nested(10))).toStrictEqual([])
    expect(problems("openai-strict", nested(11))).toMatchObject([{ problem: expect.stringMatching(/11 levels/) }])
    for (const vendor of vendors) {
      expect(problems(vendor, nested(500))).toMatchObject([{ problem: expect.stringMatching(/deeper than 64/) }])
    }
  })
  it("webs of references that double at every step end soon", () => {
    const $defs: Record<string, object> = { D0: { type: "string" } }
    for (let level = 1; level < 60; level++) {
      const $ref = `#/$defs/D${level - 1}`
      $defs[`D${level}`] = object({ a: { $ref }, b: { $ref, description: "b" } })
      $defs[`E${level}`] = { allOf: [{ $ref: `#/$defs/E${level - 1}` }, { $ref: `#/$defs/E${level - 1}` }] }
    }
    $defs.E0 = { type: "string" }
    for (const $ref of ["#/$defs/D59", "#/$defs/E59"]) {
      const { looks, value } = watched(object({ a: { $ref } }, { $defs }))
      expect(problems("gemini", value).length).toBeGreaterThan(0)
      expect(looks()).toBeLessThan(5_000)
    }
  })
  it("a value that fits many alternatives at every level is read by looks in proportion to its size", () => {
    const side = (is: string) =>
      object({ left: { $ref: "#/$defs/E" }, o: { type: "string" }, is: { const: is } }, { required: ["left", "is"] })
    const $defs = { E: { anyOf: [side("a"), side("b"), side("a"), { type: "string" }] } }
    const { restore } = translated("openai-strict", object({ e: { $ref: "#/$defs/E" } }, { required: ["e"], $defs }))
    const looksFor = (levels: number): number => {
      let e: unknown = "x"
      for (let level = 0; level < levels; level++) e = { left: e, o: null, is: level % 2 === 0 ? "a" : "b" }
      const { looks, value } = watched({ e })
      expect(Either.isRight(restore(value))).toBe(true)
      return looks()
    }
    expect(looksFor(200)).toBeLessThan(2.1 * looksFor(100))
  })
  it("a name that must be there and is described nowhere can be written", () => {
    const schema = object({
      a: { type: "string" },
      b: object({ c: { type: "string" } }, { required: ["d"] })
    }, { required: ["a", "z"] })
    const value = { a: "x", b: { d: [1] }, z: { any: null } }
    for (const vendor of vendors) {
      const { jsonSchema, restore, write } = translated(vendor, schema)
      expect(jsonSchema.required).toContain("z")
      expect(validator(jsonSchema)(write(value))).toBe(true)
      expect(Either.getOrThrow(restore(write(value))).value).toStrictEqual(value)
    }
  })
  it("two choices of objects at once can be written", () => {
    const text = { type: "string" }
    const schema = object({
      x: {
        allOf: [
          { anyOf: [object({ a: text }, { required: ["a"] }), object({ b: text }, { required: ["b"] })] },
          { anyOf: [object({ c: text }, { required: ["c"] }), object({ d: text }, { required: ["d"] })] }
        ]
      }
    }, { required: ["x"] })
    for (const vendor of vendors) {
      const { jsonSchema, restore, write } = translated(vendor, schema)
      for (const value of [{ x: { a: "1", d: "2" } }, { x: { b: "1", c: "2" } }]) {
        expect(validator(jsonSchema)(write(value))).toBe(true)
        expect(Either.getOrThrow(restore(write(value))).value).toStrictEqual(value)
      }
    }
  })
  it("names of the prototype are names like others", () => {
    const schema = object({ constructor: { type: "string" }, toString: { type: "integer" } }, { required: [] })
    for (const vendor of vendors) {
      const { restore, write } = translated(vendor, schema)
      for (const value of [{}, { constructor: "x" }]) {
        expect(Either.getOrThrow(restore(write(value))).value).toStrictEqual(value)
      }
    }
  })
})

describe("limits", () => {
  const many = (count: number, schema: object) =>
    Object.fromEntries(Array.from({ length: count }, (_, index) => [`p${index}`, schema]))
  const over = (vendor: Vendor, properties: object) => problems(vendor, object(properties))[0]?.problem
  it("of OpenAI", () => {
    expect(over("openai-strict", many(5001, { type: "string" }))).toMatch(/5001 properties/)
    expect(over("openai-strict", many(2, { enum: Array.from({ length: 501 }, (_, index) => index) }))).toMatch(
      /1002 values/
    )
    expect(over("openai-strict", { a: { enum: Array.from({ length: 251 }, (_, index) => "x".repeat(60) + index) } }))
      .toMatch(/in an enum/)
    expect(over("openai-strict", many(40, { enum: ["x".repeat(3000)] }))).toMatch(/characters in names/)
  })
  it("of Anthropic", () => {
    expect(over("anthropic", many(25, { type: "string" }))).toMatch(/25 optional/)
    expect(
      problems("anthropic", object(many(17, { type: ["string", "null"] }), { required: Object.keys(many(17, {})) }))[0]
        ?.problem
    )
      .toMatch(/17 unions/)
  })
})

describe("forTool and forToolkit", () => {
  const tool = (name: string, count: number) =>
    Tool.make(name, {
      parameters: fromJson(
        object(Object.fromEntries(Array.from({ length: count }, (_, i) => [`p${i}`, { type: "string" }])))
      )
    })
  const circle = Tool.make("circle", {
    parameters: fromJson(object({ self: { $ref: "#" } }))
  })
  it("say what is wrong as the errors of tools do", () => {
    expect(Either.isRight(SchemaDialect.forTool("openai-strict", circle))).toBe(true)
    expect(SchemaDialect.forTool("gemini", circle)).toMatchObject(
      Either.left({ _tag: "InvalidTool", tool: "circle", path: ["self"] })
    )
  })
  it.effect("add up what the tools of one request use", () =>
    Effect.gen(function*() {
      const toolkit = yield* Toolkit.make(tool("a", 4), tool("b", 13), tool("c", 8))
      const all = yield* SchemaDialect.forToolkit("gemini", toolkit)
      expect([...all.keys()]).toStrictEqual(["a", "b", "c"])
      const error = yield* Effect.flip(SchemaDialect.forToolkit("anthropic", toolkit))
      expect(error.problems).toMatchObject([{ tool: "b", problem: expect.stringMatching(/25 optional/) }])
      const both = yield* Effect.flip(SchemaDialect.forToolkit("gemini", yield* Toolkit.make(circle, tool("d", 1))))
      expect(both.problems.map((problem) => problem.tool)).toStrictEqual(["circle"])
    }))
  it("are made once for each schema and dialect", () => {
    const { parameters } = tool("a", 1)
    expect(Either.getOrThrow(SchemaDialect.make("gemini")(parameters)).jsonSchema)
      .toBe(Either.getOrThrow(SchemaDialect.make("gemini")(parameters)).jsonSchema)
  })
  it("give the schema as it is in the plain dialect", () => {
    const parameters = Schema.Struct({ a: Schema.optional(Schema.NumberFromString) })
    const { codec, jsonSchema } = Either.getOrThrow(SchemaDialect.make("plain")(parameters))
    expect(jsonSchema).toStrictEqual(Either.getOrThrow(Tool.jsonSchema(Tool.make("t", { parameters }))))
    expect(Schema.decodeUnknownSync(codec)({ a: "1" })).toStrictEqual({ a: 1 })
  })
})
