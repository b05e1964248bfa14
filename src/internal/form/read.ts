/**
 * Reads a value by its form and tells everything that is wrong with it at once, in the order of the fields. One walk
 * from the top down: a value is looked at once, and one that is too deep is refused before anything in it is.
 */
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import { isRecord } from "../record.ts"
import {
  type CheckFault,
  type Choose,
  core,
  type Fault,
  type Form,
  isCodeOnly,
  knownFields,
  type List,
  type Mode,
  type Named,
  type Node,
  own,
  presenceOf,
  type Struct,
  type Tagged
} from "./description.ts"

/** One reading from its start to its end. */
interface Reading {
  readonly mode: Mode
  readonly faults: Array<Fault>
  /** How many levels of each recursive form the walk is in. */
  readonly depths: Map<Named, number>
}

/** What was read, or nothing where something is wrong with it, which then is among the faults. */
type Result = Option.Option<unknown>

export const at = (path: string, name: string | number): string => path === "" ? String(name) : `${path}.${name}`

const refuse = (reading: Reading, path: string, found: unknown, allowed: string): Result => {
  reading.faults.push({ path, found, allowed })
  return Option.none()
}

/** What `form` makes of a value that was written in code or in a file, or all that is wrong with it. */
export const read = <Read>(
  form: Form<Read, unknown>,
  value: unknown,
  mode: Mode,
  path = ""
): Either.Either<Read, ReadonlyArray<Fault>> => {
  const reading: Reading = { mode, faults: [], depths: new Map() }
  const result = walk(form.node, value, path, reading)
  // The types of a form are its constructors' word for what this walk makes.
  return Option.isSome(result) && reading.faults.length === 0
    ? Either.right(result.value as Read)
    : Either.left(reading.faults)
}

const walk = (form: Node, value: unknown, path: string, reading: Reading): Result => {
  const node = memberFor(form, value, reading.mode)
  switch (node.kind) {
    case "leaf": {
      const result = node.decode(value, reading.mode)
      return Option.isSome(result) ? result : refuse(reading, path, value, node.allowed)
    }
    case "codeOnly":
      return reading.mode === "file"
        ? refuse(reading, path, value, node.allowedInFile)
        : node.is(value)
        ? Option.some(value)
        : refuse(reading, path, value, node.allowed)
    case "optional":
    case "fileOnly":
      return value === undefined ? Option.some(undefined) : walk(node.inner, value, path, reading)
    case "default":
      return value === undefined ? Option.some(node.value()) : walk(node.inner, value, path, reading)
    case "annotated":
      return walk(node.inner, value, path, reading)
    case "mapped":
      return Option.map(walk(node.inner, value, path, reading), (inner) => node.decode(inner))
    case "checked": {
      const before = reading.faults.length
      const result = walk(node.inner, value, path, reading)
      if (Option.isSome(result)) report(node.check(result.value, value), value, path, reading)
      return reading.faults.length === before ? result : Option.none()
    }
    case "named":
      return readNamed(node, value, path, reading)
    case "struct":
      return readStruct(node, value, path, reading)
    case "list":
      return readList(node, value, path, reading)
    case "choose":
      return refuse(reading, path, value, node.allowed)
    case "tagged":
      return refuseTagged(node, value, path, reading)
  }
}

/**
 * The node that reads a value: of a choice the member that is meant, or the choice itself where none is. A loop, because
 * a form that contains itself is read by recursion, and every call between two of its levels takes from the stack.
 */
const memberFor = (form: Node, value: unknown, mode: Mode): Node => {
  let node = form
  for (;;) {
    const member = node.kind === "annotated" ? node.inner : node.kind === "choose"
      ? meantBy(node, value, mode)
      : node.kind === "tagged"
      ? taggedBy(node, value)
      : undefined
    if (member === undefined) return node
    node = member
  }
}

const meantBy = ({ cases }: Choose, value: unknown, mode: Mode): Node | undefined =>
  cases.find((each) => each.means(value) && (mode === "code" || !isCodeOnly(each.node)))?.node

const taggedBy = ({ field, members }: Tagged, value: unknown): Node | undefined => {
  const tag = isRecord(value) ? own(value, field) : undefined
  return typeof tag === "string" ? members.get(tag) : undefined
}

/** What a check finds wrong; the value found is the one at its path, where the check names no other. */
const report = (faults: Iterable<CheckFault>, given: unknown, path: string, reading: Reading): void => {
  for (const fault of faults) {
    const found = "found" in fault
      ? fault.found
      : fault.path.reduce<unknown>(
        (value, name) => typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined,
        given
      )
    refuse(reading, fault.path.reduce(at, path), found, fault.allowed)
  }
}

const readNamed = (node: Named, value: unknown, path: string, reading: Reading): Result => {
  if (node.depth === undefined) return walk(node.inner(), value, path, reading)
  const depth = reading.depths.get(node) ?? 0
  if (depth >= node.depth.max) return refuse(reading, path, value, node.depth.allowed)
  reading.depths.set(node, depth + 1)
  const result = walk(node.inner(), value, path, reading)
  reading.depths.set(node, depth)
  return result
}

type Given = Readonly<Record<string, unknown>>

const refuseUnknown = (given: Given, known: ReadonlyArray<string>, path: string, reading: Reading): void => {
  const names = new Set(known)
  const allowed = `no such field here; there are ${known.join(", ")}`
  for (const name of Object.keys(given)) {
    if (!names.has(name)) refuse(reading, at(path, name), given[name], allowed)
  }
}

const readStruct = (node: Struct, given: unknown, path: string, reading: Reading): Result => {
  if (!isRecord(given)) return refuse(reading, path, given, node.what)
  const before = reading.faults.length
  // A field that only code can give has a better answer than that it is unknown.
  const known = knownFields(node, reading.mode)
  const alsoCode = Object.keys(node.fields).filter((name) => !known.includes(name) && reading.mode === "file")
  refuseUnknown(omit(given, alsoCode), known, path, reading)
  const right: Record<string, unknown> = {}
  for (const [name, field] of Object.entries(node.fields)) {
    if (presenceOf(field) === "fileOnly") {
      if (reading.mode === "file") walk(field, own(given, name), at(path, name), reading)
      continue
    }
    const result = walk(field, own(given, name), at(path, name), reading)
    if (Option.isSome(result)) right[name] = result.value
  }
  for (const { check } of node.checks) report(check(right, given), given, path, reading)
  if (node.isInFieldOrder === true) inFieldOrder(node, path, before, reading)
  return reading.faults.length === before ? Option.some(right) : Option.none()
}

/** What a check found of a field stands with what is wrong with that field, and what it found of the whole at the end. */
const inFieldOrder = ({ fields }: Struct, path: string, from: number, { faults }: Reading): void => {
  const places = new Map(Object.keys(fields).map((name, place) => [name, place]))
  const placeOf = (fault: Fault): number => {
    if (fault.path === path) return places.size
    const [name = ""] = (path === "" ? fault.path : fault.path.slice(path.length + 1)).split(".", 1)
    // Fields that nobody knows come first.
    return places.get(name) ?? -1
  }
  const own = faults.splice(from).sort((one, other) => placeOf(one) - placeOf(other))
  for (const fault of own) faults.push(fault)
}

const omit = (given: Given, names: ReadonlyArray<string>): Given =>
  names.some((name) => Object.hasOwn(given, name))
    ? Object.fromEntries(Object.entries(given).filter(([name]) => !names.includes(name)))
    : given

const readList = (node: List, value: unknown, path: string, reading: Reading): Result => {
  if (!Array.isArray(value) || value.length < node.minItems) return refuse(reading, path, value, node.allowed)
  const before = reading.faults.length
  const all: Array<unknown> = []
  for (let i = 0; i < value.length; i += 1) {
    const item = walk(node.item, value[i], at(path, i), reading)
    if (Option.isSome(item)) all.push(item.value)
  }
  return reading.faults.length === before ? Option.some(all) : Option.none()
}

const refuseTagged = (node: Tagged, value: unknown, path: string, reading: Reading): Result => {
  if (!isRecord(value)) return refuse(reading, path, value, node.what)
  refuse(reading, at(path, node.field), own(value, node.field), node.allowed)
  return readUnknownMember(node, value, path, reading)
}

/** There is no telling which member is meant, but what would be wrong in all of them is told all the same. */
const readUnknownMember = (node: Tagged, given: Given, path: string, reading: Reading): Result => {
  const fields = new Map<string, Node>()
  for (const member of node.members.values()) {
    const struct = core(member)
    if (struct.kind !== "struct") continue
    for (const [name, field] of Object.entries(struct.fields)) if (!fields.has(name)) fields.set(name, field)
  }
  refuseUnknown(given, [...fields.keys()], path, reading)
  for (const [name, field] of fields) {
    const value = own(given, name)
    if (name !== node.field && value !== undefined) walk(field, value, at(path, name), reading)
  }
  return Option.none()
}
