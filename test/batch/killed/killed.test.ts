import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as FileSystem from "@effect/platform/FileSystem"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as Redacted from "effect/Redacted"
import * as Journal from "../../../src/batch/Journal.ts"
import * as ChaosServer from "../../../src/chaos/ChaosServer.ts"
import * as LanguageModel from "../../../src/model/LanguageModel.ts"
import * as OpenAiChat from "../../../src/provider/OpenAiChat.ts"
import { bundledChild } from "../../childProcess.ts"
import { runs } from "../../runs.ts"

const start = bundledChild(new URL("child.ts", import.meta.url))

const serve = ChaosServer.make({
  latency: { least: "5 millis", most: "25 millis" },
  requestKey: (text) => text
})

const inFlightOf = (path: string) =>
  Effect.scoped(Effect.flatMap(Journal.makeFile({ path }), ({ inFlight }) => inFlight))

const withFolder = <A, E, R>(body: (folder: string) => Effect.Effect<A, E, R>) =>
  Effect.scoped(Effect.flatMap(
    Effect.flatMap(FileSystem.FileSystem, (fs) => fs.makeTempDirectoryScoped()),
    body
  )).pipe(Effect.provide(NodeFileSystem.layer))

/** What the items give where nobody is killed. */
const undisturbed = (count: number) =>
  Effect.gen(function*() {
    const { baseUrl } = yield* serve
    const model = OpenAiChat.layer({ apiKey: Redacted.make("sk-chaos"), baseUrl, model: "gpt-4o-mini" })
    return yield* Effect.forEach(
      Array.from({ length: count }, (_, index) => `item ${index}`),
      (item) => Effect.map(LanguageModel.generate({ prompt: item }), ({ text }) => text),
      { concurrency: 50 }
    ).pipe(Effect.provide(Layer.provide(model, FetchHttpClient.layer)))
  })

const hasArrivals = ({ arrivals }: ChaosServer.Books): boolean => Object.keys(arrivals).length > 0

const itemsOf = (line: string | undefined): unknown => JSON.parse(line ?? "null")

describe("a process that is killed", () => {
  it.live("at any moment: every item has one result, and only what was in flight is asked again", () =>
    withFolder((folder) =>
      Effect.gen(function*() {
        const kills = runs(1, 10)
        const count = kills * 60
        const server = yield* serve
        const path = `${folder}/run.journal`
        const listed = new Map<string, number>()
        for (let kill = 0; kill < kills; kill++) {
          const batch = start([server.baseUrl, path, String(count)])
          yield* batch.line("ready")
          // The first one is killed while it calls, so that something is in flight; others at any moment.
          if (kill === 0) yield* Effect.repeat(Effect.delay(server.books, "2 millis"), { until: hasArrivals })
          yield* Effect.sleep(yield* Random.nextIntBetween(1, 60))
          yield* batch.kill("SIGKILL")
          const { signal } = yield* batch.ended
          expect(signal).toBe("SIGKILL")
          for (const { key } of yield* inFlightOf(path)) listed.set(key, (listed.get(key) ?? 0) + 1)
        }
        const last = yield* start([server.baseUrl, path, String(count)]).ended
        expect(last.code).toBe(0)
        expect(yield* inFlightOf(path)).toEqual([])

        const books = yield* server.books
        const mostAsked = new Map<string, number>()
        for (let index = 0; index < count; index++) {
          // An item's content is its JSON.
          const key = yield* Journal.keyOf(JSON.stringify(`item ${index}`))
          mostAsked.set(`item ${index}`, 1 + (listed.get(key) ?? 0))
        }
        const tooOften = Object.entries(books.arrivals).filter(([item, asked]) => asked > (mostAsked.get(item) ?? 0))
        expect(tooOften).toEqual([])
        expect(Object.keys(books.arrivals).length).toBe(count)
        // What is asked again has the key that it had.
        expect(books.idempotency).toEqual({ keys: count, replays: books.admitted - count })
        const asked = [...listed.values()].reduce((sum, times) => sum + times, 0)
        expect(asked).toBeGreaterThan(0)
        expect(books.right.texts).toBeGreaterThanOrEqual(count)
        expect(books.right.texts).toBeLessThanOrEqual(count + asked)

        expect(itemsOf(last.lines[1])).toEqual(yield* undisturbed(count))
      }).pipe(Effect.withRandom(Random.make("killed")))
    ))
})

describe("a process that is interrupted (Ctrl-C)", () => {
  for (const onInterrupt of ["finish", "interrupt"] as const) {
    it.live(`${onInterrupt}: keeps the journal and exits with 130`, () =>
      withFolder((folder) =>
        Effect.gen(function*() {
          const server = yield* serve
          const path = `${folder}/run.journal`
          const batch = start([server.baseUrl, path, "5000", onInterrupt])
          yield* batch.line("ready")
          yield* Effect.sleep("150 millis")
          yield* batch.kill("SIGINT")
          expect((yield* batch.ended).code).toBe(130)
          const left = yield* inFlightOf(path)
          const { admitted, right } = yield* server.books
          expect(admitted).toBeGreaterThan(0)
          if (onInterrupt === "finish") {
            expect(left).toEqual([])
            expect(right.texts).toBe(admitted)
          } else {
            expect(left.length).toBeLessThanOrEqual(8)
          }
        })
      ))
  }
})

describe("two processes on one journal", () => {
  it.live("the second is told that it is in use; the first loses nothing", () =>
    withFolder((folder) =>
      Effect.gen(function*() {
        const server = yield* serve
        const path = `${folder}/run.journal`
        const entry = { _tag: "Succeeded", key: "mine", value: 1, at: 1 } as const
        yield* Effect.scoped(Effect.gen(function*() {
          const journal = yield* Journal.makeFile({ path })
          const second = yield* start([server.baseUrl, path, "5000"]).ended
          expect(second).toEqual({ code: 3, signal: null, lines: ["locked"] })
          yield* journal.append(entry)
        }))
        expect((yield* server.books).arrivals).toEqual({})
        const found = yield* Effect.scoped(
          Effect.flatMap(Journal.makeFile({ path }), (journal) => journal.lookup("mine"))
        )
        expect(found).toEqual(Option.some(entry))
      })
    ))
})
