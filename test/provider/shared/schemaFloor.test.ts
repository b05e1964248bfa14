import { describe, expect, it } from "@effect/vitest"
import * as schemaFloor from "../../../src/provider/shared/schemaFloor.ts"

const lay = (schema: object) => schemaFloor.lay({ ...schema }, { numericEnums: "taken" }).schema
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
    expect(schemaFloor.lay(numbers, { numericEnums: "refused" }).schema["properties"]).toEqual({
      n: { type: "integer", description: "One of 1, 2.", minimum: 1, maximum: 2 }
    })
    const mixed = { type: "object", properties: { n: { type: ["number", "null"], enum: [3, 0.5, null] } } }
    expect(schemaFloor.lay(mixed, { numericEnums: "refused" }).schema["properties"]).toEqual({
      n: { type: ["number", "null"], description: "One of 3, 0.5, null.", minimum: 0.5, maximum: 3 }
    })
    const levels = { type: "object", properties: { n: { type: "number", enum: [1, 2, 3] } } }
    expect(schemaFloor.lay(levels, { numericEnums: "refused" }).schema["properties"]).toEqual({
      n: { type: "integer", description: "One of 1, 2, 3.", minimum: 1, maximum: 3 }
    })
    expect(inside({ type: "string", description: "a string to be decoded into a Date" })).toMatchObject({
      p: { format: "date-time" }
    })
  })

  it("replaces names outside of the wire's letters, each by one of its own", () => {
    const { names, schema } = schemaFloor.lay(
      {
        type: "object",
        properties: { $top: {}, _top: {}, "a b": { type: "object", properties: { é: {} } } },
        required: ["$top"]
      },
      { numericEnums: "taken", propertyName: /^[a-zA-Z0-9_.-]{1,64}$/ }
    )
    expect(Object.keys(schema["properties"] ?? {})).toEqual(["_top_2", "_top", "a_b"])
    expect(schema["required"]).toEqual(["_top_2"])
    expect(names).toEqual(new Map([["$top", "_top_2"], ["a b", "a_b"], ["é", "_"]]))
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
