/** What a law of a journal is, and what several laws do with a journal. */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Journal from "../../batch/Journal.ts"
import type { JournalError } from "../../error/JournalError.ts"
import { freshIdempotencyKey } from "../../model/LanguageModel.ts"

/** A journal broke a law; `detail` tells what was seen. */
export class JournalLawBroken extends Data.TaggedError("JournalLawBroken")<{
  readonly law: string
  readonly detail: string
}> {
  override get message(): string {
    return `The journal breaks the law "${this.law}": ${this.detail}`
  }
}

/** How the laws are run. */
export interface Options {
  /**
   * How long entries are kept: until the journal is closed, or for good, so that a layer that is built again has them.
   * Default: `"for good"`.
   */
  readonly keeps?: "for good" | "until closed" | undefined
}

type Broken = JournalLawBroken | JournalError

/** One law: its name, and the check of a journal. */
export interface Law {
  readonly name: string
  readonly check: <E, R>(
    layer: Layer.Layer<Journal.Journal, E, R>,
    options?: Options
  ) => Effect.Effect<void, Broken | E, R>
}

interface Bench {
  readonly journal: Journal.Service
  /** A key that no other law, and no earlier run, has used. */
  readonly key: (name: string) => string
  readonly holds: (condition: boolean, detail: string) => Effect.Effect<void, JournalLawBroken>
}

/** The parts of a law are run one after another, each with the journal opened anew where it keeps its entries for good. */
export const law = (
  name: string,
  first: (bench: Bench) => Effect.Effect<void, Broken>,
  afterwards?: (bench: Bench, before: Journal.Service) => Effect.Effect<void, Broken>
): Law => ({
  name,
  check: (layer, options) =>
    Effect.flatMap(freshIdempotencyKey, (own) => {
      const bench = (journal: Journal.Service): Bench => ({
        journal,
        key: (each) => `${own}-${each}`,
        holds: (condition, detail) => condition ? Effect.void : Effect.fail(new JournalLawBroken({ law: name, detail }))
      })
      const opened = <A, E>(use: (journal: Journal.Service) => Effect.Effect<A, E>) =>
        Effect.provide(Effect.flatMap(Journal.Journal, use), layer)
      const before = opened((journal) => Effect.as(first(bench(journal)), journal))
      return Effect.flatMap(before, (closed) =>
        afterwards === undefined || options?.keeps === "until closed"
          ? Effect.void
          : opened((journal) => afterwards(bench(journal), closed)))
    })
})
