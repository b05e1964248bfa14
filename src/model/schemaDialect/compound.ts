/** How objects, records and tuples are written under a dialect. */
import { isRecord } from "../../internal/record.ts"
import { lower as lowerNode } from "./form.ts"
import * as Form from "./form.ts"
import * as Node from "./node.ts"
import { noted, unite } from "./read.ts"

/** How a property that may be left out says so: by not being there, by null, or by an empty list round its value. */
type Absence = "omit" | "null" | "list"

interface Entry {
  readonly name: string
  readonly as: string
  readonly required: boolean
  readonly form: Form.Form
  readonly absence: Absence
  readonly written: Node.Node
}

/** A name that the vendor takes and that no other property has. */
const freeName = (name: string, allowed: RegExp | undefined, taken: ReadonlySet<string>): string => {
  if (!taken.has(name) && (allowed === undefined || allowed.test(name))) return name
  const letters = name.replace(/[^a-zA-Z0-9_]/g, "_").replace(/^(?=[^a-zA-Z_])/, "_").slice(0, 56) || "_"
  let free = letters
  for (let count = 2; taken.has(free); count++) free = `${letters}_${count}`
  return free
}

const entryOf = (property: Node.Property, as: string, lowering: Form.Lowering): Entry => {
  const form = lower(property.node, lowering)
  const base = { name: property.name, as, form }
  if (property.required || lowering.rules.optional === "omit") {
    return { ...base, required: property.required, absence: "omit", written: form.written }
  }
  const { description, hints, path, words } = form.written
  const about = { ...Node.bare(path), description, hints }
  if (!Node.admitsNull(property.node, lowering.plain) || property.nullDefault) {
    const value: Node.Node = { ...form.written, description: undefined, hints: [] }
    const written = unite([value, { ...Node.bare(path), kind: "null" }], about)
    return { ...base, required: true, absence: "null", written }
  }
  const list: Node.Node = {
    ...about,
    kind: "array",
    items: { ...form.written, description: undefined, hints: [], words },
    keywords: { maxItems: 1 },
    description: [description, "Empty to leave it out, else a list of the one value."]
      .filter((part) => part !== undefined).join(" ")
  }
  return { ...base, required: true, absence: "list", written: list }
}

const isWritable = (property: Node.Property): boolean => property.required || property.node.kind !== "never"

const lowerObject = (
  node: Node.Obj,
  lowering: Form.Lowering,
  options: { readonly inline: boolean }
): Form.Form => {
  const isMap = node.properties.length === 0 && node.others !== undefined
  if (isMap && !options.inline) return lowerRecord(node, lowering)
  const properties = node.properties.filter(isWritable)
  const { rules } = lowering
  const kept = new Set(properties.map(({ name }) => name).filter((name) => rules.names?.test(name) !== false))
  const entries = properties.map((property) => {
    const as = kept.has(property.name) ? property.name : freeName(property.name, rules.names, kept)
    kept.add(as)
    return entryOf(property, as, lowering)
  })
  const extra = node.others === undefined ? undefined : lowerPairs(node.others, [...node.path, "*"], lowering)
  const extraName = freeName("entries", undefined, kept)
  const listed = [
    ...entries.map((entry): Node.Property => ({
      name: entry.as,
      node: entry.written,
      required: entry.required,
      nullDefault: false
    })),
    ...(extra === undefined ? [] : [{
      name: extraName,
      node: {
        ...extra.written,
        description: entries.length === 0 ? "The entries, each name once." : "Further entries, each name once."
      },
      required: true,
      nullDefault: false
    }])
  ]
  const isBlank = listed.length === 0 && !rules.emptyObjects && node.path.length > 0
  const written: Node.Node = {
    ...node,
    properties: isBlank ? [placeholder(node.path)] : listed,
    others: undefined
  }
  const isSame = extra === undefined && !isBlank && properties.length === node.properties.length &&
    entries.every((entry) => entry.absence === "omit" && entry.form.restore === undefined && entry.as === entry.name)
  if (isSame) return { plain: node, written }
  return {
    plain: node,
    written,
    restore: (value, run) =>
      isRecord(value)
        ? isBlank
          ? Form.asWritten(Object.fromEntries(Object.entries(value).filter(([key]) => key !== blankName)))
          : restoreObject(entries, extra === undefined ? undefined : { name: extraName, pairs: extra }, value, run)
        : Form.asWritten(value),
    write: (value, run) => {
      if (!isRecord(value)) return value
      const named = new Set(entries.map((entry) => entry.name))
      const others = Object.entries(value).filter(([key, part]) => !named.has(key) && part !== undefined)
      return Object.fromEntries([
        ...entries.flatMap((entry) => writeEntry(entry, value, run)),
        ...(extra === undefined ? others : [[extraName, Form.written(extra, Object.fromEntries(others), run)]])
      ])
    }
  }
}

const blankName = "nothing"

/** Gemini takes no object without properties; this one is never read. */
const placeholder = (path: Node.Path): Node.Property => ({
  name: blankName,
  node: { ...Node.bare(path), kind: "boolean", description: "There is nothing to say here; leave it out." },
  required: false,
  nullDefault: false
})

const writeEntry = (entry: Entry, value: Node.Json, run: Form.Run): ReadonlyArray<[string, unknown]> => {
  const part = Object.hasOwn(value, entry.name) ? value[entry.name] : undefined
  if (part === undefined) {
    return entry.absence === "omit" ? [] : [[entry.as, entry.absence === "null" ? null : []]]
  }
  const inner = Form.written(entry.form, part, run)
  return [[entry.as, entry.absence === "list" ? [inner] : inner]]
}

interface Extra {
  readonly name: string
  readonly pairs: Form.Form
}

const restoreObject = (
  entries: ReadonlyArray<Entry>,
  extra: Extra | undefined,
  value: Node.Json,
  run: Form.Run
): Form.Restored => {
  const byName = new Map(entries.map((entry) => [entry.as, entry]))
  const plainNames = new Set(entries.map((entry) => entry.name))
  const parts = new Map<string, Form.Restored>()
  /** Keys that are nobody's stay as they are; there may be a hundred thousand of them. */
  const strangers: Array<[string, unknown]> = []
  const faults: Array<Form.Fault> = []
  const put = (name: string, part: Form.Restored, at: Node.Path): void => {
    if (parts.has(name)) faults.push({ path: at, message: `${JSON.stringify(name)} is given twice` })
    else parts.set(name, part)
    faults.push(...part.faults)
  }
  for (const [key, part] of Object.entries(value)) {
    const entry = byName.get(key)
    if (entry !== undefined) {
      const found = restoreEntry(entry, part, run)
      if (found !== undefined) put(entry.name, found, [key])
    } else if (extra === undefined && !plainNames.has(key)) strangers.push([key, part])
    else if (key !== extra?.name) put(key, Form.under([key], Form.asWritten(part)), [key])
  }
  if (extra !== undefined && Object.hasOwn(value, extra.name)) {
    const pairs = Form.under([extra.name], Form.restored(extra.pairs, value[extra.name], run))
    if (isRecord(pairs.value)) {
      for (const [name, part] of Object.entries(pairs.value)) {
        put(name, { value: part, locate: (path) => pairs.locate([name, ...path]), faults: [] }, pairs.locate([name]))
      }
    }
    faults.push(...pairs.faults)
  }
  return {
    value: Object.fromEntries([
      ...[...parts].map(([name, part]): [string, unknown] => [name, part.value]),
      ...strangers
    ]),
    locate: ([name, ...rest]) => {
      if (name === undefined) return []
      const part = parts.get(String(name))
      const entry = entries.find((other) => other.name === name)
      return part === undefined ? [entry?.as ?? name, ...rest] : part.locate(rest)
    },
    faults
  }
}

/** The value of a property that is there, or nothing. */
const restoreEntry = (entry: Entry, part: unknown, run: Form.Run): Form.Restored | undefined => {
  if (part === null && entry.absence === "null") return undefined
  if (entry.absence !== "list") return Form.under([entry.as], Form.restored(entry.form, part, run))
  if (!Array.isArray(part) || part.length > 1) {
    return Form.under(
      [entry.as],
      Form.failed(part, "must be a list with at most one value: [] to leave it out, [null] for null")
    )
  }
  return part.length === 0 ? undefined : Form.under([entry.as, 0], Form.restored(entry.form, part[0], run))
}

/** A record is written as the list of its entries. */
const lowerRecord = (node: Node.Obj, lowering: Form.Lowering): Form.Form => {
  const others = node.others ?? { key: node, value: node }
  const pairs = lowerPairs(others, [...node.path, "*"], lowering)
  return { ...pairs, plain: node, written: noted(pairs.written, { ...node, keywords: {} }) }
}

const lowerPairs = (others: Node.Others, path: Node.Path, lowering: Form.Lowering): Form.Form => {
  const value = lower(others.value, lowering)
  const pair: Node.Node = {
    ...Node.bare(path),
    kind: "object",
    others: undefined,
    properties: [
      { name: "key", node: others.key, required: true, nullDefault: false },
      { name: "value", node: value.written, required: true, nullDefault: false }
    ]
  }
  return {
    plain: { ...Node.bare(path), kind: "object", properties: [], others },
    written: {
      ...Node.bare(path.slice(0, -1)),
      kind: "array",
      items: pair,
      description: "A list of entries with a key and a value, each key once."
    },
    restore: (entries, run) => Array.isArray(entries) ? restorePairs(value, entries, run) : notAList(entries),
    write: (record, run) =>
      isRecord(record)
        ? Object.entries(record).flatMap(([key, part]) =>
          part === undefined ? [] : [{ key, value: Form.written(value, part, run) }]
        )
        : record
  }
}

/** An object is a record as the plain schema has it, and cannot be mistaken for a list of entries. */
const notAList = (value: unknown): Form.Restored =>
  isRecord(value) ? Form.asWritten(value) : Form.failed(value, "must be a list of { key, value } entries")

const restorePairs = (form: Form.Form, entries: ReadonlyArray<unknown>, run: Form.Run): Form.Restored => {
  const parts = new Map<string, Form.Restored>()
  const faults: Array<Form.Fault> = []
  entries.forEach((entry, index) => {
    if (!isPair(entry)) {
      faults.push({ path: [index], message: "must be an entry { key, value } and nothing else" })
      return
    }
    const { key } = entry
    const part = Form.under([index, "value"], Form.restored(form, entry.value, run))
    faults.push(...part.faults)
    if (parts.has(key)) {
      faults.push({ path: [index, "key"], message: `${JSON.stringify(key)} is given twice` })
    } else if (
      key === "__proto__" ||
      (key === "constructor" && isRecord(part.value) && Object.hasOwn(part.value, "prototype"))
    ) {
      faults.push({ path: [index, "key"], message: `${JSON.stringify(key)} is not taken as a key` })
    } else parts.set(key, part)
  })
  return {
    value: Object.fromEntries([...parts].map(([key, part]) => [key, part.value])),
    locate: ([key, ...rest]) => {
      const part = key === undefined ? undefined : parts.get(String(key))
      return part === undefined ? (key === undefined ? [] : [key, ...rest]) : part.locate(rest)
    },
    faults
  }
}

const isPair = (entry: unknown): entry is { readonly key: string; readonly value: unknown } =>
  isRecord(entry) && typeof entry.key === "string" && Object.hasOwn(entry, "value") &&
  Object.keys(entry).length === 2

const itemName = (index: number): string => `item${index}`

const restName = "rest"

/** A tuple is written as an object with a property for each place, and one for the rest. */
const lowerTuple = (node: Node.Tuple, lowering: Form.Lowering): Form.Form => {
  const count = node.items.length
  const properties: ReadonlyArray<Node.Property> = [
    ...node.items.map((item, index) => ({
      name: itemName(index),
      node: item,
      required: index < node.required,
      nullDefault: false
    })),
    ...(node.restItems === undefined ? [] : [{
      name: restName,
      node: {
        ...Node.bare([...node.path, "*"]),
        kind: "array",
        items: node.restItems,
        description: "The further items, if any."
      } as const,
      required: true,
      nullDefault: false
    }])
  ]
  const form = lowerObject({ ...node, kind: "object", properties, others: undefined }, lowering, { inline: false })
  const step = (index: number): Node.Path => index < count ? [itemName(index)] : [restName, index - count]
  return {
    plain: node,
    written: form.written,
    restore: (value, run) => {
      if (!isRecord(value)) return Form.asWritten(value)
      const parts = Form.restored(form, value, run)
      const { faults, list } = isRecord(parts.value) ? inOrder(parts.value, count) : { faults: [], list: [] }
      return {
        value: list,
        locate: ([index, ...rest]) =>
          typeof index === "number"
            ? parts.locate([...step(index), ...rest])
            : index === undefined
            ? []
            : [index, ...rest],
        faults: [...parts.faults, ...faults]
      }
    },
    write: (value, run) => {
      if (!Array.isArray(value)) return value
      const items = value.slice(0, count).map((item, index): [string, unknown] => [itemName(index), item])
      const rest: ReadonlyArray<[string, unknown]> = node.restItems === undefined
        ? []
        : [[restName, value.slice(count)]]
      return Form.written(form, Object.fromEntries([...items, ...rest]), run)
    }
  }
}

const inOrder = (value: Node.Json, count: number): {
  readonly list: ReadonlyArray<unknown>
  readonly faults: ReadonlyArray<Form.Fault>
} => {
  const faults: Array<Form.Fault> = []
  const list: Array<unknown> = []
  const names = Array.from({ length: count }, (_, index) => itemName(index))
  for (const name of names) {
    if (!Object.hasOwn(value, name)) continue
    if (name !== itemName(list.length)) {
      faults.push({ path: [name], message: `is given although ${itemName(list.length)} is not` })
    } else list.push(value[name])
  }
  const rest = Object.hasOwn(value, restName) ? value[restName] : []
  if (!Array.isArray(rest)) faults.push({ path: [restName], message: "must be a list" })
  else if (rest.length > 0 && list.length < count) {
    faults.push({ path: [restName], message: `is given although ${itemName(list.length)} is not` })
  } else list.push(...rest)
  for (const key of Object.keys(value)) {
    if (key !== restName && !names.includes(key)) faults.push({ path: [key], message: "is not one of the items" })
  }
  return { list, faults }
}

/** The form of any node, objects and tuples included. */
export const lower = (node: Node.Node, lowering: Form.Lowering): Form.Form => lowerNode(node, lowering, compound)

/** The root stays an object whatever it holds. */
export const lowerRoot = (root: Node.Obj, lowering: Form.Lowering): Form.Form =>
  lowerObject(root, lowering, { inline: true })

const compound: Form.Compound = { object: lowerObject, tuple: lowerTuple }
