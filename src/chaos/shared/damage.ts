/** Spoils a right tool call in a named way, and proves that a strict reader will refuse the outcome. */
import type { Draw } from "../../internal/seeded.ts"
import { type DamageClass, families, type Family } from "./damageClasses.ts"
import {
  hazardous,
  isJson,
  isJsonObject,
  type Json,
  type JsonObject,
  parse,
  type Path,
  replaceAt,
  sites,
  tokens
} from "./json.ts"
import { conforms, membersOf, requiredOf, resolve, schemasAt } from "./jsonSchema.ts"
import { malform } from "./malform.ts"

/** The call as the model meant it. */
export interface Meant {
  readonly name: string
  readonly arguments: JsonObject
  /** JSON Schema of the tool's parameters. */
  readonly parameters: unknown
  /** Names of all tools of the request. */
  readonly tools: ReadonlyArray<string>
}

/** The call as it goes over the wire. */
export interface Written {
  readonly name: string
  readonly arguments: string
  readonly finishReason: "tool_calls" | "length"
}

export const writeRight = (meant: Meant): Written => ({
  name: meant.name,
  arguments: JSON.stringify(meant.arguments),
  finishReason: "tool_calls"
})

/** Which family of fault a strict reader finds first, or "none" if it takes the call. */
export const judge = (meant: Meant, written: Written): Family | "none" => {
  if (written.finishReason === "length") return "truncated"
  // Nothing and null read as an empty object: models write them so for tools without parameters.
  const text = ["", "null"].includes(written.arguments.trim()) && conforms(meant.parameters, meant.parameters, {})
    ? "{}"
    : written.arguments
  const value = parse(text)
  if (!isJsonObject(value)) return "malformed"
  if (hazardous(text)) return "hazardous"
  if (!meant.tools.includes(written.name)) return "misnamed"
  return conforms(meant.parameters, meant.parameters, value) ? "none" : "hallucinated"
}

type Spoil = (meant: Meant, draw: Draw) => Partial<Written> | undefined

const asArguments = (value: Json): Partial<Written> => ({ arguments: JSON.stringify(value) })

/** Rewrites the value at one place. The rewrite says undefined where it has nothing to do. */
const somewhere = (
  rewrite: (value: Json, schemas: ReadonlyArray<unknown>, draw: Draw) => Json | undefined,
  fits: (meant: Meant, path: Path) => boolean = () => true
): Spoil =>
(meant, draw) => {
  const { parameters } = meant
  for (const { path, value } of draw.shuffle(sites(meant.arguments))) {
    const by = rewrite(value, schemasAt(parameters, parameters, path), draw)
    if (by === undefined || !fits(meant, path)) continue
    const whole = replaceAt(meant.arguments, path, by)
    // Another place may take any value: then this rewrite would be right by accident.
    if (!conforms(parameters, parameters, whole)) return asArguments(whole)
  }
  return undefined
}

/** Whether the arguments lack something without this value. What may be left out may be called null, too. */
const isNeeded = (meant: Meant, path: Path): boolean => {
  const key = path.at(-1)
  const parentPath = path.slice(0, -1)
  const parent = parentPath.length === 0
    ? meant.arguments
    : sites(meant.arguments).find((site) => JSON.stringify(site.path) === JSON.stringify(parentPath))?.value
  if (typeof key !== "string" || !isJsonObject(parent)) return true
  const lacking = without(parent, key)
  const whole = parentPath.length === 0 ? lacking : replaceAt(meant.arguments, parentPath, lacking)
  return !conforms(meant.parameters, meant.parameters, whole)
}

const oneKey = (meant: Meant, draw: Draw): string | undefined => {
  const [first, ...others] = requiredOf(resolve(meant.parameters, meant.parameters))
    .filter((key) => Object.hasOwn(meant.arguments, key))
  return first === undefined ? Object.keys(meant.arguments)[0] : draw.pick([first, ...others])
}

const without = (value: JsonObject, key: string): JsonObject =>
  Object.fromEntries(Object.entries(value).filter(([name]) => name !== key))

const otherCase = (name: string): string =>
  name.includes("_")
    ? name.replace(/(?<!_)_+([a-zA-Z0-9])/g, (_, letter: string) => letter.toUpperCase())
    : /[A-Z]/.test(name.slice(1))
    ? name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
    : name.charAt(0).toUpperCase() + name.slice(1)

/** Puts raw member text at the head of the root object. */
const prepend = (member: string): Spoil => (meant) => {
  const text = JSON.stringify(meant.arguments)
  return { arguments: text === "{}" ? `{${member}}` : `{${member},${text.slice(1)}` }
}

const numberToken = (by: string): Spoil => (meant, draw) => {
  const list = tokens(JSON.stringify(meant.arguments))
  const [first, ...others] = list.flatMap((token, index) => token.kind === "number" ? [index] : [])
  if (first === undefined) return undefined
  const chosen = draw.pick([first, ...others])
  return { arguments: list.map((token, index) => index === chosen ? by : token.text).join("") }
}

const rename = (name: (meant: Meant, draw: Draw) => string): Spoil => (meant, draw) => ({ name: name(meant, draw) })

const misspell = (name: string, draw: Draw): string => {
  const at = draw.between(1, Math.max(1, name.length - 2))
  return draw.happens(0.5) && name.length > 3
    ? name.slice(0, at) + name.slice(at + 1)
    : name.slice(0, at) + name.slice(at, at + 1).repeat(2) + name.slice(at + 1)
}

const spoils: Readonly<Record<Exclude<DamageClass, keyof typeof malform>, Spoil>> = {
  "truncated": (meant, draw) => {
    const text = JSON.stringify(meant.arguments)
    // The whole document under `length` is refused too: valid JSON can still be half of what was meant.
    return { arguments: text.slice(0, draw.between(1, text.length)), finishReason: "length" }
  },
  "duplicate-key": (meant) => {
    const [entry] = Object.entries(meant.arguments)
    if (entry === undefined) return undefined
    const [key, value] = entry
    const text = JSON.stringify(meant.arguments)
    const last = typeof value === "number"
      ? value + 1
      : typeof value === "boolean"
      ? !value
      : typeof value === "string"
      ? `${value}?`
      : value
    return { arguments: `${text.slice(0, -1)},${JSON.stringify(key)}:${JSON.stringify(last)}}` }
  },
  "proto-key": prepend("\"__proto__\":{\"admin\":true}"),
  "constructor-prototype": prepend("\"constructor\":{\"prototype\":{\"admin\":true}}"),
  "unsafe-integer": numberToken("9007199254740993"),
  "twenty-digit-integer": numberToken("12345678901234567890"),
  "infinite-number": numberToken("1e400"),
  "lone-surrogate": (meant, draw) => {
    const list = tokens(JSON.stringify(meant.arguments))
    const [first, ...others] = list.flatMap((token, index) => token.kind === "string" ? [index] : [])
    if (first === undefined) return undefined
    const chosen = draw.pick([first, ...others])
    return {
      arguments: list.map((token, index) => index === chosen ? `${token.text.slice(0, -1)} \\ud83d"` : token.text).join(
        ""
      )
    }
  },
  "extra-parameter": (meant, draw) =>
    asArguments({
      ...meant.arguments,
      [draw.pick(["reasoning", "confidence", "user_id", "format", "options"])]: draw.pick<Json>([true, "auto", 0.9])
    }),
  "missing-parameter": (meant, draw) => {
    const key = oneKey(meant, draw)
    return key === undefined ? undefined : asArguments(without(meant.arguments, key))
  },
  "renamed-parameter": (meant, draw) => {
    const key = oneKey(meant, draw)
    if (key === undefined) return undefined
    const renamed = otherCase(key) === key ? `${key}_value` : otherCase(key)
    return asArguments(
      Object.fromEntries(Object.entries(meant.arguments).map(([name, value]) => [name === key ? renamed : name, value]))
    )
  },
  "wrong-type": somewhere((value) =>
    typeof value === "string" ? 12 : typeof value === "number" ? "a few" : typeof value === "boolean" ? "yes" : "none"
  ),
  "number-as-string": somewhere((value) =>
    typeof value === "number" || typeof value === "boolean" ? String(value) : undefined
  ),
  "value-in-array": somewhere((value) => [value]),
  "stringified-object": somewhere((value) =>
    typeof value === "object" && value !== null ? JSON.stringify(value) : undefined
  ),
  "null-value": somewhere((value) => value === null ? undefined : null, isNeeded),
  "wrong-enum-member": somewhere((value, schemas, draw) => {
    const members = schemas.flatMap((schema) => membersOf(schema) ?? []).filter(isJson)
    if (members.length === 0) return undefined
    return typeof value === "string" ? draw.pick([value.toUpperCase(), `${value}s`, `not ${value}`]) : "other"
  }),
  "out-of-range": somewhere((value, _, draw) =>
    typeof value === "number" ? draw.happens(0.5) ? -1e9 - value : 1e9 + value : undefined
  ),
  "fractional-integer": somewhere((value) => Number.isInteger(value) ? Number(value) + 0.5 : undefined),
  "wrapped-arguments": (meant, draw) =>
    asArguments({ [draw.pick(["arguments", "parameters", "input"])]: meant.arguments }),
  "empty-arguments": () => asArguments({}),
  "unknown-tool": rename((meant, draw) =>
    draw.pick(["web_search", "run_code", "final_answer", `${meant.name}_v2`, "multi_tool_use"])
  ),
  "misspelt-tool": rename((meant, draw) => misspell(meant.name, draw)),
  "wrong-case-tool": rename((meant) => otherCase(meant.name)),
  "prefixed-tool": rename((meant) => `functions.${meant.name}`),
  "constructor-tool": rename((_, draw) => draw.pick(["constructor", "toString", "hasOwnProperty"])),
  "proto-tool": rename(() => "__proto__")
}

const familyOf: ReadonlyMap<DamageClass, Family> = new Map(
  (["malformed", "truncated", "hazardous", "hallucinated", "misnamed"] as const)
    .flatMap((family) => families[family].map((name) => [name, family] as const))
)

const isMalformed = (name: DamageClass): name is keyof typeof malform => Object.hasOwn(malform, name)

const attempt = (meant: Meant, name: DamageClass, draw: Draw): Written | undefined => {
  const right = writeRight(meant)
  const text = isMalformed(name) ? malform[name](right.arguments, draw) : undefined
  const change = isMalformed(name)
    ? text === undefined ? undefined : { arguments: text }
    : spoils[name](meant, draw)
  if (change === undefined) return undefined
  const written = { ...right, ...change }
  return judge(meant, written) === familyOf.get(name) ? written : undefined
}

/**
 * The call spoilt in the named way. Where the call gives the class nothing to spoil (no number to round, no string to
 * break) the first other allowed class that fits takes its place, then its own family, then prose, which always fits.
 */
export const damage = (
  meant: Meant,
  name: DamageClass,
  allowed: ReadonlyArray<DamageClass>,
  draw: Draw
): { readonly written: Written; readonly applied: DamageClass } => {
  const family = familyOf.get(name)
  const related: ReadonlyArray<DamageClass> = family === undefined ? [] : families[family]
  const order = [name, ...draw.fork("instead").shuffle(allowed), ...draw.fork("related").shuffle(related)]
  for (const candidate of order) {
    for (let attempts = 0; attempts < 3; attempts++) {
      const written = attempt(meant, candidate, draw.fork(candidate).fork(attempts))
      if (written !== undefined) return { written, applied: candidate }
    }
  }
  const right = writeRight(meant)
  return { written: { ...right, arguments: `Sure! ${right.arguments}` }, applied: "prose-before" }
}
