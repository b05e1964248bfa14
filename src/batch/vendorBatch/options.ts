/** What a batch at a vendor's service is told, and how it is read. */
import * as Either from "effect/Either"
import { InvalidOptions, issueOf } from "../../error/InvalidOptions.ts"
import * as Form from "../../internal/form.ts"
import type * as LanguageModel from "../../model/LanguageModel.ts"
import * as RetryPolicy from "../../policy/RetryPolicy.ts"
import { isPricing, type Pricing } from "../../resilience/Price.ts"
import type * as Journal from "../Journal.ts"
import type { Progress } from "../Progress.ts"

export interface Options<out LE = never> {
  /**
   * The waits between two looks at a job, and how long it is waited for. Default: 5 seconds, half as long again each time,
   * at most 5 minutes, within 49 hours.
   */
  readonly poll?: RetryPolicy.RetryPolicy | undefined
  /**
   * When an upload, a submit or the reading of results that failed is tried again. Default: 10 attempts, 1 second doubling to
   * at most a minute.
   */
  readonly retry?: RetryPolicy.RetryPolicy | undefined
  /**
   * The looks at what may lag behind: at the list of jobs, for one that may have been made although its reply was lost,
   * before it is made again; and at results that are not all there yet. Default: 3 looks, 20 seconds apart.
   */
  readonly lookAgain?: RetryPolicy.RetryPolicy | undefined
  /**
   * When a job that the service refused for a reason that passes (a full queue, an input that it lost) is submitted again.
   * Default: 6 attempts, 1 minute doubling to at most 30 minutes.
   */
  readonly resubmit?: RetryPolicy.RetryPolicy | undefined
  /**
   * Remembers the jobs and what the live model answered, so that a run after a crash pays for neither again. Default: nothing
   * is remembered.
   */
  readonly journal?: Journal.Service | undefined
  /**
   * Answers what the service failed or did not come to, where asking again is sensible and nothing is paid for twice.
   * Default: it stays failed.
   */
  readonly live?: LanguageModel.Service<LE> | undefined
  /** Live calls at a time: 1 to 100 000; or `"auto"`. Default: `"auto"`. */
  readonly concurrency?: number | "auto" | undefined
  /** What becomes of the jobs when the run is interrupted: they go on (`"leave"`) or are stopped. Default: `"leave"`. */
  readonly onInterrupt?: "leave" | "cancel" | undefined
  /** The most requests of one job, 1 or more. Default: what the service takes. */
  readonly maxRequests?: number | undefined
  /** The most bytes of one job, 1 or more. Default: what the service takes. */
  readonly maxBytes?: number | undefined
  /**
   * What tokens of a model cost: a table, whose price for batches is taken for what the service answered, or a function, at
   * the service's own price. Requests that have no price are told in the summary (`unpriced`).
   */
  readonly price?: Pricing | undefined
  /** Is told what happens, where the service tells it while a job runs. */
  readonly progress?: Progress | undefined
}

export const defaults = {
  poll: RetryPolicy.exponential({ initial: "5 seconds", factor: 1.5 }).pipe(
    RetryPolicy.capped("5 minutes"),
    RetryPolicy.within("49 hours")
  ),
  retry: RetryPolicy.exponential({ initial: "1 second", factor: 2 }).pipe(
    RetryPolicy.capped("1 minute"),
    RetryPolicy.attempts(10)
  ),
  resubmit: RetryPolicy.exponential({ initial: "1 minute", factor: 2 }).pipe(
    RetryPolicy.capped("30 minutes"),
    RetryPolicy.attempts(6)
  ),
  lookAgain: RetryPolicy.constant("20 seconds").pipe(RetryPolicy.attempts(3)),
  onInterrupt: "leave",
  concurrency: "auto",
  /** How long a job may be unknown to the service that made it, in milliseconds. */
  unknownMillis: 600_000
} as const

const isRecord = (value: unknown): boolean => typeof value === "object" && value !== null

const isJournal = (value: unknown): value is Journal.Service => isRecord(value)
const isModel = (value: unknown): value is LanguageModel.Service<unknown> => isRecord(value)
const isProgress = (value: unknown): value is Progress => isRecord(value)

const policy = (value: unknown): value is RetryPolicy.RetryPolicy => RetryPolicy.isRetryPolicy(value)

const form = Form.struct("an object with the options of a batch at a vendor's service", {
  poll: Form.withDefault(Form.value(policy, "a RetryPolicy"), () => defaults.poll),
  retry: Form.withDefault(Form.value(policy, "a RetryPolicy"), () => defaults.retry),
  resubmit: Form.withDefault(Form.value(policy, "a RetryPolicy"), () => defaults.resubmit),
  lookAgain: Form.withDefault(Form.value(policy, "a RetryPolicy"), () => defaults.lookAgain),
  journal: Form.optional(Form.value(isJournal, "a journal: yield* Journal.Journal")),
  live: Form.optional(Form.value(isModel, "a language model")),
  concurrency: Form.withDefault(
    Form.choose(
      "a whole number, 1 to 100000, or \"auto\"",
      Form.when(Form.isText, Form.oneOfWith(["auto"], "a whole number, 1 to 100000, or \"auto\"")),
      Form.otherwise(Form.count(1, 100_000, "a whole number, 1 to 100000, or \"auto\""))
    ),
    () => defaults.concurrency
  ),
  onInterrupt: Form.withDefault(Form.oneOf("leave", "cancel"), () => defaults.onInterrupt),
  maxRequests: Form.optional(Form.count(1, 1_000_000_000)),
  maxBytes: Form.optional(Form.count(1, 1_000_000_000)),
  price: Form.optional(
    Form.value(isPricing, "a table of Price, or a function from usage and model to a number")
  ),
  progress: Form.optional(Form.value(isProgress, "what Progress.make gave"))
})

export type Settings = Form.Output<typeof form>

export const read = (given: unknown): Either.Either<Settings, InvalidOptions> =>
  Either.mapLeft(
    Form.read(form, given, "code"),
    (issues) => new InvalidOptions({ module: "VendorBatch", issues: issues.map(issueOf) })
  )
