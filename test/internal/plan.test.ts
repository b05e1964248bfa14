import * as FastCheck from "effect/FastCheck"
import { describe, expect, it } from "vitest"
import * as Plan from "../../src/internal/plan.ts"

const failure = (action: Plan.Action, tag = "Down"): Plan.Failure<string> => ({ tag, action, error: tag })

describe("holds: is this failure one the condition means?", () => {
  const any = { predicate: () => true }
  const none = { predicate: () => false }
  const rows: ReadonlyArray<readonly [string, Plan.Condition<string>, Plan.Failure<string>, boolean]> = [
    ["a tag that is named", { tags: ["Down"] }, failure("Retry"), true],
    ["a tag that is not named", { tags: ["Up"] }, failure("Retry"), false],
    ["an action that is named", { actions: ["Fallback"] }, failure("Fallback"), true],
    ["an action that is not named", { actions: ["Fallback"] }, failure("Retry"), false],
    ["a predicate that takes it", any, failure("Retry"), true],
    ["a predicate that does not", none, failure("Retry"), false],
    ["any one of three", { tags: ["Up"], actions: ["Reask"], predicate: () => true }, failure("Retry"), true],
    ["a tag whose verdict is Fail", { tags: ["Down"] }, failure("Fail"), true],
    ["the action Fail itself", { actions: ["Fail"] }, failure("Fail"), true],
    ["a predicate alone for a verdict to fail", any, failure("Fail"), false],
    ["a predicate alone for a verdict to ask again", any, failure("Reask"), true],
    ["nothing", {}, failure("Retry"), false]
  ]
  it.each(rows)("%s", (_, condition, failed, expected) => {
    expect(Plan.isMet(condition, failed)).toBe(expected)
  })

  it("asks a predicate about the error itself, and not at all when the error is named", () => {
    const asked: Array<string> = []
    const condition = { tags: ["Named"], predicate: (error: string) => asked.push(error) > 0 }
    Plan.isMet(condition, failure("Retry", "Named"))
    Plan.isMet(condition, failure("Retry", "Other"))
    expect(asked).toEqual(["Other"])
  })
})

describe("next: which step follows?", () => {
  const large = { tags: ["TooLong"] }
  const rows: ReadonlyArray<
    readonly [
      string,
      ReadonlyArray<Plan.Condition<string> | undefined>,
      ReadonlyArray<Plan.Failure<string>>,
      number,
      Plan.Decision
    ]
  > = [
    ["the next one, when retrying may help", [undefined, undefined], [failure("Retry")], 0, {
      _tag: "Try",
      position: 1,
      skipped: []
    }],
    ["the next one, when another may do it", [undefined, undefined], [failure("Fallback")], 0, {
      _tag: "Try",
      position: 1,
      skipped: []
    }],
    ["none, when nothing but a change helps", [undefined, undefined], [failure("Fail")], 0, {
      _tag: "Stop",
      reason: "Fail",
      skipped: [1]
    }],
    ["none, when the model is to be asked again", [undefined, undefined], [failure("Reask")], 0, {
      _tag: "Stop",
      reason: "Reask",
      skipped: [1]
    }],
    ["none, when there is none", [undefined, undefined], [failure("Retry"), failure("Retry")], 1, {
      _tag: "Stop",
      reason: "NoneLeft",
      skipped: []
    }],
    ["none, when those that are left are for other errors", [undefined, large, large], [failure("Retry")], 0, {
      _tag: "Stop",
      reason: "NoneApplies",
      skipped: [1, 2]
    }],
    ["the first that is for the error", [undefined, { tags: ["Up"] }, undefined, undefined], [failure("Retry")], 0, {
      _tag: "Try",
      position: 2,
      skipped: [1]
    }],
    [
      "one that names an error whose verdict is Fail",
      [undefined, undefined, { tags: ["Down"] }],
      [failure("Fail")],
      0,
      {
        _tag: "Try",
        position: 2,
        skipped: [1]
      }
    ],
    [
      "one for an earlier error, when the newest lets the plan go on",
      [undefined, large, large],
      [failure("Fallback", "TooLong"), failure("Retry", "Down")],
      1,
      { _tag: "Try", position: 2, skipped: [] }
    ],
    [
      "none for an earlier error, when the newest forbids to go on",
      [undefined, large, large],
      [failure("Fallback", "TooLong"), failure("Fail", "BadKey")],
      1,
      { _tag: "Stop", reason: "Fail", skipped: [2] }
    ],
    ["none, before anything has failed", [undefined, undefined], [], 0, {
      _tag: "Stop",
      reason: "NoneLeft",
      skipped: []
    }]
  ]
  it.each(rows)("%s", (_, conditions, failures, position, expected) => {
    expect(Plan.next(conditions, failures, position)).toEqual(expected)
  })

  it("says in words why it stopped, for every reason", () => {
    expect(Object.values(Plan.stopText).every((words) => words.length > 10)).toBe(true)
  })
})

describe("startAt, order and settle: where do calls start?", () => {
  const well = (step: number): Plan.TriedStep => ({ step, isUnwell: false })
  const unwell = (step: number): Plan.TriedStep => ({ step, isUnwell: true })
  const staying: Plan.Start = { step: 1, until: 1_000, generation: 1 }

  it("at the first step, until told otherwise", () => {
    expect(Plan.startAt(Plan.first, 0)).toBe(Plan.first)
    expect(Plan.startAt(Plan.first, 1e15)).toBe(Plan.first)
  })

  it("at the step that was chosen, until its time is over to the millisecond", () => {
    expect(Plan.startAt(staying, 999)).toBe(staying)
    expect(Plan.startAt(staying, 1_000)).toEqual({ step: 0, until: 0, generation: 2 })
  })

  it("go on from the start, and come round to the steps before it last", () => {
    expect(Plan.roundFrom(3, 0)).toEqual([0, 1, 2])
    expect(Plan.roundFrom(3, 1)).toEqual([1, 2, 0])
    expect(Plan.roundFrom(1, 0)).toEqual([0])
  })

  const rows: ReadonlyArray<readonly [string, Plan.Start, number, ReadonlyArray<Plan.TriedStep>, number, Plan.Start]> =
    [
      ["an answer of the first step changes nothing", Plan.first, 0, [well(0)], 0, Plan.first],
      ["an answer of the second, the first being unwell", Plan.first, 0, [unwell(0), well(1)], 0, {
        step: 1,
        until: 500,
        generation: 1
      }],
      ["an answer of the second, the first being well but not for this request", Plan.first, 0, [well(0), well(1)], 0, {
        ...Plan.first
      }],
      [
        "the second is well, though only the third could do this request",
        Plan.first,
        0,
        [
          unwell(0),
          well(1),
          well(2)
        ],
        0,
        { step: 1, until: 500, generation: 1 }
      ],
      ["two unwell steps are both left behind", Plan.first, 0, [unwell(0), unwell(1), well(2)], 7, {
        step: 2,
        until: 507,
        generation: 1
      }],
      ["an answer at the chosen step does not prolong the stay", staying, 1, [well(1)], 900, staying],
      ["the chosen step becomes unwell", staying, 1, [unwell(1), well(2)], 900, {
        step: 2,
        until: 1_400,
        generation: 2
      }],
      [
        "the chosen step becomes unwell and the first is well again",
        staying,
        1,
        [unwell(1), unwell(2), well(0)],
        900,
        {
          step: 0,
          until: 0,
          generation: 2
        }
      ],
      ["a late result of an earlier start decides nothing", staying, 0, [unwell(0), well(2)], 900, staying],
      ["nor does one that comes after the stay is over", staying, 1, [unwell(1), well(2)], 1_000, {
        step: 0,
        until: 0,
        generation: 2
      }]
    ]
  it.each(rows)("%s", (_, state, generation, tried, now, expected) => {
    expect(Plan.settle(state, generation, tried, 500, now)).toEqual(expected)
  })

  it("whatever happens, the start is a step of the plan, and no stay is longer than allowed", () => {
    const call = FastCheck.record({
      wait: FastCheck.integer({ min: 0, max: 400 }),
      takes: FastCheck.integer({ min: 0, max: 400 }),
      fates: FastCheck.array(FastCheck.constantFrom("unwell", "unfit", "answers"), { minLength: 3, maxLength: 3 })
    })
    FastCheck.assert(
      FastCheck.property(FastCheck.array(call), (calls) => {
        let state = Plan.first
        let now = 0
        for (const { fates, takes, wait } of calls) {
          now += wait
          state = Plan.startAt(state, now)
          const order = Plan.roundFrom(3, state.step)
          const answers = order.findIndex((step) => fates[step] === "answers")
          if (answers < 0) continue
          const tried = order.slice(0, answers + 1).map((step) => ({ step, isUnwell: fates[step] === "unwell" }))
          const before = state
          now += takes
          state = Plan.settle(state, state.generation, tried, 300, now)
          expect([0, 1, 2]).toContain(state.step)
          expect(state.until).toBeLessThanOrEqual(now + 300)
          expect(state.generation).toBeGreaterThanOrEqual(before.generation)
          if (state.generation > before.generation && state.step !== 0) expect(fates[state.step]).not.toBe("unwell")
        }
        expect(Plan.startAt(state, now + 300).step).toBe(0)
      }),
      { numRuns: 300 }
    )
  })
})
