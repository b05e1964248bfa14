/**
 * A vendor's batch service: many requests in one job, at half the price, answered within a day. `VendorBatch.run` is what
 * people use; this is what it asks of a vendor, and what a test or another vendor gives in its place.
 *
 * Providers make one: `OpenAiChat.makeBatchService`, `OpenAiResponses.makeBatchService`, `Anthropic.makeBatchService` and
 * `Gemini.makeBatchService`.
 *
 * @example
 * import type * as BatchService from "effect-llm-resilience/model/BatchService"
 *
 * const words = (job: BatchService.Job): string =>
 *   job.counts === undefined ? job.state : `${job.state}: ${job.counts.succeeded} of ${job.counts.total}`
 *
 * console.log(words({ id: "batch_1", state: "running", counts: { total: 10, succeeded: 4, failed: 0 } }))
 * // running: 4 of 10
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import type * as Either from "effect/Either"
import type * as Stream from "effect/Stream"
import type { JobFailed, Unanswered } from "../error/BatchError.ts"
import type * as ModelError from "../error/ModelError.ts"
import type { Request } from "./LanguageModel.ts"
import type { Response } from "./Response.ts"

/**
 * What a service takes in one job.
 *
 * @since 0.1.0
 * @category models
 */
export interface Limits {
  /** The most requests. */
  readonly requests: number
  /** The most bytes of all entries together, line ends included. */
  readonly bytes: number
}

/**
 * One request as the service is sent it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Entry {
  /** 1 to 64 letters, digits, `_` and `-`; no other of the same job has it. */
  readonly id: string
  /** JSON in UTF-8, on one line. */
  readonly bytes: Uint8Array
  /** Gives a response the words of its request: the service's reply knows only those of the wire. */
  readonly restore: (response: Response) => Response
}

/**
 * Entries that the service has been given. Nothing is run or paid until a job is made of them.
 *
 * @since 0.1.0
 * @category models
 */
export interface Input {
  /** The service's name of the uploaded file; absent where the job itself carries the entries. */
  readonly file?: string
  readonly entries: ReadonlyArray<Entry>
}

/**
 * A job at the service. `"ended"` says nothing of its requests: they may all have failed. A job that is `"refused"` ran
 * nothing.
 *
 * @since 0.1.0
 * @category models
 */
export interface Job {
  readonly id: string
  readonly state: "running" | "ended" | "refused"
  /** How many requests have ended, where the service tells it while the job runs. They need not add up. */
  readonly counts?: { readonly total: number; readonly succeeded: number; readonly failed: number }
  /** Why a job was refused. */
  readonly failure?: JobFailed
  /** Why entries have no result, where the job ended early. */
  readonly unanswered?: "expired" | "cancelled"
}

/**
 * What the service says of one entry; without an `id` where its line cannot be read.
 *
 * @since 0.1.0
 * @category models
 */
export interface Result {
  readonly id?: string
  readonly outcome: Either.Either<Response, ModelError.ModelError | Unanswered>
}

/**
 * How a job is looked for whose id was lost.
 *
 * @since 0.1.0
 * @category models
 */
export interface Wanted {
  readonly marker: string
  readonly requests: number
  /** When it was about to be submitted, in milliseconds since 1970. */
  readonly since: number
}

/**
 * A batch service of one model.
 *
 * @since 0.1.0
 * @category models
 */
export interface Service {
  /** The model's name. */
  readonly name: string
  readonly provider: string
  /** The service's name in a journal, such as `"openai-chat-batch"`. */
  readonly vendor: string
  readonly limits: Limits
  /**
   * Whether a job is found by its marker (`"marker"`), or by its time and the number of its requests, which several jobs may
   * share (`"timeAndCount"`).
   */
  readonly foundBy: "marker" | "timeAndCount"
  /** Writes a request. What the provider would refuse fails here, before anything is sent. */
  readonly write: (request: Request, id: string) => Effect.Effect<Entry, ModelError.ModelError>
  /** Sends the entries where the service wants them before the job. It may be run again: only jobs are paid for. */
  readonly upload: (entries: ReadonlyArray<Entry>, marker: string) => Effect.Effect<Input, ModelError.ModelError>
  /** Makes the job. A second run makes a second job: no service knows one from the other. */
  readonly create: (input: Input, marker: string) => Effect.Effect<Job, ModelError.ModelError>
  /** How the job is. A job that was just created may be unknown for minutes. */
  readonly poll: (id: string) => Effect.Effect<Job, ModelError.ModelError>
  /**
   * The results of a job that has ended, in any order. Fails with `Truncated` where the file was cut short: read it again
   * from its beginning.
   */
  readonly results: (id: string) => Stream.Stream<Result, ModelError.ModelError>
  /** Stops the job; what is done is paid for and can be read. */
  readonly cancel: (id: string) => Effect.Effect<void, ModelError.ModelError>
  /** The jobs that may be the one that is looked for, the oldest first. */
  readonly find: (wanted: Wanted) => Effect.Effect<ReadonlyArray<Job>, ModelError.ModelError>
}
