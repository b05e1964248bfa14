/**
 * Bounds how many further attempts (retries and hedges) may be made beside the calls that are made anyway, so that
 * retries cannot turn a trouble into a storm. One budget is shared by everything that talks to the same dependency. A
 * budget never fails a call: when it is used up there is no retry, the original error comes through, and
 * `RetryBudgetExhausted` is reported.
 *
 * @example
 * import * as Effect from "effect/Effect"
 * import * as RetryBudget from "effect-llm-resilience/policy/RetryBudget"
 *
 * const program = Effect.gen(function*() {
 *   const shared = yield* RetryBudget.make({ name: "openai", form: RetryBudget.share({ ratio: 0.2, minimum: 3 }) })
 *   console.log(RetryBudget.describe(shared))
 *   return yield* Effect.succeed("an answer").pipe(RetryBudget.apply(shared))
 * })
 *
 * Effect.runPromise(program).then(console.log)
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberRef from "effect/FiberRef"
import { dual } from "effect/Function"
import * as Layer from "effect/Layer"
import type { InvalidOptions } from "../error/InvalidOptions.ts"
import { elapsedMillis } from "../internal/elapsed.ts"
import { optional, text } from "../internal/reader.ts"
import { words } from "../internal/words.ts"
import * as Event from "../telemetry/Event.ts"
import * as Monitor from "../telemetry/Monitor.ts"
import { readForm } from "./retryBudget/form.ts"
import * as Kernel from "./retryBudget/kernel.ts"
import { readAll } from "./shared/options.ts"

/**
 * What marks a value as a budget.
 *
 * @since 0.1.0
 * @category symbols
 */
export const TypeId: unique symbol = Symbol.for("effect-llm-resilience/RetryBudget")

/**
 * Further attempts in flight as a share of the calls in flight, with a minimum. An attempt counts from the moment it is
 * decided on, its wait included, until it ends. A call that is being retried counts as a retry and no longer as a call,
 * so that retries stay at 20 % of calls, and not of calls and retries together.
 *
 * @since 0.1.0
 * @category models
 */
export interface Share extends Kernel.Share {}

/**
 * A bucket of tokens: a retry takes its cost before it waits; a retry that succeeds gives its cost back; a call that
 * succeeds at once puts in the reward; an error gives nothing back. A hedge takes `cost` and never gives it back.
 *
 * @since 0.1.0
 * @category models
 */
export interface Tokens extends Kernel.Tokens {}

/**
 * Every call deposits a part (`ratio`) of a retry, which is lost after `ttl`; beside that a reserve of
 * `minimumPerSecond` retries a second. It bounds the number of retries however short the calls are.
 *
 * @since 0.1.0
 * @category models
 */
export interface Deposits {
  readonly _tag: "Deposits"
  readonly ttl: Duration.DurationInput
  readonly minimumPerSecond: number
  /** Retries for each call: 0 to 1000. */
  readonly ratio: number
}

/**
 * What kind of budget it is, as data.
 *
 * @since 0.1.0
 * @category models
 */
export type Form = Share | Tokens | Deposits

/**
 * The defaults of each form. `share`: Envoy's `RetryBudget` (20 %, at least 3). `tokens`: the AWS SDKs' standard retry
 * quota of 2026 (500 tokens, 14 for a retry, 5 after a throttle, 1 for a success). `deposits`: Finagle's `RetryBudget`
 * (20 %, 10 a second, 10 seconds).
 *
 * @since 0.1.0
 * @category defaults
 */
export const defaults = {
  share: { ratio: 0.2, minimum: 3 },
  tokens: { capacity: 500, cost: 14, throttlingCost: 5, reward: 1 },
  deposits: { ttl: "10 seconds", minimumPerSecond: 10, ratio: 0.2 }
} as const

/**
 * A share of the calls in flight. Default: 20 %, at least 3 at a time, as in Envoy. Where calls fail at once and are
 * retried without a wait, the minimum alone can be many a second: use {@link deposits} there.
 *
 * @since 0.1.0
 * @category constructors
 */
export const share = (options?: Partial<Omit<Share, "_tag">>): Share => ({
  _tag: "Share",
  ...defaults.share,
  ...options
})

/**
 * A bucket of tokens, as in the AWS SDKs. Default: 500 tokens, full at first; a retry costs 14 (5 after a throttle, the
 * same as any other after a time-out), and a success without retry puts 1 back.
 *
 * @since 0.1.0
 * @category constructors
 */
export const tokens = (options?: Partial<Omit<Tokens, "_tag">>): Tokens => {
  const given = { ...defaults.tokens, ...options }
  return {
    _tag: "Tokens",
    ...given,
    initial: options?.initial ?? given.capacity,
    timeoutCost: options?.timeoutCost ?? given.cost
  }
}

/**
 * Deposits that expire, as in Finagle. Default: 20 % of the calls of the last 10 seconds, and 10 retries a second.
 *
 * @since 0.1.0
 * @category constructors
 */
export const deposits = (options?: Partial<Omit<Deposits, "_tag">>): Deposits => ({
  _tag: "Deposits",
  ...defaults.deposits,
  ...options
})

/**
 * A budget. Its state is shared by all who hold the same value.
 *
 * @since 0.1.0
 * @category models
 */
export interface RetryBudget {
  readonly [TypeId]: typeof TypeId
  readonly name: string
  readonly form: Form
  /** Read it with {@link stats}. */
  readonly cell: Cell
}

/** The one place where the state is, and what each kind of attempt costs. */
interface Cell {
  current: Kernel.State
  readonly form: Kernel.Form
}

/**
 * The tag of a budget that a program shares.
 *
 * @since 0.1.0
 * @category tags
 */
export const RetryBudget = Context.GenericTag<RetryBudget>("effect-llm-resilience/RetryBudget")

/**
 * What a budget is made from; everything may be left out.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** The name its events carry. Default: `"retryBudget"`. */
  readonly name?: string | undefined
  /** Default: {@link share} with its defaults. */
  readonly form?: Form | undefined
}

/**
 * A budget with a state of its own. Fails with one `InvalidOptions` that lists every number out of range, and every
 * cost that is above the capacity.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options?: Options): Effect.Effect<RetryBudget, InvalidOptions> =>
  Effect.suspend(() =>
    readAll("RetryBudget", { ...options }, (_, path, report): RetryBudget | undefined => {
      const given = { form: share(), ...options }
      const name = optional({ ...given }, "name", path, text, report) ?? "retryBudget"
      const read = readForm(given.form ?? share(), "form", report)
      if (read === undefined) return undefined
      return {
        [TypeId]: TypeId,
        name,
        form: given.form ?? share(),
        cell: { current: Kernel.start(read), form: read }
      }
    })
  )

/**
 * A budget that everything below shares.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options?: Options): Layer.Layer<RetryBudget, InvalidOptions> =>
  Layer.effect(RetryBudget, make(options))

/**
 * One call that a budget counts, from its beginning to its end.
 *
 * @since 0.1.0
 * @category models
 */
export interface Call {
  readonly budget: RetryBudget
  /** Whether it has taken leave for a further attempt. */
  further: boolean
}

/**
 * What is told of the failure that a retry follows.
 *
 * @since 0.1.0
 * @category models
 */
export interface Failure {
  readonly throttled: boolean
  readonly timedOut: boolean
}

/**
 * Leave for one further attempt. Give it to {@link unsafeSettle} when that attempt has ended, exactly once.
 *
 * @since 0.1.0
 * @category models
 */
export interface Grant {
  readonly kind: "retry" | "hedge"
  /** What it took from the bucket; 0 in the forms without one. */
  readonly cost: number
}

/**
 * The low-level way, for policies that fuse several steps into one: a call begins. `now` is a reading of `elapsedMillis`. Must be
 * followed by {@link unsafeEnd}, whatever happens. Synchronous, like all that is called unsafe here: the state moves at
 * once.
 *
 * @since 0.1.0
 * @category low level
 */
export const unsafeBegin = (self: RetryBudget, now: number): Call => {
  self.cell.current = Kernel.begin(self.cell.form, self.cell.current, now)
  return { budget: self, further: false }
}

const take = (call: Call, grant: Grant, now: number): Grant | undefined => {
  const { cell } = call.budget
  const next = Kernel.take(cell.form, cell.current, grant, now)
  if (next === undefined) return undefined
  cell.current = next
  call.further = true
  return grant
}

/**
 * Asks for leave to make another attempt after a failure, before waiting for it; `undefined` means no retry. If the
 * call holds the grant of an earlier retry, settle that one first.
 *
 * @since 0.1.0
 * @category low level
 */
export const unsafeTryRetry = (call: Call, failure: Failure, now: number): Grant | undefined =>
  take(call, { kind: "retry", cost: Kernel.costOf(call.budget.cell.form, "retry", failure) }, now)

const noFailure: Failure = { throttled: false, timedOut: false }

/**
 * Asks for leave to start an attempt beside those that run; `undefined` means no hedge.
 *
 * @since 0.1.0
 * @category low level
 */
export const unsafeTryHedge = (call: Call, now: number): Grant | undefined =>
  take(call, { kind: "hedge", cost: Kernel.costOf(call.budget.cell.form, "hedge", noFailure) }, now)

/**
 * A further attempt ended, in success or otherwise (interruption is no success). It no longer counts as being in
 * flight; in the token form a retry that succeeded gives its cost back.
 *
 * @since 0.1.0
 * @category low level
 */
export const unsafeSettle = (call: Call, grant: Grant, succeeded: boolean): void => {
  const { cell } = call.budget
  cell.current = Kernel.settle(cell.form, cell.current, grant, succeeded)
}

/**
 * A call ended. In the token form one that succeeded without a further attempt puts the reward into the bucket. A grant
 * of it that is not settled yet (of a hedge that lost and cannot be interrupted) is settled when that attempt ends.
 *
 * @since 0.1.0
 * @category low level
 */
export const unsafeEnd = (call: Call, succeeded: boolean): void => {
  const { cell } = call.budget
  cell.current = Kernel.end(cell.form, cell.current, succeeded && !call.further)
}

/** The calls that are being counted round the running effect, so that a retry round a hedge counts one call once. */
class Counted extends Context.Reference<Counted>()("effect-llm-resilience/RetryBudget/Counted", {
  defaultValue: (): ReadonlyArray<Call> => []
}) {}

/**
 * The call of this budget that is being counted round the running effect (by {@link apply}, a retry or a hedge), if any:
 * then that is the call to ask for, and no other must be begun.
 *
 * @since 0.1.0
 * @category low level
 */
export const unsafeFind = <R>(self: RetryBudget, context: Context.Context<R>): Call | undefined => {
  for (const call of Context.get(context, Counted)) if (call.budget === self) return call
  return undefined
}

/**
 * The context for all that runs within a call, so that {@link unsafeFind} finds it.
 *
 * @since 0.1.0
 * @category low level
 */
export const withinCall = <R>(context: Context.Context<R>, call: Call): Context.Context<R> =>
  Context.merge(context, Context.make(Counted, [...Context.get(context, Counted), call]))

/**
 * Runs the body with the call that the budget counts: the one found round it, or a new one that ends with the body. It
 * is {@link unsafeFind}, {@link unsafeBegin}, {@link withinCall} and {@link unsafeEnd} in one.
 *
 * @since 0.1.0
 * @category combinators
 */
export const withCall = <A, E, R>(
  self: RetryBudget,
  body: (call: Call) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.withFiberRuntime((fiber) => {
    const outer = unsafeFind(self, fiber.currentContext)
    if (outer !== undefined) return body(outer)
    return Effect.uninterruptibleMask((restore) => {
      const clock = Context.get(fiber.currentDefaultServices, Clock.Clock)
      const call = unsafeBegin(self, elapsedMillis(clock))
      const context = fiber.currentContext
      // One bracket for the count and the context, where `Effect.locally` would add a second.
      return Effect.zipRight(
        FiberRef.set(FiberRef.currentContext, withinCall(context, call)),
        Effect.onExit(restore(Effect.suspend(() => body(call))), (exit) => {
          unsafeEnd(call, Exit.isSuccess(exit))
          return FiberRef.set(FiberRef.currentContext, context)
        })
      )
    })
  })

/**
 * Counts the effect as one call in flight. Retries and hedges with this budget count their calls themselves; this is
 * for calls that are made without either, and makes the share truer.
 *
 * @since 0.1.0
 * @category combinators
 */
export const apply: {
  (self: RetryBudget): <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  <A, E, R>(effect: Effect.Effect<A, E, R>, self: RetryBudget): Effect.Effect<A, E, R>
} = dual(
  2,
  <A, E, R>(effect: Effect.Effect<A, E, R>, self: RetryBudget): Effect.Effect<A, E, R> => withCall(self, () => effect)
)

/**
 * Reports that the budget was used up when that attempt (2 is the first further one) was wanted.
 *
 * @since 0.1.0
 * @category low level
 */
export const reportExhausted = (self: RetryBudget, attempt: number): Effect.Effect<void> =>
  Effect.flatMap(
    Clock.currentTimeMillis,
    (now) => Monitor.emit(Event.RetryBudgetExhausted({ at: now, name: self.name, attempt }))
  )

/**
 * What a budget looks like at one moment.
 *
 * @since 0.1.0
 * @category models
 */
export interface Stats {
  /** Calls in flight. */
  readonly calls: number
  /** Retries that wait or run. */
  readonly retries: number
  /** Hedges that run. */
  readonly hedges: number
  /** How many retries more would be allowed now. */
  readonly available: number
}

/**
 * What a budget looks like now.
 *
 * @since 0.1.0
 * @category getters
 */
export const stats = (self: RetryBudget): Effect.Effect<Stats> =>
  Effect.map(Effect.clock, (clock) => {
    const { current, form } = self.cell
    const { calls, hedges, retries } = current
    return { calls, retries, hedges, available: Kernel.available(form, current, elapsedMillis(clock)) }
  })

const percent = (ratio: number): string => `${Math.round(ratio * 1e6) / 1e4}%`

/**
 * The budget in one line.
 *
 * @since 0.1.0
 * @category interpreters
 */
export const describe = (self: RetryBudget): string => {
  const { form } = self.cell
  switch (form._tag) {
    case "Share":
      return `${self.name}: further attempts at most ${
        percent(form.ratio)
      } of calls in flight, at least ${form.minimum}`
    case "Tokens":
      return `${self.name}: ${form.capacity} tokens, a retry costs ${form.cost} (throttled ${form.throttlingCost}, ` +
        `timed out ${form.timeoutCost}), a success puts ${form.reward} back`
    case "Deposits":
      return `${self.name}: retries at most ${percent(form.ratio)} of the calls of ${
        words(Duration.millis(form.ttl))
      }, and ` +
        `${form.minimumPerSecond} a second`
  }
}
