/** Where a batch reads and writes. */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Effect from "effect/Effect"
import { badInput, type Exit } from "../shared/exits.ts"
import { partOf } from "./results.ts"

export interface Paths {
  /** What is read, by what it is. */
  readonly inputs: Readonly<Record<string, string | undefined>>
  readonly results: string
  /** Nothing where nothing is remembered. */
  readonly journal: string | undefined
}

/** Two spellings of a file are one: links are followed as far as the file, or its folder, is there. */
const identify = (path: string) =>
  Effect.gen(function*() {
    const files = yield* FileSystem.FileSystem
    const paths = yield* Path.Path
    const whole = paths.resolve(path)
    const inFolder = Effect.map(files.realPath(paths.dirname(whole)), (folder) =>
      paths.join(folder, paths.basename(whole)))
    return yield* files.realPath(whole).pipe(
      Effect.orElse(() =>
        inFolder
      ),
      Effect.orElseSucceed(() => whole)
    )
  })

/** Refuses a folder, and a file that is to be two things: the results would take the place of the prompts, or of the journal. */
export const checkApart = (
  { inputs, journal, results }: Paths
): Effect.Effect<void, Exit, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function*() {
    const files = yield* FileSystem.FileSystem
    const written: ReadonlyArray<readonly [string, string | undefined]> = [
      ["the results", results],
      ["the results as they come", partOf(results)],
      ["the journal", journal]
    ]
    const uses = new Map<string, string>()
    for (const [what, path] of Object.entries(inputs)) {
      if (path !== undefined) uses.set(yield* identify(path), what)
    }
    for (const [what, path] of written) {
      if (path === undefined) continue
      const file = yield* identify(path)
      const isFolder = yield* files.stat(file).pipe(
        Effect.map(({ type }) => type === "Directory"),
        Effect.orElseSucceed(() => false)
      )
      if (isFolder) return yield* badInput(`${path} is a folder: name the file for ${what}.`)
      const other = uses.get(file)
      if (other !== undefined) {
        return yield* badInput(
          `${path} is to hold ${other} and ${what}: take another file with ${
            what === "the journal" ? "--journal" : "--out"
          }.`
        )
      }
      uses.set(file, what)
    }
  })
