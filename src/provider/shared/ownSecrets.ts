/**
 * Keeps the credentials that we sent ourselves out of the errors that come back. The redaction of `internal/redact` knows
 * keys by their form; a gateway's or a self-hosted server's key may have none, and some servers repeat what they got.
 */
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import * as ModelError from "../../error/ModelError.ts"
import { isSecretHeader, mask } from "../../internal/redact.ts"

/** Shorter ones ("none", "EMPTY", "ollama") guard nothing, and would be found in ordinary words. */
const shortest = 8

const scheme = /^(?:bearer|basic|token|negotiate)\s+/i

/** The credentials in the headers of a request, in the spellings in which a reply may repeat them, the longest first. */
const spellings = (
  headers: { readonly [name: string]: string },
  secretHeaders: ReadonlyArray<string>
): ReadonlyArray<string> => {
  const secrets = Object.entries(headers)
    .filter(([name]) => secretHeaders.includes(name) || isSecretHeader(name))
    .map(([, value]) => value.trim().replace(scheme, ""))
    .filter((secret) => secret.length >= shortest)
  const all = secrets.flatMap((secret) => [secret, encodeURIComponent(secret), JSON.stringify(secret).slice(1, -1)])
  return [...new Set(all)].sort((left, right) => right.length - left.length)
}

/** What a clip leaves behind a text: the start of a key may stand before it. */
const clips = /… \(\d{1,12} more characters\)|$/g

/** How much of the secret's start stands before `end`; less than {@link shortest} is an accident. */
const cutLength = (text: string, end: number, secret: string): number => {
  for (let length = Math.min(secret.length - 1, end); length >= shortest; length--) {
    if (text.endsWith(secret.slice(0, length), end)) return length
  }
  return 0
}

/** Without the secret, also where a clip has cut it in two. */
const withoutSecret = (text: string, secret: string): string => {
  const whole = text.replaceAll(secret, mask)
  let kept = ""
  let from = 0
  for (const { 0: clip, index } of whole.matchAll(clips)) {
    const cut = cutLength(whole, index, secret)
    kept += whole.slice(from, index - cut) + (cut === 0 ? "" : mask) + clip
    from = index + clip.length
  }
  return kept
}

const hidden = (value: unknown, secrets: ReadonlyArray<string>): unknown => {
  if (typeof value === "string") return secrets.reduce(withoutSecret, value)
  if (Array.isArray(value)) return value.map((each) => hidden(each, secrets))
  return typeof value === "object" && value !== null
    ? Object.fromEntries(Object.entries(value).map(([name, each]) => [name, hidden(each, secrets)]))
    : value
}

/** Gives an error back as it is, or, where it repeats a credential of the request, the same error without it. */
export const hiding = (
  headers: { readonly [name: string]: string },
  secretHeaders: ReadonlyArray<string>
): (error: ModelError.ModelError) => ModelError.ModelError => {
  const secrets = spellings(headers, secretHeaders)
  return (error) => {
    const wire: unknown = Schema.encodeSync(ModelError.ModelError)(error)
    const safe = hidden(wire, secrets)
    return JSON.stringify(safe) === JSON.stringify(wire)
      ? error
      : Either.getOrElse(Schema.decodeUnknownEither(ModelError.ModelError)(safe), () => error)
  }
}
