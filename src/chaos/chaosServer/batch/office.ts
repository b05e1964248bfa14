/** Jobs and files of the batch services, as the server keeps them. Data in, data out. */
import * as HashMap from "effect/HashMap"
import { draw, hex } from "../../../internal/seeded.ts"
import * as BatchFault from "../../BatchFault.ts"
import * as Ledger from "../books.ts"
import { seedOf } from "../model.ts"
import type { Outcome } from "../outcome.ts"
import type { Protocol, Reply } from "../protocol.ts"
import { type Invalid, isUnknown, type Job, type Line, met, type Result, scheduleOf, type Vendor } from "./job.ts"
import { type Desk, settle, type Terms } from "./lines.ts"

export interface StoredFile {
  readonly name: string
  readonly mimeType: string
  readonly purpose: string
  readonly text: string
  readonly createdAt: number
}

export interface Office extends Desk {
  /** By their bare ids. */
  readonly jobs: HashMap.HashMap<string, Job>
  /** By their ids on the wire. */
  readonly files: HashMap.HashMap<string, StoredFile>
  /** Uploads that are not finished, by their ids. */
  readonly uploads: HashMap.HashMap<string, StoredFile>
  /** Jobs that were asked for, those included that were refused; names their faults. */
  readonly orders: number
  /** Files that were begun. */
  readonly fileOrders: number
}

/** A request to a batch service. */
export interface Call {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  /** Where the client reaches the server. */
  readonly origin: string
  readonly now: number
}

export type Answered = readonly [Outcome, Office]

/** A batch service. `undefined`: the address is another's. */
export interface BatchWire {
  readonly protocol: Protocol
  readonly route: (path: string) => boolean
  readonly serve: (terms: Terms, call: Call) => (office: Office) => Answered
}

export const count = (what: Parameters<typeof Ledger.batch>[0]) => (office: Office): Office => ({
  ...office,
  ledger: Ledger.batch(what)(office.ledger)
})

export const nextId = (terms: Terms, kind: string, order: number): string =>
  hex(JSON.stringify([seedOf(terms.plan), kind, order]))

/** The bytes of a text as it goes over the wire. */
export const bytesOf = (text: string): number => new TextEncoder().encode(text).length

/** Keeps a file; `idOf` gives its id on the wire by its bare one. */
export const store = (terms: Terms, file: StoredFile, idOf: (bare: string) => string) =>
(
  office: Office
): readonly [id: string, Office] => {
  const id = idOf(nextId(terms, "file", office.fileOrders))
  return [id, {
    ...count("uploads")(office),
    files: HashMap.set(office.files, id, file),
    fileOrders: office.fileOrders + 1
  }]
}

/** What a job is made of. */
export interface Order {
  readonly vendor: Vendor
  readonly lines: ReadonlyArray<Line>
  readonly invalid: Invalid | undefined
  readonly asked: Job["asked"]
}

/** The faults of the job that is asked for next, those that its vendor can say; counts the order. */
export const faultsOf = (
  terms: Terms,
  spared: ReadonlyArray<BatchFault.BatchFault["_tag"]>
) =>
(office: Office): readonly [ReadonlyArray<BatchFault.BatchFault>, Office] => {
  const faults = BatchFault.fate(terms.plan, office.orders + 1).filter(({ _tag }) => !spared.includes(_tag))
  return [faults, {
    ...office,
    orders: office.orders + 1,
    ledger: faults.reduce((ledger, { _tag }) => Ledger.meetInJob(_tag)(ledger), office.ledger)
  }]
}

/** The refusal of an order by an error of the server, where its faults say so. */
export const refusedOrder = (protocol: Protocol, faults: Job["faults"], now: number): Reply | undefined => {
  const refused = met({ faults }, "RefusedJob")
  if (refused === undefined) return undefined
  const { status } = refused
  return protocol.failure(
    status === 429
      ? { _tag: "RateLimited", model: "batch", hint: "none", wait: 0, now }
      : { _tag: "ServerError", status, id: hex(JSON.stringify(faults)) }
  )
}

export const create =
  (terms: Terms, order: Order, faults: Job["faults"], now: number) => (office: Office): readonly [Job, Office] => {
    const id = nextId(terms, "job", office.orders)
    const planned = met({ faults }, "InvalidJob")
    const made: Job = {
      ...order,
      id,
      order: office.orders,
      createdAt: now,
      faults,
      invalid: order.invalid ?? (planned === undefined ? undefined : wordsOf(planned.code, order.lines)),
      cancelledAt: undefined,
      results: [],
      isEnded: false,
      reads: {}
    }
    const [job, settled] = settle(terms, made, now)(count("submitted")(office))
    return [job, { ...settled, jobs: HashMap.set(settled.jobs, id, job) }]
  }

/** What the client of a new job is told: its reply, unless that is lost. */
export const told = (job: Job, reply: Reply): Outcome =>
  met(job, "LostJobReply") === undefined ? reply : { _tag: "Reset", after: undefined }

/** The reasons for which an input is refused, in words. */
export const wordsOf = (
  code: (typeof BatchFault.validationCodes)[number],
  lines: ReadonlyArray<unknown>,
  line: number | null = 1
): Invalid => {
  switch (code) {
    case "token_limit_exceeded":
      return {
        code,
        line: null,
        message: "Enqueued token limit reached. Please try again once some in_progress batches " +
          "have been completed."
      }
    case "invalid_json_line":
      return { code, line, message: "This line is not parseable as valid JSON." }
    case "duplicate_custom_id":
      return { code, line, message: "The custom_id of this request is used by another request of the same file." }
    case "url_mismatch":
      return { code, line, message: "The URL provided for this request does not match the batch endpoint." }
    case "model_mismatch":
      return { code, line, message: "All requests of a batch must name the same model." }
    case "empty_file":
      return { code, line: null, message: "The input file is empty." }
    case "too_many_tasks":
      return { code, line: null, message: `The batch has too many tasks (${lines.length}).` }
  }
}

/** The job of that id, as it stands now; `undefined` where the service does not find it. */
export const find =
  (terms: Terms, vendor: Vendor, id: string, now: number, asksFor: "job" | "results" = "job") =>
  (office: Office): readonly [Job | undefined, Office] => {
    const found = HashMap.get(office.jobs, id)
    if (found._tag === "None" || found.value.vendor !== vendor) return [undefined, office]
    if (isUnknown(found.value, scheduleOf(found.value, terms.batches.times), now, asksFor)) return [undefined, office]
    const [job, settled] = settle(terms, found.value, now)(office)
    return [job, replace(job)(settled)]
  }

export const replace = (job: Job) => (office: Office): Office => ({
  ...office,
  jobs: HashMap.set(office.jobs, job.id, job)
})

export const remove = (job: Job) => (office: Office): Office => ({
  ...office,
  jobs: HashMap.remove(office.jobs, job.id)
})

/** All jobs as they stand now, for the books. */
export const settleAll = (terms: Terms, now: number) => (office: Office): Office =>
  HashMap.reduce(office.jobs, office, (before, kept) => {
    if (kept.isEnded) return before
    const [job, settled] = settle(terms, kept, now)(before)
    return replace(job)(settled)
  })

/** The vendor's jobs, the newest first; who is not found yet is not listed either. */
export const list = (terms: Terms, vendor: Vendor, now: number) => (office: Office): readonly [Array<Job>, Office] => {
  const settled = settleAll(terms, now)(count("lists")(office))
  const jobs = [...HashMap.values(settled.jobs)].filter((job) =>
    job.vendor === vendor && !isUnknown(job, scheduleOf(job, terms.batches.times), now, "job")
  )
  return [jobs.sort((left, right) => right.order - left.order), settled]
}

/** Asks for the job's end; one that no longer runs stays as it is. */
export const cancel = (terms: Terms, job: Job, now: number) => (office: Office): readonly [Job, Office] => {
  const { stopsAt } = scheduleOf(job, terms.batches.times)
  if (job.cancelledAt !== undefined || now >= stopsAt) return [job, office]
  const [after, settled] = settle(terms, { ...job, cancelledAt: now }, now)(office)
  return [after, replace(after)(settled)]
}

/** One result with the line it belongs to. */
export interface Entry {
  readonly line: Line
  readonly index: number
  readonly result: Result
  /** Whether its key is left out. */
  readonly isKeyless: boolean
}

/** The results as a file brings them: under the job's faults out of order, twice, without keys. */
export const entriesOf = (terms: Terms, job: Job, isPart: (result: Result) => boolean): ReadonlyArray<Entry> => {
  const seed = seedOf(terms.plan)
  const keyless = met(job, "MissingKeys")?.share ?? 0
  const repeated = met(job, "RepeatedResults")?.share ?? 0
  const entries = job.results.flatMap((result, index): ReadonlyArray<Entry> => {
    const line = job.lines[index]
    if (line === undefined || !isPart(result)) return []
    const entry = { line, index, result, isKeyless: draw(seed, "key", job.order, index).happens(keyless) }
    return draw(seed, "repeat", job.order, index).happens(repeated) ? [entry, entry] : [entry]
  })
  return met(job, "ShuffledResults") === undefined ? entries : draw(seed, "order", job.order).shuffle(entries)
}

/** Counts a read of one of the job's files; which one it is. */
export const read = (job: Job, file: string) => (office: Office): readonly [number, Office] => {
  const nth = (job.reads[file] ?? 0) + 1
  return [nth, replace({ ...job, reads: { ...job.reads, [file]: nth } })(office)]
}

/** A result file, under the job's faults. */
export const download = (
  protocol: Protocol,
  job: Job,
  file: string,
  whole: Reply
) =>
(before: Office): Answered => {
  const [nth, office] = read(job, file)(count("downloads")(before))
  const unavailable = met(job, "UnavailableResults")
  if (unavailable !== undefined && nth <= unavailable.times) {
    const id = hex(`${job.id} ${nth}`)
    return [protocol.failure({ _tag: "ServerError", status: unavailable.status, id }), office]
  }
  const cut = met(job, "CutResults")
  if (cut === undefined || nth > cut.times + (unavailable?.times ?? 0)) return [whole, office]
  return [
    cut.close === "reset"
      ? { _tag: "Reset", after: whole }
      : { ...whole, body: whole.body.slice(0, Math.floor(whole.body.length * cut.share)) },
    office
  ]
}

/** JSON Lines. */
export const jsonLines = (values: ReadonlyArray<unknown>): string =>
  values.map((value) => `${JSON.stringify(value)}\n`).join("")
