/** Holds a form equal to the interface that is written by hand, so that a field cannot be forgotten in either. */
import type { Form } from "./description.ts"

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
