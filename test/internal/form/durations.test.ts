import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import * as Equal from "effect/Equal"
import * as FastCheck from "effect/FastCheck"
import * as Option from "effect/Option"
import * as Form from "../../../src/internal/form.ts"
import { durations } from "./sample.ts"

describe("a duration as text", () => {
  it.each<readonly [Duration.DurationInput, string]>([
    [1, "1 milli"],
    [500, "500 millis"],
    [1_000, "1 second"],
    [1_500, "1500 millis"],
    [90_000, "90 seconds"],
    [3_600_000, "1 hour"],
    ["3 weeks", "21 days"],
    [0, "0 millis"],
    [1.5, "1500 micros"],
    [0.001, "1 micro"],
    ["1 nano", "1 nano"],
    ["1001 nanos", "1001 nanos"],
    [Duration.nanos(2_000_000_000n), "2 seconds"],
    [Duration.infinity, "Infinity"]
  ])("%s is written %s", (duration, text) => {
    expect(Form.formatDuration(Duration.decode(duration))).toBe(text)
  })

  it.each<readonly [number, string]>([
    [0.5, "0.5 millis"],
    [1e-6, "0.000001 millis"],
    [1.25e-7, "0.000000125 millis"],
    [1_000.5, "1000.5 millis"],
    [86_400_000, "1 day"]
  ])("%d milliseconds are written %s", (millis, text) => {
    expect(Form.formatMillis(millis)).toBe(text)
    expect(Form.parseMillis(text)).toBe(millis)
  })

  it("reads back as the same duration, down to the nanosecond", () => {
    FastCheck.assert(FastCheck.property(durations, (duration) => {
      const form = Form.duration()
      const read = Either.getOrThrow(Form.read(form, duration, "code"))
      const back = Either.getOrThrow(Form.read(form, Form.encode(form, read), "file"))
      expect(Duration.equals(back, duration)).toBe(true)
      expect(Equal.equals(back, read)).toBe(true)
    }))
  })

  it("reads back as the same number of milliseconds, to the last digit", () => {
    const numbers = FastCheck.oneof(
      FastCheck.double({ min: 1e-300, max: 3.1e12, noNaN: true }),
      FastCheck.double({ min: 1e-9, max: 1, noNaN: true }),
      FastCheck.integer({ min: 1, max: 2 ** 31 - 1 })
    )
    FastCheck.assert(FastCheck.property(numbers, (millis) => {
      const form = Form.millis()
      expect(Form.read(form, Form.encode(form, millis), "file")).toEqual(Either.right(millis))
    }))
  })

  it("is read by Effect in the same way", () => {
    FastCheck.assert(FastCheck.property(durations, (duration) => {
      const text = Form.formatDuration(duration)
      expect(Option.fromNullable(Form.parseDuration(text))).toEqual(Duration.decodeUnknown(text))
    }))
  })
})
