/** What the person at the keyboard wants. By default nobody asks for anything. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { Exit, exits } from "./exits.ts"

/** Succeeds when the command is to come to its end in good order (the first Ctrl-C). */
export class Stop extends Context.Reference<Stop>()("effect-llm-resilience/cli/Stop", {
  defaultValue: (): Effect.Effect<void> => Effect.never
}) {}

/** Succeeds when the command is to wait for nothing any more (the second Ctrl-C). */
export class StopNow extends Context.Reference<StopNow>()("effect-llm-resilience/cli/StopNow", {
  defaultValue: (): Effect.Effect<void> => Effect.never
}) {}

/** Interrupts the effect on the first Ctrl-C, where there is nothing to bring to an end, and fails with its code. */
export const untilStopped = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  message = ""
): Effect.Effect<A, E | Exit, R> => {
  const stopped = Effect.zipRight(Effect.flatten(Stop), Effect.fail(new Exit({ code: exits.interrupted, message })))
  return Effect.raceFirst(effect, stopped)
}
