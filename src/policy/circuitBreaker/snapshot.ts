/** A circuit's snapshot, read from JSON. */
import {
  at,
  fields,
  integer,
  list,
  number,
  oneOf,
  optional,
  type Reader,
  type Report,
  required,
  where
} from "../../internal/reader.ts"
import { definedFields, isRecord } from "../../internal/record.ts"
import { excerpt } from "../../internal/redact.ts"
import type { Written } from "../shared/trippingRule.ts"
import { openedByLength } from "./cell.ts"
import { mostOpenings, type OpenedBy, type Snapshot } from "./kernel.ts"

type Held = Written[number]

const count = integer(0, Number.MAX_SAFE_INTEGER, "a whole number, 0 or more")
const openings = integer(0, mostOpenings * mostOpenings, `a whole number from 0 to ${mostOpenings * mostOpenings}`)
const millis = number(0, 3_153_600_000_000, "milliseconds from 0 to 3153600000000")
const calls = where(
  (value): value is string => typeof value === "string" && /^[01]*$/.test(value) && value.length <= 100_000,
  "a text of at most 100000 characters, each 0 or 1"
)

/** A list that may be empty: nothing has been counted yet. */
const each = <A extends object>(read: Reader<A>): Reader<ReadonlyArray<A>> => (value, path, report) =>
  Array.isArray(value) && value.length === 0 ? [] : list(read, "a list of objects")(value, path, report)

const readBucket: Reader<{ readonly age: number; readonly calls: number; readonly bad: number }> = (
  value,
  path,
  report
) => {
  const record = fields(value, path, ["age", "calls", "bad"], report, "an object with age, calls and bad")
  if (record === undefined) return undefined
  const age = required(record, "age", path, millis, report)
  const all = required(record, "calls", path, count, report)
  const bad = required(record, "bad", path, count, report)
  if (age === undefined || all === undefined || bad === undefined) return undefined
  if (bad > all) report.problems.push({ path: at(path, "bad"), found: bad, allowed: `at most calls, which is ${all}` })
  return { age, calls: all, bad }
}

const readHeld: Reader<Held> = (value, path, report) => {
  const names = ["failures", "last", "buckets"] as const
  const name = isRecord(value) ? names.find((one) => one in value) : undefined
  const record = fields(
    value,
    path,
    name === undefined ? names : [name],
    report,
    `an object with one of ${names.join(", ")}`
  )
  if (record === undefined) return undefined
  switch (name) {
    case "failures": {
      const failures = required(record, "failures", path, count, report)
      return failures === undefined ? undefined : { failures }
    }
    case "last": {
      const last = required(record, "last", path, calls, report)
      return last === undefined ? undefined : { last }
    }
    case "buckets": {
      const buckets = required(record, "buckets", path, each(readBucket), report)
      return buckets === undefined ? undefined : { buckets }
    }
    case undefined:
      report.problems.push({ path, found: value, allowed: `an object with one of ${names.join(", ")}` })
      return undefined
  }
}

/** Redacted again: who has written the snapshot is not known. */
const readOpenedBy: Reader<OpenedBy> = (value, path, report) => {
  const record = fields(value, path, ["tag", "message"], report, "an object with tag and message")
  if (record === undefined) return undefined
  const tag = required(record, "tag", path, anyText, report)
  const message = required(record, "message", path, anyText, report)
  return tag === undefined || message === undefined
    ? undefined
    : { tag: excerpt(tag, openedByLength), message: excerpt(message, openedByLength) }
}

const readState = oneOf("Closed", "Open", "HalfOpen", "Isolated", "Disabled")
const fieldsOf = {
  Closed: ["state", "counts"],
  Open: ["state", "remainingMillis", "openings", "openedBy"],
  HalfOpen: ["state", "openings", "successes", "openedBy"],
  Isolated: ["state"],
  Disabled: ["state"]
} as const
const anyText = where((value): value is string => typeof value === "string", "a text")
const whatSnapshotIs = "what CircuitBreaker.snapshot gave"

/** Reads what `CircuitBreaker.snapshot` gave, after it went through JSON. */
export const readSnapshot: Reader<Snapshot> = (value, path, report: Report) => {
  if (!isRecord(value)) {
    report.problems.push({ path, found: value, allowed: whatSnapshotIs })
    return undefined
  }
  const state = required(value, "state", path, readState, report)
  if (state === undefined) return undefined
  fields(value, path, fieldsOf[state], report, whatSnapshotIs)
  switch (state) {
    case "Closed": {
      const counts = required(value, "counts", path, each(readHeld), report)
      return counts === undefined ? undefined : { state, counts }
    }
    case "Open": {
      const remainingMillis = required(value, "remainingMillis", path, millis, report)
      const opened = required(value, "openings", path, openings, report)
      const openedBy = optional(value, "openedBy", path, readOpenedBy, report)
      return remainingMillis === undefined || opened === undefined
        ? undefined
        : { state, remainingMillis, openings: opened, ...definedFields({ openedBy }) }
    }
    case "HalfOpen": {
      const opened = required(value, "openings", path, openings, report)
      const openedBy = optional(value, "openedBy", path, readOpenedBy, report)
      const successes = required(value, "successes", path, count, report)
      return opened === undefined || successes === undefined
        ? undefined
        : { state, openings: opened, successes, ...definedFields({ openedBy }) }
    }
    case "Isolated":
    case "Disabled":
      return { state }
  }
}
