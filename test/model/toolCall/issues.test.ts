import { describe, expect, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import { fromParseIssue } from "../../../src/model/toolCall/issues.ts"

const messageOf = (field: Schema.Schema.AnyNoContext, when: unknown) => {
  const read = Schema.decodeUnknownEither(Schema.Struct({ when: field }))({ when })
  return fromParseIssue(Either.getOrThrow(Either.flip(read)).issue).issues.map(({ message }) => message).join()
}

const dates: ReadonlyArray<readonly [name: string, field: Schema.Schema.AnyNoContext, example: string]> = [
  ["Date", Schema.Date, "2026-01-31T09:30:00Z"],
  ["Date or null", Schema.NullOr(Schema.Date), "2026-01-31T09:30:00Z"],
  ["DateTimeUtc", Schema.DateTimeUtc, "2026-01-31T09:30:00Z"],
  ["DateTimeZoned", Schema.DateTimeZoned, "2026-01-31T09:30:00+01:00"]
]

describe("issues of dates", () => {
  it.each(dates)("name ISO 8601 and show an example that is taken: %s", (_, field, example) => {
    const message = messageOf(field, "next tuesday")
    expect(message).toContain("a date and time in ISO 8601")
    expect(message).toContain(JSON.stringify(example))
    expect(message).toContain("\"next tuesday\"")
    expect(message).not.toContain("instance")
    expect(Schema.decodeUnknownEither(field)(example)._tag).toBe("Right")
  })

  it("do not speak of ISO 8601 where a number is wanted", () => {
    expect(messageOf(Schema.DateTimeUtcFromNumber, "next tuesday")).toContain("expected a number")
  })
})
