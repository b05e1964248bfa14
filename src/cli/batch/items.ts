/** The lines of the input, and the requests that they are. */
import * as Schema from "effect/Schema"
import { definedFields } from "../../internal/record.ts"
import type * as LanguageModel from "../../model/LanguageModel.ts"
import * as Prompt from "../../model/Prompt.ts"

const Fields = Schema.Struct({
  /** Goes into the results as it is. */
  id: Schema.optional(Schema.Union(Schema.String, Schema.Number)),
  prompt: Schema.NonEmptyString,
  system: Schema.optional(Schema.String),
  maxOutputTokens: Schema.optional(Schema.Int.pipe(Schema.positive())),
  temperature: Schema.optional(Schema.NonNegative)
})

/** A line: the prompt as a text, or an object with it. Other fields of an object are left alone. */
export const Line = Schema.Union(Schema.NonEmptyString, Fields)

export type Line = typeof Line.Type

export interface Usual {
  readonly system: string | undefined
  readonly maxOutputTokens: number | undefined
}

export const idOf = (line: Line): string | number | undefined => typeof line === "string" ? undefined : line.id

/** What a line does not say is as the flags say. */
export const requestOf = (line: Line, usual: Usual): LanguageModel.Request => {
  const { prompt, temperature, ...given } = typeof line === "string" ? { prompt: line, temperature: undefined } : line
  const { maxOutputTokens = usual.maxOutputTokens, system = usual.system } = { ...usual, ...definedFields(given) }
  return {
    prompt: Prompt.make([...(system === undefined ? [] : [Prompt.system(system)]), Prompt.user(prompt)]),
    ...definedFields({ maxOutputTokens, temperature })
  }
}
