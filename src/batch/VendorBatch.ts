/**
 * Many calls as jobs of a vendor's batch service: half the price, for an answer within a day. It gives what `Batch` gives:
 * one result for each request, in their order, whatever becomes of it.
 *
 * A job is made once. With a journal, that it is to be made is remembered before, and its id after; a run after a crash finds
 * it again, by its marker or, where the service keeps none, by its time and size, and reads what was paid for.
 *
 * @example
 * import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
 * import * as Effect from "effect/Effect"
 * import * as Redacted from "effect/Redacted"
 * import * as Journal from "effect-llm-resilience/batch/Journal"
 * import * as VendorBatch from "effect-llm-resilience/batch/VendorBatch"
 * import * as OpenAiChat from "effect-llm-resilience/provider/OpenAiChat"
 *
 * const options = { apiKey: Redacted.make("sk-..."), model: "gpt-4o-mini" }
 *
 * const program = Effect.gen(function*() {
 *   const service = yield* OpenAiChat.makeBatchService(options)
 *   const live = yield* OpenAiChat.make(options)
 *   const journal = yield* Journal.Journal
 *   const requests = ["Rome", "Lima"].map((city) => ({ prompt: `Say something about ${city}.` }))
 *   const report = yield* VendorBatch.run(requests, service, { journal, live })
 *   return report.summary
 * })
 *
 * // Ready to run; in an application keep the journal in a file.
 * export const runnable = program.pipe(Effect.provide([FetchHttpClient.layer, Journal.layerMemory]))
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import type { JobFailed, JobUncertain, Unanswered } from "../error/BatchError.ts"
import type { InvalidOptions } from "../error/InvalidOptions.ts"
import type { JournalError } from "../error/JournalError.ts"
import * as ModelError from "../error/ModelError.ts"
import { elapsedMillis } from "../internal/elapsed.ts"
import type * as BatchService from "../model/BatchService.ts"
import type * as LanguageModel from "../model/LanguageModel.ts"
import type { Response } from "../model/Response.ts"
import * as Price from "../resilience/Price.ts"
import type * as Batch from "./Batch.ts"
import * as Journal from "./Journal.ts"
import * as Progress from "./Progress.ts"
import { costOf } from "./shared/cost.ts"
import * as Spent from "./shared/spent.ts"
import { split } from "./vendorBatch/entries.ts"
import { Job, jobIdIn, type Shared } from "./vendorBatch/job.ts"
import * as Live from "./vendorBatch/live.ts"
import { type Options, read, type Settings } from "./vendorBatch/options.ts"
import { Outcomes } from "./vendorBatch/outcomes.ts"

export type {
  /**
   * How a batch at a vendor's service is run; everything may be left out.
   *
   * @since 0.1.0
   * @category models
   */
  Options
} from "./vendorBatch/options.ts"
export {
  /**
   * What holds where an option is left out.
   *
   * @since 0.1.0
   * @category defaults
   */
  defaults
} from "./vendorBatch/options.ts"

/**
 * What a request can end with beside a response; `LE` is what the live model fails with.
 *
 * @since 0.1.0
 * @category errors
 */
export type Failure<LE = never> = ModelError.ModelError | Unanswered | JobFailed | JobUncertain | Batch.Failure<LE>

/**
 * What a request came to.
 *
 * @since 0.1.0
 * @category models
 */
export type ItemResult<LE = never> = Batch.ItemResult<LanguageModel.Request, Response, Failure<LE>>

/**
 * What all requests came to, and what the service said beside it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Report<LE = never> extends Batch.Report<LanguageModel.Request, Response, Failure<LE>> {
  /** The service's ids of the jobs whose results were read. */
  readonly jobs: ReadonlyArray<string>
  /** Ids in the results that no request has: the first thousand of each job. */
  readonly unknownIds: ReadonlyArray<string>
  /** Lines of results that cannot be read. */
  readonly unreadable: number
}

const tooLarge = (service: BatchService.Service, requested: number, limit: number): ModelError.ModelError =>
  new ModelError.RequestTooLarge({ provider: service.provider, model: service.name, requested, limit })

const withoutJournal = Effect.provide(Journal.Journal, Journal.layerMemory)

/** The counts of jobs that run, for a progress. */
class Counts {
  private readonly jobs = new Map<Job, { readonly done: number; readonly failed: number }>()
  private readonly total: number

  constructor(total: number) {
    this.total = total
  }

  set(job: Job, done: number, failed: number): void {
    this.jobs.set(job, { done: Math.min(done, job.entries.length), failed: Math.min(failed, job.entries.length) })
  }

  get snapshot() {
    const all = [...this.jobs.values()]
    const done = all.reduce((sum, each) => sum + each.done, 0)
    const failed = all.reduce((sum, each) => sum + each.failed, 0)
    return { total: this.total, done, failed, skipped: 0, retried: 0, inFlight: this.total - done, tokens: 0 }
  }
}

const summaryOf = <LE>(
  results: ReadonlyArray<ItemResult<LE>>,
  isLive: (index: number) => boolean,
  price: Settings["price"],
  elapsed: Duration.Duration
): Batch.Summary => {
  const failures = new Map<string, number>()
  const atService = Price.isPrice(price) ? Price.forBatch(price) : price
  let spent = Spent.nothing
  let [succeeded, retried, tokens] = [0, 0, 0]
  for (const { attempts, index, outcome, usage } of results) {
    if (Either.isRight(outcome)) succeeded++
    else {
      const tag = tagOf(outcome.left)
      failures.set(tag, (failures.get(tag) ?? 0) + 1)
    }
    retried += Math.max(0, attempts - 1)
    tokens += usage.totalTokens
    const pricing = isLive(index) ? price : atService
    if (pricing !== undefined) {
      spent = Spent.add(spent, costOf(pricing, usage, Either.isRight(outcome) ? outcome.right.model : ""))
    }
  }
  return {
    total: results.length,
    succeeded,
    failed: results.length - succeeded,
    skipped: 0,
    retried,
    tokens,
    ...Spent.told(spent, price),
    elapsed,
    failures: Object.fromEntries(failures),
    hasUnreadInput: false
  }
}

const tagOf = (error: unknown): string =>
  typeof error === "object" && error !== null && "_tag" in error && typeof error._tag === "string"
    ? error._tag
    : "UnknownError"

/**
 * Runs the requests as jobs of the service, as many as its limits ask for, and waits for them.
 *
 * A request that the provider would refuse fails without being sent. What the service failed, or did not come to before the
 * job expired or was cancelled, stays failed, or is asked of the `live` model, where asking again is sensible; what is done
 * is kept. The live model is not asked what the service may still have answered: a job that was not waited for to its end, or
 * results that could not be read. The journal keeps its answers, too. Results are known by their ids alone: one that nobody knows is told in the report, and a request without one is
 * `Unanswered`. A file of results that was cut short is read again whole.
 *
 * A job that was just made may be unknown to its own service: for ten minutes that is waited out. A job is made again only
 * where the service refused it as a whole, and for a reason that passes.
 *
 * It fails only with `InvalidOptions` and where the journal fails. Interrupted, it leaves its jobs to run, or stops them, as
 * `onInterrupt` says; with the journal and the same requests in the same order the next run goes on with them.
 *
 * @since 0.1.0
 * @category combinators
 */
export const run = <LE = never>(
  requests: Iterable<LanguageModel.Request>,
  service: BatchService.Service,
  options: Options<LE> = {}
): Effect.Effect<Report<LE>, InvalidOptions | JournalError> =>
  Effect.gen(function*() {
    const settings = yield* read(options)
    const clock = yield* Effect.clock
    const startedAt = elapsedMillis(clock)
    const since = () => Math.max(0, elapsedMillis(clock) - startedAt)
    const journal = settings.journal ?? (yield* withoutJournal)
    const items = [...requests]
    const counts = new Counts(items.length)
    const { progress } = settings
    if (progress !== undefined) yield* Progress.begin(progress, () => counts.snapshot)

    // Ids of this journal alone, so that the results of a job of somebody else are never taken for ours.
    const name = (yield* Journal.keyOf(journal.id)).slice(0, 12)
    const outcomes = new Outcomes({
      items,
      service,
      elapsedMillis: since,
      indexOf: (id) => Number(id.slice(name.length + 1))
    })
    const limits = {
      requests: Math.min(service.limits.requests, settings.maxRequests ?? Number.POSITIVE_INFINITY),
      bytes: Math.min(service.limits.bytes, settings.maxBytes ?? Number.POSITIVE_INFINITY)
    }
    const entries = yield* entriesOf(items, name, service, limits, outcomes)
    yield* runJobs(split(entries, limits), outcomes, {
      service,
      settings,
      journal,
      taken: new Set(),
      onCounts: (job, { failed, succeeded }) => counts.set(job, succeeded + failed, failed)
    })

    const { live } = options
    const answers = live === undefined ? [] : yield* Live.ask(outcomes.questions, live, settings)
    const results = outcomes.results(answers)
    const asked = new Set(answers.map(({ item }) => item.index))
    if (progress !== undefined) yield* Progress.end(progress)
    return {
      results,
      summary: summaryOf(results, (index) => asked.has(index), settings.price, Duration.millis(since())),
      jobs: outcomes.jobs,
      unknownIds: outcomes.unknownIds,
      unreadable: outcomes.unreadable
    }
  })

/** The requests as the service is sent them; those that it cannot be sent have their outcome. */
const entriesOf = (
  items: ReadonlyArray<LanguageModel.Request>,
  name: string,
  service: BatchService.Service,
  { bytes: mostBytes }: BatchService.Limits,
  outcomes: Outcomes
): Effect.Effect<ReadonlyArray<BatchService.Entry>> =>
  Effect.gen(function*() {
    const entries: Array<BatchService.Entry> = []
    for (const [index, item] of items.entries()) {
      const written = yield* Effect.either(service.write(item, `${name}-${index}`))
      if (Either.isLeft(written)) outcomes.unsent(index, item, written.left)
      else {
        const size = written.right.bytes.byteLength + 1
        if (size <= mostBytes) entries.push(written.right)
        else outcomes.unsent(index, item, tooLarge(service, size, mostBytes))
      }
    }
    return entries
  })

/** Runs a job for each list of entries, all to their ends. */
const runJobs = (
  lists: ReadonlyArray<ReadonlyArray<BatchService.Entry>>,
  outcomes: Outcomes,
  shared: Shared
): Effect.Effect<void, JournalError> =>
  Effect.gen(function*() {
    const { journal, settings } = shared
    const toRun: Array<Job> = []
    for (const entries of lists) {
      const job = yield* Job.make(shared, entries)
      const known = Option.getOrUndefined(yield* journal.lookup(job.key))
      const id = jobIdIn(known)
      // All known ids first, so that a job that is looked for is not taken for one of them.
      if (id !== undefined) shared.taken.add(id)
      const wasReplaced = known !== undefined && id === undefined && settings.live !== undefined &&
        (yield* Live.wasAskedFor(job, journal))
      if (wasReplaced) outcomes.replaced(job)
      else toRun.push(job)
    }
    // Made one after the other: two that are looked for at a time could be taken for each other.
    const gate = yield* Effect.makeSemaphore(1)
    const ended = yield* Effect.forEach(toRun, (job) =>
      Effect.map(
        Effect.either(job.run(gate)),
        (outcome) => [job, outcome] as const
      ), { concurrency: "unbounded" })
    for (const [job, outcome] of ended) {
      if (Either.isRight(outcome)) outcomes.ended(job, outcome.right)
      else if (outcome.left._tag === "JournalError") return yield* outcome.left
      else outcomes.failed(job, outcome.left)
    }
  })
