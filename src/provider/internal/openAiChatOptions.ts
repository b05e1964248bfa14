/** Checks the options of OpenAiChat, one by one, and names what is wrong with each. */
import * as Redacted from "effect/Redacted"
import { found, InvalidOptions, type Issue } from "../../error/InvalidOptions.ts"
import { redact } from "../../internal/redact.ts"
import type { Dialect } from "./openAiChatWire.ts"

export const defaults = {
  baseUrl: "https://api.openai.com/v1",
  provider: "openai",
  maxBodyBytes: 16 * 1024 * 1024,
  reasoningField: "none"
} as const

type GivenHeaders = { readonly [name: string]: string | Redacted.Redacted<string> }

/** Options that work. */
export interface Settings {
  readonly model: string
  readonly provider: string
  readonly url: string
  /** Names in lower case, the key included. */
  readonly headers: { readonly [name: string]: string }
  readonly secretHeaders: ReadonlyArray<string>
  readonly maxBodyBytes: number
  readonly dialect: Dialect
}

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

/** OpenAI itself and Azure, which serves OpenAI's own models. */
export const isOpenAi = (host: string | undefined): boolean =>
  host !== undefined && (host === "api.openai.com" || host.endsWith(".api.openai.com") ||
    /\.(openai|cognitiveservices|services\.ai)\.azure\.(com|us|cn)$/.test(host))

export const baseUrlIssues = (baseUrl: string): ReadonlyArray<Issue> => {
  const issue = (allowed: string): ReadonlyArray<Issue> => [{ path: "baseUrl", found: found(baseUrl), allowed }]
  let url: URL
  try {
    url = new URL(baseUrl)
  } catch {
    return issue(`an absolute address such as "${defaults.baseUrl}"`)
  }
  if (url.protocol !== "https:" && url.protocol !== "http:") {
    return issue(`an address that starts with https:// or http://, such as "${defaults.baseUrl}"`)
  }
  if (url.username !== "" || url.password !== "" || redact(baseUrl) !== baseUrl) {
    return issue("an address without credentials; give the key as apiKey, or as a Redacted header")
  }
  return url.pathname.endsWith("/chat/completions")
    ? issue("the address without /chat/completions, which is added to it")
    : []
}

export const keyIssues = (
  key: Redacted.Redacted<string> | undefined,
  host: string | undefined
): ReadonlyArray<Issue> => {
  if (key === undefined) {
    return host !== "api.openai.com" ? [] : [{
      path: "apiKey",
      found: "nothing",
      allowed: "a key of https://platform.openai.com/api-keys, as Redacted; or the baseUrl of a server that needs none"
    }]
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

export const headerIssues = (headers: GivenHeaders | undefined): ReadonlyArray<Issue> =>
  Object.entries(headers ?? {}).flatMap(([name, value]) => {
    const path = `headers.${name}`
    if (!headerName.test(name)) return [{ path, found: found(name), allowed: "the name of a header, such as x-team" }]
    if (ownHeaders.has(name.toLowerCase())) {
      return [{ path, found: found(value), allowed: "any other header: this one is set by the client" }]
    }
    const text: unknown = Redacted.isRedacted(value) ? Redacted.value(value) : value
    return typeof text === "string" && headerValue.test(text)
      ? []
      : [{ path, found: found(value), allowed: "text of Latin characters without line breaks" }]
  })

export const oneOf = (path: string, value: string | undefined, allowed: ReadonlyArray<string>): ReadonlyArray<Issue> =>
  value === undefined || allowed.includes(value)
    ? []
    : [{ path, found: found(value), allowed: allowed.map((name) => JSON.stringify(name)).join(" or ") }]

/** Where requests go. */
export const endpoint = (baseUrl: string): string => {
  const url = new URL(baseUrl)
  url.pathname = `${url.pathname.replace(/\/+$/, "")}/chat/completions`
  url.hash = ""
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

const variables: ReadonlyMap<string, { readonly name: string; readonly remedy: string }> = new Map([
  ["apiKey", {
    name: "OPENAI_API_KEY",
    remedy:
      "the environment variable set to a key of https://platform.openai.com/api-keys, without blanks or line breaks; or OPENAI_BASE_URL set to a server that needs no key"
  }],
  ["baseUrl", { name: "OPENAI_BASE_URL", remedy: "" }],
  ["model", {
    name: "OPENAI_MODEL",
    remedy: "the environment variable set to the name of a model, such as gpt-4o-mini; or the option model"
  }]
])

/** The same error in the words of someone who sets environment variables. */
export const nameVariables = (error: InvalidOptions): InvalidOptions =>
  new InvalidOptions({
    module: error.module,
    issues: error.issues.map((issue) => {
      const variable = variables.get(issue.path)
      return variable === undefined
        ? issue
        : { ...issue, path: variable.name, allowed: variable.remedy === "" ? issue.allowed : variable.remedy }
    })
  })
