/** What became of each request at the service, before the live model is asked. */
import * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import { type BatchError, JobFailed, Unanswered } from "../../error/BatchError.ts"
import type * as ModelError from "../../error/ModelError.ts"
import * as Verdict from "../../error/Verdict.ts"
import type * as BatchService from "../../model/BatchService.ts"
import type * as LanguageModel from "../../model/LanguageModel.ts"
import type { Response } from "../../model/Response.ts"
import * as Usage from "../../model/Usage.ts"
import type * as Batch from "../Batch.ts"
import type { Ended, Job, JobError } from "./job.ts"
import * as Live from "./live.ts"

type Failure = Exclude<BatchError, { readonly _tag: "InvalidLine" }> | ModelError.ModelError

/** What is known of one request. */
interface Row {
  readonly item: LanguageModel.Request
  readonly outcome: Either.Either<Response, Failure>
  readonly source: "run" | "journal"
  readonly elapsedMillis: number
  readonly attempts: number
  /** What the live model is asked under. */
  readonly identity: unknown
  /** The service has its answer, or may have it: a later run can read what this one could not. */
  readonly mayBeAnswered: boolean
}

/** Whether the live model may do better: what is wrong with the request itself stays wrong, and nothing is paid twice. */
const isWorthAsking = ({ mayBeAnswered, outcome }: Row): boolean =>
  Either.isLeft(outcome) && !mayBeAnswered && Verdict.of(outcome.left).action !== "Fail"

export class Outcomes {
  /** The service's ids of the jobs whose results were read. */
  readonly jobs: Array<string> = []
  readonly unknownIds: Array<string> = []
  unreadable = 0
  private readonly items: ReadonlyArray<LanguageModel.Request>
  private readonly service: BatchService.Service
  private readonly elapsedMillis: () => number
  private readonly indexOf: (entryId: string) => number
  private readonly rows: Array<Row> = []

  constructor(options: {
    readonly items: ReadonlyArray<LanguageModel.Request>
    readonly service: BatchService.Service
    readonly elapsedMillis: () => number
    /** The place of the request that the entry holds. */
    readonly indexOf: (entryId: string) => number
  }) {
    this.items = options.items
    this.service = options.service
    this.elapsedMillis = options.elapsedMillis
    this.indexOf = options.indexOf
  }

  /** A request that cannot be sent. */
  unsent(index: number, item: LanguageModel.Request, error: ModelError.ModelError): void {
    this.setRow(index, {
      outcome: Either.left(error),
      source: "run",
      attempts: 0,
      identity: Live.identityOutside(this.service.vendor, { index, item }),
      mayBeAnswered: false
    })
  }

  /** A job of which nothing can be had. */
  failed(job: Job, error: JobError): void {
    for (const { id } of job.entries) {
      this.setRow(this.indexOf(id), {
        outcome: Either.left(error),
        source: "run",
        attempts: 1,
        identity: Live.identityIn(job, id),
        mayBeAnswered: job.mayAnswer
      })
    }
  }

  /** A job that came to nothing in an earlier run, which asked the live model in its place. */
  replaced(job: Job): void {
    const { name, provider } = this.service
    job.mayAnswer = false
    this.failed(job, new JobFailed({ provider, model: name, job: "", faults: [], retryable: true }))
  }

  /** A job whose results were read, as far as they could be. */
  ended(job: Job, { collected, id: jobId, source, unanswered, unread }: Ended): void {
    const { name, provider } = this.service
    this.jobs.push(jobId)
    this.unknownIds.push(...collected.unknownIds)
    this.unreadable += collected.unreadable
    const missing = unread ?? new Unanswered({ provider, model: name, job: jobId, reason: unanswered })
    for (const { id } of job.entries) {
      const outcome = collected.outcomes.get(id)
      this.setRow(this.indexOf(id), {
        outcome: outcome ?? Either.left(missing),
        source,
        attempts: 1,
        identity: Live.identityIn(job, id),
        mayBeAnswered: outcome === undefined && unread !== undefined
      })
    }
  }

  private setRow(index: number, row: Omit<Row, "elapsedMillis" | "item">): void {
    const item = this.items[index]
    if (item !== undefined) this.rows[index] = { ...row, item, elapsedMillis: this.elapsedMillis() }
  }

  /** What the live model may be asked. */
  get questions(): ReadonlyArray<Live.Question> {
    return this.rows.flatMap((row, index) =>
      isWorthAsking(row) ? [{ index, item: row.item, identity: row.identity }] : []
    )
  }

  /** One result for each request; what the live model answered stands in place of the service's failure. */
  results<LE>(
    answers: ReadonlyArray<Live.Answer<LE>>
  ): ReadonlyArray<Batch.ItemResult<LanguageModel.Request, Response, Failure | Batch.Failure<LE>>> {
    const live = new Map(answers.map((answer) => [answer.item.index, answer]))
    return this.rows.map(({ attempts, elapsedMillis, item, outcome, source }, index) => {
      const elapsed = Duration.millis(elapsedMillis)
      const answer = live.get(index)
      if (answer === undefined) return { index, item, outcome, attempts, elapsed, usage: usageOf(outcome), source }
      return {
        ...answer,
        index,
        item,
        attempts: attempts + answer.attempts,
        elapsed: Duration.sum(elapsed, answer.elapsed),
        // An answer that the journal kept was paid for as much as the results of a job that it found again.
        usage: answer.source === "journal" ? usageOf(answer.outcome) : answer.usage
      }
    })
  }
}

const usageOf = (outcome: Either.Either<Response, unknown>): Usage.Usage =>
  Either.isRight(outcome) ? outcome.right.usage : Usage.zero
