/** The options of OpenAiChat that other providers do not have, and OpenAI's own words for those that all have. */
import type * as options from "./options.ts"

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

export const variableNames = { apiKey: ["OPENAI_API_KEY"], baseUrl: "OPENAI_BASE_URL", model: "OPENAI_MODEL" } as const

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
