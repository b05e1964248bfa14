/** The names of the ways a model writes a tool call wrongly, by what a strict reader must say about them. */

/** Not JSON, or not an object. */
export const malformed = [
  "raw-newline",
  "unescaped-quotes",
  "unescaped-quotes-and-commas",
  "bad-escape",
  "windows-path",
  "single-quotes",
  "python-repr",
  "python-literals",
  "python-tuple",
  "python-triple-quotes",
  "unquoted-keys",
  "unquoted-value",
  "smart-quotes",
  "fullwidth-punctuation",
  "corner-quotes",
  "no-break-space",
  "zero-width-space",
  "byte-order-mark",
  "trailing-comma",
  "missing-comma",
  "double-comma",
  "missing-colon",
  "missing-value",
  "missing-close",
  "missing-close-bracket",
  "extra-close",
  "mismatched-close",
  "line-comment",
  "block-comment",
  "hash-comment",
  "undefined-value",
  "nan",
  "infinity",
  "hex-number",
  "leading-zero",
  "leading-plus",
  "trailing-dot",
  "thousands-separator",
  "underscore-number",
  "number-with-unit",
  "percent",
  "currency",
  "arithmetic",
  "string-concatenation",
  "bare-date",
  "constructor-call",
  "ellipsis",
  "markdown-fence",
  "markdown-fence-unclosed",
  "prose-before",
  "prose-after",
  "prose-around-fence",
  "prose-with-braces",
  "think-tag",
  "tool-call-tag",
  "jsonp",
  "key-value-call",
  "pure-prose",
  "double-encoded",
  "escaped-json",
  "concatenated-objects",
  "concatenated-lines",
  "empty-object-first",
  "empty",
  "blank",
  "null-root",
  "string-root",
  "number-root",
  "bare-word",
  "array-root",
  "truncated-as-complete"
] as const

/** The provider says the reply was cut. */
export const truncated = ["truncated"] as const

/** JSON that reads as something else than was written, or that is dangerous to hold. */
export const hazardous = [
  "duplicate-key",
  "proto-key",
  "constructor-prototype",
  "unsafe-integer",
  "twenty-digit-integer",
  "infinite-number",
  "lone-surrogate"
] as const

/** An object that is not what the tool asks for. */
export const hallucinated = [
  "extra-parameter",
  "missing-parameter",
  "renamed-parameter",
  "wrong-type",
  "number-as-string",
  "value-in-array",
  "stringified-object",
  "null-value",
  "wrong-enum-member",
  "out-of-range",
  "fractional-integer",
  "wrapped-arguments",
  "empty-arguments"
] as const

/** A call to something that does not exist. */
export const misnamed = [
  "unknown-tool",
  "misspelt-tool",
  "wrong-case-tool",
  "prefixed-tool",
  "constructor-tool",
  "proto-tool"
] as const

export const families = { malformed, truncated, hazardous, hallucinated, misnamed } as const

export type Family = keyof typeof families

export const damageClasses = [...malformed, ...truncated, ...hazardous, ...hallucinated, ...misnamed] as const

export type DamageClass = (typeof damageClasses)[number]
export type Malformed = (typeof malformed)[number]
