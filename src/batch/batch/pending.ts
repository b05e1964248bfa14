/** An item of a batch on its way to its outcome. */
import * as Either from "effect/Either"
import { ItemDied, Skipped } from "../../error/BatchError.ts"
import * as Verdict from "../../error/Verdict.ts"
import { describeCause } from "../../internal/redact.ts"
import { errorTag } from "../../telemetry/Event.ts"
import type * as Kernel from "./kernel.ts"

/** An item on its way to its outcome. */
export class Pending<A> {
  readonly index: number
  readonly item: A
  key: string | undefined = undefined
  attempts = 0
  /** How often it was called because a circuit was tried with it. */
  trials = 0
  epoch = 0
  /** When it was called first. */
  startedAt = 0
  /** How often it had failed in earlier runs, as the journal tells; absent until the journal knows that it was called. */
  round: number | undefined = undefined
  isBegun = false

  constructor(index: number, item: A) {
    this.index = index
    this.item = item
  }
}

/** What a failure says about the other side. */
export const healthOf = (error: unknown): Kernel.Health => {
  const { throttled, weighs } = Verdict.of(error)
  return throttled ? "throttled" : weighs ? "ailing" : "unknown"
}

export const died = (pending: Pending<unknown>, error: unknown): ItemDied =>
  new ItemDied({ index: pending.index, reason: describeCause(error).message })

export const kindOf = (outcome: Either.Either<unknown, unknown>): Kernel.Outcome =>
  Either.isRight(outcome)
    ? { _tag: "Succeeded" }
    : outcome.left instanceof Skipped
    ? { _tag: "Skipped" }
    : { _tag: "Failed", tag: errorTag(outcome.left) }
