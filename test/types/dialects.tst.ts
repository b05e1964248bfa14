import { describe, expect, it } from "tstyche"
import type * as Response from "../../src/model/Response.ts"
import type * as SchemaDialect from "../../src/model/SchemaDialect.ts"
import type * as Anthropic from "../../src/provider/Anthropic.ts"
import type * as Gemini from "../../src/provider/Gemini.ts"
import type * as OpenAiChat from "../../src/provider/OpenAiChat.ts"
import type * as OpenAiResponses from "../../src/provider/OpenAiResponses.ts"

type Named<Options extends { readonly dialects?: { readonly [K in "tools" | "output"]?: unknown } | undefined }> =
  | NonNullable<Options["dialects"]>["tools"]
  | NonNullable<Options["dialects"]>["output"]

describe("Dialects", () => {
  it("of a provider are those that its vendor knows", () => {
    expect<Named<OpenAiChat.Options>>().type.toBe<"plain" | "openai-strict" | undefined>()
    expect<Named<OpenAiResponses.Options>>().type.toBe<"plain" | "openai-strict" | undefined>()
    expect<Named<Anthropic.Options>>().type.toBe<"plain" | "anthropic" | undefined>()
    expect<Named<Gemini.Options>>().type.toBe<"plain" | "gemini" | undefined>()
  })

  it("of a reply are any", () => {
    expect<Response.Dialects["tools"]>().type.toBe<SchemaDialect.Dialect>()
    expect<SchemaDialect.Dialect>().type.toBe<"plain" | "openai-strict" | "anthropic" | "gemini">()
  })
})
