import { describe, expect, it } from "@effect/vitest"
import * as ModelError from "../../src/error/ModelError.ts"
import { visible } from "../../src/internal/redact.ts"

describe("foreign text", () => {
  it("shows what a log or a terminal would take for more than text", () => {
    expect(visible("a\r\nINFO b\u001b[31m\u202e\u0000\u200b")).toBe("a\\r\\nINFO b\\u001b[31m\\u202e\\u0000\\u200b")
    expect(visible("Ünïcode 你好 👩")).toBe("Ünïcode 你好 👩")
  })

  it("is shown so in the message of an error", () => {
    const error = new ModelError.ServerError({
      provider: "p",
      requestId: "r\nFATAL",
      detail: "one\ntwo\u001b[2J",
      cause: { name: "Error", message: "a\u2028b" }
    })
    expect([...error.message].filter((character) => character < " " || character === "\u2028")).toEqual([])
    expect(error.message).toContain("one\\ntwo")
  })
})
