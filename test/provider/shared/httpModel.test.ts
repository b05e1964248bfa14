import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as ModelError from "../../../src/error/ModelError.ts"
import * as Tool from "../../../src/model/Tool.ts"
import * as Toolkit from "../../../src/model/Toolkit.ts"
import { namingTool } from "../../../src/provider/shared/httpModel.ts"
import { failed } from "../fakeAnthropic.ts"
import { json } from "../fakeOpenAi.ts"

const named = (name: string) => Tool.make(name, { parameters: Schema.Struct({}) })
const tools = Effect.runSync(Toolkit.make(named("first"), named("second")))
const refusal = (given: { readonly param?: string; readonly detail?: string; readonly status?: number }) =>
  namingTool({ prompt: "hi", tools })(new ModelError.InvalidRequest({ provider: "p", status: 400, ...given }))

describe("a request that is refused for one of its tools", () => {
  it.each([
    { detail: "tools.1.custom.input_schema: JSON schema is invalid" },
    { param: "tools[1].function.parameters" },
    { detail: "GenerateContentRequest.tools[0].function_declarations[1].parameters: wrong" }
  ])("names the tool: $detail $param", (given) => {
    expect(refusal(given).message).toContain("It is about the tool \"second\"")
  })

  it.each([{ detail: "tools.7.custom: wrong" }, { detail: "max_tokens: too large" }, { param: "messages.1" }])(
    "names none where it is about none that is known: $detail $param",
    (given) => expect(refusal(given).message).toContain("Change the request.")
  )

  it("keeps what caused it", () => {
    const cause = { name: "Refused", message: "by the gateway" }
    const error = new ModelError.InvalidRequest({ provider: "p", status: 400, param: "tools[1]", cause })
    const renamed = namingTool({ prompt: "hi", tools })(error)
    expect(renamed.cause).toEqual(cause)
    expect(renamed.message).toContain("It is about the tool \"second\"")
  })

  it("does not count where the provider's own options have tools", () => {
    const error = new ModelError.InvalidRequest({ provider: "p", status: 400, param: "tools[1]" })
    expect(namingTool({ prompt: "hi", tools, providerOptions: { tools: [] } })(error)).toBe(error)
  })

  it.effect("comes out of a provider with the name", () =>
    Effect.gen(function*() {
      const body = {
        type: "error",
        error: { type: "invalid_request_error", message: "tools.0.custom.input_schema: JSON schema is invalid" }
      }
      const error = yield* failed(() => json(body, { status: 400 }), { prompt: "hi", tools })
      expect(error._tag).toBe("InvalidRequest")
      expect(error.message).toContain("It is about the tool \"first\"")
    }))
})
