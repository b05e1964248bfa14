/** A process that runs batches at the vendors' services over real HTTP, and is killed at any moment. */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as FileSystem from "@effect/platform/FileSystem"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Journal from "../../../src/batch/Journal.ts"
import * as BatchFault from "../../../src/chaos/BatchFault.ts"
import * as ChaosServer from "../../../src/chaos/ChaosServer.ts"
import * as Fault from "../../../src/chaos/Fault.ts"
import { bundledChild } from "../../childProcess.ts"
import { runs } from "../../runs.ts"
import { jobs, names, runAll } from "./vendors.ts"

const start = bundledChild(new URL("child.ts", import.meta.url))

/** Every other job expires half done, so that the live model has something to answer. */
const plan = Fault.script({
  jobs: Array.from({ length: jobs }, (_, at) => at % 2 === 0 ? [] : [BatchFault.expiredJob(0.5)])
})

/** A server for each vendor, since its books do not tell one vendor's jobs from another's. */
const serve = Effect.forEach(names, (name) =>
  Effect.map(
    ChaosServer.make({
      plan,
      latency: { least: "5 millis", most: "25 millis" },
      requestKey: (text) => text,
      batches: { validating: 20, running: 100, finalizing: 20 }
    }),
    (server) => ({ name, server, address: server.baseUrls[name] })
  ))

type Servers = Effect.Effect.Success<typeof serve>

const addressesOf = (servers: Servers) => servers.map(({ address }) => address)

const submittedOf = ({ server }: Servers[number]) => Effect.map(server.books, ({ batches }) => batches.submitted)

/** How often the servers were asked for anything. */
const askedOf = (servers: Servers) =>
  Effect.map(
    Effect.forEach(servers, ({ server }) => server.books),
    (all) =>
      all.reduce((sum, { admitted, batches: { downloads, lists, polls, submitted, uploads } }) =>
        sum + admitted + downloads + lists + polls + submitted + uploads, 0)
  )

/** Waits until the servers were asked so often. By their count and not by the time, a kill comes as far on a slow machine. */
const untilAsked = (servers: Servers, times: number) =>
  Effect.repeat(Effect.delay(askedOf(servers), "2 millis"), { until: (asked) => asked >= times })

/** What the books say that the jobs and the live calls came to. */
const accountOf = ({ name, server }: Servers[number]) =>
  Effect.map(server.books, ({ batches, idempotency, right }) => ({
    name,
    jobs: batches.submitted,
    lines: { answered: batches.succeeded, notRun: batches.notRun },
    // Lines of jobs have no such keys: these are the live calls, each counted once however often it was made.
    liveCalls: idempotency.keys,
    repeated: right.texts - batches.succeeded - idempotency.keys
  }))

describe("a process with jobs at the vendors' services", () => {
  it.live("that is killed at any moment submits no job twice, and each request has one result, in order", () =>
    Effect.gen(function*() {
      const kills = runs(3, 10)
      const files = yield* FileSystem.FileSystem
      const path = `${yield* files.makeTempDirectoryScoped()}/run.journal`
      const servers = yield* serve
      const args = [path, ...addressesOf(servers)]
      const submitted: Array<number> = []
      let inFlight = 0
      for (let kill = 0; kill < kills; kill++) {
        // The first one is killed while it submits its first jobs, others at any moment.
        const wait = yield* Random.nextIntBetween(1, kill === 0 ? 8 : 50)
        const asked = yield* askedOf(servers)
        const batch = start(args)
        yield* batch.line("ready")
        yield* Effect.raceFirst(untilAsked(servers, asked + wait), batch.ended)
        yield* Effect.sleep(yield* Random.nextIntBetween(0, 10))
        yield* batch.kill("SIGKILL")
        yield* batch.ended
        const left = yield* Effect.scoped(Effect.flatMap(Journal.makeFile({ path }), (journal) => journal.inFlight))
        inFlight += left.length
        for (const server of servers) submitted.push(yield* submittedOf(server))
      }
      const { code, lines } = yield* start(args).ended
      expect(code).toBe(0)

      const undisturbed = yield* serve
      const expected = yield* Effect.flatMap(
        Effect.provide(Journal.Journal, Journal.layerMemory),
        (journal) => runAll(addressesOf(undisturbed), journal)
      )
      expect(JSON.parse(lines[1] ?? "null")).toEqual(expected)

      const accounts = yield* Effect.forEach(servers, accountOf)
      const repeated = accounts.reduce((sum, each) => sum + each.repeated, 0)
      const once = yield* Effect.forEach(undisturbed, accountOf)
      expect(accounts.map((each) => ({ ...each, repeated: 0 }))).toEqual(once)
      expect(repeated).toBeLessThanOrEqual(inFlight)
      // Some were killed between two jobs of theirs.
      expect(submitted.some((each) => each > 0 && each < jobs)).toBe(true)
    }).pipe(
      Effect.withRandom(Random.make("killed jobs")),
      Effect.provide(Layer.merge(NodeFileSystem.layer, FetchHttpClient.layer)),
      Effect.scoped
    ))
})
