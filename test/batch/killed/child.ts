/**
 * A process that runs a batch with a journal in a file, to be killed by the tests: says "ready" when the batch begins, and
 * the results, as JSON, when it is over.
 */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Batch from "../../../src/batch/Batch.ts"
import * as Journal from "../../../src/batch/Journal.ts"
import * as LanguageModel from "../../../src/model/LanguageModel.ts"
import * as OpenAiChat from "../../../src/provider/OpenAiChat.ts"

const [baseUrl = "", path = "", count = "0", onInterrupt = "finish"] = process.argv.slice(2)

const say = (text: string) =>
  Effect.async<void>((resume) => {
    process.stdout.write(`${text}\n`, () => resume(Effect.void))
  })

const program = Effect.gen(function*() {
  const journal = yield* Journal.Journal
  yield* say("ready")
  const items = Array.from({ length: Number(count) }, (_, index) => `item ${index}`)
  const report = yield* Batch.run(
    items,
    (item) => Effect.map(LanguageModel.generate({ prompt: item }), ({ text }) => text),
    {
      concurrency: 8,
      onInterrupt: onInterrupt === "interrupt" ? "interrupt" : "finish",
      journal: { journal, value: Schema.String }
    }
  )
  yield* say(JSON.stringify(report.results.map(({ outcome }) => Either.getOrElse(outcome, String))))
})

const Model = OpenAiChat.layer({ apiKey: Redacted.make("sk-chaos"), baseUrl, model: "gpt-4o-mini" }).pipe(
  Layer.provide(FetchHttpClient.layer)
)

const Kept = Layer.provide(Journal.layerFile({ path }), NodeFileSystem.layer)

const main = Effect.provide(program, Layer.merge(Model, Kept)).pipe(
  Effect.as(0),
  Effect.catchTag("JournalError", ({ reason }) => Effect.as(say(reason), 3))
)

NodeRuntime.runMain(main, {
  // Left to itself, the platform exits with 0 after an interruption.
  teardown: (exit, onExit) =>
    onExit(
      Exit.match(exit, {
        onSuccess: (code) => typeof code === "number" ? code : 0,
        onFailure: (cause) => Cause.isInterruptedOnly(cause) ? 130 : 1
      })
    )
})
