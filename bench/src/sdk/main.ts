/**
 * The vendors' SDKs and our providers as clients of the same misbehaving server: the same text, tool calls, usage and class of
 * error, or a difference that is known by name. It proves the server faithful and our providers right; any other difference
 * ends it with 1. `npm run sdk -- anthropic stream` runs only what has these words in its name.
 */
import * as Effect from "effect/Effect"
import * as ChaosServer from "../../../src/chaos/ChaosServer.ts"
import * as Fault from "../../../src/chaos/Fault.ts"
import { difference } from "./answer.ts"
import type { Asked } from "./asked.ts"
import { type Case, cases } from "./cases.ts"
import { failed } from "./errors.ts"
import { known, knownFor } from "./known.ts"
import { ours, type Wire } from "./ours.ts"
import * as vendors from "./vendors.ts"

const models: Readonly<Record<Wire, string>> = {
  "openai-chat": "gpt-4o-mini",
  "openai-responses": "gpt-4o-mini",
  "anthropic": "claude-chaos",
  "gemini": "gemini-2.5-flash"
}

interface Way {
  readonly wire: Wire
  readonly way: "reply" | "stream" | "helper"
  readonly client: vendors.Client
}

/** `helper` is the SDK's own collector of a stream, where it has one. */
const ways: ReadonlyArray<Way> = [
  { wire: "openai-chat", way: "reply", client: vendors.chatReply },
  { wire: "openai-chat", way: "stream", client: vendors.chatStream },
  { wire: "openai-chat", way: "helper", client: vendors.chatHelper },
  { wire: "openai-responses", way: "reply", client: vendors.responsesReply },
  { wire: "openai-responses", way: "stream", client: vendors.responsesStream },
  { wire: "openai-responses", way: "helper", client: vendors.responsesHelper },
  { wire: "anthropic", way: "reply", client: vendors.messagesReply },
  { wire: "anthropic", way: "stream", client: vendors.messagesStream },
  { wire: "anthropic", way: "helper", client: vendors.messagesHelper },
  { wire: "gemini", way: "reply", client: vendors.contentReply },
  { wire: "gemini", way: "stream", client: vendors.contentStream }
]

const textOf = ({ way, wire }: Way, { name }: Case): string => `${name}, asked over ${wire} by ${way}`

const words = process.argv.slice(2)
const all = ways.flatMap((way) =>
  cases.filter((each) => each.streamed === undefined || way.way !== "reply")
    .filter((each) => words.every((word) => textOf(way, each).includes(word)))
    .map((each) => ({ way, each }))
)

const plan = Fault.script({
  byRequest: Object.fromEntries(
    all.flatMap(({ each, way }) => each.fault === undefined ? [] : [[textOf(way, each), [each.fault]]])
  )
}, "sdk")

/** Two servers that do the same to the same requests, so that both clients come first. */
const twins = (callsPerReply: number) => {
  const make = ChaosServer.make({ plan, callsPerReply, requestKey: (text) => text, models: [...new Set(Object.values(models))] })
  return Effect.all({ sdk: make, ours: make })
}

interface Result {
  readonly way: Way
  readonly name: string
  readonly outcome: "same" | "known" | "different"
  readonly words: string
}

/** A wait told in whole seconds is rounded up. */
const waitFault = (each: Case, wait: number | undefined): string | undefined =>
  each.wait !== undefined && (wait === undefined || wait < each.wait - 50 || wait > each.wait + 1000)
    ? `our error asks to wait ${String(wait)} ms, not ${each.wait}`
    : undefined

const program = Effect.gen(function*() {
  const servers = { one: yield* twins(1), three: yield* twins(3) }
  return yield* Effect.forEach(all, ({ each, way }) =>
    Effect.gen(function*() {
      const pair = each.calls === 3 ? servers.three : servers.one
      const asked: Asked = {
        text: textOf(way, each),
        model: each.model === undefined ? models[way.wire] : "no-such-model",
        apiKey: each.key === undefined ? pair.sdk.apiKey : "wrong-key-1234567890",
        tools: each.calls !== undefined
      }
      const sdk = yield* Effect.promise(() =>
        way.client(new URL(pair.sdk.baseUrl).origin, asked).catch(failed)
      )
      const own = yield* ours(way.wire, pair.ours.baseUrls, asked, way.way !== "reply")
      const different = difference(sdk, own.answer)
      const expected = different === undefined ? undefined : knownFor(way.wire, way.way, each.name, sdk, own.answer)
      const reason = expected?.reason
      const wrong = reason === undefined ? different : undefined
      const late = waitFault(each, own.wait)
      const result: Result = {
        way,
        name: each.name,
        outcome: wrong !== undefined || late !== undefined ? "different" : reason === undefined ? "same" : "known",
        words: [wrong, late, reason].filter((word) => word !== undefined).join("; ")
      }
      return result
    }))
}).pipe(Effect.scoped)

const results = await Effect.runPromise(program)
const count = (list: ReadonlyArray<Result>, outcome: Result["outcome"]): number =>
  list.filter((result) => result.outcome === outcome).length

const row = (...cells: ReadonlyArray<string | number>): string =>
  `| ${cells.map((cell, index) => index === 0 ? String(cell).padEnd(26) : String(cell).padStart(9)).join(" | ")} |`

console.log(row("client", "cases", "same", "known", "different"))
console.log(`|${"-".repeat(28)}|${"----------:|".repeat(4)}`)
for (const way of ways) {
  const list = results.filter((result) => result.way === way)
  if (list.length > 0) {
    console.log(row(`${way.wire}, ${way.way}`, list.length, count(list, "same"), count(list, "known"), count(list, "different")))
  }
}
console.log(row("all", results.length, count(results, "same"), count(results, "known"), count(results, "different")))

const listed = (outcome: Result["outcome"]): void => {
  const list = results.filter((result) => result.outcome === outcome)
  const byWords = new Map<string, ReadonlyArray<string>>()
  for (const { name, way, words } of list) {
    const places = byWords.get(words) ?? []
    byWords.set(words, [...places, `${way.wire}, ${way.way}: ${name}`])
  }
  for (const [words, places] of byWords) {
    console.log(`\n${words}`)
    for (const place of places) console.log(`  ${place}`)
  }
}

console.log("\nKnown differences:")
listed("known")
if (count(results, "different") > 0) {
  console.log("\nDIFFERENCES:")
  listed("different")
  process.exitCode = 1
}
// A difference that is gone must not stay on the list.
const gone = known.filter(({ reason, sometimes }) =>
  sometimes === undefined && results.every((result) => !result.words.includes(reason))
)
if (words.length === 0 && gone.length > 0) {
  console.log("\nNO LONGER DIFFERENT:")
  for (const { reason } of gone) console.log(reason)
  process.exitCode = 1
}
