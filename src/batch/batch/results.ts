/** What a batch gives. */
import type * as Duration from "effect/Duration"
import type * as Either from "effect/Either"
import type { InvalidLine, ItemDied, Skipped } from "../../error/BatchError.ts"
import type { Usage } from "../../model/Usage.ts"
import type { StopReason } from "./kernel.ts"

/** The error of a line that is no item, where the items may hold such lines. */
type LineError<A> = A extends InvalidLine ? A : never

/** What an item can end with beside a value. */
export type Failure<E> = E | Skipped | ItemDied

/** The error of an item whose call fails with `E`. */
export type FailureOf<A, E> = Failure<E | LineError<A>>

/** What is called: every item but the lines that are none. */
export type Callable<A> = A extends InvalidLine ? never : A

export interface ItemResult<out A, out B, out E> {
  /** The place of the item in the input, from 0. */
  readonly index: number
  readonly item: A
  /** The key it has in the journal, or is shared by. */
  readonly key?: string
  readonly outcome: Either.Either<B, E>
  /** How often it was attempted, retries within its call included; 0 where it was not called. */
  readonly attempts: number
  /** From the beginning of its call to its outcome, waits between its attempts included. */
  readonly elapsed: Duration.Duration
  /** The tokens its call reported in this run; none where another call paid for them. */
  readonly usage: Usage
  /** Whether it was called, its outcome was in the journal, or another item's call gave it. */
  readonly source: "run" | "journal" | "shared"
}

export type { StopReason }

export interface Summary {
  /** The items that were read. */
  readonly total: number
  readonly succeeded: number
  readonly failed: number
  readonly skipped: number
  /** Attempts beyond the first of each item. */
  readonly retried: number
  readonly tokens: number
  /** Where a `price` was given. */
  readonly cost?: number
  /** Items that are not in `cost`, because their model has no price; and which models those are, the first ten. */
  readonly unpriced?: { readonly items: number; readonly models: ReadonlyArray<string> }
  readonly elapsed: Duration.Duration
  /** How many items failed with what, by the tag of the error. */
  readonly failures: { readonly [tag: string]: number }
  /** Why the batch stopped before its end. */
  readonly stoppedBecause?: StopReason
  /**
   * Whether it stopped before its input was read to its end: there may be items beyond those that have results. They are
   * not among `Batch.failures`; with a journal, running the same input again does what is missing.
   */
  readonly hasUnreadInput: boolean
}

export interface Report<out A, out B, out E> {
  /** One for each item that was read, in their order. */
  readonly results: ReadonlyArray<ItemResult<A, B, E>>
  readonly summary: Summary
}
