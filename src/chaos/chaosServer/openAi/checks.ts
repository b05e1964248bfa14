/** The checks that OpenAI's two APIs have in common, and the words in which they refuse. */
import { isArray, isRecord, own } from "../../shared/json.ts"

/** A refusal in OpenAI's envelope. */
export interface WireError {
  readonly status: number
  readonly message: string
  readonly type: string
  readonly param: string | null
  readonly code: string | null
}

export const wireError = (
  status: number,
  message: string,
  details: { readonly type?: string; readonly param?: string; readonly code?: string } = {}
): WireError => ({
  status,
  message,
  type: details.type ?? "invalid_request_error",
  param: details.param ?? null,
  code: details.code ?? null
})

/** Thrown by the checks and caught by whoever reads a request, so that they read as a list. */
export class Refused {
  readonly error: WireError
  constructor(error: WireError) {
    this.error = error
  }
}

export const refuse = (message: string, param?: string, code?: string, status = 400): never => {
  throw new Refused(
    wireError(status, message, {
      ...(param === undefined ? {} : { param }),
      ...(code === undefined ? {} : { code })
    })
  )
}

/** `'a', 'b', and 'c'`, as the API lists what it takes. */
const listed = (values: ReadonlyArray<string>): string => {
  const quoted = values.map((value) => `'${value}'`)
  const last = quoted.at(-1) ?? ""
  return quoted.length < 3 ? quoted.join(" and ") : `${quoted.slice(0, -1).join(", ")}, and ${last}`
}

export const refuseValue = (value: unknown, supported: ReadonlyArray<string>, param: string): never =>
  refuse(`Invalid value: '${String(value)}'. Supported values are: ${listed(supported)}.`, param, "invalid_value")

export const kindOf = (value: unknown): string =>
  value === null || value === undefined
    ? "null"
    : isArray(value)
    ? "an array"
    : isRecord(value)
    ? "an object"
    : Number.isInteger(value)
    ? "an integer"
    : `a ${typeof value}`

const article = (kind: string): string => /^[aeio]/.test(kind) ? `an ${kind}` : `a ${kind}`

export const refuseType = (value: unknown, expected: string, param: string): never =>
  refuse(
    `Invalid type for '${param}': expected ${expected}, but got ${kindOf(value)} instead.`,
    param,
    "invalid_type"
  )

export const refuseMissing = (param: string): never =>
  refuse(`Missing required parameter: '${param}'.`, param, "missing_required_parameter")

export const requiredText = (value: unknown, param: string): string =>
  typeof value === "string" ? value : value === undefined ? refuseMissing(param) : refuseType(value, "a string", param)

export const fieldsAt = (value: unknown, param: string): Readonly<Record<string, unknown>> =>
  isRecord(value) ? value : value === undefined ? refuseMissing(param) : refuseType(value, "an object", param)

/** A member that may be missing or null. */
export const optional = (
  body: unknown,
  name: string,
  type: "string" | "boolean" | "object",
  param: string = name
): unknown => {
  const value = own(body, name) ?? undefined
  return value === undefined || (type === "object" ? isRecord(value) : typeof value === type)
    ? value
    : refuseType(value, article(type), param)
}

export const noForeign = (fields: unknown, known: string, at: string): void => {
  const names = known.split(" ")
  const foreign = isRecord(fields) ? Object.keys(fields).find((name) => !names.includes(name)) : undefined
  if (foreign === undefined) return
  const param = at === "" ? foreign : `${at}.${foreign}`
  refuse(`Unknown parameter: '${param}'.`, param, "unknown_parameter")
}

/** Names of functions and formats. */
export const checkName = (name: string, param: string): string => {
  if (!/^[a-zA-Z0-9_-]+$/.test(name)) {
    refuse(
      `Invalid '${param}': string does not match pattern. Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'.`,
      param,
      "invalid_value"
    )
  }
  if (name.length > 64) {
    refuse(
      `Invalid '${param}': string too long. Expected a string with maximum length 64, but got a string with length ` +
        `${name.length} instead.`,
      param,
      "string_above_max_length"
    )
  }
  return name
}

export const numberIn = (
  body: unknown,
  name: string,
  kind: "integer" | "decimal",
  least: number,
  most: number
): number | undefined => {
  const value = own(body, name) ?? undefined
  if (value === undefined) return undefined
  if (typeof value !== "number" || (kind === "integer" && !Number.isInteger(value))) {
    return refuseType(value, kind === "integer" ? "an integer" : "a decimal", name)
  }
  if (value < least) {
    refuse(
      `Invalid '${name}': ${kind} below minimum value. Expected a value >= ${least}, but got ${value} instead.`,
      name,
      `${kind}_below_min_value`
    )
  }
  if (value > most) {
    refuse(
      `Invalid '${name}': ${kind} above maximum value. Expected a value <= ${most}, but got ${value} instead.`,
      name,
      `${kind}_above_max_value`
    )
  }
  return value
}
