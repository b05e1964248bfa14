import { describe, expect, it } from "@effect/vitest"
import { asNumbers } from "../../src/internal/exclusiveBounds.ts"

describe("exclusive bounds of draft 4", () => {
  it.each([
    [{ minimum: 1, exclusiveMinimum: true }, { exclusiveMinimum: 1 }],
    [{ minimum: 1, exclusiveMinimum: false }, { minimum: 1 }],
    [{ maximum: 5, exclusiveMaximum: true, minimum: 1 }, { exclusiveMaximum: 5, minimum: 1 }],
    [{ minimum: 0, exclusiveMinimum: true, maximum: 9, exclusiveMaximum: true }, {
      exclusiveMinimum: 0,
      exclusiveMaximum: 9
    }],
    [{ type: "integer", exclusiveMinimum: true }, { type: "integer" }],
    [{ minimum: 1, exclusiveMinimum: 3 }, { minimum: 1, exclusiveMinimum: 3 }]
  ])("%j is now %j", (then, now) => expect(asNumbers(then)).toStrictEqual(now))
})
