/**
 * A job of a batch service, whatever the vendor: how far it has come at a time. Data in, data out.
 *
 * A job moves by the clock alone. Worked example: a job of 10 lines that is looked at for 1 s, runs for 10 s and is closed for
 * 1 s, made at 0, has 4 lines answered at 5 s, all of them at 11 s and is completed at 12 s. If it is cancelled at 5 s, and
 * cancelling takes 2 s, it ends at 7 s with 4 answers.
 */
import type { BatchFault } from "../../BatchFault.ts"
import { waitMillis } from "../../shared/plan.ts"
import type { Protocol, Reply, Route } from "../protocol.ts"

export type Vendor = "openai" | "anthropic" | "gemini"

/** How long each state lasts, in milliseconds. */
export interface Times {
  readonly validating: number
  /** From the first line's begin to the last one's end. */
  readonly running: number
  readonly finalizing: number
  readonly cancelling: number
  /** From the job's creation until its time has run out. */
  readonly expiry: number
}

/** One request of a job. */
export interface Line {
  /** The name that its result has; Gemini's inline requests may have none. */
  readonly id: string | undefined
  readonly protocol: Protocol
  readonly path: Route
  readonly body: string
  /** Set where the service refuses the line whatever the model would say. */
  readonly refusal?: Reply | undefined
}

/** What became of a line. */
export type Result =
  | { readonly _tag: "Succeeded"; readonly body: Readonly<Record<string, unknown>> }
  | { readonly _tag: "Failed"; readonly status: number; readonly body: Readonly<Record<string, unknown>> }
  /** No answer came, and nobody says why. */
  | { readonly _tag: "Lost" }
  | { readonly _tag: "NotRun"; readonly why: "expired" | "cancelled" }

/** Why the input of a job was refused. */
export interface Invalid {
  readonly code: string
  readonly message: string
  readonly line: number | null
}

export interface Job {
  readonly vendor: Vendor
  /** Bare hex: the vendor puts its own prefix before it. */
  readonly id: string
  readonly order: number
  readonly createdAt: number
  readonly lines: ReadonlyArray<Line>
  readonly faults: ReadonlyArray<BatchFault>
  readonly invalid: Invalid | undefined
  readonly cancelledAt: number | undefined
  /** What was asked for, as it is shown again. */
  readonly asked: Readonly<Record<string, unknown>>
  /** Of the lines that are over, in the order of the lines. */
  readonly results: ReadonlyArray<Result>
  /** Whether its end stands in the books. */
  readonly isEnded: boolean
  /** How often each of its files was read. */
  readonly reads: Readonly<Record<string, number>>
}

export type End = "completed" | "failed" | "expired" | "cancelled"

export type Status = "validating" | "running" | "finalizing" | "cancelling" | End

/** When a job does what, in milliseconds since 1970. */
export interface Schedule {
  readonly startsAt: number
  /** No line is run from here on. */
  readonly stopsAt: number
  readonly endsAt: number
  readonly end: End
  /** Lines that are answered when it stops. */
  readonly answered: number
}

/** The fault of that kind, where the job meets it. */
export const met = <Tag extends BatchFault["_tag"]>(
  job: Pick<Job, "faults">,
  tag: Tag
): Extract<BatchFault, { readonly _tag: Tag }> | undefined =>
  job.faults.find((fault): fault is Extract<BatchFault, { readonly _tag: Tag }> => fault._tag === tag)

/** Lines that are answered when it has run for so long. */
const answeredAfter = (lines: number, elapsedMillis: number, running: number): number =>
  elapsedMillis >= running ? lines : Math.max(0, Math.floor(lines * elapsedMillis / running))

export const scheduleOf = (job: Job, times: Times): Schedule => {
  const { cancelledAt, createdAt, lines } = job
  const startsAt = createdAt + times.validating
  if (job.invalid !== undefined && (cancelledAt === undefined || cancelledAt >= startsAt)) {
    return { startsAt, stopsAt: startsAt, endsAt: startsAt, end: "failed", answered: 0 }
  }
  const byShare = (end: "expired" | "cancelled", share: number) => ({
    end,
    stopsAt: startsAt + times.running * share,
    answered: Math.floor(lines.length * share)
  })
  const byTime = (end: "expired" | "cancelled", stopsAt: number) => ({
    end,
    stopsAt,
    answered: stopsAt < startsAt ? 0 : answeredAfter(lines.length, stopsAt - startsAt, times.running)
  })
  const cancelled = met(job, "CancelledJob")
  const expired = met(job, "ExpiredJob")
  const completed = { end: "completed", stopsAt: startsAt + times.running, answered: lines.length } as const
  const early = [
    ...(cancelledAt === undefined || cancelledAt >= completed.stopsAt ? [] : [byTime("cancelled", cancelledAt)]),
    ...(cancelled === undefined ? [] : [byShare("cancelled", cancelled.share)]),
    ...(expired === undefined ? [] : [byShare("expired", expired.share)]),
    ...(completed.stopsAt <= createdAt + times.expiry ? [] : [byTime("expired", createdAt + times.expiry)])
  ]
  const stop = early.reduce<(typeof early)[number] | typeof completed>(
    (first, other) => other.stopsAt < first.stopsAt || first.end === "completed" ? other : first,
    completed
  )
  const closing = stop.end === "cancelled" ? times.cancelling : times.finalizing
  return { startsAt, ...stop, endsAt: stop.stopsAt + closing }
}

export const statusAt = (schedule: Schedule, now: number): Status => {
  if (now >= schedule.endsAt) return schedule.end
  if (now >= schedule.stopsAt) return schedule.end === "cancelled" ? "cancelling" : "finalizing"
  return now < schedule.startsAt ? "validating" : "running"
}

/** Lines that are answered by then. */
export const answeredAt = (job: Job, schedule: Schedule, times: Times, now: number): number =>
  now >= schedule.stopsAt
    ? schedule.answered
    : now < schedule.startsAt
    ? 0
    : Math.min(schedule.answered, answeredAfter(job.lines.length, now - schedule.startsAt, times.running))

/** When its time runs out, as the job itself says. */
export const expiresAt = (job: Job, schedule: Schedule, times: Times): number =>
  schedule.end === "expired" ? schedule.stopsAt : job.createdAt + times.expiry

/** Whether the service does not find the job that it has made: `results` is for who asks for its results. */
export const isUnknown = (job: Job, schedule: Schedule, now: number, asksFor: "job" | "results"): boolean =>
  job.faults.some((fault) => {
    if (fault._tag !== "UnknownJob" || (fault.when === "results") !== (asksFor === "results")) return false
    const from = { created: job.createdAt, running: schedule.startsAt, results: schedule.endsAt }[fault.when]
    return now >= from && now < from + waitMillis(fault.duration)
  })

export interface Counts {
  readonly total: number
  readonly succeeded: number
  readonly failed: number
  readonly expired: number
  readonly cancelled: number
}

export const countsOf = ({ lines, results }: Job): Counts => {
  const count = (is: (result: Result) => boolean) => results.filter(is).length
  return {
    total: lines.length,
    succeeded: count(({ _tag }) => _tag === "Succeeded"),
    failed: count(({ _tag }) => _tag === "Failed" || _tag === "Lost"),
    expired: count((result) => result._tag === "NotRun" && result.why === "expired"),
    cancelled: count((result) => result._tag === "NotRun" && result.why === "cancelled")
  }
}
