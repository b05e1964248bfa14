/** The file of results, a line for each prompt in the order of the input, and what they come to. */
import * as FileSystem from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Scope from "effect/Scope"
import { Skipped } from "../../error/BatchError.ts"
import { definedFields } from "../../internal/record.ts"
import type { Usage } from "../../model/Usage.ts"
import * as Price from "../../resilience/Price.ts"
import * as Event from "../../telemetry/Event.ts"
import { badInput, type Exit } from "../shared/exits.ts"
import type { Answer } from "./answers.ts"

/** What became of one prompt, live or by a vendor's job. */
export interface Result {
  readonly index: number
  readonly id: string | number | undefined
  readonly outcome: Either.Either<Answer, unknown>
  readonly attempts: number
  readonly usage: Usage
  readonly source: "run" | "journal" | "shared"
  /** How its tokens are priced. */
  readonly price: Price.Pricing | undefined
}

export interface Tally {
  readonly answered: number
  readonly failed: number
  readonly leftOut: number
  readonly fromJournal: number
  readonly retries: number
  readonly tokens: number
  readonly cost: number
  /** Answers whose model has no price. */
  readonly unpriced: number
  readonly failures: { readonly [tag: string]: number }
  readonly stoppedBecause: Skipped["reason"] | undefined
}

export const nothing: Tally = {
  answered: 0,
  failed: 0,
  leftOut: 0,
  fromJournal: 0,
  retries: 0,
  tokens: 0,
  cost: 0,
  unpriced: 0,
  failures: {},
  stoppedBecause: undefined
}

export const add = (tally: Tally, { attempts, outcome, price, source, usage }: Result): Tally => {
  const cost = price === undefined
    ? 0
    : Either.getOrElse(
      Price.charge(price, usage, Either.isRight(outcome) ? outcome.right.model : ""),
      () => usage.totalTokens === 0 ? 0 : undefined
    )
  const counted = {
    ...tally,
    fromJournal: tally.fromJournal + (source === "journal" ? 1 : 0),
    retries: tally.retries + Math.max(0, attempts - 1),
    tokens: tally.tokens + usage.totalTokens,
    cost: tally.cost + (cost ?? 0),
    unpriced: tally.unpriced + (cost === undefined ? 1 : 0)
  }
  if (Either.isRight(outcome)) return { ...counted, answered: tally.answered + 1 }
  const { left } = outcome
  if (left instanceof Skipped) return { ...counted, leftOut: tally.leftOut + 1, stoppedBecause: left.reason }
  const tag = Event.errorTag(left)
  return {
    ...counted,
    failed: tally.failed + 1,
    failures: { ...tally.failures, [tag]: (tally.failures[tag] ?? 0) + 1 }
  }
}

/** A line of the file. */
export const lineOf = ({ attempts, id, index, outcome, source }: Result): string => {
  const about = { index, ...definedFields({ id }) }
  return JSON.stringify(
    Either.isRight(outcome)
      ? { ...about, ...outcome.right, usage: { ...outcome.right.usage }, attempts, source }
      : { ...about, error: { tag: Event.errorTag(outcome.left), message: Event.errorText(outcome.left) }, attempts }
  )
}

/** Takes results as they come, and gives the lines that can be written by now. */
export class InOrder {
  private readonly early = new Map<number, string>()
  private next = 0

  take(result: Result): string {
    this.early.set(result.index, `${lineOf(result)}\n`)
    let lines = ""
    for (let line = this.early.get(this.next); line !== undefined; line = this.early.get(this.next)) {
      lines += line
      this.early.delete(this.next++)
    }
    return lines
  }
}

export interface Writer {
  readonly take: (result: Result) => Effect.Effect<void, Exit>
  /** Puts the file in its place, in one step: until then an older one stays as it is. */
  readonly finish: Effect.Effect<void, Exit>
}

/** Where results are until all of them have come. */
export const partOf = (path: string): string => `${path}.part`

/** Writes beside the file, so that a run that is killed leaves no half of one. A run that fails leaves nothing. */
export const writer = (path: string): Effect.Effect<Writer, Exit, FileSystem.FileSystem | Scope.Scope> => {
  const refuse = (error: { readonly message: string }) => badInput(`${path} cannot be written: ${error.message}`)
  return Effect.gen(function*() {
    const files = yield* FileSystem.FileSystem
    const part = partOf(path)
    // After `finish` there is nothing to remove.
    yield* Effect.addFinalizer(() => Effect.ignore(files.remove(part)))
    const file = yield* files.open(part, { flag: "w" })
    const order = new InOrder()
    const encoder = new TextEncoder()
    return {
      take: (result: Result) => {
        const lines = order.take(result)
        return lines === "" ? Effect.void : Effect.mapError(file.writeAll(encoder.encode(lines)), refuse)
      },
      finish: Effect.mapError(files.rename(part, path), refuse)
    }
  }).pipe(Effect.mapError(refuse))
}
