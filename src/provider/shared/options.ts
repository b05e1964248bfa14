/** Checks the options that all providers have, one by one, and names what is wrong with each. */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { found, InvalidOptions, type Issue } from "../../error/InvalidOptions.ts"
import { describeCause, mask, showsCredential } from "../../internal/redact.ts"
import type { Dialect } from "../../model/SchemaDialect.ts"

/** What every provider uses where its options are silent. */
export const defaults = {
  maxBodyBytes: 16 * 1024 * 1024,
  maxEventBytes: 4 * 1024 * 1024,
  maxToolCalls: 256
} as const

export type GivenHeaders = { readonly [name: string]: string | Redacted.Redacted<string> }

export const smallestBody = 1024

const headerName = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/

/** Visible characters and blanks of Latin-1: what a header can carry. */
const headerValue = /^[\t\x20-\x7e\x80-\xff]*$/

export const hostOf = (baseUrl: string): string | undefined => {
  try {
    return new URL(baseUrl).hostname
  } catch {
    return undefined
  }
}

export const modelIssues = (model: unknown, example: string): ReadonlyArray<Issue> =>
  typeof model === "string" && model.trim() !== "" ? [] : [{
    path: "model",
    // A variable that is not set comes here as an empty text.
    found: model === "" ? "nothing" : found(model),
    allowed: `the name of a model, such as "${example}"`
  }]

/**
 * An address as it may be shown. What stands before an @ may be a name with a password, also where the password holds
 * characters that end it.
 */
const foundAddress = (address: string): string => {
  const at = typeof address === "string" ? address.lastIndexOf("@") : -1
  if (at === -1) return found(address)
  const scheme = /^[a-z][a-z\d+.-]*:\/\//i.exec(address)?.[0] ?? ""
  return found(`${scheme}${mask}${address.slice(at)}`)
}

/** `example` is the vendor's own address, `added` the path that we put behind it. */
export const baseUrlIssues = (
  baseUrl: string,
  vendor: { readonly example: string; readonly added: string }
): ReadonlyArray<Issue> => {
  const issue = (allowed: string): ReadonlyArray<Issue> => [{ path: "baseUrl", found: foundAddress(baseUrl), allowed }]
  let url: URL
  try {
    url = new URL(baseUrl)
  } catch {
    return issue(`an absolute address such as "${vendor.example}"`)
  }
  if (url.protocol !== "https:" && url.protocol !== "http:") {
    return issue(`an address that starts with https:// or http://, such as "${vendor.example}"`)
  }
  if (url.username !== "" || url.password !== "" || showsCredential(baseUrl)) {
    return issue("an address without credentials; give the key as apiKey, or as a Redacted header")
  }
  return url.pathname.replace(/(?<!\/)\/+$/, "").endsWith(vendor.added)
    ? issue(`the address without ${vendor.added}, which is added to it`)
    : []
}

/** `remedy` is told where the key is missing although `isNeeded`. */
export const keyIssues = (
  key: Redacted.Redacted<string> | undefined,
  vendor: { readonly isNeeded: boolean; readonly remedy: string }
): ReadonlyArray<Issue> => {
  if (key === undefined) {
    return vendor.isNeeded ? [{ path: "apiKey", found: "nothing", allowed: vendor.remedy }] : []
  }
  // A plain string is possible from JavaScript.
  if (!Redacted.isRedacted(key)) {
    return [{ path: "apiKey", found: "a value that is not Redacted", allowed: "the key wrapped with Redacted.make" }]
  }
  const value: unknown = Redacted.value(key)
  return typeof value === "string" && /^[\x21-\x7e]+$/.test(value) ? [] : [{
    path: "apiKey",
    found: typeof value === "string" && value.trim() === "" ? "a blank text" : "<redacted>, with characters no key has",
    allowed: "the key alone: visible ASCII characters, no blanks, line breaks or quotes of a copied line"
  }]
}

export const textIssues = (path: string, value: string | undefined): ReadonlyArray<Issue> =>
  value === undefined || (value.trim() !== "" && headerValue.test(value))
    ? []
    : [{ path, found: found(value), allowed: "text that is not blank, without line breaks" }]

const ownHeaders = new Set(["content-length", "content-type", "host", "transfer-encoding", "connection"])

/** Any header may hold a key, so its value is never shown. */
const shapeOf = (value: unknown): string =>
  Redacted.isRedacted(value)
    ? "<redacted>"
    : typeof value === "string"
    ? `a text of ${value.length} characters`
    : value === null || value === undefined
    ? found(value)
    : `a value of type ${typeof value}`

export const headerIssues = (headers: GivenHeaders | undefined): ReadonlyArray<Issue> =>
  Object.entries(headers ?? {}).flatMap(([name, value]) => {
    const path = `headers.${name}`
    if (!headerName.test(name)) return [{ path, found: found(name), allowed: "the name of a header, such as x-team" }]
    if (ownHeaders.has(name.toLowerCase())) {
      return [{ path, found: shapeOf(value), allowed: "any other header: this one is set by the client" }]
    }
    const text: unknown = Redacted.isRedacted(value) ? Redacted.value(value) : value
    return typeof text === "string" && headerValue.test(text)
      ? []
      : [{ path, found: shapeOf(value), allowed: "text of Latin characters without line breaks" }]
  })

export const sizeIssues = (path: string, size: number | undefined): ReadonlyArray<Issue> =>
  size === undefined || (Number.isSafeInteger(size) && size >= smallestBody)
    ? []
    : [{ path, found: found(size), allowed: `a whole number of bytes, ${smallestBody} or more` }]

export const countIssues = (path: string, count: number | undefined, what: string): ReadonlyArray<Issue> =>
  count === undefined || (Number.isSafeInteger(count) && count >= 1)
    ? []
    : [{ path, found: found(count), allowed: `a whole number of ${what}, 1 or more` }]

export const oneOf = (path: string, value: string | undefined, allowed: ReadonlyArray<string>): ReadonlyArray<Issue> =>
  value === undefined || allowed.includes(value)
    ? []
    : [{ path, found: found(value), allowed: allowed.map((name) => JSON.stringify(name)).join(" or ") }]

/** What may be said of dialects. */
export interface GivenDialects {
  readonly tools?: Dialect | undefined
  readonly output?: Dialect | undefined
}

export const dialectIssues = (
  dialects: GivenDialects | undefined,
  known: ReadonlyArray<Dialect>
): ReadonlyArray<Issue> =>
  // A bare name is possible from JavaScript, and would pass for nothing at all.
  dialects === undefined || (typeof dialects === "object" && dialects !== null)
    ? [
      ...oneOf("dialects.tools", dialects?.tools, known),
      ...oneOf("dialects.output", dialects?.output, known),
      ...Object.keys(dialects ?? {}).filter((name) => name !== "tools" && name !== "output").map((name) => ({
        path: `dialects.${name}`,
        found: "an option that is none",
        allowed: "tools and output"
      }))
    ]
    : [{ path: "dialects", found: found(dialects), allowed: "an object with tools, output or both" }]

/** The base URL with a path behind it; its query is kept, and more can be added. */
export const endpoint = (
  baseUrl: string,
  path: string,
  query: { readonly [name: string]: string } = {}
): string => {
  const url = new URL(baseUrl)
  url.pathname = `${url.pathname.replace(/(?<!\/)\/+$/, "")}${path}`
  url.hash = ""
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value)
  return url.href
}

/** The given headers with names in lower case and secrets opened. */
export const openHeaders = (headers: GivenHeaders | undefined): { readonly [name: string]: string } =>
  Object.fromEntries(
    Object.entries(headers ?? {}).map(([name, value]) => [
      name.toLowerCase(),
      Redacted.isRedacted(value) ? Redacted.value(value) : value
    ])
  )

/** The names of the headers that were given as secrets. */
export const secretNames = (headers: GivenHeaders | undefined): ReadonlyArray<string> =>
  Object.entries(headers ?? {}).flatMap(([name, value]) => Redacted.isRedacted(value) ? [name.toLowerCase()] : [])

/** A variable that stands for an option, and how to set it; an empty remedy leaves the issue's own words. */
export interface Variable {
  readonly name: string
  readonly remedy: string
}

/** The same error in the words of someone who sets environment variables. */
export const nameVariables =
  (variables: { readonly [option: string]: Variable }) => (error: InvalidOptions): InvalidOptions =>
    new InvalidOptions({
      module: error.module,
      issues: error.issues.map((issue) => {
        const variable = Object.hasOwn(variables, issue.path) ? variables[issue.path] : undefined
        return variable === undefined
          ? issue
          : { ...issue, path: variable.name, allowed: variable.remedy === "" ? issue.allowed : variable.remedy }
      })
    })

/** A variable that is not set is absent; one that cannot be read is an issue that says why. */
const variable = <A>(name: string, config: Config.Config<A>): Effect.Effect<Option.Option<A>, Issue> =>
  Config.option(config).pipe(
    Effect.mapError((error) => ({ path: name, found: found(describeCause(error).message), allowed: "readable text" }))
  )

/** What the configuration says of the three options that every provider takes from it. */
export interface Configured {
  readonly apiKey: Option.Option<Redacted.Redacted<string>>
  readonly baseUrl: Option.Option<string>
  readonly model: Option.Option<string>
}

/** Reads the vendor's usual variables. Of several names for the key the first that is set counts. */
export const configured = (
  module: string,
  names: { readonly apiKey: ReadonlyArray<string>; readonly baseUrl: string; readonly model: string }
): Effect.Effect<Configured, InvalidOptions> =>
  Effect.all({
    apiKey: Effect.map(
      Effect.all(names.apiKey.map((name) => variable(name, Config.redacted(name)))),
      Option.firstSomeOf
    ),
    baseUrl: variable(names.baseUrl, Config.string(names.baseUrl)),
    model: variable(names.model, Config.string(names.model))
  }, { mode: "validate" }).pipe(
    Effect.mapError((unreadable) =>
      new InvalidOptions({
        module,
        issues: Object.values(unreadable).flatMap((issue) => Option.toArray(issue))
      })
    )
  )
