/** When a circuit opens, as it is written: in a file, or inline in code. */
import * as Duration from "effect/Duration"
import * as Form from "../../internal/form.ts"
import { isRecord } from "../../internal/record.ts"
import { words } from "../../internal/words.ts"
import type { Rule } from "./trippingRule.ts"
import type { WindowSpec } from "./window.ts"

/**
 * What a rate looks back on: a number of calls, or a time. A bare number would not say which.
 *
 * @since 0.1.0
 * @category models
 */
export type Window = `${number} calls` | Duration.Duration | Extract<Duration.DurationInput, string>

/**
 * A share of bad calls over a window.
 *
 * @since 0.1.0
 * @category models
 */
export interface RateOptions {
  /** The share of bad calls from which on the circuit opens: above 0, at most 1. Default: 0.5. */
  readonly share?: number | undefined
  /** What it looks back on: `"100 calls"` (1 to 100000) or a time above zero. Default: 30 seconds. */
  readonly window?: Window | undefined
  /** With fewer calls than this in the window nothing is decided: 1 to 100000. Default: 10, or the whole window. */
  readonly minimumCalls?: number | undefined
}

/**
 * A share of slow calls over a window.
 *
 * @since 0.1.0
 * @category models
 */
export interface SlowCallOptions extends RateOptions {
  /** A call that takes longer than this is slow: above zero and finite. */
  readonly longerThan: Duration.DurationInput
}

interface Consecutive {
  readonly when: "consecutive"
  /** That many failures in a row: 1 to 100000. Default: 5. */
  readonly failures?: number | undefined
}

interface FailureRate extends RateOptions {
  readonly when: "failureRate"
}

interface SlowCallRate extends SlowCallOptions {
  readonly when: "slowCallRate"
}

/**
 * A rule written inline: `{ when: "consecutive", failures: 5 }`, `{ when: "failureRate", share: 0.5 }`,
 * `{ when: "slowCallRate", longerThan: "20 seconds" }`, `{ any: […] }`, `{ all: […] }`.
 *
 * @since 0.1.0
 * @category models
 */
export type Input =
  | Consecutive
  | FailureRate
  | SlowCallRate
  | { readonly any: ReadonlyArray<Input> }
  | { readonly all: ReadonlyArray<Input> }

/** The numbers of a rule that says nothing else. */
export const defaults = { failures: 5, share: 0.5, window: Duration.seconds(30), minimumCalls: 10 } as const

const mostCalls = 100_000

const standardWindow: WindowSpec = { _tag: "Time", millis: Duration.toMillis(defaults.window) }

const calls = Form.count(1, mostCalls, `a whole number from 1 to ${mostCalls}`)

const allowedWindow = `a number of calls like "100 calls" (1 to ${mostCalls}) or a time like "30 seconds"; ` +
  "a bare number does not say which"

const callsSpelling = /^(\d+) calls?$/

const parseWindow = (text: string): WindowSpec | undefined => {
  const count = callsSpelling.exec(text.trim())?.[1]
  if (count !== undefined) {
    return Number(count) >= 1 && Number(count) <= mostCalls ? { _tag: "Calls", calls: Number(count) } : undefined
  }
  const millis = Form.parseMillis(text)
  return millis !== undefined && isWindow(millis) ? { _tag: "Time", millis } : undefined
}

const isWindow = (millis: number): boolean => millis > 0 && millis <= longestWindow

/** As long as any duration may be. */
const longestWindow = Duration.toMillis(Duration.days(36_500))

export const printWindow = (window: WindowSpec): string =>
  window._tag === "Time" ? Form.formatMillis(window.millis) : `${window.calls} call${window.calls === 1 ? "" : "s"}`

const textWindow = Form.spelled<WindowSpec, Extract<Window, string>>({
  allowed: allowedWindow,
  pattern: "^(\\s*0*[1-9]\\d* calls?\\s*|" +
    "(?=.*[1-9])\\s*\\d+(\\.\\d+)? +(week|day|hour|minute|second|milli|micro|nano)s?\\s*)$",
  parse: parseWindow,
  print: printWindow
})

const durationWindow = Form.mapped(
  Form.checked(
    Form.value(Duration.isDuration, allowedWindow),
    (window) => isWindow(Duration.toMillis(window)) ? [] : [{ path: [], allowed: Form.allowedDuration }]
  ),
  {
    decode: (window): WindowSpec => ({ _tag: "Time", millis: Duration.toMillis(window) }),
    encode: (window) => Duration.millis(window._tag === "Time" ? window.millis : 0)
  }
)

const window = Form.choose(
  allowedWindow,
  Form.when(Duration.isDuration, durationWindow),
  Form.when(Form.isText, textWindow, () => true)
)

const rateFields = {
  share: Form.withDefault(
    Form.number({ above: 0, max: 1 }, "a number above 0, at most 1 (half of the calls is 0.5)"),
    () => defaults.share
  ),
  window: Form.withDefault(window, () => standardWindow),
  minimumCalls: Form.optional(calls)
}

const slowFields = { longerThan: Form.millis(), ...rateFields }

/** More calls than the window can hold would never be there. */
const fitsWindow: Form.Check<typeof rateFields> = ({ minimumCalls, window: over = standardWindow }) => {
  const most = over._tag === "Calls" ? over.calls : mostCalls
  return minimumCalls === undefined || minimumCalls <= most ? [] : [{
    path: ["minimumCalls"],
    allowed: `at most window, which is ${most} call${most === 1 ? "" : "s"}: a smaller window never holds that many`
  }]
}

const whatRuleIs = "an object such as { \"when\": \"failureRate\", \"share\": 0.5, \"window\": \"30 seconds\", " +
  "\"minimumCalls\": 10 }, or { \"any\": […] } or { \"all\": […] } of such objects"

const consecutiveFields = { failures: Form.withDefault(calls, () => defaults.failures) }

/** What the constructors of rules take. */
export const consecutiveForm = Form.struct(whatRuleIs, consecutiveFields)
export const failureRateForm = Form.of<RateOptions>()(
  Form.struct("an object with share, window and minimumCalls", rateFields, fitsWindow)
)
export const slowCallRateForm = Form.of<SlowCallOptions>()(
  Form.struct("an object with longerThan, share, window and minimumCalls", slowFields, fitsWindow)
)

type LeafRead =
  | { readonly when: "consecutive" } & Form.Output<typeof consecutiveForm>
  | { readonly when: "failureRate" } & Form.Output<typeof failureRateForm>
  | { readonly when: "slowCallRate" } & Form.Output<typeof slowCallRateForm>

/** The rule that was read. Where it says no minimum of calls, that is the default, or as many as a small window holds. */
export const toRule = (read: LeafRead): LeafRule => {
  if (read.when === "consecutive") return { _tag: "Consecutive", failures: read.failures }
  const most = read.window._tag === "Calls" ? read.window.calls : mostCalls
  const { share, window: over, minimumCalls = Math.min(defaults.minimumCalls, most) } = read
  return read.when === "failureRate"
    ? { _tag: "FailureRate", share, window: over, minimumCalls }
    : { _tag: "SlowCallRate", longerThan: read.longerThan, share, window: over, minimumCalls }
}

type LeafRule = Exclude<Rule, { readonly _tag: "Any" | "All" }>

const fromRule = (rule: LeafRule): LeafRead => {
  switch (rule._tag) {
    case "Consecutive":
      return { when: "consecutive", failures: rule.failures }
    case "FailureRate": {
      const { minimumCalls, share, window: over } = rule
      return { when: "failureRate", share, window: over, minimumCalls }
    }
    case "SlowCallRate": {
      const { longerThan, minimumCalls, share, window: over } = rule
      return { when: "slowCallRate", longerThan, share, window: over, minimumCalls }
    }
  }
}

const leafForm = Form.tagged(
  whatRuleIs,
  "when",
  Form.of<Consecutive>()(Form.struct(whatRuleIs, { when: Form.oneOf("consecutive"), ...consecutiveFields })),
  Form.of<FailureRate>()(Form.struct(whatRuleIs, { when: Form.oneOf("failureRate"), ...rateFields }, fitsWindow)),
  Form.of<SlowCallRate>()(Form.struct(whatRuleIs, { when: Form.oneOf("slowCallRate"), ...slowFields }, fitsWindow))
)

const allowedList = "a list of rules that is not empty"

/** Deeper than any rule that a person would write. */
const maxDepth = 16

const allowedDepth = `rules at most ${maxDepth} deep`

/** A rule as a file or code writes it. */
export const form: Form.Form<Rule, Input, "required"> = Form.recursive(
  "tripping",
  { maxDepth, allowed: allowedDepth },
  () => {
    const rules = Form.list(form, { allowed: allowedList })
    return Form.choose(
      whatRuleIs,
      Form.when(
        Form.has("any"),
        Form.mapped(Form.struct(whatRuleIs, { any: rules }), {
          decode: (read): Extract<Rule, { readonly _tag: "Any" }> => ({ _tag: "Any", of: read.any }),
          encode: (rule) => ({ any: rule.of })
        }),
        isOf("Any")
      ),
      Form.when(
        Form.has("all"),
        Form.mapped(Form.struct(whatRuleIs, { all: rules }), {
          decode: (read): Extract<Rule, { readonly _tag: "All" }> => ({ _tag: "All", of: read.all }),
          encode: (rule) => ({ all: rule.of })
        }),
        isOf("All")
      ),
      Form.otherwise(Form.mapped(leafForm, { decode: toRule, encode: fromRule }))
    )
  }
)

const isOf = (tag: Rule["_tag"]) => (rule: unknown): boolean => isRecord(rule) && rule["_tag"] === tag

const depthOf = (rule: Rule): number =>
  "of" in rule ? 1 + rule.of.reduce((deepest, each) => Math.max(deepest, depthOf(each)), 0) : 1

/** Several rules as one: not none, and not so deep that the JSON of it could not be read. */
export const severalForm = (tag: "Any" | "All"): Form.Form<Rule, ReadonlyArray<Rule>> =>
  Form.mapped(
    Form.checked(
      Form.list(Form.value((_): _ is Rule => true, whatRuleIs), { allowed: allowedList }),
      (of) => depthOf({ _tag: tag, of }) <= maxDepth ? [] : [{ path: [], allowed: allowedDepth }]
    ),
    { decode: (of): Rule => ({ _tag: tag, of }), encode: (rule) => "of" in rule ? rule.of : [rule] }
  )

const percent = (share: number): string => `${Number((share * 100).toPrecision(6))}%`

const over = (window: WindowSpec, minimumCalls: number): string =>
  `${window._tag === "Time" ? `within ${words(window.millis)}` : `among the last ${window.calls}`} ` +
  `(from ${minimumCalls} call${minimumCalls === 1 ? "" : "s"} on)`

/** The rule in one readable line. */
export const describe = (rule: Rule): string => {
  switch (rule._tag) {
    case "Consecutive":
      return `${rule.failures} failure${rule.failures === 1 ? "" : "s"} in a row`
    case "FailureRate":
      return `${percent(rule.share)} of calls failed ${over(rule.window, rule.minimumCalls)}`
    case "SlowCallRate":
      return `${percent(rule.share)} of calls slower than ${words(rule.longerThan)} ` +
        over(rule.window, rule.minimumCalls)
    case "Any":
      return `any of (${rule.of.map(describe).join("; ")})`
    case "All":
      return `all of (${rule.of.map(describe).join("; ")})`
  }
}
