/** What a journal does, and how one is kept in a file. */
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type { JournalError } from "../../error/JournalError.ts"
import type { Entry, Started } from "./entry.ts"

export interface Service {
  /** The journal's own name, made when it was begun: idempotency keys are made of it, so no two journals share them. */
  readonly id: string
  /** The last entry of a key. */
  readonly lookup: (key: string) => Effect.Effect<Option.Option<Entry>, JournalError>
  /** Remembers an entry. It is kept, as the journal's own rules say, when this succeeds. */
  readonly append: (entry: Entry) => Effect.Effect<void, JournalError>
  /** The items that were called and have no outcome. */
  readonly inFlight: Effect.Effect<ReadonlyArray<Started>, JournalError>
}

export interface FileOptions {
  /** The file; it is begun where there is none. Its folder must exist. */
  readonly path: string
  /**
   * When the file system is told to put what was written on the disk: with every write (`"always"`; writes that come together
   * share one), after so much time, or never. A process that is killed loses nothing in any case; a machine that loses its
   * power may lose what was not put on the disk. Default: `"always"`.
   */
  readonly fsync?: "always" | "never" | Duration.DurationInput | undefined
}
