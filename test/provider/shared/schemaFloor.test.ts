import { describe, expect, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as schemaFloor from "../../../src/provider/shared/schemaFloor.ts"

const free = { numericEnums: "taken", references: "free" } as const
const gemini = { numericEnums: "refused", references: "bound" } as const

const layAt = (schema: object, floor: schemaFloor.Floor) => Either.getOrThrow(schemaFloor.lay({ ...schema }, floor))
const lay = (schema: object, floor: schemaFloor.Floor = free) => layAt(schema, floor).schema
const inside = (schema: object) => lay({ type: "object", properties: { p: schema } })["properties"]

describe("the floor under a schema", () => {
  it("writes a tuple as prefixItems with its length", () => {
    const item = { type: "number" }
    expect(inside({ type: "array", items: [item, item], additionalItems: false, minItems: 2 })).toEqual({
      p: { type: "array", prefixItems: [item, item], items: item, minItems: 2, maxItems: 2 }
    })
    expect(inside({ type: "array", items: [item], additionalItems: { type: "string" } })).toEqual({
      p: { type: "array", prefixItems: [item], items: { type: "string" } }
    })
    expect(inside({ type: "array", prefixItems: [item, { type: "string" }], items: false })).toEqual({
      p: {
        type: "array",
        prefixItems: [item, { type: "string" }],
        items: { anyOf: [item, { type: "string" }] },
        maxItems: 2
      }
    })
  })

  it("gives every list its items", () => {
    expect(inside({ type: ["array", "null"] })).toEqual({ p: { type: ["array", "null"], items: {} } })
    expect(inside({ type: "array", items: true })).toEqual({ p: { type: "array", items: {} } })
  })

  it("puts the object of a reference, of allOf and of several forms at the root", () => {
    const args = { type: "object", properties: { a: { type: "string" } }, required: ["a"], additionalProperties: false }
    const $defs = { Args: args }
    expect(lay({ type: "object", allOf: [{ $ref: "#/$defs/Args" }], $defs })).toEqual({ ...args, $defs })
    expect(lay({ $ref: "#/$defs/Args", $defs })).toEqual({ ...args, $defs })
    const other = { type: "object", properties: { b: { type: "number" } }, required: ["b"] }
    expect(lay({ type: "object", properties: {}, anyOf: [args, other] })).toMatchObject({
      type: "object",
      properties: { a: { type: "string" }, b: { type: "number" } },
      description: "Must have the properties of one of these forms: 1) a; 2) b."
    })
    expect(lay({ oneOf: [args, args] })).toMatchObject({ required: ["a"] })
  })

  it("says in words what engines and wires refuse", () => {
    expect(inside({ type: "string", pattern: "^(?!x)a" })).toEqual({
      p: { type: "string", description: "Must match the regular expression ^(?!x)a." }
    })
    expect(inside({ type: "string", pattern: "^(?:a|b)$" })).toEqual({ p: { type: "string", pattern: "^(?:a|b)$" } })
    const numbers = { type: "object", properties: { n: { type: "integer", enum: [1, 2] } } }
    expect(lay(numbers, gemini)["properties"]).toEqual({
      n: { type: "integer", description: "One of 1, 2.", minimum: 1, maximum: 2 }
    })
    const mixed = { type: "object", properties: { n: { type: ["number", "null"], enum: [3, 0.5, null] } } }
    expect(lay(mixed, gemini)["properties"]).toEqual({
      n: { type: ["number", "null"], description: "One of 3, 0.5, null.", minimum: 0.5, maximum: 3 }
    })
    const levels = { type: "object", properties: { n: { type: "number", enum: [1, 2, 3] } } }
    expect(lay(levels, gemini)["properties"]).toEqual({
      n: { type: "integer", description: "One of 1, 2, 3.", minimum: 1, maximum: 3 }
    })
    for (const pattern of ["^\\p{L}+$", "(?<year>\\d{4})", "\\u{1F600}", "[^]", "^a{0,1001}$", "(a)\\1"]) {
      expect(inside({ type: "string", pattern })).toEqual({
        p: { type: "string", description: `Must match the regular expression ${pattern}.` }
      })
    }
    expect(inside({ type: "boolean", enum: [true] })).toEqual({ p: { type: "boolean", enum: [true] } })
    expect(lay({ type: "object", properties: { b: { type: "boolean", enum: [true] } } }, gemini)["properties"]).toEqual(
      {
        b: { type: "boolean", description: "One of true." }
      }
    )
    expect(
      inside({ type: "object", patternProperties: { "^(?!x)": {}, "^y": {} }, additionalProperties: false })
    ).toEqual({
      p: {
        type: "object",
        patternProperties: { "^y": {} },
        description: "May have properties whose names match ^(?!x)."
      }
    })
  })

  it("replaces names outside of the wire's letters, each by one of its own", () => {
    const { names, schema } = layAt(
      {
        type: "object",
        properties: { $top: {}, _top: {}, "a b": { type: "object", properties: { é: {} } } },
        required: ["$top"]
      },
      { ...free, propertyName: /^[a-zA-Z0-9_.-]{1,64}$/ }
    )
    expect(Object.keys(schema["properties"] ?? {})).toEqual(["_top_2", "_top", "a_b"])
    expect(schema["required"]).toEqual(["_top_2"])
    expect(names).toEqual(new Map([["$top", "_top_2"], ["a b", "a_b"], ["é", "_"]]))
  })

  it("leads every reference to a definition", () => {
    const text = { type: "string" }
    const pair = { type: "array", items: [text, { $ref: "#/properties/pair/items/0" }] }
    expect(lay({
      type: "object",
      properties: {
        pair,
        old: { $ref: "#/definitions/Old" },
        again: { $ref: "#" },
        named: { $ref: "#here" },
        odd: { $ref: "#/$defs/100%" },
        lost: { $ref: "#/$defs/nowhere" }
      },
      definitions: { Old: { type: "object", properties: { next: { $ref: "#/definitions/Old" } } } },
      $defs: { Here: { $anchor: "here", type: "integer" }, "100%": text }
    })).toMatchObject({
      properties: {
        pair: { prefixItems: [text, { $ref: "#/$defs/0" }] },
        old: { $ref: "#/$defs/Old" },
        again: { $ref: "#/$defs/root" },
        named: { $ref: "#/$defs/here" },
        odd: { $ref: "#/$defs/100%" },
        lost: { $ref: "#/$defs/nowhere" }
      },
      $defs: {
        "0": text,
        Old: { properties: { next: { $ref: "#/$defs/Old" } } },
        root: { properties: { again: { $ref: "#/$defs/root" } } },
        here: { type: "integer" },
        Here: { type: "integer" },
        "100%": text
      }
    })
    const plain = { type: "object", properties: { a: { $ref: "#/$defs/A" } }, $defs: { A: text } }
    expect(lay(plain)).toEqual(plain)
  })

  it("leads what the folding of the root moves to its new place", () => {
    const form = { type: "object", properties: { a: { type: "string" }, b: { $ref: "#/anyOf/0/properties/a" } } }
    expect(lay({ anyOf: [form] })).toMatchObject({
      properties: { b: { $ref: "#/$defs/a" } },
      $defs: { a: { type: "string" } }
    })
  })

  it("says in words what a root may not hold", () => {
    const properties = { a: {}, b: {} }
    const not = { required: ["a", "b"] }
    expect(lay({ type: "object", properties, not })).toEqual({
      type: "object",
      properties,
      description: "Must not match the schema {\"required\":[\"a\",\"b\"]}."
    })
    expect(lay({ type: "object", properties, allOf: [{ not }], enum: [{ a: 1 }] })).toMatchObject({
      description: expect.stringMatching(/^Must not match the schema .* Must be one of \[\{"a":1\}\]\.$/)
    })
    expect(lay({ type: "object", properties, enum: [{ a: "x".repeat(300) }] })).toEqual({ type: "object", properties })
    expect(inside({ not })).toEqual({ p: { not } })
  })

  it("writes the schemas true and false as objects", () => {
    expect(lay({ type: "object", properties: { a: true, b: { anyOf: [false, true] } }, additionalProperties: false }))
      .toEqual({ type: "object", properties: { a: {}, b: { anyOf: [{ not: {} }, {}] } }, additionalProperties: false })
  })

  it("binds references where a wire takes them only by themselves and out of what is required", () => {
    const Node = {
      type: "object",
      properties: {
        value: { type: "string" },
        next: { $ref: "#/$defs/Node", description: "the next" },
        kids: { type: "array", items: { $ref: "#/$defs/Other" } }
      },
      required: ["value", "next", "kids"]
    }
    const Other = { type: "object", properties: { node: { $ref: "#/$defs/Node" } } }
    const schema = {
      type: "object",
      properties: {
        tree: { $ref: "#/$defs/Node" },
        date: { allOf: [{ $ref: "#/$defs/Date" }], description: "when" }
      },
      required: ["tree", "date"],
      $defs: { Node, Other, Date: { type: "string" } }
    }
    expect(lay(schema, gemini)).toEqual({
      type: "object",
      properties: {
        tree: { $ref: "#/$defs/Node" },
        date: { anyOf: [{ $ref: "#/$defs/Date" }], description: "when" }
      },
      required: ["tree", "date"],
      $defs: {
        Node: {
          type: "object",
          properties: {
            value: { type: "string" },
            next: { anyOf: [{ $ref: "#/$defs/Node" }], description: "the next" },
            kids: { type: "array", items: { $ref: "#/$defs/Other" } }
          },
          required: ["value"],
          description: "Must have next, kids, too."
        },
        Other,
        Date: { type: "string" }
      }
    })
    expect(lay(schema)).toEqual(schema)
  })

  it("refuses a root that doubles with every reference, in time in proportion to what was given", () => {
    const levels = 60
    const at = (level: number) => ({ $ref: `#/$defs/L${level}` })
    const $defs = Object.fromEntries(
      Array.from({ length: levels }, (_, level) => [
        `L${level}`,
        level === 0
          ? { type: "object", properties: { x: { type: "string" } } }
          : { anyOf: [at(level - 1), { allOf: [at(level - 1), { properties: { x: { const: level } } }] }] }
      ])
    )
    expect(schemaFloor.lay({ ...at(levels - 1), $defs }, free)).toMatchObject({
      _tag: "Left",
      left: { problem: "with its references in their places the schema has more than 20000 values" }
    })
    const shared = Object.fromEntries(
      Array.from({ length: levels }, (_, level) => [
        `L${level}`,
        level === 0
          ? { type: "object", properties: { x: { type: "string" } } }
          : { allOf: [at(level - 1), at(level - 1)] }
      ])
    )
    expect(lay({ ...at(levels - 1), $defs: shared })).toMatchObject({ properties: { x: { type: "string" } } })
    expect(lay({ anyOf: [{ $ref: "#" }, { $ref: "#" }] })).toMatchObject({ type: "object" })
  })

  it("renames keys and leaves the rest to the letter", () => {
    const names = new Map([["_top", "$top"]])
    expect(schemaFloor.renameKeys("{\"_top\" : 12345678901234567890, \"x\":\"_top\",\"_top\":[{\"_top\":1.0}]}", names))
      .toBe(
        "{\"$top\" : 12345678901234567890, \"x\":\"_top\",\"$top\":[{\"$top\":1.0}]}"
      )
    expect(schemaFloor.renameKeys("{\"_top\":\"a\\\"b", names)).toBe("{\"$top\":\"a\\\"b")
    expect(schemaFloor.renameKeys("\"", names)).toBe("\"")
  })
})
