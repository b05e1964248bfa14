/**
 * What a JSON Schema says, as a small tree: the form in which a schema is carried from the plain dialect to a vendor's.
 * The same tree describes what the plain schema takes and what the model writes.
 */
import { isRecord } from "../../internal/record.ts"

/** Property names and indices; `"*"` stands for each element of a list or each value of a record. */
export type Path = ReadonlyArray<string | number>

export type Json = { readonly [keyword: string]: unknown }

/** What stands in the way of a dialect, and the way out. */
export interface Problem {
  readonly path: Path
  readonly problem: string
  readonly remedy: string
}

export interface Note {
  /** Where the part stands in the plain schema. */
  readonly path: Path
  readonly description?: string | undefined
  /** Constraints that are only said in words. */
  readonly words: ReadonlyArray<string>
  /** Constraints a dialect may have a keyword for. */
  readonly keywords: Json
  /** `default` and `examples`, which are always said in words. */
  readonly hints: ReadonlyArray<string>
}

export interface Property {
  readonly name: string
  readonly node: Node
  readonly required: boolean
  /** Its default is null, so that leaving it out and writing null mean the same. */
  readonly nullDefault: boolean
}

/** The values under names that the schema does not list. */
export interface Others {
  readonly key: Node
  readonly value: Node
}

export interface Enum extends Note {
  readonly kind: "enum"
  readonly values: ReadonlyArray<string> | ReadonlyArray<number> | ReadonlyArray<boolean>
}

export interface List extends Note {
  readonly kind: "array"
  readonly items: Node
}

export interface Tuple extends Note {
  readonly kind: "tuple"
  readonly items: ReadonlyArray<Node>
  /** How many of the items must be there. */
  readonly required: number
  readonly restItems: Node | undefined
}

export interface Obj extends Note {
  readonly kind: "object"
  readonly properties: ReadonlyArray<Property>
  readonly others: Others | undefined
}

export interface Union extends Note {
  readonly kind: "union"
  readonly members: ReadonlyArray<Node>
}

export interface Ref extends Note {
  readonly kind: "ref"
  readonly name: string
}

/** `json` is any JSON value at all; `never` is none. */
export interface Leaf extends Note {
  readonly kind: "json" | "never" | "null" | "boolean" | "string" | "number" | "integer"
}

export type Node = Leaf | Enum | List | Tuple | Obj | Union | Ref

/** Schemas that hold themselves, by name. */
export type Definitions = ReadonlyMap<string, Node>

/** Nothing said about a part beside where it stands. */
export const bare = (path: Path): Note => ({ path, words: [], keywords: {}, hints: [] })

/** The members of a union, or the node itself; what a reference stands for is not looked up. */
export const membersOf = (node: Node): ReadonlyArray<Node> => node.kind === "union" ? node.members : [node]

/** Whether null is one of its values. Any JSON value has its own way to say null, as text. */
export const admitsNull = (node: Node, definitions: Definitions, seen: ReadonlySet<string> = new Set()): boolean => {
  switch (node.kind) {
    case "null":
      return true
    case "union":
      return node.members.some((member) => admitsNull(member, definitions, seen))
    case "ref": {
      const target = definitions.get(node.name)
      return target !== undefined && !seen.has(node.name) &&
        admitsNull(target, definitions, new Set([...seen, node.name]))
    }
    default:
      return false
  }
}

/** Answers of one walk, so that a value is not asked the same question again at every level. */
export type Memo = Map<Node, WeakMap<object, boolean>>

/**
 * Whether a value has the outline of a node: types, names, listed values; bounds and patterns are not looked at. It tells
 * the members of a union apart.
 */
export const fits = (node: Node, value: unknown, definitions: Definitions, memo: Memo): boolean => {
  if (typeof value !== "object" || value === null) return fitsScalar(node, value, definitions, memo)
  const known = memo.get(node) ?? new WeakMap<object, boolean>()
  memo.set(node, known)
  const answer = known.get(value)
  if (answer !== undefined) return answer
  const found = fitsCompound(node, value, definitions, memo)
  known.set(value, found)
  return found
}

const fitsScalar = (node: Node, value: unknown, definitions: Definitions, memo: Memo): boolean => {
  switch (node.kind) {
    case "json":
      return true
    case "null":
      return value === null
    case "enum":
      return node.values.some((member) => member === value)
    case "boolean":
    case "string":
    case "number":
      return typeof value === node.kind
    case "integer":
      return Number.isInteger(value)
    case "union":
      return node.members.some((member) => fits(member, value, definitions, memo))
    case "ref": {
      const target = definitions.get(node.name)
      return target !== undefined && fits(target, value, definitions, memo)
    }
    default:
      return false
  }
}

const fitsCompound = (node: Node, value: object, definitions: Definitions, memo: Memo): boolean => {
  const within = (inner: Node, part: unknown): boolean => fits(inner, part, definitions, memo)
  switch (node.kind) {
    case "json":
      return true
    case "union":
      return node.members.some((member) => within(member, value))
    case "ref": {
      const target = definitions.get(node.name)
      return target !== undefined && within(target, value)
    }
    case "array":
      return Array.isArray(value) && value.every((item) => within(node.items, item))
    case "tuple":
      return Array.isArray(value) && value.length >= node.required &&
        (node.restItems !== undefined || value.length <= node.items.length) &&
        value.every((item, index) => {
          const at = node.items[index] ?? node.restItems
          return at !== undefined && within(at, item)
        })
    case "object":
      return isRecord(value) && fitsObject(node, value, within)
    default:
      return false
  }
}

const fitsObject = (node: Obj, value: Json, within: (node: Node, part: unknown) => boolean): boolean => {
  const named = new Map(node.properties.map((property) => [property.name, property]))
  if (node.properties.some((property) => property.required && !Object.hasOwn(value, property.name))) return false
  return Object.entries(value).every(([key, part]) => {
    const property = named.get(key)
    if (property !== undefined) return (part === undefined && !property.required) || within(property.node, part)
    return part === undefined || (node.others !== undefined && within(node.others.value, part))
  })
}

/** Whether a value is at least of the same kind, and of the same tag where the schema has one. */
export const resembles = (node: Node, value: unknown, definitions: Definitions): boolean => {
  switch (node.kind) {
    case "object":
      return isRecord(value) &&
        node.properties.every((property) =>
          property.node.kind !== "enum" || !Object.hasOwn(value, property.name) ||
          property.node.values.some((member) => member === value[property.name])
        )
    case "array":
    case "tuple":
      return Array.isArray(value)
    case "ref": {
      const target = definitions.get(node.name)
      return target !== undefined && target.kind !== "ref" && resembles(target, value, definitions)
    }
    default:
      return (typeof value !== "object" || value === null) && fits(node, value, definitions, new Map())
  }
}
