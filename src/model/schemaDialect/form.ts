/**
 * How a part of a schema is written under a dialect, and the two ways between that and the plain value. Only what has the
 * dialect's form is rewritten; anything else is left as it is, for the schema itself to judge.
 */
import * as Either from "effect/Either"
import * as StrictJson from "../../internal/strictJson.ts"
import * as Node from "./node.ts"
import { unite } from "./read.ts"
import type { Rules } from "./rules.ts"

/** What cannot be read back; `path` leads through what the model wrote. */
export interface Fault {
  readonly path: Node.Path
  readonly message: string
}

/** A plain value, and from a path in it to the path in what the model wrote. */
export interface Restored {
  readonly value: unknown
  readonly locate: (path: Node.Path) => Node.Path
  readonly faults: ReadonlyArray<Fault>
}

/** The answers of one walk over one value. */
export interface Run {
  readonly memo: Node.Memo
  readonly restored: Map<Form, WeakMap<object, Restored>>
}

export interface Form {
  readonly plain: Node.Node
  readonly written: Node.Node
  /** Absent where what is written is the plain value. */
  readonly restore?: ((value: unknown, run: Run) => Restored) | undefined
  readonly write?: ((value: unknown, run: Run) => unknown) | undefined
}

export interface Lowering {
  readonly rules: Rules
  readonly plain: Node.Definitions
  readonly written: Map<string, Node.Node>
  readonly forms: Map<string, Form>
  readonly problems: Array<Node.Problem>
}

export const freshRun = (): Run => ({ memo: new Map(), restored: new Map() })

export const here = (path: Node.Path): Node.Path => path

/** A value that is left as it is. */
export const asWritten = (value: unknown): Restored => ({ value, locate: here, faults: [] })

export const restored = (form: Form, value: unknown, run: Run): Restored =>
  form.restore?.(value, run) ?? asWritten(value)

export const written = (form: Form, value: unknown, run: Run): unknown =>
  form.write === undefined ? value : form.write(value, run)

/** A part that stands further in: its faults and places are told from outside. */
export const under = (steps: Node.Path, part: Restored): Restored => ({
  value: part.value,
  locate: (path) => [...steps, ...part.locate(path)],
  faults: part.faults.map((fault) => ({ ...fault, path: [...steps, ...fault.path] }))
})

/** What stands beside a part in a union, as far as it decides how the part may be written. */
export interface Beside {
  readonly lists: boolean
  readonly texts: boolean
}

const alone: Beside = { lists: false, texts: false }

type LowerObject = (node: Node.Obj, lowering: Lowering, options: { readonly inline: boolean }) => Form
type LowerTuple = (node: Node.Tuple, lowering: Lowering) => Form

/** Objects and tuples are lowered by their own module, which needs this one. */
export interface Compound {
  readonly object: LowerObject
  readonly tuple: LowerTuple
}

/** The form of a node under the rules of a dialect. */
export const lower = (node: Node.Node, lowering: Lowering, compound: Compound, beside: Beside = alone): Form => {
  switch (node.kind) {
    case "json":
      return lowerAny(node)
    case "enum":
      return lowerEnum(node, lowering.rules, beside)
    case "array": {
      const items = lower(node.items, lowering, compound)
      const list: Node.Node = { ...node, items: items.written }
      if (items.restore === undefined) return { plain: node, written: list }
      return {
        plain: node,
        written: list,
        restore: (value, run) => Array.isArray(value) ? restoreList(items, value, run) : asWritten(value),
        write: (value, run) => Array.isArray(value) ? value.map((item) => written(items, item, run)) : value
      }
    }
    case "tuple":
      return compound.tuple(node, lowering)
    case "object":
      return compound.object(node, lowering, { inline: beside.lists })
    case "union":
      return lowerUnion(node, lowering, compound)
    case "ref":
      return {
        plain: node,
        written: node,
        restore: (value, run) => {
          const form = lowering.forms.get(node.name)
          return form === undefined ? asWritten(value) : restored(form, value, run)
        },
        write: (value, run) => {
          const form = lowering.forms.get(node.name)
          return form === undefined ? value : written(form, value, run)
        }
      }
    case "never":
      lowering.problems.push({
        path: node.path,
        problem: "no value can be written here",
        remedy: "Take the field away, or make it optional."
      })
      return { plain: node, written: node }
    default:
      return { plain: node, written: node }
  }
}

const restoreList = (items: Form, value: ReadonlyArray<unknown>, run: Run): Restored => {
  const parts = value.map((item, index) => under([index], restored(items, item, run)))
  return {
    value: parts.map((part) => part.value),
    locate: ([index, ...rest]) => {
      const part = typeof index === "number" ? parts[index] : undefined
      return part === undefined ? (index === undefined ? [] : [index, ...rest]) : part.locate(rest)
    },
    faults: parts.flatMap((part) => part.faults)
  }
}

/** Vendors take no part without a type: any JSON value is written as text, and read with the care of a whole document. */
const lowerAny = (node: Node.Leaf): Form => ({
  plain: node,
  written: {
    ...node,
    kind: "string",
    description: [node.description, "Any JSON value, written as JSON text."].filter((part) => part !== undefined).join(
      " "
    )
  },
  restore: (value) => {
    if (typeof value !== "string") return asWritten(value)
    const parsed = StrictJson.parse(value)
    if (Either.isLeft(parsed)) {
      const { offset, reason } = parsed.left
      return failed(
        value,
        `must be JSON text, and this is not (${reason} at offset ${offset}); a text is written in quotes of its own`
      )
    }
    const hazard = parsed.right.hazards[0]
    return hazard === undefined
      ? { value: parsed.right.value, locate: () => [], faults: [] }
      : failed(value, `must be JSON text without hazards, and this has ${hazard.hazard} at ${hazard.path.join(".")}`)
  },
  write: (value) => JSON.stringify(value) ?? "null"
})

export const failed = (value: unknown, message: string): Restored => ({
  value,
  locate: here,
  faults: [{ path: [], message }]
})

const lowerEnum = (node: Node.Enum, rules: Rules, beside: Beside): Form => {
  const type = typeof node.values[0]
  const isPlain = type === "string" && !node.values.some((value) => value === "")
  if (rules.anyEnum || isPlain) return { plain: node, written: node }
  if (type === "boolean" || beside.texts) {
    const words = `one of ${JSON.stringify(node.values)}`
    const kind = type === "boolean" ? "boolean" : type === "number" ? "number" : "string"
    const isListed = type === "boolean" && node.values.length > 1
    return { plain: node, written: { ...node, kind, words: isListed ? node.words : [...node.words, words] } }
  }
  const labels = new Map<unknown, string>(node.values.map((value) => [value, JSON.stringify(value)]))
  const values = new Map<unknown, unknown>([...labels].map(([value, label]) => [label, value]))
  return {
    plain: node,
    written: { ...node, values: [...labels.values()] },
    restore: (value) => asWritten(values.has(value) ? values.get(value) : value),
    write: (value) => labels.get(value) ?? value
  }
}

/** A node behind its references; a schema that is only a reference to itself was refused before. */
const target = (node: Node.Node, definitions: Node.Definitions): Node.Node =>
  node.kind === "ref" ? target(definitions.get(node.name) ?? { ...Node.bare([]), kind: "never" }, definitions) : node

const lowerUnion = (node: Node.Union, lowering: Lowering, compound: Compound): Form => {
  const kinds = node.members.map((member) => target(member, lowering.plain))
  const forms = node.members.map((member, index) =>
    lower(member, lowering, compound, {
      lists: kinds.some((kind, other) => other !== index && kind.kind === "array"),
      texts: kinds.some((kind, other) =>
        other !== index && (kind.kind === "string" || (kind.kind === "enum" && typeof kind.values[0] === "string"))
      )
    })
  )
  const whole = unite(forms.map((form) => form.written), { ...node })
  if (forms.every((form) => form.restore === undefined)) return { plain: node, written: whole }
  return {
    plain: node,
    written: whole,
    restore: (value, run) => restoreUnion(forms, lowering, value, run),
    write: (value, run) => {
      const form = forms.find((form) => Node.fits(form.plain, value, lowering.plain, run.memo))
      return form === undefined ? value : written(form, value, run)
    }
  }
}

const restoreUnion = (forms: ReadonlyArray<Form>, lowering: Lowering, value: unknown, run: Run): Restored => {
  const fitting = forms.filter((form) => Node.fits(form.written, value, lowering.written, run.memo))
  const near = fitting.length > 0
    ? fitting
    : forms.filter((form) => Node.resembles(form.written, value, lowering.written))
  const tried = near.map((form) => once(form, value, run))
  const readable = tried.filter((one) => one.faults.length === 0)
  const [first] = readable
  if (first === undefined) return tried[0] ?? asWritten(value)
  if (fitting.length === 0) return near.length === 1 ? first : asWritten(value)
  const same = JSON.stringify(first.value)
  return readable.every((one) => JSON.stringify(one.value) === same)
    ? first
    : failed(value, "can be read in two ways, which mean different values; write one that fits a single alternative")
}

const once = (form: Form, value: unknown, run: Run): Restored => {
  if (typeof value !== "object" || value === null) return restored(form, value, run)
  const known = run.restored.get(form) ?? new WeakMap<object, Restored>()
  run.restored.set(form, known)
  const found = known.get(value) ?? restored(form, value, run)
  known.set(value, found)
  return found
}
