/** The sections of a policy file as data: durations are text in it, however code may spell them. */
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import { found, type InvalidOptions } from "../../error/InvalidOptions.ts"
import { allowedDuration, formatDuration, isFunction, parseDuration } from "../../internal/reader.ts"
import { isRecord } from "../../internal/record.ts"
import * as RetryPolicy from "../RetryPolicy.ts"
import * as Tripping from "../Tripping.ts"

/** Where the sections hold durations. Retries and tripping rules have a spelling as JSON of their own. */
const durations: ReadonlyArray<ReadonlyArray<string>> = [
  ["retryBudget", "deposits", "ttl"],
  ["adaptiveRetry", "window"],
  ["adaptiveRetry", "cap"],
  ["hedge", "delay"],
  ["hedge", "delay", "initial"],
  ["circuitBreaker", "openFor"],
  ["circuitBreaker", "longestHint"],
  ["circuitBreaker", "probeLimit"],
  ["rateLimiter", "maxWait"],
  ["rateLimiter", "longestHint"],
  ["concurrencyLimit", "strategy", "timeout"],
  ["concurrencyLimit", "queueTimeout"],
  ["concurrencyLimit", "priorityAgeing"],
  ["bulkhead", "queueTimeout"],
  ["bulkhead", "priorityAgeing"]
]

const read = (value: unknown, path: ReadonlyArray<string>): unknown =>
  path.reduce<unknown>((part, name) => isRecord(part) && !Duration.isDuration(part) ? part[name] : undefined, value)

/** `"Infinity"` is a hedge that waits for failures only. */
const isText = (value: unknown): boolean => parseDuration(value) !== undefined || value === "Infinity"

const judging = ["adaptiveRetry", "hedge", "circuitBreaker", "rateLimiter", "concurrencyLimit"]

/** What code may say and a file may not: a duration as a number, which would not say its unit, and a function. */
export const notText = (file: unknown): InvalidOptions["issues"] => [
  ...durations.flatMap((path) => {
    const value = read(file, path)
    return value === undefined || isRecord(value) || isText(value)
      ? []
      : [{ path: path.join("."), found: found(value), allowed: allowedDuration }]
  }),
  ...judging.flatMap((section) => {
    const value = read(file, [section, "verdict"])
    return value === undefined
      ? []
      : [{ path: `${section}.verdict`, found: found(value), allowed: "nothing in a file: only code can judge errors" }]
  })
]

const asText = (value: unknown): unknown =>
  isText(value)
    ? value
    : Option.match(Duration.decodeUnknown(value), {
      onNone: () => value,
      onSome: (duration) => Duration.isFinite(duration) ? formatDuration(Duration.toMillis(duration)) : "Infinity"
    })

const isDuration = (path: ReadonlyArray<string>): boolean =>
  durations.some((known) => known.length === path.length && known.every((name, i) => name === path[i]))

/** A section as JSON. */
export const plain = (value: unknown, path: ReadonlyArray<string>): unknown => {
  if (RetryPolicy.isRetryPolicy(value)) return RetryPolicy.encode(value)
  if (Tripping.isTripping(value)) return Tripping.encode(value)
  if (isDuration(path) && (!isRecord(value) || Duration.isDuration(value))) return asText(value)
  if (Array.isArray(value)) return value.map((each, i) => plain(each, [...path, String(i)]))
  return isRecord(value)
    ? Object.fromEntries(
      Object.entries(value).filter(([, field]) => field !== undefined && !isFunction(field))
        .map(([name, field]) => [name, plain(field, [...path, name])])
    )
    : value
}
