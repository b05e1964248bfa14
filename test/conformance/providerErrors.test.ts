import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import * as Verdict from "../../src/error/Verdict.ts"
import { fromResponse, fromStreamEvent } from "../../src/provider/ProviderError.ts"

const fixtures = process.env["FIXTURES"] ?? "../shared/fixtures"
const file = join(fixtures, "provider-errors.json")

const Case = Schema.Struct({
  id: Schema.String,
  provider: Schema.String,
  layer: Schema.String,
  status: Schema.Number,
  headers: Schema.Record({ key: Schema.String, value: Schema.String }),
  body: Schema.Unknown,
  expectedClass: Schema.String,
  acceptableClasses: Schema.Array(Schema.String),
  expectedRetryable: Schema.Boolean,
  expectedRetryAfterMs: Schema.NullOr(Schema.Number)
})
const Cases = Schema.Struct({ cases: Schema.Array(Case) })

/** The fixtures' names for classes that are called otherwise here. */
const aliases: Readonly<Record<string, string>> = {
  MalformedToolCall: "InvalidToolCall",
  InvalidOutput: "InvalidToolCall",
  RateLimitedPermanent: "RequestTooLarge"
}
const ours = (name: string): string => aliases[name] ?? name

const retryableClasses = new Set(["RateLimited", "Overloaded", "ServerError", "ConnectionFailed", "InvalidToolCall"])
const openAiFamily = (provider: string): boolean => provider !== "anthropic" && provider !== "google"

describe.skipIf(!existsSync(file))("ProviderError on recorded replies", () => {
  const parsed = (body: unknown): unknown => typeof body === "string" ? JSON.parse(body) : body
  const inStream = ({ body, headers, provider }: typeof Case.Type) =>
    Option.getOrThrow(fromStreamEvent({ provider, headers, event: parsed(body) }))

  const judge = (
    cases: ReadonlyArray<typeof Case.Type>,
    spell: (body: unknown) => unknown,
    read = (each: typeof Case.Type) => fromResponse({ ...each, body: spell(each.body) })
  ) => {
    const wrong = { retry: [] as Array<string>, hint: [] as Array<string>, class: [] as Array<string> }
    for (const each of cases) {
      const error = read(each)
      const verdict = Verdict.of(error)
      const retryable = verdict.action === "Retry" || verdict.action === "Reask"
      const acceptable = each.acceptableClasses.map(ours)
      const differ = new Set(acceptable.map((name) => retryableClasses.has(name))).size > 1
      const label = `${each.id}: ${error._tag}, ${verdict.action}, wait ${
        Option.getOrNull(Option.map(verdict.retryAfter, Duration.toMillis))
      }; expected ${each.expectedClass}, retryable ${each.expectedRetryable}, wait ${each.expectedRetryAfterMs}`
      if (!differ && retryable !== each.expectedRetryable) wrong.retry.push(label)
      const wait = Option.getOrNull(Option.map(verdict.retryAfter, Duration.toMillis))
      // A wait counts only where a retry is right.
      if (retryable && wait !== each.expectedRetryAfterMs) wrong.hint.push(label)
      if (!acceptable.includes(error._tag)) wrong.class.push(label)
    }
    return wrong
  }

  const all = () => Schema.decodeUnknownSync(Cases)(JSON.parse(readFileSync(file, "utf8"))).cases
  const spellings: ReadonlyArray<readonly [string, (body: unknown) => unknown]> = [
    ["as parsed JSON", (body) => body],
    ["as text", (body) => typeof body === "string" ? body : JSON.stringify(body)],
    [
      "as an event of a stream",
      (body) => `event: error\ndata: ${JSON.stringify(typeof body === "string" ? JSON.parse(body) : body)}\n\n`
    ],
    ["wrapped by Google's OpenAI endpoint", (body) => [body]]
  ]

  for (const [name, spell] of spellings) {
    it(`decides every retry, reads every wait and names the class: bodies ${name}`, () => {
      const cases = all()
      const wrong = judge(cases, spell)
      const family = judge(cases.filter((each) => openAiFamily(each.provider)), spell)
      const familySize = cases.filter((each) => openAiFamily(each.provider)).length
      console.log(
        `provider-errors.json ${name}: ${cases.length} cases, retry ${cases.length - wrong.retry.length}, ` +
          `hint ${cases.length - wrong.hint.length}, class ${cases.length - wrong.class.length}; OpenAI family: ` +
          `${familySize} cases, class ${familySize - family.class.length}`
      )
      expect(wrong.retry).toEqual([])
      expect(wrong.hint).toEqual([])
      expect(wrong.class.length / cases.length, wrong.class.join("\n")).toBeLessThanOrEqual(0.03)
      expect(family.class.length / familySize, family.class.join("\n")).toBeLessThanOrEqual(0.03)
    })
  }

  it("judges what came inside a stream as an event of it, and replies as replies", () => {
    const cases = all()
    const wrong = judge(
      cases,
      (body) => body,
      (each) => each.layer === "http" ? fromResponse(each) : inStream(each)
    )
    expect(wrong).toEqual({ retry: [], hint: [], class: [] })
  })

  it("would judge every reply the same if it came as an event of a stream, without its status", () => {
    const wrong = judge(all(), (body) => body, inStream)
    expect(wrong).toEqual({ retry: [], hint: [], class: [] })
  })
})

if (!existsSync(file)) console.log(`skipped: ${file} is absent (set FIXTURES)`)
