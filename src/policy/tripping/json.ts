/** When a circuit opens, as JSON and in words. */
import {
  at,
  fields,
  formatDuration,
  integer,
  isAllowedDuration,
  list,
  number,
  oneOf,
  optional,
  parseDuration,
  type Reader,
  type Report,
  required
} from "../../internal/reader.ts"
import { isRecord } from "../../internal/record.ts"
import { words } from "../../internal/words.ts"
import type { Rule } from "../shared/trippingRule.ts"
import type { WindowSpec } from "../shared/window.ts"

type Json = Readonly<Record<string, unknown>>

/** The numbers of a rule that says nothing else. */
export const defaults = { failures: 5, share: 0.5, windowMillis: 30_000, minimumCalls: 10 } as const

const mostCalls = 100_000

/** The ranges of all numbers, named once: constructors, files and documents quote them. */
export const ranges = {
  failures: integer(1, mostCalls, `a whole number from 1 to ${mostCalls}`),
  share: number(Number.MIN_VALUE, 1, "a number above 0, at most 1 (half of the calls is 0.5)"),
  minimumCalls: integer(1, mostCalls, `a whole number from 1 to ${mostCalls}`)
}

const allowedWindow = `a number of calls like "100 calls" (1 to ${mostCalls}) or a time like "30 seconds"; ` +
  "a bare number does not say which"

const parseWindow = (value: unknown): WindowSpec | undefined => {
  const calls = typeof value === "string" ? /^(\d+) calls?$/.exec(value.trim())?.[1] : undefined
  if (calls !== undefined) {
    return Number(calls) >= 1 && Number(calls) <= mostCalls ? { _tag: "Calls", calls: Number(calls) } : undefined
  }
  const millis = parseDuration(value)
  return millis !== undefined && isAllowedDuration(millis) ? { _tag: "Time", millis } : undefined
}

/** A window as text; `duration` reads a time that is not text, where there may be one. */
export const readWindow = (duration: Reader<number> | undefined): Reader<WindowSpec> => (value, path, report) => {
  if (typeof value === "object" && value !== null && duration !== undefined) {
    const millis = duration(value, path, report)
    return millis === undefined ? undefined : { _tag: "Time", millis }
  }
  const window = parseWindow(value)
  if (window === undefined) report.problems.push({ path, found: value, allowed: allowedWindow })
  return window
}

/** Times as JSON spells them, or as code does. */
export interface Times {
  readonly window: Reader<WindowSpec>
  readonly duration: Reader<number>
}

const readRate = (value: Json, path: string, report: Report, times: Times) => {
  const share = optional(value, "share", path, ranges.share, report)
  const window = optional(value, "window", path, times.window, report) ??
    { _tag: "Time", millis: defaults.windowMillis }
  const minimumCalls = optional(value, "minimumCalls", path, ranges.minimumCalls, report)
  const most = window._tag === "Calls" ? window.calls : mostCalls
  if (minimumCalls !== undefined && minimumCalls > most) {
    report.problems.push({
      path: at(path, "minimumCalls"),
      found: minimumCalls,
      allowed: `at most window, which is ${most} call${most === 1 ? "" : "s"}: a smaller window never holds that many`
    })
  }
  return {
    share: share ?? defaults.share,
    window,
    minimumCalls: minimumCalls ?? Math.min(defaults.minimumCalls, most)
  }
}

export const readConsecutive = (value: Json, path: string, report: Report): Rule => ({
  _tag: "Consecutive",
  failures: optional(value, "failures", path, ranges.failures, report) ?? defaults.failures
})

export const readFailureRate = (value: Json, path: string, report: Report, times: Times): Rule => ({
  _tag: "FailureRate",
  ...readRate(value, path, report, times)
})

export const readSlowCallRate = (value: Json, path: string, report: Report, times: Times): Rule | undefined => {
  const longerThan = required(value, "longerThan", path, times.duration, report)
  const rate = readRate(value, path, report, times)
  return longerThan === undefined ? undefined : { _tag: "SlowCallRate", longerThan, ...rate }
}

const kinds = ["consecutive", "failureRate", "slowCallRate"] as const
const kindFields = {
  consecutive: ["when", "failures"],
  failureRate: ["when", "share", "window", "minimumCalls"],
  slowCallRate: ["when", "longerThan", "share", "window", "minimumCalls"]
} as const

const whatRuleIs = "an object such as { \"when\": \"failureRate\", \"share\": 0.5, \"window\": \"30 seconds\", " +
  "\"minimumCalls\": 10 }, or { \"any\": […] } or { \"all\": […] } of such objects"

/** Deeper than any rule that a person would write. */
const mostDepth = 16

const readDeep = (times: Times, depth: number): Reader<Rule> => (value, path, report) => {
  if (!isRecord(value) || depth > mostDepth) {
    const allowed = depth > mostDepth ? `rules at most ${mostDepth} deep` : whatRuleIs
    report.problems.push({ path, found: value, allowed })
    return undefined
  }
  const both = ["any", "all"].find((name) => name in value)
  if (both !== undefined) {
    fields(value, path, [both], report, whatRuleIs)
    const of = required(
      value,
      both,
      path,
      list(readDeep(times, depth + 1), "a list of rules that is not empty"),
      report
    )
    return of === undefined ? undefined : { _tag: both === "any" ? "Any" : "All", of }
  }
  const when = required(value, "when", path, oneOf(...kinds), report)
  if (when === undefined) return undefined
  fields(value, path, kindFields[when], report, whatRuleIs)
  switch (when) {
    case "consecutive":
      return readConsecutive(value, path, report)
    case "failureRate":
      return readFailureRate(value, path, report, times)
    case "slowCallRate":
      return readSlowCallRate(value, path, report, times)
  }
}

export const read = (times: Times): Reader<Rule> => readDeep(times, 1)

const writeWindow = (window: WindowSpec): string =>
  window._tag === "Time" ? formatDuration(window.millis) : `${window.calls} call${window.calls === 1 ? "" : "s"}`

export const write = (rule: Rule): Json => {
  switch (rule._tag) {
    case "Consecutive":
      return { when: "consecutive", failures: rule.failures }
    case "FailureRate":
      return {
        when: "failureRate",
        share: rule.share,
        window: writeWindow(rule.window),
        minimumCalls: rule.minimumCalls
      }
    case "SlowCallRate":
      return {
        when: "slowCallRate",
        longerThan: formatDuration(rule.longerThan),
        share: rule.share,
        window: writeWindow(rule.window),
        minimumCalls: rule.minimumCalls
      }
    case "Any":
      return { any: rule.of.map(write) }
    case "All":
      return { all: rule.of.map(write) }
  }
}

const percent = (share: number): string => `${Number((share * 100).toPrecision(6))}%`

const over = (window: WindowSpec, minimumCalls: number): string =>
  `${window._tag === "Time" ? `within ${words(window.millis)}` : `among the last ${window.calls}`} ` +
  `(from ${minimumCalls} call${minimumCalls === 1 ? "" : "s"} on)`

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
