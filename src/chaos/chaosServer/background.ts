/**
 * Replies that are made in the background and kept: how far one has come at a time, what of it a connection gets, and when it
 * is paid for. Data in, data out.
 *
 * A reply is made at the pace of the server's tokens, whoever reads it. Worked example: with a token each 10 ms a reply of 5
 * pieces of content that began at 0 has 3 of them at 25 ms and is finished at 40 ms.
 */
import * as HashMap from "effect/HashMap"
import * as Option from "effect/Option"
import { draw } from "../../internal/seeded.ts"
import { fate, harms } from "../Fault.ts"
import { isStreamFault, waitMillis } from "../shared/plan.ts"
import { charge, count, keep, type Ledger, meet, serveRight } from "./books.ts"
import { type Answer, broken, seedOf, type Terms } from "./model.ts"
import type { Completion, Frame, Keeping, KeptStatus, ModelRequest, Protocol, Reply } from "./protocol.ts"
import { applies, isContent, type Mishap, score } from "./streamScore.ts"

/** How long replies are kept, in milliseconds from their creation. */
export interface Times {
  readonly keptMillis: number
  readonly streamableMillis: number
}

/** A reply that is kept. */
export interface Kept {
  readonly key: string
  readonly said: Completion
  readonly request: ModelRequest
  readonly frames: ReadonlyArray<Frame>
  readonly createdAt: number
  readonly tokenDelay: number
  readonly cancelledAt: number | undefined
  readonly isPaid: boolean
}

export type Shelf = HashMap.HashMap<string, Kept>

/** What changes when a reply is made or asked about. */
export interface Kitchen {
  readonly ledger: Ledger
  readonly shelf: Shelf
}

const contentOf = ({ frames }: Kept): number => frames.filter(isContent).length

const finishedAt = (kept: Kept): number => kept.createdAt + Math.max(0, contentOf(kept) - 1) * kept.tokenDelay

/** The frames, each with whether it is there at that time. */
const framesAt = (kept: Kept, now: number): ReadonlyArray<Frame> => {
  let content = 0
  return kept.frames.map((frame) => {
    const at = kept.createdAt + Math.max(0, isContent(frame) ? content++ : content - 1) * kept.tokenDelay
    return { ...frame, isMade: at <= now }
  })
}

const statusAt = (kept: Kept, now: number): KeptStatus =>
  kept.cancelledAt !== undefined
    ? "cancelled"
    : now >= finishedAt(kept)
    ? "completed"
    : now > kept.createdAt
    ? "in_progress"
    : "queued"

/** Enters a reply that is finished by now, and its price, once. */
const settled = (id: string, kept: Kept, now: number) => ({ ledger, shelf }: Kitchen): Kitchen => {
  if (kept.isPaid || statusAt(kept, now) !== "completed") return { ledger, shelf }
  const { completionTokens, promptTokens } = kept.said
  return {
    ledger: keep("completed")(charge(promptTokens, completionTokens)(ledger)),
    shelf: HashMap.set(shelf, id, { ...kept, isPaid: true })
  }
}

/** Enters all that is finished by now, and forgets what was kept for long enough. */
export const settle = (times: Times, now: number) => (kitchen: Kitchen): Kitchen => {
  const { ledger, shelf } = HashMap.reduce(
    kitchen.shelf,
    kitchen,
    (before, kept, id) => settled(id, kept, now)(before)
  )
  return { ledger, shelf: HashMap.filter(shelf, ({ createdAt }) => now < createdAt + times.keptMillis) }
}

/** After so many replies the shelf is looked through for those that were kept for long enough. */
const fullShelf = 1_000

export const create = (id: string, kept: Kept, times: Times) => (kitchen: Kitchen): Kitchen => {
  const { ledger, shelf } = HashMap.size(kitchen.shelf) % fullShelf === fullShelf - 1
    ? settle(times, kept.createdAt)(kitchen)
    : kitchen
  return settled(id, kept, kept.createdAt)({ ledger: keep("created")(ledger), shelf: HashMap.set(shelf, id, kept) })
}

/** The reply with that id, where it is still kept. */
export const find = (id: string, times: Times, now: number) => ({ shelf }: Kitchen): Kept | undefined =>
  Option.getOrUndefined(Option.filter(HashMap.get(shelf, id), ({ createdAt }) => now < createdAt + times.keptMillis))

export const look = (id: string, kept: Kept, keeping: Keeping, now: number) => (kitchen: Kitchen): [Reply, Kitchen] => {
  const after = settled(id, kept, now)(kitchen)
  return [
    keeping.look(kept.said, kept.request, statusAt(kept, now)),
    { ...after, ledger: keep("polled")(after.ledger) }
  ]
}

/** What was made up to now is paid for; a reply that was finished by then, or cancelled before, stays as it is. */
export const cancel =
  (id: string, kept: Kept, keeping: Keeping, now: number) => (kitchen: Kitchen): [Reply, Kitchen] => {
    const status = statusAt(kept, now)
    if (status === "completed" || status === "cancelled") {
      return [keeping.look(kept.said, kept.request, status), settled(id, kept, now)(kitchen)]
    }
    const { completionTokens, promptTokens } = kept.said
    const made = framesAt(kept, now).filter((frame) => isContent(frame) && frame.isMade === true).length
    const paid = Math.ceil(completionTokens * made / Math.max(1, contentOf(kept)))
    return [
      keeping.look(kept.said, kept.request, "cancelled"),
      {
        ledger: keep("cancelled")(charge(promptTokens, paid)(kitchen.ledger)),
        shelf: HashMap.set(kitchen.shelf, id, { ...kept, cancelledAt: now, isPaid: true })
      }
    ]
  }

export const forget = (id: string) => (kitchen: Kitchen): Kitchen => ({
  ...kitchen,
  shelf: HashMap.remove(kitchen.shelf, id)
})

/** One arrival of somebody who wants to go on with a stream. */
export interface Return {
  readonly arrival: number
  readonly order: number
  readonly now: number
  /** The number of the last event that the client has. */
  readonly after: number
}

/** What to do with it, and whether the reply is gone from then on. */
export interface Resumption extends Answer {
  readonly isForgotten: boolean
}

/** A stream from behind the last event that the client has, under its own fate. */
export const resume = (
  { plan, streamableMillis, tokenDelay }: Terms & Times,
  protocol: Protocol,
  keeping: Keeping,
  kept: Kept,
  { after, arrival, now, order }: Return
): Resumption => {
  const { key, request, said } = kept
  const until = kept.cancelledAt ?? now
  const frames = kept.cancelledAt === undefined
    ? framesAt(kept, now)
    : framesAt(kept, until).filter(({ isMade }) => isMade === true)
  const left = frames.slice(after + 1)
  const chance = draw(seedOf(plan), "reply", key, arrival).fork("resumed")
  const made = (outcome: Answer["outcome"], more: Partial<Resumption> = {}): Resumption => ({
    outcome,
    said: undefined,
    // A reply in the background is paid for when it is finished, whoever reads it.
    isWhole: false,
    late: 0,
    before: (ledger) => ledger,
    sent: (ledger) => ledger,
    isRight: false,
    isForgotten: false,
    ...more
  })
  const streamed = (some: ReadonlyArray<Frame>, mishap: Mishap | undefined, late = 0): Resumption => {
    const materials = {
      frames: some,
      delay: tokenDelay,
      errorFrame: ({ kind, when }: Extract<Mishap, { readonly _tag: "StreamError" }>) =>
        protocol.errorFrame(kind, said, request, when),
      brokenFrame: () => protocol.brokenFrame(said, request)
    }
    const isRight = (mishap === undefined || mishap._tag !== "EmptyChoices" && !harms(mishap)) &&
      kept.cancelledAt === undefined
    const { headers } = protocol.stream(said, request)
    const steps = score(materials, mishap, chance)
    return made({ _tag: "Streamed", headers, steps, content: some.filter(isContent).length }, {
      late,
      before: count("streams"),
      sent: isRight ? serveRight(said.toolCalls.length > 0 ? "toolCalls" : "texts") : (ledger) => ledger
    })
  }
  const met = (tag: Parameters<typeof meet>[0], answered: Resumption): Resumption => ({
    ...answered,
    before: (ledger) => answered.before(meet(tag)(ledger))
  })
  const spared = (): Resumption => {
    const answered = streamed(left, undefined)
    return { ...answered, before: (ledger) => answered.before(count("spared")(ledger)) }
  }

  if (!request.stream) return made(keeping.failure({ _tag: "NotStreamed" }))
  if (now >= kept.createdAt + streamableMillis) return made(keeping.failure({ _tag: "TooOld" }))
  return Option.match(fate(plan, key, arrival, order), {
    onNone: () => streamed(left, undefined),
    onSome: (fault): Resumption => {
      switch (fault._tag) {
        // What the model said is decided.
        case "DamagedToolCall":
        case "FinishLength":
        case "EmptyChoices":
        case "NoRetention":
          return spared()
        case "SlowReply":
          return met(fault._tag, streamed(left, undefined, waitMillis(fault.duration)))
        case "TooOldToStream":
          return met(fault._tag, made(keeping.failure({ _tag: "TooOld" })))
        case "ForgottenReply":
          return met(fault._tag, {
            ...made(keeping.failure({ _tag: "Unknown", id: keeping.idOf(said) })),
            isForgotten: true
          })
        case "RepeatedEvents":
          return met(fault._tag, fault.events === "all" ? streamed(frames, undefined) : streamed(left, fault))
        case "ResetDuringBody":
          return met(fault._tag, streamed(left, fault))
        default:
          if (!isStreamFault(fault)) return met(fault._tag, made(broken(protocol, fault, said, now)))
          return applies(fault, left, "numbered") ? met(fault._tag, streamed(left, fault)) : spared()
      }
    }
  })
}
