/**
 * Keeps two processes of a machine from one journal. Whoever wants it lays a file beside it, `….lock.<process>.<chance>`, and
 * then looks for those of others: it has the journal if there are none. Of two who both lay one, the later one sees the
 * earlier, so never both have it; if each sees the other, the one whose name comes first stays and the other leaves, waits a
 * little and tries again.
 *
 * The file of a process that is gone counts for nothing and is removed, so a killed run can be begun again at once. No name
 * is used twice: whoever removes such a file late cannot hit that of a process that lives. (One lock file with one name
 * cannot have this: between reading the number of a dead process in it and removing it, another may have taken it over.)
 */
import type { PlatformError } from "@effect/platform/Error"
import type * as FileSystem from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import { JournalError } from "../../error/JournalError.ts"
import { freshIdempotencyKey } from "../../model/LanguageModel.ts"

/** The journals that this process has: a file with its number for another one is that of an earlier process of that number. */
const held = new Set<string>()

const ownNumber = (): number => typeof process === "undefined" ? 0 : process.pid

/** Whether a process runs. Asking for signal 0 sends nothing; without the right to ask, it runs. */
const runs = (number: number): boolean => {
  if (typeof process === "undefined") return true
  if (number === ownNumber()) return false
  try {
    process.kill(number, 0)
    return true
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM"
  }
}

/** Others that only try leave within milliseconds; whoever still meets some after so many looks is told that it is in use. */
const mostLooks = 40
const mostWaitMillis = 20

/** What the file of a process says that has the journal; that of one that tries is empty. */
const has = "has the journal\n"

interface Rival {
  readonly file: string
  readonly number: number
}

class Lock {
  private readonly fs: FileSystem.FileSystem
  private readonly path: string
  private readonly journal: string
  private readonly folder: string
  private readonly failed: (error: PlatformError) => JournalError

  constructor(
    fs: FileSystem.FileSystem,
    path: string,
    journal: string,
    failed: (error: PlatformError) => JournalError
  ) {
    this.fs = fs
    this.path = path
    this.journal = journal
    this.folder = journal.slice(0, Math.max(journal.lastIndexOf("/"), journal.lastIndexOf("\\")) + 1)
    this.failed = failed
  }

  /** Gives the file that was laid. */
  get take(): Effect.Effect<string, JournalError> {
    return Effect.suspend(() => {
      if (held.has(this.journal)) return Effect.fail(this.inUse("this process has it already"))
      held.add(this.journal)
      return Effect.onError(this.lay(1), () => Effect.sync(() => held.delete(this.journal)))
    })
  }

  leave(own: string): Effect.Effect<void> {
    return Effect.map(this.remove(own), () => void held.delete(this.journal))
  }

  private lay(look: number): Effect.Effect<string, JournalError> {
    return Effect.flatMap(freshIdempotencyKey, (chance) => {
      const own = `${this.journal}.lock.${ownNumber()}.${chance}`
      return Effect.zipRight(
        this.write(own, ""),
        Effect.onError(this.look(own, look), () => this.remove(own))
      )
    })
  }

  private look(own: string, look: number): Effect.Effect<string, JournalError> {
    return Effect.gen(this, function*() {
      const rivals = yield* this.rivalsOf(own)
      const [first] = rivals
      if (first === undefined) {
        yield* this.write(own, has)
        return own
      }
      for (const { file, number } of rivals) {
        // One that has left meanwhile cannot be read; it does not have the journal.
        const text = yield* Effect.orElseSucceed(this.fs.readFileString(file), () => "")
        if (text !== "" || look === mostLooks) {
          return yield* this.inUse(`process ${number} has it; if that is not so, remove ${file}`)
        }
      }
      const stays = rivals.every(({ file }) => own < file)
      if (!stays) yield* this.remove(own)
      yield* Effect.sleep(yield* Random.nextIntBetween(1, mostWaitMillis))
      return yield* stays ? this.look(own, look + 1) : this.lay(look + 1)
    })
  }

  /** The files of others that live. Those of the dead are removed. */
  private rivalsOf(own: string): Effect.Effect<ReadonlyArray<Rival>, JournalError> {
    return Effect.gen(this, function*() {
      const start = `${this.journal.slice(this.folder.length)}.lock.`
      const names = yield* Effect.mapError(this.fs.readDirectory(this.folder), this.failed)
      const rivals: Array<Rival> = []
      for (const name of names) {
        const file = this.folder + name
        if (file === own || !name.startsWith(start)) continue
        const number = /^(\d{1,10})\.[0-9a-f]+$/.exec(name.slice(start.length))?.[1]
        if (number === undefined) continue
        if (runs(Number(number))) rivals.push({ file, number: Number(number) })
        else yield* this.remove(file)
      }
      return rivals
    })
  }

  private write(own: string, text: string): Effect.Effect<void, JournalError> {
    return Effect.mapError(this.fs.writeFileString(own, text), this.failed)
  }

  private remove(file: string): Effect.Effect<void> {
    return Effect.ignore(this.fs.remove(file))
  }

  private inUse(detail: string): JournalError {
    return new JournalError({ reason: "locked", path: this.path, detail })
  }
}

export const take = (
  fs: FileSystem.FileSystem,
  path: string,
  failed: (error: PlatformError) => JournalError
): Effect.Effect<void, JournalError, Scope.Scope> =>
  Effect.flatMap(Effect.mapError(fs.realPath(path), failed), (journal) => {
    const lock = new Lock(fs, path, journal, failed)
    return Effect.acquireRelease(lock.take, (own) => lock.leave(own))
  })
