/** What the person at the keyboard wants. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"

/** Succeeds when the command is to come to its end (Ctrl-C). By default nobody asks for it. */
export class Stop extends Context.Reference<Stop>()("effect-llm-resilience/cli/Stop", {
  defaultValue: (): Effect.Effect<void> => Effect.never
}) {}
