/** The options of a retry budget, in code and in a pipeline. */
import type * as Duration from "effect/Duration"
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

export interface Throttle extends Kernel.Throttle {}

export type BudgetForm = Share | Tokens | Deposits | Throttle

/** What a form is made from: all may be left out. */
export type Partly<F> = { readonly [K in keyof Omit<F, "_tag">]?: F[K & keyof F] | undefined }

export const defaults = {
  share: { ratio: 0.2, minimum: 3 },
  tokens: { capacity: 500, cost: 14, throttlingCost: 5, reward: 1 },
  deposits: { ttl: "10 seconds", minimumPerSecond: 10, ratio: 0.2 },
  throttle: { maxTokens: 10, tokenRatio: 0.1 }
} as const

const tokensAboveZero = Form.number({ above: 0, max: 1e9 }, "a number of tokens, above 0")
const tokenLevel = Form.number({ min: 0, max: 1e9 }, "a number of tokens, 0 to the capacity")

const shareFields = {
  ratio: Form.number({ min: 0, max: 1 }, "a ratio from 0 to 1"),
  minimum: Form.number({ min: 0, max: 1e6 }, "a number of attempts, 0 to 1000000")
}

const tokensFields = {
  capacity: Form.number({ min: 1, max: 1e9 }, "a number of tokens, 1 to 1000000000"),
  initial: tokenLevel,
  cost: tokensAboveZero,
  throttlingCost: tokensAboveZero,
  timeoutCost: tokensAboveZero,
  reward: tokenLevel
}

const depositsFields = {
  ttl: Form.millis({ min: "1 second", max: "60 seconds" }),
  minimumPerSecond: Form.number({ min: 0, max: 1e6 }, "a number of retries a second, 0 to 1000000"),
  ratio: Form.number({ min: 0, max: 1000 }, "retries for each call, 0 to 1000")
}

const throttleFields = {
  maxTokens: Form.count(1, 1000, "a whole number of tokens, 1 to 1000"),
  tokenRatio: Form.number({ min: 0.001, max: 1000 }, "tokens for a success, from 0.001, three decimals of it count")
}

type TokensRight = { readonly [K in keyof typeof tokensFields]?: number | undefined }

/** Nothing may cost more than the bucket holds: there would never be such a retry. */
const withinCapacity = (right: TokensRight) => {
  const { capacity } = right
  if (capacity === undefined) return []
  const above = (names: ReadonlyArray<keyof TokensRight>, allowed: string) =>
    names.filter((name) => (right[name] ?? 0) > capacity).map((name) => ({ path: [name], allowed }))
  return [
    ...above(["initial", "reward"], `from 0 to capacity, which is ${capacity}`),
    ...above(
      ["cost", "throttlingCost", "timeoutCost"],
      `at most capacity, which is ${capacity}: else there is never such a retry`
    )
  ]
}

const what = "what RetryBudget.share, .tokens, .deposits or .throttle gives"

const codeForm = Form.tagged(
  what,
  { name: "_tag", allowed: what },
  Form.struct(what, { _tag: Form.oneOf("Share"), ...shareFields }),
  Form.struct(what, { _tag: Form.oneOf("Tokens"), ...tokensFields }, withinCapacity),
  Form.struct(what, { _tag: Form.oneOf("Deposits"), ...depositsFields }),
  Form.struct(what, { _tag: Form.oneOf("Throttle"), ...throttleFields })
)

export interface Options {
  /** The name its events carry. Default: `"retryBudget"`. */
  readonly name?: string | undefined
  /** Default: `RetryBudget.share` with its defaults. */
  readonly form?: BudgetForm | undefined
}

export const form = Form.of<Options>()(Form.struct("an object with the options of a retry budget", {
  name: Form.withDefault(Form.name, () => "retryBudget"),
  form: Form.withDefault(codeForm, () => ({ _tag: "Share" as const, ...defaults.share }))
}))

const tenSeconds = 10_000
const { deposits, share, throttle, tokens } = defaults

/** What a file says: the kind is the name of the only field, and what is left out of it has the defaults. */
const fileForms = {
  share: Form.struct("an object with a share", {
    ratio: Form.withDefault(shareFields.ratio, () => share.ratio),
    minimum: Form.withDefault(shareFields.minimum, () => share.minimum)
  }),
  tokens: Form.struct("an object with tokens", {
    capacity: Form.withDefault(tokensFields.capacity, () => tokens.capacity),
    initial: Form.optional(tokensFields.initial),
    cost: Form.withDefault(tokensFields.cost, () => tokens.cost),
    throttlingCost: Form.withDefault(tokensFields.throttlingCost, () => tokens.throttlingCost),
    timeoutCost: Form.optional(tokensFields.timeoutCost),
    reward: Form.withDefault(tokensFields.reward, () => tokens.reward)
  }, withinCapacity),
  deposits: Form.struct("an object with deposits", {
    ttl: Form.withDefault(depositsFields.ttl, () => tenSeconds),
    minimumPerSecond: Form.withDefault(depositsFields.minimumPerSecond, () => deposits.minimumPerSecond),
    ratio: Form.withDefault(depositsFields.ratio, () => deposits.ratio)
  }),
  throttle: Form.struct("an object with a throttle", {
    maxTokens: Form.withDefault(throttleFields.maxTokens, () => throttle.maxTokens),
    tokenRatio: Form.withDefault(throttleFields.tokenRatio, () => throttle.tokenRatio)
  })
}

/** In a pipeline a budget has the pipeline's name. `"standard"` is a share with its defaults. */
export type Input =
  | "standard"
  | { readonly share: Partly<Share> }
  | { readonly tokens: Partly<Tokens> }
  | { readonly deposits: Partly<Deposits> }
  | { readonly throttle: Partly<Throttle> }

const kinds = "\"standard\", or one of { \"share\": {...} }, { \"tokens\": {...} }, { \"deposits\": {...} }, " +
  "{ \"throttle\": {...} }"

const only = (name: string) => (value: unknown): boolean => isRecord(value) && Object.keys(value).join() === name

export const pipelineForm = Form.of<Input>()(Form.choose(
  kinds,
  Form.when((value) => value === "standard", Form.oneOf("standard")),
  Form.when(only("share"), Form.struct(kinds, { share: fileForms.share })),
  Form.when(only("tokens"), Form.struct(kinds, { tokens: fileForms.tokens })),
  Form.when(only("deposits"), Form.struct(kinds, { deposits: fileForms.deposits })),
  Form.when(only("throttle"), Form.struct(kinds, { throttle: fileForms.throttle }))
))
