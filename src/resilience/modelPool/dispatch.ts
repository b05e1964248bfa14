/** Sends a call to the members of a pool in turn, by the decisions of the kernel. */
import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { CircuitOpen } from "../../error/PolicyError.ts"
import type * as Verdict from "../../error/Verdict.ts"
import { elapsedMillis } from "../../internal/elapsed.ts"
import { describeCause } from "../../internal/redact.ts"
import { derivedKey } from "../../internal/seeded.ts"
import type * as LanguageModel from "../../model/LanguageModel.ts"
import * as Pipeline from "../../policy/Pipeline.ts"
import * as Event from "../../telemetry/Event.ts"
import * as Monitor from "../../telemetry/Monitor.ts"
import { strengthened } from "../shared/prepared.ts"
import * as Kernel from "./kernel.ts"
import type { Affinity } from "./options.ts"
import { waitsAt } from "./room.ts"

type Failure = LanguageModel.LanguageModelError

export interface Member extends Kernel.Settings {
  readonly model: LanguageModel.Service
  readonly pipeline: Pipeline.Pipeline | undefined
}

export interface Pool {
  readonly name: string
  readonly members: ReadonlyArray<Member>
  readonly strategy: Kernel.Strategy
  readonly rests: Kernel.Rests
  /** Milliseconds that a call waits for members that rest. */
  readonly maxWait: number
  readonly affinity: Affinity
  readonly keyOf: (request: LanguageModel.Request) => string | undefined
  readonly verdict: (error: unknown) => Verdict.Verdict
  readonly cell: Cell
}

/** What changes. Each step of it is one synchronous assignment. */
export interface Cell {
  state: Kernel.State
  /** For each member, the calls that were sent to it and are not past its gates. */
  readonly onTheWay: Array<number>
  /** What each member failed with last. */
  readonly lastError: Array<Failure | undefined>
}

export const cellOf = (count: number): Cell => ({
  state: Kernel.start(count),
  onTheWay: Array.from({ length: count }, () => 0),
  lastError: Array.from({ length: count }, () => undefined)
})

/** A member that failed a call, and how. */
export interface Failed {
  readonly member: string
  readonly error: Failure
}

export interface Report<out A> {
  readonly value: A
  readonly member: string
  readonly failed: ReadonlyArray<Failed>
}

/** What a call tells its pool when it is past the gates of its member, so that the next one knows what room is left. */
class CurrentCall extends Context.Reference<CurrentCall>()("effect-llm-resilience/ModelPool/CurrentCall", {
  defaultValue: (): () => void => () => {}
}) {}

const passed: Effect.Effect<void> = Effect.map(CurrentCall, (tell) => tell())

const telling = (model: LanguageModel.Service): LanguageModel.Service => {
  const { resumable } = model
  return {
    ...model,
    generate: (request) => Effect.zipRight(passed, model.generate(request)),
    stream: (request) => Stream.unwrap(Effect.as(passed, model.stream(request))),
    ...(resumable === undefined ? {} : { resumable: (request) => Effect.zipRight(passed, resumable(request)) })
  }
}

/** The model with its pipeline, where a limiter is one that tells of calls that are past its gates. */
export const memberModel = (
  service: LanguageModel.Service,
  pipeline: Pipeline.Pipeline | undefined
): LanguageModel.Service =>
  strengthened(
    pipeline === undefined || Pipeline.policies(pipeline).rateLimiter === undefined ? service : telling(service),
    pipeline
  )

const isSameModel = (one: Member, other: Member): boolean =>
  one.model.name === other.model.name && one.model.provider === other.model.provider

/** Another model is another request, which must not be taken for a repetition of the first. */
const addressed = (request: LanguageModel.Request, member: Member, [first]: ReadonlyArray<Member>) =>
  request.idempotencyKey === undefined || first === undefined || isSameModel(member, first)
    ? request
    : { ...request, idempotencyKey: derivedKey(request.idempotencyKey, member.name) }

/** How long a member rests whose circuit is not open but lets only some calls through, in milliseconds. */
const untilProbed = 1_000

/** Milliseconds that the other side asks to wait; a quota comes back on a date of the wall clock. */
const hintOf = (error: Failure, verdict: Verdict.Verdict, clock: Clock.Clock): number | undefined => {
  // Probes decide long before the time that they may take at most.
  if (error._tag === "CircuitOpen" && error.reason !== "open") return untilProbed
  return error._tag === "QuotaExhausted" && error.resetAt !== undefined
    ? Math.max(0, DateTime.toEpochMillis(error.resetAt) - clock.unsafeCurrentTimeMillis())
    : Option.getOrUndefined(Option.map(verdict.retryAfter, Duration.toMillis))
}

/** Lets a member rest where its failure asks for it, and says who may be asked next. */
export const note = (
  pool: Pool,
  at: number,
  error: Failure,
  clock: Clock.Clock
): "nobody" | "anybody" | "anotherModel" => {
  const { cell, rests } = pool
  const verdict = pool.verdict(error)
  const { action, throttled, weighs } = verdict
  const facts = { tag: error._tag, action, throttled, weighs, hint: hintOf(error, verdict, clock) }
  const rest = Kernel.restAfter(facts, rests)
  cell.lastError[at] = error
  if (rest > 0) cell.state = Kernel.rests(cell.state, at, elapsedMillis(clock) + rest)
  return Kernel.next(facts)
}

/** How far a call has got. */
interface Progress {
  readonly tried: ReadonlySet<number>
  readonly failed: ReadonlyArray<Failed & { readonly at: number }>
  /** When it gives up waiting. */
  readonly deadline: number
}

/** The error of the member that is ready again soonest, since who tries again goes by it. */
const soonestOf = (pool: Pool, failed: Progress["failed"]): Failure | undefined => {
  const readyAt = (at: number): number => pool.cell.state.members[at]?.restsUntil ?? 0
  return failed.reduce<Progress["failed"][number] | undefined>(
    (soonest, each) => soonest === undefined || readyAt(each.at) <= readyAt(soonest.at) ? each : soonest,
    undefined
  )?.error
}

const allRest = (pool: Pool, at: number, millis: number): CircuitOpen => {
  const error = pool.cell.lastError[at]
  return new CircuitOpen({
    name: pool.name,
    retryAfter: Duration.millis(millis),
    ...(error === undefined ? {} : { openedBy: { tag: error._tag, message: describeCause(error).message } })
  })
}

/**
 * Sends a request to one member after the other until one answers. Where a scope is given, the call of the member that
 * answers goes on until the scope is closed.
 */
export const dispatch = <A>(
  pool: Pool,
  request: LanguageModel.Request,
  ask: (member: LanguageModel.Service, request: LanguageModel.Request, at: number) => Effect.Effect<A, Failure>,
  scope?: Scope.Scope
): Effect.Effect<Report<A>, Failure> => {
  const { cell, members } = pool
  const affinity = pool.keyOf(request)
  const pipelines = members.map(({ pipeline }) => pipeline)

  const waits = waitsAt(pipelines, (at) => cell.onTheWay[at] ?? 0, request)

  /** One call of a member, counted as long as it goes on. */
  const call = (at: number, member: Member, asked: Kernel.Asked): Effect.Effect<A, Failure> =>
    Effect.uninterruptibleMask((restore) => {
      cell.state = Kernel.sent(members, cell.state, at, asked)
      let isOnTheWay = true
      cell.onTheWay[at] = (cell.onTheWay[at] ?? 0) + 1
      const arrive = (): void => {
        if (isOnTheWay) cell.onTheWay[at] = (cell.onTheWay[at] ?? 0) - 1
        isOnTheWay = false
      }
      const end = Effect.sync(() => {
        arrive()
        cell.state = Kernel.ended(cell.state, at)
      })
      return restore(ask(member.model, addressed(request, member, members), at)).pipe(
        Effect.provideService(CurrentCall, arrive),
        Effect.onExit((exit) => scope !== undefined && Exit.isSuccess(exit) ? Scope.addFinalizer(scope, end) : end)
      )
    })

  const failedAt = (
    at: number,
    member: Member,
    progress: Progress,
    cause: Cause.Cause<Failure>
  ): Effect.Effect<Report<A>, Failure> => {
    const failure = Option.isSome(Cause.dieOption(cause)) ? Option.none() : Cause.failureOption(cause)
    if (Option.isNone(failure)) return Effect.failCause(cause)
    const error = failure.value
    return Effect.clockWith((clock) => {
      const next = note(pool, at, error, clock)
      if (next === "nobody") return Effect.fail(error)
      const others = members.flatMap((other, each) =>
        each === at || (next === "anotherModel" && isSameModel(other, member)) ? [each] : []
      )
      return attempt({
        ...progress,
        tried: new Set([...progress.tried, ...others]),
        failed: [...progress.failed, { at, member: member.name, error }]
      })
    })
  }

  const reportMove = ({ failed }: Progress, to: string, clock: Clock.Clock): Effect.Effect<void> => {
    const last = failed.at(-1)
    const at = clock.unsafeCurrentTimeMillis()
    return last === undefined
      ? Effect.void
      : Monitor.emit(Event.FellBack({ at, name: pool.name, from: last.member, to, error: last.error }))
  }

  const attempt = (progress: Progress): Effect.Effect<Report<A>, Failure> =>
    Effect.flatMap(waits, (waits) =>
      Effect.clockWith((clock) => {
        const now = elapsedMillis(clock)
        const asked = { now, strategy: pool.strategy, tried: progress.tried, waits, affinity }
        const choice = Kernel.choose(members, cell.state, asked)
        const error = soonestOf(pool, progress.failed)
        const member = choice._tag === "None" ? undefined : members[choice.member]
        if (member === undefined || choice._tag === "None") {
          return error === undefined ? Effect.dieMessage("a pool has members") : Effect.fail(error)
        }
        if (choice._tag === "Rest") {
          return now + choice.millis > progress.deadline
            ? Effect.fail(error ?? allRest(pool, choice.member, choice.millis))
            : Effect.zipRight(Effect.sleep(choice.millis), attempt(progress))
        }
        return Effect.zipRight(
          reportMove(progress, member.name, clock),
          Effect.matchCauseEffect(call(choice.member, member, asked), {
            onFailure: (cause) => failedAt(choice.member, member, progress, cause),
            onSuccess: (value) =>
              Effect.succeed({
                value,
                member: member.name,
                failed: progress.failed.map(({ error, member }) => ({ error, member }))
              })
          })
        )
      }))

  return Effect.clockWith((clock) =>
    attempt({ tried: new Set(), failed: [], deadline: elapsedMillis(clock) + pool.maxWait })
  )
}
