/** Small replies that once threw, blocked the process or filled its memory, with the limits that stand by default. */
import { type Form, type Payloads, protocols } from "./replies.ts"

export interface Input {
  readonly protocol: keyof typeof protocols
  readonly form: Form
  readonly text: string
  readonly status: number
  /** How the reading of it ends: the tag of the last part, the finish reason or the name of the error. */
  readonly expected: RegExp
}

const events = (payloads: Payloads): string => payloads.map((payload) => `data: ${JSON.stringify(payload)}\n\n`).join("")

const nested = (depth: number): string => "[".repeat(depth) + "]".repeat(depth)
const nestedObjects = (depth: number): string => "{\"error\":".repeat(depth) + "1" + "}".repeat(depth)

const streamed = (text: string, expected: RegExp, protocol: Input["protocol"] = "OpenAI chat"): Input => ({
  protocol,
  form: "stream",
  text,
  status: 200,
  expected
})

const answered = (text: string, status = 429, expected = /./): Input => ({
  protocol: "OpenAI chat",
  form: "whole",
  text,
  status,
  expected
})

const told = (message: string): Input => answered(JSON.stringify({ error: { message, type: "requests", code: null } }))

const many = <A>(count: number, make: (index: number) => A): ReadonlyArray<A> =>
  Array.from({ length: count }, (_, index) => make(index))

const tooMany = /MalformedResponse/

export const inputs: { readonly [name: string]: Input } = {
  "1: an error event with a hostile toString": streamed(
    events([{
      error: {
        message: "no",
        code: 429,
        details: [{
          "@type": "type.googleapis.com/google.rpc.QuotaFailure",
          violations: [{ quotaValue: { toString: 1 } }]
        }]
      }
    }]),
    /./
  ),
  "1: an error event nested 5 000 deep": streamed(`data: ${nestedObjects(5_000)}\n\n`, /./),
  "1: content nested 5 000 deep": streamed(
    `data: {"choices":[{"index":0,"delta":{"content":${nested(5_000)}}}]}\n\ndata: [DONE]\n\n`,
    /./
  ),
  "2: an error of objects alone": answered(
    JSON.stringify({ error: many(2_000, () => ({ message: { toString: 1 }, code: { valueOf: null }, loc: [{ toString: 1 }] })) }),
    500
  ),
  "2: an error nested 100 000 deep": answered(nestedObjects(100_000), 500),
  "3: 3 000 blanks in a hint": told(`Please try again in${" ".repeat(3_000)}x`),
  "3: 30 000 blanks in a hint": told(`Please try again in${" ".repeat(30_000)}x`),
  "3: 30 000 digits in a hint": told(`Please try again in ${"1".repeat(30_000)}`),
  "3: 32 000 units in a hint": told(`Please try again in ${"1h1m1s".repeat(5_000)}`),
  ...Object.fromEntries(
    (["OpenAI chat", "OpenAI responses", "Anthropic", "Gemini"] as const).flatMap((protocol) =>
      (["stream", "whole"] as const).map((form) => {
        const payloads = protocols[protocol].calls(4_000, form)
        const text = form === "stream" ? events(payloads) : JSON.stringify(payloads[0])
        return [`3: 4 000 calls of ${protocol}, ${form}`, { protocol, form, text, status: 200, expected: tooMany }] as const
      })
    )
  ),
  "3: pieces of arguments at sparse indexes": streamed(
    events([
      { candidates: [{ content: { parts: [{ functionCall: { name: "f", willContinue: true } }] } }] },
      ...many(200, (index) => ({
        candidates: [{
          content: {
            parts: [{
              functionCall: { partialArgs: [{ jsonPath: `$.a[${index * 100_000}]`, numberValue: 1 }], willContinue: true }
            }]
          }
        }]
      }))
    ]),
    /./,
    "Gemini"
  ),
  "4: a wait of nine years": told("Please try again in 3285 days."),
  "4: senseless usage": {
    protocol: "OpenAI chat",
    form: "whole",
    text: JSON.stringify({
      choices: [{ index: 0, message: { content: "a" }, finish_reason: "stop" }],
      usage: { total_tokens: 1e15, prompt_tokens: 1e15, completion_tokens: -1 }
    }),
    status: 200,
    expected: /./
  }
}
