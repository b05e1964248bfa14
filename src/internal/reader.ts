/**
 * Reads options that somebody wrote (in code or in a file) and collects everything that is wrong with them, so that one
 * error can tell it all. A reader returns its best value or `undefined`; what is wrong goes into the report.
 */
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import { isRecord } from "./record.ts"

export interface Problem {
  readonly path: string
  readonly found: unknown
  readonly allowed: string
}

export interface Report {
  readonly problems: Array<Problem>
}

export type Reader<A> = (value: unknown, path: string, report: Report) => A | undefined

export const at = (path: string, name: string | number): string => path === "" ? String(name) : `${path}.${name}`

const refuse = (report: Report, path: string, found: unknown, allowed: string): undefined => {
  report.problems.push({ path, found, allowed })
  return undefined
}

export const isFunction = (value: unknown): value is (...args: ReadonlyArray<unknown>) => unknown =>
  typeof value === "function"

/** A value that passes a test; `allowed` says which. */
export const where = <A>(is: (value: unknown) => value is A, allowed: string): Reader<A> => (value, path, report) =>
  is(value) ? value : refuse(report, path, value, allowed)

export const oneOf = <const A extends ReadonlyArray<string>>(...all: A): Reader<A[number]> =>
  where(
    (value): value is A[number] => typeof value === "string" && all.includes(value),
    `one of ${all.map((each) => `"${each}"`).join(", ")}`
  )

/** A number within a range, both ends included. */
export const number = (min: number, max: number, allowed: string): Reader<number> =>
  where((value): value is number => typeof value === "number" && value >= min && value <= max, allowed)

export const integer = (min: number, max: number, allowed: string): Reader<number> =>
  where(
    (value): value is number => Number.isSafeInteger(value) && Number(value) >= min && Number(value) <= max,
    allowed
  )

export const text: Reader<string> = where(
  (value): value is string => typeof value === "string" && value.trim() !== "",
  "a text that is not empty"
)

/** Who judges errors in place of their own verdicts. */
export const judge = where(isFunction, "a function from an error to a verdict")

const units: Readonly<Record<string, number>> = {
  milli: 1,
  second: 1_000,
  minute: 60_000,
  hour: 3_600_000,
  day: 86_400_000,
  week: 604_800_000
}

const durationText = /^(\d+(?:\.\d+)?) (milli|second|minute|hour|day|week)s?$/

/** Longer than any wait that makes sense, and far from where milliseconds lose precision. */
const longestDuration = 3_153_600_000_000

export const allowedDuration = "a duration above zero, at most 36500 days, written like \"500 millis\" or \"8 seconds\""

/** Milliseconds of a text such as "500 millis"; `undefined` for anything else. */
export const parseDuration = (value: unknown): number | undefined => {
  const match = typeof value === "string" ? durationText.exec(value.trim()) : null
  return match === null ? undefined : Number(match[1]) * (units[match[2] ?? ""] ?? NaN)
}

export const isAllowedDuration = (millis: number): boolean => millis > 0 && millis <= longestDuration

/** A positive duration written as text; a bare number is refused because it does not say its unit. */
export const duration = (allowed = allowedDuration): Reader<number> => (value, path, report) => {
  const millis = parseDuration(value)
  return millis !== undefined && isAllowedDuration(millis) ? millis : refuse(report, path, value, allowed)
}

const isDurationInput = (value: unknown): value is Duration.DurationInput =>
  Option.isSome(Duration.decodeUnknown(value))

/** Any `DurationInput` above zero and finite, as milliseconds. A number is milliseconds, as everywhere in Effect. */
export const durationInput = (allowed = allowedDuration): Reader<number> => (value, path, report) => {
  const millis = isDurationInput(value) ? Duration.toMillis(value) : NaN
  return isAllowedDuration(millis)
    ? millis
    : refuse(report, path, Duration.isDuration(value) ? Duration.format(value) : value, allowed)
}

/** A number without an exponent, which the spelling of a duration does not have: `1e-7` is `"0.0000001"`. */
const decimal = (value: number): string => {
  const [digits = "", exponent] = String(value).split("e-")
  return exponent === undefined ? digits : `0.${"0".repeat(Number(exponent) - 1)}${digits.replace(".", "")}`
}

/** The shortest text that reads back as the same number of milliseconds. */
export const formatDuration = (millis: number): string => {
  const unit = ["day", "hour", "minute", "second"].find((name) => {
    const size = units[name] ?? 1
    return millis >= size && millis % size === 0
  }) ?? "milli"
  const count = millis / (units[unit] ?? 1)
  return `${decimal(count)} ${unit}${count === 1 ? "" : "s"}`
}

/** An object; refuses fields that nobody reads, and names those that exist. */
export const fields = (
  value: unknown,
  path: string,
  known: ReadonlyArray<string>,
  report: Report,
  what: string
): Readonly<Record<string, unknown>> | undefined => {
  if (!isRecord(value)) return refuse(report, path, value, what)
  for (const name of Object.keys(value)) {
    if (!known.includes(name)) {
      refuse(report, at(path, name), value[name], `no such field here; there are ${known.join(", ")}`)
    }
  }
  return value
}

/** A field that must be there. */
export const required = <A>(
  record: Readonly<Record<string, unknown>>,
  name: string,
  path: string,
  read: Reader<A>,
  report: Report
): A | undefined => read(record[name], at(path, name), report)

/** A field that may be left out. */
export const optional = <A>(
  record: Readonly<Record<string, unknown>>,
  name: string,
  path: string,
  read: Reader<A>,
  report: Report
): A | undefined => record[name] === undefined ? undefined : read(record[name], at(path, name), report)

/** A list that is not empty, each element read at its own path. */
export const list = <A>(read: Reader<A>, allowed: string): Reader<ReadonlyArray<A>> => (value, path, report) => {
  if (!Array.isArray(value) || value.length === 0) return refuse(report, path, value, allowed)
  const all = value.map((each, i) => read(each, at(path, i), report))
  return all.every((each): each is A & {} => each !== undefined && each !== null) ? all : undefined
}
