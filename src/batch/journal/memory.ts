/** A journal that lasts as long as its process. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { freshIdempotencyKey } from "../../model/LanguageModel.ts"
import type { Service } from "../Journal.ts"
import type { Entry, Started } from "./entry.ts"

export const makeMemory: Effect.Effect<Service> = Effect.map(freshIdempotencyKey, (id) => {
  const entries = new Map<string, Entry>()
  const open = new Map<string, Started>()
  return {
    id,
    lookup: (key) => Effect.sync(() => Option.fromNullable(entries.get(key))),
    append: (entry) =>
      Effect.sync(() => {
        entries.set(entry.key, entry)
        if (entry._tag === "Started") open.set(entry.key, entry)
        else open.delete(entry.key)
      }),
    inFlight: Effect.sync(() => [...open.values()])
  }
})
