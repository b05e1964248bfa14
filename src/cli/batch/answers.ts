/** What a call gives, as the journal and the file of results keep it, and the calls that give it. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { InvalidOptions } from "../../error/InvalidOptions.ts"
import * as LanguageModel from "../../model/LanguageModel.ts"
import type { Response } from "../../model/Response.ts"
import { Usage } from "../../model/Usage.ts"
import * as GenerateObject from "../../resilience/GenerateObject.ts"

export const Answer = Schema.Struct({
  text: Schema.optional(Schema.String),
  /** With a schema: what the model wrote, decoded. */
  value: Schema.optional(Schema.Unknown),
  model: Schema.String,
  finishReason: Schema.String,
  usage: Usage
})

export type Answer = typeof Answer.Type

export const ofResponse = (response: Response): Answer => ({
  text: response.text,
  model: response.model,
  finishReason: response.finishReason,
  usage: response.usage
})

/** How a request is asked: for free text, or for a value of a schema. */
export const ask = (
  model: LanguageModel.Service,
  schema: Schema.Schema.AnyNoContext | undefined
): (request: LanguageModel.Request) => Effect.Effect<Answer, GenerateObject.Failure | InvalidOptions> => {
  if (schema === undefined) return (request) => Effect.map(model.generate(request), ofResponse)
  return ({ tools: _tools, ...request }) =>
    GenerateObject.call({ ...request, output: { name: "answer", schema } }).pipe(
      Effect.map(({ response, usage, value }): Answer => ({
        value,
        model: response.model,
        finishReason: response.finishReason,
        usage
      })),
      Effect.provideService(LanguageModel.LanguageModel, model)
    )
}
