import { describe, expect, it } from "@effect/vitest"
import { Ajv2020 } from "ajv/dist/2020.js"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as Form from "../../../src/internal/form.ts"
import { files, form, rule } from "./sample.ts"

const schemaOf = (of: Form.Form<unknown, unknown>) => ({ ...Form.toJsonSchema(of) })
const compile = (of: Form.Form<unknown, unknown>) =>
  new Ajv2020({ strict: true, strictRequired: false }).compile(schemaOf(of))

describe("the JSON Schema of a form", () => {
  it("is a schema by the rules of JSON Schema 2020-12, of the spelling in a file", () => {
    expect(new Ajv2020().validateSchema(schemaOf(form))).toBe(true)
    expect(Form.toJsonSchema(form, { title: "A sample" })).toMatchObject({
      $schema: "https://json-schema.org/draft/2020-12/schema",
      title: "A sample",
      type: "object",
      additionalProperties: false,
      required: ["maxConcurrent"],
      properties: {
        $schema: { type: "string" },
        name: { type: "string", description: "the name that errors carry", default: "sample" },
        maxConcurrent: { type: "integer", minimum: 1, maximum: 1_000 },
        queueTimeout: { $ref: "#/$defs/duration" },
        rule: { $ref: "#/$defs/rule" },
        budget: { const: "standard" },
        tags: { type: "array", minItems: 1 }
      },
      $defs: { duration: { type: "string" } }
    })
  })

  it("has no field that only code can give", () => {
    expect(Form.toJsonSchema(form)["properties"]).not.toHaveProperty("verdict")
  })

  it("does not ask for a field that somebody else may give, and says no default of it", () => {
    const policy = Form.struct("a policy", {
      name: Form.withDefault(Form.annotate(Form.text(), { description: "its name" }), () => "policy"),
      limit: Form.count(1, 9)
    })
    const named = Form.checked(Form.struct("a named one", { name: Form.text(), limit: Form.count(1, 9) }), () => [])
    for (const each of [policy, named]) {
      const { properties, required } = Form.toJsonSchema(Form.mayLeaveOut(each, "name"))
      expect(required).toEqual(["limit"])
      expect(properties).toMatchObject({ name: { type: "string" } })
      expect(JSON.stringify(properties)).not.toContain("default")
    }
    expect(Form.hasField(named, "name")).toBe(true)
    expect(Form.hasField(named, "names")).toBe(false)
    expect(Form.toJsonSchema(Form.mayLeaveOut(policy, "other"))).toEqual(Form.toJsonSchema(policy))
  })

  it("takes two forms of one name only where they are the same", () => {
    const two = (a: number, b: number) =>
      Form.struct("two", {
        a: Form.named("few", Form.count(1, a)),
        b: Form.annotate(Form.named("few", Form.count(1, b)), { description: "more of them" })
      })
    expect(Form.toJsonSchema(two(5, 5))["properties"]).toEqual({
      a: { $ref: "#/$defs/few" },
      b: { $ref: "#/$defs/few", description: "more of them" }
    })
    expect(() => Form.toJsonSchema(two(5, 6))).toThrow("two different forms have the name \"few\"")
  })

  it("says the fields of several objects once, beside the shapes", () => {
    const a = Form.struct("a", { kind: Form.oneOf("a"), wait: Form.duration(), deep: Form.optional(rule) })
    const b = Form.struct("b", { kind: Form.oneOf("b"), wait: Form.duration() })
    expect(Form.toJsonSchema(Form.tagged("a or b", "kind", a, b))).toMatchObject({
      type: "object",
      properties: { wait: { $ref: "#/$defs/duration" }, deep: { $ref: "#/$defs/rule" } },
      anyOf: [
        {
          properties: { kind: { const: "a" }, wait: true, deep: true },
          required: ["kind", "wait"],
          additionalProperties: false
        },
        { properties: { kind: { const: "b" }, wait: true }, required: ["kind", "wait"], additionalProperties: false }
      ]
    })
  })

  it("takes what the reader takes, and refuses what it refuses but for what fields are together", () => {
    const validate = compile(form)
    let right = 0
    let wrong = 0
    // What JSON Schema cannot say: one field against another, the length of a duration, and how deep rules are.
    const together = ["min not above max", "nothing while maxQueued is 0", "rules at most 16 deep"]
    FastCheck.assert(
      FastCheck.property(files, (given) => {
        const file: unknown = JSON.parse(JSON.stringify(given))
        const read = Form.read(form, file, "file")
        const faults = Either.isLeft(read) ? read.left.filter(({ allowed }) => !together.includes(allowed)) : []
        if (Either.isRight(read)) right += 1
        else wrong += 1
        expect(validate(file), JSON.stringify([file, faults, validate.errors])).toBe(faults.length === 0)
      }),
      { numRuns: 2_000 }
    )
    expect(right).toBeGreaterThan(200)
    expect(wrong).toBeGreaterThan(200)
  })

  it("goes through a value of many levels once, also where every error is asked for", () => {
    const validate = new Ajv2020({ allErrors: true }).compile(schemaOf(rule))
    let value: unknown = { when: "consecutive", failures: 0 }
    for (let i = 0; i < 60; i += 1) value = { any: [value] }
    expect(validate(value)).toBe(false)
    // Once for each shape at each level, these would be more than 10^17.
    expect(validate.errors?.length).toBeLessThan(10_000)
  })
})
