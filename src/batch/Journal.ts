/**
 * What a batch remembers beyond its process: which items were called, and what they gave. After a kill at any moment a rerun
 * with the same journal calls only what is missing, and asks again what was in flight under the same idempotency keys, so
 * that a provider that honours them bills nothing twice.
 *
 * Entries are keyed by the content of the item and the settings that matter ({@link keyOf}). An item that failed is called
 * again by a rerun; one that succeeded never is.
 *
 * **The file** is UTF-8 text, one JSON value a line. The first line is
 * `{"format":"effect-llm-resilience/journal","version":1,"id":"…"}`; `id` is the journal's own name. Every further line is an
 * entry: `{"_tag":"Started","key","round","at"}`, `{"_tag":"Succeeded","key","value","at"}` or
 * `{"_tag":"Failed","key","round","tag","message","at"}`; the last entry of a key counts. `at` is in epoch milliseconds. A
 * last line without its line end was torn by a crash and is cut off when the file is opened. While a process has the file,
 * `….lock.<number of the process>.<chance>` stands beside it; that of a process that is gone does not count.
 *
 * @example
 * import * as Effect from "effect/Effect"
 * import * as Schema from "effect/Schema"
 * import * as Batch from "effect-llm-resilience/batch/Batch"
 * import * as Journal from "effect-llm-resilience/batch/Journal"
 *
 * const call = (item: string) => Effect.succeed(item.length)
 *
 * const program = Effect.gen(function*() {
 *   const journal = yield* Journal.Journal
 *   const options = { journal: { journal, value: Schema.Number, settings: { model: "gpt-5" } } }
 *   yield* Batch.run(["one", "three"], call, options)
 *   const again = yield* Batch.run(["one", "three", "seven"], call, options)
 *   console.log(again.results.map(({ source }) => source)) // => [ 'journal', 'journal', 'run' ]
 * })
 *
 * // In an application: Journal.layerFile({ path: "run.journal" }) with the FileSystem of your platform.
 * Effect.runPromise(program.pipe(Effect.provide(Journal.layerMemory)))
 *
 * @since 0.1.0
 */
import type * as FileSystem from "@effect/platform/FileSystem"
import * as KeyValueStore from "@effect/platform/KeyValueStore"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Encoding from "effect/Encoding"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type { InvalidOptions } from "../error/InvalidOptions.ts"
import type { JournalError } from "../error/JournalError.ts"
import { freshIdempotencyKey } from "../model/LanguageModel.ts"
import type * as Entries from "./journal/entry.ts"
import * as File from "./journal/file.ts"
import * as KeyValue from "./journal/keyValue.ts"
import type * as Parts from "./journal/service.ts"
import { canonicalJson } from "./shared/canonicalJson.ts"

/**
 * The item is called; nothing is known of its outcome.
 *
 * @since 0.1.0
 * @category models
 */
export type Started = Entries.Started

/**
 * The item has its value.
 *
 * @since 0.1.0
 * @category models
 */
export type Succeeded = Entries.Succeeded

/**
 * The call of the item failed; a rerun calls it again.
 *
 * @since 0.1.0
 * @category models
 */
export type Failed = Entries.Failed

/**
 * What is remembered of an item.
 *
 * @since 0.1.0
 * @category models
 */
export type Entry = Entries.Entry

/**
 * A journal. Of your own, it keeps the laws of `testing/JournalLaws`.
 *
 * @since 0.1.0
 * @category models
 */
export type Service = Parts.Service

/**
 * The journal of an application.
 *
 * @since 0.1.0
 * @category tags
 */
export class Journal extends Context.Tag("effect-llm-resilience/Journal")<Journal, Service>() {}

/**
 * How a journal is kept in a file.
 *
 * @since 0.1.0
 * @category models
 */
export type FileOptions = Parts.FileOptions

/**
 * Keeps a journal in memory: for tests, and for batches that are run again in the same process.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerMemory: Layer.Layer<Journal> = Layer.effect(
  Journal,
  Effect.map(freshIdempotencyKey, (id) => {
    const entries = new Map<string, Entry>()
    const inFlight = new Map<string, Started>()
    return {
      id,
      lookup: (key) => Effect.sync(() => Option.fromNullable(entries.get(key))),
      append: (entry) =>
        Effect.sync(() => {
          entries.set(entry.key, entry)
          if (entry._tag === "Started") inFlight.set(entry.key, entry)
          else inFlight.delete(entry.key)
        }),
      inFlight: Effect.sync(() => [...inFlight.values()])
    }
  })
)

/**
 * A journal in a file, for as long as the scope lasts. Fails with `JournalError`: it is no journal, is damaged in its
 * middle, cannot be read or written, or another process has it.
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeFile = File.make

/**
 * Keeps a journal in a file. Memory: some 25 to 50 bytes an item; values stay in the file.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerFile = (
  options: FileOptions
): Layer.Layer<Journal, JournalError | InvalidOptions, FileSystem.FileSystem> =>
  Layer.scoped(Journal, File.make(options))

/**
 * Keeps a journal in the `KeyValueStore` of the context. Nothing guards it against a second process: give each run a
 * store, or a prefix, of its own.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerKeyValueStore: Layer.Layer<Journal, JournalError, KeyValueStore.KeyValueStore> = Layer.effect(
  Journal,
  Effect.flatMap(KeyValueStore.KeyValueStore, KeyValue.make)
)

/**
 * The key of an item: SHA-256, in hex, of its content and the settings that matter for its outcome, as JSON whose fields
 * are in order.
 *
 * @since 0.1.0
 * @category constructors
 */
export const keyOf = (content: unknown, settings?: unknown): Effect.Effect<string> =>
  Effect.promise(async () => {
    const bytes = new TextEncoder().encode(canonicalJson(settings === undefined ? [content] : [content, settings]))
    return Encoding.encodeHex(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)))
  })
