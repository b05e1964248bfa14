/**
 * What may be mended in the arguments of a tool call before they are refused. A repair is tried only on arguments that
 * would be refused as they stand, and never on a text that is cut off; it counts only if the outcome is one whole JSON
 * object, which then passes all the gates that any call passes (see `ToolCall`). What was done is told in the `repairs` of the decoded call.
 *
 * The repairs of this module change the spelling and never the meaning: each heals a slip that has exactly one reading.
 * Together they are `Repair.lossless`, which every tool has unless it says otherwise. Several slips in one text are healed
 * together.
 *
 * @example
 * import * as Repair from "effect-llm-resilience/model/Repair"
 *
 * console.log(Repair.lossless.map((repair) => repair.name).join(" "))
 * // fence byteOrderMark controlCharacters trailingCommas comments pythonLiterals doubleEncoded nullArguments
 * // structuresAsText nullsAsAbsent
 *
 * console.log(Repair.pythonLiterals.repair("{\"recursive\": True}")) // {"recursive": true}
 *
 * // Everything but comments and double encoding:
 * console.log(Repair.without(Repair.comments, Repair.doubleEncoded).length) // 8
 *
 * @since 0.1.0
 */
import * as Either from "effect/Either"
import { found, InvalidOptions } from "../error/InvalidOptions.ts"
import * as StrictJson from "../internal/strictJson.ts"
import * as RepairJson from "./shared/repairJson.ts"

/**
 * The mark of repairs.
 *
 * @since 0.1.0
 * @category symbols
 */
export const TypeId: unique symbol = Symbol.for("effect-llm-resilience/Repair")

/**
 * The mark of repairs.
 *
 * @since 0.1.0
 * @category symbols
 */
export type TypeId = typeof TypeId

/**
 * `"lossless"`: the outcome means what was written, whatever was written. `"lossy"`: it may mean something else, so it is
 * for tools that only read.
 *
 * @since 0.1.0
 * @category models
 */
export type Kind = "lossless" | "lossy"

/**
 * A way to mend the text of arguments.
 *
 * @since 0.1.0
 * @category models
 */
export interface Repair {
  readonly [TypeId]: TypeId
  /** What it is called in the `repairs` of a decoded call. */
  readonly name: string
  readonly kind: Kind
  /** The longest text it is tried on, in UTF-16 units. */
  readonly maxLength: number
  /** The text as this repair by itself makes it, or nothing where there is nothing to mend. */
  readonly repair: (text: string) => string | undefined
}

/**
 * The longest text that a repair of your own is tried on, in UTF-16 units, where it does not say: 65 536. The repairs of
 * this module take linear time and need no cap of their own.
 *
 * @since 0.1.0
 * @category defaults
 */
export const defaults: { readonly maxLength: number } = { maxLength: 65_536 }

const rule = (name: RepairJson.Rule): Repair => ({
  [TypeId]: TypeId,
  name,
  kind: "lossless",
  maxLength: Number.POSITIVE_INFINITY,
  repair: (text) => RepairJson.mend(text, new Set([name]))?.text
})

/**
 * Takes off a Markdown code fence that holds the whole text, with or without the name of a language. A fence that is not
 * closed, or that has words round it, stays and is refused.
 *
 * @since 0.1.0
 * @category constants
 */
export const fence: Repair = rule("fence")

/**
 * Takes off a byte order mark (U+FEFF) at the head of the text, or of what a fence holds.
 *
 * @since 0.1.0
 * @category constants
 */
export const byteOrderMark: Repair = rule("byteOrderMark")

/**
 * Writes line breaks, tabs and other control characters that stand raw inside a string as the escapes that JSON wants. One
 * that follows a backslash stays and is refused, because it may be meant as nothing.
 *
 * @since 0.1.0
 * @category constants
 */
export const controlCharacters: Repair = rule("controlCharacters")

/**
 * Takes off one comma between the last value of an object or array and its end. `[,]` and `[1,,]` lack a value and are
 * refused.
 *
 * @since 0.1.0
 * @category constants
 */
export const trailingCommas: Repair = rule("trailingCommas")

/**
 * Takes out comments outside of strings: from `//` to the end of the line, and between `/*` and its end. What may be
 * Python's whole division (`10 // 3`) stays and is refused, and so does a comment that is not closed.
 *
 * @since 0.1.0
 * @category constants
 */
export const comments: Repair = rule("comments")

/**
 * Writes `True`, `False` and `None` outside of strings as `true`, `false` and `null`.
 *
 * @since 0.1.0
 * @category constants
 */
export const pythonLiterals: Repair = rule("pythonLiterals")

/**
 * Takes the object out of a text that is one JSON string holding that object, once. What the string holds may itself need
 * the other repairs.
 *
 * @since 0.1.0
 * @category constants
 */
export const doubleEncoded: Repair = {
  ...rule("doubleEncoded"),
  repair: (text) => {
    const read = StrictJson.parse(text)
    return Either.isRight(read) && typeof read.right.value === "string" ? read.right.value : undefined
  }
}

/** A repair that works on what was read, by the schema of its tool: the text by itself does not tell. */
const bySchema = (name: string): Repair => ({
  [TypeId]: TypeId,
  name,
  kind: "lossless",
  maxLength: Number.POSITIVE_INFINITY,
  repair: () => undefined
})

/**
 * Reads `null` in place of the whole arguments as `{}`, for a tool that takes `{}`.
 *
 * @since 0.1.0
 * @category constants
 */
export const nullArguments: Repair = bySchema("nullArguments")

/**
 * Reads a list or an object that was written as text (`{"edits": "[…]"}`), where the tool's schema takes that list or
 * object and no text, and the text is exactly one JSON value of that kind.
 *
 * @since 0.1.0
 * @category constants
 */
export const structuresAsText: Repair = bySchema("structuresAsText")

/**
 * Takes out a parameter that is `null` where the tool's schema takes no `null` and the parameter may be left out.
 *
 * @since 0.1.0
 * @category constants
 */
export const nullsAsAbsent: Repair = bySchema("nullsAsAbsent")

/**
 * All repairs of this module, in the order in which they are reported. Every tool has them by default.
 *
 * @since 0.1.0
 * @category constants
 */
export const lossless: ReadonlyArray<Repair> = [
  fence,
  byteOrderMark,
  controlCharacters,
  trailingCommas,
  comments,
  pythonLiterals,
  doubleEncoded,
  nullArguments,
  structuresAsText,
  nullsAsAbsent
]

/**
 * No repairs: arguments are taken as they are written or refused.
 *
 * @since 0.1.0
 * @category constants
 */
export const none: ReadonlyArray<Repair> = []

/**
 * All repairs of this module but these.
 *
 * @since 0.1.0
 * @category constructors
 */
export const without = (...repairs: ReadonlyArray<Repair>): ReadonlyArray<Repair> =>
  lossless.filter((repair) => !repairs.includes(repair))

/**
 * A repair of your own, for a slip that your model makes. It is tried when the repairs of this module do not suffice, on
 * the text as the model wrote it, and they mend what it leaves. Throwing counts as having nothing to mend.
 *
 * - `name`: 1 to 64 of the characters `a-z A-Z 0-9 _ -`, and not the name of a repair of this module.
 * - `kind`: say `"lossless"` only if no text can come out with another meaning, a cut one included: never close what is
 *   open. A `"lossy"` repair is for tools whose `access` is `"read-only"`; on any other `Toolkit.make` refuses it. It is
 *   tried only on a text that starts with `{` and whose braces close, so that a cut text does not reach it as far as can
 *   be told of broken text.
 * - `maxLength`: the longest text it is tried on, in UTF-16 units: 1 or more. Default: 65 536.
 * - `repair`: the mended text, or `undefined` where there is nothing to mend. Its time is your affair: keep it linear.
 *
 * @example
 * import * as Repair from "effect-llm-resilience/model/Repair"
 * import * as Either from "effect/Either"
 *
 * const think = Either.getOrThrow(Repair.make("thinkTag", {
 *   kind: "lossless",
 *   repair: (text) => /^<think>[^<]*<\/think>(.*)$/s.exec(text)?.[1]
 * }))
 *
 * console.log(think.repair("<think>Rome, I guess</think>{\"city\":\"Rome\"}")) // {"city":"Rome"}
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (name: string, options: {
  readonly kind: Kind
  readonly maxLength?: number | undefined
  readonly repair: (text: string) => string | undefined
}): Either.Either<Repair, InvalidOptions> => {
  const { kind, maxLength = defaults.maxLength, repair } = options
  const taken = lossless.some((known) => known.name === name)
  const issues = [
    ...(namePattern.test(name) && !taken ? [] : [{
      path: "name",
      found: found(name),
      allowed: taken
        ? "a name that is not one of the repairs of this module"
        : "1 to 64 of the characters a-z, A-Z, 0-9, _ and -"
    }]),
    ...(kind === "lossless" || kind === "lossy"
      ? []
      : [{ path: "kind", found: found(kind), allowed: "\"lossless\" or \"lossy\"" }]),
    ...(maxLength >= 1 ? [] : [{ path: "maxLength", found: found(maxLength), allowed: "a number, 1 or more" }]),
    ...(typeof repair === "function"
      ? []
      : [{ path: "repair", found: found(repair), allowed: "a function from a text to a text or undefined" }])
  ]
  return issues.length > 0
    ? Either.left(new InvalidOptions({ module: "Repair", issues }))
    : Either.right({ [TypeId]: TypeId, name, kind, maxLength, repair })
}

const namePattern = /^[a-zA-Z0-9_-]{1,64}$/

/**
 * Whether a value is a repair.
 *
 * @since 0.1.0
 * @category guards
 */
export const isRepair = (value: unknown): value is Repair =>
  typeof value === "object" && value !== null && TypeId in value
