/** Moves a tool loop on: the effects between the pure steps of `toolLoopState`. */
import * as Arr from "effect/Array"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Ref from "effect/Ref"
import { excerpt } from "../../internal/redact.ts"
import * as LanguageModel from "../../model/LanguageModel.ts"
import * as Prompt from "../../model/Prompt.ts"
import { Response } from "../../model/Response.ts"
import type * as StreamPart from "../../model/StreamPart.ts"
import type * as Tool from "../../model/Tool.ts"
import * as ToolCall from "../../model/ToolCall.ts"
import * as Toolkit from "../../model/Toolkit.ts"
import * as Usage from "../../model/Usage.ts"
import * as Event from "../../telemetry/Event.ts"
import * as Monitor from "../../telemetry/Monitor.ts"
import { chargeFor } from "../shared/charge.ts"
import { isPause } from "../shared/pausedTurn.ts"
import * as Refusals from "../shared/refusals.ts"
import * as Tracing from "../shared/tracing.ts"
import { RepeatedToolFailure } from "./errors.ts"
import type { Settings } from "./settings.ts"
import * as Loop from "./state.ts"

type AnyTools = ReadonlyArray<Tool.Any>

/** One reply, its calls and what came of them. */
export interface Step {
  readonly response: Response | undefined
  readonly calls: ReadonlyArray<Toolkit.Call>
  readonly results: ReadonlyArray<Toolkit.ResultOf<AnyTools>>
}

/** What came of it all. */
export interface Outcome {
  readonly response: Response
  readonly steps: ReadonlyArray<Step>
  readonly refused: ReadonlyArray<Refusals.RefusedError>
  readonly state: Loop.State
}

/** What a loop reports while it runs. */
export type Progress =
  | { readonly _tag: "Part"; readonly step: number; readonly part: StreamPart.StreamPart }
  | { readonly _tag: "Refused"; readonly step: number; readonly error: Refusals.RefusedError }
  | { readonly _tag: "Result"; readonly step: number; readonly result: Toolkit.ResultOf<AnyTools> }
  | { readonly _tag: "Done"; readonly outcome: Outcome }

/** How a loop asks the model, and where it reports its progress. */
export interface Host {
  readonly ask: (
    request: LanguageModel.Request,
    step: number
  ) => Effect.Effect<Response, LanguageModel.LanguageModelError, LanguageModel.LanguageModel>
  readonly report: (progress: Progress) => Effect.Effect<void>
}

interface Accepted {
  readonly response: Response
  readonly calls: ReadonlyArray<Toolkit.Call>
}

/** A loop at its start, or where an earlier one stopped. */
export const make = (settings: Settings, host: Host) =>
  Effect.gen(function*() {
    const { limits, name, request, toolkit } = settings
    const key = request.idempotencyKey ?? (yield* LanguageModel.nextIdempotencyKey)
    const cell = yield* Ref.make(settings.state ?? Loop.start(key, Prompt.make(request.prompt)))
    const refusals = yield* Ref.make<ReadonlyArray<Refusals.RefusedError>>([])
    const failures = new Map<string, number>()
    const turn = yield* Effect.makeSemaphore(1)

    const emit = (event: (at: number) => Event.Event) =>
      Effect.flatMap(Clock.currentTimeMillis, (at) => Monitor.emit(event(at)))

    /**
     * The state has changed: kept by the caller before anything else is done. One change at a time, or a slow checkpoint
     * would put what it was given over what a later one has kept.
     */
    const updateState = (change: (state: Loop.State) => Loop.State) =>
      Effect.uninterruptible(turn.withPermits(1)(Effect.flatMap(Ref.updateAndGet(cell, change), settings.checkpoint)))

    const priceOf = (usage: Usage.Usage, model: string) => {
      return chargeFor("ToolLoop", settings.price, usage, model)
    }

    /** A choice that forces a call is for the first reply; held on to, the model could never end. */
    const toolChoice = (state: Loop.State) =>
      state.steps === 0 || request.toolChoice === undefined || request.toolChoice === "none"
        ? {}
        : { toolChoice: "auto" as const }

    const question = (state: Loop.State): LanguageModel.Request => ({
      ...request,
      ...toolChoice(state),
      prompt: state.prompt,
      tools: toolkit,
      idempotencyKey: Loop.requestKey(state)
    })

    const judged = (response: Response) =>
      Either.match(ToolCall.decode(toolkit, response), {
        onLeft: (error) => ({ response, refusal: Refusals.refusedReply(toolkit, response, error) }),
        onRight: (calls) => {
          const refusal = Refusals.refusedAnswer(toolkit, response, settings)
          return refusal === undefined ? { response, calls } : { response, refusal }
        }
      })

    /** One question; a reply that may not be run is a value here, so that the loop below reads as a table. */
    const askOnce = Effect.flatMap(Ref.get(cell), (state) =>
      host.ask(question(state), state.steps + 1).pipe(
        Effect.flatMap((response) =>
          Refusals.isCutBeforeFirstWord(response)
            ? Effect.map(
              LanguageModel.LanguageModel,
              ({ provider }) => ({ response, refusal: Refusals.refusedSilence(provider, response) })
            )
            : Effect.succeed(judged(response))
        ),
        Effect.catchTag(
          "InvalidToolCall",
          (error) => Effect.succeed({ response: undefined, refusal: Refusals.refusedByProvider(error) })
        )
      ))

    /** Asks until a reply may be run, and says what was wrong each time. */
    const ask = Effect.gen(function*() {
      const seen = new Set<string>()
      for (let reasks = 0;; reasks++) {
        const limitError = Loop.beforeAsking(yield* Ref.get(cell), limits)
        if (limitError !== undefined) return yield* limitError
        const reply = yield* askOnce
        if ("calls" in reply) {
          const { calls, response } = reply
          const cost = yield* priceOf(response.usage, response.model)
          const acceptedReply = Refusals.asRead(toolkit, response, calls)
          yield* updateState((state) => Loop.accept(state, acceptedReply, cost))
          return { calls, response } satisfies Accepted
        }
        const { refusal, response } = reply
        const cost = response === undefined ? 0 : yield* priceOf(refusal.usage, response.model)
        yield* Ref.update(refusals, (before) => [...before, refusal.error])
        yield* updateState((state) => Loop.refuse(state, refusal, cost))
        yield* emit((at) =>
          Event.ToolCallsRejected({
            at,
            name,
            reask: reasks,
            tools: Refusals.toolsOf(refusal.error),
            kinds: Refusals.kindsOf(refusal.error),
            reasons: Refusals.reasonsOf(refusal.error)
          })
        )
        const { steps } = yield* Ref.get(cell)
        yield* host.report({ _tag: "Refused", step: steps + 1, error: refusal.error })
        if (seen.has(refusal.fingerprint) || reasks >= settings.maxReasks) return yield* Effect.fail(refusal.error)
        seen.add(refusal.fingerprint)
        yield* emit((at) => Event.Reasked({ at, name, reask: reasks + 1 }))
      }
    })

    /** Counts the failures that the model was told, once for each step, and stops where telling does not help. */
    const judge = (calls: ReadonlyArray<Toolkit.Call>, results: ReadonlyArray<Toolkit.ResultOf<AnyTools>>) =>
      Effect.suspend(() => {
        const failuresTold = new Map(results.flatMap((result) => {
          const call = calls.find(({ id }) => id === result.id)
          return result.isError && call !== undefined
            ? [[JSON.stringify([call.name, Loop.written(call.raw), result.content]), result] as const]
            : []
        }))
        for (const [failure, { content, id, name: tool }] of failuresTold) {
          const times = (failures.get(failure) ?? 0) + 1
          failures.set(failure, times)
          if (times >= settings.sameFailures) {
            return Effect.fail(new RepeatedToolFailure({ tool, callId: id, told: content, times }))
          }
        }
        return Effect.void
      })

    const reportResult = (result: Toolkit.ResultOf<AnyTools>) =>
      emit((at) =>
        result.isError
          ? Event.ToolFailed({
            at,
            name,
            tool: result.name,
            callId: result.id,
            messageToModel: excerpt(result.content, 300)
          })
          : Event.ToolRan({ at, name, tool: result.name, callId: result.id })
      )

    const runOne = (call: Toolkit.Call, idempotencyKey: string) =>
      // An answer is never forgotten, whatever is interrupted meanwhile.
      Effect.uninterruptibleMask((restore) =>
        restore(
          Tracing.tool(
            Toolkit.run(toolkit, settings.handlers, call, { idempotencyKey }),
            call,
            ({ content, isError }) => ({ content, isError })
          )
        ).pipe(
          Effect.tap((result) => updateState((state) => Loop.answer(state, result))),
          Effect.tap(reportResult)
        )
      ).pipe(
        Effect.tap((result) =>
          Effect.flatMap(Ref.get(cell), ({ steps }) => host.report({ _tag: "Result", step: steps, result }))
        )
      )

    /** Runs calls that are all good. Those that have their answer already are left out. */
    const run = (calls: ReadonlyArray<Toolkit.Call>) =>
      Effect.gen(function*() {
        const state = yield* Ref.get(cell)
        const open = new Set(Loop.unanswered(state.prompt).map(({ id }) => id))
        const keys = Loop.callKeys(state, calls)
        const pendingCalls = calls.flatMap((call, index) =>
          open.has(call.id) ? [{ call, key: keys[index] ?? state.key }] : []
        )
        const limitError = Loop.beforeRunning(state, limits, pendingCalls.length)
        if (limitError !== undefined) return yield* limitError
        return yield* Effect.forEach(pendingCalls, ({ call, key }) => runOne(call, key), {
          concurrency: settings.concurrency
        })
      })

    /**
     * Calls that an earlier run left unanswered. None of them is run when one is bad: the model is asked instead. What has
     * its answer may have been the call of a tool that is no more.
     */
    const leftOver = Effect.gen(function*() {
      const state = yield* Ref.get(cell)
      const open = Loop.unanswered(state.prompt)
      if (open.length === 0) return undefined
      const decode = (call: Prompt.ToolCallPart) => ToolCall.decodeOne(toolkit, call, "tool-calls")
      if (open.map(decode).some(Either.isLeft)) {
        yield* updateState((now) => Loop.reask(now, Refusals.explanations(toolkit, open)))
        return undefined
      }
      const calls = Arr.filterMap(Loop.lastCalls(state.prompt).map(decode), Either.getRight)
      return { response: undefined, calls, results: yield* run(calls) } satisfies Step
    })

    /** A run that was killed between its last reply and its end: there is nothing left to ask. */
    const ended = Effect.gen(function*() {
      const lastReply = settings.state === undefined ? undefined : Loop.finalAnswer(settings.state)
      if (lastReply === undefined) return undefined
      const { name: model } = yield* LanguageModel.LanguageModel
      return new Response({ model, parts: lastReply.content, finishReason: "stop", usage: Usage.zero })
    })

    const all = Effect.gen(function*() {
      const steps: Array<Step> = []
      const before = yield* ended
      if (before !== undefined) return { response: before, steps, refused: [], state: yield* Ref.get(cell) }
      const first = yield* leftOver
      if (first !== undefined) steps.push(first)
      for (;;) {
        const { calls, response } = yield* ask
        const results = yield* run(calls)
        yield* judge(calls, results)
        steps.push({ response, calls, results })
        if (calls.length === 0 && !isPause(response)) {
          return { response, steps, refused: yield* Ref.get(refusals), state: yield* Ref.get(cell) } satisfies Outcome
        }
      }
    })

    return {
      ask,
      run,
      all,
      now: Effect.all({ state: Ref.get(cell), refused: Ref.get(refusals) })
    }
  })
