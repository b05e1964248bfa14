/** The forms of values without parts. Each carries the text that says what is allowed. */
import * as Option from "effect/Option"
import { excerpt, visible } from "../redact.ts"
import { type Form, type JsonSchema, make } from "./description.ts"

type Required<Read, Given = Read> = Form<Read, Given, "required">

/** A value that stands for itself, in code as in a file. */
const plain = <A>(
  is: (value: unknown) => value is A,
  allowed: string,
  jsonSchema: JsonSchema,
  literals?: ReadonlyArray<string>
): Required<A> =>
  make({
    kind: "leaf",
    allowed,
    jsonSchema,
    decode: Option.liftPredicate(is),
    encode: (value) => value,
    ...(literals === undefined ? {} : { literals })
  })

/** Any value as it is, for whoever reads it further by a form of its own. */
export const anything: Required<unknown> = plain((_): _ is unknown => true, "anything", {})

/** A whole number from `min` to `max`, both included. */
export const count = (min: number, max: number, allowed = `a whole number, ${min} to ${max}`): Required<number> =>
  plain(
    (value): value is number =>
      typeof value === "number" && Number.isSafeInteger(value) && value >= min && value <= max,
    allowed,
    { type: "integer", minimum: min, maximum: max }
  )

/** Where a number may be. `min` and `max` belong to the range, `above` and `below` do not. */
export interface NumberRange {
  readonly min?: number
  readonly above?: number
  readonly max?: number
  readonly below?: number
}

const rangeText = ({ above, below, max, min }: NumberRange): string => {
  const from = min !== undefined ? `from ${min}` : above !== undefined ? `above ${above}` : undefined
  const to = max !== undefined
    ? min === undefined ? `at most ${max}` : `to ${max}`
    : below !== undefined
    ? `below ${below}`
    : undefined
  return ["a number", [from, to].filter((each) => each !== undefined).join(min === undefined ? ", " : " ")].join(" ")
    .trim()
}

/** A finite number within a range. */
export const number = (range: NumberRange, allowed = rangeText(range)): Required<number> => {
  const { above, below, max, min } = range
  return plain(
    (value): value is number =>
      typeof value === "number" && Number.isFinite(value) &&
      (min === undefined || value >= min) && (above === undefined || value > above) &&
      (max === undefined || value <= max) && (below === undefined || value < below),
    allowed,
    {
      type: "number",
      ...(min === undefined ? {} : { minimum: min }),
      ...(above === undefined ? {} : { exclusiveMinimum: above }),
      ...(max === undefined ? {} : { maximum: max }),
      ...(below === undefined ? {} : { exclusiveMaximum: below })
    }
  )
}

/** A share of a whole, from 0 to 1. */
export const share = (allowed = "a number from 0 to 1"): Required<number> => number({ min: 0, max: 1 }, allowed)

/** How a choice among texts is told. */
export const amongTexts = (all: ReadonlyArray<string>): string => {
  const quoted = all.map((each) => `"${each}"`).join(", ")
  return all.length === 1 ? quoted : `one of ${quoted}`
}

/** One of several texts, with words of your own for what is allowed. */
export const oneOfWith = <const All extends ReadonlyArray<string>>(all: All, allowed: string): Required<All[number]> =>
  plain(
    (value): value is All[number] => typeof value === "string" && all.includes(value),
    allowed,
    all.length === 1 ? { const: all[0] } : { enum: all },
    all
  )

/** One of several texts. */
export const oneOf = <const All extends ReadonlyArray<string>>(...all: All): Required<All[number]> =>
  oneOfWith(all, amongTexts(all))

/** Yes or no. */
export const boolean: Required<boolean> = plain(
  (value): value is boolean => typeof value === "boolean",
  "true or false",
  { type: "boolean" }
)

const isText = (value: unknown): value is string => typeof value === "string" && value.trim() !== ""

/** A text that is more than blanks. */
export const text = (allowed = "a text that is not empty"): Required<string> =>
  plain(isText, allowed, { type: "string", pattern: "\\S" })

/** The name of a policy. Refusals carry it, too many to redact each of them, so it is made safe to show here. */
export const name: Required<string> = make({
  kind: "mapped",
  inner: text().node,
  decode: (read) => isText(read) ? visible(excerpt(read)) : read,
  encode: (read) => read
})

/**
 * A text with a grammar of its own, such as `"100 calls"`. `pattern` says the grammar to JSON Schema, and `Spelling`, as
 * far as a type can, to the compiler.
 */
export const spelled = <A, Spelling extends string = string>(options: {
  readonly allowed: string
  readonly pattern: string
  readonly parse: (text: string) => A | undefined
  readonly print: (value: A) => string
}): Required<A, Spelling> =>
  make({
    kind: "leaf",
    allowed: options.allowed,
    jsonSchema: { type: "string", pattern: options.pattern },
    decode: (value) => typeof value === "string" ? Option.fromNullable(options.parse(value)) : Option.none(),
    encode: options.print
  })

/** A function, which only code can give. `purpose` ends the sentence "only code can ...": `"judge errors"`. */
export const fn = <F extends (...args: ReadonlyArray<never>) => unknown>(
  allowed: string,
  purpose: string
): Required<F> =>
  make({
    kind: "codeOnly",
    allowed,
    allowedInFile: `nothing in a file: only code can ${purpose}`,
    is: (value) => typeof value === "function",
    encode: () => undefined
  })

/**
 * A value that a guard recognises, which only code can give: a policy that is shared, say. A file spells it as `encode`
 * says; without that it is left out.
 */
export const value = <A>(
  is: (value: unknown) => value is A,
  allowed: string,
  options: { readonly allowedInFile?: string; readonly encode?: (value: A) => unknown } = {}
): Required<A> =>
  make({
    kind: "codeOnly",
    allowed,
    allowedInFile: options.allowedInFile ?? "nothing in a file: only code can share a value",
    is,
    encode: options.encode ?? (() => undefined)
  })
