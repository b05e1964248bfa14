/**
 * The JSON Schema (2020-12) of the spelling in a file. It says what the fields are; what they must fulfil together only
 * the reader knows.
 *
 * Several objects in one choice are written with their fields once beside the shapes, and the shapes only say which
 * fields there are: `{ properties: { delay: …, attempts: … }, anyOf: [{ properties: { delay: true }, … }, …] }`. A
 * validator that tries every shape would else go through a nested policy once for each of them, and as often again at
 * every level: 19 shapes, 60 levels deep, are more than 10^76 visits.
 */
import {
  core,
  type Form,
  isCodeOnly,
  type JsonSchema,
  type Named,
  type Node,
  presenceOf,
  type Struct
} from "./description.ts"
import { writtenDefault } from "./encode.ts"

/** The schemas of named forms, by name; one that is being written has none yet. */
type Definitions = Map<string, { readonly node: Named; json: JsonSchema | undefined }>

/** The whole document. `keywords` are added at the top: a title, say. */
export const toJsonSchema = (form: Form<unknown, unknown>, keywords: JsonSchema = {}): JsonSchema => {
  const definitions: Definitions = new Map()
  const json = write(form.node, definitions)
  const shared = Object.fromEntries([...definitions].map(([name, each]) => [name, each.json]))
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    ...keywords,
    ...json,
    ...(definitions.size === 0 ? {} : { $defs: shared })
  }
}

/** Nothing a file can say. */
const never: JsonSchema = { not: {} }

const write = (node: Node, definitions: Definitions): JsonSchema => {
  switch (node.kind) {
    case "leaf":
      return node.jsonSchema
    case "codeOnly":
      return never
    case "optional":
    case "fileOnly":
    case "mapped":
    case "checked":
      return write(node.inner, definitions)
    case "default": {
      const value = writtenDefault(node)
      return { ...write(node.inner, definitions), ...(value === undefined ? {} : { default: value }) }
    }
    case "annotated":
      return { ...write(node.inner, definitions), ...node.keywords }
    case "named":
      return reference(node, definitions)
    case "list":
      return { type: "array", items: write(node.item, definitions), minItems: node.minItems }
    case "struct":
      return object(node, propertiesOf(node, definitions))
    case "choose":
    case "tagged":
      return choice(node, definitions)
  }
}

/** Writes a named form once. A second one of that name must be the same, or one of them would be described wrongly. */
const reference = (node: Named, definitions: Definitions): JsonSchema => {
  const known = definitions.get(node.name)
  if (known === undefined) {
    // Named before it is written, because it may contain itself.
    const definition: { readonly node: Named; json: JsonSchema | undefined } = { node, json: undefined }
    definitions.set(node.name, definition)
    definition.json = write(node.inner(), definitions)
  } else if (known.node !== node && known.json !== undefined) {
    if (JSON.stringify(known.json) !== JSON.stringify(write(node.inner(), definitions))) {
      throw new Error(`two different forms have the name "${node.name}"`)
    }
  }
  return { $ref: `#/$defs/${node.name}` }
}

type Properties = ReadonlyArray<readonly [name: string, json: JsonSchema | true]>

const propertiesOf = ({ fields }: Struct, definitions: Definitions): ReadonlyArray<readonly [string, JsonSchema]> =>
  Object.entries(fields).flatMap(([name, field]) => isCodeOnly(field) ? [] : [[name, write(field, definitions)]])

const object = ({ fields }: Struct, properties: Properties): JsonSchema => ({
  type: "object",
  properties: Object.fromEntries(properties),
  required: Object.keys(fields).filter((name) => {
    const field = fields[name]
    return field !== undefined && presenceOf(field) === "required" && !isCodeOnly(field)
  }),
  additionalProperties: false
})

/** The members of a choice, with those of choices within it that have no name. */
const members = (node: Node): ReadonlyArray<Node> => {
  const inner = core(node)
  if (node.kind === "annotated") return [node]
  if (inner.kind === "choose") return inner.cases.flatMap((each) => isCodeOnly(each.node) ? [] : members(each.node))
  return inner.kind === "tagged" ? [...new Set(inner.members.values())].flatMap(members) : [node]
}

const choice = (node: Node, definitions: Definitions): JsonSchema => {
  const objects: Array<Struct> = []
  const others: Array<JsonSchema> = []
  for (const member of members(node)) {
    const struct = member.kind === "annotated" ? member : core(member)
    if (struct.kind === "struct") objects.push(struct)
    else others.push(write(member, definitions))
  }
  const all = objects.length === 0 ? others : [...others, shaped(objects, definitions)]
  const [only] = all
  return all.length === 1 && only !== undefined ? only : { anyOf: all }
}

/** Several objects: the fields that mean the same in all that have them once, then which object has which. */
const shaped = (objects: ReadonlyArray<Struct>, definitions: Definitions): JsonSchema => {
  const shapes = objects.map((struct) => ({ struct, properties: propertiesOf(struct, definitions) }))
  const [only] = shapes
  if (shapes.length === 1 && only !== undefined) return object(only.struct, only.properties)
  const spellings = new Map<string, Map<string, JsonSchema>>()
  for (const { properties } of shapes) {
    for (const [name, json] of properties) {
      const known = spellings.get(name) ?? new Map<string, JsonSchema>()
      spellings.set(name, known.set(JSON.stringify(json), json))
    }
  }
  const shared = new Map(
    [...spellings].flatMap(([name, all]) =>
      all.size === 1 ? [...all.values()].map((json) => [name, json] as const) : []
    )
  )
  return {
    type: "object",
    properties: Object.fromEntries(shared),
    anyOf: shapes.map(({ properties, struct }) =>
      object(struct, properties.map(([name, json]) => [name, shared.has(name) ? true : json]))
    )
  }
}
