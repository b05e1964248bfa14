/** Runs the prompts, live or as a vendor's jobs, and hands every result on. */
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
import { Stop } from "../shared/signals.ts"
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

/** Answers as they come. */
export const live = (
  work: Work,
  take: (result: Result) => Effect.Effect<void, unknown>
) =>
  Effect.gen(function*() {
    const { concurrency, journal, model, onInterrupt, price, progress, schema, schemaText, stopWhen, usual } = work
    const question = ask(model, schema)
    // Read at once, so that how many there are, and so the time that is left, is known.
    const lines = [...(yield* Stream.runCollect(linesOf(work.file)))]
    const results = Batch.stream(lines, (line) => question(requestOf(line, usual)), {
      concurrency,
      onInterrupt,
      stopWhen,
      stopOn: yield* Stop,
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
      { progress, ...definedFields({ journal, live: work.live ? model : undefined, poll, price }) }
    )
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
