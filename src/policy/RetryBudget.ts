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
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import { dual } from "effect/Function"
import * as Layer from "effect/Layer"
import type { InvalidOptions } from "../error/InvalidOptions.ts"
import { elapsedMillis } from "../internal/elapsed.ts"
import { definedFields } from "../internal/record.ts"
import { words } from "../internal/words.ts"
import { Cell } from "./retryBudget/cell.ts"
import {
  type BudgetForm,
  defaults,
  type Deposits,
  form,
  type Options,
  type Partly,
  type Share,
  type Throttle,
  type Tokens
} from "./retryBudget/options.ts"
import { CountedCall, find } from "./shared/currentAttempt.ts"
import { countedRound, CurrentAttempt, withCounted } from "./shared/currentAttempt.ts"
import * as Family from "./shared/keyed.ts"
import { readForm } from "./shared/options.ts"

/**
 * What marks a value as a budget.
 *
 * @since 0.1.0
 * @category symbols
 */
export const TypeId: unique symbol = Symbol.for("effect-llm-resilience/RetryBudget")

export type {
  /**
   * Every call deposits a part (`ratio`) of a retry, which is lost after `ttl`; beside that a reserve of
   * `minimumPerSecond` retries a second. It bounds the number of retries however short the calls are.
   *
   * @since 0.1.0
   * @category models
   */
  Deposits,
  /**
   * What a budget is made from; everything may be left out.
   *
   * @since 0.1.0
   * @category models
   */
  Options,
  /**
   * The numbers of a form, each of which may be left out.
   *
   * @since 0.1.0
   * @category models
   */
  Partly,
  /**
   * Further attempts in flight as a share of the calls in flight, with a minimum. An attempt counts from the moment it
   * is decided on, its wait included, until it ends. A call that is being retried counts as a retry and no longer as a
   * call, so that retries stay at 20 % of calls, and not of calls and retries together.
   *
   * @since 0.1.0
   * @category models
   */
  Share,
  /**
   * A count of tokens, `maxTokens` at first: an attempt that fails with an error that may be retried takes one away, a
   * call that succeeds puts `tokenRatio` back, and there are further attempts only while more than half of `maxTokens`
   * are there. With 10 and 0.1: after five failures in a row there is no retry until at least one more call has gone
   * well (5.1 tokens).
   *
   * @since 0.1.0
   * @category models
   */
  Throttle,
  /**
   * A bucket of tokens: a retry takes its cost before it waits; a retry that succeeds gives its cost back; a call that
   * succeeds at once puts in the reward; an error gives nothing back. A hedge takes `cost` and never gives it back.
   *
   * @since 0.1.0
   * @category models
   */
  Tokens
} from "./retryBudget/options.ts"

/**
 * What kind of budget it is, as data.
 *
 * @since 0.1.0
 * @category models
 */
export type Form = BudgetForm

export {
  /**
   * The defaults of each form. `share`: Envoy's `RetryBudget` (20 %, at least 3). `tokens`: the AWS SDKs' standard retry
   * quota of 2026 (500 tokens, 14 for a retry, 5 after a throttle, 1 for a success). `deposits`: Finagle's `RetryBudget`
   * (20 %, 10 a second, 10 seconds). `throttle`: the example of gRPC's proposal A6 (10 tokens, 0.1 for a success).
   *
   * @since 0.1.0
   * @category defaults
   */
  defaults
} from "./retryBudget/options.ts"

/**
 * A share of the calls in flight. Default: 20 %, at least 3 at a time, as in Envoy. Where calls fail at once and are
 * retried without a wait, the minimum alone can be many a second: use {@link deposits} there.
 *
 * @since 0.1.0
 * @category constructors
 */
export const share = (options?: Partly<Share>): Share => ({
  _tag: "Share",
  ...defaults.share,
  ...definedFields({ ...options })
})

/**
 * A bucket of tokens, as in the AWS SDKs. Default: 500 tokens, full at first; a retry costs 14 (5 after a throttle, the
 * same as any other after a time-out), and a success without retry puts 1 back.
 *
 * @since 0.1.0
 * @category constructors
 */
export const tokens = (options?: Partly<Tokens>): Tokens => {
  const given = { ...defaults.tokens, ...definedFields({ ...options }) }
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
export const deposits = (options?: Partly<Deposits>): Deposits => ({
  _tag: "Deposits",
  ...defaults.deposits,
  ...definedFields({ ...options })
})

/**
 * Retry throttling as in gRPC (proposal A6). Default: 10 tokens, of which a success puts 0.1 back. It sees whether the
 * other side is well rather than how many retries there are: while at most half of the tokens are left nothing is tried
 * again, and calls that go well open it again.
 *
 * @since 0.1.0
 * @category constructors
 */
export const throttle = (options?: Partly<Throttle>): Throttle => ({
  _tag: "Throttle",
  ...defaults.throttle,
  ...definedFields({ ...options })
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
  /** Its own books: read them with {@link stats}. */
  readonly cell: Cell
}

/**
 * The tag of a budget that a program shares.
 *
 * @since 0.1.0
 * @category tags
 */
export const RetryBudget = Context.GenericTag<RetryBudget>("effect-llm-resilience/RetryBudget")

/**
 * A budget with a state of its own. Fails with one `InvalidOptions` that lists every number out of range, and every
 * cost that is above the capacity.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Effect.Effect<RetryBudget, InvalidOptions> =>
  Effect.suspend(() =>
    Either.map(readForm("RetryBudget", form, options), (read): RetryBudget => ({
      [TypeId]: TypeId,
      name: read.name,
      form: options.form ?? share(),
      cell: new Cell(read.form)
    }))
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
  <A, E, R>(effect: Effect.Effect<A, E, R>, self: RetryBudget): Effect.Effect<A, E, R> =>
    Effect.flatMap(CurrentAttempt, (attempt) => {
      const outer = countedRound(attempt)
      if (find(self, outer) !== undefined) return effect
      return Effect.uninterruptibleMask((restore) =>
        Effect.clockWith((clock) => {
          const call = new CountedCall(self, outer, elapsedMillis(clock))
          return Effect.onExit(
            restore(Effect.provideService(effect, CurrentAttempt, withCounted(attempt, call))),
            (exit) => Effect.sync(() => call.end(Exit.isSuccess(exit)))
          )
        })
      )
    })
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
    const { calls, hedges, retries } = self.cell.state
    return { calls, retries, hedges, available: self.cell.available(elapsedMillis(clock)) }
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
    case "Throttle":
      return `${self.name}: further attempts while more than half of ${form.maxTokens} tokens are left; a failure takes ` +
        `1, a success puts ${form.tokenRatio} back`
    case "Deposits":
      return `${self.name}: retries at most ${percent(form.ratio)} of the calls of ${
        words(Duration.millis(form.ttl))
      }, and ` +
        `${form.minimumPerSecond} a second`
  }
}

/**
 * A budget for each key.
 *
 * @since 0.1.0
 * @category models
 */
export interface Keyed extends Family.Keyed<RetryBudget, never> {}

/**
 * A budget for each key (a model, a tenant, an endpoint), made when the key is first used; idle keys are forgotten. The
 * options are the same for all keys, where one is named `name/key`, or a function gives those of each key. Fails with
 * `InvalidOptions`; options by key that are wrong are a defect of the call. A key that was forgotten begins
 * with a new budget.
 *
 * @since 0.1.0
 * @category constructors
 */
export const keyed = (
  options: Family.OptionsOf<Options>,
  bounds?: Family.Bounds
): Effect.Effect<Keyed, InvalidOptions> =>
  Effect.map(
    Family.make<Options, RetryBudget, never>(
      {
        module: "RetryBudget",
        make,
        isIdle: ({ cell: { state } }) => state.calls === 0 && state.retries === 0 && state.hedges === 0,
        apply,
        describe
      },
      options,
      bounds
    ),
    (made) => made.keyed
  )
