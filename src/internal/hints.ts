/**
 * Reads how long a provider asks us to wait, in whole milliseconds, from every spelling that was seen in practice. A text
 * in no known spelling gives `undefined`, which means "no hint"; it never gives zero.
 *
 * Parts of a millisecond are rounded to the nearest one: `1m0.363142857s` is 60363 ms and `6.780999999s` is 6781 ms.
 */

/** Reply headers as clients hand them over: any case, single or repeated. */
export type Headers = Readonly<Record<string, string | ReadonlyArray<string> | undefined>>

const second = 1_000
const minute = 60 * second
const hour = 60 * minute
const day = 24 * hour

/** Ten years. A longer wait cannot be meant, so it is no hint; a wait of a year still is one. */
export const longestHint = 3_650 * day

/** A wait in whole milliseconds, or nothing where it cannot be meant. */
const plausibleWait = (millis: number): number | undefined =>
  Number.isFinite(millis) && millis >= 0 && millis <= longestHint ? Math.round(millis) : undefined

/** RFC 9110 digits, with the decimals some providers add. No sign, exponent or hexadecimal, which `Number` would take. */
const decimal = (text: string): number | undefined => {
  const trimmed = text.trim()
  return /^(?:\d+(?:\.\d*)?|\.\d+)$/.test(trimmed) ? Number(trimmed) : undefined
}

/** The text of a header; repeated ones are joined as HTTP joins them. What is no text, which types forbid, says nothing. */
export const valueOf = (value: unknown): string | undefined => {
  if (typeof value === "string") return value
  const texts = Array.isArray(value) ? value.filter((each) => typeof each === "string") : []
  return texts.length === 0 ? undefined : texts.join(", ")
}

/** The value of a header whatever its case. */
export const header = (headers: Headers, name: string): string | undefined => {
  for (const key of Object.keys(headers)) {
    // Most keys differ in length already, which is quicker to see.
    if (key.length !== name.length || key.toLowerCase() !== name) continue
    const value = valueOf(headers[key])
    if (value !== undefined) return value
  }
  return undefined
}

// Durations -----------------------------------------------------------------------------------------------------------

const units: ReadonlyArray<readonly [RegExp, number]> = [
  [/^(?:ns|nanos(?:econds?)?)$/, 1e-6],
  [/^(?:us|µs|μs|micros(?:econds?)?)$/, 1e-3],
  [/^(?:ms|msecs?|millis(?:econds?)?)$/, 1],
  [/^(?:s|secs?|seconds?)$/, second],
  [/^(?:m|mins?|minutes?)$/, minute],
  [/^(?:h|hrs?|hours?)$/, hour],
  [/^(?:d|days?)$/, day],
  [/^(?:w|wks?|weeks?)$/, 7 * day]
]

const unitMillis = (word: string): number | undefined => {
  const lower = word.toLowerCase()
  return units.find(([pattern]) => pattern.test(lower))?.[1]
}

const term = /(\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d*)?|\.\d+|\b(?:an?|one)(?=\s))\s*([a-zµμ]+)/iy
const joint = /\s{0,8}(?:(?:,|\band\b)\s{0,8})?(?=[\d.])/iy
/** `00:01:30` and .NET's `1.02:30:00`, a day and two and a half hours. */
const clockTerm = /(?:(\d{1,4})\.)?(\d{1,2}):([0-5]\d):([0-5]\d(?:\.\d+)?)(?![\d:])/y

const amount = (digits: string): number => /^[a-z]/i.test(digits) ? 1 : Number(digits.replace(/,/g, ""))

/** Reads `1m47.5854s`, `4h43m36.314s`, `34.4s`, `10 hours and 58 minutes`, `an hour`, `00:01:30` from a position on. */
const readDurationAt = (text: string, from: number): { readonly millis: number; readonly end: number } | undefined => {
  clockTerm.lastIndex = from
  const clockParts = clockTerm.exec(text)
  if (clockParts !== null) {
    const [days = 0, hours = 0, minutes = 0, seconds = 0] = clockParts.slice(1).map((part) => Number(part ?? 0))
    return { millis: days * day + hours * hour + minutes * minute + seconds * second, end: clockTerm.lastIndex }
  }
  let millis = 0
  let end = from
  let start = from
  for (;;) {
    term.lastIndex = start
    const match = term.exec(text)
    const unit = match === null ? undefined : unitMillis(match[2] ?? "")
    if (match === null || unit === undefined) break
    millis += amount(match[1] ?? "") * unit
    end = term.lastIndex
    joint.lastIndex = end
    if (joint.exec(text) === null) break
    start = joint.lastIndex
  }
  return end === from ? undefined : { millis, end }
}

/** A Go or protobuf duration, or the same in words. The whole text must be one. */
export const duration = (text: string): number | undefined => {
  const trimmed = text.trim()
  const read = readDurationAt(trimmed, 0)
  return read !== undefined && read.end === trimmed.length ? plausibleWait(read.millis) : undefined
}

// Instants ------------------------------------------------------------------------------------------------------------

const months = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
const monthDays = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]

/** Milliseconds since the epoch of a UTC wall time that exists, or nothing. */
const epochMillis = (year: number, month: number, date: number, clock: string, fraction = "0"): number | undefined => {
  const [hours = NaN, minutes = NaN, seconds = 0] = clock.split(":").map(Number)
  const leap = month === 1 && (year % 400 === 0 || (year % 4 === 0 && year % 100 !== 0)) ? 1 : 0
  const days = (monthDays[month] ?? 0) + leap
  if (!(date >= 1 && date <= days && hours <= 23 && minutes <= 59 && seconds <= 60)) return undefined
  return Math.round(Date.UTC(year, month, date, hours, minutes, seconds) + Number(`0.${fraction}`) * second)
}

/** RFC 9110 section 5.6.7: a two-digit year more than 50 years ahead means the past century. */
const fullYear = (digits: string, now: number | undefined): number => {
  const year = Number(digits)
  if (digits.length === 4) return year
  const current = now === undefined ? 2026 : 1970 + Math.floor(now / (365.2425 * day))
  return 2000 + year > current + 50 ? 1900 + year : 2000 + year
}

// The three forms a recipient must take: IMF-fixdate, RFC 850 and asctime (which is UTC although it does not say so).
const dayMonthYear =
  /^(?:[a-z]{3,9}\s*,\s*)?(\d{1,2})[ -]([a-z]{3})[ -](\d{4}|\d{2})\s+(\d{2}:\d{2}:\d{2})\s*(?:GMT|UTC|Z|[+-]00:?00)/i
const asctime = /^[a-z]{3}\s+([a-z]{3})\s+(\d{1,2})\s+(\d{2}:\d{2}:\d{2})\s+(\d{4})/i
const iso =
  /^(\d{4})[-/](\d{2})[-/](\d{2})(?:[T ]|\s+at\s+)(\d{2}:\d{2}(?::\d{2})?)(?:\.(\d+))?\s{0,3}\(?(?:(?:UTC|GMT)?([+-])(\d{1,2})(?::?(\d{2}))?|(Z|UTC|GMT)|(Beijing|北京))?(?:\s?(?:time|时间))?\)?/i

/** The milliseconds that a zone is ahead of UTC. A time without a zone is in the vendor's zone, which is not known. */
const zoneOffset = (match: RegExpExecArray): number | undefined => {
  const [, , , , , , sign, hours, minutes = "0", utcName, beijing] = match
  if (sign !== undefined) return (sign === "-" ? -1 : 1) * (Number(hours) * 60 + Number(minutes)) * minute
  return utcName !== undefined ? 0 : beijing !== undefined ? 8 * hour : undefined
}

const readInstantAt = (
  text: string,
  now: number | undefined
): { readonly at: number; readonly end: number } | undefined => {
  const web = dayMonthYear.exec(text)
  const old = web === null ? asctime.exec(text) : null
  const net = web === null && old === null ? iso.exec(text) : null
  const end = (web ?? old ?? net)?.[0].length ?? 0
  let at: number | undefined
  if (web !== null) {
    at = epochMillis(
      fullYear(web[3] ?? "", now),
      months.indexOf((web[2] ?? "").toLowerCase()),
      Number(web[1]),
      web[4] ?? ""
    )
  } else if (old !== null) {
    at = epochMillis(Number(old[4]), months.indexOf((old[1] ?? "").toLowerCase()), Number(old[2]), old[3] ?? "")
  } else if (net !== null) {
    const wall = epochMillis(Number(net[1]), Number(net[2]) - 1, Number(net[3]), net[4] ?? "", net[5])
    const offset = zoneOffset(net)
    at = wall === undefined || offset === undefined ? undefined : wall - offset
  }
  return at === undefined ? undefined : { at, end }
}

/** An HTTP date in any of its three forms, or an RFC 3339 instant, as epoch milliseconds. */
export const instant = (text: string, now?: number): number | undefined => {
  const trimmed = text.trim()
  const read = readInstantAt(trimmed, now)
  return read !== undefined && read.end === trimmed.length ? read.at : undefined
}

const until = (at: number, now: number | undefined): number | undefined =>
  now === undefined ? undefined : plausibleWait(Math.max(0, at - now))

// Retry-After ---------------------------------------------------------------------------------------------------------

/** A header beyond this length holds more than waits. */
const longestHeader = 1_024

/**
 * `Retry-After`: delay-seconds (decimals allowed), an HTTP date, an ISO instant, a Go duration, `<date>, <seconds>` (the
 * seconds win) or repeated values (the longest wins). A date in the past means "now". Without `now` a date says nothing.
 */
export const retryAfter = (value: string, now: number | undefined): number | undefined => {
  if (value.length > longestHeader) return undefined
  const trimmed = value.trim()
  const date = readInstantAt(trimmed, now)
  if (date !== undefined) {
    const afterDate = trimmed.slice(date.end).trim()
    if (afterDate === "") return until(date.at, now)
    if (!afterDate.startsWith(",")) return undefined
    return retryAfter(afterDate.slice(1), now) ?? until(date.at, now)
  }
  const waits = trimmed.split(",").map((part) => {
    const seconds = decimal(part)
    return seconds === undefined ? duration(part) : plausibleWait(seconds * second)
  })
  let longest: number | undefined
  for (const each of waits) {
    if (each === undefined) return undefined
    longest = Math.max(longest ?? 0, each)
  }
  return longest
}

/** A header that counts milliseconds. */
const milliseconds = (value: string | undefined): number | undefined => {
  const millis = value === undefined ? undefined : decimal(value)
  return millis === undefined ? undefined : plausibleWait(millis)
}

/**
 * The time that the dates of a reply are compared with: its own `date` header, else the caller's clock. Both dates of a
 * reply come from one clock, so a wrong clock of the caller does no harm.
 */
export const replyClock = (headers: Headers, now: number | undefined): number | undefined => {
  const date = header(headers, "date")
  const own = date === undefined ? undefined : instant(date, now)
  return own ?? (now !== undefined && Number.isFinite(now) ? now : undefined)
}

/** The wait the reply's headers ask for: `retry-after-ms`, `x-ms-retry-after-ms`, `retry-after`, `x-amz-retry-after`. */
export const fromHeaders = (headers: Headers, now?: number): number | undefined => {
  const retryAfterHeader = header(headers, "retry-after")
  return milliseconds(header(headers, "retry-after-ms")) ??
    milliseconds(header(headers, "x-ms-retry-after-ms")) ??
    (retryAfterHeader === undefined ? undefined : retryAfter(retryAfterHeader, replyClock(headers, now))) ??
    milliseconds(header(headers, "x-amz-retry-after"))
}

// Prose ---------------------------------------------------------------------------------------------------------------

// Blanks and words are bounded: with several of them behind each other, 3 000 blanks took 13 s.
const cue =
  /\b(?:(?:try(?:ing)?(?:\s{1,8}\w{1,24}){0,5}?|retry(?:ing)?(?:\s{1,8}\w{1,24}){0,4}?|resets?|refills?|recovers?|replenished|renewed|allowed|available(?:\s{1,8}again)?)\s{1,8}(?:in|after|within)|retry[-_ ]?after|retry[-_ ]?delay|(?:wait(?:ing)?|back(?:ing)?[- ]?off|cool(?:ing)?[- ]?down)(?:\s{1,8}for)?(?:\s{1,8}your\s{1,8}limit\s{1,8}to\s{1,8}reset\s{1,8}in)?)["':=\s]{0,16}(?:(?:at\s{1,8}least|about|approximately|around|another|~)\s{0,8})?(?=[\d.]|(?:an?|one)\s{1,8}(?:min|hour|sec|day))/gi
const resetCue =
  /\b(?:(?:try|retry|resets?|regain\s{1,8}access|available|renews?|refills?)(?:\s{1,8}\w{1,24}){0,2}?(?:\s{0,8}\b(?:at|on|after|until)\b)?)\s{0,8}(?::\s{0,8})?(?=(?:\d{4}-\d{2}-\d{2}|[a-z]{3},?\s))/gi

/**
 * The wait in a text: "Please try again in 6m0s", "retry after 86400 seconds", "Please wait 4311 seconds",
 * "reset after 0s". A number without a unit counts only after "retry after", and is seconds. The longest wins.
 */
export const fromProse = (text: string, now?: number): number | undefined => {
  let longest: number | undefined
  const take = (millis: number | undefined): void => {
    if (millis !== undefined) longest = Math.max(longest ?? 0, millis)
  }
  for (const match of text.matchAll(cue)) {
    const from = match.index + match[0].length
    const read = readDurationAt(text, from)
    if (read !== undefined) {
      take(plausibleWait(read.millis))
    } else if (/after/i.test(match[0])) {
      const bare = /^(\d+(?:\.\d+)?)(?=\s*(?:$|[,;)}\]"']|\.(?:\s|$)))/.exec(text.slice(from, from + 40))
      if (bare !== null) take(plausibleWait(Number(bare[1]) * second))
    }
  }
  if (longest !== undefined) return longest
  const at = instantFromProse(text, now)
  return at === undefined ? undefined : until(at, now)
}

/** The instant in a text: "Limit resets at: 2026-03-17 17:38:24 UTC", "You will regain access on 2026-05-01 at 00:00 UTC". */
export const instantFromProse = (text: string, now?: number): number | undefined => {
  for (const match of text.matchAll(resetCue)) {
    const from = match.index + match[0].length
    const read = readInstantAt(text.slice(from, from + 48), now)
    if (read !== undefined) return read.at
  }
  return undefined
}

// Reset headers -------------------------------------------------------------------------------------------------------

/** Which limit an error says is exhausted: `tokens`, `requests`, or the whole limit. */
export interface Exhausted {
  /** The error is a rate limit, so that a limit without dimensions (`x-ratelimit-reset`) is the exhausted one. */
  readonly limited: boolean
  readonly dimension?: "tokens" | "requests" | undefined
}

interface Dimension {
  reset?: string
  remaining?: number
  status?: string
}

const resetName = /^(?:x-)?ratelimit-(reset|remaining|status)(?:-(.+))?$/
const vendorName = /^([a-z]+)-ratelimit-(.+)-(reset|remaining|status)$/

const untilInstant = (value: string, now: number | undefined): number | undefined => {
  const at = instant(value, now)
  return at === undefined ? undefined : until(at, now)
}

/** A reset header's value: Go duration, RFC 3339, unix milliseconds or seconds, or plain seconds; `0` and `-1` say nothing. */
export const resetValue = (value: string, now: number | undefined): number | undefined => {
  const number = decimal(value)
  let millis: number | undefined
  if (number === undefined) millis = duration(value) ?? untilInstant(value, now)
  else if (number >= 1e12) millis = until(number, now)
  else if (number >= 1e9) millis = until(number * second, now)
  else millis = plausibleWait(number * second)
  return millis === 0 ? undefined : millis
}

/** The wait until the exhausted dimension is full again; dimensions with something left do not count. */
export const fromResetHeaders = (headers: Headers, exhausted: Exhausted, now?: number): number | undefined => {
  const dimensions = new Map<string, Dimension>()
  for (const key of Object.keys(headers)) {
    const name = key.toLowerCase()
    const plain = resetName.exec(name)
    const vendor = plain === null ? vendorName.exec(name) : null
    const field = plain?.[1] ?? vendor?.[3]
    const value = valueOf(headers[key])
    if (field === undefined || value === undefined) continue
    const label = plain?.[2] ?? vendor?.[2] ?? ""
    const dimension = dimensions.get(label) ?? {}
    dimensions.set(label, dimension)
    if (field === "reset") dimension.reset ??= value
    else if (field === "status") dimension.status ??= value.toLowerCase()
    else {
      const remaining = decimal(value)
      if (remaining !== undefined) dimension.remaining ??= remaining
    }
  }
  const at = replyClock(headers, now)
  let longest: number | undefined
  for (const [label, { remaining, reset, status }] of dimensions) {
    const whole = label === "" || label.startsWith("unified")
    const named = exhausted.dimension !== undefined && label.includes(exhausted.dimension)
    const isExhausted = remaining === 0 || status === "rejected" || named ||
      (whole && exhausted.limited && remaining === undefined && status === undefined)
    const millis = isExhausted && reset !== undefined ? resetValue(reset, at) : undefined
    if (millis !== undefined) longest = Math.max(longest ?? 0, millis)
  }
  return longest
}
