/**
 * The second act: streams in the weather of the first, with cuts, silences and errors in their middle. One policy for two
 * providers: where the provider keeps its replies, a broken stream goes on where it broke; where it does not, it begins anew.
 */
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as ChaosServer from "effect-llm-resilience/chaos/ChaosServer"
import type * as Fault from "effect-llm-resilience/chaos/Fault"
import * as LanguageModel from "effect-llm-resilience/model/LanguageModel"
import * as StreamPart from "effect-llm-resilience/model/StreamPart"
import * as Pipeline from "effect-llm-resilience/policy/Pipeline"
import * as OpenAiChat from "effect-llm-resilience/provider/OpenAiChat"
import * as OpenAiResponses from "effect-llm-resilience/provider/OpenAiResponses"
import * as ResilientModel from "effect-llm-resilience/resilience/ResilientModel"
import * as Event from "effect-llm-resilience/telemetry/Event"
import * as Monitor from "effect-llm-resilience/telemetry/Monitor"
import * as Clock from "effect/Clock"
import * as Console from "effect/Console"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import * as Report from "./report.ts"

/** How many streams of a column are open at a time. */
const concurrency = 30

/** A whole stream takes a fifth of a second: who has no policy gives up after this time, to get an end. */
const plainPatience = "2 seconds"

/** Longer than the policy's `total`, so that the policy decides. */
const policyPatience = "30 seconds"

type Vendor = "chat" | "responses"

const provider = (server: ChaosServer.Service, vendor: Vendor) => {
  const settings = { apiKey: Redacted.make(server.apiKey), model: server.model, provider: "chaos" }
  const layer = vendor === "chat"
    ? OpenAiChat.layer({ ...settings, baseUrl: server.baseUrls.openAiChat })
    : OpenAiResponses.layer({ ...settings, baseUrl: server.baseUrls.openAiResponses, background: true })
  return Layer.provide(layer, FetchHttpClient.layer)
}

const promptOf = (index: number): string => `Stream ${index + 1}: please answer in one sentence.`

/** What a reader has in front of them, and what happened on the way. */
const follow = (index: number, patience: Duration.DurationInput) =>
  Effect.gen(function*() {
    const recorder = yield* Monitor.recorder
    const startedAt = yield* Clock.currentTimeMillis
    let text = ""
    let firstAt: number | undefined
    const resets: Array<StreamPart.Reset> = []
    const failure = yield* LanguageModel.stream({ prompt: promptOf(index) }).pipe(
      Stream.runForEach((part) =>
        Effect.map(Clock.currentTimeMillis, (now) => {
          if (part._tag === "TextDelta") {
            text += part.text
            firstAt ??= now
          } else if (part._tag === "Reset") {
            text = ""
            resets.push(part)
          }
        })
      ),
      Effect.timeout(patience),
      Effect.match({ onSuccess: () => undefined, onFailure: Event.errorTag }),
      Effect.provide(Monitor.layer(recorder.monitor))
    )
    const millis = (yield* Clock.currentTimeMillis) - startedAt
    yield* Monitor.flush(recorder.monitor)
    const events = yield* recorder.events
    const breaks = events.filter((event) => event._tag === "Retried" && firstAt !== undefined && event.at >= firstAt)
    return { index, text, failure, resets, breaks: breaks.length, millis }
  })

type Followed = Effect.Effect.Success<ReturnType<typeof follow>>

const words = (text: string): ReadonlyArray<string> => text.split(/\s+/).filter((word) => word !== "")

/** Words that stand in the text more often than in what the model meant. */
const repeatedWords = (text: string, meant: string): number => {
  const left = [...words(meant)]
  return words(text).filter((word) => {
    const at = left.indexOf(word)
    if (at >= 0) left.splice(at, 1)
    return at < 0
  }).length
}

/** One column: all streams through one client, against a server of its own. */
const column = <E>(
  plan: Fault.Plan,
  count: number,
  label: string,
  patience: Duration.DurationInput,
  clientOf: (server: ChaosServer.Service) => Layer.Layer<LanguageModel.LanguageModel, E>
) =>
  Effect.gen(function*() {
    const server = yield* ChaosServer.make({ plan, tokenDelay: "10 millis" })
    const streams = yield* Effect.forEach(
      Array.from({ length: count }, (_, index) => index),
      (index) => follow(index, patience),
      { concurrency }
    ).pipe(Effect.provide(clientOf(server)))
    yield* Console.log(`  ${label}: ${count} of ${count}`)
    return { streams, books: yield* server.books }
  }).pipe(Effect.scoped)

type Column = Effect.Effect.Success<ReturnType<typeof column>>

const sum = (numbers: ReadonlyArray<number>): number => numbers.reduce((total, number) => total + number, 0)

const rowsOf = (meant: string) => ({ books, streams }: Column): ReadonlyArray<string> => [
  `${streams.filter((each) => each.text === meant && each.failure === undefined).length} of ${streams.length}`,
  String(sum(streams.map(({ breaks, failure, text }) => breaks + (failure !== undefined && text !== "" ? 1 : 0)))),
  String(sum(streams.map(({ resets }) => resets.length))),
  String(books.background.resumed),
  String(sum(streams.map(({ resets }) => sum(resets.map(({ discarded }) => discarded?.characters ?? 0))))),
  String(books.brokenTokens.prompt + books.brokenTokens.completion),
  String(sum(streams.map(({ text }) => repeatedWords(text, meant)))),
  Report.quantile(streams, 0.5),
  Report.quantile(streams, 0.95)
]

const names = [
  "came whole",
  "failures behind the first word",
  "begun anew (Reset)",
  "gone on with (resume)",
  "characters written again",
  "tokens paid for replies that broke",
  "repeated words",
  "p50",
  "p95"
]

/** The same stream in the same weather once more, slowly enough to read along, as it comes. */
const show = (plan: Fault.Plan, pipeline: Pipeline.Pipeline, vendor: Vendor, index: number) =>
  Effect.gen(function*() {
    const server = yield* ChaosServer.make({ plan, tokenDelay: "60 millis" })
    const startedAt = yield* Clock.currentTimeMillis
    const recorder = yield* Monitor.recorder
    const { columns, isTTY, rows } = process.stdout
    const pieces: Array<{ readonly at: number; readonly length: number }> = []
    const parts = LanguageModel.stream({ prompt: promptOf(index) }).pipe(
      Stream.tap((part) =>
        Effect.map(Clock.currentTimeMillis, (at) => {
          if (part._tag === "TextDelta") pieces.push({ at, length: part.text.length })
        })
      )
    )
    yield* StreamPart.toText(parts, { output: isTTY ? "terminal" : "plain", columns, rows }).pipe(
      Stream.runForEach((text) => Effect.sync(() => process.stdout.write(text))),
      Effect.catchAll((error) => Console.log(`\n${Event.errorTag(error)}: ${error.message}`)),
      Effect.provide(ResilientModel.layer(pipeline).pipe(Layer.provide(provider(server, vendor)))),
      Effect.provide(Monitor.layer(recorder.monitor))
    )
    yield* Console.log("")
    yield* Monitor.flush(recorder.monitor)
    for (const event of yield* recorder.events) {
      const after = Duration.format(Duration.millis(event.at - startedAt))
      const shown = sum(pieces.map(({ at, length }) => at <= event.at ? length : 0))
      yield* Console.log(`    after ${after} and ${shown} characters: ${Event.describe(event)}`)
    }
  }).pipe(Effect.scoped)

const shown = (title: string, some: Followed | undefined, of: (index: number) => ReturnType<typeof show>) =>
  some === undefined
    ? Console.log(`\n${title}: no stream of this storm was.`)
    : Effect.zipRight(Console.log(`\n${title}, stream ${some.index + 1} once more, as it comes:\n`), of(some.index))

/** Whether every stream of ours came whole, without a word twice. */
export const streams = (plan: Fault.Plan, policy: unknown, count: number) =>
  Effect.gen(function*() {
    const startedAt = yield* Clock.currentTimeMillis
    const pipeline = yield* Pipeline.decode(policy)
    yield* Console.log(`\nStreams: ${count} in the same weather, which breaks them in the middle as well.`)
    yield* Console.log(`Policy (examples/storm/streams.json), read as: ${Pipeline.describe(pipeline)}\n`)

    const meant = yield* Effect.gen(function*() {
      const calm = yield* ChaosServer.make()
      return (yield* Effect.orDie(LanguageModel.generate({ prompt: promptOf(0) })).pipe(
        Effect.provide(provider(calm, "chat"))
      )).text
    }).pipe(Effect.scoped)

    const strong = (vendor: Vendor) => (server: ChaosServer.Service) =>
      ResilientModel.layer(pipeline).pipe(Layer.provide(provider(server, vendor)))
    const [plain, anew, resumed] = yield* Effect.all([
      column(plan, count, "plain", plainPatience, (server) => provider(server, "chat")),
      column(plan, count, "ours, a provider that keeps nothing", policyPatience, strong("chat")),
      column(plan, count, "ours, a provider that keeps replies", policyPatience, strong("responses"))
    ], { concurrency: 3 })
    const columns = [plain, anew, resumed].map(rowsOf(meant))
    yield* Console.log(
      `\n${
        Report.table([
          ["", "one plain attempt", "ours, provider keeps nothing", "ours, provider keeps replies"],
          ...names.map((name, row) => [name, ...columns.map((cells) => cells[row] ?? "")])
        ])
      }`
    )

    yield* shown(
      "Begun anew",
      anew.streams.find(({ resets }) => resets.length > 0),
      (index) => show(plan, pipeline, "chat", index)
    )
    yield* shown(
      "Gone on with",
      resumed.streams.find(({ breaks }) => breaks > 0),
      (index) => show(plan, pipeline, "responses", index)
    )

    const ours = [...anew.streams, ...resumed.streams]
    const whole = ours.filter((each) => each.text === meant && each.failure === undefined).length
    const repeated = sum(ours.map(({ text }) => repeatedWords(text, meant)))
    const seconds = ((yield* Clock.currentTimeMillis) - startedAt) / 1000
    yield* Console.log(
      `\n${whole} of ${ours.length} streams came whole, ${repeated} repeated words (${seconds.toFixed(1)} s).`
    )
    return whole === ours.length && repeated === 0
  })
