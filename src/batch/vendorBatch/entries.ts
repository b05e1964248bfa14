/** What is decided over the entries and results of jobs. Pure. */
import * as Either from "effect/Either"
import type * as BatchService from "../../model/BatchService.ts"

type Outcome = BatchService.Result["outcome"]

/** The entries in jobs that the service takes, in their order. An entry is never larger than a job. */
export const split = (
  entries: ReadonlyArray<BatchService.Entry>,
  limits: BatchService.Limits
): ReadonlyArray<ReadonlyArray<BatchService.Entry>> => {
  const jobs: Array<Array<BatchService.Entry>> = []
  let bytes = 0
  for (const entry of entries) {
    const last = jobs.at(-1)
    const size = entry.bytes.byteLength + 1
    if (last === undefined || last.length === limits.requests || bytes + size > limits.bytes) {
      jobs.push([entry])
      bytes = size
    } else {
      last.push(entry)
      bytes += size
    }
  }
  return jobs
}

/** The results of a job by the ids of its entries. */
export class Collected {
  readonly outcomes = new Map<string, Outcome>()
  readonly unknownIds = new Set<string>()
  unreadable = 0
  private readonly entries: ReadonlyMap<string, BatchService.Entry>

  constructor(entries: ReadonlyArray<BatchService.Entry>) {
    this.entries = new Map(entries.map((entry) => [entry.id, entry]))
  }

  /** The first result of an entry counts, but for an answer, which outranks a failure. */
  add({ id, outcome }: BatchService.Result): void {
    if (id === undefined) {
      this.unreadable++
      return
    }
    const entry = this.entries.get(id)
    if (entry === undefined) {
      // Enough to be told; a foreign file may be full of them.
      if (this.unknownIds.size < 1_000) this.unknownIds.add(id)
      return
    }
    const known = this.outcomes.get(id)
    if (known === undefined || (Either.isLeft(known) && Either.isRight(outcome))) {
      this.outcomes.set(id, Either.map(outcome, entry.restore))
    }
  }

  get isWhole(): boolean {
    return this.outcomes.size === this.entries.size
  }

  /** There are results, and none of them is ours. */
  get isForeign(): boolean {
    return this.outcomes.size === 0 && this.unknownIds.size > 0
  }

  /** Before the file is read again from its beginning. */
  again(): void {
    this.unreadable = 0
  }
}
