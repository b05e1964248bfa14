import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as InvalidOptions from "../../src/error/InvalidOptions.ts"
import * as Verdict from "../../src/error/Verdict.ts"
import { redact } from "../../src/internal/redact.ts"

const error = new InvalidOptions.InvalidOptions({
  module: "OpenAiChat",
  issues: [
    { path: "apiKey", found: "nothing", allowed: "a key" },
    { path: "maxBodyBytes", found: "-1", allowed: "a whole number, 1024 or more" }
  ]
})

describe("InvalidOptions", () => {
  it("lists every wrong field, what was found and what is allowed", () => {
    expect(error.message).toBe([
      "OpenAiChat: 2 invalid options",
      "  apiKey (found nothing); allowed: a key",
      "  maxBodyBytes (found -1); allowed: a whole number, 1024 or more"
    ].join("\n"))
  })

  it("stays readable when it is redacted again, as every log does", () => {
    expect(redact(error.message)).toBe(error.message)
  })

  it("is never worth a retry", () => {
    expect(Verdict.of(error).action).toBe("Fail")
  })

  it("crosses process borders", () => {
    const wire: unknown = JSON.parse(JSON.stringify(Schema.encodeSync(InvalidOptions.InvalidOptions)(error)))
    const back = Schema.decodeUnknownSync(InvalidOptions.InvalidOptions)(wire)
    expect(InvalidOptions.isInvalidOptions(back)).toBe(true)
    expect(back.issues).toEqual(error.issues)
  })

  it("shows any value on one line, never a credential", () => {
    const cyclic: Record<string, unknown> = {}
    cyclic["self"] = cyclic
    expect([undefined, null, Number.NaN, -1, "", "a\nb", 1n, true].map(InvalidOptions.found))
      .toEqual(["nothing", "null", "NaN", "-1", "\"\"", "\"a\\nb\"", "1n", "true"])
    expect([Duration.zero, Duration.minutes(90)].map(InvalidOptions.found)).toEqual(["0", "1h 30m"])
    expect(InvalidOptions.found({ a: [1] })).toBe("{\"a\":[1]}")
    expect(InvalidOptions.found(cyclic)).toBe("an object that cannot be written as JSON")
    expect(InvalidOptions.found(() => 1)).toBe("a function")
    expect(InvalidOptions.found(Redacted.make("sk-1234567890"))).toBe("<redacted>")
    expect(InvalidOptions.found({ key: Redacted.make("hush") })).not.toContain("hush")
    expect(InvalidOptions.found("sk-1234567890abcdef1234567890")).not.toContain("1234567890abcdef")
    expect(InvalidOptions.found("x".repeat(10_000)).length).toBeLessThan(200)
  })
})
