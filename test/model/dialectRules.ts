/**
 * What each vendor takes, written down a second time and from its documents, so that the tests do not ask the translator
 * whether the translator is right. Each check walks a JSON Schema and tells every breach.
 */
type Json = { readonly [keyword: string]: unknown }

const isJson = (value: unknown): value is Json => typeof value === "object" && value !== null && !Array.isArray(value)

interface Grammar {
  readonly keywords: ReadonlySet<string>
  readonly node: (schema: Json, at: string, breach: (text: string) => void) => void
  readonly root: (schema: Json, breach: (text: string) => void) => void
}

/** The sub-schemas of a schema, each with its place. */
const inner = (schema: Json, at: string): ReadonlyArray<readonly [string, unknown]> => [
  ...Object.entries(isJson(schema.properties) ? schema.properties : {}).map(([name, part]) =>
    [`${at}.${name}`, part] as const
  ),
  ...(schema.items === undefined ? [] : [[`${at}[]`, schema.items] as const]),
  ...(Array.isArray(schema.anyOf) ? schema.anyOf.map((part, index) => [`${at}|${index}`, part] as const) : []),
  ...Object.entries(isJson(schema.$defs) ? schema.$defs : {}).map(([name, part]) => [`${at}#${name}`, part] as const)
]

const walk = (grammar: Grammar, schema: unknown, at: string, breaches: Array<string>): void => {
  const breach = (text: string) => {
    breaches.push(`${at}: ${text}`)
  }
  if (!isJson(schema)) return breach("not a schema object")
  for (const keyword of Object.keys(schema)) if (!grammar.keywords.has(keyword)) breach(`keyword ${keyword}`)
  grammar.node(schema, at, breach)
  for (const [place, part] of inner(schema, at)) walk(grammar, part, place, breaches)
}

const types = new Set(["string", "number", "integer", "boolean", "null", "object", "array"])

const hasOneShape = (schema: Json, breach: (text: string) => void): void => {
  const shapes = ["type", "anyOf", "$ref"].filter((keyword) => Object.hasOwn(schema, keyword))
  if (shapes.length !== 1) breach(`shapes ${shapes.join()}`)
  if (schema.type !== undefined && !(typeof schema.type === "string" && types.has(schema.type))) breach("type")
  if (schema.type === "array" && schema.items === undefined) breach("a list without items")
  if (schema.type === "object" && !isJson(schema.properties)) breach("an object without properties")
  if (Array.isArray(schema.anyOf) && schema.anyOf.length === 0) breach("an empty choice")
  if (typeof schema.$ref === "string" && Object.keys(schema).length > 1) breach("something beside $ref")
  if (Array.isArray(schema.enum)) {
    if (schema.enum.length === 0) breach("an empty enum")
    if (schema.enum.some((value) => typeof value !== schema.type)) breach("an enum that is not of its type")
  }
}

const isClosed = (schema: Json, breach: (text: string) => void): void => {
  if (schema.type === "object" && schema.additionalProperties !== false) breach("not closed")
}

const commonRegExp = (schema: Json, breach: (text: string) => void): void => {
  if (typeof schema.pattern === "string" && /\(\?|\\[bB1-9]|[*+?]\?/.test(schema.pattern)) breach(schema.pattern)
}

const formats = ["date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"]

const openai: Grammar = {
  keywords: new Set([
    ...[
      "type",
      "description",
      "properties",
      "required",
      "additionalProperties",
      "items",
      "enum",
      "anyOf",
      "$ref",
      "$defs"
    ],
    ...["pattern", "format", "multipleOf", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"],
    ...["minItems", "maxItems"]
  ]),
  node: (schema, _at, breach) => {
    hasOneShape(schema, breach)
    isClosed(schema, breach)
    commonRegExp(schema, breach)
    if (schema.format !== undefined && !formats.includes(String(schema.format))) breach("format")
    if (schema.type === "object") {
      const names = Object.keys(isJson(schema.properties) ? schema.properties : {})
      const required = Array.isArray(schema.required) ? schema.required : undefined
      if (
        required === undefined || required.length !== names.length || names.some((name) => !required.includes(name))
      ) {
        breach("not all properties are required")
      }
    }
  },
  root: (schema, breach) => {
    if (schema.type !== "object") breach("the root is not an object")
  }
}

const anthropic: Grammar = {
  keywords: new Set([
    ...["type", "description", "properties", "required", "additionalProperties", "items", "enum", "anyOf"],
    ...["pattern", "format", "minItems"]
  ]),
  node: (schema, _at, breach) => {
    hasOneShape(schema, breach)
    isClosed(schema, breach)
    commonRegExp(schema, breach)
    if (schema.minItems !== undefined && schema.minItems !== 0 && schema.minItems !== 1) breach("minItems")
    if (schema.format !== undefined && ![...formats, "uri"].includes(String(schema.format))) breach("format")
    for (const name of Object.keys(isJson(schema.properties) ? schema.properties : {})) {
      if (!/^[a-zA-Z0-9_.-]{1,64}$/.test(name)) breach(`name ${name}`)
    }
  },
  root: openai.root
}

const gemini: Grammar = {
  keywords: new Set([
    ...["type", "description", "properties", "required", "items", "enum", "anyOf", "nullable"],
    ...["pattern", "format", "minLength", "maxLength", "minimum", "maximum", "minItems", "maxItems"]
  ]),
  node: (schema, at, breach) => {
    hasOneShape(schema, breach)
    if (schema.type === "null") breach("null is a keyword")
    if (Array.isArray(schema.anyOf) && Object.keys(schema).length > 1) breach("something beside anyOf")
    if (Array.isArray(schema.enum) && (schema.type !== "string" || schema.enum.includes(""))) breach("enum")
    if (schema.format !== undefined && schema.format !== "date-time") breach("format")
    if (
      schema.type === "object" && at !== "$" &&
      Object.keys(isJson(schema.properties) ? schema.properties : {}).length === 0
    ) {
      breach("an object without properties")
    }
    for (const name of Object.keys(isJson(schema.properties) ? schema.properties : {})) {
      if (!/^[a-zA-Z_][a-zA-Z0-9_]{0,63}$/.test(name)) breach(`name ${name}`)
    }
  },
  root: openai.root
}

const grammars = { "openai-strict": openai, anthropic, gemini }

/** The dialects that are translated. */
export type Vendor = keyof typeof grammars

export const vendors: ReadonlyArray<Vendor> = ["openai-strict", "anthropic", "gemini"]

/** Everything in a JSON Schema that the vendor does not take. */
export const breaches = (vendor: Vendor, schema: unknown): ReadonlyArray<string> => {
  const found: Array<string> = []
  const { [vendor]: grammar } = grammars
  if (isJson(schema)) grammar.root(schema, (text) => found.push(text))
  walk(grammar, schema, "$", found)
  return found
}
