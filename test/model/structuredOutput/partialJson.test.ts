import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import * as Option from "effect/Option"
import { partial } from "../../../src/model/structuredOutput/partialJson.ts"

const shown = (text: string) => Option.getOrElse(partial(text), () => "nothing")

/** Whether a value can still become another by growing: the law of what is shown. */
const growsInto = (part: unknown, whole: unknown): boolean => {
  if (typeof part === "string" && typeof whole === "string") return whole.startsWith(part)
  if (Array.isArray(part) && Array.isArray(whole)) return part.every((item, index) => growsInto(item, whole[index]))
  if (typeof part === "object" && part !== null && typeof whole === "object" && whole !== null) {
    const known = new Map(Object.entries(whole))
    return Object.entries(part).every(([key, value]) => known.has(key) && growsInto(value, known.get(key)))
  }
  return Object.is(part, whole)
}

describe("what can be shown of a document that is still coming", () => {
  it.each([
    ["", "nothing"],
    ["  ", "nothing"],
    ["{", {}],
    ["{\"na", {}],
    ["{\"name\"", {}],
    ["{\"name\":", {}],
    ["{\"name\":\"", { name: "" }],
    ["{\"name\":\"Ro", { name: "Ro" }],
    ["{\"name\":\"a\\", { name: "a" }],
    ["{\"name\":\"a\\u00", { name: "a" }],
    ["{\"name\":\"a\\ud83d", { name: "a" }],
    ["{\"name\":\"a\\\\", { name: "a\\" }],
    ["{\"name\":\"Rome\"", { name: "Rome" }],
    ["{\"age\":1", {}],
    ["{\"age\":12,", { age: 12 }],
    ["{\"ok\":tru", {}],
    ["{\"ok\":true}", { ok: true }],
    ["{\"list\":[1,2", { list: [1] }],
    ["{\"list\":[{\"a\":\"b", { list: [{ a: "b" }] }],
    ["[[1],", [[1]]],
    ["\"half", "half"]
  ])("%j shows %j", (text, expected) => expect(shown(text)).toEqual(expected))

  it.each(["nope", "{]", "{\"a\" 1", "{\"a\":1 \"b\"", "[,", "{}{}", "{a:1}", "Sure! {"])(
    "%j is no beginning of a document",
    (text) => expect(shown(text)).toBe("nothing")
  )

  it("never shows what the document does not become, at any prefix", () => {
    FastCheck.assert(
      FastCheck.property(FastCheck.jsonValue({ maxDepth: 4 }), FastCheck.boolean(), (value, spaced) => {
        const text = JSON.stringify(value, undefined, spaced ? 2 : 0)
        const whole: unknown = JSON.parse(text)
        for (let end = 0; end <= text.length; end++) {
          const part = partial(text.slice(0, end))
          if (Option.isSome(part)) expect(growsInto(part.value, whole)).toBe(true)
        }
        if (text.endsWith("}") || text.endsWith("]") || text.endsWith("\"")) expect(shown(text)).toEqual(whole)
      }),
      { numRuns: 300 }
    )
  })
})
