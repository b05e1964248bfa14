/**
 * What keeps a `Journal` from being read or written.
 *
 * @example
 * import * as JournalError from "effect-llm-resilience/error/JournalError"
 *
 * const error = new JournalError.JournalError({ reason: "damaged", path: "run.journal", line: 3, byte: 187, detail: "no JSON" })
 *
 * console.log(error.message)
 * // The journal run.journal is damaged at line 3 (byte 187): no JSON. Nothing was changed. Repair or remove that line, or begin another journal.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { Count, scrubbed } from "./shared/fields.ts"
import * as Verdict from "./Verdict.ts"

const remedies = {
  unreadable: "Check that the path is a file that this process may read.",
  unwritable:
    "What was told as written is kept. Make room or give the right to write, and run again: only what is missing is called.",
  damaged: "Nothing was changed. Repair or remove that line, or begin another journal.",
  locked: "Wait until that process has ended, or give this run a journal of its own.",
  format: "Use the version of the library that wrote it, or begin another journal.",
  mismatch: "Give other `settings` where the meaning of the values has changed, or begin another journal."
} as const

/**
 * A journal cannot be used. The reasons: it cannot be read (`"unreadable"`) or written (`"unwritable"`); a line that is not
 * the last one is no entry (`"damaged"`); another process has it (`"locked"`); another version wrote it, or it is no journal
 * at all (`"format"`); or a value in it is not of the schema that it is read with (`"mismatch"`).
 *
 * @since 0.1.0
 * @category errors
 */
export class JournalError extends scrubbed(
  Schema.TaggedError<JournalError>()("JournalError", {
    reason: Schema.Literal("unreadable", "unwritable", "damaged", "locked", "format", "mismatch"),
    /** The file, where the journal is one. */
    path: Schema.optional(Schema.String),
    /** The line, from 1. */
    line: Schema.optional(Count),
    /** The byte that the line begins at, from 0. */
    byte: Schema.optional(Count),
    /** The key of the entry. */
    key: Schema.optional(Schema.String),
    /** What happened, in words. */
    detail: Schema.String
  })
) {
  override get message(): string {
    const { byte, detail, key, line, path, reason } = this
    const what = {
      unreadable: "cannot be read",
      unwritable: "cannot be written",
      damaged: "is damaged",
      locked: "is in use",
      format: "cannot be used",
      mismatch: "holds another kind of value"
    }[reason]
    const where = (line === undefined ? "" : ` at line ${line}`) + (byte === undefined ? "" : ` (byte ${byte})`) +
      (key === undefined ? "" : ` under the key ${key}`)
    return `The journal${path === undefined ? "" : ` ${path}`} ${what}${where}: ${detail}. ${remedies[reason]}`
  }
  [Verdict.symbol](): Verdict.Verdict {
    return Verdict.make("Fail")
  }
}
