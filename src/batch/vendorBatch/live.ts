/**
 * What the live model is asked after the jobs, and how a journal remembers it, so that a run after a crash pays for none of
 * its answers twice.
 */
import * as Effect from "effect/Effect"
import type { InvalidOptions } from "../../error/InvalidOptions.ts"
import type { JournalError } from "../../error/JournalError.ts"
import type * as LanguageModel from "../../model/LanguageModel.ts"
import { Response } from "../../model/Response.ts"
import * as Batch from "../Batch.ts"
import * as Journal from "../Journal.ts"
import { canonicalJson } from "../shared/canonicalJson.ts"
import type { Job } from "./job.ts"
import type { Settings } from "./options.ts"

/** A request that the live model is asked. */
export interface Question {
  readonly index: number
  readonly item: LanguageModel.Request
  /** What tells it from all others of the journal, as JSON. */
  readonly identity: unknown
}

/** What the live model came to. */
export type Answer<LE> = Batch.ItemResult<Question, Response, Batch.Failure<LE>>

/** The identity of a request that is an entry of a job. */
export const identityIn = (job: Job, entryId: string): unknown => ({ job: job.key, entry: entryId })

/** The identity of a request that the service could not be sent. */
export const identityOutside = (
  vendor: string,
  { index, item }: { readonly index: number; readonly item: LanguageModel.Request }
): unknown => ({ vendor, index, prompt: item.prompt })

/** Answers of the live model stand beside jobs in the same journal. */
const settingsInJournal = { live: 1 }

/**
 * Whether the live model was asked for entries of the job in an earlier run, and the job never came about: then it is not
 * made any more, or the service would be paid for what the live model has answered.
 */
export const wasAskedFor = (job: Job, journal: Journal.Service): Effect.Effect<boolean, JournalError> =>
  Effect.map(
    Effect.findFirst(job.entries, ({ id }) =>
      Effect.flatMap(
        Journal.keyOf(canonicalJson(identityIn(job, id)), settingsInJournal),
        (key) => Effect.map(journal.lookup(key), ({ _tag: tag }) => tag === "Some")
      )),
    ({ _tag: tag }) => tag === "Some"
  )

/** Asks the live model; one result for each question, in their order. */
export const ask = <LE>(
  questions: ReadonlyArray<Question>,
  live: LanguageModel.Service<LE>,
  settings: Settings
): Effect.Effect<ReadonlyArray<Answer<LE>>, InvalidOptions | JournalError> =>
  Effect.map(
    Batch.run(questions, ({ item }) => live.generate(item), {
      concurrency: settings.concurrency,
      key: ({ identity }) => identity,
      journal: settings.journal === undefined
        ? undefined
        : { journal: settings.journal, value: Response, settings: settingsInJournal }
    }),
    ({ results }) => results
  )
