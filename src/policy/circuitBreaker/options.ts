/** The options of a circuit breaker. */
import * as Duration from "effect/Duration"
import type * as Verdict from "../../error/Verdict.ts"
import * as Form from "../../internal/form.ts"
import { isRecord } from "../../internal/record.ts"
import * as Backoff from "../Backoff.ts"
import * as RetryPolicy from "../RetryPolicy.ts"
import type { BackoffData, TreeData } from "../shared/retryData.ts"
import { backoffForm } from "../shared/retryForm.ts"
import { make as fromTree } from "../shared/retryValue.ts"
import { slowerThan } from "../shared/trippingRule.ts"
import { isTripping, valueForm } from "../shared/trippingValue.ts"
import * as Tripping from "../Tripping.ts"
import type { Settings as KernelSettings } from "./kernel.ts"

/**
 * What a breaker is made from. Only the name is needed.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** The name that its events and its refusals carry. */
  readonly name: string
  /** When it opens: a `Tripping`, or one written inline. Default: half of the calls within 30 s failed, from 10 calls on. */
  readonly tripping?: Tripping.Tripping | Tripping.Input | undefined
  /**
   * How long it stays open: a duration, or a backoff whose n-th wait is the break of the n-th opening in a row. Default:
   * 10 s doubling to 60 s. Where the error that opens it asks for a longer wait, that is it.
   */
  readonly openFor?: Duration.DurationInput | Backoff.Backoff | BackoffInput | undefined
  /** A longer wait than this is not believed: above zero and finite. Default: 1 hour. */
  readonly longestHint?: Duration.DurationInput | undefined
  /** How many probes run at a time while it is half-open: 1 to 1000. Others are refused at once. Default: 3. */
  readonly probes?: number | undefined
  /**
   * How many probes must succeed to close it, without one that fails or is slow: 1 to 1000. Default: `probes`. Where some
   * may fail, use `closeAt`.
   */
  readonly successesToClose?: number | undefined
  /**
   * Judges the half-open circuit by a share: `{ share: 0.8, of: 10 }` closes it as soon as 8 of 10 probes have succeeded,
   * and opens it again as soon as that cannot be any more, with the third that fails or is slow. Default: none may.
   */
  readonly closeAt?: CloseAt | undefined
  /**
   * A probe that has no result by then has failed, and a later result of it is ignored. The time begins when it is sent,
   * not while it waits for a limiter or in a queue. It is not interrupted: that is for a time-out. A stream whose first
   * content has come by then is alive and has succeeded, however long it goes on. Above zero and finite. Default: 1 minute.
   */
  readonly probeLimit?: Duration.DurationInput | undefined
  /**
   * For that long after its probes have closed it, a growing share of calls is let through, from 10 % to all: the other
   * side may still be weak. Above zero and finite. Default: all are let through at once.
   */
  readonly slowStart?: Duration.DurationInput | undefined
  /** `"observe"` counts, moves and reports, but refuses nothing. Default: `"enforce"`. */
  readonly mode?: "enforce" | "observe" | undefined
  /** Judges an error, for errors that do not know their own verdict. Default: `Verdict.of`. */
  readonly verdict?: ((error: unknown) => Verdict.Verdict) | undefined
}

/**
 * The share of probes that must succeed.
 *
 * @since 0.1.0
 * @category models
 */
export interface CloseAt {
  /** Above 0, at most 1. */
  readonly share: number
  /** How many probes are judged: 1 to 1000. Default: 10. */
  readonly of?: number | undefined
}

/**
 * A backoff written inline: as in a file, with durations of any spelling; or as a tree, if nothing in it ends.
 *
 * @since 0.1.0
 * @category models
 */
export type BackoffInput = BackoffData | TreeData

/**
 * A breaker's options with all defaults filled in.
 *
 * @since 0.1.0
 * @category models
 */
export interface Settings {
  readonly name: string
  readonly tripping: Tripping.Tripping
  readonly openFor: Backoff.Backoff
  readonly longestHint: Duration.Duration
  readonly probes: number
  /** With `closeAt`, its share of the probes. */
  readonly successesToClose: number
  readonly closeAt: { readonly share: number; readonly of: number } | undefined
  readonly probeLimit: Duration.Duration
  readonly slowStart: Duration.Duration | undefined
  readonly mode: "enforce" | "observe"
}

/** How many probes are judged where `closeAt` says only the share. */
const judgedProbes = 10

/**
 * What a breaker does that says nothing else: 10 s doubling to 60 s open, a hint of up to an hour believed, 3 probes.
 *
 * @since 0.1.0
 * @category defaults
 */
export const defaults = {
  tripping: Tripping.standard,
  openFor: Backoff.exponential({ initial: "10 seconds", factor: 2 }).pipe(Backoff.capped("60 seconds")),
  longestHint: Duration.hours(1),
  probes: 3,
  probeLimit: Duration.minutes(1),
  mode: "enforce"
} as const

const allowedBreaks = "a wait for each opening in a row, however many there are: a duration, or a backoff above zero " +
  "with cap and jitter, but without attempts, within, hints or rules by error"

const isBreak = (policy: RetryPolicy.RetryPolicy): policy is Backoff.Backoff =>
  Backoff.isBackoff(policy) &&
  RetryPolicy.preview(policy, { limit: 1, random: 1 }).some(({ delay }) => Duration.toMillis(delay) > 0)

const isConstant = (breaks: unknown): boolean => RetryPolicy.isRetryPolicy(breaks) && breaks.tree._tag === "Constant"

const openFor = Form.choose(
  allowedBreaks,
  Form.when(
    Form.looksLikeDuration,
    Form.mapped(Form.millis(), {
      decode: (millis): Backoff.Backoff => Backoff.constant(millis),
      encode: ({ tree }) => tree._tag === "Constant" ? tree.delay : 0
    }),
    isConstant
  ),
  Form.when(
    RetryPolicy.isRetryPolicy,
    Form.value(
      (value): value is Backoff.Backoff => RetryPolicy.isRetryPolicy(value) && isBreak(value),
      allowedBreaks,
      { encode: RetryPolicy.encode }
    )
  ),
  Form.when(
    (given) => isRecord(given) && !RetryPolicy.isRetryPolicy(given),
    Form.mapped(
      Form.checked(backoffForm, (tree) => isBreak(fromTree(tree)) ? [] : [{ path: [], allowed: allowedBreaks }]),
      {
        decode: (tree): Backoff.Backoff => {
          const policy = fromTree(tree)
          return isBreak(policy) ? policy : defaults.openFor
        },
        encode: ({ tree }) => tree
      }
    )
  )
)

const most = 1_000
const count = Form.count(1, most, `a whole number from 1 to ${most}`)

const tripping = Form.choose(
  "a Tripping, or one written inline",
  Form.when(
    isTripping,
    Form.value<Tripping.Tripping>(isTripping, "a Tripping", { encode: Tripping.encode }),
    () => false
  ),
  Form.otherwise(valueForm)
)

/** All but the name, which a pipeline may give. */
export const fields = {
  tripping: Form.withDefault(tripping, () => defaults.tripping),
  openFor: Form.withDefault(openFor, () => defaults.openFor),
  longestHint: Form.withDefault(Form.duration(), () => defaults.longestHint),
  probes: Form.withDefault(count, () => defaults.probes),
  successesToClose: Form.optional(count),
  closeAt: Form.optional(
    Form.of<CloseAt>()(Form.struct("an object with share and of", {
      share: Form.number({ above: 0, max: 1 }, "a number above 0, at most 1 (8 of 10 probes is 0.8)"),
      of: Form.withDefault(count, () => judgedProbes)
    }))
  ),
  probeLimit: Form.withDefault(Form.duration(), () => defaults.probeLimit),
  slowStart: Form.optional(Form.duration()),
  mode: Form.withDefault(Form.oneOf("enforce", "observe"), () => defaults.mode),
  verdict: Form.optional(
    Form.fn<(error: unknown) => Verdict.Verdict>("a function from an error to its Verdict", "judge errors")
  )
}

/** The share of the probes in whole ones: 0.7 of 10 is 7, although 0.7 * 10 is a little more in binary. */
const successesOf = ({ of, share }: { readonly share: number; readonly of: number }): number =>
  Math.max(1, Math.ceil(share * of - 1e-9))

/** Both may be there, as in what `settings` gives, if they say the same. */
export const closesOneWay: Form.Check<typeof fields> = ({ closeAt, successesToClose }) =>
  closeAt === undefined || successesToClose === undefined || successesToClose === successesOf(closeAt)
    ? []
    : [{ path: ["closeAt"], allowed: "nothing beside successesToClose, which says otherwise: leave out one of them" }]

/** What follows from what was read. */
export const toSettings = <
  Read extends {
    readonly probes: number
    readonly successesToClose: number | undefined
    readonly closeAt: Settings["closeAt"]
  }
>(read: Read): Read & { readonly successesToClose: number } => ({
  ...read,
  successesToClose: read.closeAt === undefined ? read.successesToClose ?? read.probes : successesOf(read.closeAt)
})

const what = "an object with the options of a circuit breaker"

export const form = Form.of<Options>()(Form.struct(what, { name: Form.name, ...fields }, closesOneWay))

/** New options for a breaker that works: they must name it. */
export const formOf = (ownName: string) =>
  Form.of<Options>()(
    Form.struct(what, { name: Form.name, ...fields }, closesOneWay, ({ name }) =>
      name === undefined || name === ownName
        ? []
        : [{ path: ["name"], allowed: `the breaker's own name, "${ownName}"` }])
  )

/** The settings as the kernel wants them. */
export const toKernel = (settings: Settings, seed: number): KernelSettings => ({
  rule: settings.tripping.rule,
  slowerThan: slowerThan(settings.tripping.rule),
  breaks: settings.openFor.tree,
  longestHint: Duration.toMillis(settings.longestHint),
  probes: settings.probes,
  successesToClose: settings.successesToClose,
  failuresToOpen: settings.closeAt === undefined ? 1 : settings.closeAt.of - settings.successesToClose + 1,
  slowStart: settings.slowStart === undefined ? 0 : Duration.toMillis(settings.slowStart),
  probeLimit: Duration.toMillis(settings.probeLimit),
  seed
})
