/** One job: made once, found again, waited for and read. */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Encoding from "effect/Encoding"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { type JobFailed, JobUncertain, Unanswered } from "../../error/BatchError.ts"
import type { JournalError } from "../../error/JournalError.ts"
import type * as ModelError from "../../error/ModelError.ts"
import * as Verdict from "../../error/Verdict.ts"
import { definedFields, isRecord } from "../../internal/record.ts"
import type * as BatchService from "../../model/BatchService.ts"
import * as Retry from "../../policy/Retry.ts"
import * as Journal from "../Journal.ts"
import { Collected } from "./entries.ts"
import { defaults, type Settings } from "./options.ts"

export type JobError = ModelError.ModelError | JobFailed | JobUncertain | Unanswered

/** What a job came to. */
export interface Ended {
  readonly id: string
  readonly source: "run" | "journal"
  readonly collected: Collected
  readonly unanswered: Unanswered["reason"]
  /** Why the results could not be read to their end; the rest of them is there, and paid for. */
  readonly unread?: ModelError.ModelError
}

/** A job whose id is known. */
interface Submitted {
  readonly id: string
  readonly source: "run" | "journal"
}

/** What all jobs of a run share. */
export interface Shared {
  readonly service: BatchService.Service
  readonly settings: Settings
  readonly journal: Journal.Service
  /** The ids of the jobs that are known to be others. */
  readonly taken: Set<string>
  /** Is told the counts of a running job. */
  readonly onCounts: (job: Job, counts: NonNullable<BatchService.Job["counts"]>) => void
}

/** Not ended yet, or for the moment not to be seen. */
class NotYet {
  [Verdict.symbol](): Verdict.Verdict {
    return Verdict.make("Retry")
  }
  readonly _tag = "NotYet"
}

const now = Effect.clockWith((clock) => clock.currentTimeMillis)

/** A known id that the service does not know is one that it does not know yet. */
const isUnknown = (error: unknown): boolean => isRecord(error) && error["status"] === 404

const judged = (error: unknown): Verdict.Verdict => isUnknown(error) ? Verdict.make("Retry") : Verdict.of(error)

const sha256 = async (bytes: Uint8Array): Promise<Uint8Array> =>
  new Uint8Array(await crypto.subtle.digest("SHA-256", new Uint8Array(bytes)))

/** A digest of digests, as the platform has none that is fed piece by piece. */
const digestOf = (entries: ReadonlyArray<BatchService.Entry>): Effect.Effect<string> =>
  Effect.promise(async () => {
    const all = new Uint8Array(32 * entries.length)
    for (const [at, { bytes }] of entries.entries()) all.set(await sha256(bytes), 32 * at)
    return Encoding.encodeHex(await sha256(all))
  })

/** Whether a submit that failed so may have made a job. */
const mayHaveMade = (error: ModelError.ModelError): boolean =>
  error.billed !== "no" || (error.status !== undefined && (error.status >= 500 || error.status < 300))

/** The service has lost the input, which its refusal names; what else it does not know stays unknown. */
const isInputLost = (error: ModelError.ModelError, { file }: BatchService.Input): boolean =>
  file !== undefined && (error.status === 404 || error.status === 400) && (error.body ?? "").includes(file)

/** The service's id of a job that the journal knows. */
export const jobIdIn = (entry: Journal.Entry | undefined): string | undefined => {
  const id = entry?._tag === "Succeeded" && isRecord(entry.value) ? entry.value["job"] : undefined
  return typeof id === "string" ? id : undefined
}

export class Job {
  readonly entries: ReadonlyArray<BatchService.Entry>
  private readonly shared: Shared
  /** What the journal calls it. */
  readonly key: string
  /** The service has it, or may have it: a later run may read the answers that are missing in this one. */
  mayAnswer = false

  private constructor(shared: Shared, entries: ReadonlyArray<BatchService.Entry>, key: string) {
    this.shared = shared
    this.entries = entries
    this.key = key
  }

  static make(shared: Shared, entries: ReadonlyArray<BatchService.Entry>): Effect.Effect<Job> {
    const { name, provider, vendor } = shared.service
    return Effect.map(
      Effect.flatMap(digestOf(entries), (digest) => Journal.keyOf(digest, { job: vendor, provider, model: name })),
      (key) => new Job(shared, entries, key)
    )
  }

  /** The job to its end. It fails where nothing of it can be had. Jobs are made within the gate. */
  run(gate: Effect.Semaphore): Effect.Effect<Ended, JobError | JournalError> {
    const { onInterrupt, resubmit } = this.shared.settings
    const once = Effect.flatMap(gate.withPermits(1)(this.submitted), (job) => {
      this.mayAnswer = true
      const watched = Effect.flatMap(this.awaited(job), (ended) => this.read(job, ended))
      return onInterrupt === "leave" ? watched : Effect.onInterrupt(
        watched,
        () => Effect.ignore(this.shared.service.cancel(job.id))
      )
    })
    // Only a refused job is made anew: nothing of it was run.
    return once.pipe(
      Effect.map(Either.right),
      Effect.catchAll((error) =>
        error._tag === "JobFailed" && error.retryable ? Effect.fail(error) : Effect.succeed(Either.left(error))
      ),
      Retry.apply(resubmit),
      Effect.flatten
    )
  }

  /** The job with its id: from the journal, found again, or made. The id is in the journal before it is believed. */
  get submitted(): Effect.Effect<Submitted, ModelError.ModelError | JobUncertain | JournalError> {
    return Effect.gen(this, function*() {
      const { journal } = this.shared
      const known = Option.getOrUndefined(yield* journal.lookup(this.key))
      if (known?._tag === "Succeeded") {
        const id = jobIdIn(known)
        if (id !== undefined) return { id, source: "journal" }
      }
      if (known?._tag === "Started") return yield* this.made(known, true)
      const at = yield* now
      const round = known?._tag === "Failed" ? known.round + 1 : 0
      const intended: Journal.Started = { _tag: "Started", key: this.key, round, at }
      yield* journal.append(intended)
      return yield* this.made(intended, false)
    })
  }

  private marker({ round }: Journal.Started): string {
    return `${this.shared.journal.id}-${this.key.slice(0, 24)}-${round}`
  }

  /** Makes the job unless it is found; `isUncertain` says that it may have been made. */
  private made(
    intended: Journal.Started,
    isUncertain: boolean
  ): Effect.Effect<Submitted, ModelError.ModelError | JobUncertain | JournalError> {
    const { journal, service, settings, taken } = this.shared
    const marker = this.marker(intended)
    this.mayAnswer = isUncertain
    let input: BatchService.Input | undefined
    const lost = new WeakSet<object>()
    const verdict = (error: unknown): Verdict.Verdict =>
      typeof error === "object" && error !== null && lost.has(error) ? Verdict.make("Retry") : Verdict.of(error)
    const found = Effect.suspend(() => this.mayAnswer ? this.found(intended) : Effect.succeed(undefined))
    const create = Effect.gen(this, function*() {
      const sent = input ?? (yield* service.upload(this.entries, marker))
      input = sent
      return yield* Effect.tapError(service.create(sent, marker), (error) =>
        Effect.sync(() => {
          if (isInputLost(error, sent)) lost.add(error)
          else if (mayHaveMade(error)) this.mayAnswer = true
          // The service may have lost what it was sent.
          input = undefined
        }))
    })
    const retry = Effect.orDie(Retry.make({ policy: settings.retry, verdict }))
    const once = Effect.flatMap(found, (job) => job === undefined ? create : Effect.succeed(job))
    return Effect.flatMap(retry, (retried) => Retry.apply(once, retried)).pipe(
      // From the job's id to its line in the journal nothing may come between.
      Effect.flatMap(({ id }) => {
        taken.add(id)
        return Effect.as(this.remember(journal, id), { id, source: isUncertain ? "journal" as const : "run" as const })
      })
    )
  }

  private remember(journal: Journal.Service, id: string): Effect.Effect<void, JournalError> {
    return Effect.flatMap(
      now,
      (at) => Effect.uninterruptible(journal.append({ _tag: "Succeeded", key: this.key, value: { job: id }, at }))
    )
  }

  /** The job that may have been made, where the service has it. Lists may lag behind. */
  private found(
    intended: Journal.Started
  ): Effect.Effect<BatchService.Job | undefined, ModelError.ModelError | JobUncertain> {
    const { service, settings, taken } = this.shared
    const wanted = { marker: this.marker(intended), requests: this.entries.length, since: intended.at }
    const uncertain = (jobs: ReadonlyArray<BatchService.Job>): JobUncertain =>
      new JobUncertain({
        provider: service.provider,
        model: service.name,
        marker: wanted.marker,
        candidates: jobs.slice(0, 20).map(({ id }) => id)
      })
    type Found = Either.Either<BatchService.Job | undefined, ModelError.ModelError | JobUncertain>
    const look = Effect.flatMap(Effect.either(service.find(wanted)), (told): Effect.Effect<Found, NotYet> => {
      if (Either.isLeft(told)) return Effect.succeed(Either.left(told.left))
      const jobs = told.right.filter(({ id }) => !taken.has(id))
      if (jobs.length > 1 && service.foundBy === "timeAndCount") return Effect.succeed(Either.left(uncertain(jobs)))
      return jobs[0] === undefined ? Effect.fail(new NotYet()) : Effect.succeed(Either.right(jobs[0]))
    })
    return look.pipe(
      Retry.apply(settings.lookAgain),
      Effect.catchTag("NotYet", () => Effect.succeed(Either.right(undefined))),
      Effect.flatten
    )
  }

  /** The job when it has ended. What is only out of sight is waited for. */
  private awaited({ id }: Submitted): Effect.Effect<BatchService.Job, JobError | JournalError> {
    const { onCounts, service, settings } = this.shared
    let seenAt: number | undefined
    const look = Effect.gen(this, function*() {
      const at = yield* now
      seenAt ??= at
      const seen = yield* Effect.either(service.poll(id))
      if (Either.isLeft(seen)) {
        const error = seen.left
        const isGone = isUnknown(error) && at - seenAt >= defaults.unknownMillis
        if (isGone) this.mayAnswer = false
        const passes = isUnknown(error) ? !isGone : Verdict.of(error).action === "Retry"
        return yield* passes ? Effect.fail(new NotYet()) : Effect.succeed(Either.left(error))
      }
      seenAt = at
      const job = seen.right
      if (job.counts !== undefined) onCounts(this, job.counts)
      return yield* job.state === "running" ? Effect.fail(new NotYet()) : Effect.succeed(Either.right(job))
    })
    return look.pipe(
      Retry.apply(settings.poll),
      Effect.flatten,
      Effect.catchTag("NotYet", () => Effect.fail(this.unanswered(id, "running"))),
      Effect.flatMap((job): Effect.Effect<BatchService.Job, JobError | JournalError> =>
        job.failure === undefined ? Effect.succeed(job) : Effect.zipRight(this.forget(job.failure), job.failure)
      )
    )
  }

  /** A refused job ran nothing, so that the next run may make another. */
  private forget({ _tag: tag, message }: JobFailed): Effect.Effect<void, JournalError> {
    const { journal } = this.shared
    this.mayAnswer = false
    return Effect.flatMap(now, (at) =>
      // A marker of its own for each job: rounds are counted by the time, as the last one is no longer known.
      journal.append({ _tag: "Failed", key: this.key, round: Math.floor(at / 1000), tag, message, at }))
  }

  private unanswered(job: string, reason: Unanswered["reason"]): Unanswered {
    const { name, provider } = this.shared.service
    return new Unanswered({ provider, model: name, job, reason })
  }

  /** The results. A file that is cut short, or lacks some, is read again whole; what was read stays. */
  private read(
    { id, source }: Submitted,
    job: BatchService.Job
  ): Effect.Effect<Ended, ModelError.ModelError | JobUncertain> {
    const { service, settings } = this.shared
    const collected = new Collected(this.entries)
    let unread: ModelError.ModelError | undefined
    const once = Effect.suspend(() => {
      collected.again()
      return Stream.runForEach(service.results(id), (result) => Effect.sync(() => collected.add(result)))
    })
    const retry = Effect.orDie(Retry.make({ policy: settings.retry, verdict: judged }))
    return Effect.gen(function*() {
      const retried = yield* retry
      const read = Effect.flatMap(
        Effect.either(Retry.apply(once, retried)),
        (ended): Effect.Effect<Either.Either<void, ModelError.ModelError>, NotYet> => {
          // What has come is paid for, and better than nothing.
          if (Either.isLeft(ended) && collected.outcomes.size === 0) return Effect.succeed(ended)
          unread = Either.isLeft(ended) ? ended.left : undefined
          const isOver = collected.isWhole || job.unanswered !== undefined || Either.isLeft(ended)
          return isOver ? Effect.succeed(Either.void) : Effect.fail(new NotYet())
        }
      )
      yield* read.pipe(
        Retry.apply(settings.lookAgain),
        Effect.catchTag("NotYet", () => Effect.succeed(Either.void)),
        Effect.flatten
      )
      if (collected.isForeign && service.foundBy === "timeAndCount") {
        return yield* new JobUncertain({
          provider: service.provider,
          model: service.name,
          marker: id,
          candidates: [id]
        })
      }
      return { id, source, collected, unanswered: job.unanswered ?? "missing", ...definedFields({ unread }) }
    })
  }
}
