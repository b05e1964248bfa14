/** What a batch is told, and how it is read. */
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import { InvalidOptions, issueOf } from "../../error/InvalidOptions.ts"
import * as Form from "../../internal/form.ts"
import { isRecord } from "../../internal/record.ts"
import type { Usage } from "../../model/Usage.ts"
import { isPricing, type Pricing } from "../../resilience/Price.ts"
import type * as Journal from "../Journal.ts"
import type { Progress } from "../Progress.ts"
import type * as Kernel from "./kernel.ts"

/** When a batch stops by itself. Whichever holds first counts; calls in flight are finished, the rest is `Skipped` or unread. */
export interface StopWhen {
  /**
   * At least this share of the items that have ended failed: above 0, up to 1. It is looked at once `minimum` items have
   * ended: 1 to 1 000 000 000. Default of `minimum`: 20, or the number of items where they are known to be fewer.
   */
  readonly failureRate?: number | { readonly share: number; readonly minimum?: number | undefined } | undefined
  /** The batch has spent so many tokens, or so much in the unit of `price`: above 0. A cost needs a `price`. */
  readonly spend?: { readonly tokens?: number | undefined; readonly cost?: number | undefined } | undefined
  /** So much time has gone by since the batch began: above zero. */
  readonly time?: Duration.DurationInput | undefined
  /**
   * A circuit has been open for so long, and no item has succeeded since: above zero. Without it the batch waits for the
   * circuit for as long as `time` lets it, which is for ever where that is left out, too; a `Progress` tells that it waits.
   */
  readonly circuitOpen?: Duration.DurationInput | undefined
}

/** How a batch remembers what it has done, beyond its process. */
export interface JournalOptions<in out B> {
  /** The journal: `yield* Journal.Journal`. */
  readonly journal: Journal.Service
  /** How values are written into it and read from it; its encoded side must be JSON. */
  readonly value: Schema.Schema.AnyNoContext & { readonly Type: B }
  /**
   * What matters for the outcome beside the item, as JSON: the model, the version of the prompt. An item that was done with
   * other settings is called anew. Default: nothing.
   */
  readonly settings?: unknown
}

export interface Options<in A = never, in out B = never> {
  /**
   * Items that are called at a time: 1 to 100 000; or `"auto"`, which begins with 20 and finds the number: a throttled
   * call (429) lowers it, once for all that were in flight with it; while a quarter of the calls fail for other reasons of the
   * provider's, it does not grow. Default: `"auto"`.
   */
  readonly concurrency?: number | "auto" | undefined
  /** When it stops by itself. Default: never. */
  readonly stopWhen?: StopWhen | undefined
  /** Stops the batch when it succeeds (a signal, a button); how it ends otherwise does not matter. Default: never. */
  readonly stopOn?: Effect.Effect<unknown, unknown> | undefined
  /**
   * What becomes of calls in flight when the batch is interrupted or `stopOn` succeeds: they are finished, or interrupted.
   * Default: `"finish"`.
   */
  readonly onInterrupt?: "finish" | "interrupt" | undefined
  /** The content of an item, as JSON: what makes two items identical. Default: the item. */
  readonly key?: ((item: A) => unknown) | undefined
  /**
   * `"share"`: identical items, by `key`, share one call and its outcome, good or bad. The outcomes are kept in memory.
   * Default: `"separate"`, each item has its own call.
   */
  readonly identical?: "separate" | "share" | undefined
  /**
   * Remembers what was done: a rerun calls only what is missing, and what failed. The items that were in flight are called
   * again under the same idempotency keys. Items of the same content (`key`) have one entry, so they share one call; tell
   * them apart by `key` where each is to have its own. Default: nothing is remembered.
   */
  readonly journal?: JournalOptions<B> | undefined
  /** What a value cost. Default: its `usageOfAll` or `usage`, where that is a `Usage`; a failure is read likewise. */
  readonly usage?: ((value: B) => Usage) | undefined
  /**
   * What tokens of a model cost: a table, or a function. The model is the value's `model`, or that of its `response`. Items
   * that have no price are told in the summary (`unpriced`), and a limit of cost stops the batch at the first.
   */
  readonly price?: Pricing | undefined
  /** Is told what happens, to show it. */
  readonly progress?: Progress | undefined
}

export const defaults = {
  concurrency: "auto",
  onInterrupt: "finish",
  identical: "separate",
  /** Of a failure rate. */
  minimum: 20,
  auto: { initial: 20, floor: 1, ceiling: 1_000 }
} as const

const share = Form.number({ above: 0, max: 1 }, "a number above 0, up to 1")

interface FailureRate {
  readonly share: number
  readonly minimum: number | undefined
}

const failureRate = Form.choose(
  "a share above 0, up to 1, or an object with share and minimum",
  Form.when(
    (value) => typeof value === "number",
    Form.mapped(share, {
      decode: (read): FailureRate => ({ share: read, minimum: undefined }),
      encode: (rate) => rate.share
    }),
    () => false
  ),
  Form.otherwise(Form.struct("a share above 0, up to 1, or an object with share and minimum", {
    share,
    minimum: Form.optional(Form.count(1, 1_000_000_000))
  }))
)

const amount = Form.number({ above: 0 })

const stopWhen = Form.struct(
  "an object with failureRate, spend, time or circuitOpen",
  {
    failureRate: Form.optional(failureRate),
    spend: Form.optional(Form.struct(
      "an object with tokens or cost",
      { tokens: Form.optional(amount), cost: Form.optional(amount) },
      (_, given) =>
        given["tokens"] === undefined && given["cost"] === undefined
          ? [{ path: [], allowed: "tokens or cost, or it can never hold" }]
          : []
    )),
    time: Form.optional(Form.millis({ allowed: "a duration above zero" })),
    circuitOpen: Form.optional(Form.millis({ allowed: "a duration above zero" }))
  }
)

const isEffect = (value: unknown): value is Effect.Effect<unknown, unknown> =>
  (typeof value === "object" || typeof value === "function") && value !== null && "pipe" in value

const isProgress = (value: unknown): value is Progress => typeof value === "object" && value !== null

/** Whether it needs services is known to the compiler alone: the options' type allows none. */
const isPlainSchema = (value: unknown): value is Schema.Schema.AnyNoContext => Schema.isSchema(value)

const isJournal = (value: unknown): value is Journal.Service =>
  isRecord(value) && "lookup" in value && "append" in value && "inFlight" in value

const journal = Form.struct("an object with a journal and the schema of its values", {
  journal: Form.value(isJournal, "a journal: yield* Journal.Journal"),
  value: Form.value(isPlainSchema, "a schema of the values"),
  settings: Form.optional(Form.value((value): value is unknown => value !== undefined, "JSON"))
})

const form = Form.struct(
  "an object with the options of a batch",
  {
    concurrency: Form.withDefault(
      Form.choose(
        "a whole number, 1 to 100000, or \"auto\"",
        Form.when(Form.isText, Form.oneOfWith(["auto"], "a whole number, 1 to 100000, or \"auto\"")),
        Form.otherwise(Form.count(1, 100_000, "a whole number, 1 to 100000, or \"auto\""))
      ),
      () => defaults.concurrency
    ),
    stopWhen: Form.withDefault(stopWhen, () => ({
      failureRate: undefined,
      spend: undefined,
      time: undefined,
      circuitOpen: undefined
    })),
    stopOn: Form.optional(Form.value(isEffect, "an effect")),
    onInterrupt: Form.withDefault(Form.oneOf("finish", "interrupt"), () => defaults.onInterrupt),
    key: Form.optional(Form.fn<(item: never) => unknown>("a function from an item to its content", "read items")),
    identical: Form.withDefault(Form.oneOf("separate", "share"), () => defaults.identical),
    journal: Form.optional(journal),
    usage: Form.optional(Form.fn<(value: never) => Usage>("a function from a value to its usage", "read values")),
    price: Form.optional(
      Form.value(isPricing, "a table of Price, or a function from usage and model to a number")
    ),
    progress: Form.optional(Form.value(isProgress, "what Progress.make gave"))
  },
  ({ price, stopWhen: stop }) =>
    stop?.spend?.cost === undefined || price !== undefined
      ? []
      : [{ path: ["stopWhen", "spend", "cost"], allowed: "nothing without a price, or it can never hold" }]
)

export type Settings = Form.Output<typeof form>

const refused = (issues: ReadonlyArray<Form.Fault>): Either.Either<never, InvalidOptions> =>
  Either.left(new InvalidOptions({ module: "Batch", issues: issues.map(issueOf) }))

/** Reads the options. `total` is the number of items where it is known: a condition on more of them can never hold. */
export const read = (given: unknown, total: number | undefined): Either.Either<Settings, InvalidOptions> => {
  const settings = Form.read(form, given, "code")
  if (Either.isLeft(settings)) return refused(settings.left)
  const minimum = settings.right.stopWhen.failureRate?.minimum
  return minimum === undefined || total === undefined || minimum <= total
    ? Either.right(settings.right)
    : refused([{
      path: "stopWhen.failureRate.minimum",
      found: minimum,
      allowed: `at most ${total}, the number of items, or it can never hold`
    }])
}

/** What the kernel needs of them. */
export const kernelSettings = (settings: Settings, total: number | undefined): Kernel.Settings => {
  const { circuitOpen, failureRate, spend, time } = settings.stopWhen
  const { ceiling, floor, initial } = defaults.auto
  return {
    limit: settings.concurrency === "auto"
      ? {
        bounds: { strategy: { kind: "aimd", backoffRatio: 0.9, timeout: Number.POSITIVE_INFINITY }, floor, ceiling },
        initial
      }
      : settings.concurrency,
    failureRate: failureRate === undefined ? undefined : {
      share: failureRate.share,
      minimum: failureRate.minimum ?? Math.max(1, Math.min(defaults.minimum, total ?? defaults.minimum))
    },
    maxTokens: spend?.tokens ?? Number.POSITIVE_INFINITY,
    maxCost: spend?.cost ?? Number.POSITIVE_INFINITY,
    maxMillis: time ?? Number.POSITIVE_INFINITY,
    maxOpenMillis: circuitOpen ?? Number.POSITIVE_INFINITY
  }
}
