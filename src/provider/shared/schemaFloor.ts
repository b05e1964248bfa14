/**
 * The floor under every schema that is sent as it is: what no API takes is written in another form, which takes at least the
 * same values. Nothing is lost by it, since a call is decoded by the tool's own schema. One tool that a vendor refuses would
 * refuse the whole request.
 *
 * - A tuple is `prefixItems`, with `items` for what follows and `maxItems` where nothing may; a list always has `items`.
 * - The root is one object: a `$ref` is put in its place, `allOf` is merged, the forms of `anyOf` and `oneOf` are folded.
 * - References lead to definitions under `$defs`, and the schemas `true` and `false` are written as objects.
 * - A pattern with lookaround or back references, which engines of vendors refuse, and what else a wire has no keyword for
 *   is said in the description.
 * - Names of properties outside of the wire's letters are replaced, and put back in what the model writes.
 */
import * as Either from "effect/Either"
import { type Fields, isRecord, listOf } from "../../internal/record.ts"
import { follow } from "../../internal/schemaReference.ts"
import { withBoundReferences, withDefinitions } from "./schemaReferences.ts"
import { described, mapped, strings, without } from "./schemaWalk.ts"

/** What one wire takes. */
export interface Floor {
  /** The letters of a property's name; any, where it is absent. */
  readonly propertyName?: RegExp | undefined
  /** Whether an enum may hold numbers. */
  readonly numericEnums: "taken" | "refused"
  /** Whether a reference may stand beside other keywords, and lead round in a circle through what is required. */
  readonly references: "free" | "bound"
}

/** Why a schema cannot be written on any wire, and the way out. */
export interface Refused {
  readonly path: ReadonlyArray<string | number>
  readonly problem: string
  readonly remedy: string
}

/** A schema as it is sent, and the names of properties on the wire by their own names. */
export interface Floored {
  readonly schema: Fields
  readonly names: ReadonlyMap<string, string>
}

// Lists ---------------------------------------------------------------------------------------------------------------

const isList = ({ type }: Fields): boolean => type === "array" || (Array.isArray(type) && type.includes("array"))

/** What may follow: of a closed tuple any of its own items, as its length is bounded anyway. */
const itemsOf = (items: ReadonlyArray<unknown>): unknown => {
  const forms = [...new Map(items.map((item) => [JSON.stringify(item), item])).values()]
  return forms.length > 1 ? { anyOf: forms } : forms[0] ?? {}
}

const withTuple = (schema: Fields): Fields => {
  const old = Array.isArray(schema["items"])
  const items = listOf(old ? schema["items"] : schema["prefixItems"])
  const more = old ? schema["additionalItems"] : schema["items"]
  const kept = without(schema, "items", "additionalItems", "prefixItems")
  if (items.length === 0) {
    return { ...kept, items: isRecord(more) ? more : {}, ...(more === false ? { maxItems: 0 } : {}) }
  }
  const most = typeof kept["maxItems"] === "number" ? Math.min(kept["maxItems"], items.length) : items.length
  return {
    ...kept,
    prefixItems: items,
    items: isRecord(more) ? more : more === false ? itemsOf(items) : {},
    ...(more === false ? { maxItems: most } : {})
  }
}

const withItems = (schema: Fields): Fields => {
  if (Array.isArray(schema["items"]) || Array.isArray(schema["prefixItems"])) return withTuple(schema)
  const kept = schema["additionalItems"] === undefined ? schema : without(schema, "additionalItems")
  return isList(kept) && !isRecord(kept["items"]) ? { ...kept, items: {} } : kept
}

// Values --------------------------------------------------------------------------------------------------------------

/**
 * What engines of vendors refuse: lookaround, back references, names and flags of groups (RE2, Rust's), classes by property
 * and letters by number, which Python's does not know, and empty sets.
 */
const refusedPieces = /\(\?(?!:)|\\[1-9kpPc]|\\u\{|\[\^?\]/

/** RE2 counts no further. */
const largestCount = 1000

const isRefused = (pattern: string): boolean =>
  refusedPieces.test(pattern) ||
  [...pattern.matchAll(/\{(\d+)(?:,(\d*))?\}/g)].some(([, least, most]) =>
    Math.max(Number(least), Number(most ?? 0)) > largestCount
  )

const withPattern = (schema: Fields): Fields => {
  const { pattern } = schema
  return typeof pattern === "string" && isRefused(pattern)
    ? described(without(schema, "pattern"), `Must match the regular expression ${pattern}.`)
    : schema
}

/** Names by a pattern that is refused: any others may be there then, as the call is decoded by the tool's own schema. */
const withPatternNames = (schema: Fields): Fields => {
  const { patternProperties } = schema
  const patterns = isRecord(patternProperties) ? Object.entries(patternProperties) : []
  const refused = patterns.filter(([pattern]) => isRefused(pattern)).map(([pattern]) => pattern)
  if (refused.length === 0) return schema
  const kept = patterns.filter(([pattern]) => !refused.includes(pattern))
  return {
    ...described(
      without(schema, "patternProperties", "additionalProperties"),
      `May have properties whose names match ${refused.join(" or ")}.`
    ),
    ...(kept.length === 0 ? {} : { patternProperties: Object.fromEntries(kept) })
  }
}

/** A list of values that are no texts in words, and what of it a schema without the list can say: whole numbers, and their range. */
const withEnum = (schema: Fields, floor: Floor): Fields => {
  const values = listOf(schema["enum"])
  if (floor.numericEnums === "taken" || values.every((value) => typeof value === "string")) return schema
  const numbers = values.filter((value) => typeof value === "number")
  return {
    ...described(without(schema, "enum"), `One of ${values.map((value) => JSON.stringify(value)).join(", ")}.`),
    ...(schema["type"] === "number" && values.every(Number.isInteger) ? { type: "integer" } : {}),
    ...(numbers.length === 0 ? {} : { minimum: Math.min(...numbers), maximum: Math.max(...numbers) })
  }
}

// The root ------------------------------------------------------------------------------------------------------------

const propertiesOf = ({ properties }: Fields): Fields => isRecord(properties) ? properties : {}

/** The schemas that a combined one was made of, so that none is in it twice. */
const combined = new WeakMap<object, ReadonlyArray<unknown>>()

const partsOf = (schema: unknown): ReadonlyArray<unknown> =>
  (isRecord(schema) ? combined.get(schema) : undefined) ?? [schema]

const allOf = (one: unknown, other: unknown): unknown => {
  const parts = [...new Set([...partsOf(one), ...partsOf(other)])]
  if (parts.length === 1) return parts[0]
  const schema = { allOf: parts }
  combined.set(schema, parts)
  return schema
}

/** Both at once: what either wants is wanted. */
const both = (one: Fields, other: Fields): Fields => {
  const [mine, theirs] = [propertiesOf(one), propertiesOf(other)]
  const shared = Object.keys(mine).filter((name) => Object.hasOwn(theirs, name))
  const required = [...new Set([...strings(one["required"]), ...strings(other["required"])])]
  return {
    ...other,
    ...one,
    properties: {
      ...theirs,
      ...mine,
      ...Object.fromEntries(shared.map((name) => [name, allOf(mine[name], theirs[name])]))
    },
    ...(required.length === 0 ? {} : { required })
  }
}

/** Any of several forms: each property of theirs may be there, and must where all forms want it. */
const anyOf = (root: Fields, forms: ReadonlyArray<Fields>): Fields => {
  const names = [...new Set(forms.flatMap((form) => Object.keys(propertiesOf(form))))]
  const properties = names.map((name): readonly [string, unknown] => {
    const schemas = forms.flatMap((form) => Object.hasOwn(propertiesOf(form), name) ? [propertiesOf(form)[name]] : [])
    return [name, itemsOf(schemas)]
  })
  const required = forms.reduce<ReadonlyArray<string> | undefined>(
    (common, form) => common?.filter((name) => strings(form["required"]).includes(name)) ?? strings(form["required"]),
    undefined
  )
  const said = forms.map((form, at) => `${at + 1}) ${strings(form["required"]).join(", ") || "no more"}`).join("; ")
  const folded = both(root, { properties: Object.fromEntries(properties), required: required ?? [] })
  return described(folded, `Must have the properties of one of these forms: ${said}.`)
}

/** What is written out may be much larger than what was given: references may double at every step. */
const largest = 20_000

class TooLarge extends Error {}

/** How many values a schema has when it is written; `sizes` remembers those that stand in several places. */
const sizeOf = (value: unknown, sizes: Map<object, number>): number => {
  if (typeof value !== "object" || value === null) return 1
  const known = sizes.get(value)
  if (known !== undefined) return known
  const size = Object.values(value).reduce<number>((sum, inner) => sum + sizeOf(inner, sizes), 1)
  sizes.set(value, size)
  return size
}

/** The root with the references of its own place resolved, each once. */
const resolved = (root: Fields): Fields => {
  const known = new Map<string, Fields>()
  const sizes = new Map<object, number>()
  const bounded = (schema: Fields): Fields => {
    if (sizeOf(schema, sizes) > largest) throw new TooLarge()
    return schema
  }
  const referred = (reference: string): Fields => {
    const before = known.get(reference)
    if (before !== undefined) return before
    // A circle takes what it takes without the last step.
    known.set(reference, {})
    const target = inPlace(follow(root, reference))
    known.set(reference, target)
    return target
  }
  const inPlace = (schema: unknown): Fields => {
    if (!isRecord(schema)) return {}
    const { $ref, allOf: parts, ...rest } = schema
    let own: Fields = rest
    if (typeof $ref === "string") own = both(own, referred($ref))
    for (const each of listOf(parts)) own = both(own, inPlace(each))
    for (const keyword of ["anyOf", "oneOf"]) {
      const forms = own[keyword]
      if (!Array.isArray(forms)) continue
      const written = forms.map(inPlace)
      bounded({ anyOf: written })
      own = anyOf(without(own, keyword), written)
    }
    return bounded(own)
  }
  return inPlace(root)
}

const choices = ["$ref", "allOf", "anyOf", "oneOf"]

/** What OpenAI takes everywhere but at the root. */
const refusedAtRoot = ["not", "enum"]

const longestInWords = 300

/** The same in words, if there are not too many of them; the call is held to it when it is decoded. */
const inWords = (root: Fields): Fields => {
  const found = refusedAtRoot.filter((keyword) => root[keyword] !== undefined)
  return found.reduce((schema, keyword) => {
    const value = JSON.stringify(root[keyword])
    const kept = without(schema, keyword)
    return value.length > longestInWords
      ? kept
      : described(kept, keyword === "not" ? `Must not match the schema ${value}.` : `Must be one of ${value}.`)
  }, root)
}

const oneObject = (root: Fields): Fields => {
  if (choices.every((keyword) => root[keyword] === undefined)) return inWords(root)
  const whole = inWords(resolved(root))
  return { ...whole, type: "object", properties: propertiesOf(whole) }
}

// Names ---------------------------------------------------------------------------------------------------------------

/** A name of 64 letters at most that no other property has. */
const fittingName = (name: string, taken: ReadonlySet<string>): string => {
  const base = name.replace(/[^a-zA-Z0-9_.-]/g, "_").slice(0, 60) || "_"
  let fitting = base
  for (let next = 2; taken.has(fitting); next++) fitting = `${base}_${next}`
  return fitting
}

const namesFor = (schema: Fields, pattern: RegExp | undefined): ReadonlyMap<string, string> => {
  const names = new Map<string, string>()
  if (pattern === undefined) return names
  const taken = new Set<string>()
  mapped(schema, (each) => {
    for (const name of Object.keys(propertiesOf(each))) taken.add(name)
    return each
  })
  for (const name of [...taken]) {
    if (pattern.test(name)) continue
    const fitting = fittingName(name, taken)
    names.set(name, fitting)
    taken.add(fitting)
  }
  return names
}

const renamed = (schema: Fields, names: ReadonlyMap<string, string>): unknown => {
  const nameOf = (name: string): string => names.get(name) ?? name
  return mapped(schema, (each) => {
    const { properties, required } = each
    return {
      ...each,
      ...(isRecord(properties)
        ? { properties: Object.fromEntries(Object.entries(properties).map(([name, value]) => [nameOf(name), value])) }
        : {}),
      ...(Array.isArray(required) ? { required: strings(required).map(nameOf) } : {})
    }
  })
}

const tooLarge: Refused = {
  path: [],
  problem: `with its references in their places the schema has more than ${largest} values`,
  remedy: "Say less in the forms of the root, or make several tools of it."
}

const laid = (schema: Fields, floor: Floor): Floored => {
  const root = oneObject(withDefinitions(schema))
  const values = mapped(root, (each) => withEnum(withPatternNames(withPattern(withItems(each))), floor))
  const taken = isRecord(values) ? values : root
  const whole = floor.references === "bound" ? withBoundReferences(taken) : taken
  const names = namesFor(whole, floor.propertyName)
  const own = names.size === 0 ? whole : renamed(whole, names)
  return { schema: isRecord(own) ? own : whole, names }
}

/** The schema as the wire takes it. The root is that of an object. */
export const lay = (schema: Fields, floor: Floor): Either.Either<Floored, Refused> =>
  Either.try({
    try: () => laid(schema, floor),
    catch: (cause) => {
      if (cause instanceof TooLarge) return tooLarge
      throw cause
    }
  })

const quote = "\""

/**
 * A JSON text with other names for its properties. The rest stays to the letter, repeated keys and digits included, and
 * what is no JSON is rewritten as far as it looks like some.
 */
export const renameKeys = (json: string, names: ReadonlyMap<string, string>): string => {
  if (names.size === 0) return json
  let out = ""
  let copied = 0
  for (let at = json.indexOf(quote); at !== -1 && at < json.length; at = json.indexOf(quote, at)) {
    let end = at + 1
    while (end < json.length && json[end] !== quote) end += json[end] === "\\" ? 2 : 1
    end = Math.min(end + 1, json.length)
    // Only a key has a colon behind it.
    const isKey = /^\s{0,1000}:/.test(json.slice(end, end + 1_001))
    const name = isKey ? names.get(keyIn(json.slice(at, end))) : undefined
    if (name !== undefined) {
      out += json.slice(copied, at) + JSON.stringify(name)
      copied = end
    }
    at = end
  }
  return out + json.slice(copied)
}

const keyIn = (quoted: string): string => {
  try {
    return String(JSON.parse(quoted))
  } catch {
    return ""
  }
}
