/** Vendors say by its place which tool they refuse a request for; people know it by its name. */
import * as ModelError from "../../error/ModelError.ts"
import type * as LanguageModel from "../../model/LanguageModel.ts"

/** Anthropic's `tools.3.custom.input_schema`, OpenAI's `tools[3].function`, Gemini's `tools[0].function_declarations[3]`. */
const place = /\btools?(?:\[|\.)(\d{1,4})\b/i
const nestedPlace = /\bfunction_?declarations(?:\[|\.)(\d{1,4})\b/i

/** The tool that the words of a refusal are about, by its place in the request. */
const toolIn = (words: string, names: ReadonlyArray<string>): string | undefined => {
  const match = nestedPlace.exec(words) ?? place.exec(words)
  return match === null ? undefined : names[Number(match[1])]
}

/** The same refusal with the name of the tool in its remedy, where it is about one tool that the caller gave. */
export const namingTool =
  <E extends ModelError.ModelError>({ providerOptions, tools }: LanguageModel.Request) =>
  (error: E): E | ModelError.InvalidRequest => {
    if (error._tag !== "InvalidRequest" || error.status === undefined || error.remedy !== undefined) return error
    // Tools that stand in the provider's own options would shift the places.
    if (tools === undefined || providerOptions?.["tools"] !== undefined) return error
    const words = `${error.param ?? ""} ${error.detail ?? ""}`
    const name = toolIn(words, tools.definitions.map((definition) => definition.name))
    return name === undefined ? error : new ModelError.InvalidRequest({
      ...error,
      remedy: `It is about the tool ${JSON.stringify(name)}: change its schema, or leave the tool out.`
    })
  }
