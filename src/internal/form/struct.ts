/** The forms that are made of others: objects, lists, choices, and what may stand round any form. */
import type { Simplify } from "effect/Types"
import { isRecord } from "../record.ts"
import {
  type CheckFault,
  core,
  type Form,
  type Input,
  type JsonSchema,
  make,
  type Node,
  type Output,
  type Presence,
  type StructCheck
} from "./description.ts"
import { amongTexts } from "./leaves.ts"

/** The fields of an object, by name. */
export interface Fields {
  readonly [name: string]: Form<unknown, unknown>
}

type KeysThatAre<F extends Fields, P extends Presence> = {
  [K in keyof F]: F[K]["presence"] extends P ? K : never
}[keyof F]

/** What code gives: fields with a default may be left out, fields for files alone do not exist. */
export type FieldsGiven<F extends Fields> = Simplify<
  & { readonly [K in KeysThatAre<F, "required">]: Input<F[K]> }
  & { readonly [K in KeysThatAre<F, "optional" | "default">]?: Input<F[K]> | undefined }
>

/** What is read: every field is there, one that was left out without a default is `undefined`. */
export type FieldsRead<F extends Fields> = Simplify<
  { readonly [K in Exclude<keyof F, KeysThatAre<F, "fileOnly">>]: Output<F[K]> }
>

/** The fields as a check sees them: one that is wrong is `undefined`. */
export type FieldsRight<F extends Fields> = {
  readonly [K in Exclude<keyof F, KeysThatAre<F, "fileOnly">>]?: Output<F[K]> | undefined
}

/**
 * Something that several fields must fulfil together. `right` holds the fields that are right, with their defaults; a
 * wrong one is missing. `given` holds all as they were written. It runs also where other fields are wrong.
 */
export type Check<F extends Fields> = (
  right: FieldsRight<F>,
  given: { readonly [K in keyof F]?: unknown }
) => Iterable<CheckFault>

const nodesOf = (fields: Fields): { readonly [name: string]: Node } =>
  Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, field.node]))

/** An object with exactly these fields. `what` is told where there is no object: "an object with the options of ...". */
export const struct = <F extends Fields>(
  what: string,
  fields: F,
  ...checks: ReadonlyArray<Check<NoInfer<F>>>
): Form<FieldsRead<F>, FieldsGiven<F>, "required"> =>
  make({
    kind: "struct",
    what,
    fields: nodesOf(fields),
    checks: checks.map((check): StructCheck => ({ check }))
  })

/** A field that may be left out; `undefined` is left out. */
export const optional = <Read, Given>(
  form: Form<Read, Given>
): Form<Read | undefined, Given | undefined, "optional"> => ({
  node: { kind: "optional", inner: form.node },
  presence: "optional"
})

/** A field that may be left out, and what then holds. */
export const withDefault = <Read, Given>(
  form: Form<Read, Given>,
  value: () => NoInfer<Read>
): Form<Read, Given | undefined, "default"> => ({
  node: { kind: "default", inner: form.node, value },
  presence: "default"
})

/** A field that files may have and code does not know, such as `$schema`. It is checked and then forgotten. */
export const fileOnly = <Read, Given>(form: Form<Read, Given>): Form<Read | undefined, Given, "fileOnly"> => ({
  node: { kind: "fileOnly", inner: form.node },
  presence: "fileOnly"
})

/** A list, by default one that is not empty. */
export const list = <Read, Given>(
  item: Form<Read, Given>,
  options: { readonly allowed: string; readonly minItems?: number }
): Form<ReadonlyArray<Read>, ReadonlyArray<Given>, "required"> =>
  make({ kind: "list", item: item.node, minItems: options.minItems ?? 1, allowed: options.allowed })

/** A member of a choice, and when it is meant. */
export interface Member<out Read, out Given> {
  readonly form: Form<Read, Given>
  readonly means: (given: unknown) => boolean
  readonly holds: (read: unknown) => boolean
}

/**
 * A member of {@link choose}: meant where `means` holds for the value that was given. `holds` tells the values that
 * were read by it, for the way back; it may be left out where `means` tells those too.
 */
export const when = <Read, Given>(
  means: (given: unknown) => boolean,
  form: Form<Read, Given>,
  holds: (read: unknown) => boolean = means
): Member<Read, Given> => ({ form, means, holds })

/** The member that is meant where no other is; what is wrong is told in its words. */
export const otherwise = <Read, Given>(form: Form<Read, Given>): Member<Read, Given> => when(() => true, form)

/**
 * One of several forms: the first that is meant, whose words then say what is wrong. `allowed` is told where none is
 * meant. Members that are objects and have a field of the same name should use the same form for it: the JSON Schema
 * then says it once.
 */
export const choose = <const Members extends ReadonlyArray<Member<unknown, unknown>>>(
  allowed: string,
  ...members: Members
): Form<Output<Members[number]["form"]>, Input<Members[number]["form"]>, "required"> =>
  make({
    kind: "choose",
    allowed,
    cases: members.map(({ form, holds, means }) => ({ node: form.node, means, holds }))
  })

/** For {@link when}: an object that has this field. */
export const has = (name: string) => (value: unknown): boolean => isRecord(value) && Object.hasOwn(value, name)

/** For {@link when}: a text, right or wrong. */
export const isText = (value: unknown): value is string => typeof value === "string"

/**
 * One of several objects, told apart by the text in one field, which each of them has as a `oneOf`. Where that text is
 * none of them, every field that one of them would refuse is told all the same. `field` may bring words of its own for
 * the texts that are allowed.
 */
export const tagged = <const Members extends ReadonlyArray<Form<unknown, unknown>>>(
  what: string,
  field: string | { readonly name: string; readonly allowed: string },
  ...members: Members
): Form<Output<Members[number]>, Input<Members[number]>, "required"> => {
  const name = typeof field === "string" ? field : field.name
  const byTag = new Map(members.flatMap(({ node }) => literalsOf(node, name).map((tag) => [tag, node] as const)))
  const allowed = typeof field === "string" ? amongTexts([...byTag.keys()]) : field.allowed
  return make({ kind: "tagged", what, field: name, allowed, members: byTag })
}

/** The texts that a field of an object may hold. */
const literalsOf = (object: Node, field: string): ReadonlyArray<string> => {
  const struct = core(object)
  const tag = struct.kind === "struct" ? struct.fields[field] : undefined
  const leaf = tag === undefined ? undefined : core(tag)
  return leaf?.kind === "leaf" ? leaf.literals ?? [] : []
}

/** A form with a name: the JSON Schema describes it once, under `$defs`. */
export const named = <Read, Given>(name: string, form: Form<Read, Given>): Form<Read, Given, "required"> =>
  make({ kind: "named", name, inner: () => form.node, depth: undefined })

/**
 * A form that contains itself, which has a name for that reason. Give the constant that holds it its type. `maxDepth`
 * values may be in one another; what is deeper is refused before it is looked at, in the words of `allowed`.
 */
export const recursive = <Read, Given>(
  name: string,
  depth: { readonly maxDepth: number; readonly allowed: string },
  form: () => Form<Read, Given>
): Form<Read, Given, "required"> => {
  let node: Node | undefined
  return make({
    kind: "named",
    name,
    inner: () => node ??= form().node,
    depth: { max: depth.maxDepth, allowed: depth.allowed }
  })
}

/** Reads another value for what `form` reads. `encode` is the way back. */
export const mapped = <Inner, Given, Read>(
  form: Form<Inner, Given>,
  options: { readonly decode: (inner: Inner) => Read; readonly encode: (read: Read) => Inner }
): Form<Read, Given, "required"> => make({ kind: "mapped", inner: form.node, ...options })

/** Refuses some of what `form` reads. It runs only where the value is otherwise right. */
export const checked = <Read, Given>(
  form: Form<Read, Given>,
  check: (read: Read, given: unknown) => Iterable<CheckFault>
): Form<Read, Given, "required"> => make({ kind: "checked", inner: form.node, check })

/** Adds keywords to the JSON Schema, most of all `description`. */
export const annotate = <Read, Given, P extends Presence>(
  form: Form<Read, Given, P>,
  keywords: JsonSchema
): Form<Read, Given, P> => ({
  presence: form.presence,
  node: { kind: "annotated", inner: form.node, keywords }
})

/** The same object: what its checks find of a field is told with what is wrong with that field, not after all fields. */
export const inFieldOrder = <Read, Given>(form: Form<Read, Given>): Form<Read, Given, "required"> =>
  make(form.node.kind === "struct" ? { ...form.node, isInFieldOrder: true } : form.node)

/** Whether the form is that of an object with such a field. */
export const hasField = (form: Form<unknown, unknown>, name: string): boolean => {
  const struct = core(form.node)
  return struct.kind === "struct" && Object.hasOwn(struct.fields, name)
}

/** What code gives where a field may be left out; what has no such field stays as it is. */
export type MayLeaveOut<Given, Name extends string> = Given extends unknown
  ? Name extends keyof Given ? Simplify<Omit<Given, Name> & { readonly [K in Name]?: Given[K] | undefined }> : Given
  : never

/**
 * The same object where a field may be left out and has no default, because whoever reads it says what then holds: for
 * its JSON Schema and for the type of what is given.
 */
export const mayLeaveOut = <Read, Given, const Name extends string>(
  form: Form<Read, Given>,
  name: Name
): Form<Read, MayLeaveOut<Given, Name>, "required"> => make(withoutNeed(form.node, name))

const withoutNeed = (node: Node, name: string): Node => {
  switch (node.kind) {
    case "mapped":
    case "checked":
    case "annotated":
      return { ...node, inner: withoutNeed(node.inner, name) }
    case "struct":
      return {
        ...node,
        fields: Object.fromEntries(
          Object.entries(node.fields).map(([each, field]) => [each, each === name ? optionalNode(field) : field])
        )
      }
    default:
      return node
  }
}

/** Without a default; a description of the field stays. */
const optionalNode = (node: Node): Node =>
  node.kind === "annotated"
    ? { ...node, inner: optionalNode(node.inner) }
    : { kind: "optional", inner: node.kind === "default" ? node.inner : node }
