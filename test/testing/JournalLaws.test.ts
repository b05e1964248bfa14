import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as FileSystem from "@effect/platform/FileSystem"
import * as KeyValueStore from "@effect/platform/KeyValueStore"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Journal from "../../src/batch/Journal.ts"
import * as JournalLaws from "../../src/testing/JournalLaws.ts"

describe("The journal in memory keeps every law", () => {
  for (const law of JournalLaws.laws) {
    it.effect(law.name, () => law.check(Journal.layerMemory, { keeps: "until closed" }))
  }
})

describe("The journal in a file keeps every law", () => {
  for (const fsync of ["always", "never", "1 second"] as const) {
    for (const law of JournalLaws.laws) {
      it.scoped(`${law.name}, fsync ${fsync}`, () =>
        Effect.gen(function*() {
          const fs = yield* FileSystem.FileSystem
          const folder = yield* fs.makeTempDirectoryScoped()
          yield* law.check(Journal.layerFile({ path: `${folder}/run.journal`, fsync }))
        }).pipe(Effect.provide(NodeFileSystem.layer)))
    }
  }
})

/** A store that outlives the journals that are opened over it. */
const overStore = Effect.map(
  Effect.provide(KeyValueStore.KeyValueStore, KeyValueStore.layerMemory),
  (store) => Layer.provide(Journal.layerKeyValueStore, Layer.succeed(KeyValueStore.KeyValueStore, store))
)

describe("The journal in a key-value store keeps every law", () => {
  for (const law of JournalLaws.laws) {
    it.effect(law.name, () => Effect.flatMap(overStore, (layer) => law.check(layer)))
  }
})

/** The journal over one store, changed. */
const broken = (change: (journal: Journal.Service) => Partial<Journal.Service>) =>
  Effect.map(
    overStore,
    (layer) =>
      Layer.effect(Journal.Journal, Effect.map(Journal.Journal, (journal) => ({ ...journal, ...change(journal) })))
        .pipe(
          Layer.provide(layer)
        )
  )

describe("A law notices", () => {
  const cases: ReadonlyArray<
    readonly [string, JournalLaws.Law, (journal: Journal.Service) => Partial<Journal.Service>]
  > = [
    ["a journal that knows what nobody wrote", JournalLaws.unknown, () => ({
      lookup: (key) => Effect.succeedSome({ _tag: "Started", key, round: 0, at: 0 })
    })],
    ["a journal that keeps the first entry", JournalLaws.lastCounts, (journal) => ({
      append: (entry) =>
        Effect.flatMap(
          journal.lookup(entry.key),
          (known) => Option.isSome(known) ? Effect.void : journal.append(entry)
        )
    })],
    ["a journal that trims its values", JournalLaws.anyValue, (journal) => ({
      append: (entry) =>
        journal.append(
          entry._tag === "Succeeded" && typeof entry.value === "string"
            ? { ...entry, value: entry.value.trim().slice(0, 1_000) }
            : entry
        )
    })],
    ["a journal that lists nothing", JournalLaws.listsInFlight, () => ({ inFlight: Effect.succeed([]) })],
    ["a journal that loses one of many", JournalLaws.manyAtOnce, (journal) => {
      let count = 0
      return { append: (entry) => ++count === 150 ? Effect.void : journal.append(entry) }
    }],
    ["a journal that writes nothing after an interruption", JournalLaws.interrupted, (journal) => {
      let isBroken = false
      return {
        append: (entry) =>
          Effect.onInterrupt(
            Effect.suspend(() => isBroken ? Effect.void : Effect.zipRight(Effect.yieldNow(), journal.append(entry))),
            () => Effect.sync(() => (isBroken = true))
          )
      }
    }],
    ["a journal with a new name each time", JournalLaws.keptForGood, () => ({ id: String(++names) })]
  ]
  let names = 0
  for (const [name, law, change] of cases) {
    it.effect(name, () =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(law.check(yield* broken(change)))
        expect(error.message).toContain(`breaks the law "${law.name}"`)
      }))
  }
})
