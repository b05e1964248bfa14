/** The command line as an effect: what is typed becomes a code for the shell. */
import type * as CliApp from "@effect/cli/CliApp"
import * as CliConfig from "@effect/cli/CliConfig"
import * as Command from "@effect/cli/Command"
import * as ValidationError from "@effect/cli/ValidationError"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { batch } from "./batch.ts"
import { chaos } from "./chaos.ts"
import { doctor } from "./doctor.ts"
import { init } from "./init.ts"
import { preview } from "./preview.ts"
import { exits } from "./shared/exits.ts"

const root = Command.make("effect-llm-resilience").pipe(
  Command.withDescription("Resilience for calls of language models: run many of them, and see what a policy does."),
  Command.withSubcommands([init, preview, batch, chaos, doctor])
)

/** Runs a command line, without the names of the engine and the script. Never fails: what went wrong is told on stderr. */
export const run = (
  typed: ReadonlyArray<string>,
  version: string
): Effect.Effect<number, never, CliApp.CliApp.Environment> =>
  Command.run(root, { name: "effect-llm-resilience", version })(["node", "effect-llm-resilience", ...typed]).pipe(
    Effect.as(exits.good),
    Effect.catchAll((error) =>
      // The parser has told what is wrong with the words by itself.
      ValidationError.isValidationError(error)
        ? Effect.succeed(exits.badInput)
        : Effect.as(error.message === "" ? Effect.void : Console.error(error.message), error.code)
    ),
    Effect.provide(CliConfig.layer({ showBuiltIns: false }))
  )
