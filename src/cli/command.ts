/** The command line as an effect: what is typed becomes a code for the shell. */
import type * as CliApp from "@effect/cli/CliApp"
import * as CliConfig from "@effect/cli/CliConfig"
import * as Command from "@effect/cli/Command"
import * as ValidationError from "@effect/cli/ValidationError"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Batch from "./batch.ts"
import * as Chaos from "./chaos.ts"
import * as Doctor from "./doctor.ts"
import * as Init from "./init.ts"
import * as Preview from "./preview.ts"
import { exits } from "./shared/exits.ts"
import * as Help from "./shared/help.ts"

const root = Command.make(Help.program).pipe(
  Command.withDescription("Resilience for calls of language models: run many of them, and see what a policy does."),
  Command.withSubcommands([Init.init, Preview.preview, Batch.batch, Chaos.chaos, Doctor.doctor])
)

const commands: ReadonlyArray<readonly [name: string, help: Help.Help]> = [
  ["init", Init.help],
  ["preview", Preview.help],
  ["batch", Batch.help],
  ["chaos", Chaos.help],
  ["doctor", Doctor.help]
]

/** The parser's own overview has one line of 700 columns for each command. */
const asksForOverview = (typed: ReadonlyArray<string>): boolean =>
  typed.length === 0 || (typed.length === 1 && ["--help", "-h", "help"].includes(typed[0] ?? ""))

const parsed = (typed: ReadonlyArray<string>, version: string) =>
  asksForOverview(typed)
    ? Console.log(Help.overview(commands, version))
    : Command.run(root, { name: Help.program, version })(["node", Help.program, ...typed])

/** Which of the two outputs are to be without the colours of a terminal. */
export interface Plain {
  readonly out: boolean
  readonly err: boolean
}

// The escape is made from its number: in a pattern it would look like a slip.
const colour = new RegExp(`${String.fromCharCode(0x1b)}\\[[0-9;]*m`, "g")

/** The progress bar has its own way, since it redraws itself. */
const withPlain = ({ err, out }: Plain) => <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.consoleWith((console) => {
    const plain = (given: ReadonlyArray<unknown>) =>
      given.map((each) => typeof each === "string" ? each.replace(colour, "") : each)
    return Effect.withConsole(effect, {
      ...console,
      log: (...given) => console.log(...(out ? plain(given) : given)),
      error: (...given) => console.error(...(err ? plain(given) : given))
    })
  })

/** Runs a command line, without the names of the engine and the script. Never fails: what went wrong is told on stderr. */
export const run = (
  typed: ReadonlyArray<string>,
  version: string,
  plain: Plain
): Effect.Effect<number, never, CliApp.CliApp.Environment> =>
  parsed(typed, version).pipe(
    Effect.as(exits.good),
    Effect.catchAll((error) =>
      // The parser has told what is wrong with the words by itself.
      ValidationError.isValidationError(error)
        ? Effect.succeed(exits.badInput)
        : Effect.as(error.message === "" ? Effect.void : Console.error(error.message), error.code)
    ),
    Effect.provide(CliConfig.layer({ showBuiltIns: false })),
    withPlain(plain)
  )
