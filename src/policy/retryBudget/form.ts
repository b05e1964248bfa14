/** Reads the form of a retry budget, as `RetryBudget.share`, `.tokens` and `.deposits` write it. */
import { at, fields, number, type Reader, required } from "../../internal/reader.ts"
import { isRecord } from "../../internal/record.ts"
import { words } from "../../internal/words.ts"
import { durationInput } from "../shared/options.ts"
import type * as Kernel from "./kernel.ts"

const readShare = (form: Readonly<Record<string, unknown>>, path: string): Reader<Kernel.Form> => (_, __, report) => ({
  _tag: "Share",
  ratio: required(form, "ratio", path, number(0, 1, "a ratio from 0 to 1"), report) ?? 0,
  minimum: required(form, "minimum", path, number(0, 1e6, "a number of attempts, 0 to 1000000"), report) ?? 0
})

const readTokens = (form: Readonly<Record<string, unknown>>, path: string): Reader<Kernel.Form> => (_, __, report) => {
  const capacity = required(form, "capacity", path, number(1, 1e9, "a number of tokens, 1 to 1000000000"), report) ?? 1
  const cost = (name: string) => {
    const price = required(form, name, path, number(0, 1e9, "a number of tokens, above 0"), report)
    if (price === undefined) return 1
    if (price === 0) {
      report.problems.push({ path: at(path, name), found: price, allowed: "a number of tokens, above 0" })
    }
    if (price > capacity) {
      report.problems.push({
        path: at(path, name),
        found: price,
        allowed: `at most ${at(path, "capacity")}, which is ${capacity}: else there is never such a retry`
      })
    }
    return price
  }
  return {
    _tag: "Tokens",
    capacity,
    initial: required(form, "initial", path, number(0, capacity, `from 0 to the capacity, ${capacity}`), report) ?? 0,
    cost: cost("cost"),
    throttlingCost: cost("throttlingCost"),
    timeoutCost: cost("timeoutCost"),
    reward: required(form, "reward", path, number(0, capacity, `from 0 to the capacity, ${capacity}`), report) ?? 0
  }
}

const readDeposits =
  (form: Readonly<Record<string, unknown>>, path: string): Reader<Kernel.Form> => (_, __, report) => {
    const allowed = "a duration from \"1 second\" to \"60 seconds\""
    const ttl = required(form, "ttl", path, durationInput(allowed), report)
    if (ttl !== undefined && (ttl < 1_000 || ttl > 60_000)) {
      report.problems.push({ path: at(path, "ttl"), found: words(ttl), allowed })
    }
    const perSecond = number(0, 1e6, "a number of retries a second, 0 to 1000000")
    return {
      _tag: "Deposits",
      ttl: ttl ?? 1_000,
      minimumPerSecond: required(form, "minimumPerSecond", path, perSecond, report) ?? 0,
      ratio: required(form, "ratio", path, number(0, 1000, "retries for each call, 0 to 1000"), report) ?? 0
    }
  }

const known = {
  Share: ["ratio", "minimum"],
  Tokens: ["capacity", "initial", "cost", "throttlingCost", "timeoutCost", "reward"],
  Deposits: ["ttl", "minimumPerSecond", "ratio"]
} as const

const allowed = "what RetryBudget.share, .tokens or .deposits gives"

export const readForm: Reader<Kernel.Form> = (value, path, report) => {
  const form = isRecord(value) ? value : {}
  const tag = form["_tag"]
  if (tag === "Share" || tag === "Tokens" || tag === "Deposits") {
    const { _tag, ...own } = form
    fields(own, path, known[tag], report, allowed)
  }
  switch (tag) {
    case "Share":
      return readShare(form, path)(value, path, report)
    case "Tokens":
      return readTokens(form, path)(value, path, report)
    case "Deposits":
      return readDeposits(form, path)(value, path, report)
  }
  report.problems.push({ path, found: value, allowed })
  return undefined
}
