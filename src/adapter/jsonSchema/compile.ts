/** From a schema that has been read to a check that ends in time, whatever the schema and the value. */
import type { Ajv, ErrorObject, Options, ValidateFunction } from "ajv"
import * as Either from "effect/Either"
import { isRecord } from "../../internal/record.ts"
import { describeCause, excerpt } from "../../internal/redact.ts"
import { optionalPeer } from "../shared/optionalPeer.ts"
import * as Document from "./document.ts"
import * as LinearRegExp from "./linearRegExp.ts"

/** A caller's own engine for `pattern` and `patternProperties`. */
export type Engine = (pattern: string) => { readonly test: (text: string) => boolean }

/** What a check finds: nothing, errors of ajv, or that it would take too long. */
export type Finding = "fits" | "tooCostly" | ReadonlyArray<ErrorObject>

/** A check, and the schema as ajv got it, which its errors refer to. */
export interface Compiled {
  readonly check: (value: unknown) => Finding
  /** The work that the last check came to, in the units of the budget. */
  readonly workDone: () => number
  readonly root: Document.Json | boolean
}

/**
 * The words of schema and the characters of patterns that one value may be held against: about 50 ms of work, and enough
 * to match one pattern against the longest arguments that are taken.
 */
export const budget = 1_200_000

/** Up to this many values in it, everything that is wrong with a value is told; beyond it only the first. */
export const explainedValues = 2_000

const costKeyword = "effect-llm-resilience-cost"

class Exhausted extends Error {}

interface Purse {
  left: number
}

const spendFrom = (purse: Purse) => (units: number) => {
  purse.left -= units
  if (purse.left < 0) throw new Exhausted()
}

/** The same text for equal JSON, whatever the order of keys. */
const canonical = (value: unknown, spend: LinearRegExp.Spend): string => {
  spend(10)
  if (Array.isArray(value)) return `[${value.map((item) => canonical(item, spend)).join(",")}]`
  if (!isRecord(value)) return JSON.stringify(value) ?? ""
  const keys = Object.keys(value).sort()
  return `{${keys.map((key) => `${JSON.stringify(key)}:${canonical(value[key], spend)}`).join(",")}}`
}

const [draft07, edition2019, edition2020] = await optionalPeer(
  { module: "adapter/JsonSchema", install: "ajv@8" },
  Promise.all([import("ajv"), import("ajv/dist/2019.js"), import("ajv/dist/2020.js")])
)

const classes = {
  "draft-07": draft07.Ajv,
  "2019-09": edition2019.Ajv2019,
  "2020-12": edition2020.Ajv2020
} as const

/**
 * Nothing is coerced, filled in, removed, fetched or printed; words and formats that ajv does not know say nothing.
 * References are not written out where they occur, since that can grow without bound.
 */
const manners = {
  strict: false,
  validateFormats: false,
  logger: false,
  ownProperties: true,
  inlineRefs: false,
  verbose: true
} as const satisfies Options

const makeAjv = (dialect: Document.Dialect, options: Options, spend: LinearRegExp.Spend): Ajv => {
  const ajv = new classes[dialect]({ ...manners, ...options })
  ajv.addKeyword({
    keyword: costKeyword,
    schemaType: "number",
    errors: false,
    // Judged before the other words, so that a schema that multiplies itself ends early.
    before: "allOf",
    compile: (cost: number) => () => {
      spend(cost)
      return true
    }
  })
  // ajv compares every element with every other one.
  ajv.removeKeyword("uniqueItems")
  ajv.addKeyword({
    keyword: "uniqueItems",
    type: "array",
    schemaType: "boolean",
    errors: false,
    compile: (wanted: boolean) => (list: ReadonlyArray<unknown>) => {
      return !wanted || new Set(list.map((item) => canonical(item, spend))).size === list.length
    }
  })
  return ajv
}

const metaSchemas = new Map<Document.Dialect, Ajv>()

/** The instance that judges schemas, made once for each dialect: it holds only what it is given here. */
const metaOf = (dialect: Document.Dialect): Ajv => {
  const known = metaSchemas.get(dialect)
  if (known !== undefined) return known
  const made = makeAjv(dialect, { verbose: false }, () => {})
  metaSchemas.set(dialect, made)
  return made
}

const steps = (pointer: string): ReadonlyArray<string> =>
  pointer.split("/").slice(1).map((step) => step.replace(/~1/g, "/").replace(/~0/g, "~"))

const metaFault = (schema: Document.Json | boolean, dialect: Document.Dialect): Document.Fault | undefined => {
  const meta = metaOf(dialect)
  if (typeof schema === "boolean" || meta.validateSchema(schema) === true) return undefined
  const error = meta.errors?.at(-1)
  const first =
    meta.errors?.reduce((deepest, each) => each.instancePath.length > deepest.instancePath.length ? each : deepest) ??
      error
  const allowed = first?.keyword === "enum" && Array.isArray(first.params.allowedValues)
    ? ` (${first.params.allowedValues.join(", ")})`
    : ""
  return {
    path: steps(first?.instancePath ?? ""),
    problem: `it is no JSON Schema of ${dialect}: this ${first?.message ?? "is not allowed"}${allowed}`,
    remedy: "Correct this keyword, or name the edition the schema is written in by $schema."
  }
}

const regExpRemedies: { readonly [reason in LinearRegExp.Refusal]: string } = {
  Syntax: "Correct the pattern; it is one of JavaScript.",
  Unsupported:
    "Write it without references to groups, without looking ahead or behind (allOf can hold several patterns), " +
    "or give an engine for patterns in the options.",
  TooLarge: "Shorten it, say lengths by minLength and maxLength, or give an engine for patterns in the options.",
  TooMany: "Shorten them, say lengths by minLength and maxLength, or give an engine for patterns in the options."
}

const regExpProblems: { readonly [reason in LinearRegExp.Refusal]: string } = {
  Syntax: "is no regular expression",
  Unsupported: "needs an engine that may take for ever",
  TooLarge: "is too large",
  TooMany: "is too large together with those before it"
}

type Patterns = ReadonlyMap<string, { readonly test: (text: string) => boolean }>

const compilePatterns = (
  document: Document.Document,
  engine: Engine | undefined,
  spend: LinearRegExp.Spend
): Either.Either<Patterns, Document.Fault> => {
  const made = new Map<string, { readonly test: (text: string) => boolean }>()
  const shared = LinearRegExp.shared(spend)
  for (const { path, pattern } of document.patterns) {
    if (made.has(pattern)) continue
    if (engine !== undefined) {
      try {
        made.set(pattern, engine(pattern))
        continue
      } catch (cause) {
        return Either.left({
          path,
          problem: `the engine given refuses the pattern: ${excerpt(describeCause(cause).message, 200)}`,
          remedy: "Change the pattern or the engine."
        })
      }
    }
    const compiled = LinearRegExp.compile(pattern, shared)
    if (Either.isLeft(compiled)) {
      const shown = excerpt(JSON.stringify(pattern), 120)
      const problem = `the pattern ${shown} ${regExpProblems[compiled.left]}`
      return Either.left({ path, problem, remedy: regExpRemedies[compiled.left] })
    }
    made.set(pattern, compiled.right)
  }
  return Either.right(made)
}

/** Whether a value has more values in it than that. */
const exceeds = (value: unknown, most: number): boolean => {
  const open: Array<unknown> = [value]
  for (let count = 0; open.length > 0; count++) {
    if (count > most) return true
    const next = open.pop()
    if (typeof next !== "object" || next === null) continue
    for (const inner of Object.values(next)) {
      if (open.push(inner) > most) return true
    }
  }
  return false
}

const compileFault = (cause: unknown): Document.Fault => ({
  path: [],
  problem: cause instanceof RangeError
    ? "it is nested too deep to be compiled"
    : `it cannot be compiled: ${excerpt(describeCause(cause).message, 300)}`,
  remedy: "Correct the schema, or have the tool come with a simpler one."
})

/** A check by this schema, or why there can be none. ajv writes a function for it, by `new Function`. */
export const compile = (
  document: Document.Document,
  engine: Engine | undefined
): Either.Either<Compiled, Document.Fault> => {
  const purse: Purse = { left: 0 }
  const spend = spendFrom(purse)
  const fault = metaFault(document.schema, document.dialect)
  if (fault !== undefined) return Either.left(fault)
  const patterns = compilePatterns(document, engine, spend)
  if (Either.isLeft(patterns)) return Either.left(patterns.left)
  // ajv tells patterns apart by their text.
  const regExp = (pattern: string) => {
    const matcher = patterns.right.get(pattern) ?? LinearRegExp.none
    return { test: (text: string) => matcher.test(text), toString: () => pattern }
  }
  const root = Document.weighed(document.schema, costKeyword)
  const build = (allErrors: boolean): ValidateFunction =>
    makeAjv(document.dialect, {
      allErrors,
      meta: false,
      validateSchema: false,
      code: { optimize: false, regExp: Object.assign(regExp, { code: "regExp" }) }
    }, spend).compile(root)
  try {
    const all = build(true)
    let first: ValidateFunction | undefined
    /** What stops at the first fault is nested as deep as the schema is wide, so there may be none. */
    const stopping = (): ValidateFunction => {
      try {
        return build(false)
      } catch (cause) {
        if (cause instanceof RangeError) return all
        throw cause
      }
    }
    const check = (value: unknown): Finding => {
      try {
        const by = exceeds(value, explainedValues) ? first ??= stopping() : all
        purse.left = budget
        return by(value) ? "fits" : by.errors ?? []
      } catch (cause) {
        // The stack ends where a schema goes round in a value that is nested very deep.
        if (cause instanceof Exhausted || cause instanceof RangeError) return "tooCostly"
        throw cause
      }
    }
    return Either.right({ check, workDone: () => budget - purse.left, root })
  } catch (cause) {
    return Either.left(compileFault(cause))
  }
}
