import type * as Effect from "effect/Effect"
import type * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import { describe, expect, test } from "tstyche"
import type * as ToolCallError from "../../src/error/ToolCallError.ts"
import type { ToolCallPart } from "../../src/model/Prompt.ts"
import type { FinishReason, Response } from "../../src/model/Response.ts"
import * as Tool from "../../src/model/Tool.ts"
import * as ToolCall from "../../src/model/ToolCall.ts"
import * as Toolkit from "../../src/model/Toolkit.ts"
import type { Usage } from "../../src/model/Usage.ts"

const weather = Tool.make("get_weather", { parameters: Schema.Struct({ city: Schema.String, when: Schema.Date }) })
const now = Tool.make("now", { parameters: Schema.Struct({}) })
const tools = [weather, now] as const
type Tools = typeof tools

declare const toolkit: Toolkit.Toolkit<Tools>
declare const part: ToolCallPart
declare const response: Response

describe("ToolCall", () => {
  test("decodes for a toolkit that was made of the tools", () => {
    expect(Toolkit.make(...tools)).type.toBe<Effect.Effect<typeof toolkit, Toolkit.InvalidToolkit>>()
  })

  test("decodes to a union that is told apart by name", () => {
    const one = ToolCall.decodeOne(toolkit, part, "stop")
    expect(one).type.toBe<Either.Either<ToolCall.Decoded<Tools>, ToolCallError.ToolCallError>>()
    expect(ToolCall.decode(toolkit, response)).type.toBe<
      Either.Either<ReadonlyArray<ToolCall.Decoded<Tools>>, ToolCallError.ToolCallsRejected>
    >()
  })

  test("types the arguments by the name", () => {
    const call = {} as ToolCall.Decoded<Tools>
    expect(call.name).type.toBe<"get_weather" | "now">()
    if (call.name === "get_weather") {
      expect(call.arguments).type.toBe<{ readonly city: string; readonly when: Date }>()
    } else {
      expect(call.arguments).type.toBe<{}>()
    }
  })

  test("wants one of the known finish reasons", () => {
    expect(ToolCall.decodeOne).type.not.toBeCallableWith(toolkit, part, "max_tokens")
  })

  test("carries usage and finish reason of the model layer in its error", () => {
    expect<Usage>().type.toBeAssignableTo<ToolCallError.ToolCallsRejected["usage"]>()
    expect<ToolCallError.ToolCallsRejected["finishReason"]>().type.toBe<FinishReason>()
    expect<ToolCallError.TruncatedArguments["finishReason"]>().type.toBe<FinishReason>()
  })
})
