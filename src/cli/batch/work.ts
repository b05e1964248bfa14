/** Runs the prompts, live or as a vendor's jobs, and hands every result on. */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Batch from "../../batch/Batch.ts"
import type * as Journal from "../../batch/Journal.ts"
import type * as Progress from "../../batch/Progress.ts"
import * as VendorBatch from "../../batch/VendorBatch.ts"
import { InvalidLine } from "../../error/BatchError.ts"
import { definedFields } from "../../internal/record.ts"
import type * as BatchService from "../../model/BatchService.ts"
import type * as LanguageModel from "../../model/LanguageModel.ts"
import { zero } from "../../model/Usage.ts"
import type * as RetryPolicy from "../../policy/RetryPolicy.ts"
import type * as Price from "../../resilience/Price.ts"
import { Exit, exits } from "../shared/exits.ts"
import { Stop, StopNow } from "../shared/signals.ts"
import { Answer, ask, ofResponse } from "./answers.ts"
import { idOf, Line, requestOf, type Usual } from "./items.ts"
import type { Result } from "./results.ts"

export interface Work {
  readonly file: string
  readonly usual: Usual
  readonly model: LanguageModel.Service
  readonly service: BatchService.Service
  readonly schema: Schema.Schema.AnyNoContext | undefined
  /** The text of the schema's file, since answers to another one are other answers. */
  readonly schemaText: unknown
  readonly journal: Journal.Service | undefined
  readonly progress: Progress.Progress
  readonly price: Price.Price | undefined
  readonly concurrency: number | "auto"
  readonly stopWhen: Batch.StopWhen
  readonly onInterrupt: "finish" | "interrupt"
}

export const linesOf = (file: string) => Batch.fromJsonLinesFile(file, { schema: Line })

/** The first Ctrl-C, and what it does. */
const announced = (onInterrupt: Work["onInterrupt"]): Effect.Effect<void> =>
  Effect.zipRight(
    Effect.flatten(Stop),
    Console.error(
      onInterrupt === "finish"
        ? "\nStopping. Calls in flight are brought to their end; press Ctrl-C again to interrupt them."
        : "\nStopping. Calls in flight are interrupted."
    )
  )

/** Answers as they come. */
export const live = (
  work: Work,
  take: (result: Result) => Effect.Effect<void, unknown>
) =>
  Effect.gen(function*() {
    const { concurrency, journal, model, onInterrupt, price, progress, schema, schemaText, stopWhen, usual } = work
    const question = ask(model, schema)
    const interrupted = Effect.zipRight(yield* StopNow, Effect.interrupt)
    // Read at once, so that how many there are, and so the time that is left, is known.
    const lines = [...(yield* Stream.runCollect(linesOf(work.file)))]
    const results = Batch.stream(lines, (line) => Effect.raceFirst(question(requestOf(line, usual)), interrupted), {
      concurrency,
      onInterrupt,
      stopWhen,
      stopOn: announced(onInterrupt),
      progress,
      ...definedFields({ price }),
      ...(journal === undefined ? {} : {
        journal: {
          journal,
          value: Answer,
          // What makes an answer another one: the journal of another model answers nothing here.
          settings: {
            model: model.name,
            provider: model.provider,
            ...definedFields({ ...usual, schema: schemaText })
          }
        }
      })
    })
    yield* Stream.runForEach(results, ({ attempts, index, item, outcome, source, usage }) =>
      take({
        index,
        id: item instanceof InvalidLine ? undefined : idOf(item),
        outcome,
        attempts,
        usage,
        source,
        price
      }))
  })

/** Ends on the first Ctrl-C: jobs take hours. */
const stoppedJobs = ({ journal, onInterrupt }: Work): Effect.Effect<never, Exit> =>
  Effect.zipRight(
    Effect.flatten(Stop),
    new Exit({
      code: exits.interrupted,
      message: onInterrupt === "interrupt"
        ? "Stopped; the jobs were cancelled as far as the vendor takes that."
        : journal === undefined
        ? "Stopped. Jobs that were submitted go on at the vendor; without a journal no run finds them again."
        : "Stopped. Jobs that were submitted go on at the vendor; the same command finds them again."
    })
  )

/** Answers of a vendor's batch service, once it has ended; what it fails is asked of the live model where that is wanted. */
export const vendor = (
  work: Work & { readonly live: boolean; readonly poll: RetryPolicy.RetryPolicy | undefined },
  take: (result: Result) => Effect.Effect<void, unknown>
) =>
  Effect.gen(function*() {
    const { journal, model, poll, price, progress, service, usual } = work
    const all = [...(yield* Stream.runCollect(linesOf(work.file)))]
    const good = all.flatMap((line, index) => line instanceof InvalidLine ? [] : [{ index, line }])
    const { jobs, results, summary } = yield* VendorBatch.run(
      good.map(({ line }) => requestOf(line, usual)),
      service,
      {
        progress,
        onInterrupt: work.onInterrupt === "interrupt" ? "cancel" : "leave",
        ...definedFields({ journal, live: work.live ? model : undefined, poll, price })
      }
    ).pipe(Effect.raceFirst(stoppedJobs(work)))
    const answers = new Map(results.map((result, at) => [good[at]?.index ?? at, result]))
    for (const [index, line] of all.entries()) {
      const result = answers.get(index)
      yield* take(
        line instanceof InvalidLine || result === undefined
          ? {
            index,
            id: undefined,
            outcome: Either.left(line),
            attempts: 0,
            usage: zero,
            source: "run",
            price: undefined
          }
          : {
            index,
            id: idOf(line),
            outcome: Either.map(result.outcome, ofResponse),
            attempts: result.attempts,
            usage: result.usage,
            source: result.source,
            // Which answers were live, and so have another price, is known to the batch.
            price: undefined
          }
      )
    }
    return { jobs, cost: summary.cost ?? 0, unpriced: summary.unpriced?.items ?? 0 }
  })
