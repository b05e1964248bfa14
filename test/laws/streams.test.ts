/**
 * Whatever a model's streams do, under whatever policy and however slowly they are read: who follows `Reset` and `Seam` ends
 * with exactly what one attempt sent, sees nothing twice, and no more attempts are made than allowed.
 */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import * as TestContext from "effect/TestContext"
import type { ModelError } from "../../src/error/ModelError.ts"
import * as LanguageModel from "../../src/model/LanguageModel.ts"
import * as StreamPart from "../../src/model/StreamPart.ts"
import * as Bulkhead from "../../src/policy/Bulkhead.ts"
import * as Pipeline from "../../src/policy/Pipeline.ts"
import * as RateLimiter from "../../src/policy/RateLimiter.ts"
import * as ResilientStream from "../../src/resilience/ResilientStream.ts"
import { type Act, fail, finish, hang, part, ping, play, start, text, wait } from "../resilience/scriptedStream.ts"
import { runs } from "../runs.ts"

/** What one attempt does with the reply: how much it sends, and how it ends. */
interface Script {
  /** Each a delta, a whole call in three parts, a stall, or a ping; all of it named after the attempt. */
  readonly steps: ReadonlyArray<"text" | "thought" | "empty" | "call" | "half" | number | "ping">
  readonly end: "finish" | "fail" | "cut" | "hang"
}

const step = FastCheck.oneof(
  { weight: 6, arbitrary: FastCheck.constantFrom("text" as const, "text" as const, "thought" as const) },
  { weight: 1, arbitrary: FastCheck.constantFrom("empty" as const, "call" as const, "half" as const) },
  { weight: 2, arbitrary: FastCheck.constantFrom("ping" as const, 5, 20, 60, 200, 1_000) }
)

const script: FastCheck.Arbitrary<Script> = FastCheck.record({
  steps: FastCheck.array(step, { maxLength: 12 }),
  end: FastCheck.constantFrom("finish" as const, "finish" as const, "fail" as const, "cut" as const, "hang" as const)
})

type Mode = "none" | "fail" | "restart" | "resume" | "truncate"

interface Case {
  readonly scripts: ReadonlyArray<Script>
  readonly mode: Mode
  readonly otherwise: "fail" | "restart" | "truncate"
  readonly how: "vendor" | "continuation" | "neither"
  readonly attempts: number
  readonly limits: { readonly idle: boolean; readonly liveness: boolean; readonly firstContent: boolean }
  readonly peek: number
  readonly hedged: boolean
  readonly slow: number
  readonly leavesAfter: number | undefined
}

const given: FastCheck.Arbitrary<Case> = FastCheck.record({
  scripts: FastCheck.array(script, { minLength: 1, maxLength: 6 }),
  mode: FastCheck.constantFrom(
    "none" as const,
    "fail" as const,
    "restart" as const,
    "resume" as const,
    "truncate" as const
  ),
  otherwise: FastCheck.constantFrom("fail" as const, "restart" as const, "truncate" as const),
  how: FastCheck.constantFrom("vendor" as const, "continuation" as const, "neither" as const),
  attempts: FastCheck.integer({ min: 2, max: 5 }),
  limits: FastCheck.record({
    idle: FastCheck.boolean(),
    liveness: FastCheck.boolean(),
    firstContent: FastCheck.boolean()
  }),
  peek: FastCheck.constantFrom(0, 0, 30),
  hedged: FastCheck.boolean(),
  slow: FastCheck.constantFrom(0, 0, 1, 700, 60_000),
  leavesAfter: FastCheck.option(FastCheck.nat(10), { nil: undefined, freq: 6 })
})

/** The acts of a script; what it sends names its reply and its place in that. */
const actsOf = ({ end, steps }: Script, reply: number, from = 0, isWhole = true): ReadonlyArray<Act> => {
  let call = 0
  const acts = steps.flatMap((each, i): ReadonlyArray<Act> => {
    const at = from + i
    switch (each) {
      case "text":
        return [text(`<${reply}.${at}>`)]
      case "thought":
        return [part(StreamPart.reasoningDelta(`(${reply}.${at})`))]
      case "empty":
        return [text("")]
      case "ping":
        return [ping]
      case "call":
      case "half": {
        const index = from + call++
        const id = `${reply}.${at}`
        const begun = [
          part(StreamPart.toolCallStart(index, id, "add")),
          part(StreamPart.toolArgumentsDelta(index, "{"))
        ]
        return each === "half" ? begun : [...begun, part(StreamPart.toolCall(index, id, "add", "{}"))]
      }
      default:
        return [wait(each)]
    }
  })
  const last = end === "finish" ? [finish(1)] : end === "fail" ? [fail()] : end === "hang" ? [hang] : []
  return [...(isWhole ? [start] : []), ...acts, ...last]
}

/** The model of a case, and what it was asked. */
const modelOf = ({ how, scripts }: Case) => {
  const asked = { requests: 0, open: 0, cancels: 0 }
  const held = (acts: () => ReadonlyArray<Act>): Stream.Stream<StreamPart.StreamPart, ModelError> =>
    Stream.acquireRelease(Effect.sync(() => asked.open++), () => Effect.sync(() => asked.open--)).pipe(
      Stream.flatMap(() => play(acts()))
    )
  const scriptAt = (at: number): Script => scripts[at] ?? { steps: ["text"], end: "finish" }
  const model = LanguageModel.make({
    name: "m",
    provider: "p",
    capabilities: {
      resume: { vendor: how === "vendor", continuation: how === "continuation" ? "followUp" as const : undefined }
    },
    generate: () => Effect.die("not asked"),
    stream: () => held(() => actsOf(scriptAt(asked.requests), asked.requests++)),
    ...(how !== "vendor" ? {} : {
      resumable: () =>
        Effect.sync((): LanguageModel.Resumable<ModelError> => {
          const reply = asked.requests++
          let next = reply
          return {
            parts: held(() => actsOf(scriptAt(next), reply, next++ * 100)),
            resume: held(() => actsOf(scriptAt(next), reply, next++ * 100, false)),
            cancel: Effect.sync(() => asked.cancels++)
          }
        })
    })
  })
  return { model, asked }
}

const idsIn = (texts: string): ReadonlyArray<string> => texts.match(/[<(][\d.]+[>)]/g) ?? []

/** Numbers that go up by one place after the other. */
const isAscending = (ids: ReadonlyArray<string>): boolean =>
  ids.every((id, i) => i === 0 || placeOf(id) > placeOf(ids[i - 1] ?? ""))

const placeOf = (id: string): number => {
  const [reply = 0, at = 0] = id.slice(1, -1).split(".").map(Number)
  return reply * 10_000 + at
}

const check = (one: Case) =>
  Effect.gen(function*() {
    const { asked, model } = modelOf(one)
    const bulkhead = yield* Bulkhead.make({ name: "b", maxConcurrent: 9 })
    const rateLimiter = yield* RateLimiter.make({
      name: "r",
      requestsPerMinute: 1_000_000,
      tokensPerMinute: 100_000_000
    })
    const { attempts, hedged, how, limits, mode, otherwise, peek, slow } = one
    const isHedged = hedged && mode !== "resume"
    const pipeline = yield* Pipeline.make({
      totalTimeout: "30 seconds",
      retry: { backoff: "constant", delay: "10 millis", attempts },
      ...(isHedged ? { hedge: { delay: "150 millis", budget: "none" as const } } : {}),
      bulkhead,
      rateLimiter,
      ...(mode === "none" ? {} : {
        stream: {
          ...(limits.firstContent ? { firstContent: "300 millis" } : {}),
          ...(limits.idle ? { idle: "100 millis" } : {}),
          ...(limits.liveness ? { liveness: "50 millis" } : {}),
          peek: `${peek} millis`,
          onBreak: mode,
          ...(mode === "resume"
            ? { otherwise, continuation: how === "continuation" ? "allowed" as const : "never" as const }
            : {})
        }
      })
    })
    const seen: Array<StreamPart.StreamPart> = []
    const stream = ResilientStream.strengthen(model, pipeline)({ prompt: "go" })
    const read = (one.leavesAfter === undefined ? stream : Stream.take(stream, one.leavesAfter)).pipe(
      Stream.runForEach((each) =>
        Effect.zipRight(Effect.sync(() => seen.push(each)), slow === 0 ? Effect.void : Effect.sleep(slow))
      ),
      Effect.either
    )
    const fiber = yield* Effect.fork(read)
    for (let i = 0; i < 40 && fiber.unsafePoll() === null; i++) yield* TestClock.adjust("10 minutes")
    expect(fiber.unsafePoll()).not.toBe(null)
    const end = yield* Fiber.join(fiber)

    // No more attempts than allowed; a hedge may stand beside each.
    expect(asked.requests).toBeLessThanOrEqual(attempts * (isHedged ? 2 : 1))
    // Nothing is left.
    expect(asked.open).toBe(0)
    expect((yield* Bulkhead.stats(bulkhead)).running).toBe(0)

    // What counts: everything since the last Reset.
    const resetAt = seen.map(({ _tag }) => _tag).lastIndexOf("Reset")
    const counted = seen.slice(resetAt + 1)
    const shown = idsIn(
      counted.map((each) => each._tag === "TextDelta" || each._tag === "ReasoningDelta" ? each.text : "").join("")
    )
    const calls = counted.flatMap((each) => each._tag === "ToolCall" ? [each.id] : [])
    const replies = new Set([
      ...shown.map((id) => Math.floor(placeOf(id) / 10_000)),
      ...calls.map((id) => Number(id.split(".")[0]))
    ])
    const seams = counted.filter(({ _tag }) => _tag === "Seam").length
    expect(isAscending(shown)).toBe(true)
    expect(new Set(calls).size).toBe(calls.length)
    expect(replies.size).toBeLessThanOrEqual(1 + seams)
    if (mode !== "restart" && !(mode === "resume" && otherwise === "restart")) expect(resetAt).toBe(-1)
    if (how !== "continuation") expect(seams).toBe(0)

    const last = seen.at(-1)
    if (one.leavesAfter !== undefined) return
    if (end._tag === "Right") {
      expect(last?._tag).toBe("Finish")
      if (last?._tag !== "Finish") return
      expect(seen.filter(({ _tag }) => _tag === "Finish").length).toBe(1)
      expect(last.reason === "truncated" ? mode === "truncate" || otherwise === "truncate" : last.reason === "stop")
        .toBe(true)
      // A whole reply is all that its attempt sent.
      const [reply] = replies
      if (last.reason === "stop" && reply !== undefined && seams === 0 && !(mode === "resume" && how === "vendor")) {
        const acts = actsOf(one.scripts[reply] ?? { steps: ["text"], end: "finish" }, reply)
        const sent = idsIn(
          acts.map((act) =>
            act.do === "part" && (act.part._tag === "TextDelta" || act.part._tag === "ReasoningDelta")
              ? act.part.text
              : ""
          ).join("")
        )
        expect(shown).toEqual(sent)
        expect(calls).toEqual(
          acts.flatMap((act) => act.do === "part" && act.part._tag === "ToolCall" ? [act.part.id] : [])
        )
      }
    } else if (end.left._tag === "StreamBroken") {
      const { received } = end.left
      expect(mode).not.toBe("none")
      expect(idsIn(received.text)).toEqual(shown.filter((id) => id.startsWith("<")))
      expect(received.toolCalls.map(({ id }) => id)).toEqual(calls)
    } else if (mode !== "none") {
      expect(shown).toEqual([])
    }
  })

describe("streams", () => {
  it(
    "end with exactly what one attempt sent, or with the declared part of it",
    { timeout: 600_000 },
    () =>
      FastCheck.assert(
        FastCheck.asyncProperty(
          given,
          (one) => Effect.runPromise(check(one).pipe(Effect.provide(TestContext.TestContext)))
        ),
        { seed: 12, numRuns: runs(150, 1_500) }
      )
  )
})
