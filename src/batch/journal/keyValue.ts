/** A journal in a key-value store: an entry a key, and a list of the items in flight, which no store can enumerate. */
import type { PlatformError } from "@effect/platform/Error"
import type * as KeyValueStore from "@effect/platform/KeyValueStore"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import { JournalError } from "../../error/JournalError.ts"
import { describeCause } from "../../internal/redact.ts"
import { freshIdempotencyKey } from "../../model/LanguageModel.ts"
import * as Entry from "./entry.ts"
import type { Service } from "./service.ts"

const idKey = "journal:id"
const inFlightKey = "journal:in-flight"
const entryKey = (key: string): string => `journal:entry:${key}`

const failed = (reason: "unreadable" | "unwritable") => (error: PlatformError): JournalError =>
  new JournalError({ reason, detail: describeCause(error).message })

const damaged = (key: string, detail: string): JournalError => new JournalError({ reason: "damaged", key, detail })

export const make = (store: KeyValueStore.KeyValueStore): Effect.Effect<Service, JournalError> =>
  Effect.gen(function*() {
    const get = (key: string) => Effect.mapError(store.get(key), failed("unreadable"))
    const set = (key: string, value: string) => Effect.mapError(store.set(key, value), failed("unwritable"))
    const entryOf = (key: string, text: string) =>
      Either.match(Entry.read(text), {
        onLeft: (detail) => Effect.fail(damaged(key, detail)),
        onRight: Effect.succeed
      })
    const known = yield* get(idKey)
    const id = Option.isSome(known) ? known.value : yield* freshIdempotencyKey
    if (Option.isNone(known)) yield* set(idKey, id)

    const open = new Map<string, Entry.Started>()
    const listed = Option.getOrElse(yield* get(inFlightKey), () => "")
    for (const text of listed.split("\n").filter((each) => each !== "")) {
      const entry = yield* entryOf(inFlightKey, text)
      if (entry._tag === "Started") open.set(entry.key, entry)
    }
    const saveOpen = Effect.suspend(() => set(inFlightKey, [...open.values()].map(Entry.line).join("\n")))
    const one = yield* Effect.makeSemaphore(1)

    return {
      id,
      lookup: (key) =>
        Effect.flatMap(
          get(entryKey(key)),
          (text) => Option.isNone(text) ? Effect.succeedNone : Effect.map(entryOf(key, text.value), Option.some)
        ),
      // A crash between the two leaves an item in the list that has an outcome, or none: `inFlight` looks again.
      append: (entry) =>
        one.withPermits(1)(Effect.uninterruptible(Effect.suspend(() => {
          const write = set(entryKey(entry.key), Entry.line(entry))
          if (entry._tag === "Started") {
            open.set(entry.key, entry)
            return Effect.zipRight(saveOpen, write)
          }
          open.delete(entry.key)
          return Effect.zipRight(write, saveOpen)
        }))),
      inFlight: Effect.suspend(() =>
        Effect.filter([...open.values()], ({ key }) =>
          Effect.flatMap(get(entryKey(key)), (text) =>
            Option.isNone(text)
              ? Effect.succeed(false)
              : Effect.map(entryOf(key, text.value), ({ _tag }) => _tag === "Started")))
      )
    }
  })
