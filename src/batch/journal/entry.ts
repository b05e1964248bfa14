/** The entries of a journal, and how they are written as a line of JSON. */
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"

const Key = Schema.String.pipe(Schema.minLength(1), Schema.maxLength(200))
const Round = Schema.NonNegativeInt

export const Started = Schema.TaggedStruct("Started", {
  key: Key,
  /** How often the item had failed before: calls of another round have idempotency keys of their own. */
  round: Round,
  /** Epoch milliseconds. */
  at: Schema.Number
})
export interface Started extends Schema.Schema.Type<typeof Started> {}

export const Succeeded = Schema.TaggedStruct("Succeeded", {
  key: Key,
  /** The value, as JSON. */
  value: Schema.Unknown,
  at: Schema.Number
})
export interface Succeeded extends Schema.Schema.Type<typeof Succeeded> {}

export const Failed = Schema.TaggedStruct("Failed", {
  key: Key,
  round: Round,
  /** The tag of its error. */
  tag: Schema.String,
  /** What its error says, clipped and without credentials. */
  message: Schema.String,
  at: Schema.Number
})
export interface Failed extends Schema.Schema.Type<typeof Failed> {}

export const Entry = Schema.Union(Started, Succeeded, Failed)
export type Entry = typeof Entry.Type

const decodeEntry = Schema.decodeUnknownEither(Entry)

/** One line, without its end. */
export const line = (entry: Entry): string => JSON.stringify(entry)

/** Reads a line, or says what is wrong with it. */
export const read = (text: string): Either.Either<Entry, string> => {
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    return Either.left("it is no JSON")
  }
  return Either.mapLeft(decodeEntry(parsed), () => "it is no entry of a journal")
}
