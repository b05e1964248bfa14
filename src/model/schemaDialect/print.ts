/** From the tree, as it is written under a dialect, to the JSON Schema that the vendor takes. */
import type * as Node from "./node.ts"
import { commonPattern, type Limits, type Rules } from "./rules.ts"

/** A constraint that is only said in the description, and still enforced by the decode. */
export interface Moved {
  readonly path: Node.Path
  readonly constraint: string
}

/** How much of what a vendor limits a schema uses. */
export interface Size {
  readonly properties: number
  readonly levels: number
  readonly enumValues: number
  readonly characters: number
  /** Of the enums with more strings than a vendor takes without counting, the longest, in UTF-16 units. */
  readonly largeEnum: number
  readonly optional: number
  readonly unions: number
}

export interface Printed {
  readonly root: Node.Json
  readonly definitions: Node.Json
  readonly moved: ReadonlyArray<Moved>
  readonly size: Size
}

interface Printing {
  readonly rules: Rules
  readonly moved: Array<Moved>
  readonly size: { -readonly [K in keyof Size]: Size[K] }
}

/** The JSON Schema of a root and of the schemas that hold themselves. */
export const print = (root: Node.Node, definitions: Node.Definitions, rules: Rules): Printed => {
  const size = { properties: 0, levels: 0, enumValues: 0, characters: 0, largeEnum: 0, optional: 0, unions: 0 }
  const printing: Printing = { rules, moved: [], size }
  const printed = printNode(printing, root, 0)
  const named = [...definitions].map(([name, node]): [string, Node.Json] => {
    size.characters += name.length
    return [name, printNode(printing, node, 0)]
  })
  return { root: printed, definitions: Object.fromEntries(named), moved: printing.moved, size }
}

const printNode = (printing: Printing, node: Node.Node, level: number): Node.Json => {
  const { rules, size } = printing
  switch (node.kind) {
    case "null":
      return rules.nullable === "type"
        ? { type: "null", ...about(printing, node) }
        : { type: "string", nullable: true, ...about(printing, node, ["null and nothing else"]) }
    case "enum":
      return { type: enumType(node), ...about(printing, node), enum: countEnum(printing, node) }
    case "array": {
      const { kept, words } = bounds(rules, node, "array")
      return {
        type: "array",
        ...about(printing, node, words),
        items: printNode(printing, node.items, level),
        ...kept
      }
    }
    case "object": {
      size.levels = Math.max(size.levels, level + 1)
      size.properties += node.properties.length
      for (const property of node.properties) {
        size.characters += property.name.length
        if (!property.required) size.optional++
      }
      const required = node.properties.filter((property) => property.required).map(({ name }) => name)
      return {
        type: "object",
        ...about(printing, node),
        properties: Object.fromEntries(
          node.properties.map((property) => [property.name, printNode(printing, property.node, level + 1)])
        ),
        // OpenAI asks for the list of all properties also where there are none.
        ...(required.length > 0 || rules.optional === "null" ? { required } : {}),
        ...(rules.closed ? { additionalProperties: false } : {})
      }
    }
    case "union":
      size.unions++
      return rules.nullable === "type" ? printUnion(printing, node, level) : printNullable(printing, node, level)
    case "ref": {
      const $ref = `#/$defs/${node.name}`
      const annotations = about(printing, node)
      // Nothing may stand beside a reference.
      return Object.keys(annotations).length === 0 ? { $ref } : { anyOf: [{ $ref }], ...annotations }
    }
    case "boolean":
      return { type: "boolean", ...about(printing, node) }
    case "string":
    case "number":
    case "integer": {
      const { kept, words } = bounds(rules, node, node.kind)
      return { type: node.kind, ...about(printing, node, words), ...kept }
    }
    // Neither is written under a dialect: the one is text by now and the other was refused.
    default:
      return { type: "string", ...about(printing, node) }
  }
}

const printUnion = (printing: Printing, node: Node.Union, level: number): Node.Json => ({
  anyOf: node.members.map((member) => printNode(printing, member, level)),
  ...about(printing, node)
})

/** Null is a keyword of each alternative, and `anyOf` may have nothing beside it. */
const printNullable = (printing: Printing, node: Node.Union, level: number): Node.Json => {
  const isNullable = node.members.some((member) => member.kind === "null")
  const values = node.members.filter((member) => member.kind !== "null")
  const annotations = about(printing, node)
  const nullable = isNullable ? { nullable: true } : {}
  const members = values.map((member): Node.Json => ({ ...printNode(printing, member, level), ...nullable }))
  const described = members.map((member, index) =>
    index === 0 && annotations.description !== undefined
      ? { ...member, description: [annotations.description, member.description].filter(isText).join(" ") }
      : member
  )
  const [only] = described
  return described.length === 1 && only !== undefined ? only : { anyOf: described }
}

const isText = (value: unknown): value is string => typeof value === "string"

const enumType = (node: Node.Enum): string => typeof node.values[0]

const countEnum = (printing: Printing, node: Node.Enum): Node.Enum["values"] => {
  const { rules, size } = printing
  size.enumValues += node.values.length
  const characters = [...node.values].reduce<number>((sum, value) => sum + String(value).length, 0)
  size.characters += characters
  if (node.values.length > rules.limits.largeEnum.values && enumType(node) === "string") {
    size.largeEnum = Math.max(size.largeEnum, characters)
  }
  return node.values
}

/** The description of a part, with what the dialect has no keyword for. */
const about = (
  printing: Printing,
  node: Node.Node,
  words: ReadonlyArray<string> = []
): { readonly description?: string } => {
  const all = [...new Set([...node.words, ...words])]
  for (const constraint of all) printing.moved.push({ path: node.path, constraint })
  const notes = [
    ...(node.description === undefined
      ? []
      : [all.length + node.hints.length > 0 ? ended(node.description) : node.description]),
    ...all.map((word) => `Constraint: ${word}.`),
    ...node.hints
  ]
  return notes.length === 0 ? {} : { description: notes.join(" ") }
}

const ended = (text: string): string => /[.!?:;]\s*$/.test(text) ? text : `${text}.`

/** The constraints that have a keyword, and those that have none. */
const bounds = (rules: Rules, node: Node.Node, kind: string): {
  readonly kept: Node.Json
  readonly words: ReadonlyArray<string>
} => {
  const kept: Array<[string, unknown]> = []
  const words: Array<string> = []
  for (const [keyword, value] of Object.entries(node.keywords)) {
    const spelled = rules.keywords[kind]?.has(keyword) === true ? spelling(rules, node, keyword, value) : undefined
    if (spelled === undefined) words.push(`${keyword} ${typeof value === "string" ? value : JSON.stringify(value)}`)
    else kept.push([keyword, spelled])
  }
  return { kept: Object.fromEntries(kept), words }
}

const spelling = (rules: Rules, node: Node.Node, keyword: string, value: unknown): unknown => {
  const hasFormat = typeof node.keywords.format === "string" && rules.formats.has(node.keywords.format)
  switch (keyword) {
    case "format":
      return hasFormat ? value : undefined
    case "pattern":
      // Whether a format and a pattern may stand together is not said; the format is the surer one.
      return typeof value === "string" && !hasFormat ? commonPattern(value) : undefined
    case "minItems":
      return typeof value === "number" && value <= rules.minItems ? value : undefined
    default:
      return typeof value === "number" && Number.isFinite(value) ? value : undefined
  }
}

/** What of a schema, or of several in one request, is more than a vendor takes. */
export const excess = (size: Size, limits: Limits, what: string): ReadonlyArray<string> => {
  const over = (has: number, limit: number, unit: string): ReadonlyArray<string> =>
    has > limit ? [`${what} ${has} ${unit}, and the vendor takes ${limit}`] : []
  return [
    ...over(size.properties, limits.properties, "properties"),
    ...over(size.levels, limits.levels, "levels of objects in objects"),
    ...over(size.enumValues, limits.enumValues, "values in enums"),
    ...over(size.characters, limits.characters, "characters in names and enums"),
    ...over(
      size.largeEnum,
      limits.largeEnum.characters,
      `characters in an enum of over ${limits.largeEnum.values} values`
    ),
    ...over(size.optional, limits.optional, "optional properties"),
    ...over(size.unions, limits.unions, "unions")
  ]
}
