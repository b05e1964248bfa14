import { describe, expect, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as Form from "../../../src/internal/form.ts"
import * as Json from "../../../src/policy/shared/retryForm.ts"
import { maxDepth, type RetryTree } from "../../../src/policy/shared/retryTree.ts"

const read = (json: unknown) =>
  Either.match(Form.read(Json.policyForm, json, "file"), {
    onLeft: (faults) => ({ tree: undefined, problems: faults.map(({ found, path }) => [path, found]) }),
    onRight: (tree) => ({ tree, problems: [] })
  })

const immediate: RetryTree = { _tag: "Immediate" }

describe("the spelling for people", () => {
  it.each<readonly [string, unknown, RetryTree]>([
    ["never", { backoff: "never" }, { _tag: "Never" }],
    ["immediate", { backoff: "immediate" }, immediate],
    ["constant", { backoff: "constant", delay: "1 second" }, { _tag: "Constant", delay: 1000 }],
    [
      "linear, its increment left out",
      { backoff: "linear", initial: "1 second" },
      { _tag: "Linear", initial: 1000, increment: 1000 }
    ],
    [
      "linear",
      { backoff: "linear", initial: "1 second", increment: "500 millis" },
      { _tag: "Linear", initial: 1000, increment: 500 }
    ],
    [
      "exponential, its factor left out",
      { backoff: "exponential", initial: "500 millis" },
      { _tag: "Exponential", initial: 500, factor: 2 }
    ],
    ["fibonacci", { backoff: "fibonacci", initial: "1 milli" }, { _tag: "Fibonacci", initial: 1 }]
  ])("%s", (_, json, tree) => {
    expect(read(json)).toEqual({ tree, problems: [] })
  })

  it("applies modifiers in a fixed order, whatever the order of the fields", () => {
    const modifiers = {
      honourHints: "60 seconds",
      within: "1 minute",
      attempts: 4,
      cap: "8 seconds",
      atLeast: "1 second",
      jitter: "full",
      backoff: "immediate"
    }
    const tree: RetryTree = {
      _tag: "HonourHints",
      max: 60_000,
      policy: {
        _tag: "Within",
        limit: 60_000,
        policy: {
          _tag: "Attempts",
          max: 4,
          policy: {
            _tag: "Capped",
            max: 8000,
            policy: { _tag: "AtLeast", min: 1000, policy: { _tag: "Jittered", mode: "full", policy: immediate } }
          }
        }
      }
    }
    expect(read(modifiers)).toEqual({ tree, problems: [] })
    expect(Json.write(tree)).toEqual({ ...modifiers, within: "1 minute", honourHints: "1 minute" })
  })

  it("takes rules with their policy inline or under \"use\"", () => {
    const rules = (use: Record<string, unknown>) => ({ byError: [{ on: ["A", "B"], ...use }], attempts: 5 })
    const tree: RetryTree = {
      _tag: "Attempts",
      max: 5,
      policy: { _tag: "ByError", rules: [{ on: ["A", "B"], use: immediate }], otherwise: "fail", growth: "rule" }
    }
    expect(read(rules({ backoff: "immediate" }))).toEqual({ tree, problems: [] })
    expect(read(rules({ use: { backoff: "immediate" } }))).toEqual({ tree, problems: [] })
    expect(read(rules({ use: { _tag: "Immediate" } }))).toEqual({ tree, problems: [] })
    expect(Json.write(tree)).toEqual({
      byError: [{ on: ["A", "B"], backoff: "immediate" }],
      otherwise: "fail",
      attempts: 5
    })
  })

  it("takes every form of jitter", () => {
    for (const jitter of ["none", "full", "equal", "decorrelated", { ratio: 0.2 }, { min: 0.75, max: 1 }]) {
      expect(read({ backoff: "immediate", jitter }).tree).toEqual({ _tag: "Jittered", policy: immediate, mode: jitter })
    }
  })
})

describe("the full tree", () => {
  const capped: RetryTree = { _tag: "Capped", policy: { _tag: "Jittered", policy: immediate, mode: "full" }, max: 5 }

  it("has one object for each node, and takes the other spelling at every level", () => {
    expect(Json.writeTree(capped)).toEqual({
      _tag: "Capped",
      cap: "5 millis",
      policy: { _tag: "Jittered", jitter: "full", policy: { _tag: "Immediate" } }
    })
    expect(read({ _tag: "Capped", cap: "5 millis", policy: { backoff: "immediate", jitter: "full" } })).toEqual({
      tree: capped,
      problems: []
    })
  })

  it("is written where the order of modifiers is not the flat one", () => {
    const tree: RetryTree = { _tag: "Jittered", policy: { _tag: "Capped", policy: immediate, max: 5 }, mode: "full" }
    expect(Json.write(tree)).toEqual(Json.writeTree(tree))
    expect(Json.write(capped)).toEqual({ backoff: "immediate", jitter: "full", cap: "5 millis" })
  })

  it("is written where a modifier stands twice, and for combinators", () => {
    const twice: RetryTree = { _tag: "Capped", policy: capped, max: 9 }
    const union: RetryTree = { _tag: "Union", left: immediate, right: capped }
    const then: RetryTree = { _tag: "AndThen", first: immediate, second: capped }
    for (const tree of [twice, union, then]) {
      expect(Json.write(tree)).toEqual(Json.writeTree(tree))
      expect(read(Json.write(tree))).toEqual({ tree, problems: [] })
    }
  })

  it("leaves the default growth out and writes the other", () => {
    const tree = (growth: "rule" | "call"): RetryTree => ({
      _tag: "ByError",
      rules: [{ on: ["A"], use: immediate }],
      otherwise: immediate,
      growth
    })
    expect(Json.writeTree(tree("rule"))).not.toHaveProperty("growth")
    expect(Json.write(tree("call"))).toMatchObject({ growth: "call" })
    expect(read(Json.writeTree(tree("call"))).tree).toEqual(tree("call"))
  })
})

describe("everything that is wrong is reported at once", () => {
  it.each<readonly [string, unknown, ReadonlyArray<readonly [string, unknown]>]>([
    [
      "every wrong field of a flat policy",
      {
        backoff: "exponential",
        initial: 500,
        factor: 0,
        jitter: "lots",
        cap: "0 millis",
        attempts: 0,
        honourHints: -1
      },
      [["initial", 500], ["factor", 0], ["jitter", "lots"], ["cap", "0 millis"], ["attempts", 0], ["honourHints", -1]]
    ],
    ["a field that does not exist", { backoff: "immediate", withn: "1 minute" }, [["withn", "1 minute"]]],
    ["a field of another backoff", { backoff: "immediate", delay: "1 second" }, [["delay", "1 second"]]],
    ["a field that is missing", { backoff: "constant" }, [["delay", undefined]]],
    ["an unknown backoff, and its modifiers", { backoff: "x", attempts: 0 }, [["backoff", "x"], ["attempts", 0]]],
    ["no backoff, and its modifiers", { attempts: 0 }, [["backoff", undefined], ["attempts", 0]]],
    [
      "a misspelt backoff, and the other fields that are wrong",
      { backof: "exponential", initial: 500, maxAttempts: 3 },
      [["backoff", undefined], ["backof", "exponential"], ["maxAttempts", 3], ["initial", 500]]
    ],
    ["a field of no backoff beside an unknown one", { backoff: "expo", initial: "1 second", factr: 2 }, [
      ["backoff", "expo"],
      ["factr", 2]
    ]],
    ["no policy at all", null, [["", null]]],
    ["a list", [], [["", []]]],
    [
      "rules at their own paths",
      {
        byError: [
          { on: ["A"], backoff: "immediate", attempts: 1 },
          { on: [], use: { backoff: "x" } },
          { backoff: "immediate" },
          5
        ],
        otherwise: "retry",
        growth: "x",
        cap: 5
      },
      [
        ["byError.0.attempts", 1],
        ["byError.1.on", []],
        ["byError.1.use.backoff", "x"],
        ["byError.2.on", undefined],
        ["byError.3", 5],
        ["growth", "x"],
        ["otherwise", "retry"],
        ["cap", 5]
      ]
    ],
    ["no rules", { byError: [] }, [["byError", []]]],
    ["a rule with both spellings", { byError: [{ on: ["A"], use: { backoff: "immediate" }, attempts: 3 }] }, [
      ["byError.0.attempts", 3]
    ]],
    [
      "a tag in two rules",
      { byError: [{ on: ["A"], backoff: "immediate" }, { on: ["B", "A"], backoff: "immediate" }] },
      [["byError", "A"]]
    ],
    ["otherwise of a policy that is wrong", { byError: [{ on: ["A"], backoff: "never" }], otherwise: {} }, [
      ["otherwise.backoff", undefined]
    ]],
    ["an unknown node", { _tag: "Forever" }, [["_tag", "Forever"]]],
    ["a node without its parts", { _tag: "Union", left: 1 }, [["left", 1], ["right", undefined]]],
    ["a modifier without its value, and what is under it", { _tag: "Capped", policy: { backoff: "x" } }, [
      ["policy.backoff", "x"],
      ["cap", undefined]
    ]],
    ["a modifier without a policy", { _tag: "Attempts", attempts: 3 }, [["policy", undefined]]],
    ["the progress of a run is no field", { _tag: "AndThen", first: { backoff: "never" }, second: {}, used: 1 }, [
      ["used", 1],
      ["second.backoff", undefined]
    ]],
    ["a ratio out of range", { backoff: "immediate", jitter: { ratio: 2 } }, [["jitter.ratio", 2]]],
    ["two forms of jitter", { backoff: "immediate", jitter: { ratio: 0.5, max: 1 } }, [["jitter.max", 1]]],
    ["min above max", { backoff: "immediate", jitter: { min: 2, max: 1 } }, [["jitter", { min: 2, max: 1 }]]],
    ["numbers that are none", { backoff: "exponential", initial: "1 second", factor: NaN, attempts: Infinity }, [
      ["factor", NaN],
      ["attempts", Infinity]
    ]]
  ])("%s", (_, json, problems) => {
    const found = read(json)
    expect(found.problems).toEqual(problems)
  })

  it("a bomb of policies in one another", () => {
    let bomb: unknown = { backoff: "immediate" }
    for (let i = 0; i < 100_000; i++) bomb = { _tag: "Capped", cap: "1 second", policy: bomb }
    const { problems, tree } = read(bomb)
    expect(tree).toBeUndefined()
    expect(problems.map(([path]) => path)).toEqual([new Array(maxDepth).fill("policy").join(".")])
  })
})
