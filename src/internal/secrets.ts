/**
 * The credentials that this process sends, by value. `redact` knows a key by its form or by the name before it; the key of a
 * gateway or of a server of one's own may have neither, and some servers repeat what they got. Whoever sends a credential
 * remembers it here first, so that every text that is redacted later is free of it, whichever module makes that text, and
 * before anything is clipped.
 *
 * What is kept are texts that the options of the providers hold anyway, the {@link most} that were used last.
 */

/** What stands in place of a credential. */
export const mask = "[redacted]"

/** Shorter ones ("none", "EMPTY", "ollama") guard nothing, and would be found in ordinary words. */
const shortest = 8

/** What people write where a server wants a key and looks at none. */
const placeholder =
  /^(?:sk-)?(?:no-?key(?:-required|-needed)?|not-?(?:needed|required|used)|(?:dummy|empty|fake|none|unused)(?:-?key)?|placeholder|lm-?studio|(?:your|my)-?api-?key|undefined|change-?me)$/i

/** How many are kept: more than the keys that one process has in flight, few enough to be looked for in every text. */
const most = 1_024

/** The spellings of each credential; the credential that was used last is the last one. */
const known = new Map<string, ReadonlyArray<string>>()

/** All spellings, the longest first: one may be a part of another. Made again when a credential comes or goes. */
let allSpellings: ReadonlyArray<string> | undefined = []

/** A text as it may be repeated: in an address, in a form, in JSON, in JSON inside of JSON, in HTML. */
const spellingsOf = (secret: string): ReadonlyArray<string> => {
  const inJson = JSON.stringify(secret).slice(1, -1)
  const inAddress = encodeURIComponent(secret)
  const inHtml = secret.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;").replace(/"/g, "&quot;")
  const all = [
    secret,
    inAddress,
    inAddress.replace(/%[0-9A-F]{2}/g, (code) => code.toLowerCase()),
    inAddress.replace(/%20/g, "+"),
    inJson,
    JSON.stringify(inJson).slice(1, -1),
    inJson.replace(/\//g, "\\/"),
    inHtml,
    inHtml.replace(/'/g, "&#39;")
  ]
  return [...new Set(all)]
}

/** Remembers a credential that is about to be sent. One that is too short or only stands in for a key is none. */
export const remember = (secret: string): void => {
  if (secret.length < shortest || placeholder.test(secret) || mask.includes(secret)) return
  const spellings = known.get(secret)
  if (spellings !== undefined) {
    known.delete(secret)
    known.set(secret, spellings)
    return
  }
  known.set(secret, spellingsOf(secret))
  allSpellings = undefined
  if (known.size <= most) return
  const { value: oldest } = known.keys().next()
  if (oldest !== undefined) known.delete(oldest)
}

const spellings = (): ReadonlyArray<string> =>
  allSpellings ??= [...new Set([...known.values()].flat())].sort((left, right) => right.length - left.length)

/** How much of the start of a credential stands at the end of the text. Less than a key is an accident. */
const startLength = (text: string, secret: string): number => {
  if (!secret.includes(text.slice(-shortest))) return 0
  for (let length = Math.min(secret.length - 1, text.length); length >= shortest; length--) {
    if (text.endsWith(secret.slice(0, length))) return length
  }
  return 0
}

/** How much of the end of a credential stands at the start of the text, where an excerpt from the middle may begin. */
const endLength = (text: string, secret: string): number => {
  if (!secret.includes(text.slice(0, shortest))) return 0
  for (let length = Math.min(secret.length - 1, text.length); length >= shortest; length--) {
    if (text.startsWith(secret.slice(-length))) return length
  }
  return 0
}

const longest = (lengthOf: typeof startLength, text: string): number =>
  spellings().reduce((length, secret) => Math.max(length, lengthOf(text, secret)), 0)

/** The text with every remembered credential in it replaced, also one that was cut at an end of the text. */
export const hideRemembered = (text: string): string => {
  if (text.length < shortest) return text
  const whole = spellings().reduce((kept, secret) => kept.replaceAll(secret, mask), text)
  const atEnd = longest(startLength, whole)
  const open = atEnd === 0 ? whole : whole.slice(0, whole.length - atEnd) + mask
  const atStart = longest(endLength, open)
  return atStart === 0 ? open : mask + open.slice(atStart)
}
