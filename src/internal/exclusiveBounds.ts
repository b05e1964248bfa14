/** The bounds of numbers as draft 4 of JSON Schema (and OpenAPI 3.0) writes them, in the words of the later editions. */

type Json = { readonly [keyword: string]: unknown }

const bounds = [["minimum", "exclusiveMinimum"], ["maximum", "exclusiveMaximum"]] as const

/**
 * `exclusiveMaximum: true` beside `maximum: 5` is what is now `exclusiveMaximum: 5`. No later edition knows the boolean, so
 * that it means the same whatever the document says of its edition.
 */
export const asNumbers = (schema: Json): Json => {
  let now = schema
  for (const [bound, exclusive] of bounds) {
    if (typeof now[exclusive] !== "boolean") continue
    const { [bound]: limit, [exclusive]: isExclusive, ...rest } = now
    now = limit === undefined ? rest : { ...rest, [isExclusive === true ? exclusive : bound]: limit }
  }
  return now
}
