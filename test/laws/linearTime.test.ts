/** No text of a stranger costs more than in proportion to its length. */
import { describe, expect, it, vi } from "@effect/vitest"
import * as Hints from "../../src/internal/hints.ts"
import * as LimitHeaders from "../../src/internal/rateLimitHeaders.ts"
import * as Redact from "../../src/internal/redact.ts"
import * as ProviderError from "../../src/provider/ProviderError.ts"
import { growth, steepest } from "../straightLine.ts"
import { attacks, literals, recorded } from "./regularExpressions.ts"

/** What took less than this, in milliseconds, for the large input is not looked at any further. */
const noticeable = 2

const small = 1_000

const isSlow = (run: () => void): boolean => {
  const { system, user } = process.cpuUsage()
  run()
  const after = process.cpuUsage()
  return after.user + after.system - user - system > noticeable * 1_000
}

/** Steeper than a line; the large input is tried only where the small one does not take for ever. */
const isSteep = (make: (size: number) => () => void): boolean =>
  isSlow(make(small / 4)) && growth(make, small / 4) > steepest ||
  isSlow(make(small * 8)) && growth(make, small) > steepest

const apply = (pattern: RegExp, text: string) => () => {
  pattern.lastIndex = 0
  if (pattern.global) text.replace(pattern, "")
  else pattern.test(text)
}

describe("every regular expression of src takes time in proportion to its text", () => {
  it("on what each can look at again and again", { timeout: 120_000 }, async () => {
    // Loaded anew, so that what they put together is seen.
    vi.resetModules()
    const all = [
      ...literals(),
      ...await recorded("internal/redact.ts", () => import("../../src/internal/redact.ts")),
      ...await recorded("internal/rateLimitHeaders.ts", () => import("../../src/internal/rateLimitHeaders.ts")),
      ...await recorded("internal/form/durations.ts", () => import("../../src/internal/form/durations.ts"))
    ]
    expect(all.filter(({ at }) => !at.includes(":")).length).toBeGreaterThan(6)
    expect(all.length).toBeGreaterThan(300)
    const steep: Array<string> = []
    for (const { at, pattern } of all) {
      const worst = attacks(pattern).find((text) => isSteep((size) => apply(pattern, text(size))))
      if (worst !== undefined) steep.push(`${at}: ${JSON.stringify(worst(30))}`)
    }
    expect(steep).toEqual([])
  })
})

const now = Date.UTC(2026, 2, 17)
/** How often a reader looks at a member of its headers. Objects of many members are slow by themselves, so this is counted. */
const looksAt = (headers: { readonly [name: string]: string }, read: (headers: Hints.Headers) => unknown): number => {
  let looks = 0
  read(
    new Proxy(headers, {
      get: (target, name, receiver): unknown => {
        looks++
        return Reflect.get(target, name, receiver)
      },
      getOwnPropertyDescriptor: (target, name) => {
        looks++
        return Reflect.getOwnPropertyDescriptor(target, name)
      }
    })
  )
  return looks
}

const headersOf = (name: (index: number) => string, value: string) => (size: number) =>
  Object.fromEntries(Array.from({ length: size }, (_, index) => [name(index), value]))

const units: ReadonlyArray<string> = [
  " ",
  "\n",
  "1",
  "1m",
  "1 ",
  ",",
  "1,",
  "try ",
  "try a ",
  "try in ",
  "retry after ",
  "retry after 1",
  "wait \t",
  "resets at ",
  "available again ",
  "Tue, 17 Mar 2026 17:38:54 GMT, ",
  "limit ",
  "max ",
  "maximum",
  "max1",
  "model ",
  "prompt ",
  "exceed",
  "<",
  "<script ",
  "<!--",
  "\\",
  "\"code\":",
  "bearer ",
  "eyJ-",
  "sk-",
  "key=",
  "https://a@",
  "token: \"",
  "\u202e"
]

const readers: ReadonlyArray<readonly [name: string, read: (text: string) => unknown]> = [
  ["fromProse", (text) => Hints.fromProse(text, now)],
  ["instantFromProse", (text) => Hints.instantFromProse(text, now)],
  ["retryAfter", (text) => Hints.retryAfter(text, now)],
  ["duration", (text) => Hints.duration(text)],
  ["instant", (text) => Hints.instant(text, now)],
  ["redact", Redact.redact],
  ["excerpt", (text) => Redact.excerpt(text)],
  ["visible", Redact.visible],
  ["fromResponse of a text", (body) => ProviderError.fromResponse({ provider: "p", status: 400, body })],
  [
    "fromResponse of a message",
    (message) => ProviderError.fromResponse({ provider: "p", status: 429, body: { error: { message } } })
  ],
  [
    "fromResponse of a page",
    (text) => ProviderError.fromResponse({ provider: "p", status: 502, body: `<html>${text}` })
  ],
  [
    "fromResponse of a code",
    (code) => ProviderError.fromResponse({ provider: "p", status: 400, body: { error: { code } } })
  ]
]

describe("every reader of texts takes time in proportion to them", () => {
  it.each(readers)("%s", { timeout: 60_000 }, (_, read) => {
    const reading = (unit: string) => (size: number) => {
      const text = unit.repeat(size)
      return () => read(text)
    }
    // What else the machine did is not there each time; what is quadratic is.
    const steep = units.filter((unit) => [1, 2, 3].every(() => isSteep(reading(unit))))
    expect(steep).toEqual([])
  })

  it("the waits and limits of many headers", () => {
    const names: ReadonlyArray<(index: number) => string> = [
      (index) => `x-ratelimit-reset-${index}`,
      (index) => `X-${"RateLimit-Reset".slice(0, 1 + index % 15)}${index}`,
      (index) => `a-ratelimit-${index}-remaining`
    ]
    const readers: ReadonlyArray<(headers: Hints.Headers) => unknown> = [
      (headers) => Hints.fromResetHeaders(headers, { limited: true }, now),
      (headers) => LimitHeaders.dimensions(headers, now)
    ]
    for (const name of names) {
      for (const read of readers) {
        const looks = (size: number) => looksAt(headersOf(name, "1")(size), read)
        expect(looks(2_000)).toBeLessThan(steepest * looks(1_000))
      }
    }
  })
})
