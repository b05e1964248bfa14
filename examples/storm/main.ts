/**
 * The storm: 300 tool-calling requests, 32 at a time, through real sockets against a provider that misbehaves on
 * purpose, once with one plain attempt each and once with the policies of `policy.json`. Then streams in the same weather,
 * with the policy of `streams.json`. Exit code 1 if a request or a stream is lost, a word comes twice, or the books of
 * client and server disagree.
 *
 *   npm start                      the storm of weather.json
 *   npm start -- --seed 7          another storm
 *   npm start -- --requests 50 --streams 20
 *   OPENAI_API_KEY=… npm start     five requests against that provider instead
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as ChaosServer from "effect-llm-resilience/chaos/ChaosServer"
import * as Fault from "effect-llm-resilience/chaos/Fault"
import * as Pipeline from "effect-llm-resilience/policy/Pipeline"
import * as Retry from "effect-llm-resilience/policy/Retry"
import * as RetryPolicy from "effect-llm-resilience/policy/RetryPolicy"
import * as Clock from "effect/Clock"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Ref from "effect/Ref"
import { readFile } from "node:fs/promises"
import { parseArgs } from "node:util"
import { disagreements, reconcile, type Seen, total, withSentAgain } from "./books.ts"
import { countedProvider, ours, plain, type Policy, type Result, strengthened } from "./clients.ts"
import { live } from "./live.ts"
import * as Report from "./report.ts"
import { streams } from "./streams.ts"
import { requestOf } from "./tools.ts"

const concurrency = 32

const readJson = (name: string) =>
  Effect.map(
    Effect.promise(() => readFile(new URL(name, import.meta.url), "utf8")),
    (text): { readonly [field: string]: unknown } => JSON.parse(text)
  )

const readPolicy = Effect.gen(function*() {
  const file = yield* readJson("./policy.json")
  const pipeline = yield* Pipeline.decode(file["pipeline"])
  const startOver = yield* Retry.make({
    name: "that starts over",
    policy: yield* RetryPolicy.decode(file["startOver"], { path: "startOver" })
  })
  const policy: Policy = { pipeline, startOver, maxReasks: Number(file["maxReasks"]) }
  return { policy, text: JSON.stringify(file, null, 2) }
})

/** One line that is written over on a terminal, and now and then a line elsewhere. */
const progress = (label: string, done: number, all: number): Effect.Effect<void> =>
  process.stdout.isTTY
    ? Effect.sync(() => void process.stdout.write(`\r  ${label}: ${done} of ${all}${done === all ? "\n" : ""}`))
    : done % 100 === 0 || done === all
    ? Console.log(`  ${label}: ${done} of ${all}`)
    : Effect.void

/** Runs all requests through one client against a server of its own, so that both meet the storm from its beginning. */
const weather = <R>(
  label: string,
  count: number,
  client: (request: ReturnType<typeof requestOf>) => Effect.Effect<Result, never, R>
) =>
  Effect.gen(function*() {
    const finished = yield* Ref.make(0)
    return yield* Effect.forEach(
      Array.from({ length: count }, (_, index) => requestOf(index)),
      (request) =>
        Effect.tap(client(request), () =>
          Effect.flatMap(Ref.updateAndGet(finished, (done) => done + 1), (done) => progress(label, done, count))),
      { concurrency }
    ).pipe(
      Effect.onInterrupt(() =>
        Effect.flatMap(Ref.get(finished), (done) =>
          Console.log(`\nInterrupted: ${done} of ${count} were finished.`))
      )
    )
  })

const storm = (options: {
  readonly seed: string | undefined
  readonly requests: number
  /** Streams of each column of the second act. */
  readonly streams: number
}) =>
  Effect.gen(function*() {
    const { policy, text } = yield* readPolicy
    const { pipeline: streamPolicy, weather: inStreams } = yield* readJson("./streams.json")
    const weatherFile = {
      ...yield* readJson("./weather.json"),
      ...(options.seed === undefined ? {} : { seed: options.seed })
    }
    const plan = yield* Fault.decode(weatherFile)
    const streamPlan = yield* Fault.decode({ ...weatherFile, ...Object(inStreams) })
    const startedAt = yield* Clock.currentTimeMillis
    yield* Console.log(`Storm: ${options.requests} tool-calling requests, ${concurrency} at a time, over real HTTP.`)
    yield* Console.log(`Weather: ${JSON.stringify(Fault.encode(plan))}`)
    yield* Console.log(`Policy (examples/storm/policy.json): ${text}`)
    yield* Console.log(`Read as: ${Pipeline.describe(policy.pipeline)}\n`)

    const server = ChaosServer.make({ plan, latency: { least: "20 millis", most: "80 millis" } })
    const plainSide = yield* Effect.gen(function*() {
      const provider = yield* server
      const seen = yield* Ref.make<Seen>({})
      const sent = yield* Ref.make(0)
      const results = yield* weather("plain", options.requests, (request) => plain(provider, request)).pipe(
        Effect.provide(countedProvider(provider, seen, sent))
      )
      return { results, seen: withSentAgain(yield* Ref.get(seen), yield* Ref.get(sent)) }
    }).pipe(Effect.scoped)

    const { books, least, side } = yield* Effect.gen(function*() {
      const provider = yield* server
      const seen = yield* Ref.make<Seen>({})
      const sent = yield* Ref.make(0)
      const results = yield* weather("ours ", options.requests, (request) => ours(provider, request, policy)).pipe(
        Effect.provide(strengthened(provider, seen, sent, policy))
      )
      return {
        side: { results, seen: withSentAgain(yield* Ref.get(seen), yield* Ref.get(sent)) },
        books: yield* provider.books,
        least: yield* provider.leastCalls
      }
    }).pipe(Effect.scoped)

    const right = side.results.filter((result) => result.verdict === "right").length
    const refused = side.results.reduce((sum, result) => sum + result.refused, 0)
    const repaired = side.results.filter((result) => result.verdict === "right" && result.repairs.length > 0).length
    const entries = reconcile(side.seen, { accepted: right, repaired, refused }, books)
    const slowest = Report.worst(side.results)
    yield* Console.log(`\n${Report.comparison(plainSide, side)}`)
    yield* Console.log(
      `\n  least provider calls in this storm for a client that repairs nothing: ${least.total}; ours, with ${repaired} ` +
        `calls repaired: ${total(side.seen)} (${(total(side.seen) / least.total).toFixed(3)} × the least)`
    )
    yield* Console.log(`\n${Report.resolutions(side.results)}`)
    yield* Console.log(`\n${Report.reconciliation(entries)}`)
    if (slowest !== undefined) yield* Console.log(`\nThe worst call:\n${Report.timeline(slowest)}`)
    const seconds = ((yield* Clock.currentTimeMillis) - startedAt) / 1000
    const lost = side.results.length - right
    const wrong = disagreements(entries)
    yield* Console.log(
      `\n${right} of ${options.requests} ended right, ${lost} lost, ` +
        `${
          wrong.length === 0 ? "the books agree" : `the books DISAGREE on ${wrong.map((each) => each.what).join(", ")}`
        }` +
        ` (${seconds.toFixed(1)} s).`
    )
    const allWhole = yield* streams(streamPlan, streamPolicy, options.streams)
    if (lost > 0 || wrong.length > 0 || !allWhole) {
      yield* Effect.sync(() => {
        process.exitCode = 1
      })
    }
  })

const main = Effect.suspend(() => {
  const { values } = parseArgs({
    options: { seed: { type: "string" }, requests: { type: "string" }, streams: { type: "string" } }
  })
  const requests = Number(values.requests ?? 300)
  const streams = Number(values.streams ?? 60)
  const wrong = Object.entries({ requests, streams }).find(([, count]) => !Number.isInteger(count) || count < 1)
  if (wrong !== undefined) {
    const [name] = wrong
    return Console.error(`--${name} is ${Object(values)[name]}; give a whole number, 1 or more`).pipe(
      Effect.zipRight(Effect.sync(() => {
        process.exitCode = 2
      }))
    )
  }
  return (process.env["OPENAI_API_KEY"] ?? "") === "" ? storm({ seed: values.seed, requests, streams }) : live
})

/** What is wrong in a file or the environment is said in words, not in a stack trace. */
NodeRuntime.runMain(main.pipe(
  Effect.catchAll((error) =>
    Effect.zipRight(
      Console.error(error.message),
      Effect.sync(() => {
        process.exitCode = 1
      })
    )
  )
))
