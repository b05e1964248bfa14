/** How an adaptive limit moves, read from options in code or from JSON. */
import { fields, integer, number, oneOf, optional, type Reader, required } from "../../internal/reader.ts"
import { isRecord } from "../../internal/record.ts"
import { durationInput } from "../shared/options.ts"
import type { Aimd, Gradient, Strategy } from "./kernel.ts"

/** The numbers of Netflix's concurrency-limits, except for its time-out of 5 s, which is too short for a model call. */
export const defaultStrategies = {
  aimd: { kind: "aimd", backoffRatio: 0.9, timeout: 60_000 },
  gradient: { kind: "gradient", backoffRatio: 0.9, tolerance: 1.5, smoothing: 0.2, queueSize: 4, remeasureEvery: 600 }
} as const

const kind = oneOf("aimd", "gradient")

const ratio = number(0.01, 0.99, "a number from 0.01 to 0.99: what is left of the limit")

const aimd: Reader<Aimd> = (value, path, report) => {
  const given = fields(value, path, ["kind", "backoffRatio", "timeout"], report, "an object")
  if (given === undefined) return undefined
  const defaults = defaultStrategies.aimd
  return {
    kind: "aimd",
    backoffRatio: optional(given, "backoffRatio", path, ratio, report) ?? defaults.backoffRatio,
    timeout: optional(given, "timeout", path, durationInput(), report) ?? defaults.timeout
  }
}

const gradientFields = ["kind", "backoffRatio", "tolerance", "smoothing", "queueSize", "remeasureEvery"]

const gradient: Reader<Gradient> = (value, path, report) => {
  const given = fields(value, path, gradientFields, report, "an object")
  if (given === undefined) return undefined
  const defaults = defaultStrategies.gradient
  return {
    kind: "gradient",
    backoffRatio: optional(given, "backoffRatio", path, ratio, report) ?? defaults.backoffRatio,
    // From 2 on, the latency at half the limit could no longer tell overload from rest.
    tolerance: optional(given, "tolerance", path, number(1, 1.99, "a number from 1 to 1.99"), report) ??
      defaults.tolerance,
    smoothing: optional(given, "smoothing", path, number(0.01, 1, "a number from 0.01 to 1"), report) ??
      defaults.smoothing,
    queueSize: optional(given, "queueSize", path, integer(1, 1000, "a whole number, 1 to 1000"), report) ??
      defaults.queueSize,
    remeasureEvery:
      optional(given, "remeasureEvery", path, integer(100, 1_000_000, "a whole number, 100 to 1000000"), report) ??
        defaults.remeasureEvery
  }
}

/** "aimd", or { "kind": "aimd", "backoffRatio": 0.9, "timeout": "1 minute" } */
export const readStrategy: Reader<Strategy> = (value, path, report) => {
  if (typeof value === "string") {
    const name = kind(value, path, report)
    return name === undefined ? undefined : defaultStrategies[name]
  }
  if (!isRecord(value)) {
    report.problems.push({ path, found: value, allowed: "\"aimd\", \"gradient\", or an object with its \"kind\"" })
    return undefined
  }
  const name = required(value, "kind", path, kind, report)
  return name === undefined ? undefined : name === "aimd" ? aimd(value, path, report) : gradient(value, path, report)
}
