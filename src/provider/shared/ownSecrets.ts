/**
 * Which texts of a request are credentials. They are remembered (`internal/secrets`) before the request is sent, so that
 * nothing that is made of its reply can show them: the redaction of `internal/redact` knows keys by their form and by their
 * names, a gateway's or a self-hosted server's key may have neither, and some servers repeat what they got.
 */
import { isRecord } from "../../internal/record.ts"
import { isSecretHeader, isSecretName } from "../../internal/redact.ts"
import { remember } from "../../internal/secrets.ts"

type Headers = { readonly [name: string]: string }

const scheme = /^(?:bearer|basic|token|digest|negotiate)\s+/i

/** A key may stand under any name. What looks like one is long and has both letters and digits, and no blanks. */
const looksLikeKey = (value: string): boolean =>
  value.length >= 16 && /^[\x21-\x7e]+$/.test(value) && /\d/.test(value) && /[a-z]/i.test(value)

/** What a header or a parameter of this name holds is no secret, and an error is worse without it. */
const publicName = new RegExp(
  "(?:^|[-_])(?:accept|agent|alt|beta|content|correlation|date|deployment|host|id|idempotency|model|organization|origin|" +
    "project|referer|region|team|tenant|title|traceparent|tracestate|user|version|b3|url)(?:[-_]|$)",
  "i"
)

/** `user:password` in base64: some servers repeat the password alone. */
const basicOf = (value: string): ReadonlyArray<string> => {
  try {
    const decoded = atob(value)
    return decoded.includes(":") ? [decoded, decoded.slice(decoded.indexOf(":") + 1)] : []
  } catch {
    return []
  }
}

/** A header's value without its scheme, and the parts of it that are credentials by themselves. */
const partsOf = (name: string, value: string): ReadonlyArray<string> => {
  const text = value.trim()
  const bare = text.replace(scheme, "")
  return /^basic\s/i.test(text)
    ? [bare, ...basicOf(bare)]
    : /cookie/i.test(name)
    ? [bare, ...bare.split(/;\s*/).map((pair) => pair.slice(pair.indexOf("=") + 1))]
    : [bare]
}

/** The credentials in headers; `secretHeaders` are names in lower case of those that are secret whatever they are called. */
export const ofHeaders = (headers: Headers, secretHeaders: ReadonlyArray<string>): ReadonlyArray<string> =>
  Object.entries(headers).flatMap(([name, value]) =>
    secretHeaders.includes(name) || isSecretHeader(name) || (!publicName.test(name) && looksLikeKey(value))
      ? partsOf(name, value)
      : []
  )

/** Whether the value of a parameter of an address may be shown. */
export const isPublicParameter = (name: string): boolean => publicName.test(name) && !isSecretHeader(name)

/** The credentials in the query of an address. */
export const ofAddress = (address: string): ReadonlyArray<string> =>
  address.includes("?")
    ? [...new URL(address).searchParams].flatMap(([name, value]) =>
      isSecretHeader(name) || (!isPublicParameter(name) && looksLikeKey(value)) ? [value] : []
    )
    : []

/** How deep the options of a request are looked through; a circle ends there. */
const deepest = 8

/** The credentials among the options of a request, such as that of a remote tool server: known by the names of their fields. */
export const ofOptions = (options: unknown, depth = 0): ReadonlyArray<string> => {
  if (depth > deepest) return []
  if (Array.isArray(options)) return options.flatMap((each) => ofOptions(each, depth + 1))
  if (!isRecord(options)) return []
  return Object.entries(options).flatMap(([name, value]) =>
    typeof value !== "string"
      ? ofOptions(value, depth + 1)
      : isSecretName(name) || isSecretHeader(name)
      ? partsOf(name, value)
      : []
  )
}

/**
 * Remembers what a client has added to the headers on the way, as `HttpClient.mapRequest` does. `sent` are the headers that
 * were given to it.
 */
export const rememberAdded = (headers: Headers, sent: Headers): void => {
  for (const name in headers) {
    const value = headers[name]
    if (value !== undefined && value !== sent[name]) {
      for (const secret of ofHeaders({ [name]: value }, [])) remember(secret)
    }
  }
}

/** Remembers the credentials. */
export const rememberAll = (secrets: ReadonlyArray<string>): void => {
  for (const secret of secrets) remember(secret)
}
