/** The options of a budget: on its own, where a form is a value, and in a pipeline, where it is data under its kind. */
import * as Duration from "effect/Duration"
import * as Form from "../../internal/form.ts"
import { isRecord } from "../../internal/record.ts"
import type * as Kernel from "./kernel.ts"

export interface Share extends Kernel.Share {}

export interface Tokens extends Kernel.Tokens {}

export interface Deposits {
  readonly _tag: "Deposits"
  readonly ttl: Duration.DurationInput
  readonly minimumPerSecond: number
  /** Retries for each call: 0 to 1000. */
  readonly ratio: number
}

export type BudgetForm = Share | Tokens | Deposits

export const defaults = {
  share: { ratio: 0.2, minimum: 3 },
  tokens: { capacity: 500, cost: 14, throttlingCost: 5, reward: 1 },
  deposits: { ttl: "10 seconds", minimumPerSecond: 10, ratio: 0.2 }
} as const

export interface Options {
  /** The name its events carry. Default: `"retryBudget"`. */
  readonly name?: string | undefined
  /** Default: `share` with its defaults. */
  readonly form?: BudgetForm | undefined
}

export type Input =
  | "standard"
  | {
    readonly share: {
      /** Further attempts as a share of the calls in flight: 0 to 1. Default: 0.2. */
      readonly ratio?: number | undefined
      /** How many of them are always allowed: 0 to 1 000 000. Default: 3. */
      readonly minimum?: number | undefined
    }
  }
  | {
    readonly tokens: {
      /** 1 to 1 000 000 000. Default: 500. */
      readonly capacity?: number | undefined
      /** 0 to `capacity`. Default: `capacity`. */
      readonly initial?: number | undefined
      /** What a retry takes: above 0, at most `capacity`. Default: 14. */
      readonly cost?: number | undefined
      /** What a retry after a throttle takes: above 0, at most `capacity`. Default: 5. */
      readonly throttlingCost?: number | undefined
      /** What a retry after a time-out takes: above 0, at most `capacity`. Default: `cost`. */
      readonly timeoutCost?: number | undefined
      /** What a call that succeeds at once puts in: 0 to `capacity`. Default: 1. */
      readonly reward?: number | undefined
    }
  }
  | {
    readonly deposits: {
      /** How long a deposit counts: 1 second to 60 seconds. Default: 10 seconds. */
      readonly ttl?: Duration.DurationInput | undefined
      /** Retries a second that need no deposit: 0 to 1 000 000. Default: 10. */
      readonly minimumPerSecond?: number | undefined
      /** Retries for each call: 0 to 1000. Default: 0.2. */
      readonly ratio?: number | undefined
    }
  }

const share = {
  ratio: Form.share("a ratio from 0 to 1"),
  minimum: Form.number({ min: 0, max: 1e6 }, "a number of attempts, 0 to 1000000")
}

const most = 1e9
const amount = Form.number({ min: 0, max: most }, "a number of tokens, 0 to 1000000000")
const cost = Form.number({ above: 0, max: most }, "a number of tokens, above 0")

const tokens = {
  capacity: Form.number({ min: 1, max: most }, "a number of tokens, 1 to 1000000000"),
  initial: amount,
  cost,
  throttlingCost: cost,
  timeoutCost: cost,
  reward: amount
}

const deposits = {
  ttl: Form.millis({ min: "1 second", max: "60 seconds" }),
  minimumPerSecond: Form.number({ min: 0, max: 1e6 }, "a number of retries a second, 0 to 1000000"),
  ratio: Form.number({ min: 0, max: 1_000 }, "retries for each call, 0 to 1000")
}

type Amounts = { readonly [Name in keyof typeof tokens]?: number | undefined }

/** No cost and no amount is above the capacity, which has the name `nameOfCapacity` where the options were written. */
const capacityCheck = (nameOfCapacity: string) => (amounts: Amounts): ReadonlyArray<Form.CheckFault> => {
  const { capacity } = amounts
  if (capacity === undefined) return []
  const tooHigh = (name: keyof Amounts) => (amounts[name] ?? 0) > capacity
  const priced = (["cost", "throttlingCost", "timeoutCost"] as const).filter(tooHigh).map((name) => ({
    path: [name],
    found: amounts[name],
    allowed: `at most ${nameOfCapacity}, which is ${capacity}: else there is never such a retry`
  }))
  const filled = (["initial", "reward"] as const).filter(tooHigh).map((name) => ({
    path: [name],
    allowed: `from 0 to the capacity, ${capacity}`
  }))
  return [...priced, ...filled]
}

const hasTag = (tag: BudgetForm["_tag"]) => (given: unknown): boolean => isRecord(given) && given["_tag"] === tag

const allowedValue = "what RetryBudget.share, .tokens or .deposits gives"

const value = Form.choose(
  allowedValue,
  Form.when(hasTag("Share"), Form.struct(allowedValue, { _tag: Form.oneOf("Share"), ...share })),
  Form.when(
    hasTag("Tokens"),
    Form.inFieldOrder(
      Form.struct(allowedValue, { _tag: Form.oneOf("Tokens"), ...tokens }, capacityCheck("form.capacity"))
    )
  ),
  Form.when(hasTag("Deposits"), Form.struct(allowedValue, { _tag: Form.oneOf("Deposits"), ...deposits }))
)

export const form = Form.of<Options>()(Form.struct("an object with the options of a retry budget", {
  name: Form.withDefault(Form.name, () => "retryBudget"),
  form: Form.optional(value)
}))

const allowedInput = "\"standard\", or one of { \"share\": {...} }, { \"tokens\": {...} }, { \"deposits\": {...} }"

/** Whether a value is an object with this one field, which holds an object. */
const isKind = (kind: string) => (given: unknown): boolean =>
  isRecord(given) && Object.keys(given).length === 1 && isRecord(given[kind])

/** In a pipeline. */
export const input = Form.of<Input>()(Form.choose(
  allowedInput,
  Form.when((given) => given === "standard", Form.oneOf("standard")),
  Form.when(
    isKind("share"),
    Form.struct(allowedInput, {
      share: Form.struct(allowedInput, {
        ratio: Form.withDefault(share.ratio, () => defaults.share.ratio),
        minimum: Form.withDefault(share.minimum, () => defaults.share.minimum)
      })
    })
  ),
  Form.when(
    isKind("tokens"),
    Form.struct(allowedInput, {
      tokens: Form.struct(
        allowedInput,
        {
          capacity: Form.withDefault(tokens.capacity, () => defaults.tokens.capacity),
          initial: Form.optional(tokens.initial),
          cost: Form.withDefault(tokens.cost, () => defaults.tokens.cost),
          throttlingCost: Form.withDefault(tokens.throttlingCost, () => defaults.tokens.throttlingCost),
          timeoutCost: Form.optional(tokens.timeoutCost),
          reward: Form.withDefault(tokens.reward, () => defaults.tokens.reward)
        },
        capacityCheck("capacity")
      )
    })
  ),
  Form.when(
    isKind("deposits"),
    Form.struct(allowedInput, {
      deposits: Form.struct(allowedInput, {
        ttl: Form.withDefault(deposits.ttl, () => Duration.toMillis(defaults.deposits.ttl)),
        minimumPerSecond: Form.withDefault(deposits.minimumPerSecond, () => defaults.deposits.minimumPerSecond),
        ratio: Form.withDefault(deposits.ratio, () => defaults.deposits.ratio)
      })
    })
  )
))
