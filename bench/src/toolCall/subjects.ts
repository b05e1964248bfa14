/** One tool call of six fields, valid, from its text to typed arguments. Everybody refuses what the schema does not know. */
import { safeParseJSON, zodSchema } from "@ai-sdk/provider-utils"
import { Ajv } from "ajv"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import * as z from "zod"
import * as Tool from "../../../src/model/Tool.ts"
import * as ToolCall from "../../../src/model/ToolCall.ts"
import * as Toolkit from "../../../src/model/Toolkit.ts"
import type { Sequence } from "../measure.ts"

const text = JSON.stringify({
  city: "São Paulo",
  days: 3,
  unit: "celsius",
  hourly: true,
  tags: ["wind", "rain"],
  place: { lat: -23.55, lon: -46.63 }
})

const parameters = Schema.Struct({
  city: Schema.String,
  days: Schema.Int,
  unit: Schema.Literal("celsius", "fahrenheit"),
  hourly: Schema.Boolean,
  tags: Schema.Array(Schema.String),
  place: Schema.Struct({ lat: Schema.Number, lon: Schema.Number })
})

const zodParameters = z.strictObject({
  city: z.string(),
  days: z.int(),
  unit: z.enum(["celsius", "fahrenheit"]),
  hourly: z.boolean(),
  tags: z.array(z.string()),
  place: z.strictObject({ lat: z.number(), lon: z.number() })
})

const jsonParameters = {
  type: "object",
  properties: {
    city: { type: "string" },
    days: { type: "integer" },
    unit: { enum: ["celsius", "fahrenheit"] },
    hourly: { type: "boolean" },
    tags: { type: "array", items: { type: "string" } },
    place: {
      type: "object",
      properties: { lat: { type: "number" }, lon: { type: "number" } },
      required: ["lat", "lon"],
      additionalProperties: false
    }
  },
  required: ["city", "days", "unit", "hourly", "tags", "place"],
  additionalProperties: false
}

const check = (isGood: boolean): void => {
  if (!isGood) throw new Error("a valid call was refused")
}

const repeat = (once: () => boolean): Sequence => (calls) => {
  for (let i = 0; i < calls; i++) check(once())
  return Promise.resolve()
}

const strictly = { errors: "all", onExcessProperty: "error" } as const

export const calls: { readonly [name: string]: () => Sequence | Promise<Sequence> } = {
  "toolCall ours": async () => {
    const tool = Tool.make("weather", { parameters })
    const others = ["search", "read_file", "write_file"].map((name) => Tool.make(name, { parameters }))
    const toolkit = await Effect.runPromise(Toolkit.make(tool, ...others))
    const call = { _tag: "ToolCall", id: "call_1", name: "weather", arguments: text } as const
    return repeat(() => Either.isRight(ToolCall.decodeOne(toolkit, call, "tool-calls")))
  },
  "toolCall JSON.parse + Schema": () => {
    const decode = Schema.decodeUnknownEither(parameters, strictly)
    return repeat(() => Either.isRight(decode(JSON.parse(text))))
  },
  "toolCall JSON.parse": () => repeat(() => JSON.parse(text) !== null),
  "toolCall JSON.parse + zod": () => repeat(() => zodParameters.safeParse(JSON.parse(text)).success),
  "toolCall JSON.parse + ajv": () => {
    const validate = new Ajv({ allErrors: true }).compile(jsonParameters)
    return repeat(() => validate(JSON.parse(text)))
  },
  // What `ai` does with each call of a reply: safeParseJSON with the tool's schema.
  "toolCall AI SDK with zod": () => {
    const schema = zodSchema(zodParameters)
    return async (count) => {
      for (let i = 0; i < count; i++) check((await safeParseJSON({ text, schema })).success)
    }
  }
}
