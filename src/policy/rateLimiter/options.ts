/** The options of a rate limiter, read and checked. */
import * as Duration from "effect/Duration"
import { lowestRate } from "../../internal/bucket.ts"
import {
  fields,
  number,
  oneOf,
  optional,
  type Reader,
  type Report,
  required,
  text,
  where
} from "../../internal/reader.ts"
import { excerpt } from "../../internal/redact.ts"
import { words } from "../../internal/words.ts"
import type { Limits } from "../RateLimitStore.ts"
import { durationInput } from "../shared/options.ts"

export interface Settings {
  readonly name: string
  readonly key: string
  readonly limits: Limits
  readonly maxWait: number
  /** Milliseconds that a hint of the other side may pause the key. */
  readonly longestHint: number
}

/** The numbers used where the options leave them out. */
export const defaults = { burst: 1, onExceeded: "delay", longestHint: "1 hour" } as const

const known = [
  "name",
  "requestsPerMinute",
  "tokensPerMinute",
  "burst",
  "onExceeded",
  "maxWait",
  "longestHint",
  "key",
  "verdict"
]

const rate = (what: string): Reader<number | "learned"> =>
  where(
    (value): value is number | "learned" =>
      value === "learned" || (typeof value === "number" && value >= lowestRate && Number.isFinite(value)),
    `${what} a minute, above zero (at least ${lowestRate}) and finite: to let nothing through, do not call; for no limit, ` +
      "leave the field out; for the limit the other side tells, \"learned\""
  )

const perMinute = (given: number | "learned" | undefined): number =>
  given === undefined || given === "learned" ? Infinity : given

const remedyOfNone = "requestsPerMinute, tokensPerMinute or both (\"learned\" takes a limit from the reply headers)"

/** Everything wrong goes into the report. The mode literals and the ratio are those of `RateLimiter.Options`. */
export const readSettings = (value: unknown, path: string, report: Report): Settings | undefined => {
  const given = fields(value, path, known, report, "an object of options")
  if (given === undefined) return undefined
  const name = required(given, "name", path, text, report)
  const requests = optional(given, "requestsPerMinute", path, rate("requests"), report)
  const tokens = optional(given, "tokensPerMinute", path, rate("tokens"), report)
  const burst = optional(given, "burst", path, number(0, 1, "a share of a minute's limit, from 0 to 1"), report)
  const onExceeded = optional(given, "onExceeded", path, oneOf("delay", "fail"), report)
  const maxWait = optional(given, "maxWait", path, durationInput(), report)
  const longestHint = optional(given, "longestHint", path, durationInput(), report)
  const key = optional(given, "key", path, text, report)
  if (given["requestsPerMinute"] === undefined && given["tokensPerMinute"] === undefined) {
    report.problems.push({ path, found: undefined, allowed: remedyOfNone })
  }
  if (onExceeded === "fail" && given["maxWait"] !== undefined) {
    report.problems.push({
      path: "maxWait",
      found: given["maxWait"],
      allowed: "nothing together with onExceeded \"fail\", which never waits: leave it out, or use onExceeded \"delay\""
    })
  }
  return name === undefined ? undefined : {
    // Refusals carry it, too many to redact each of them.
    name: excerpt(name),
    key: key ?? name,
    limits: {
      requestsPerMinute: perMinute(requests),
      tokensPerMinute: perMinute(tokens),
      burst: burst ?? defaults.burst
    },
    maxWait: onExceeded === "fail" ? 0 : maxWait ?? Infinity,
    longestHint: longestHint ?? Duration.toMillis(defaults.longestHint)
  }
}

const spokenLimit = (limit: number, what: string): string =>
  limit === Infinity ? `any number of ${what}` : `${limit} ${what}`

export const describeSettings = ({ limits, maxWait }: Settings): string => {
  const wait = maxWait === 0
    ? "fails when exceeded"
    : maxWait === Infinity
    ? "waits as long as it takes"
    : `waits at most ${words(maxWait)}`
  return `${spokenLimit(limits.requestsPerMinute, "requests")} and ${spokenLimit(limits.tokensPerMinute, "tokens")} ` +
    `a minute, burst ${limits.burst}, ${wait}`
}
