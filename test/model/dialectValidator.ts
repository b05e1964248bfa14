/** A JSON Schema validator that is not ours, for what a vendor would hold the model to. */
import * as Ajv from "ajv"

/** OpenAPI takes null for `nullable` whatever the enum says; Gemini's enum has room for texts only. */
const withNullInEnums = (schema: unknown): unknown =>
  Array.isArray(schema)
    ? schema.map(withNullInEnums)
    : typeof schema === "object" && schema !== null
    ? Object.fromEntries(
      Object.entries(schema).map(([keyword, value]: [string, unknown]) =>
        keyword === "enum" && "nullable" in schema && Array.isArray(value)
          ? [keyword, [...value, null]]
          : [keyword, withNullInEnums(value)]
      )
    )
    : schema

/** One instance for all schemas, since each new one compiles the schema of schemas first; optimised code does not pay here. */
const loose = { strict: false, validateFormats: false, logger: false, code: { optimize: false } } as const
const forAll = new Ajv.Ajv({ ...loose, allErrors: true })
const forOne = new Ajv.Ajv(loose)

const compiled = (ajv: Ajv.Ajv, schema: object): Ajv.ValidateFunction => {
  const validate = ajv.compile(schema)
  ajv.removeSchema(schema)
  return validate
}

/** Whether a value is one that the vendor would let the model write. */
export const validator = (schema: object): Ajv.ValidateFunction => compiled(forAll, Object(withNullInEnums(schema)))

/** Whether a value is one that the schema as it was written takes. */
export const accepted = (schema: object): Ajv.ValidateFunction => compiled(forOne, schema)
