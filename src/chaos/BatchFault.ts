/**
 * What goes wrong with a job of a vendor's batch service, as data: faults that only such a job can have. A script lists them
 * job by job in `jobs`; a storm gives each its own chance in `batches`, by the seed, so that a job may meet several. The
 * lines of a job are calls like any other and meet the other faults of the plan as well.
 *
 * A vendor's jobs are spared the faults that its wire cannot say.
 *
 * @example
 * import * as BatchFault from "effect-llm-resilience/chaos/BatchFault"
 * import * as Fault from "effect-llm-resilience/chaos/Fault"
 *
 * // The first job is unknown for a while and expires half done; the second brings its results out of order.
 * export const plan = Fault.script({
 *   jobs: [
 *     [BatchFault.unknownJob("created", "2 seconds"), BatchFault.expiredJob(0.5)],
 *     [BatchFault.shuffledResults]
 *   ]
 * })
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import type * as Schema from "effect/Schema"
import { draw } from "../internal/seeded.ts"
import * as Batch from "./shared/batchPlan.ts"
import { durationText, type Script, type Storm } from "./shared/plan.ts"

/**
 * One thing that goes wrong with a job.
 *
 * @since 0.1.0
 * @category models
 */
export type BatchFault = typeof Batch.BatchFault.Type

/**
 * The schema of a `BatchFault`.
 *
 * @since 0.1.0
 * @category schemas
 */
export const BatchFault: Schema.Schema<BatchFault> = Batch.BatchFault

/**
 * Why OpenAI refuses the file of a job.
 *
 * @since 0.1.0
 * @category models
 */
export const validationCodes = Batch.validationCodes

/**
 * The faults that a job meets: the first that is asked for is number 1.
 *
 * @since 0.1.0
 * @category interpreters
 */
export const fate = (plan: typeof Storm.Type | typeof Script.Type, job: number): ReadonlyArray<BatchFault> =>
  "script" in plan
    ? plan.script.jobs?.[job - 1] ?? []
    : (plan.batches ?? []).flatMap(({ fault, probability }, index) =>
      draw(plan.seed, "job", job, index).happens(probability) ? [fault] : []
    )

/**
 * A job that exists is not found (404): for a time after it was made (`created`, where lists do not show it either), after
 * it has begun to run (`running`), or after its end, when its results are asked for (`results`).
 *
 * @since 0.1.0
 * @category constructors
 */
export const unknownJob = (
  when: (typeof Batch.jobPhases)[number],
  duration: Duration.DurationInput
): BatchFault => ({ _tag: "UnknownJob", when, duration: durationText(duration) })

/**
 * The request that is to make a job is answered with an error of the server or a 429, and no job is made. Default: 503.
 *
 * @since 0.1.0
 * @category constructors
 */
export const refusedJob = (status: (typeof Batch.refusals)[number] = 503): BatchFault => ({
  _tag: "RefusedJob",
  status
})

/**
 * The job is made, and the connection is reset before the client learns its id.
 *
 * @since 0.1.0
 * @category constructors
 */
export const lostJobReply: BatchFault = { _tag: "LostJobReply" }

/**
 * The service does not find the uploaded file although it is there: a 404 in place of a job (`create`), or a job that fails
 * when its input is looked at (`validation`). Anthropic's jobs have no file and are spared, as are inline ones of Gemini.
 *
 * @since 0.1.0
 * @category constructors
 */
export const missingInput = (when: (typeof Batch.missingInputTimes)[number]): BatchFault => ({
  _tag: "MissingInput",
  when
})

/**
 * A job fails when its input is looked at: with the code at OpenAI, as `BATCH_STATE_FAILED` at Gemini. Anthropic has no such
 * end; its jobs are spared.
 *
 * @since 0.1.0
 * @category constructors
 */
export const invalidJob = (code: (typeof validationCodes)[number]): BatchFault => ({ _tag: "InvalidJob", code })

/**
 * A job's time runs out when that share of its lines (0 to 1, rounded down) has been answered. Gemini gives no results then.
 *
 * @since 0.1.0
 * @category constructors
 */
export const expiredJob = (share: number): BatchFault => ({ _tag: "ExpiredJob", share })

/**
 * Somebody else cancels the job when that share of its lines (0 to 1, rounded down) has been answered.
 *
 * @since 0.1.0
 * @category constructors
 */
export const cancelledJob = (share: number): BatchFault => ({ _tag: "CancelledJob", share })

/**
 * Each line fails with that probability, by the seed: with an HTTP status and its error (`status`), with OpenAI's
 * `status_code: 0` and an empty body (`zero`), or as one that was not run (`unanswered`). Where a vendor has no such form, its
 * nearest one stands for it. Such a line is not asked of the model.
 *
 * @since 0.1.0
 * @category constructors
 */
export const failedLines = (share: number, form: (typeof Batch.lineErrorForms)[number] = "status"): BatchFault => ({
  _tag: "FailedLines",
  share,
  form
})

/**
 * Every line fails, and the job is completed all the same.
 *
 * @since 0.1.0
 * @category constructors
 */
export const allLinesFailed: BatchFault = { _tag: "AllLinesFailed" }

/**
 * OpenAI's counts say that every line was completed, whatever the files hold. Other jobs are spared.
 *
 * @since 0.1.0
 * @category constructors
 */
export const wrongCounts: BatchFault = { _tag: "WrongCounts" }

/**
 * An OpenAI job tells an empty text in place of null where it has no file. Other jobs are spared.
 *
 * @since 0.1.0
 * @category constructors
 */
export const emptyFileIds: BatchFault = { _tag: "EmptyFileIds" }

/**
 * Gemini answers a job that came by file with results inline. Other jobs are spared.
 *
 * @since 0.1.0
 * @category constructors
 */
export const inlineResults: BatchFault = { _tag: "InlineResults" }

/**
 * The results come in another order than the requests.
 *
 * @since 0.1.0
 * @category constructors
 */
export const shuffledResults: BatchFault = { _tag: "ShuffledResults" }

/**
 * Each result comes twice with that probability, by the seed.
 *
 * @since 0.1.0
 * @category constructors
 */
export const repeatedResults = (share: number): BatchFault => ({ _tag: "RepeatedResults", share })

/**
 * Each result lacks its key with that probability, by the seed. Only Gemini does that; other jobs are spared.
 *
 * @since 0.1.0
 * @category constructors
 */
export const missingKeys = (share: number): BatchFault => ({ _tag: "MissingKeys", share })

/**
 * The first downloads of each result file end after that share of its bytes: `clean`, as if that were all, or by a `reset`,
 * which cuts the half of what was announced. Default: one download. Inline results are spared.
 *
 * @since 0.1.0
 * @category constructors
 */
export const cutResults = (options: {
  readonly share: number
  readonly close?: "clean" | "reset" | undefined
  readonly times?: number | undefined
}): BatchFault => ({
  _tag: "CutResults",
  share: options.share,
  close: options.close ?? "clean",
  times: options.times ?? 1
})

/**
 * The first reads of each result file are answered with an error of the server; for results inline it is the job itself that
 * cannot be read. Default: one read, 503.
 *
 * @since 0.1.0
 * @category constructors
 */
export const unavailableResults = (options: {
  readonly status?: (typeof Batch.serverStatuses)[number] | undefined
  readonly times?: number | undefined
} = {}): BatchFault => ({ _tag: "UnavailableResults", status: options.status ?? 503, times: options.times ?? 1 })
