/** What the server did, counted. Data in, data out. */
import * as HashMap from "effect/HashMap"
import * as HashSet from "effect/HashSet"
import * as Option from "effect/Option"
import type { BatchFault } from "../BatchFault.ts"
import type { DamageClass, Fault } from "../Fault.ts"
import type { ProtocolName } from "./protocol.ts"

/** The books of a server: what came in, what was done to it, what went out. */
export interface Books {
  /** Requests on an address of a model, refused ones included. */
  readonly requests: number
  /** The same by the protocol of the address. */
  readonly byProtocol: Readonly<Record<ProtocolName, number>>
  /** Requests that never became an arrival, by reason. */
  readonly refused: {
    readonly authentication: number
    readonly model: number
    readonly invalid: number
    readonly limit: number
  }
  /** Requests that met their fate: the sum of `arrivals`. */
  readonly admitted: number
  /** How often each request, by its key, was admitted. */
  readonly arrivals: Readonly<Record<string, number>>
  /** Admitted requests by the fault they met; late but right replies are among them. */
  readonly faults: Readonly<Partial<Record<Fault["_tag"], number>>>
  /** Damaged tool calls by the class that was really applied. */
  readonly damage: Readonly<Partial<Record<DamageClass, number>>>
  /** Damages that had to give way to another class, because the call had nothing that the planned one could spoil. */
  readonly substituted: number
  /** Streams begun, those included that went wrong. */
  readonly streams: number
  /**
   * Faults that could not harm, so that the reply was left right; not among `faults`: damages of a reply in text, and
   * faults of streams where none was asked for.
   */
  readonly spared: number
  /** Replies that a client can use as they are. */
  readonly right: { readonly toolCalls: number; readonly texts: number }
  /** Exchanges that the client left before it was answered. */
  readonly aborted: number
  /** Exchanges not yet over. */
  readonly inFlight: number
  /** Arrivals that came sooner than an injected 429 had told their request to wait. */
  readonly early: number
  /** Connections opened. */
  readonly sockets: number
  /** Distinct `idempotency-key` headers, and requests that repeated one. */
  readonly idempotency: { readonly keys: number; readonly replays: number }
  /**
   * Tokens of the replies with status 200, streams included, that were sent whole. Those of a background response are paid
   * once, when it is finished or cancelled, whoever reads it.
   */
  readonly tokens: Tokens
  /**
   * Tokens of the replies that broke: streams that were cut, that failed or whose client left, and bodies that were reset. The
   * prompt counts from the first piece of content on, and of the completion what was sent by then.
   */
  readonly brokenTokens: Tokens
  /** Replies that were made in the background, and what was asked about them. */
  readonly background: Background
  /** Jobs of the batch services, and their lines. Lines that the model was asked are among `admitted`, too. */
  readonly batches: Batches
}

/** What became of the jobs of the batch services; what ended by itself is entered when the books are read. */
export interface Batches {
  /** Jobs that were made, those included whose client never learnt it. */
  readonly submitted: number
  /** Requests for a job that made none. */
  readonly refused: number
  readonly completed: number
  /** Jobs whose input was refused. */
  readonly invalid: number
  readonly expired: number
  readonly cancelled: number
  /** Lines by what became of them: answered with a reply, answered with an error, not run. */
  readonly succeeded: number
  readonly failed: number
  readonly notRun: number
  readonly uploads: number
  readonly polls: number
  readonly lists: number
  /** Result files that were read, those included that were cut or refused. */
  readonly downloads: number
  /** Faults that jobs met. */
  readonly faults: Readonly<Partial<Record<BatchFault["_tag"], number>>>
}

/** What is paid for. */
export interface Tokens {
  readonly prompt: number
  readonly completion: number
}

/** What became of background responses. Resumed streams are admitted requests, too; the other questions are not. */
export interface Background {
  readonly created: number
  /** Finished by the time at which the books are read, whoever has read them. */
  readonly completed: number
  /** Streams asked for again. */
  readonly resumed: number
  readonly polled: number
  /** Cancelled before they were finished. */
  readonly cancelled: number
  /** Questions about responses that are gone, too old to be streamed, or were refused from the start. */
  readonly refused: number
}

/** The books as they are kept: maps in place of records, so that a busy server does not copy them at each arrival. */
export interface Ledger {
  readonly totals: Omit<Books, "arrivals" | "faults" | "damage" | "idempotency">
  readonly arrivals: HashMap.HashMap<string, number>
  readonly faults: HashMap.HashMap<Fault["_tag"], number>
  readonly damage: HashMap.HashMap<DamageClass, number>
  readonly idempotencyKeys: HashSet.HashSet<string>
  readonly replays: number
  /** Until when a request was told to wait, in milliseconds of the clock. */
  readonly due: HashMap.HashMap<string, number>
}

export const empty: Ledger = {
  totals: {
    requests: 0,
    byProtocol: { "openai-chat": 0, "openai-responses": 0, "anthropic": 0, "gemini": 0 },
    streams: 0,
    refused: { authentication: 0, model: 0, invalid: 0, limit: 0 },
    admitted: 0,
    substituted: 0,
    spared: 0,
    right: { toolCalls: 0, texts: 0 },
    aborted: 0,
    inFlight: 0,
    early: 0,
    sockets: 0,
    tokens: { prompt: 0, completion: 0 },
    brokenTokens: { prompt: 0, completion: 0 },
    background: { created: 0, completed: 0, resumed: 0, polled: 0, cancelled: 0, refused: 0 },
    batches: {
      submitted: 0,
      refused: 0,
      completed: 0,
      invalid: 0,
      expired: 0,
      cancelled: 0,
      succeeded: 0,
      failed: 0,
      notRun: 0,
      uploads: 0,
      polls: 0,
      lists: 0,
      downloads: 0,
      faults: {}
    }
  },
  arrivals: HashMap.empty(),
  faults: HashMap.empty(),
  damage: HashMap.empty(),
  idempotencyKeys: HashSet.empty(),
  replays: 0,
  due: HashMap.empty()
}

type Total =
  | "streams"
  | "admitted"
  | "substituted"
  | "spared"
  | "aborted"
  | "inFlight"
  | "early"
  | "sockets"

export const count = (total: Total, by = 1) => (ledger: Ledger): Ledger => ({
  ...ledger,
  totals: { ...ledger.totals, [total]: ledger.totals[total] + by }
})

export const keep = (what: keyof Background) => (ledger: Ledger): Ledger => ({
  ...ledger,
  totals: {
    ...ledger.totals,
    background: { ...ledger.totals.background, [what]: ledger.totals.background[what] + 1 }
  }
})

export const batch = (what: Exclude<keyof Batches, "faults">) => (ledger: Ledger): Ledger => ({
  ...ledger,
  totals: {
    ...ledger.totals,
    batches: { ...ledger.totals.batches, [what]: ledger.totals.batches[what] + 1 }
  }
})

export const meetInJob = (fault: BatchFault["_tag"]) => (ledger: Ledger): Ledger => {
  const { batches } = ledger.totals
  const faults = { ...batches.faults, [fault]: (batches.faults[fault] ?? 0) + 1 }
  return { ...ledger, totals: { ...ledger.totals, batches: { ...batches, faults } } }
}

export const request = (protocol: ProtocolName) => (ledger: Ledger): Ledger => ({
  ...ledger,
  totals: {
    ...ledger.totals,
    requests: ledger.totals.requests + 1,
    byProtocol: { ...ledger.totals.byProtocol, [protocol]: ledger.totals.byProtocol[protocol] + 1 }
  }
})

export const refuse = (reason: keyof Books["refused"]) => (ledger: Ledger): Ledger => ({
  ...ledger,
  totals: {
    ...ledger.totals,
    refused: { ...ledger.totals.refused, [reason]: ledger.totals.refused[reason] + 1 }
  }
})

const plusOne = Option.match({ onNone: () => Option.some(1), onSome: (n: number) => Option.some(n + 1) })

/** Timers may fire a little before their time; within this many milliseconds nobody came early. */
const timerSlack = 2

/** Enters an arrival; says which one it is for its request and for the server. */
export const arrive =
  (key: string, idempotencyKey: string | undefined, now: number) =>
  (ledger: Ledger): readonly [{ readonly arrival: number; readonly order: number }, Ledger] => {
    const arrivals = HashMap.modifyAt(ledger.arrivals, key, plusOne)
    const known = idempotencyKey !== undefined && HashSet.has(ledger.idempotencyKeys, idempotencyKey)
    const early = Option.exists(HashMap.get(ledger.due, key), (due) => now < due - timerSlack)
    const next: Ledger = {
      ...ledger,
      totals: {
        ...ledger.totals,
        admitted: ledger.totals.admitted + 1,
        early: ledger.totals.early + (early ? 1 : 0)
      },
      arrivals,
      idempotencyKeys: idempotencyKey === undefined
        ? ledger.idempotencyKeys
        : HashSet.add(ledger.idempotencyKeys, idempotencyKey),
      replays: ledger.replays + (known ? 1 : 0)
    }
    return [{ arrival: Option.getOrElse(HashMap.get(arrivals, key), () => 1), order: next.totals.admitted }, next]
  }

/** An idempotency key was asked again and got the answer that was kept for it. */
export const replay = (ledger: Ledger): Ledger => ({ ...ledger, replays: ledger.replays + 1 })

export const meet = (fault: Fault["_tag"]) => (ledger: Ledger): Ledger => ({
  ...ledger,
  faults: HashMap.modifyAt(ledger.faults, fault, plusOne)
})

export const spoil = (planned: DamageClass, applied: DamageClass) => (ledger: Ledger): Ledger => ({
  ...ledger,
  totals: { ...ledger.totals, substituted: ledger.totals.substituted + (planned === applied ? 0 : 1) },
  damage: HashMap.modifyAt(ledger.damage, applied, plusOne)
})

export const tellToWait = (key: string, until: number) => (ledger: Ledger): Ledger => ({
  ...ledger,
  due: HashMap.set(ledger.due, key, until)
})

export const serveRight = (kind: keyof Books["right"]) => (ledger: Ledger): Ledger => ({
  ...ledger,
  totals: { ...ledger.totals, right: { ...ledger.totals.right, [kind]: ledger.totals.right[kind] + 1 } }
})

const plus = (one: Tokens, prompt: number, completion: number): Tokens => ({
  prompt: one.prompt + prompt,
  completion: one.completion + completion
})

export const charge = (prompt: number, completion: number) => (ledger: Ledger): Ledger => ({
  ...ledger,
  totals: { ...ledger.totals, tokens: plus(ledger.totals.tokens, prompt, completion) }
})

export const chargeBroken = (prompt: number, completion: number) => (ledger: Ledger): Ledger => ({
  ...ledger,
  totals: { ...ledger.totals, brokenTokens: plus(ledger.totals.brokenTokens, prompt, completion) }
})

const record = <K extends string>(map: HashMap.HashMap<K, number>): Partial<Record<K, number>> =>
  HashMap.reduce(map, {}, (sum: Partial<Record<K, number>>, value, key) => ({ ...sum, [key]: value }))

/** The books as plain data. */
export const publish = (ledger: Ledger): Books => ({
  ...ledger.totals,
  arrivals: Object.fromEntries(HashMap.toEntries(ledger.arrivals)),
  faults: record(ledger.faults),
  damage: record(ledger.damage),
  idempotency: { keys: HashSet.size(ledger.idempotencyKeys), replays: ledger.replays }
})
