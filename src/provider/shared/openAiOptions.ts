/** What both protocols of OpenAI share that other providers do not have, and OpenAI's own words for those that all have. */
import * as Redacted from "effect/Redacted"
import type { Issue } from "../../error/InvalidOptions.ts"
import type { Dialects } from "../../model/Response.ts"
import * as options from "./options.ts"

export const baseUrl = "https://api.openai.com/v1"

/** OpenAI itself and Azure, which serves OpenAI's own models. */
export const isOpenAi = (host: string | undefined): boolean =>
  host !== undefined && (host === "api.openai.com" || host.endsWith(".api.openai.com") ||
    /\.(openai|cognitiveservices|services\.ai)\.azure\.(com|us|cn)$/.test(host))

/** OpenAI's own address is the one that nobody can use without a key. */
export const keyRule = (host: string | undefined) => ({
  isNeeded: host === "api.openai.com",
  remedy: "a key of https://platform.openai.com/api-keys, as Redacted; or the baseUrl of a server that needs none"
})

/** The defaults of OpenAI's own addresses. Others speak the same protocol, and know strict schemas or do not. */
export const ownDialects = { tools: "plain", output: "openai-strict" } as const

export const dialects = {
  known: ["plain", "openai-strict"],
  usual: (host: string | undefined): Dialects => isOpenAi(host) ? ownDialects : { tools: "plain", output: "plain" }
} as const

export const variableNames = { apiKey: ["OPENAI_API_KEY"], baseUrl: "OPENAI_BASE_URL", model: "OPENAI_MODEL" } as const

/** The options that both of OpenAI's protocols have. */
interface Own {
  readonly apiKey?: Redacted.Redacted<string> | undefined
  readonly organization?: string | undefined
  readonly project?: string | undefined
}

export const ownIssues = ({ organization, project }: Own): ReadonlyArray<Issue> => [
  ...options.textIssues("organization", organization),
  ...options.textIssues("project", project)
]

export const headers = ({ apiKey, organization, project }: Own): { readonly [name: string]: string } => ({
  ...(apiKey === undefined ? {} : { authorization: `Bearer ${Redacted.value(apiKey)}` }),
  ...(organization === undefined ? {} : { "openai-organization": organization }),
  ...(project === undefined ? {} : { "openai-project": project })
})

/** How to set what an option stands for. */
export const variables: { readonly [option: string]: options.Variable } = {
  apiKey: {
    name: "OPENAI_API_KEY",
    remedy:
      "the environment variable set to a key of https://platform.openai.com/api-keys, without blanks or line breaks; or OPENAI_BASE_URL set to a server that needs no key"
  },
  baseUrl: { name: "OPENAI_BASE_URL", remedy: "" },
  model: {
    name: "OPENAI_MODEL",
    remedy: "the environment variable set to the name of a model, such as gpt-4o-mini; or the option model"
  }
}
