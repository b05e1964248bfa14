import { describe, expect, it } from "@effect/vitest"
import * as AnswerError from "../../src/error/AnswerError.ts"
import * as BatchError from "../../src/error/BatchError.ts"
import * as InvalidOptions from "../../src/error/InvalidOptions.ts"
import * as ModelError from "../../src/error/ModelError.ts"
import * as PolicyError from "../../src/error/PolicyError.ts"
import * as ReplyError from "../../src/error/ReplyError.ts"
import * as ToolCallError from "../../src/error/ToolCallError.ts"
import { errorTags, isKnownTag, meantTag } from "../../src/internal/errorTags.ts"

/** The tags of the error classes that a module exports. */
const tagsOf = (module: object): ReadonlyArray<string> =>
  Object.values(module).flatMap((value: unknown) => {
    const tag: unknown = typeof value === "function" ? Reflect.get(value, "_tag") : undefined
    return typeof tag === "string" ? [tag] : []
  })

describe("the tags of errors", () => {
  it("are those of every error class that we export, and the kinds of a refused answer", () => {
    const modules = [AnswerError, BatchError, InvalidOptions, ModelError, PolicyError, ReplyError, ToolCallError]
    const ours = [...modules.flatMap(tagsOf), ...AnswerError.Kind.literals]
    expect(ours.length).toBeGreaterThan(30)
    expect(ours.filter((tag) => !isKnownTag(tag))).toEqual([])
  })

  it("are each in the list once", () => {
    expect([...new Set(errorTags)]).toEqual(errorTags)
  })

  it.each([
    ["RateLimitted", "RateLimited"],
    ["ratelimited", "RateLimited"],
    ["Overlaoded", "Overloaded"],
    ["Timeout", "TimedOut"],
    ["ServerErorr", "ServerError"],
    ["ConnectionFailled", "ConnectionFailed"]
  ])("%s was meant as %s", (written, meant) => {
    expect(meantTag(written)).toBe(meant)
  })

  it.each(["RateLimited", "SearchIndexBusy", "ServiceError", "UserNotFound", "A", "", "x".repeat(100_000)])(
    "%s is what it says",
    (tag) => {
      expect(meantTag(tag)).toBeUndefined()
    }
  )

  it("are not near one another, so that no slip is taken for another tag of ours", () => {
    for (const tag of errorTags) expect(meantTag(tag)).toBeUndefined()
  })
})
