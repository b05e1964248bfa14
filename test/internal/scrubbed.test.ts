import { describe, expect, it } from "@effect/vitest"
import * as ModelError from "../../src/error/ModelError.ts"
import { fieldsOf } from "../../src/internal/scrubbed.ts"

describe("an error made of another one's fields", () => {
  const error = new ModelError.ConnectionFailed({
    provider: "openai",
    reason: "the connection broke",
    billed: "maybe",
    cause: { name: "SocketError", message: "other side closed", code: "UND_ERR_SOCKET" }
  })

  it("says the same, its cause included", () => {
    const copy = new ModelError.ConnectionFailed(fieldsOf(error))
    expect(copy.message).toBe(error.message)
    expect(copy.cause).toEqual(error.cause)
  })

  it("differs in what is given anew", () => {
    const copy = new ModelError.ConnectionFailed({ ...fieldsOf(error), billed: "no" })
    expect(copy).toMatchObject({ billed: "no", reason: error.reason, cause: error.cause })
  })
})
