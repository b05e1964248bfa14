/** What the error classes share: fields with their defaults. */
import * as Duration from "effect/Duration"
import * as Schema from "effect/Schema"
import { describeCause, excerpt, isSecretName, mask, property } from "../../internal/redact.ts"
import { isPlain } from "../../internal/scrubbed.ts"

/** A finite wait: a non-negative number of milliseconds on the wire, a `Duration` in the program. */
export const Wait = Schema.transform(
  Schema.NonNegative.pipe(Schema.finite()),
  Schema.DurationFromSelf.pipe(
    Schema.filter((duration) => Duration.isFinite(duration) || "a finite duration"),
    Schema.annotations({ arbitrary: () => (fc) => fc.integer({ min: 0, max: 2 ** 40 }).map(Duration.millis) })
  ),
  { strict: true, decode: (millis) => Duration.millis(millis), encode: Duration.toMillis }
).annotations({ identifier: "WaitInMilliseconds" })

/** A count of things: whole, not negative. */
export const Count = Schema.NonNegativeInt

/** Any finite number that is not negative: JSON has no infinity. */
export const Amount = Schema.NonNegative.pipe(
  Schema.finite(),
  Schema.annotations({ arbitrary: () => (fc) => fc.integer({ min: 0, max: 2 ** 40 }) })
)

/** Was the request paid for? `maybe` when it was sent and the reply was lost. */
export const Billed = Schema.Literal("no", "maybe", "yes")
export type Billed = typeof Billed.Type

/** A description of somebody else's error: words only, never the object. */
export const Cause = Schema.Struct({
  name: Schema.String,
  message: Schema.String,
  code: Schema.optional(Schema.String)
})

const portableDepth = 8

/** Any value as JSON can carry it, without credentials: plain data as it is, errors and other objects in words. */
const portable = (value: unknown, depth: number): unknown => {
  switch (typeof value) {
    case "string":
      return excerpt(value)
    case "boolean":
      return value
    case "number":
      return Number.isFinite(value) ? value : String(value)
    case "object":
      if (value === null) return null
      if (depth >= portableDepth) return describeCause(value)
      if (Array.isArray(value)) return value.map((each) => portable(each, depth + 1))
      return isPlain(value)
        ? Object.fromEntries(
          Object.keys(value).map((name) => [
            name,
            isSecretName(name) ? mask : portable(property(value, name), depth + 1)
          ])
        )
        : describeCause(value)
    default:
      return describeCause(value)
  }
}

/**
 * Somebody else's error: the value itself in the program. On the wire plain data stays plain data, anything else is
 * told in words, as `{ name, message, code }`.
 */
export const Foreign: Schema.Schema<unknown, unknown> = Schema.transform(
  Schema.Unknown,
  Schema.Unknown.annotations({
    arbitrary: () => (fc) =>
      fc.oneof(fc.string(), fc.integer(), fc.record({ name: fc.string(), message: fc.string(), code: fc.string() }))
  }),
  { strict: true, decode: (wire) => wire, encode: (error) => portable(error, 0) }
)

/** Joins the parts of a message that are there. */
export const sentence = (...parts: ReadonlyArray<string | undefined>): string =>
  parts.filter((part) => part !== undefined && part !== "").join(" ")

export { lean, scrubbed, shown } from "../../internal/scrubbed.ts"
export { words as spoken } from "../../internal/words.ts"
