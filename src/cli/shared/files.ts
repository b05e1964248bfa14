/** Files that a user names, read whole: policies, schemas, prices. */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"
import { readJson } from "../../internal/readJson.ts"
import { badInput, type Exit } from "./exits.ts"

/** The longest such file, in bytes. The largest public price list has 2 MB. */
const mostBytes = 64 * 1024 * 1024

/** What a file holds as JSON. */
export const jsonFile = (path: string, what: string): Effect.Effect<unknown, Exit, FileSystem.FileSystem> =>
  Effect.gen(function*() {
    const files = yield* FileSystem.FileSystem
    const { size } = yield* files.stat(path)
    if (size > mostBytes) return yield* badInput(`${path} is longer than ${mostBytes} bytes: is it ${what}?`)
    const text = yield* files.readFileString(path)
    return yield* Effect.try({
      try: () => readJson(text.startsWith("\uFEFF") ? text.slice(1) : text),
      catch: (error) =>
        badInput(`${path} is no JSON (${error instanceof Error ? error.message : "unreadable"}): expected ${what}.`)
    })
  }).pipe(
    Effect.catchTag("SystemError", "BadArgument", (error) => badInput(`${path} cannot be read: ${error.message}`))
  )
