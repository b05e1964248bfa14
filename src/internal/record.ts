/** Objects whose fields nobody has checked yet, and objects without the fields that hold nothing. */

/** A JSON object, or any other record: its values may be anything. */
export type Fields = { readonly [field: string]: unknown }

export const isRecord = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** A list, or an empty one where there is none. */
export const listOf = (value: unknown): ReadonlyArray<unknown> => Array.isArray(value) ? value : []

/** The type of an object without its undefined fields: what may be undefined may be absent. */
export type DefinedFields<A> =
  & { readonly [K in keyof A as undefined extends A[K] ? never : K]: A[K] }
  & { readonly [K in keyof A as undefined extends A[K] ? K : never]?: Exclude<A[K], undefined> }

/** The fields that are not `undefined`: `{ ...definedFields({ model, seed }) }` leaves out the seed that nobody gave. */
export const definedFields = <A extends object>(fields: A): DefinedFields<A> => {
  // A loop, because this is done several times a call, and `Object.fromEntries` over entries takes four times as long.
  const defined: { [field: string]: unknown } = {}
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined) continue
    // An assignment would set the prototype.
    if (name === "__proto__") {
      Object.defineProperty(defined, name, { value, configurable: true, enumerable: true, writable: true })
    } else defined[name] = value
  }
  return defined as DefinedFields<A>
}
