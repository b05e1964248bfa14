/** A shell for tests: a folder of its own, commands that are run in this process, and what they say. */
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as FileSystem from "@effect/platform/FileSystem"
import * as ConfigProvider from "effect/ConfigProvider"
import type * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { run } from "../../src/cli/command.ts"
import { Stop, StopNow } from "../../src/cli/shared/signals.ts"

export interface Said {
  readonly code: number
  readonly out: string
  readonly err: string
}

export interface Shell {
  /** The path of a file in the folder. */
  readonly path: (name: string) => string
  readonly write: (name: string, content: string) => Effect.Effect<void>
  readonly read: (name: string) => Effect.Effect<string>
  readonly exists: (name: string) => Effect.Effect<boolean>
  readonly run: (
    typed: ReadonlyArray<string>,
    options?: {
      readonly stop?: Effect.Effect<void>
      readonly stopNow?: Effect.Effect<void>
      readonly env?: Readonly<Record<string, string>>
    }
  ) => Effect.Effect<Said>
}

/** A console that keeps what is written to it. */
const recorded = () => {
  const [out, err]: [Array<string>, Array<string>] = [[], []]
  const keep = (lines: Array<string>) => (...texts: ReadonlyArray<unknown>) =>
    Effect.sync(() => void lines.push(texts.map(String).join(" ")))
  const console: Effect.Effect<Console.Console> = Effect.map(
    Effect.consoleWith(Effect.succeed),
    (real): Console.Console => ({ ...real, log: keep(out), error: keep(err) })
  )
  return { console, said: () => ({ out: out.join("\n"), err: err.join("\n") }) }
}

export const make = Effect.gen(function*() {
  const files = yield* FileSystem.FileSystem
  const folder = yield* files.makeTempDirectoryScoped()
  const path = (name: string): string => `${folder}/${name}`
  const shell: Shell = {
    path,
    write: (name, content) => Effect.orDie(files.writeFileString(path(name), content)),
    read: (name) => Effect.orDie(files.readFileString(path(name))),
    exists: (name) => Effect.orDie(files.exists(path(name))),
    run: (typed, { env = {}, stop = Effect.never, stopNow = Effect.never } = {}) =>
      Effect.gen(function*() {
        const { console, said } = recorded()
        const code = yield* run(typed, "1.2.3", { out: true, err: true }).pipe(
          Effect.provideService(Stop, stop),
          Effect.provideService(StopNow, stopNow),
          Effect.withConsole(yield* console),
          Effect.withConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(env)))),
          Effect.provide(NodeContext.layer)
        )
        return { code, ...said() }
      })
  }
  return shell
}).pipe(Effect.provide(NodeContext.layer), Effect.orDie)

export const jsonLines = (text: string): ReadonlyArray<unknown> =>
  text.split("\n").filter((line) => line !== "").map((line): unknown => JSON.parse(line))
