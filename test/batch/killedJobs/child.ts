/**
 * A process that runs a batch at the services of three vendors at a time, with a journal in a file, to be killed by the
 * tests: says "ready" when the batches begin, and their results, as a line of JSON, when they are over.
 */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Journal from "../../../src/batch/Journal.ts"
import { runAll } from "./vendors.ts"

const [path = "", ...addresses] = process.argv.slice(2)

const say = (text: string) =>
  Effect.async<void>((resume) => {
    process.stdout.write(`${text}\n`, () => resume(Effect.void))
  })

const program = Effect.gen(function*() {
  const journal = yield* Journal.Journal
  yield* say("ready")
  yield* say(JSON.stringify(yield* runAll(addresses, journal)))
})

const Kept = Layer.provide(Journal.layerFile({ path }), NodeFileSystem.layer)

NodeRuntime.runMain(Effect.provide(program, Layer.merge(FetchHttpClient.layer, Kept)))
