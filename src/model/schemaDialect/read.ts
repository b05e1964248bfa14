/** From a JSON Schema (draft 7, and what 2020-12 and OpenAPI spell differently) to the tree of `dialectNode`. */
import * as Either from "effect/Either"
import { isRecord } from "../../internal/record.ts"
import { excerpt } from "../../internal/redact.ts"
import * as Merge from "./merge.ts"
import * as Node from "./node.ts"

/** The whole schema: the root, which is always an object, and the schemas that hold themselves. */
export interface Document {
  readonly root: Node.Obj
  readonly definitions: Node.Definitions
  /** Where a schema holds itself, first of all. */
  readonly circle: Node.Path | undefined
}

/** A schema deeper than this is no schema for a model, and would overflow the stack of whoever walks it. */
const maxDepth = 64

/** How many parts a schema may have once its references are written out. */
const maxNodes = 20_000

/** How much of a long path a problem tells. */
const shownSteps = 12

interface Reading {
  readonly root: Node.Json
  readonly definitions: Map<string, Node.Node>
  readonly names: Map<string, string>
  readonly recursive: Map<string, Node.Path>
  readonly problems: Array<Node.Problem>
  nodes: number
  isTooLarge: boolean
}

/** Where the reader stands: the references it is inside of, and how deep. */
interface Place {
  readonly path: Node.Path
  readonly open: ReadonlyArray<{ readonly pointer: string; readonly length: number }>
  readonly depth: number
}

/** Reads a schema whose root is an object, or says everything that cannot be read. */
export const read = (root: Node.Json): Either.Either<Document, ReadonlyArray<Node.Problem>> => {
  const reading: Reading = {
    root,
    definitions: new Map(),
    names: new Map(),
    recursive: new Map(),
    problems: [],
    nodes: 0,
    isTooLarge: false
  }
  const whole = Merge.superset(root, (ref) => find(reading, ref))
  const node = readNode(reading, whole, { path: [], open: [{ pointer: "#", length: 0 }], depth: 0 })
  if (reading.recursive.has("#") && node.kind === "object") reading.definitions.set(nameOf(reading, "#"), node)
  if (reading.problems.length > 0) return Either.left(reading.problems)
  const circle = [...reading.recursive.values()][0]
  const { definitions } = reading
  return node.kind === "object"
    ? Either.right({ root: node, definitions, circle })
    : Either.left([{
      path: [],
      problem: "the root is not one object",
      remedy: "Wrap the schema in a Schema.Struct, with the present schema as one of its fields."
    }])
}

/** Each look-up counts as a part, so that no web of references can grow without end. */
const find = (reading: Reading, ref: string): unknown =>
  ++reading.nodes > maxNodes ? reading.root : lookup(reading.root, ref)

/** What a JSON pointer in the document leads to. */
const lookup = (root: Node.Json, ref: string): unknown => {
  if (!ref.startsWith("#")) return undefined
  let at: unknown = root
  for (const step of ref.slice(1).split("/").slice(1)) {
    const key = decode(step).replaceAll("~1", "/").replaceAll("~0", "~")
    if (typeof at !== "object" || at === null || !Object.hasOwn(at, key)) return undefined
    at = Reflect.get(at, key)
  }
  return at
}

const decode = (step: string): string => {
  try {
    return decodeURIComponent(step)
  } catch {
    return step
  }
}

/** A name of letters, digits, `_` and `-` for a reference; two references never share one. */
const nameOf = (reading: Reading, ref: string): string => {
  const known = reading.names.get(ref)
  if (known !== undefined) return known
  const base = ref.split("/").at(-1)?.replace(/[^a-zA-Z0-9_-]/g, "_").replace(/^_*$/, "root").slice(0, 48) ?? "root"
  const taken = new Set(reading.names.values())
  let name = base
  for (let count = 2; taken.has(name); count++) name = `${base}_${count}`
  reading.names.set(ref, name)
  return name
}

const refuse = (reading: Reading, path: Node.Path, problem: string, remedy: string): Node.Leaf => {
  reading.problems.push({ path, problem, remedy })
  return { ...Node.bare(path), kind: "never" }
}

const annotationKeys = new Set(["description", "title", "default", "examples", "deprecated", "readOnly", "writeOnly"])

/** Keywords that say nothing of the values, or that are read where they stand. */
const silent = new Set([
  ...annotationKeys,
  ...["$schema", "$id", "$anchor", "$comment", "$defs", "definitions", "$ref", "type", "enum", "const", "nullable"],
  ...["properties", "required", "additionalProperties", "patternProperties", "propertyNames", "items", "prefixItems"],
  ...["additionalItems", "anyOf", "oneOf", "allOf", "discriminator", "propertyOrdering", "x-words"]
])

const kindKeywords: { readonly [kind: string]: ReadonlySet<string> | undefined } = {
  string: new Set(["pattern", "format", "minLength", "maxLength"]),
  number: new Set(["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "format"]),
  integer: new Set(["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "format"]),
  array: new Set(["minItems", "maxItems"])
}

const shownWords = 300

const inWords = (keyword: string, value: unknown): string => {
  const shown = typeof value === "string" ? value : JSON.stringify(value) ?? "null"
  return `${keyword} ${excerpt(shown, shownWords)}`
}

/** What is said about a part apart from its type. Keywords that speak of another type are no constraint on this one. */
const noteOf = (schema: Node.Json, path: Node.Path, kind: string): Node.Note => {
  const own = kindKeywords[kind]
  const keywords: Array<[string, unknown]> = []
  const words = [...Merge.wordsOf(schema)]
  for (const [keyword, value] of Object.entries(schema)) {
    if (silent.has(keyword) || keyword.startsWith("x-")) continue
    if (own?.has(keyword) === true) keywords.push([keyword, value])
    else if (kind === "json" || !Object.values(kindKeywords).some((other) => other?.has(keyword) === true)) {
      words.push(inWords(keyword, value))
    }
  }
  const description = typeof schema.description === "string" ? schema.description : undefined
  const title = typeof schema.title === "string" && kind === "enum" ? schema.title : undefined
  return {
    path,
    description: description ?? title,
    words,
    keywords: Object.fromEntries(keywords),
    hints: [
      ...(schema.default === undefined ? [] : [`Default: ${excerpt(JSON.stringify(schema.default), shownWords)}.`]),
      ...(Array.isArray(schema.examples) && schema.examples.length > 0
        ? [`Examples: ${excerpt(schema.examples.map((one) => JSON.stringify(one)).join(", "), shownWords)}.`]
        : [])
    ]
  }
}

const readNode = (reading: Reading, schema: unknown, place: Place): Node.Node => {
  const { path } = place
  if (++reading.nodes > maxNodes) {
    if (reading.isTooLarge) return { ...Node.bare(path), kind: "never" }
    reading.isTooLarge = true
    return refuse(
      reading,
      path.slice(0, shownSteps),
      `the schema has more than ${maxNodes} parts once its references are written out`,
      "Give the model a smaller schema."
    )
  }
  if (place.depth > maxDepth) {
    return refuse(
      reading,
      path.slice(0, shownSteps),
      `the schema is nested deeper than ${maxDepth} levels`,
      "Flatten it, or name the part that repeats."
    )
  }
  if (schema === true || schema === undefined) return { ...Node.bare(path), kind: "json" }
  if (schema === false) return { ...Node.bare(path), kind: "never" }
  if (!isRecord(schema)) {
    return refuse(reading, path, "a schema must be an object or a boolean", "Correct the schema.")
  }
  if (typeof schema.$ref === "string") return readRef(reading, schema, schema.$ref, place)
  if (Array.isArray(schema.allOf)) {
    const [only] = schema.allOf
    const isRef = schema.allOf.length === 1 && isRecord(only) && typeof only.$ref === "string"
    const merged = isRef && Object.keys(only).length === 1
      ? { ...Merge.without(schema, ["allOf"]), ...only }
      : Merge.all(schema, (ref) => find(reading, ref))
    return readNode(reading, merged, { ...place, depth: place.depth + 1 })
  }
  const choices = Array.isArray(schema.anyOf) ? schema.anyOf : Array.isArray(schema.oneOf) ? schema.oneOf : undefined
  if (choices !== undefined) return readChoices(reading, schema, choices, place)
  const node = readKinds(reading, schema, place)
  return schema.nullable === true ? unite([node, { ...Node.bare(path), kind: "null" }], Node.bare(path)) : node
}

const readRef = (reading: Reading, schema: Node.Json, ref: string, place: Place): Node.Node => {
  const target = find(reading, ref)
  if (target === undefined) {
    return refuse(
      reading,
      place.path,
      `${JSON.stringify(excerpt(ref, 100))} refers to nothing in the schema`,
      "Put what it refers to under $defs; schemas in other documents are not fetched."
    )
  }
  const siblings = Merge.without(schema, ["$ref"])
  const pointer = ref === "#/" ? "#" : ref
  const name = nameOf(reading, pointer)
  const note = noteOf(siblings, place.path, "ref")
  const mention = { ...note, words: [...note.words, ...Merge.constraintsInWords(siblings)], keywords: {} }
  const opened = place.open.find((other) => other.pointer === pointer)
  if (opened?.length === place.path.length) {
    return refuse(reading, place.path, `${JSON.stringify(excerpt(ref, 100))} refers to itself only`, "Say what it is.")
  }
  if (opened !== undefined && !reading.recursive.has(pointer)) reading.recursive.set(pointer, place.path)
  if (opened !== undefined || reading.definitions.has(name)) return { ...mention, kind: "ref", name }
  const open = [...place.open, { pointer, length: place.path.length }]
  const inside = { ...place, open, depth: place.depth + 1 }
  // Draft 7 passes over what stands beside a reference, Effect and the later drafts do not: it holds as well.
  const merged = isRecord(target) && Object.keys(siblings).some((key) => !key.startsWith("$"))
    ? Merge.all({ ...siblings, allOf: [target] }, (other) => find(reading, other))
    : undefined
  const node = readNode(reading, merged ?? target, inside)
  if (!reading.recursive.has(pointer)) return node
  if (!reading.definitions.has(name)) {
    reading.definitions.set(name, merged === undefined ? node : readNode(reading, target, inside))
  }
  return { ...mention, kind: "ref", name }
}

const readChoices = (
  reading: Reading,
  schema: Node.Json,
  choices: ReadonlyArray<unknown>,
  place: Place
): Node.Node => {
  const deeper = { ...place, depth: place.depth + 1 }
  const keyword = Array.isArray(schema.anyOf) ? "anyOf" : "oneOf"
  const base = Merge.without(schema, [keyword])
  const own = Object.keys(base).some((key) =>
    !annotationKeys.has(key) && !key.startsWith("$") && key !== "discriminator"
  )
  if (!own) {
    const members = choices.map((choice) => readNode(reading, choice, deeper))
    const note = noteOf(base, place.path, "union")
    return isAnyObject(choices) ? { ...note, kind: "json" } : unite(members, note)
  }
  if (!choices.some((choice) => Merge.hasShape(choice))) {
    return readNode(reading, Merge.withWords(base, [inWords(keyword, choices)]), deeper)
  }
  const structure = Object.fromEntries(Object.entries(base).filter(([key]) => !annotationKeys.has(key)))
  const members = choices.map((choice) => readNode(reading, { ...structure, allOf: [choice] }, deeper))
  const { description, hints } = noteOf(base, place.path, "union")
  return unite(members, { ...Node.bare(place.path), description, hints })
}

/** How Effect writes TypeScript's `{}` and `object`: any object or list. */
const isAnyObject = (choices: ReadonlyArray<unknown>): boolean =>
  choices.length === 2 && choices.every((choice) => isRecord(choice) && Object.keys(choice).join() === "type") &&
  choices.map((choice) => isRecord(choice) ? choice.type : "").join() === "object,array"

/** A union without unions in it, without doubles, with the listed values of one type in one list. */
export const unite = (members: ReadonlyArray<Node.Node>, note: Node.Note): Node.Node => {
  const flat = members.flatMap((member) =>
    member.kind === "union" && member.description === undefined && member.words.length === 0 ? member.members : [member]
  ).filter((member) => member.kind !== "never")
  const isNull = (member: Node.Node): boolean => member.kind === "null"
  const values = foldEnums(flat.filter((member) => !isNull(member)))
  const nulls = flat.filter(isNull).slice(0, 1)
  // Beside a part that may be anything, the other alternatives add nothing.
  const open = values.find((member) => member.kind === "json")
  const all: ReadonlyArray<Node.Node> = [
    ...(open !== undefined && values.length > 1 ? [{ ...Node.bare(note.path), kind: "json" } as const] : values),
    ...nulls
  ]
  const only = all[0]
  return all.length === 1 && only !== undefined ? noted(only, note) : all.length === 0
    ? { ...note, kind: "never" }
    : { ...note, kind: "union", members: all }
}

/** A node that also carries what is said about the union it was alone in. */
export const noted = (node: Node.Node, note: Node.Note): Node.Node => ({
  ...node,
  description: note.description ?? node.description,
  words: [...node.words, ...note.words],
  hints: [...note.hints, ...node.hints]
})

const foldEnums = (members: ReadonlyArray<Node.Node>): ReadonlyArray<Node.Node> => {
  const lists = new Map<string, { at: number; parts: Array<Node.Enum> }>()
  const folded: Array<Node.Node> = []
  for (const member of members) {
    const type = member.kind === "enum" && member.words.length === 0 ? typeof member.values[0] : undefined
    const list = type === undefined ? undefined : lists.get(type)
    if (member.kind !== "enum" || type === undefined) folded.push(member)
    else if (list === undefined) lists.set(type, { at: folded.push(member) - 1, parts: [member] })
    else {
      list.parts.push(member)
      folded[list.at] = together(list.parts)
    }
  }
  return folded
}

const together = (parts: ReadonlyArray<Node.Enum>): Node.Enum => {
  const names = parts.flatMap((part) =>
    part.description === undefined ? [] : [`${part.values.map(String).join(", ")}: ${part.description}`]
  )
  const [first] = parts
  return {
    ...(first ?? { ...Node.bare([]) }),
    kind: "enum",
    description: names.length === 0 ? undefined : names.join("; "),
    values: listed(parts.flatMap((part) => [...part.values]), first === undefined ? "string" : typeof first.values[0])
  }
}

const listed = (values: ReadonlyArray<unknown>, type: string): Node.Enum["values"] => {
  const unique = [...new Set(values)]
  return type === "number"
    ? unique.filter((value) => typeof value === "number")
    : type === "boolean"
    ? unique.filter((value) => typeof value === "boolean")
    : unique.filter((value) => typeof value === "string")
}

const types = ["null", "boolean", "string", "integer", "number", "array", "object"]

/** The types a schema speaks of; none where it does not say. */
const kindsOf = (schema: Node.Json): ReadonlyArray<string> => {
  if (typeof schema.type === "string") return [schema.type]
  if (Array.isArray(schema.type)) {
    return types.filter((type) => Array.isArray(schema.type) && schema.type.includes(type))
  }
  const says = (...keywords: ReadonlyArray<string>): boolean =>
    keywords.some((keyword) => Object.hasOwn(schema, keyword))
  if (says("properties", "additionalProperties", "patternProperties", "propertyNames", "required")) return ["object"]
  return says("items", "prefixItems", "additionalItems") ? ["array"] : []
}

const readKinds = (reading: Reading, schema: Node.Json, place: Place): Node.Node => {
  const { path } = place
  if (isRecord(schema.not) && Object.keys(schema.not).length === 0) return { ...Node.bare(path), kind: "never" }
  const kinds = kindsOf(schema)
  const values = Object.hasOwn(schema, "const") ? [schema.const] : schema.enum
  if (Array.isArray(values)) return readValues(schema, values, kinds, path)
  const nodes = kinds.map((kind): Node.Node => {
    switch (kind) {
      case "null":
        return { ...noteOf(schema, path, kind), kind }
      case "boolean":
      case "string":
      case "number":
      case "integer":
        return { ...noteOf(schema, path, kind), kind }
      case "array":
        return readArray(reading, schema, place)
      case "object":
        return readObject(reading, schema, place)
      default:
        return refuse(
          reading,
          path,
          `there is no type ${JSON.stringify(excerpt(kind, 60))}`,
          `Use ${types.join(", ")}.`
        )
    }
  })
  const [only] = nodes
  if (only === undefined) return { ...noteOf(schema, path, "json"), kind: "json" }
  if (nodes.length === 1) return only
  const { description, hints } = noteOf(schema, path, "union")
  return unite(nodes.map((node) => ({ ...node, description: undefined, hints: [] })), {
    ...Node.bare(path),
    description,
    hints
  })
}

const readValues = (
  schema: Node.Json,
  values: ReadonlyArray<unknown>,
  kinds: ReadonlyArray<string>,
  path: Node.Path
): Node.Node => {
  const note = { ...noteOf(schema, path, "enum"), keywords: {} }
  if (values.some((value) => typeof value === "object" && value !== null)) {
    return { ...note, kind: "json", words: [...note.words, inWords("one of", values)] }
  }
  const within = (value: unknown): boolean =>
    kinds.length === 0 || kinds.includes(value === null ? "null" : typeof value) ||
    (kinds.includes("integer") && Number.isInteger(value))
  const allowed = values.filter(within)
  const parts = ["string", "number", "boolean"].flatMap((type): ReadonlyArray<Node.Node> => {
    const some = listed(allowed, type)
    return some.length === 0 ? [] : [{ ...Node.bare(path), kind: "enum", values: some }]
  })
  return unite([...parts, ...(allowed.includes(null) ? [{ ...Node.bare(path), kind: "null" } as const] : [])], note)
}

const readArray = (reading: Reading, schema: Node.Json, place: Place): Node.Node => {
  const note = noteOf(schema, place.path, "array")
  const at = (step: string | number): Place => ({ ...place, path: [...place.path, step], depth: place.depth + 1 })
  const prefix = Array.isArray(schema.prefixItems) ? schema.prefixItems : schema.items
  if (Array.isArray(prefix)) {
    const after = Array.isArray(schema.prefixItems) ? schema.items : schema.additionalItems
    const least = typeof schema.minItems === "number" ? schema.minItems : 0
    const closed = after === false || (typeof schema.maxItems === "number" && schema.maxItems <= prefix.length)
    return {
      ...note,
      kind: "tuple",
      keywords: {},
      words: [
        ...note.words,
        ...(least > prefix.length ? [inWords("minItems", least)] : []),
        ...(closed || typeof schema.maxItems !== "number" ? [] : [inWords("maxItems", schema.maxItems)])
      ],
      items: prefix.map((item, index) => readNode(reading, item, at(index))),
      required: Math.min(least, prefix.length),
      restItems: closed ? undefined : readNode(reading, after, at("*"))
    }
  }
  if (schema.items === undefined) return { ...note, kind: "json", keywords: {}, words: ["a list", ...note.words] }
  return { ...note, kind: "array", items: readNode(reading, schema.items, at("*")) }
}

const readObject = (reading: Reading, schema: Node.Json, place: Place): Node.Node => {
  const { path } = place
  const note = noteOf(schema, path, "object")
  const at = (step: string): Place => ({ ...place, path: [...path, step], depth: place.depth + 1 })
  const required = new Set(Array.isArray(schema.required) ? schema.required : [])
  const properties = Object.entries(isRecord(schema.properties) ? schema.properties : {}).map((
    [name, property]
  ) => ({
    name,
    node: readNode(reading, property, at(name)),
    required: required.has(name),
    nullDefault: isRecord(property) && property.default === null
  }))
  const patterns = Object.entries(isRecord(schema.patternProperties) ? schema.patternProperties : {})
  const additional = schema.additionalProperties
  // An object that says nothing of its properties may hold anything; one that lists them is meant to be complete.
  if (properties.length === 0 && patterns.length === 0 && path.length > 0 && isFree(schema)) {
    return { ...note, kind: "json", words: ["an object", ...note.words] }
  }
  const values = [
    ...patterns.map(([, value]) => readNode(reading, value, at("*"))),
    ...(additional === undefined || additional === false ? [] : [readNode(reading, additional, at("*"))])
  ]
  if (values.length === 0) {
    // A name that must be there and is not described may hold anything; left out, no value could be written at all.
    const bare = additional === false ?
      [] :
      [...required].filter((name) => typeof name === "string" && !properties.some((property) => property.name === name))
        .map((name) => ({ name, node: readNode(reading, true, at(name)), required: true, nullDefault: false }))
    return { ...note, kind: "object", properties: [...properties, ...bare], others: undefined }
  }
  const named = patterns.map(([pattern]) => pattern).filter((pattern) => pattern !== "")
  const keys = isRecord(schema.propertyNames) ? schema.propertyNames : {}
  const pattern = named.length === 1 && values.length === 1 ? { pattern: named[0] } : {}
  const words = named.length > 0 && values.length > 1 ? [inWords("key patterns", named)] : []
  const key = readNode(reading, { type: "string", ...pattern, ...keys }, at("*"))
  const value = unite(values, Node.bare([...path, "*"]))
  return { ...note, kind: "object", properties, others: { key: { ...key, words: [...key.words, ...words] }, value } }
}

const isFree = (schema: Node.Json): boolean =>
  (schema.additionalProperties === undefined || schema.additionalProperties === true ||
    (isRecord(schema.additionalProperties) && Object.keys(schema.additionalProperties).length === 0)) &&
  schema.propertyNames === undefined
