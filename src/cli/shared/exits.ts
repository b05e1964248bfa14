/** How a command ends for the shell. */
import * as Data from "effect/Data"

export const exits = {
  /** Everything went well. */
  good: 0,
  /** The command did its work, and some of it failed. */
  someFailed: 1,
  /** What was asked for makes no sense or cannot be read. Nothing was sent. */
  badInput: 2,
  /** A stop condition held before the end. */
  stopped: 3,
  /** Ctrl-C: 128 and the number of the signal, as shells count. */
  interrupted: 130
} as const

/** Ends a command with a code other than 0; the message goes to stderr. */
export class Exit extends Data.TaggedError("Exit")<{ readonly code: number; readonly message: string }> {}

export const badInput = (message: string): Exit => new Exit({ code: exits.badInput, message })
