/**
 * What a form is: a description of a value as plain data, with the types of the value on top. `read.ts`, `encode.ts` and
 * `jsonSchema.ts` each answer one question about it. They see the `node` alone, which knows no types; the constructors
 * in `leaves.ts`, `durations.ts` and `struct.ts` give a node its types, and only they.
 */
import type * as Option from "effect/Option"
import type { Covariant } from "effect/Types"
import type { Fields } from "../record.ts"

/** Where a value was written: it decides the spelling. Code has functions, numbers of milliseconds, shared values. */
export type Mode = "code" | "file"

/** One thing that is wrong. `found` is the value as it is: whoever shows it to people masks what must not be seen. */
export interface Fault {
  readonly path: string
  readonly found: unknown
  readonly allowed: string
}

/** What a check finds wrong. `path` starts at the value that is checked; `found` is what was given there, if left out. */
export interface CheckFault {
  readonly path: ReadonlyArray<string | number>
  readonly allowed: string
  readonly found?: unknown
}

/** Keywords of a JSON Schema. */
export interface JsonSchema {
  readonly [keyword: string]: unknown
}

/** One value without parts. */
export interface Leaf {
  readonly kind: "leaf"
  readonly allowed: string
  readonly jsonSchema: JsonSchema
  /** For a choice among texts: which. */
  readonly literals?: ReadonlyArray<string>
  decode(value: unknown, mode: Mode): Option.Option<unknown>
  encode(value: unknown): unknown
}

/** A value that no file can hold, such as a function or a policy that is shared. */
export interface CodeOnly {
  readonly kind: "codeOnly"
  readonly allowed: string
  readonly allowedInFile: string
  is(value: unknown): boolean
  /** How a file spells it, where it can; `undefined` leaves it out. */
  encode(value: unknown): unknown
}

export interface Struct {
  readonly kind: "struct"
  /** What is allowed in place of a value that is no object. */
  readonly what: string
  readonly fields: { readonly [name: string]: Node }
  readonly checks: ReadonlyArray<StructCheck>
  /** Whether what the checks find is told in the order of the fields, and not after what is wrong with single fields. */
  readonly isInFieldOrder?: boolean
}

/** A method, so that a check of the fields it knows can stand for one of any fields. */
export interface StructCheck {
  check(right: { readonly [name: string]: unknown }, given: { readonly [name: string]: unknown }): Iterable<CheckFault>
}

export interface List {
  readonly kind: "list"
  readonly item: Node
  readonly minItems: number
  readonly allowed: string
}

export interface Case {
  readonly node: Node
  /** Whether a value that was given means this member. */
  readonly means: (given: unknown) => boolean
  /** Whether a value that was read belongs to this member. */
  readonly holds: (read: unknown) => boolean
}

/** One of several members: the first that is meant. */
export interface Choose {
  readonly kind: "choose"
  readonly allowed: string
  readonly cases: ReadonlyArray<Case>
}

/** One of several structs, told apart by the text in one field. */
export interface Tagged {
  readonly kind: "tagged"
  readonly what: string
  readonly field: string
  /** What the field may be. */
  readonly allowed: string
  /** By the text in the field. */
  readonly members: ReadonlyMap<string, Node>
}

/** A form with a name of its own in the JSON Schema. Only a recursive one has a limit of depth. */
export interface Named {
  readonly kind: "named"
  readonly name: string
  readonly inner: () => Node
  readonly depth: { readonly max: number; readonly allowed: string } | undefined
}

export interface Optional {
  readonly kind: "optional"
  readonly inner: Node
}

export interface Default {
  readonly kind: "default"
  readonly inner: Node
  readonly value: () => unknown
}

export interface FileOnly {
  readonly kind: "fileOnly"
  readonly inner: Node
}

/** Another value for what was read, and back. */
export interface Mapped {
  readonly kind: "mapped"
  readonly inner: Node
  decode(read: unknown): unknown
  encode(value: unknown): unknown
}

export interface Checked {
  readonly kind: "checked"
  readonly inner: Node
  check(read: unknown, given: unknown): Iterable<CheckFault>
}

export interface Annotated {
  readonly kind: "annotated"
  readonly inner: Node
  readonly keywords: JsonSchema
}

export type Node =
  | Leaf
  | CodeOnly
  | Struct
  | List
  | Choose
  | Tagged
  | Named
  | Optional
  | Default
  | FileOnly
  | Mapped
  | Checked
  | Annotated

export type Presence = "required" | "optional" | "default" | "fileOnly"

/** A form of values that code gives as `Given` and that are read as `Read`. */
export interface Form<out Read, out Given = Read, out P extends Presence = Presence> {
  readonly node: Node
  /** Whether the value may be left out where the form is a field. */
  readonly presence: P
  /** Never there at run time. */
  readonly types?: { readonly read: Covariant<Read>; readonly given: Covariant<Given> }
}

/** What code may give for a form. */
export type Input<F extends Form<unknown, unknown>> = F extends Form<unknown, infer Given> ? Given : never

/** What a form reads. */
export type Output<F extends Form<unknown, unknown>> = F extends Form<infer Read, unknown> ? Read : never

/** The types are the constructor's word: it alone knows what its node reads. */
export const make = <Read, Given = Read>(node: Node): Form<Read, Given, "required"> => ({ node, presence: "required" })

/** An own property, or `undefined`: what an object inherits was not written by anybody. */
export const own = (record: Fields, name: string): unknown => Object.hasOwn(record, name) ? record[name] : undefined

/** The node below what only changes, checks or describes it. */
export const core = (node: Node): Node => {
  switch (node.kind) {
    case "optional":
    case "default":
    case "fileOnly":
    case "mapped":
    case "checked":
    case "annotated":
      return core(node.inner)
    default:
      return node
  }
}

/** Whether a file can say nothing at all here. */
export const isCodeOnly = (node: Node): boolean => {
  const inner = core(node)
  return inner.kind === "codeOnly" || (inner.kind === "choose" && inner.cases.every((each) => isCodeOnly(each.node)))
}

/** What stands round a field and says whether it may be left out; a description of it may stand round that. */
export const presenceOf = (node: Node): Presence => {
  switch (node.kind) {
    case "annotated":
      return presenceOf(node.inner)
    case "optional":
    case "default":
    case "fileOnly":
      return node.kind
    default:
      return "required"
  }
}

/** The fields that may stand in an object: code knows nothing of what is for files alone, and the other way round. */
export const knownFields = ({ fields }: Struct, mode: Mode): ReadonlyArray<string> =>
  Object.keys(fields).filter((name) => {
    const field = fields[name]
    return field !== undefined && (mode === "code" ? presenceOf(field) !== "fileOnly" : !isCodeOnly(field))
  })

/** Whether two types are the same to the last field, with `readonly` and `?`. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true : false

type Flat<A> = A extends object ? { [K in keyof A]: A[K] } : A

/** What the compiler shows where they differ. */
export interface Difference<Options, Given> {
  readonly "only in the interface": Exclude<keyof Options, keyof Given>
  readonly "only in the form": Exclude<keyof Given, keyof Options>
  readonly "not of the same type": {
    [K in keyof Options & keyof Given]-?: Same<Pick<Flat<Options>, K>, Pick<Flat<Given>, K>> extends true ? never : K
  }[keyof Options & keyof Given]
}

type Equal<Options, Given> = Same<Flat<Options>, Flat<Given>> extends true ? unknown : Difference<Options, Given>

/**
 * `of<Options>()(form)` is the form, and compiles only where code gives exactly `Options` for it. The interface is
 * written by hand because doc comments do not reach an editor through a derived type.
 */
export const of =
  <Options>() => <Read, Given>(form: Form<Read, Given> & Equal<Options, Given>): Form<Read, Options, "required"> => ({
    node: form.node,
    presence: "required"
  })
