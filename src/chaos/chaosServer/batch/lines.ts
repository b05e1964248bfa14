/** The lines of a job: each is a call of the model, under the plan's faults and in the same books. Data in, data out. */
import * as Either from "effect/Either"
import * as HashMap from "effect/HashMap"
import { draw, hex } from "../../../internal/seeded.ts"
import type { Plan } from "../../Fault.ts"
import { isRecord, parse } from "../../shared/json.ts"
import * as Ledger from "../books.ts"
import { answer, canSay, type MeantCall, meantCalls, price, seedOf } from "../model.ts"
import { firstUserText } from "../modelRequest.ts"
import type { Outcome } from "../outcome.ts"
import type { Failure } from "../protocol.ts"
import { answeredAt, type Job, type Line, met, type Result, scheduleOf, statusAt, type Times } from "./job.ts"

export interface Terms {
  readonly plan: Plan
  readonly models: ReadonlyArray<string>
  readonly callsPerReply: number
  readonly tokenDelay: number
  readonly requestKey: (firstUserText: string) => string
  readonly batches: {
    readonly times: Times
    readonly requests: number | undefined
    readonly bytes: number | undefined
  }
}

/** What lines change. */
export interface Desk {
  readonly ledger: Ledger.Ledger
  readonly meant: HashMap.HashMap<string, ReadonlyArray<MeantCall>>
}

/** A whole reply in JSON is the line's; whatever else would have happened on a connection loses it. */
const resultOf = (outcome: Outcome): Result => {
  if (outcome._tag !== "Reply") return { _tag: "Lost" }
  const body = parse(outcome.body)
  if (!isRecord(body)) return { _tag: "Lost" }
  return outcome.status < 300 ? { _tag: "Succeeded", body } : { _tag: "Failed", status: outcome.status, body }
}

const asked = (terms: Terms, line: Line, now: number, before: Desk): readonly [Result, Desk] => {
  const { protocol } = line
  const seed = seedOf(terms.plan)
  const desk = { ...before, ledger: Ledger.request(protocol.name)(before.ledger) }
  const refused = (reason: keyof Ledger.Books["refused"], outcome: Outcome): readonly [Result, Desk] => [
    resultOf(outcome),
    { ...desk, ledger: Ledger.refuse(reason)(desk.ledger) }
  ]
  const fails = (failure: Failure) => protocol.failure(failure)
  if (line.refusal !== undefined) return refused("invalid", line.refusal)
  const read = protocol.read(line.body, line.path)
  if (Either.isLeft(read)) return refused("invalid", read.left)
  const request = { ...read.right, stream: false, background: undefined }
  if (!terms.models.includes(request.model)) {
    return refused("model", fails({ _tag: "UnknownModel", model: request.model }))
  }
  const key = terms.requestKey(firstUserText(request))
  const meant = meantCalls(request, key, seed, terms.callsPerReply)
  if ("beyond" in meant) return refused("invalid", fails({ _tag: "UnknownSchema", tool: meant.beyond }))
  if (!canSay(request, key, seed)) {
    return refused("invalid", fails({ _tag: "UnknownSchema", tool: "response_format" }))
  }
  const [arrival, entered] = Ledger.arrive(key, undefined, now)(desk.ledger)
  const made = answer(terms, protocol, { request, key, meant, now, ...arrival })
  return [
    resultOf(made.outcome),
    { ledger: made.sent(price(made, 0, true)(made.before(entered))), meant: HashMap.set(desk.meant, key, meant) }
  ]
}

/** How a line ends that is to fail whatever the model would say. */
const plannedFailure = (job: Job, index: number, seed: number | string): Result | undefined => {
  const { protocol } = job.lines[index] ?? {}
  const failed = met(job, "FailedLines")
  const isFailed = failed !== undefined && draw(seed, "line", job.order, index).happens(failed.share)
  if (protocol === undefined || !isFailed && met(job, "AllLinesFailed") === undefined) return undefined
  const form = isFailed ? failed.form : "status"
  return form === "zero"
    ? { _tag: "Lost" }
    : form === "unanswered"
    ? { _tag: "NotRun", why: "expired" }
    : resultOf(protocol.failure({ _tag: "ServerError", status: 500, id: hex(`${job.id} ${index}`) }))
}

const bookOf: Readonly<Record<Result["_tag"], "succeeded" | "failed" | "notRun">> = {
  Succeeded: "succeeded",
  Failed: "failed",
  Lost: "failed",
  NotRun: "notRun"
}

/** Answers the lines that are over by now, and enters them, and the job's end, in the books once. */
export const settle = (terms: Terms, job: Job, now: number) => <D extends Desk>(before: D): readonly [Job, D] => {
  if (job.isEnded) return [job, before]
  const { times } = terms.batches
  const schedule = scheduleOf(job, times)
  const until = answeredAt(job, schedule, times, now)
  const status = statusAt(schedule, now)
  const isEnded = now >= schedule.endsAt
  if (until <= job.results.length && !isEnded) return [job, before]
  const results = [...job.results]
  let desk: Desk = before
  const enter = (result: Result): void => {
    results.push(result)
    desk = { ...desk, ledger: Ledger.batch(bookOf[result._tag])(desk.ledger) }
  }
  for (const line of job.lines.slice(job.results.length, until)) {
    const planned = plannedFailure(job, results.length, seedOf(terms.plan))
    if (planned !== undefined) {
      enter(planned)
      continue
    }
    const [result, after] = asked(terms, line, now, desk)
    desk = after
    enter(result)
  }
  if (isEnded) {
    if (status === "expired" || status === "cancelled") {
      while (results.length < job.lines.length) enter({ _tag: "NotRun", why: status })
    }
    desk = { ...desk, ledger: Ledger.batch(schedule.end === "failed" ? "invalid" : schedule.end)(desk.ledger) }
  }
  return [{ ...job, results, isEnded }, { ...before, ...desk }]
}
