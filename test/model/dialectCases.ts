/** One schema for each thing that a schema can say, each as the field of a tool's parameters. */
import * as FastCheck from "effect/FastCheck"
import * as Schema from "effect/Schema"

interface Category {
  readonly name: string
  readonly children: ReadonlyArray<Category>
  readonly parent?: Category | undefined
}

const Category = Schema.Struct({
  name: Schema.String,
  children: Schema.Array(Schema.suspend((): Schema.Schema<Category> => Category)),
  parent: Schema.optional(Schema.suspend((): Schema.Schema<Category> => Category))
}).annotations({ identifier: "Category" })

class Person extends Schema.Class<Person>("Person")({
  name: Schema.NonEmptyString,
  age: Schema.optional(Schema.Int)
}) {}

const Level = Schema.Enums({ Low: 0, High: 1 })

/** JSON that is its own text again: no minus zero, which JSON writes as zero. */
const Finite = Schema.JsonNumber.pipe(Schema.filter((number) => !Object.is(number, -0)))

const Address = Schema.Struct({ street: Schema.String, city: Schema.optional(Schema.String) })

const Circle = Schema.Struct({ kind: Schema.Literal("circle"), radius: Finite, label: Schema.optional(Schema.String) })

const Box = Schema.Struct({
  kind: Schema.Literal("box"),
  sides: Schema.Tuple(Finite, Finite),
  tags: Schema.Record({ key: Schema.String, value: Schema.String })
})

const struct = <Fields extends Schema.Struct.Fields>(fields: Fields) => Schema.Struct(fields)

const key = Schema.String.pipe(Schema.pattern(/^[a-z]{1,6}$/))

const schemas = {
  "optional fields": struct({ a: Schema.optional(Schema.String), b: Schema.optionalWith(Finite, { exact: true }) }),
  nullable: struct({ a: Schema.NullOr(Schema.String), b: Schema.NullOr(Schema.Literal("x", "y")) }),
  "optional and nullable": struct({
    a: Schema.optional(Schema.NullOr(Schema.String)),
    b: Schema.optional(Schema.NullOr(Schema.Array(Schema.String))),
    c: Schema.optional(Schema.Null)
  }),
  unions: struct({
    a: Schema.Union(Schema.String, Finite, Schema.Boolean),
    b: Schema.Union(Schema.Array(Schema.String), Schema.Record({ key, value: Finite })),
    c: Schema.Union(Schema.Tuple(Schema.String, Finite), Schema.Struct({ left: Schema.String })),
    d: Schema.optional(Schema.Union(Schema.Literal(1, 2), Schema.String))
  }),
  "discriminated unions": struct({ shape: Schema.Union(Circle, Box), more: Schema.Array(Schema.Union(Circle, Box)) }),
  "string literals": struct({ a: Schema.Literal("x"), b: Schema.Literal("c", "f", "") }),
  "number literals": struct({ a: Schema.Literal(1), b: Schema.Literal(1, 2, 3), c: Level }),
  "boolean literals": struct({ a: Schema.Literal(true), b: Schema.Literal(true, false) }),
  "mixed literals": struct({ a: Schema.Literal("1", 1, true, null), b: Schema.Literal("x", null) }),
  records: struct({
    a: Schema.Record({ key, value: Finite }),
    b: Schema.Record({ key: Schema.String, value: Address }),
    c: Schema.Record({ key: Schema.Literal("p", "q"), value: Schema.String }),
    d: Schema.optional(Schema.Record({ key, value: Schema.NullOr(Schema.Record({ key, value: Schema.String })) }))
  }),
  "structs with further keys": Schema.Struct(
    { a: Schema.String },
    Schema.Record({ key: Schema.String, value: Schema.String })
  ),
  "a record as the root": Schema.Record({ key: Schema.String, value: Finite }),
  tuples: struct({
    a: Schema.Tuple(Schema.String, Finite),
    b: Schema.Tuple(Schema.String, Schema.optionalElement(Schema.Boolean)),
    c: Schema.Tuple([Schema.String], Address),
    d: Schema.Tuple(Schema.NullOr(Schema.String), Schema.Tuple(Finite))
  }),
  arrays: struct({
    a: Schema.Array(Schema.String).pipe(Schema.minItems(1), Schema.maxItems(3)),
    b: Schema.NonEmptyArray(Address),
    c: Schema.Array(Finite).pipe(Schema.itemsCount(2))
  }),
  dates: struct({ a: Schema.Date, b: Schema.DateTimeUtc }),
  branded: struct({ id: Schema.NonEmptyString.pipe(Schema.brand("Id")) }),
  refinements: struct({
    a: Schema.String.pipe(Schema.pattern(/^a(?:b|c)*?\d{2}$/)),
    b: Schema.String.pipe(Schema.minLength(2), Schema.maxLength(5)),
    c: Schema.Int.pipe(Schema.between(1, 50)),
    d: Finite.pipe(Schema.greaterThan(1), Schema.multipleOf(2)),
    e: Schema.String.pipe(Schema.filter((text) => text.length % 2 === 0)),
    f: Schema.UUID,
    g: Schema.Trimmed
  }),
  Class: struct({ owner: Person, others: Schema.Array(Person) }),
  "a Class as the root": Person,
  "no arguments": Schema.Struct({}),
  "descriptions, titles, defaults, examples": struct({
    a: Schema.String.annotations({ description: "The city", title: "City", examples: ["Rome"], default: "Oslo" }),
    b: Schema.optional(Finite).annotations({ description: "How many" })
  }),
  transformations: struct({
    a: Schema.NumberFromString.pipe(Schema.finite(), Schema.filter((number) => !Object.is(number, -0))),
    b: Schema.optionalWith(Schema.Int, { default: () => 3 }),
    c: Schema.optionalWith(Schema.String, { nullable: true }),
    d: Schema.split(","),
    e: Schema.OptionFromNullOr(Schema.String),
    f: Schema.optionalWith(Schema.String, { as: "Option" }).pipe(Schema.fromKey("ff"))
  }),
  "template literals": struct({ a: Schema.TemplateLiteral("v", Schema.Literal("1", "2")) }),
  "names that not all take": struct({
    "filter[id]": Schema.String,
    "filter.id": Schema.String,
    filter_id: Schema.optional(Schema.String),
    ["ä".repeat(80)]: Finite
  })
} as const

/** A schema that holds itself, which only OpenAI takes. */
export const recursive = Schema.Struct({ root: Category, all: Schema.Record({ key, value: Category }) })

export const Root = Category

/** Effect's own arbitrary of a schema that holds itself twice does not end. */
const category = (levels: number): FastCheck.Arbitrary<Category> => {
  const name = FastCheck.string()
  if (levels === 0) return FastCheck.record({ name, children: FastCheck.constant([]) })
  const inner = category(levels - 1)
  const children = FastCheck.array(inner, { maxLength: 2 })
  return FastCheck.record({ name, children, parent: inner }, { requiredKeys: ["name", "children"] })
}

const categories = category(3)

export const recursiveValues: FastCheck.Arbitrary<typeof recursive.Type> = FastCheck.record({
  root: categories,
  all: FastCheck.dictionary(FastCheck.stringMatching(/^[a-z]{1,6}$/), categories, { maxKeys: 2 })
})

/** Unknown values have no arbitrary of JSON, so they are tried by hand. */
export const open = Schema.Struct({
  any: Schema.Unknown,
  some: Schema.optional(Schema.Unknown),
  none: Schema.Struct({})
})

export const cases: ReadonlyArray<readonly [string, Schema.Schema.AnyNoContext]> = Object.entries(schemas)
