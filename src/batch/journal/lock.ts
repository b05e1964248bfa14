/**
 * Keeps two processes of a machine from one journal: a file beside it with the number of the process that has it. The lock of
 * a process that is gone is taken over, so a killed run can be begun again at once.
 */
import type { PlatformError } from "@effect/platform/Error"
import type * as FileSystem from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { JournalError } from "../../error/JournalError.ts"

/** The locks of this process: a lock with its own number that is not here is that of an earlier process of that number. */
const held = new Set<string>()

const ownNumber = (): number => typeof process === "undefined" ? 0 : process.pid

/** Whether a process runs. Asking for signal 0 sends nothing; without the right to ask, it runs. */
const runs = (number: number): boolean => {
  if (typeof process === "undefined") return true
  try {
    process.kill(number, 0)
    return true
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM"
  }
}

const mostTries = 3

export const take = (
  fs: FileSystem.FileSystem,
  path: string,
  failed: (error: PlatformError) => JournalError
): Effect.Effect<void, JournalError, Scope.Scope> => {
  const file = `${path}.lock`
  const inUse = (by: string): JournalError =>
    new JournalError({
      reason: "locked",
      path,
      detail: `${by} has it; if that is not so, remove ${file}`
    })

  const own = Effect.mapError(fs.realPath(path), failed)

  const attempt = (name: string, tries: number): Effect.Effect<void, JournalError> =>
    Effect.catchAll(
      fs.writeFileString(file, `${ownNumber()}\n`, { flag: "wx" }),
      (error) =>
        error._tag !== "SystemError" || error.reason !== "AlreadyExists"
          ? Effect.fail(failed(error))
          : Effect.gen(function*() {
            const text = yield* Effect.orElseSucceed(fs.readFileString(file), () => "")
            const number = /^\d{1,10}\n$/.test(text) ? Number(text) : undefined
            const isAlive = number === undefined || (number === ownNumber() ? held.has(name) : runs(number))
            if (isAlive || tries === mostTries) {
              return yield* inUse(number === undefined ? "another process" : `process ${number}`)
            }
            yield* Effect.ignore(fs.remove(file))
            return yield* attempt(name, tries + 1)
          })
    )

  return Effect.flatMap(own, (name) =>
    Effect.acquireRelease(
      held.has(name)
        ? Effect.fail(inUse("this process"))
        : Effect.map(attempt(name, 1), () => void held.add(name)),
      () => Effect.map(Effect.ignore(fs.remove(file)), () => void held.delete(name))
    ))
}
