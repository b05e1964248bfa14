/**
 * Arguments that are JSON but miss what their schema takes in a way that has one reading: a list or an object that was
 * written as text (`{"edits": "[…]"}`), and `null` for a parameter that may be left out. The schema decides: where it
 * takes text or null, nothing is touched, and so is whatever cannot be decided.
 */
import * as Either from "effect/Either"
import { type Fields, isRecord } from "../../internal/record.ts"
import * as StrictJson from "../../internal/strictJson.ts"

/** Which of the two may be done. */
export interface Allowed {
  readonly structures: boolean
  readonly nulls: boolean
}

export interface Reshaped {
  readonly value: Fields
  /** What was done. */
  readonly done: Allowed
}

interface Walk {
  readonly root: Fields
  readonly allowed: Allowed
  readonly limits: StrictJson.Limits
  readonly did: { structures: boolean; nulls: boolean }
  /** What is known of a schema already: a schema that refers to itself many times over is looked at once. */
  readonly holds: Map<Fields, ReadonlyArray<Fields> | undefined>
  readonly takes: Map<Fields, Map<Kind, boolean>>
}

/** The arguments in the shape that the schema takes, or nothing where there is nothing to change. */
export const reshape = (
  schema: Fields,
  value: Fields,
  allowed: Allowed,
  limits: StrictJson.Limits
): Reshaped | undefined => {
  const did = { structures: false, nulls: false }
  const walk: Walk = { root: schema, allowed, limits, did, holds: new Map(), takes: new Map() }
  const reshaped = reshapeObject(walk, schemasFor(walk, schema, value), value)
  return reshaped === value ? undefined : { value: reshaped, done: walk.did }
}

/**
 * The schemas that hold for a value, all at once: a schema without its references, and what its `allOf` says beside it.
 * `undefined` where that cannot be known.
 */
const conjuncts = (walk: Walk, schema: unknown): ReadonlyArray<Fields> | undefined => {
  if (!isRecord(schema)) return undefined
  if (walk.holds.has(schema)) return walk.holds.get(schema)
  // What refers to itself in a circle is not known.
  walk.holds.set(schema, undefined)
  const known = gather(walk, schema)
  walk.holds.set(schema, known)
  return known
}

const gather = (walk: Walk, schema: Fields): ReadonlyArray<Fields> | undefined => {
  const { $ref, allOf } = schema
  const more: ReadonlyArray<unknown> = [
    ...($ref === undefined ? [] : [typeof $ref === "string" ? resolve(walk.root, $ref) : undefined]),
    ...(Array.isArray(allOf) ? allOf : [])
  ]
  const all = [schema]
  for (const each of more) {
    const inner = conjuncts(walk, each)
    if (inner === undefined) return undefined
    all.push(...inner)
  }
  return all
}

/** The target of `#/$defs/Name` and the like. */
const resolve = (root: Fields, ref: string): unknown =>
  ref.startsWith("#")
    ? ref.slice(1).split("/").slice(1).reduce<unknown>((part, step) => {
      const name = step.replaceAll("~1", "/").replaceAll("~0", "~")
      return (isRecord(part) || Array.isArray(part)) && Object.hasOwn(part, name) ? Reflect.get(part, name) : undefined
    }, root)
    : undefined

type Kind = "string" | "null" | "array" | "object"

const choices = (schema: Fields): ReadonlyArray<unknown> | undefined =>
  Array.isArray(schema["anyOf"]) ? schema["anyOf"] : Array.isArray(schema["oneOf"]) ? schema["oneOf"] : undefined

const kindOf = (value: unknown): string => value === null ? "null" : Array.isArray(value) ? "array" : typeof value

/** Whether the schema may take a value of this kind. What is not known, it may. */
const mayTake = (walk: Walk, schema: unknown, kind: Kind): boolean => {
  if (!isRecord(schema)) return true
  const kinds = walk.takes.get(schema) ?? new Map<Kind, boolean>()
  walk.takes.set(schema, kinds)
  const known = kinds.get(kind)
  if (known !== undefined) return known
  kinds.set(kind, true)
  const takes = conjuncts(walk, schema)?.every((each) => takesByItself(walk, each, kind)) ?? true
  kinds.set(kind, takes)
  return takes
}

const takesByItself = (walk: Walk, schema: Fields, kind: Kind): boolean => {
  const { const: only, enum: values, nullable, type } = schema
  const types = typeof type === "string" ? [type] : Array.isArray(type) ? type : undefined
  if (types !== undefined && !types.includes(kind) && !(kind === "null" && nullable === true)) return false
  if (Array.isArray(values) && !values.some((value) => kindOf(value) === kind)) return false
  if (Object.hasOwn(schema, "const") && kindOf(only) !== kind) return false
  return choices(schema)?.some((choice) => mayTake(walk, choice, kind)) ?? true
}

/** Whether a value could be one that the choice means: the fields with one value decide. */
const couldBe = (walk: Walk, schema: unknown, value: unknown): boolean => {
  const kind = kindOf(value)
  if ((kind === "array" || kind === "object") && !mayTake(walk, schema, kind)) return false
  if (!isRecord(value)) return true
  return (conjuncts(walk, schema) ?? []).every(({ properties }) =>
    !isRecord(properties) || Object.entries(properties).every(([name, property]) => {
      if (!isRecord(property) || !Object.hasOwn(value, name)) return true
      const values = Object.hasOwn(property, "const") ? [property["const"]] : property["enum"]
      return !Array.isArray(values) || values.includes(value[name])
    })
  )
}

/** The schemas to read a value by: its own, and the one choice that it can mean. */
const schemasFor = (
  walk: Walk,
  schema: unknown,
  value: unknown,
  seen: ReadonlyArray<unknown> = []
): ReadonlyArray<Fields> => {
  if (seen.includes(schema)) return []
  return (conjuncts(walk, schema) ?? []).flatMap((each) => {
    const meant = choices(each)?.filter((choice) => couldBe(walk, choice, value))
    return meant?.length === 1 ? [each, ...schemasFor(walk, meant[0], value, [...seen, schema])] : [each]
  })
}

const reshapeValue = (walk: Walk, schema: unknown, value: unknown): unknown => {
  const structure = typeof value === "string" ? structureIn(walk, schema, value) : undefined
  const current = structure ?? value
  if (structure !== undefined) walk.did.structures = true
  if (Array.isArray(current)) return reshapeList(walk, schemasFor(walk, schema, current), current)
  return isRecord(current) ? reshapeObject(walk, schemasFor(walk, schema, current), current) : current
}

/** The list or object that a text holds, where the schema takes that and no text. */
const structureIn = (walk: Walk, schema: unknown, text: string): unknown => {
  const kind = text.trimStart().startsWith("[") ? "array" : text.trimStart().startsWith("{") ? "object" : undefined
  if (!walk.allowed.structures || kind === undefined) return undefined
  if (mayTake(walk, schema, "string") || !mayTake(walk, schema, kind)) return undefined
  const read = StrictJson.parse(text, walk.limits)
  return Either.isRight(read) && read.right.hazards.length === 0 && kindOf(read.right.value) === kind
    ? read.right.value
    : undefined
}

const reshapeList = (
  walk: Walk,
  schemas: ReadonlyArray<Fields>,
  list: ReadonlyArray<unknown>
): ReadonlyArray<unknown> => {
  let changed = false
  const made = list.map((value, index) => {
    const reshaped = schemas.reduce((now, schema) => {
      const inner = itemSchema(schema, index)
      return inner === undefined ? now : reshapeValue(walk, inner, now)
    }, value)
    changed ||= reshaped !== value
    return reshaped
  })
  return changed ? made : list
}

const itemSchema = (schema: Fields, index: number): unknown => {
  const { items, prefixItems } = schema
  const placed = Array.isArray(prefixItems) ? prefixItems : Array.isArray(items) ? items : []
  return index < placed.length ? placed[index] : Array.isArray(items) ? schema["additionalItems"] : items
}

const reshapeObject = (walk: Walk, schemas: ReadonlyArray<Fields>, object: Fields): Fields => {
  let changed = false
  const entries = Object.entries(object).flatMap(([name, value]): ReadonlyArray<[string, unknown]> => {
    const inner = schemas.flatMap((schema) => propertySchema(schema, name))
    const mayBeLeftOut = inner.length > 0 && !schemas.some((schema) => requires(schema, name))
    if (value === null && walk.allowed.nulls && mayBeLeftOut && inner.some((each) => !mayTake(walk, each, "null"))) {
      walk.did.nulls = true
      changed = true
      return []
    }
    const reshaped = inner.reduce((now, each) => reshapeValue(walk, each, now), value)
    changed ||= reshaped !== value
    return [[name, reshaped]]
  })
  return changed ? Object.fromEntries(entries) : object
}

const requires = (schema: Fields, name: string): boolean =>
  Array.isArray(schema["required"]) && schema["required"].includes(name)

const propertySchema = ({ additionalProperties, properties }: Fields, name: string): ReadonlyArray<unknown> =>
  isRecord(properties) && Object.hasOwn(properties, name)
    ? [properties[name]]
    : isRecord(additionalProperties)
    ? [additionalProperties]
    : []
