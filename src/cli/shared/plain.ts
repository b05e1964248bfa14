/** Texts without the colours of a terminal, for files, pipes and whoever has set NO_COLOR. */
import type * as Console from "effect/Console"
import * as Effect from "effect/Effect"

// eslint reads a control character in a pattern as a slip, so it is made from its number.
const sequence = new RegExp(`${String.fromCharCode(0x1b)}\\[[0-9;]*m`, "g")

export const plain = (text: string): string => text.replace(sequence, "")

/** Which of the two outputs are to be plain. */
export interface Plain {
  readonly out: boolean
  readonly err: boolean
}

/** Makes plain what is written to the console. The progress bar has its own way, since it redraws itself. */
export const withPlain = ({ err, out }: Plain) => <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.consoleWith((console) => {
    const texts = (given: ReadonlyArray<unknown>) => given.map((each) => typeof each === "string" ? plain(each) : each)
    const changed: Console.Console = {
      ...console,
      log: (...given) => console.log(...(out ? texts(given) : given)),
      error: (...given) => console.error(...(err ? texts(given) : given))
    }
    return Effect.withConsole(effect, changed)
  })
