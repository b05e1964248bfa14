import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import * as JsonSchema from "../../src/adapter/JsonSchema.ts"
import * as ToolCallError from "../../src/error/ToolCallError.ts"
import * as Verdict from "../../src/error/Verdict.ts"
import * as Tool from "../../src/model/Tool.ts"
import * as ToolCall from "../../src/model/ToolCall.ts"
import * as Toolkit from "../../src/model/Toolkit.ts"
import { servers } from "./mcpServers.ts"

const object = (properties: object, rest: object = {}) => ({ type: "object", properties, ...rest })
const toolOf = (inputSchema: unknown) => Effect.runSync(JsonSchema.tool("tool", { inputSchema }))
const refusalOf = (inputSchema: unknown) => Effect.runSync(Effect.flip(JsonSchema.tool("tool", { inputSchema })))

const decode = (inputSchema: unknown, args: unknown) => {
  const toolkit = Effect.runSync(Toolkit.make(toolOf(inputSchema)))
  const text = JSON.stringify(args)
  return ToolCall.decodeOne(toolkit, { _tag: "ToolCall", id: "call_1", name: "tool", arguments: text }, "tool-calls")
}
const accepted = (inputSchema: unknown, args: unknown) => Either.getOrThrow(decode(inputSchema, args)).arguments
const refused = (inputSchema: unknown, args: unknown): ReadonlyArray<string> => {
  const error = Either.getOrThrow(Either.flip(decode(inputSchema, args)))
  expect(error._tag).toBe("InvalidArguments")
  return error._tag === "InvalidArguments"
    ? error.issues.map(({ kind, message, path }) => `${path.join(".")} ${kind}: ${message}`)
    : []
}
describe("tools as MCP servers list them", () => {
  it.each(servers)("$server $name", ({ bad, good, inputSchema, issues }) => {
    expect(accepted(inputSchema, good)).toEqual(good)
    expect(refused(inputSchema, bad)).toEqual(issues)
  })

  it.each(servers)("$server $name is offered as it came", ({ inputSchema }) => {
    const { $id: _id, $schema: _schema, ...rest }: { readonly [keyword: string]: unknown } = { ...inputSchema }
    expect(Either.getOrThrow(Tool.jsonSchema(toolOf(inputSchema)))).toEqual({ properties: {}, ...rest })
  })
})

describe("every kind of keyword", () => {
  const value = (schema: unknown) => object({ v: schema })

  it.each<[string, unknown, unknown, unknown, ReadonlyArray<string>]>([
    ["type", value({ type: "string" }), { v: "x" }, { v: 1 }, ["v Type: expected a string, got 1"]],
    ["no coercion", value({ type: "integer" }), { v: 1 }, { v: "1" }, ["v Type: expected an integer, got \"1\""]],
    ["types", value({ type: ["string", "null"] }), { v: null }, { v: 1 }, ["v Type: expected a string or null, got 1"]],
    ["nullable", value({ type: "string", nullable: true }), { v: null }, { v: 1 }, [
      "v Type: expected a string or null, got 1"
    ]],
    ["enum", value({ enum: ["a", "b", 1] }), { v: "b" }, { v: "c" }, [
      "v Type: expected one of \"a\", \"b\", 1, got \"c\""
    ]],
    ["const", value({ const: "a" }), { v: "a" }, { v: "b" }, ["v Type: expected \"a\", got \"b\""]],
    [
      "const of an object",
      value({ const: { a: [1] } }),
      { v: { a: [1] } },
      { v: {} },
      ["v Type: expected {\"a\":[1]}, got an empty object"]
    ],
    ["required", object({ v: { type: "string" } }, { required: ["v"] }), { v: "x" }, {}, [
      "v Missing: is missing, expected a string"
    ]],
    ["required, own keys only", object({}, { required: ["constructor"] }), { constructor: 1 }, {}, [
      "constructor Missing: is missing, expected a value"
    ]],
    ["additionalProperties: false", object({ a: {}, b: {} }, { additionalProperties: false }), { a: 1 }, { c: 1 }, [
      "c Unexpected: is not a parameter; the parameters here are a, b"
    ]],
    ["additionalProperties: a schema", object({}, { additionalProperties: { type: "number" } }), { a: 1 }, { a: "x" }, [
      "a Type: expected a number, got \"x\""
    ]],
    ["additionalProperties: absent", object({ a: {} }), { b: 1 }, { a: 1 }, []],
    [
      "patternProperties",
      object({}, { patternProperties: { "^x-": { type: "string" } }, additionalProperties: false }),
      { "x-a": "b" },
      { y: 1 },
      ["y Unexpected: is not a key that is taken here; the keys are those that match ^x-"]
    ],
    ["propertyNames", object({}, { propertyNames: { maxLength: 3 } }), { abc: 1 }, { abcd: 1 }, [
      "abcd Unexpected: is not a key that is taken here; the keys are those that fit the schema's propertyNames"
    ]],
    ["minProperties", object({}, { minProperties: 1 }), { a: 1 }, {}, [" Refinement: must have at least 1 keys"]],
    ["maxProperties", object({}, { maxProperties: 1 }), { a: 1 }, { a: 1, b: 2 }, [
      " Refinement: must have at most 1 keys"
    ]],
    ["dependentRequired", object({}, { dependentRequired: { a: ["b"] } }), { a: 1, b: 1 }, { a: 1 }, [
      "b Missing: is missing, and \"a\" needs it"
    ]],
    ["dependencies", object({}, { dependencies: { a: ["b"] } }), { b: 1 }, { a: 1 }, [
      "b Missing: is missing, and \"a\" needs it"
    ]],
    ["a length", value({ minLength: 2, maxLength: 3 }), { v: "äö😀" }, { v: "x" }, [
      "v Refinement: must have at least 2 characters, has 1"
    ]],
    ["two rules at one place", value({ minLength: 2, pattern: "^[a-z]+$" }), { v: "ab" }, { v: "1" }, [
      "v Refinement: must have at least 2 characters, has 1, and must match the pattern ^[a-z]+$, got \"1\""
    ]],
    ["a range", value({ minimum: 1, maximum: 5 }), { v: 5 }, { v: 6 }, ["v Refinement: must be at most 5, got 6"]],
    ["an open range", value({ exclusiveMinimum: 1, exclusiveMaximum: 5 }), { v: 2 }, { v: 1 }, [
      "v Refinement: must be above 1, got 1"
    ]],
    ["multipleOf", value({ multipleOf: 5 }), { v: 10 }, { v: 11 }, ["v Refinement: must be a multiple of 5, got 11"]],
    ["items", value({ type: "array", items: { type: "string" } }), { v: ["a"] }, { v: ["a", 1] }, [
      "v.1 Type: expected a string, got 1"
    ]],
    ["items of a tuple", value({ items: [{ type: "string" }], additionalItems: false }), { v: ["a"] }, { v: [1] }, [
      "v.0 Type: expected a string, got 1"
    ]],
    ["prefixItems", value({ prefixItems: [{ type: "string" }, { type: "number" }] }), { v: ["a", 1] }, { v: [1] }, [
      "v.0 Type: expected a string, got 1"
    ]],
    ["how many items", value({ minItems: 1, maxItems: 2 }), { v: [1] }, { v: [] }, [
      "v Refinement: must have at least 1 elements"
    ]],
    ["uniqueItems", value({ uniqueItems: true }), { v: [{ a: 1, b: 2 }, { a: 1 }, "1", 1] }, {
      v: [{ a: 1, b: 2 }, { b: 2, a: 1 }]
    }, [
      "v Refinement: must not hold the same element twice"
    ]],
    ["contains", value({ contains: { type: "number" } }), { v: ["a", 1] }, { v: ["a", "b"] }, [
      "v Refinement: must hold an element of the kind that the schema asks for"
    ]],
    ["anyOf of types", value({ anyOf: [{ type: "string" }, { type: "null" }] }), { v: null }, { v: 5 }, [
      "v Type: expected a string or null, got 5"
    ]],
    [
      "anyOf, the branch that was meant",
      value({
        anyOf: [
          { type: "null" },
          object({ kind: { const: "a" }, n: { type: "number" } }, { required: ["kind", "n"] }),
          object({ kind: { const: "b" }, s: { type: "string" } }, { required: ["kind", "s"] })
        ]
      }),
      { v: { kind: "b", s: "x" } },
      { v: { kind: "b", s: 1 } },
      ["v.s Type: expected a string, got 1"]
    ],
    [
      "anyOf, the branch that was meant, behind references",
      {
        ...value({ anyOf: [{ $ref: "#/definitions/A" }, { $ref: "#/definitions/B" }] }),
        definitions: {
          A: object({ kind: { const: "a" } }, { required: ["n"] }),
          B: object({ kind: { const: "b" }, s: { $ref: "#/definitions/Text" } }, { required: ["s"] }),
          Text: { type: "string" }
        }
      },
      { v: { kind: "b", s: "x" } },
      { v: { kind: "b", s: 1 } },
      ["v.s Type: expected a string, got 1"]
    ],
    ["oneOf, none", value({ oneOf: [{ type: "string" }, { type: "number", minimum: 3 }] }), { v: "x" }, { v: 2 }, [
      "v Refinement: must be at least 3, got 2"
    ]],
    ["oneOf, more than one", value({ oneOf: [{ type: "number" }, { minimum: 3 }] }), { v: 2 }, { v: 4 }, [
      "v Refinement: fits more than one of the alternatives, and must fit exactly one"
    ]],
    ["allOf", value({ allOf: [{ minimum: 1 }, { multipleOf: 2 }] }), { v: 2 }, { v: -1 }, [
      "v Refinement: must be at least 1, got -1, and must be a multiple of 2, got -1"
    ]],
    ["not", value({ not: { type: "string" } }), { v: 1 }, { v: "x" }, [
      "v Refinement: must not be what the schema excludes"
    ]],
    [
      "if, then, else",
      object({}, { if: { required: ["a"] }, then: { required: ["b"] }, else: { required: ["c"] } }),
      { a: 1, b: 1 },
      { a: 1 },
      ["b Missing: is missing, expected a value"]
    ],
    ["false", object({ v: false }), {}, { v: 1 }, ["v Unexpected: is not a parameter; there are none here"]],
    ["unevaluatedProperties", object({ a: {} }, { unevaluatedProperties: false }), { a: 1 }, { b: 1 }, [
      "b Unexpected: is not a parameter; the parameters here are a"
    ]],
    ["a recursive schema", object({ next: { $ref: "#" }, n: { type: "number" } }), { next: { n: 1 } }, {
      next: { next: { n: "x" } }
    }, ["next.next.n Type: expected a number, got \"x\""]],
    ["formats say nothing", value({ type: "string", format: "email" }), { v: "x" }, { v: 1 }, [
      "v Type: expected a string, got 1"
    ]],
    ["unknown words say nothing", value({ "x-order": 1, frob: { type: "string" } }), { v: 1 }, {}, []],
    [
      "a property named like a keyword",
      object({ $ref: { type: "string" }, pattern: { type: "string" } }),
      {
        $ref: "x"
      },
      { pattern: 1 },
      ["pattern Type: expected a string, got 1"]
    ]
  ])("%s", (_, schema, good, bad, issues) => {
    expect(accepted(schema, good)).toEqual(good)
    if (issues.length > 0) expect(refused(schema, bad)).toEqual(issues)
    else expect(accepted(schema, bad)).toEqual(bad)
  })

  it("fills in no default and takes nothing away", () => {
    const schema = object({ a: { type: "number", default: 3 } })
    expect(accepted(schema, { b: 1 })).toEqual({ b: 1 })
  })

  it.each([
    ["draft 4", "http://json-schema.org/draft-04/schema#", { id: "x", minimum: 0, exclusiveMinimum: true }],
    ["draft 6", "http://json-schema.org/draft-06/schema#", { exclusiveMinimum: 0 }],
    ["draft 7", "http://json-schema.org/draft-07/schema#", { if: true, then: { exclusiveMinimum: 0 } }],
    ["2019-09", "https://json-schema.org/draft/2019-09/schema", { exclusiveMinimum: 0 }],
    ["2020-12", "https://json-schema.org/draft/2020-12/schema", { exclusiveMinimum: 0 }]
  ])("is read in %s, which $schema names", (_, $schema, v) => {
    expect(accepted({ $schema, ...object({ v }) }, { v: 1 })).toEqual({ v: 1 })
    expect(refused({ $schema, ...object({ v }) }, { v: 0 })).toEqual(["v Refinement: must be above 0, got 0"])
  })

  it.each([
    ["no $schema", {}],
    ["draft 4", { $schema: "http://json-schema.org/draft-04/schema#" }],
    ["draft 7", { $schema: "http://json-schema.org/draft-07/schema#" }],
    ["2020-12", { $schema: "https://json-schema.org/draft/2020-12/schema" }]
  ])("takes a boolean exclusiveMinimum for draft 4's, whatever it says of its edition: %s", (_, edition) => {
    const v = { type: "number", minimum: 0, exclusiveMinimum: true, maximum: 9, exclusiveMaximum: true }
    const schema = { ...edition, ...object({ v }) }
    expect(accepted(schema, { v: 1 })).toEqual({ v: 1 })
    expect(refused(schema, { v: 0 })).toEqual(["v Refinement: must be above 0, got 0"])
    expect(refused(schema, { v: 9 })).toEqual(["v Refinement: must be below 9, got 9"])
  })

  it("takes parameters for parameters, also where they are named as keywords", () => {
    const schema = object({ minimum: { type: "integer" }, exclusiveMinimum: true, exclusiveMaximum: false })
    expect(accepted(schema, { minimum: 1, exclusiveMinimum: "x" })).toEqual({ minimum: 1, exclusiveMinimum: "x" })
  })
})

describe("what is told of faults", () => {
  it("stays small, and all of it only of small values", () => {
    const schema = object({ list: { type: "array", items: { type: "number" } } })
    const many = (count: number) => decode(schema, { list: Array.from({ length: count }, () => "x".repeat(200)) })
    const some = Either.getOrThrow(Either.flip(many(1_500)))
    expect(some).toMatchObject({ _tag: "InvalidArguments", omitted: 900 })
    expect(JSON.stringify(some).length).toBeLessThan(40_000)
    const first = Either.getOrThrow(Either.flip(many(5_000)))
    expect(first._tag === "InvalidArguments" && first.issues).toHaveLength(1)
  })

  it("comes in the error that every tool has, to be told to the model", () => {
    const error = Either.getOrThrow(Either.flip(decode(object({ a: { type: "string" } }), { a: 1 })))
    expect(Verdict.of(error).action).toBe("Reask")
    expect(ToolCallError.explain(error)).toContain("a: expected a string, got 1")
  })
})

describe("a schema is refused when it is registered", () => {
  const cyclic: Record<string, unknown> = { type: "object" }
  cyclic.properties = { a: cyclic }
  const nested = (depth: number): unknown => depth === 0 ? {} : { not: nested(depth - 1) }
  const pattern = (text: string) => object({ a: { type: "string", pattern: text } })

  it.each<[string, unknown, ReadonlyArray<string | number>, string, string]>([
    ["a text", "object", [], "is an object or a boolean, and this is \"object\"", "Give the schema itself"],
    ["null", null, [], "this is null", "Give the schema itself"],
    ["a list", [], [], "this is []", "Give the schema itself"],
    ["a function", object({ a: () => 1 }), ["properties", "a"], "it holds a function, which is not JSON", "plain JSON"],
    ["a date", object({ a: { default: new Date(0) } }), ["properties", "a", "default"], "is not JSON", "plain JSON"],
    ["one that holds itself", cyclic, ["properties", "a"], "it holds itself", "$ref"],
    [
      "one too deep",
      object({ a: nested(300) }),
      ["properties", "a", ...Array.from({ length: 6 }, () => "not")],
      "nested more than 256 deep",
      "$defs"
    ],
    [
      "one too large",
      object({ a: { enum: Array.from({ length: 6_000 }, (_, n) => n) } }),
      [],
      "more than 5000 values",
      "Take"
    ],
    [
      "an unknown type",
      object({ a: { type: "text" } }),
      ["properties", "a", "type"],
      "allowed values (array, boolean",
      "keyword"
    ],
    ["a wrong bound", object({ a: { minimum: "1" } }), ["properties", "a", "minimum"], "must be number", "keyword"],
    ["an unknown edition", { $schema: "http://example.com/x" }, ["$schema"], "http://example.com/x", "2020-12"],
    [
      "a schema elsewhere",
      object({ a: { $ref: "https://example.com/a.json" } }),
      ["properties", "a", "$ref"],
      "nothing is fetched",
      "$defs"
    ],
    [
      "a file elsewhere",
      object({ a: { $ref: "a.json#/b" } }),
      ["properties", "a", "$ref"],
      "nothing is fetched",
      "$defs"
    ],
    [
      "a reference to nothing",
      object({ a: { $ref: "#/$defs/A" } }),
      ["properties", "a", "$ref"],
      "leads nowhere",
      "mend the $ref"
    ],
    ["a reference to itself", { $ref: "#" }, [], "for ever", "Break the circle"],
    [
      "references in a circle",
      object({ a: { $ref: "#/$defs/A" } }, { $defs: { A: { anyOf: [{ $ref: "#/$defs/A" }] } } }),
      ["properties", "a", "$ref"],
      "for ever",
      "Break"
    ],
    [
      "an inner $id",
      object({ a: { $id: "a", $ref: "#/$defs/A" } }, { $defs: { A: {} } }),
      ["properties", "a", "$id"],
      "an $id inside",
      "Take the inner $id out"
    ],
    [
      "no regular expression",
      pattern("["),
      ["properties", "a", "pattern"],
      "\"[\" is no regular expression",
      "Correct"
    ],
    ["looking ahead", pattern("^(?=a)b"), ["properties", "a", "pattern"], "may take for ever", "looking ahead"],
    ["a reference to a group", pattern("(a)\\1"), ["properties", "a", "pattern"], "may take for ever", "references"],
    [
      "a pattern that multiplies itself",
      pattern("((a{1,99}){1,99}){1,99}"),
      ["properties", "a", "pattern"],
      "is too large",
      "maxLength"
    ],
    [
      "a bad key pattern",
      object({}, { patternProperties: { "(?!a)": {} } }),
      ["patternProperties", "(?!a)"],
      "may take for ever",
      "engine"
    ],
    ["a text as arguments", { type: "string" }, [], "is of type \"string\"", "type: \"object\""],
    ["a list as arguments", { type: ["array", "null"] }, [], "is of type [\"array\",\"null\"]", "type: \"object\""],
    ["nothing as arguments", false, [], "takes nothing at all", "type: \"object\""]
  ])("%s", (_, schema, path, problem, remedy) => {
    const error = refusalOf(schema)
    expect(error).toMatchObject({ _tag: "InvalidTool", tool: "tool", path })
    expect(error.problem).toContain(problem)
    expect(error.remedy).toContain(remedy)
  })

  it("also as InvalidJsonSchema, for a schema by itself", () => {
    const error = Effect.runSync(Effect.flip(JsonSchema.schema({ properties: { a: { type: "text" } } })))
    expect(error).toMatchObject({ _tag: "InvalidJsonSchema", path: ["properties", "a", "type"] })
    expect(error.message).toContain("JSON Schema (at properties.a.type)")
    expect(Verdict.of(error).action).toBe("Fail")
  })

  it("with outputSchema at the head of the path of that one", () => {
    const outputSchema = { type: "text" }
    const error = Effect.runSync(Effect.flip(JsonSchema.tool("tool", { inputSchema: object({}), outputSchema })))
    expect(error.path).toEqual(["outputSchema", "type"])
  })
})

describe("the engine for patterns", () => {
  it("an engine of the caller's own is used as it is", () => {
    const patterns = (pattern: string) => new RegExp(pattern, "u")
    const schema = Effect.runSync(JsonSchema.schema({ pattern: "^(?=.*[0-9])(?=.*[a-z])" }, { patterns }))
    expect(Schema.is(schema)("a1")).toBe(true)
    expect(Schema.is(schema)("aa")).toBe(false)
    const error = Effect.runSync(Effect.flip(JsonSchema.schema({ pattern: "[" }, { patterns })))
    expect(error.problem).toContain("the engine given refuses the pattern")
  })
})

describe("the schema that a model is offered", () => {
  const offered = (inputSchema: unknown) => Either.getOrThrow(Tool.jsonSchema(toolOf(inputSchema)))

  it.each<[string, unknown, unknown]>([
    ["says that it is an object", { properties: { a: {} } }, { type: "object", properties: { a: {} } }],
    ["takes anything where nothing is said", {}, { type: "object", properties: {} }],
    ["takes anything for true", true, { type: "object", properties: {} }],
    ["is an object where it might be nothing", { type: ["object", "null"] }, { type: "object", properties: {} }],
    [
      "has a reference at its root inside",
      { $ref: "#/$defs/A", $defs: { A: object({ a: {} }) } },
      { type: "object", properties: {}, allOf: [{ $ref: "#/$defs/A" }], $defs: { A: object({ a: {} }) } }
    ],
    [
      "refers to itself without its name",
      { $id: "http://x/y", ...object({ a: { $ref: "http://x/y#/$defs/A" } }), $defs: { A: {} } },
      { type: "object", properties: { a: { $ref: "#/$defs/A" } }, $defs: { A: {} } }
    ]
  ])("%s", (_, given, expected) => expect(offered(given)).toEqual(expected))
})

describe("JsonSchema.tool", () => {
  it.effect("has the options of other tools", () =>
    Effect.gen(function*() {
      const failure = Schema.Struct({ error: Schema.String })
      const tool = yield* JsonSchema.tool("read", {
        description: "Reads a file",
        inputSchema: object({ path: { type: "string" } }),
        access: "read-only",
        timeout: "5 seconds",
        repairs: [],
        onFailure: "tell",
        failure
      })
      expect(tool).toMatchObject({
        description: "Reads a file",
        access: "read-only",
        timeout: "5 seconds",
        repairs: []
      })
      const toolkit = yield* Toolkit.make(tool)
      const call = { id: "1", name: "read", arguments: { path: "x" }, raw: "", repairs: [] } as const
      const result = yield* Toolkit.run(toolkit, {
        read: ({ path }) => Effect.fail({ error: `no ${String(path)}` })
      }, call)
      expect(result).toMatchObject({ isError: true, content: "{\"error\":\"no x\"}" })
    }))

  it.effect("holds the handler to the output schema", () =>
    Effect.gen(function*() {
      const outputSchema = object({ degrees: { type: "number" } }, { required: ["degrees"] })
      const toolkit = yield* Toolkit.make(yield* JsonSchema.tool("t", { inputSchema: object({}), outputSchema }))
      const call = { id: "1", name: "t", arguments: {}, raw: "", repairs: [] } as const
      const run = (answer: unknown) => Toolkit.run(toolkit, { t: () => Effect.succeed(answer) }, call)
      expect((yield* run({ degrees: 20 })).content).toBe("{\"degrees\":20}")
      expect((yield* Effect.flip(run({ degrees: "warm" }))).message).toContain("its answer cannot be written as text")
    }))

  it.effect("keeps two tools of one $id apart", () =>
    Effect.gen(function*() {
      const $id = "http://example.com/arguments"
      const first = yield* JsonSchema.schema({ $id, type: "string" })
      const second = yield* JsonSchema.schema({ $id, type: "number" })
      expect([Schema.is(first)("x"), Schema.is(second)("x")]).toEqual([true, false])
    }))
})
