import { describe, expect, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import * as AnswerError from "../../src/error/AnswerError.ts"
import * as ModelError from "../../src/error/ModelError.ts"
import * as ToolCallError from "../../src/error/ToolCallError.ts"
import * as Verdict from "../../src/error/Verdict.ts"

const call = { callId: "answer", tool: "city", raw: "{}" }

const answer = (
  kind: AnswerError.Kind,
  fault?: ToolCallError.ToolCallError,
  more: { readonly text?: string; readonly finishReason?: "stop" | "length" } = {}
) =>
  new AnswerError.InvalidAnswer({
    output: "city",
    kind,
    source: "text",
    text: "{}",
    finishReason: "stop",
    ...(fault === undefined ? {} : { fault }),
    ...more
  })

const issues = (count: number, message = "expected a number, got \"x\"") =>
  Array.from({ length: count }, (_, index) => ({ path: ["list", index], message, kind: "Type" as const }))

const invalid = (count: number, message?: string) =>
  answer("InvalidArguments", new ToolCallError.InvalidArguments({ ...call, issues: issues(count, message) }))

describe("explain, which the model reads", () => {
  it("names each place and what belongs there", () => {
    expect(AnswerError.explain(invalid(2))).toBe([
      "The answer does not fit the schema:",
      "- list[0]: expected a number, got \"x\"",
      "- list[1]: expected a number, got \"x\"",
      "Send the whole answer again with these corrected."
    ].join("\n"))
  })

  it("speaks of fields, not of parameters, and of the answer where there is no path", () => {
    const issue = (message: string) => ({ path: [], message, kind: "Unexpected" as const })
    const error = answer(
      "InvalidArguments",
      new ToolCallError.InvalidArguments({
        ...call,
        issues: [
          issue("is not a parameter; the parameters here are a, b"),
          issue("is not a parameter; there are none here")
        ]
      })
    )
    expect(AnswerError.explain(error)).toContain("- the answer: is not a field; the fields here are a, b\n")
    expect(AnswerError.explain(error)).toContain("- the answer: is not a field; there are none here\n")
  })

  it("is of bounded length, and counts what it leaves out", () => {
    const text = AnswerError.explain(invalid(90, "y".repeat(2_000)))
    expect(text).toContain("… and 80 more.")
    expect(text.length).toBeLessThan(8_000)
  })

  it("tells what to do about a cut answer; a person is told one thing more", () => {
    const error = answer(
      "TruncatedArguments",
      new ToolCallError.TruncatedArguments({ ...call, finishReason: "length" }),
      { finishReason: "length" }
    )
    expect(AnswerError.explain(error)).toContain("Send a shorter answer.")
    expect(AnswerError.explain(error)).not.toContain("maxOutputTokens")
    expect(error.message).toContain("Or raise maxOutputTokens.")
  })

  it("does not fail on a fault that is missing", () => {
    expect(AnswerError.explain(answer("InvalidArguments"))).toContain("holds no answer")
  })
})

describe("fingerprint", () => {
  it("is the same for the same failure, and only for that", () => {
    const all = [invalid(1), invalid(2), answer("NoAnswer"), answer("SeveralAnswers")].map(AnswerError.fingerprint)
    expect(new Set(all).size).toBe(4)
    expect(AnswerError.fingerprint(invalid(1))).toBe(all[0])
  })
})

describe("the errors of answers", () => {
  const rejected = new AnswerError.ObjectRejected({
    output: "city",
    attempts: [
      { text: "<a>", error: new ModelError.InvalidToolCall({ provider: "groq", failedGeneration: "<a>" }) },
      { text: "key sk-abcdefghij1234567890", error: answer("NoAnswer", undefined, { text: "sk-abcdefghij1234567890" }) }
    ],
    stopped: "Bound",
    usage: { inputTokens: 1, outputTokens: 2, totalTokens: 3 }
  })

  it("hold no credential", () => {
    expect(JSON.stringify(rejected) + rejected.message).not.toContain("sk-abcdefghij")
  })

  it("travel as JSON and come back the same", () => {
    const wire: unknown = JSON.parse(JSON.stringify(Schema.encodeSync(AnswerError.ObjectRejected)(rejected)))
    const back = Schema.decodeUnknownSync(AnswerError.ObjectRejected)(wire)
    expect(back).toEqual(rejected)
    expect(back.error).toBeInstanceOf(AnswerError.InvalidAnswer)
  })

  it("are judged by their last refusal: told to the model, or left to another one where it was withheld", () => {
    expect(Verdict.of(rejected)).toMatchObject({ action: "Reask", weighs: false, billed: "yes" })
    expect(Verdict.of(answer("Withheld"))).toMatchObject({ action: "Fallback", weighs: false, billed: "yes" })
  })

  it("say in a sentence what came of the question", () => {
    expect(rejected.message).toBe(
      "No answer for \"city\" in 2 replies and 3 tokens; no further re-ask is allowed. The last one: \"city\": The reply " +
        "holds no answer. Send one JSON object of the schema \"city\" and nothing else."
    )
  })
})
