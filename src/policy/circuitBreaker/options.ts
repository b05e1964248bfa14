/** The options of a circuit breaker: read from code or from JSON, with all that is wrong in one report. */
import * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import {
  at,
  duration,
  fields,
  formatDuration,
  integer,
  judge,
  oneOf,
  optional,
  type Reader,
  type Report
} from "../../internal/reader.ts"
import { isRecord } from "../../internal/record.ts"
import * as Backoff from "../Backoff.ts"
import * as RetryPolicy from "../RetryPolicy.ts"
import { durationInput, policyName } from "../shared/options.ts"
import { slowerThan } from "../shared/trippingRule.ts"
import * as Tripping from "../Tripping.ts"
import type { Settings as KernelSettings } from "./kernel.ts"

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
  readonly successesToClose: number
  readonly probeLimit: Duration.Duration
  readonly mode: "enforce" | "observe"
}

const breaks = { initial: Duration.seconds(10), factor: 2, cap: Duration.seconds(60) }

/**
 * What a breaker does that says nothing else: 10 s doubling to 60 s open, a hint of up to an hour believed, 3 probes.
 *
 * @since 0.1.0
 * @category defaults
 */
export const defaults = {
  tripping: Tripping.standard,
  openFor: Backoff.exponential({ initial: breaks.initial, factor: breaks.factor }).pipe(Backoff.capped(breaks.cap)),
  longestHint: Duration.hours(1),
  probes: 3,
  probeLimit: Duration.minutes(1),
  mode: "enforce"
} as const

type Problems = ReadonlyArray<{ readonly path: string; readonly found: string; readonly allowed: string }>

const copy = (issues: Problems, report: Report): undefined => {
  for (const { allowed, found, path } of issues) report.problems.push({ path, found, allowed })
  return undefined
}

const readTripping: Reader<Tripping.Tripping> = (value, path, report) =>
  Tripping.isTripping(value) ? value : Either.match(Tripping.decode(value, { path }), {
    onLeft: (error) => copy(error.issues, report),
    onRight: (tripping) => tripping
  })

const allowedBreaks = "a wait for each opening in a row, however many there are: a duration, or a backoff above zero " +
  "with cap and jitter, but without attempts, within, hints or rules by error"

const checkBreaks = (policy: RetryPolicy.RetryPolicy, path: string, report: Report): Backoff.Backoff | undefined => {
  const first = RetryPolicy.preview(policy, { limit: 1, random: 1 })[0]
  if (Backoff.isBackoff(policy) && first !== undefined && Duration.toMillis(first.delay) > 0) return policy
  report.problems.push({ path, found: String(policy), allowed: allowedBreaks })
  return undefined
}

const readBreaks = (limit: Reader<number>): Reader<Backoff.Backoff> => (value, path, report) => {
  if (RetryPolicy.isRetryPolicy(value)) return checkBreaks(value, path, report)
  if (isRecord(value) && !Duration.isDuration(value)) {
    return Either.match(RetryPolicy.decode(value, { path }), {
      onLeft: (error) => copy(error.issues, report),
      onRight: (policy) => checkBreaks(policy, path, report)
    })
  }
  const millis = limit(value, path, report)
  return millis === undefined ? undefined : Backoff.constant(Duration.millis(millis))
}

const most = 1_000
const count = integer(1, most, `a whole number from 1 to ${most}`)

const known = ["name", "tripping", "openFor", "longestHint", "probes", "successesToClose", "probeLimit", "mode"]

const readWith =
  (names: ReadonlyArray<string>, limit: Reader<number>, name: Reader<string>): Reader<Settings> =>
  (value, path, report) => {
    const record = fields(value, path, names, report, "an object with the options of a circuit breaker")
    if (record === undefined) return undefined
    const given = name(record["name"], at(path, "name"), report)
    const tripping = optional(record, "tripping", path, readTripping, report)
    const openFor = optional(record, "openFor", path, readBreaks(limit), report)
    const longestHint = optional(record, "longestHint", path, limit, report)
    const probes = optional(record, "probes", path, count, report)
    const successesToClose = optional(record, "successesToClose", path, count, report)
    const probeLimit = optional(record, "probeLimit", path, limit, report)
    const mode = optional(record, "mode", path, oneOf("enforce", "observe"), report)
    optional(record, "verdict", path, judge, report)
    return given === undefined ? undefined : {
      name: given,
      tripping: tripping ?? defaults.tripping,
      openFor: openFor ?? defaults.openFor,
      longestHint: longestHint === undefined ? defaults.longestHint : Duration.millis(longestHint),
      probes: probes ?? defaults.probes,
      successesToClose: successesToClose ?? probes ?? defaults.probes,
      probeLimit: probeLimit === undefined ? defaults.probeLimit : Duration.millis(probeLimit),
      mode: mode ?? defaults.mode
    }
  }

/** Options written in code: any duration, and a judge of errors. */
export const readOptions: Reader<Settings> = readWith([...known, "verdict"], durationInput(), policyName)

/** Options from a file: durations as text. */
export const readJson: Reader<Settings> = readWith(known, duration(), policyName)

const constantOf = (policy: RetryPolicy.RetryPolicy): string | undefined =>
  policy.tree._tag === "Constant" ? formatDuration(policy.tree.delay) : undefined

export const write = (settings: Settings): { readonly [field: string]: unknown } => ({
  name: settings.name,
  tripping: Tripping.encode(settings.tripping),
  openFor: constantOf(settings.openFor) ?? RetryPolicy.encode(settings.openFor),
  longestHint: formatDuration(Duration.toMillis(settings.longestHint)),
  probes: settings.probes,
  successesToClose: settings.successesToClose,
  probeLimit: formatDuration(Duration.toMillis(settings.probeLimit)),
  mode: settings.mode
})

/** The settings as the kernel wants them. */
export const toKernel = (settings: Settings, seed: number): KernelSettings => ({
  rule: settings.tripping.rule,
  slowerThan: slowerThan(settings.tripping.rule),
  breaks: settings.openFor.tree,
  longestHint: Duration.toMillis(settings.longestHint),
  probes: settings.probes,
  successesToClose: settings.successesToClose,
  probeLimit: Duration.toMillis(settings.probeLimit),
  seed
})
