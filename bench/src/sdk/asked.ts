/** What is asked, the same for both clients. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Tool from "../../../src/model/Tool.ts"
import * as Toolkit from "../../../src/model/Toolkit.ts"

export interface Asked {
  readonly text: string
  readonly model: string
  readonly apiKey: string
  readonly tools: boolean
}

const Weather = Tool.make("get_weather", {
  description: "The weather in a city",
  parameters: Schema.Struct({ city: Schema.String, unit: Schema.Literal("celsius", "fahrenheit") })
})

const Sum = Tool.make("sum", {
  description: "The sum of numbers",
  parameters: Schema.Struct({ numbers: Schema.Array(Schema.Number), note: Schema.String })
})

const Book = Tool.make("book_table", {
  description: "Books a table",
  parameters: Schema.Struct({
    guests: Schema.Int.pipe(Schema.between(1, 12)),
    contact: Schema.Struct({ name: Schema.String, email: Schema.String }),
    outside: Schema.Boolean
  })
})

export const toolkit = Effect.runSync(Toolkit.make(Weather, Sum, Book))

/** The tools as the SDKs take them. */
export const definitions = toolkit.definitions.map(({ description, name, parameters }) => ({
  name,
  description: description ?? "",
  parameters: { ...parameters, required: [...(parameters.required ?? [])] }
}))
