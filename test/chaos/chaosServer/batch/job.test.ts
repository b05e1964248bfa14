/** How far a job of a batch service has come at a time. */
import { describe, expect, it } from "@effect/vitest"
import * as BatchFault from "../../../../src/chaos/BatchFault.ts"
import * as Job from "../../../../src/chaos/chaosServer/batch/job.ts"
import { chat } from "../../../../src/chaos/chaosServer/openAiChat/protocol.ts"

const times: Job.Times = {
  validating: 1_000,
  running: 10_000,
  finalizing: 1_000,
  cancelling: 2_000,
  expiry: 86_400_000
}

const line = (_: unknown, index: number): Job.Line => ({
  id: `r${index}`,
  protocol: chat,
  path: { model: undefined, stream: undefined },
  body: "{}"
})

/** A job of ten lines, made at 0. */
const job = (more: Partial<Job.Job> = {}): Job.Job => ({
  vendor: "openai",
  id: "0",
  order: 1,
  createdAt: 0,
  lines: Array.from({ length: 10 }, line),
  faults: [],
  invalid: undefined,
  cancelledAt: undefined,
  asked: {},
  results: [],
  isEnded: false,
  reads: {},
  ...more
})

const at = (now: number, what = job(), given = times): readonly [Job.Status, number] => {
  const schedule = Job.scheduleOf(what, given)
  return [Job.statusAt(schedule, now), Job.answeredAt(what, schedule, given, now)]
}

describe("a job", () => {
  it.each([
    [0, "validating", 0],
    [999, "validating", 0],
    [1_000, "running", 0],
    [5_999, "running", 4],
    [6_000, "running", 5],
    [11_000, "finalizing", 10],
    [12_000, "completed", 10]
  ])("at %i ms is %s with %i lines answered", (now, status, answered) => {
    expect(at(now)).toEqual([status, answered])
  })

  it.each([
    ["while it is validated", 500, [[500, "cancelling", 0], [2_500, "cancelled", 0]]],
    ["while it runs", 5_000, [[4_999, "running", 3], [5_000, "cancelling", 4], [7_000, "cancelled", 4]]],
    ["when its lines are over", 11_500, [[11_600, "finalizing", 10], [12_000, "completed", 10]]]
  ])("that is cancelled %s keeps what was answered", (_, cancelledAt, states) => {
    for (const [now = 0, ...state] of states) expect(at(Number(now), job({ cancelledAt }))).toEqual(state)
  })

  it("expires when its time is over before its lines are", () => {
    const short = { ...times, expiry: 6_000 }
    expect([5_999, 6_000, 7_000].map((now) => at(now, job(), short))).toEqual([
      ["running", 4],
      ["finalizing", 5],
      ["expired", 5]
    ])
  })

  it.each([
    [BatchFault.expiredJob(0.35), 5_500, "expired", 3],
    [BatchFault.expiredJob(0), 2_000, "expired", 0],
    [BatchFault.cancelledJob(0.5), 8_000, "cancelled", 5]
  ])("under the fault %o ends early", (fault, now, status, answered) => {
    expect(at(now, job({ faults: [fault] }))).toEqual([status, answered])
  })

  it("whose input is refused fails when it was looked at", () => {
    const invalid = { code: "empty_file", message: "The input file is empty.", line: null }
    expect([999, 1_000].map((now) => at(now, job({ invalid })))).toEqual([["validating", 0], ["failed", 0]])
  })

  it("moves at once where every state lasts no time", () => {
    const none = { validating: 0, running: 0, finalizing: 0, cancelling: 0, expiry: 86_400_000 }
    expect(at(0, job(), none)).toEqual(["completed", 10])
  })

  it.each(
    [
      ["created", "job", [[0, true], [499, true], [500, false]]],
      ["running", "job", [[999, false], [1_000, true], [1_500, false]]],
      ["results", "results", [[11_999, false], [12_000, true], [12_500, false]]]
    ] as const
  )("that is unknown when %s is so for its time", (when, asksFor, expected) => {
    const unknown = job({ faults: [BatchFault.unknownJob(when, "500 millis")] })
    const schedule = Job.scheduleOf(unknown, times)
    for (const [now, is] of expected) expect([now, Job.isUnknown(unknown, schedule, now, asksFor)]).toEqual([now, is])
  })
})
