/**
 * Keeps credentials out of everything that is stored or shown: errors, logs, spans.
 * Text goes in, text comes out; nothing here keeps a reference to a foreign object. Every rule runs in linear time,
 * because the texts come from whoever answers.
 */

import { hideRemembered, mask } from "./secrets.ts"

export { mask } from "./secrets.ts"

const secretNames =
  "(?:proxy-)?authorization|(?:x-)?goog-api-key|api[-_ ]?key|api[-_ ]?token|(?:access|refresh|id|auth|" +
  "session|bearer|security)[-_]?token|(?:client|app)[-_]?secret|secret[-_]?(?:access[-_]?)?key|private[-_]?key|" +
  "password|passwd|subscription-key"

const cookieNames = "(?:set-)?cookie"

const secretName = new RegExp(`${secretNames}|\\b${cookieNames}\\b`, "i")

/** Names of headers, in lower case, that hold a credential: `x-api-key`, `cf-aig-authorization`, `x-session-token`. */
export const secretHeaders: ReadonlyArray<RegExp> = [secretName, /secret|cookie/, /(?:^|-)token$/]

/** Whether a header of this name holds a credential. */
export const isSecretHeader = (name: string): boolean =>
  secretHeaders.some((pattern) => pattern.test(name.toLowerCase()))

/** Whether a field or header of this name holds a credential. */
export const isSecretName = (name: string): boolean => secretName.test(name)

/**
 * A name that announces a credential, and all that stands between it and the value:
 * `x-api-key: `, `"authorization":["`, `["x-api-key","`, `'cookie' => '`, `"name":"api-key","value":"`, also inside
 * JSON that was escaped into a string, however often.
 */
const announcement = new RegExp(
  `(?:${secretNames}|\\b(${cookieNames}))(?: provided)?` +
    "(?:" +
    "\\\\*[\"']?\\s*(?:[:=]>?|%3d)" +
    "|\\\\*[\"']\\s*,\\s*(?:\\\\*[\"']value\\\\*[\"']\\s*:|(?=\\\\*[\"']))" +
    ")(?:\\s|\\[(?!redacted\\]))*",
  "gi"
)

const opening = /(\\*)(["'])/y
const scheme = /(?:basic|bearer|token|digest|negotiate)\s+/iy
const plainValue = /[^\s"'\\,;&}\])[]+/y
const lineValue = /[^\r\n"'\\]+/y
const quoteOrEnd = /["'\r\n]/g

const matchAt = (pattern: RegExp, text: string, from: number): RegExpExecArray | null => {
  pattern.lastIndex = from
  return pattern.exec(text)
}

/** Where a quoted value ends: at its own quote, escaped no deeper than the opening one, or where the line ends. */
const quotedEnd = (text: string, from: number, quote: string, depth: number): number => {
  for (let found = matchAt(quoteOrEnd, text, from); found !== null; found = quoteOrEnd.exec(text)) {
    if (found[0] === "\r" || found[0] === "\n") return found.index
    if (found[0] !== quote) continue
    let backslashes = 0
    while (backslashes <= depth && text[found.index - 1 - backslashes] === "\\") backslashes++
    if (backslashes <= depth) return Math.max(from, found.index - backslashes)
  }
  return text.length
}

/** Masks the values of all names that announce a credential. Each part of the text is looked at once. */
const redactNamed = (text: string): string => {
  let kept = ""
  let copied = 0
  for (let found = matchAt(announcement, text, 0); found !== null; found = announcement.exec(text)) {
    let from = announcement.lastIndex
    const quote = matchAt(opening, text, from)
    if (quote !== null) from = opening.lastIndex
    if (matchAt(scheme, text, from) !== null) from = scheme.lastIndex
    let end = from
    if (text.startsWith(mask, from)) end += mask.length
    else if (quote !== null) end = quotedEnd(text, from, quote[2] ?? "", quote[1]?.length ?? 0)
    else {
      const value = found[1] === undefined ? plainValue : lineValue
      if (matchAt(value, text, from) !== null) end = value.lastIndex
    }
    if (end > from) {
      kept += text.slice(copied, from) + mask
      copied = end
    }
    announcement.lastIndex = Math.max(end, announcement.lastIndex)
  }
  return kept + text.slice(copied)
}

/** Where a token may start: not in the middle of a word, unless that word is `%20` or ends in `_`. */
const start = "(?:\\b|(?<=_)|(?<=%[0-9a-fA-F]{2}))"

/**
 * What follows the prefix of a key is no word: it has a digit, a capital or a star, or many letters without a break. The
 * names of parameters (`skipTlsVerification`, `hf_use_cache`, `sk-learn-version`) have none of these behind a separator.
 */
const looksRandom = "(?=[A-Za-z0-9*\\-_.]{6})(?=[A-Za-z0-9*\\-_.]{0,64}(?:[A-Z0-9*]|[a-z]{16}))"

/** Each rule knows a credential by its own form; what the groups hold is kept, the rest is masked. */
const rules: ReadonlyArray<readonly [RegExp, string]> = [
  [/-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----[^-]*(?:-----END [A-Z ]{0,30}PRIVATE KEY-----)?/g, mask],
  [/\b(bearer(?:\s+|%20))(?!\[redacted\])[A-Za-z0-9\-._~+/=*]{6,}/gi, `$1${mask}`],
  // `?key=abc` in a URL, which is how Gemini takes its key
  [/([?&](?:key|token|sig|signature|code)=)(?!\[redacted\])[^&\s"'\\#)<>]+/gi, `$1${mask}`],
  [/(\b(?:key|signature|credential)=)(?!\[redacted\])[A-Za-z0-9\-_.*/+%=]{8,}/gi, `$1${mask}`],
  // `https://user:password@host`; the password may hold an @ itself
  [/(:\/\/)(?!\[redacted\]@)[^\s/"'?#\\<>]+@/g, `$1${mask}@`],
  // JSON Web Tokens
  [new RegExp(`${start}eyJ[A-Za-z0-9_-]{8,}(?:\\.[A-Za-z0-9_.-]+)?`, "g"), mask],
  // Keys known by their own prefix (partly starred out too, as OpenAI echoes them)
  [
    new RegExp(
      `${start}(?:(?:sk|pk|rk|gsk|xai|pplx|hf|tgp|fw|nvapi|csk|r8|ghp|gho|ghs|glpat)[-_.]${looksRandom}` +
        "|(?:AIza|ya29|AKIA|ASIA)(?=[A-Za-z0-9*\\-_.]{12}))[A-Za-z0-9*\\-_.]+",
      "g"
    ),
    mask
  ],
  [/\bgithub_pat_[A-Za-z0-9_]{6,}/g, mask]
]

const clippedMark = /… \(\d{1,12} more characters\)$/

/** Splits off what an earlier {@link excerpt} put at the end, which is not part of the text. */
const withoutMark = (text: string): readonly [body: string, mark: string] => {
  const found = clippedMark.exec(text.slice(-40))
  return found === null ? [text, ""] : [text.slice(0, text.length - found[0].length), found[0]]
}

const redactForms = (text: string): string =>
  rules.reduce((kept, [pattern, by]) => kept.replace(pattern, by), redactNamed(text))

/** Whether a text shows by itself that a credential stands in it: by its form, or by a name before it. */
export const showsCredential = (text: string): boolean => redactForms(text) !== text

/** The text with every credential in it replaced by `[redacted]`. Applying it twice changes nothing more. */
export const redact = (text: string): string => {
  const [body, mark] = withoutMark(text)
  return redactForms(hideRemembered(body)) + mark
}

/** How much of a body or a cause an error keeps, in UTF-16 units. */
export const excerptLength = 2_000

/** What is redacted beyond the part that is kept, so that a key cut in two there is never in the part that is shown. */
const margin = 1_024

/** Cuts at `length`, but neither in the middle of a surrogate pair, which JSON cannot carry, nor of a mask. */
const cut = (text: string, length: number): string => {
  if (length >= text.length) return text
  const masked = text.indexOf(mask, Math.max(0, length - mask.length + 1))
  if (masked !== -1 && masked < length) return text.slice(0, masked + mask.length)
  const last = text.charCodeAt(length - 1)
  return text.slice(0, last >= 0xd800 && last <= 0xdbff ? length - 1 : length)
}

/**
 * Redacts, then clips to `max` characters (a mask at the end is kept whole) and says how much is missing. Applying it
 * twice changes nothing more.
 */
export const excerpt = (text: string, max = excerptLength): string => {
  const [body, mark] = withoutMark(text)
  const reach = max * 4 + margin
  const safe = redact(body.slice(0, reach))
  const beyond = Math.max(0, body.length - reach)
  const whole = beyond === 0 || safe.endsWith(mask)
  const kept = cut(safe, Math.min(whole ? safe.length : Math.max(0, safe.length - margin), max))
  const missing = safe.length - kept.length + beyond
  // Cut in two, what stands before a mask ("Basic [redacted]") may look like a credential itself.
  return missing <= 0 ? kept + mark : `${redact(kept)}… (${missing} more characters)`
}

/** What is kept of somebody else's error: words only, never the object, which may hold a request with its headers. */
export interface CauseInfo {
  readonly name: string
  readonly message: string
  readonly code?: string | undefined
}

/** A property of a foreign object, whose getters may throw. */
export const property = (value: object, name: PropertyKey): unknown => {
  try {
    return Reflect.get(value, name)
  } catch {
    return undefined
  }
}

/** A property that is a text with something in it. */
export const textProperty = (value: object, name: string): string | undefined => {
  const found = property(value, name)
  return typeof found === "string" && found !== "" ? found : undefined
}

const maximumDepth = 5
const shortLength = 100

/** What is underneath: `cause`, the `error` of an Effect cause, or the first of the `errors` of an `AggregateError`. */
const beneath = (value: object): unknown => {
  const errors = property(value, "errors")
  return property(value, "cause") ?? property(value, "error") ??
    (typeof errors === "object" && errors !== null ? property(errors, 0) : undefined)
}

/** Describes any thrown or failed value, following `cause` at most five levels down. */
export const describeCause = (cause: unknown): CauseInfo => {
  if ((typeof cause !== "object" && typeof cause !== "function") || cause === null) {
    return { name: typeof cause, message: excerpt(String(cause)) }
  }
  const messages: Array<string> = []
  let code: string | undefined
  let current: unknown = cause
  for (let depth = 0; depth < maximumDepth && typeof current === "object" && current !== null; depth++) {
    const message = textProperty(current, "message")
    if (message !== undefined && !messages.includes(message)) messages.push(message)
    code = textProperty(current, "code") ?? code
    current = beneath(current)
  }
  if (typeof current === "string" && current !== "") messages.push(current)
  const name = excerpt(textProperty(cause, "_tag") ?? textProperty(cause, "name") ?? "Error", shortLength)
  const message = excerpt(messages.length === 0 ? name : messages.map((each) => excerpt(each)).join(": "))
  return code === undefined ? { name, message } : { name, message, code: excerpt(code, shortLength) }
}

/**
 * What JSON leaves as it is though it is no letter: further control characters, line and paragraph separators, the marks
 * that turn the direction of writing, characters without width. With them a server could write lines of a log that look
 * like somebody else's.
 */
const hidden =
  "\\u007f-\\u009f\\u00ad\\u061c\\u180e\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u2069\\ufeff\\ufff9-\\ufffb" +
  "\\u{e0000}-\\u{e007f}"

const hiddenInQuotes = new RegExp(`[${hidden}]`, "gu")

/** The same with line breaks and the control characters that escape sequences begin with. */
const hiddenInText = new RegExp(`[\\u0000-\\u001f${hidden}]`, "gu")

const written: { readonly [character: string]: string } = { "\n": "\\n", "\r": "\\r", "\t": "\\t" }

const codeOf = (character: string): string => {
  const code = (character.codePointAt(0) ?? 0).toString(16)
  return code.length > 4 ? `\\u{${code}}` : `\\u${code.padStart(4, "0")}`
}

/** The same text, with `\u202e` where that character stood. Texts without such characters are given back as they are. */
export const visible = (text: string): string =>
  text.replace(hiddenInText, (character) => written[character] ?? codeOf(character))

/** The same of a text that is yet to be put in quotes by something that spells line breaks and the like, as JSON does. */
export const visibleInQuotes = (text: string): string => text.replace(hiddenInQuotes, codeOf)

/** The same of a text of several lines that we have broken ourselves. */
export const visibleLines = (lines: ReadonlyArray<string>): string => lines.map(visible).join("\n")
