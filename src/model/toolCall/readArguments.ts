/** From the text of arguments to the JSON object it holds: read strictly, and mended where that is allowed and enough. */
import * as Either from "effect/Either"
import { isRecord } from "../../internal/record.ts"
import * as StrictJson from "../../internal/strictJson.ts"
import * as Repair from "../Repair.ts"
import * as RepairJson from "../shared/repairJson.ts"

export type JsonObject = { readonly [key: string]: unknown }

/** What was read, with the names of the repairs it took. */
export interface Read {
  readonly value: JsonObject
  readonly hazards: ReadonlyArray<StrictJson.Hazard>
  /** How many values it holds. */
  readonly values: number
  readonly repairs: ReadonlyArray<string>
  /** What the text is refused with by a tool that does not take `{}`: it says nothing, or `null`. */
  readonly blank?: Fault
}

export type Fault = StrictJson.Fault<StrictJson.Reason | "NotAnObject">

const builtIn: { readonly [Rule in RepairJson.Rule]: Repair.Repair } = Repair

const untouched: ReadonlyArray<string> = []

/** The object, or where and why the text is none: the place is one of the text as it was written. */
export const read = (
  text: string,
  limits: StrictJson.Limits,
  allowed: () => ReadonlyArray<Repair.Repair>
): Read | Fault => {
  const strict = StrictJson.parse(text, limits)
  if (Either.isRight(strict)) {
    const { hazards, value, values } = strict.right
    if (isRecord(value)) return { value, hazards, values, repairs: untouched }
  } else if (strict.left.reason === "Empty") return { ...nothing, blank: strict.left }
  else if (!isMendable(strict.left.reason)) return strict.left
  const repairs = allowed()
  const rules = new Set(RepairJson.rules.filter((rule) => repairs.includes(builtIn[rule])))
  const mended = withRules(text, strict, limits, rules, repairs.includes(Repair.nullArguments))
  return isRead(mended) || !isMendable(mended.reason)
    ? mended
    : withOthers(text, limits, rules, repairs.filter((repair) => !Repair.lossless.includes(repair))) ?? mended
}

const nothing: Read = { value: {}, hazards: [], values: 1, repairs: untouched }

const isRead = (outcome: Read | Fault): outcome is Read => !("reason" in outcome)

/** A cut text is never mended: what is missing cannot be known. */
const isMendable = (reason: Fault["reason"]): boolean => reason === "Syntax" || reason === "TrailingContent"

type Strict = Either.Either<StrictJson.Document, StrictJson.Fault>

const withRules = (
  text: string,
  strict: Strict,
  limits: StrictJson.Limits,
  rules: ReadonlySet<RepairJson.Rule>,
  nullIsNothing = false
): Read | Fault => {
  const notAnObject = (offset: number) => StrictJson.faultAt(text, "NotAnObject", offset)
  const orNothing = (value: unknown, fault: Fault, applied: ReadonlyArray<string>): Read | Fault =>
    value === null && nullIsNothing
      ? { ...nothing, repairs: [...applied, Repair.nullArguments.name], blank: fault }
      : fault
  if (Either.isRight(strict)) {
    return unwrapped(strict.right, limits, rules, untouched) ??
      orNothing(strict.right.value, notAnObject(text.search(/\S/)), untouched)
  }
  const mended = isMendable(strict.left.reason) ? RepairJson.mend(text, rules) : undefined
  if (mended === undefined) return strict.left
  // Escapes make a text longer; the cap was for the text that the model wrote.
  const again = StrictJson.parse(mended.text, { ...limits, maxLength: Number.POSITIVE_INFINITY })
  if (Either.isLeft(again)) {
    const { offset, reason } = again.left
    return reason === "Empty" ? strict.left : StrictJson.faultAt(text, reason, mended.origin(offset))
  }
  return unwrapped(again.right, limits, rules, mended.applied) ??
    orNothing(again.right.value, notAnObject(mended.origin(mended.text.search(/\S/))), mended.applied)
}

/** The object that was read, or the one inside a string that was read. */
const unwrapped = (
  { hazards, value, values }: StrictJson.Document,
  limits: StrictJson.Limits,
  rules: ReadonlySet<RepairJson.Rule>,
  applied: ReadonlyArray<string>
): Read | undefined => {
  if (isRecord(value)) return { value, hazards, values, repairs: applied }
  if (typeof value !== "string" || !rules.has("doubleEncoded")) return undefined
  const once = new Set(rules)
  once.delete("doubleEncoded")
  const inside = withRules(value, StrictJson.parse(value, limits), limits, once)
  if (!isRead(inside)) return undefined
  const needed = new Set([...applied, ...inside.repairs, "doubleEncoded"])
  return { ...inside, repairs: RepairJson.rules.filter((rule) => needed.has(rule)) }
}

/** The first repair beyond the rules that makes the text an object, if need be with their help. */
const withOthers = (
  text: string,
  limits: StrictJson.Limits,
  rules: ReadonlySet<RepairJson.Rule>,
  others: ReadonlyArray<Repair.Repair>
): Read | undefined => {
  for (const other of others) {
    // A lossy repair closes what is open, so a cut text must not reach it.
    const mayTry = text.length <= other.maxLength && (other.kind === "lossless" || RepairJson.looksWhole(text))
    const made = mayTry ? attempt(other, text) : undefined
    if (made === undefined || made === text) continue
    const mended = withRules(made, StrictJson.parse(made, limits), limits, rules)
    if (isRead(mended)) return { ...mended, repairs: [...mended.repairs, other.name] }
  }
  return undefined
}

/** Other people's code on a model's text: a stack that overflows is an ordinary outcome. */
const attempt = (other: Repair.Repair, text: string): string | undefined => {
  try {
    return other.repair(text)
  } catch {
    return undefined
  }
}
