/** Replies that the server makes in the background: how far they come, and when they are paid for. */
import { describe, expect, it } from "@effect/vitest"
import * as HashMap from "effect/HashMap"
import * as BackgroundFault from "../../../src/chaos/BackgroundFault.ts"
import * as Background from "../../../src/chaos/chaosServer/background.ts"
import { empty } from "../../../src/chaos/chaosServer/books.ts"
import { responses } from "../../../src/chaos/chaosServer/openAiResponses/protocol.ts"
import type { Keeping } from "../../../src/chaos/chaosServer/protocol.ts"
import * as Fault from "../../../src/chaos/Fault.ts"
import * as StreamFault from "../../../src/chaos/StreamFault.ts"
import { asked, said } from "../completions.ts"

const keepingOf = (): Keeping => {
  const { keeping } = responses
  if (keeping === undefined) throw new Error("the Responses API keeps replies")
  return keeping
}

const keeping = keepingOf()
const request = { ...asked, stream: true, background: { store: true } }
const reply = said({ text: "One two three four five six.", toolCalls: [] })
const { frames } = responses.stream(reply, request)
const content = frames.filter(({ kind }) => kind === "content").length
const id = keeping.idOf(reply)

const times = { keptMillis: 600_000, streamableMillis: 300_000 }

/** A reply that began at 1000, with a piece of content each 10 ms. */
const kept: Background.Kept = {
  key: "key",
  said: reply,
  request,
  frames,
  createdAt: 1_000,
  tokenDelay: 10,
  cancelledAt: undefined,
  isPaid: false
}
const finishedAt = 1_000 + (content - 1) * 10

const kitchen = Background.create(id, kept, times)({ ledger: empty, shelf: HashMap.empty() })

const onShelf = (in_: Background.Kitchen, now: number): Background.Kept => {
  const found = Background.find(id, times, now)(in_)
  if (found === undefined) throw new Error("the reply is not kept")
  return found
}

const statusAt = (now: number): unknown => {
  const [{ body }] = Background.look(id, onShelf(kitchen, now), keeping, now)(kitchen)
  return JSON.parse(body).status
}

const numbersIn = (answer: Background.Resumption): ReadonlyArray<number> =>
  answer.outcome._tag !== "Streamed" ?
    [] :
    answer.outcome.steps.flatMap((step) =>
      step._tag !== "Write"
        ? []
        : [...step.text.matchAll(/"sequence_number":(\d+)/g)].map(([, number]) => Number(number))
    )

const waitsIn = (answer: Background.Resumption): number =>
  answer.outcome._tag !== "Streamed" ? 0 : answer.outcome.steps.filter(({ _tag }) => _tag === "Wait").length

const resumed = (
  faults: ReadonlyArray<Fault.Fault | null>,
  at: { readonly after: number; readonly now: number },
  from: Background.Kept = kept
) =>
  Background.resume(
    { plan: Fault.script({ everyRequest: faults }), tokenDelay: 10, ...times },
    responses,
    keeping,
    from,
    { arrival: 1, order: 1, ...at }
  )

const range = (first: number, last: number) => Array.from({ length: last - first + 1 }, (_, at) => first + at)
const lastNumber = frames.length - 1

describe("a reply in the background", () => {
  it("is numbered from 0 without a gap, and is queued first", () => {
    expect(frames.slice(0, 3).map(({ text }) => /^event: (\S+)/.exec(text)?.[1])).toEqual([
      "response.created",
      "response.queued",
      "response.in_progress"
    ])
    expect(numbersIn(resumed([], { after: -1, now: finishedAt }))).toEqual(range(0, lastNumber))
  })

  it("comes as far as the time says, whoever reads it", () => {
    expect(statusAt(1_000)).toBe("queued")
    expect(statusAt(1_001)).toBe("in_progress")
    expect(statusAt(finishedAt - 1)).toBe("in_progress")
    expect(statusAt(finishedAt)).toBe("completed")
  })

  it("is paid for once, when it is finished", () => {
    const early = Background.settle(times, finishedAt - 1)(kitchen)
    expect(early.ledger.totals.tokens).toEqual({ prompt: 0, completion: 0 })
    const late = Background.settle(times, finishedAt + 1)(Background.settle(times, finishedAt)(early))
    expect(late.ledger.totals.tokens).toEqual({ prompt: reply.promptTokens, completion: reply.completionTokens })
    expect(late.ledger.totals.background).toMatchObject({ created: 1, completed: 1, cancelled: 0 })
    const [, looked] = Background.look(id, onShelf(late, finishedAt + 2), keeping, finishedAt + 2)(late)
    expect(looked.ledger.totals.tokens).toEqual(late.ledger.totals.tokens)
    expect(looked.ledger.totals.background.polled).toBe(1)
  })

  it("is paid for as far as it had come when it is cancelled, and stays so", () => {
    const [first, once] = Background.cancel(id, kept, keeping, 1_025)(kitchen)
    expect(JSON.parse(first.body).status).toBe("cancelled")
    expect(once.ledger.totals.tokens).toEqual({
      prompt: reply.promptTokens,
      completion: Math.ceil(reply.completionTokens * 3 / content)
    })
    const [second, twice] = Background.cancel(id, onShelf(once, 1_030), keeping, 1_030)(once)
    expect(second).toEqual(first)
    expect(twice.ledger.totals.background.cancelled).toBe(1)
    expect(Background.settle(times, finishedAt)(twice).ledger.totals.tokens).toEqual(once.ledger.totals.tokens)
  })

  it("is not cancelled any more when it is finished", () => {
    const [answer, after] = Background.cancel(id, kept, keeping, finishedAt)(kitchen)
    expect(JSON.parse(answer.body).status).toBe("completed")
    expect(after.ledger.totals.background).toMatchObject({ completed: 1, cancelled: 0 })
  })

  it("is forgotten when it was kept for long enough", () => {
    expect(Background.find(id, times, 600_999)(kitchen)).toBeDefined()
    expect(Background.find(id, times, 601_000)(kitchen)).toBeUndefined()
    const settled = Background.settle(times, 601_000)(kitchen)
    expect(HashMap.size(settled.shelf)).toBe(0)
    // What nobody asked for was made and paid for all the same.
    expect(settled.ledger.totals.tokens.completion).toBe(reply.completionTokens)
  })

  describe("that is gone on with", () => {
    it("begins behind the event that the client has", () =>
      expect(numbersIn(resumed([], { after: 6, now: finishedAt }))).toEqual(range(7, lastNumber)))

    it("comes at once as far as it was made, and then at its own pace", () => {
      expect(waitsIn(resumed([], { after: 2, now: finishedAt }))).toBe(0)
      // Of all pieces of content but the first there is one pause; three are there at 25 ms.
      expect(waitsIn(resumed([], { after: 2, now: 1_025 }))).toBe(content - 3)
    })

    it("is nothing behind its last event", () =>
      expect(numbersIn(resumed([], { after: lastNumber, now: finishedAt }))).toEqual([]))

    it("ends with what was made before it was cancelled", () =>
      expect(numbersIn(resumed([], { after: 2, now: finishedAt }, { ...kept, cancelledAt: 1_025 })))
        .toEqual([3, 4, 5]))

    it("is refused when it is too old, or was not made as a stream", () => {
      const old = resumed([], { after: 6, now: 301_000 }).outcome
      expect(old).toMatchObject({ _tag: "Reply", status: 400 })
      expect(old._tag === "Reply" ? old.body : "").toContain("can no longer be streamed")
      const whole = resumed([], { after: 6, now: finishedAt }, { ...kept, request: { ...request, stream: false } })
      expect(whole.outcome).toMatchObject({ _tag: "Reply", status: 400 })
    })

    it("meets its own fate: the connection breaks, and the reply stays", () => {
      const numbers = numbersIn(resumed([StreamFault.cut("clean")], { after: 4, now: finishedAt }))
      expect(numbers[0]).toBe(5)
      expect(numbers.at(-1)).toBeLessThan(lastNumber)
      const failed = resumed([StreamFault.error({ when: "late" })], { after: 4, now: finishedAt }).outcome
      const text = failed._tag === "Streamed" ? JSON.stringify(failed.steps) : ""
      expect(text).toContain("event: error")
      expect(text).not.toContain("response.failed")
    })

    it("repeats one event, or all of them", () => {
      const one = numbersIn(resumed([BackgroundFault.repeatedEvents("one")], { after: 4, now: finishedAt }))
      expect([...new Set(one)]).toEqual(range(5, lastNumber))
      expect(one).toHaveLength(lastNumber - 4 + 1)
      const all = numbersIn(resumed([BackgroundFault.repeatedEvents("all")], { after: 4, now: finishedAt }))
      expect(all).toEqual(range(0, lastNumber))
    })

    it("is too old, or gone, where its fate says so", () => {
      expect(resumed([BackgroundFault.tooOldToStream], { after: 4, now: finishedAt })).toMatchObject({
        outcome: { status: 400 },
        isForgotten: false
      })
      expect(resumed([BackgroundFault.forgottenReply], { after: 4, now: finishedAt })).toMatchObject({
        outcome: { status: 404 },
        isForgotten: true
      })
    })

    it("is spared what can only befall the request that made it", () => {
      for (const fault of [Fault.finishLength, Fault.emptyChoices, BackgroundFault.noRetention]) {
        const answer = resumed([fault], { after: 4, now: finishedAt })
        expect(numbersIn(answer)).toEqual(range(5, lastNumber))
        expect(answer.before(empty).totals.spared).toBe(1)
      }
    })
  })
})
