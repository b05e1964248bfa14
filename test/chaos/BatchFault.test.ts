/** Faults of jobs as data. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as BatchFault from "../../src/chaos/BatchFault.ts"
import * as Fault from "../../src/chaos/Fault.ts"
import { start } from "./chaosServer/batch/service.ts"

const faults: ReadonlyArray<BatchFault.BatchFault> = [
  BatchFault.unknownJob("created", "2 seconds"),
  BatchFault.refusedJob(),
  BatchFault.lostJobReply,
  BatchFault.missingInput("validation"),
  BatchFault.invalidJob("empty_file"),
  BatchFault.expiredJob(0.5),
  BatchFault.cancelledJob(0.5),
  BatchFault.failedLines(0.1, "zero"),
  BatchFault.allLinesFailed,
  BatchFault.wrongCounts,
  BatchFault.emptyFileIds,
  BatchFault.inlineResults,
  BatchFault.shuffledResults,
  BatchFault.repeatedResults(0.1),
  BatchFault.missingKeys(0.1),
  BatchFault.cutResults({ share: 0.5 }),
  BatchFault.unavailableResults()
]

describe("a fault of a job", () => {
  it("goes through JSON in both kinds of plan", () => {
    const plans = [
      Fault.script({ jobs: [faults, []] }),
      Fault.storm({ seed: 1, batches: faults.map((fault) => ({ probability: 0.5, fault })) })
    ]
    for (const plan of plans) {
      expect(Either.getOrThrow(Fault.decode(JSON.parse(JSON.stringify(Fault.encode(plan)))))).toEqual(plan)
    }
  })

  it("is dealt by the seed, each by its own chance", () => {
    const plan = Fault.storm({ seed: 7, batches: faults.map((fault) => ({ probability: 0.25, fault })) })
    const dealt = Array.from({ length: 200 }, (_, job) => BatchFault.fate(plan, job + 1))
    expect(dealt).toEqual(Array.from({ length: 200 }, (_, job) => BatchFault.fate(plan, job + 1)))
    const share = dealt.flat().length / (200 * faults.length)
    expect(share).toBeGreaterThan(0.2)
    expect(share).toBeLessThan(0.3)
  })

  it("that is wrong is told with its place", () => {
    const read = Fault.decode({ script: { jobs: [[{ _tag: "ExpiredJob", share: 2 }]] } })
    expect(Either.isLeft(read) && read.left.issues).toMatchObject([{ path: "script.jobs.0.0.share", found: "2" }])
  })
})

describe("an idempotency key that is asked again", () => {
  const ask = ({ post }: Effect.Effect.Success<ReturnType<typeof start>>, key: string) =>
    post("/v1/chat/completions", { model: "gpt-4o-mini", messages: [{ role: "user", content: "Hello" }] }, {
      "idempotency-key": key
    })

  it.scoped("makes another call, unless the server is told otherwise", () =>
    Effect.gen(function*() {
      const asked = yield* start()
      yield* Effect.replicateEffect(ask(asked, "k"), 2)
      expect(yield* asked.server.books).toMatchObject({ right: { texts: 2 }, idempotency: { keys: 1, replays: 1 } })
    }))

  it.scoped("gets the kept answer where answers are kept, and what went wrong is asked anew", () =>
    Effect.gen(function*() {
      const plan = Fault.script({ inOrder: [Fault.serverError(500), null] })
      const asked = yield* start([], { plan, idempotency: "kept" })
      const [failed, right, again] = yield* Effect.replicateEffect(ask(asked, "k"), 3)
      expect([failed?.status, right?.status, again?.status]).toEqual([500, 200, 200])
      expect(again?.text).toBe(right?.text)
      expect((yield* ask(asked, "other")).status).toBe(200)
      expect(yield* asked.server.books).toMatchObject({
        admitted: 3,
        right: { texts: 2 },
        idempotency: { keys: 2, replays: 2 }
      })
    }))
})
