/** What can be read of an answer that is still coming. */
import * as Option from "effect/Option"
import * as PartialJson from "./partialJson.ts"

const fence = /^\uFEFF?\s*```[\w-]*[^\S\n]*(?:\n|$)/

/** A fence round the whole is taken off a whole answer, so it does not hide the beginning of one either. */
const unfenced = (text: string): string => {
  const opened = fence.exec(text)
  if (opened === null) return text
  const body = text.slice(opened[0].length).trimEnd()
  const ticks = body.endsWith("```") ? 3 : body.endsWith("``") ? 2 : body.endsWith("`") ? 1 : 0
  return body.slice(0, body.length - ticks)
}

/** All that is certain of an answer in plain JSON. */
export const plain = (text: string): Option.Option<unknown> => PartialJson.partial(unfenced(text))

/**
 * Stands where a text is still open. In a dialect a text may be the key of a record, a number or a whole document, and
 * half of one is another one; a letter of private use makes it none.
 */
const mark = "\uE000"

const maxDepth = 256

/** The value without the mark; nothing where it is in a key, or too deep to say. */
const unmarked = (value: unknown, depth: number): Option.Option<unknown> => {
  if (typeof value === "string") {
    return Option.some(value.endsWith(mark) ? value.slice(0, -1).replace(/[\uD800-\uDBFF]$/, "") : value)
  }
  if (typeof value !== "object" || value === null) return Option.some(value)
  if (depth > maxDepth) return Option.none()
  if (Array.isArray(value)) return Option.all(value.map((item) => unmarked(item, depth + 1)))
  const entries = Object.entries(value)
  return entries.some(([key]) => key.includes(mark))
    ? Option.none()
    : Option.map(
      Option.all(entries.map(([key, inner]) => Option.map(unmarked(inner, depth + 1), (part) => [key, part] as const))),
      Object.fromEntries
    )
}

const halfEscape = /\\(?:u[0-9a-fA-F]{0,3})?$/

/** All that is certain of an answer in a dialect; `restore` gives the plain JSON of a value that was written in it. */
export const restored = (
  text: string,
  restore: (written: unknown) => Option.Option<unknown>
): Option.Option<unknown> => {
  const body = unfenced(text)
  // Only behind an open text is the mark no error.
  return PartialJson.partial(body + mark).pipe(
    Option.orElse(() => halfEscape.test(body) ? Option.none() : PartialJson.partial(body)),
    Option.flatMap(restore),
    Option.flatMap((value) => unmarked(value, 0))
  )
}
