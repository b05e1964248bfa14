/** The ways to write JSON wrongly, as edits of a valid compact text. An edit that finds nothing to spoil says so. */
import type { Draw } from "../../internal/seeded.ts"
import type { Malformed } from "./damageClasses.ts"
import { type Token, type TokenKind, tokens as tokensOf } from "./json.ts"

type Edit = (text: string, draw: Draw) => string | undefined

const join = (list: ReadonlyArray<Token>): string => list.map((token) => token.text).join("")

/** Rewrites one token that the predicate admits. */
const one = (
  admits: (token: Token, index: number, all: ReadonlyArray<Token>) => boolean,
  rewrite: (text: string, draw: Draw) => string
): Edit =>
(text, draw) => {
  const list = tokensOf(text)
  const [first, ...others] = list.flatMap((token, index) => admits(token, index, list) ? [index] : [])
  if (first === undefined) return undefined
  const chosen = draw.pick([first, ...others])
  return join(list.map((token, index) => index === chosen ? { ...token, text: rewrite(token.text, draw) } : token))
}

/** Rewrites every token of some kinds; nothing to rewrite is nothing spoilt. */
const every = (kinds: ReadonlyArray<TokenKind>, rewrite: (text: string) => string): Edit => (text) => {
  const written = join(
    tokensOf(text).map((token) => kinds.includes(token.kind) ? { ...token, text: rewrite(token.text) } : token)
  )
  return written === text ? undefined : written
}

const kind = (...kinds: ReadonlyArray<TokenKind>) => (token: Token) => kinds.includes(token.kind)
const mark = (...marks: ReadonlyArray<string>) => (token: Token) => marks.includes(token.text)
const isValue = (token: Token, index: number, all: ReadonlyArray<Token>) =>
  all[index - 1]?.text === ":" && kind("string", "number", "literal")(token)
const inner = (quoted: string) => quoted.slice(1, -1)
const isNumber = kind("number")
const digits = (text: string) => text.replace(/\D.*$/, "") || "1"

/** Puts text inside a string, never between a backslash and what it escapes. */
const insert = (words: string) => (quoted: string, draw: Draw): string => {
  const parts = inner(quoted).match(/\\u[0-9a-fA-F]{4}|\\.|[\s\S]/g) ?? []
  const at = draw.between(0, parts.length)
  return `"${parts.slice(0, at).join("")}${words}${parts.slice(at).join("")}"`
}

const value = (rewrite: (text: string, draw: Draw) => string): Edit => one(isValue, rewrite)
const string = (rewrite: (text: string, draw: Draw) => string): Edit => one(kind("string"), rewrite)
const number = (rewrite: (text: string) => string): Edit => one(isNumber, rewrite)
const around = (before: string, after = ""): Edit => (text) => `${before}${text}${after}`
const instead = (text: string): Edit => () => text
const comment = (written: string): Edit => one(mark("{", ","), (text) => `${text}${written}`)

const singleQuoted = (quoted: string) => `'${inner(quoted).replaceAll("\\\"", "\"").replaceAll("'", "\\'")}'`
const pythonWords: Readonly<Record<string, string>> = { true: "True", false: "False", null: "None" }
const pythonWord = (text: string) => pythonWords[text] ?? text
const fence = "```"

export const malform: Readonly<Record<Malformed, Edit>> = {
  // Only a break that was meant is written raw: a repair that keeps it gives back the meant value.
  "raw-newline": one(
    (token) => token.kind === "string" && /(?<!\\)(?:\\\\)*\\[nt]/.test(token.text),
    (text) => text.replace(/\\(?:\\|[nt]|.)/g, (escape) => escape === "\\n" ? "\n" : escape === "\\t" ? "\t" : escape)
  ),
  "unescaped-quotes": string(insert("\"quoted\"")),
  "unescaped-quotes-and-commas": string(insert("\"a\", \"b\" and \"c\"")),
  "bad-escape": string(insert("\\d+\\.\\w")),
  "windows-path": string(insert("C:\\Users\\new\\x")),
  "single-quotes": every(["key", "string"], singleQuoted),
  "python-repr": (text) => {
    const written = join(
      tokensOf(text).map((token) => ({
        ...token,
        text: token.kind === "key" || token.kind === "string" ? singleQuoted(token.text) : pythonWord(token.text)
      }))
    )
    return written === text ? undefined : written
  },
  "python-literals": every(["literal"], pythonWord),
  "python-tuple": value((text) => `(${text}, ${text})`),
  "python-triple-quotes": string((text) => `""${text}""`),
  "unquoted-keys": every(["key"], inner),
  "unquoted-value": one((token) => token.kind === "string" && /[A-Za-z]/.test(token.text), inner),
  "smart-quotes": every(["key", "string"], (text) => `\u201c${inner(text)}\u201d`),
  "fullwidth-punctuation": every(["punctuation"], (text) => text === ":" ? "\uff1a" : text === "," ? "\uff0c" : text),
  "corner-quotes": every(["key", "string"], (text) => `\u300c${inner(text)}\u300d`),
  "no-break-space": one(mark("{", ","), (text) => `${text}\u00a0`),
  "zero-width-space": around("\u200b"),
  "byte-order-mark": around("\ufeff"),
  "trailing-comma": one(
    (token, index, all) => mark("}", "]")(token) && !mark("{", "[")(all[index - 1] ?? token),
    (text) => `,${text}`
  ),
  "missing-comma": one(mark(","), () => " "),
  "double-comma": one(mark(","), () => ",,"),
  "missing-colon": one(mark(":"), () => " "),
  "missing-value": value(() => ""),
  "missing-close": (text) => text.slice(0, -1),
  "missing-close-bracket": one(mark("]"), () => ""),
  "extra-close": around("", "}"),
  "mismatched-close": (text) => `${text.slice(0, -1)}]`,
  "line-comment": comment(" // as the user asked\n"),
  "block-comment": comment(" /* as the user asked */ "),
  "hash-comment": comment(" # as the user asked\n"),
  "undefined-value": value(() => "undefined"),
  "nan": number(() => "NaN"),
  "infinity": number((text) => text.startsWith("-") ? "-Infinity" : "Infinity"),
  "hex-number": number((text) => `0x${Number(digits(text)).toString(16).toUpperCase()}`),
  "leading-zero": number((text) => text.startsWith("-") ? `-00${text.slice(1)}` : `00${text}`),
  "leading-plus": number((text) => `+${text.replace("-", "")}`),
  "trailing-dot": number((text) => `${digits(text)}.`),
  "thousands-separator": number(() => "1,234"),
  "underscore-number": number((text) => `${digits(text)}_000`),
  "number-with-unit": number((text) => `${text}kg`),
  "percent": number((text) => `${text}%`),
  "currency": number((text) => `$${text}`),
  "arithmetic": number((text) => `${text}*60`),
  "string-concatenation": string((text) => `${text} + ""`),
  "bare-date": string(() => "2024-01-02T12:30:00Z"),
  "constructor-call": string((text) => `String(${text})`),
  "ellipsis": one(
    (token, index, all) => mark("}", "]")(token) && !mark("{", "[")(all[index - 1] ?? token),
    (text) => `,...${text}`
  ),
  "markdown-fence": around(`${fence}json\n`, `\n${fence}`),
  "markdown-fence-unclosed": around(`${fence}json\n`),
  "prose-before": around("Sure! Here are the arguments:\n"),
  "prose-after": around("", "\nLet me know if you need anything else."),
  "prose-around-fence": around(`Here you go:\n${fence}json\n`, `\n${fence}\nDone.`),
  "prose-with-braces": around("Use {name} like so: "),
  "think-tag": around("<think>maybe {\"a\":2}?</think>"),
  "tool-call-tag": around("<tool_call>\n", "\n</tool_call>"),
  "jsonp": around("callback(", ");"),
  "key-value-call": (text) => {
    const written = join(
      tokensOf(text).map((token) => ({
        ...token,
        text: token.kind === "key" ? inner(token.text) : token.text === ":" ? "=" : token.text
      }))
    ).slice(1, -1)
    return written === "" ? undefined : written
  },
  "pure-prose": instead("I cannot do that."),
  "double-encoded": (text) => JSON.stringify(text),
  "escaped-json": (text) => JSON.stringify(text).slice(1, -1),
  "concatenated-objects": (text) => `${text}${text}`,
  "concatenated-lines": (text) => `${text}\n${text}`,
  "empty-object-first": around("{}"),
  "empty": instead(""),
  "blank": instead("  \n "),
  "null-root": instead("null"),
  "string-root": instead("\"hello\""),
  "number-root": instead("42"),
  "bare-word": instead("hello"),
  "array-root": around("[", "]"),
  "truncated-as-complete": (text, draw) => text.slice(0, draw.between(1, text.length - 1))
}
