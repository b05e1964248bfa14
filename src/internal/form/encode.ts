/** The way back: what was read, or what code gave, in the spelling of a file. */
import * as Option from "effect/Option"
import type { Simplify } from "effect/Types"
import { isRecord } from "../record.ts"
import { core, type Form, isCodeOnly, type Mode, type Node, own, presenceOf, type Tagged } from "./description.ts"

/**
 * What was read, as JSON: durations as text, defaults as numbers, functions and shared values left out. Reading it from
 * a file gives the same again, if nothing was left out that must be there.
 */
export const encode = <Read>(form: Form<Read, unknown>, value: Read): unknown => write(form.node, value, "file")

/** What was read, as code may give it: the same, with functions and shared values as they are. */
export const toGiven = <Read>(form: Form<Read, unknown>, value: Read): unknown => write(form.node, value, "code")

const write = (node: Node, value: unknown, mode: Mode): unknown => {
  switch (node.kind) {
    case "leaf":
      return node.encode(value)
    case "codeOnly":
      return mode === "code" ? value : node.encode(value)
    case "optional":
    case "default":
    case "fileOnly":
      return value === undefined ? undefined : write(node.inner, value, mode)
    case "annotated":
    case "checked":
      return write(node.inner, value, mode)
    case "mapped":
      return write(node.inner, node.encode(value), mode)
    case "named":
      return write(node.inner(), value, mode)
    case "struct":
      return isRecord(value) ? writeFields(node.fields, value, (field, each) => write(field, each, mode)) : undefined
    case "list":
      return Array.isArray(value) ? value.map((each) => write(node.item, each, mode)) : undefined
    case "choose": {
      const member = node.cases.find((each) => each.holds(value))
      return member === undefined ? undefined : write(member.node, value, mode)
    }
    case "tagged": {
      const member = memberOf(node, value)
      return member === undefined ? undefined : write(member, value, mode)
    }
  }
}

const memberOf = ({ field, members }: Tagged, value: unknown): Node | undefined => {
  const tag = isRecord(value) ? own(value, field) : undefined
  return typeof tag === "string" ? members.get(tag) : undefined
}

/** Every field that is there and that a file can say. */
const writeFields = (
  fields: { readonly [name: string]: Node },
  values: Readonly<Record<string, unknown>>,
  spell: (field: Node, value: unknown) => unknown
): { readonly [name: string]: unknown } =>
  Object.fromEntries(
    Object.entries(fields).flatMap(([name, field]) => {
      const value = presenceOf(field) === "fileOnly" ? undefined : own(values, name)
      const written = value === undefined ? undefined : spell(field, value)
      return written === undefined ? [] : [[name, written]]
    })
  )

/**
 * What code gave, in the spelling of a file: only what was given, without the defaults. For values that `read` takes;
 * functions and shared values are left out.
 */
export const toFile = <Given>(form: Form<unknown, Given>, given: Given): unknown => spell(form.node, given)

const spell = (node: Node, given: unknown): unknown => {
  switch (node.kind) {
    case "leaf":
      return Option.match(node.decode(given, "code"), {
        onNone: () => undefined,
        onSome: (read) => node.encode(read)
      })
    case "codeOnly":
      return node.is(given) ? node.encode(given) : undefined
    case "optional":
    case "default":
    case "fileOnly":
      return given === undefined ? undefined : spell(node.inner, given)
    case "annotated":
    case "checked":
    case "mapped":
      return spell(node.inner, given)
    case "named":
      return spell(node.inner(), given)
    case "struct":
      return isRecord(given) ? writeFields(node.fields, given, spell) : undefined
    case "list":
      return Array.isArray(given) ? given.map((each) => spell(node.item, each)) : undefined
    case "choose": {
      const member = node.cases.find((each) => each.means(given))
      return member === undefined ? undefined : spell(member.node, given)
    }
    case "tagged": {
      const member = memberOf(node, given)
      return member === undefined ? undefined : spell(member, given)
    }
  }
}

/** The fields that may be left out and are there all the same. */
export type Defaults<Read, Given> = Simplify<
  {
    readonly [
      K in keyof Read & keyof Given as undefined extends Given[K] ? undefined extends Read[K] ? never : K : never
    ]: Read[K]
  }
>

/** The fields of an object that have a default, with it. */
export const defaults = <Read, Given>(form: Form<Read, Given>): Defaults<Read, Given> => {
  const struct = core(form.node)
  const all = struct.kind !== "struct" ? [] : Object.entries(struct.fields).flatMap(([name, field]) => {
    const value = defaultOf(field)
    return value === undefined ? [] : [[name, value()]]
  })
  // The type names the same fields: an optional one has `undefined` in what is read, one with a default has not.
  return Object.fromEntries(all) as Defaults<Read, Given>
}

const defaultOf = (node: Node): (() => unknown) | undefined =>
  node.kind === "annotated" ? defaultOf(node.inner) : node.kind === "default" ? node.value : undefined

/** The default of a field as JSON, where a file can say it. */
export const writtenDefault = (node: Node): unknown => {
  const value = defaultOf(node)
  return value === undefined || isCodeOnly(node) ? undefined : write(node, value(), "file")
}
