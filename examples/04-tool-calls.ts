import * as Tool from "effect-llm-resilience/model/Tool"
import * as ToolCall from "effect-llm-resilience/model/ToolCall"
import * as Toolkit from "effect-llm-resilience/model/Toolkit"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"

const Transfer = Tool.make("transfer", {
  parameters: Schema.Struct({ to: Schema.String, amount: Schema.Int, currency: Schema.Literal("EUR", "USD") })
})

const attempts = [
  [`{"to":"bob","amount":12,"currency":"EUR"}`, "tool-calls"],
  [`{"to":"bob","amount":12,"currency":"EUR",} // as asked`, "tool-calls"], // mended, since it can mean only one thing
  [`{"to":"bob","amount":12,"currency":"EUR"}`, "length"], // valid JSON, but the model was cut off: not executed
  [`{"to":"bob","amount":12`, "tool-calls"],
  [`{"to":"bob","amount":1,"amount":1000,"currency":"EUR"}`, "tool-calls"],
  [`{"to":"bob","amount":9007199254740993,"currency":"EUR"}`, "tool-calls"],
  [`{"to":"bob","amount":"12","currency":"yen","urgent":true}`, "tool-calls"]
] as const

const program = Effect.gen(function*() {
  const toolkit = yield* Toolkit.make(Transfer)
  for (const [text, finishReason] of attempts) {
    const call = { _tag: "ToolCall", id: "call_1", name: "transfer", arguments: text } as const
    yield* Console.log(Either.match(ToolCall.decodeOne(toolkit, call, finishReason), {
      onLeft: (error) => `${error._tag}: ${error.message}\n`,
      onRight: (decoded) =>
        `run ${decoded.name} with ${JSON.stringify(decoded.arguments)}, mended: ${
          decoded.repairs.join(", ") || "nothing"
        }\n`
    }))
  }
})

Effect.runPromise(program)
