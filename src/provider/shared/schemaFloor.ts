/**
 * The floor under every schema that is sent as it is: what no API takes is written in another form, which takes at least the
 * same values. Nothing is lost by it, since a call is decoded by the tool's own schema. One tool that a vendor refuses would
 * refuse the whole request.
 *
 * - A tuple is `prefixItems`, with `items` for what follows and `maxItems` where nothing may; a list always has `items`.
 * - The root is one object: a `$ref` is put in its place, `allOf` is merged, the forms of `anyOf` and `oneOf` are folded.
 * - A pattern with lookaround or back references, which engines of vendors refuse, and what else a wire has no keyword for
 *   is said in the description.
 * - A date is a string of `format: "date-time"`.
 * - Names of properties outside of the wire's letters are replaced, and put back in what the model writes.
 */
import { isRecord } from "../../internal/record.ts"
import type { Fields } from "../../internal/record.ts"

/** What one wire takes. */
export interface Floor {
  /** The letters of a property's name; any, where it is absent. */
  readonly propertyName?: RegExp | undefined
  /** Whether an enum may hold numbers. */
  readonly numericEnums: "taken" | "refused"
}

/** A schema as it is sent, and the names of properties on the wire by their own names. */
export interface Floored {
  readonly schema: Fields
  readonly names: ReadonlyMap<string, string>
}

/** Deeper schemas are sent as they are below. */
const deepest = 64

/** Keywords that hold one schema, a list of them, or schemas by name. */
const single = ["items", "additionalProperties", "contains", "propertyNames", "not", "if", "then", "else"]
const listed = ["anyOf", "oneOf", "allOf", "prefixItems"]
const byName = ["properties", "patternProperties", "$defs", "definitions", "dependentSchemas"]

const listOf = (value: unknown): ReadonlyArray<unknown> => Array.isArray(value) ? value : []

const described = (schema: Fields, words: string): Fields => {
  const { description } = schema
  return { ...schema, description: typeof description === "string" ? `${description} ${words}` : words }
}

const without = (schema: Fields, ...keywords: ReadonlyArray<string>): Fields =>
  Object.fromEntries(Object.entries(schema).filter(([keyword]) => !keywords.includes(keyword)))

// Lists ---------------------------------------------------------------------------------------------------------------

const isList = ({ type }: Fields): boolean => type === "array" || (Array.isArray(type) && type.includes("array"))

/** What may follow: of a closed tuple any of its own items, as its length is bounded anyway. */
const itemsOf = (items: ReadonlyArray<unknown>): unknown => {
  const forms = [...new Set(items.map((item) => JSON.stringify(item)))]
  return forms.length === 1
    ? items[0]
    : forms.length === 0
    ? {}
    : { anyOf: forms.map((form): unknown => JSON.parse(form)) }
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

/** Lookaround and back references: engines that match in linear time (RE2, Rust's) refuse them. */
const refusedPattern = /\(\?(?:[=!]|<[=!])|\\[1-9]|\\k</

const withPattern = (schema: Fields): Fields => {
  const { pattern } = schema
  return typeof pattern === "string" && refusedPattern.test(pattern)
    ? described(without(schema, "pattern"), `Must match the regular expression ${pattern}.`)
    : schema
}

/** Effect's own description of `Schema.Date`. */
const dateText = /string to be decoded into a Date/

const withDate = (schema: Fields): Fields =>
  schema["type"] === "string" && schema["format"] === undefined && typeof schema["description"] === "string" &&
    dateText.test(schema["description"])
    ? { ...schema, format: "date-time" }
    : schema

/** A list of numbers in words, and what of it a schema without the list can say: whole numbers, and their range. */
const withEnum = (schema: Fields, floor: Floor): Fields => {
  const values = listOf(schema["enum"])
  const numbers = values.filter((value) => typeof value === "number")
  if (floor.numericEnums === "taken" || numbers.length === 0) return schema
  return {
    ...described(without(schema, "enum"), `One of ${values.map((value) => JSON.stringify(value)).join(", ")}.`),
    ...(schema["type"] === "number" && values.every(Number.isInteger) ? { type: "integer" } : {}),
    minimum: Math.min(...numbers),
    maximum: Math.max(...numbers)
  }
}

// The way down --------------------------------------------------------------------------------------------------------

type Visit = (schema: Fields) => Fields

/** The schema with everything below it visited, the inner ones first. */
const mapped = (schema: unknown, visit: Visit, depth = 0): unknown => {
  if (!isRecord(schema) || depth > deepest) return schema
  const inner = (value: unknown): unknown => mapped(value, visit, depth + 1)
  return visit(
    Object.fromEntries(
      Object.entries(schema).map(([keyword, value]): readonly [string, unknown] => {
        if (byName.includes(keyword) && isRecord(value)) {
          return [keyword, Object.fromEntries(Object.entries(value).map(([name, each]) => [name, inner(each)]))]
        }
        if (listed.includes(keyword) || (keyword === "items" && Array.isArray(value))) {
          return [keyword, listOf(value).map(inner)]
        }
        return [keyword, single.includes(keyword) ? inner(value) : value]
      })
    )
  )
}

// The root ------------------------------------------------------------------------------------------------------------

const lookup = (root: Fields, reference: string): unknown => {
  if (!reference.startsWith("#")) return undefined
  let at: unknown = root
  for (const step of reference.split("/").slice(1)) {
    const name = decodeURIComponent(step).replace(/~1/g, "/").replace(/~0/g, "~")
    if (!isRecord(at) || !Object.hasOwn(at, name)) return undefined
    at = at[name]
  }
  return at
}

const strings = (value: unknown): ReadonlyArray<string> =>
  listOf(value).filter((each): each is string => typeof each === "string")

const propertiesOf = ({ properties }: Fields): Fields => isRecord(properties) ? properties : {}

/** Both at once: what either wants is wanted. */
const both = (one: Fields, other: Fields): Fields => {
  const [mine, theirs] = [propertiesOf(one), propertiesOf(other)]
  const shared = Object.keys(mine).filter((name) => Object.hasOwn(theirs, name) && mine[name] !== theirs[name])
  const required = [...new Set([...strings(one["required"]), ...strings(other["required"])])]
  return {
    ...other,
    ...one,
    properties: {
      ...theirs,
      ...mine,
      ...Object.fromEntries(shared.map((name) => [name, { allOf: [mine[name], theirs[name]] }]))
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

/** The root with the references of its own place resolved. */
const resolved = (schema: unknown, root: Fields, depth = 0): Fields => {
  if (!isRecord(schema) || depth > deepest) return {}
  const { $ref, allOf, ...rest } = schema
  let own: Fields = rest
  if (typeof $ref === "string") own = both(own, resolved(lookup(root, $ref), root, depth + 1))
  for (const each of listOf(allOf)) own = both(own, resolved(each, root, depth + 1))
  for (const keyword of ["anyOf", "oneOf"]) {
    const forms = own[keyword]
    if (!Array.isArray(forms)) continue
    own = anyOf(without(own, keyword), forms.map((form) => resolved(form, root, depth + 1)))
  }
  return own
}

const choices = ["$ref", "allOf", "anyOf", "oneOf"]

const oneObject = (root: Fields): Fields => {
  if (choices.every((keyword) => root[keyword] === undefined)) return root
  const whole = resolved(root, root)
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
    const { $ref, properties, required } = each
    return {
      ...each,
      ...(isRecord(properties)
        ? { properties: Object.fromEntries(Object.entries(properties).map(([name, value]) => [nameOf(name), value])) }
        : {}),
      ...(Array.isArray(required) ? { required: strings(required).map(nameOf) } : {}),
      ...(typeof $ref === "string" && $ref.includes("/properties/")
        ? { $ref: $ref.replace(/(?<=\/properties\/)[^/]+/g, (step) => nameOf(decodeURIComponent(step))) }
        : {})
    }
  })
}

/** The schema as the wire takes it. The root is that of an object. */
export const lay = (schema: Fields, floor: Floor): Floored => {
  const values = mapped(oneObject(schema), (each) => withEnum(withDate(withPattern(withItems(each))), floor))
  const whole = isRecord(values) ? values : schema
  const names = namesFor(whole, floor.propertyName)
  const own = names.size === 0 ? whole : renamed(whole, names)
  return { schema: isRecord(own) ? own : whole, names }
}

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
