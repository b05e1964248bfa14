/** Durations: any `DurationInput` in code, in a file a text with its unit such as `"500 millis"`. */
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import { type Form, type JsonSchema, make, type Mode } from "./description.ts"

/** Milliseconds of the units from a millisecond on, the longest first. */
const units = { week: 604_800_000, day: 86_400_000, hour: 3_600_000, minute: 60_000, second: 1_000, milli: 1 } as const

/** How many of the units below a millisecond make one. */
const fractions = { micro: 1_000, nano: 1_000_000 } as const

const unitNames = [...Object.keys(units), ...Object.keys(fractions)].join("|")
const spelling = `\\d+(\\.\\d+)? +(${unitNames})s?`
const grammar = new RegExp(`^(\\d+(?:\\.\\d+)?) +(${unitNames})s?$`)

/** Longer than any wait that makes sense, and far from where milliseconds lose precision. */
const longestMillis = 36_500 * units.day

/** What most fields allow. */
export const allowedDuration = "a duration above zero, at most 36500 days, written like \"500 millis\" or \"8 seconds\""

/** A text such as `"500 millis"` in its parts. */
const parts = (text: string): { readonly count: string; readonly unit: string } | undefined => {
  const [, count, unit] = grammar.exec(text.trim()) ?? []
  return count === undefined || unit === undefined ? undefined : { count, unit }
}

const isFraction = (unit: string): unit is keyof typeof fractions => unit in fractions
const isUnit = (unit: string): unit is keyof typeof units => unit in units

const nanosOf = { micro: 1_000, nano: 1 } as const

/** The duration of a text such as `"500 millis"` or `"1 nano"`; `undefined` for any other text. */
export const parseDuration = (text: string): Duration.Duration | undefined => {
  const found = parts(text)
  if (found === undefined) return undefined
  const { count, unit } = found
  if (isUnit(unit)) return Duration.millis(Number(count) * units[unit])
  if (!isFraction(unit)) return undefined
  return count.includes(".")
    ? Duration.nanos(BigInt(Math.round(Number(count) * nanosOf[unit])))
    : Duration.nanos(BigInt(count) * BigInt(nanosOf[unit]))
}

/** Milliseconds of such a text, exact to the last digit that a number holds. */
export const parseMillis = (text: string): number | undefined => {
  const found = parts(text)
  if (found === undefined) return undefined
  const { count, unit } = found
  return isUnit(unit) ? Number(count) * units[unit] : isFraction(unit) ? Number(count) / fractions[unit] : undefined
}

const plural = (count: string | bigint, unit: string): string => `${count} ${unit}${String(count) === "1" ? "" : "s"}`

/** A number without an exponent: `1e-7` is `"0.0000001"`, which the grammar above reads as the same number. */
const decimal = (value: number): string => {
  const [digits = "", exponent] = String(value).split("e-")
  if (exponent === undefined) return digits
  return `0.${"0".repeat(Number(exponent) - 1)}${digits.replace(".", "")}`
}

/** The shortest text that reads back as the same number of milliseconds. Weeks are said in days. */
export const formatMillis = (millis: number): string => {
  if (millis === Infinity) return "Infinity"
  const unit =
    (["day", "hour", "minute", "second"] as const).find((name) =>
      millis >= units[name] && millis % units[name] === 0
    ) ?? "milli"
  return plural(decimal(millis / units[unit]), unit)
}

/** The text that reads back as the same duration: `"8 seconds"`, `"1500 millis"`, `"1 nano"`, `"Infinity"`. */
export const formatDuration = (duration: Duration.Duration): string =>
  Duration.match(duration, {
    onMillis: formatMillis,
    onNanos: (nanos) => {
      if (nanos % 1_000_000n === 0n) return formatMillis(Number(nanos / 1_000_000n))
      return nanos % 1_000n === 0n ? plural(nanos / 1_000n, "micro") : plural(nanos, "nano")
    }
  })

const isDurationInput = (value: unknown): value is Duration.DurationInput =>
  Option.isSome(Duration.decodeUnknown(value))

/** `Duration` reads a negative number and `NaN` as zero, also as the seconds and nanoseconds of a pair. */
const isBelowZero = (value: unknown): boolean =>
  typeof value === "bigint"
    ? value < 0n
    : typeof value === "number"
    ? !(value >= 0)
    : Array.isArray(value) && value.some((each) => !(typeof each === "number" && each >= 0))

/** Any spelling of code as a duration; `undefined` for what is none, for a negative one and for `NaN`. */
const fromInput = (value: unknown): Duration.Duration | undefined =>
  typeof value === "string"
    ? value === "Infinity" ? Duration.infinity : parseDuration(value)
    : isBelowZero(value) || !isDurationInput(value)
    ? undefined
    : Duration.decode(value)

/** Effect tells a whole number of milliseconds in nanoseconds from the same in milliseconds; read, both are the latter. */
const canonical = (duration: Duration.Duration): Duration.Duration =>
  Duration.match(duration, {
    onMillis: () => duration,
    onNanos: (nanos) => nanos % 1_000_000n === 0n ? Duration.millis(Number(nanos / 1_000_000n)) : duration
  })

export interface DurationRange {
  /** Default: `"above zero"`. */
  readonly from?: "above zero" | "zero" | undefined
  /** Default: `"36500 days"`; `"Infinity"` allows a duration without end. */
  readonly to?: "36500 days" | "Infinity" | undefined
  /** The shortest that is allowed, instead of `from`. */
  readonly min?: Duration.DurationInput | undefined
  /** The longest that is allowed, instead of `to`. */
  readonly max?: Duration.DurationInput | undefined
  /** What the user is told. */
  readonly allowed?: string | undefined
}

const defaultAllowed = ({ from, max, min, to }: DurationRange): string => {
  if (min !== undefined && max !== undefined) {
    return `a duration from "${formatDuration(Duration.decode(min))}" to "${formatDuration(Duration.decode(max))}"`
  }
  return from === "zero"
    ? "a duration, 0 or more, written like \"500 millis\" or \"8 seconds\""
    : to === "Infinity"
    ? "a duration above zero, written like \"500 millis\" or \"8 seconds\", or \"Infinity\""
    : allowedDuration
}

const examples = ["500 millis", "8 seconds", "1 minute"]

/** What JSON Schema can say of it: the spelling and whether it may be zero, not the length. */
const jsonSchemaOf = ({ from = "above zero", min, to }: DurationRange): JsonSchema => {
  const mayBeZero = from === "zero" && min === undefined
  const text = {
    type: "string",
    pattern: mayBeZero ? `^\\s*${spelling}\\s*$` : `^(?=.*[1-9])\\s*${spelling}\\s*$`,
    description: mayBeZero
      ? "a duration, written like \"500 millis\"; \"0 seconds\" is at once"
      : "a duration above zero, written like \"500 millis\" or \"8 seconds\"",
    examples
  }
  return to === "Infinity" ? { anyOf: [text, { const: "Infinity" }] } : text
}

const lengthTest = ({ from = "above zero", max, min, to }: DurationRange): (millis: number) => boolean => {
  const shortest = min === undefined ? 0 : Duration.toMillis(min)
  const longest = max === undefined ? to === "Infinity" ? Infinity : longestMillis : Duration.toMillis(max)
  const mayBeShortest = min !== undefined || from === "zero"
  return (millis) => (mayBeShortest ? millis >= shortest : millis > shortest) && millis <= longest
}

const leafOf = <Read>(
  range: DurationRange,
  toMillis: (read: Read) => number,
  fromText: (text: string) => Read | undefined,
  fromCode: (duration: Duration.Duration) => Read,
  format: (read: Read) => string
): Form<Read, Duration.DurationInput, "required"> => {
  const isAllowed = lengthTest(range)
  const parse = (value: unknown, mode: Mode): Read | undefined => {
    if (typeof value === "string" && value !== "Infinity") return fromText(value)
    if (mode === "file" && value !== "Infinity") return undefined
    const duration = fromInput(value)
    return duration === undefined ? undefined : fromCode(duration)
  }
  const leaf = make<Read, Duration.DurationInput>({
    kind: "leaf",
    allowed: range.allowed ?? defaultAllowed(range),
    jsonSchema: jsonSchemaOf(range),
    decode: (value, mode) =>
      Option.filter(Option.fromNullable(parse(value, mode)), (read) => isAllowed(toMillis(read))),
    encode: format
  })
  const isUsual = (range.from ?? "above zero") === "above zero" && range.to !== "Infinity"
  return isUsual ? make({ kind: "named", name: "duration", inner: () => leaf.node, depth: undefined }) : leaf
}

/** A duration. In code any `DurationInput`, where a number is milliseconds; in a file a text with its unit. */
export const duration = (range: DurationRange = {}): Form<Duration.Duration, Duration.DurationInput, "required"> =>
  leafOf(
    range,
    Duration.toMillis,
    (text) => {
      const read = parseDuration(text)
      return read === undefined ? undefined : canonical(read)
    },
    canonical,
    formatDuration
  )

/** A duration as a number of milliseconds, which kernels reckon with. */
export const millis = (range: DurationRange = {}): Form<number, Duration.DurationInput, "required"> =>
  leafOf(range, (read) => read, parseMillis, Duration.toMillis, formatMillis)

/** Whether code gives a duration here, right or wrong: a text, a number, or a `Duration`. Told from an object. */
export const looksLikeDuration = (value: unknown): boolean =>
  typeof value === "string" || typeof value === "number" || typeof value === "bigint" || Array.isArray(value) ||
  Duration.isDuration(value)
