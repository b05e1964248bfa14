/**
 * From a parse issue of Effect to issues that a model can act on: one for each place, alternatives folded into one
 * sentence, values quoted only as far as they help.
 */
import type * as ParseResult from "effect/ParseResult"
import * as AST from "effect/SchemaAST"
import { excerpt, isSecretName, mask } from "../../internal/redact.ts"

/** The same shape as `ToolCallError.Issue`. */
export interface Issue {
  readonly path: ReadonlyArray<string | number>
  readonly message: string
  readonly kind: "Type" | "Missing" | "Unexpected" | "Refinement" | "Transformation" | "Forbidden"
}

/** How many issues an error keeps. */
export const issueLimit = 100

const shownValue = 80
const shownMessage = 300
const shownMembers = 20

type Path = ReadonlyArray<string | number>

/** Before alternatives are folded: either what was `expected` at a place, or a finished `message`. */
interface Finding {
  readonly path: Path
  readonly actual: unknown
  readonly kind: Issue["kind"]
  readonly expected?: string
  readonly literal?: boolean
  readonly message?: string
}

/** All issues, one for each place and kind, in the order of the schema; the rest beyond the limit is counted. */
export const fromParseIssue = (issue: ParseResult.ParseIssue): {
  readonly issues: ReadonlyArray<Issue>
  readonly omitted: number
} => {
  const places = new Map<string, Array<Finding>>()
  const walk: Walk = { places: 0, omitted: 0 }
  for (const finding of findings(walk, issue, [], [])) {
    const place = JSON.stringify(finding.path)
    const known = places.get(place)
    if (known === undefined) places.set(place, [finding])
    else known.push(finding)
  }
  const folded = [...places.values()].map(fold)
  return {
    issues: folded.slice(0, issueLimit),
    omitted: walk.omitted + Math.max(0, folded.length - issueLimit)
  }
}

/** How far the issues have been put in words: a list of a hundred thousand faults costs no more than one of a hundred. */
interface Walk {
  /** Places in words, or more where alternatives share one. */
  places: number
  /** Places passed over. */
  omitted: number
}

/** The findings of each issue, until there are enough places. */
const enough = (
  walk: Walk,
  issues: ReadonlyArray<ParseResult.ParseIssue>,
  find: (issue: ParseResult.ParseIssue) => ReadonlyArray<Finding>
): ReadonlyArray<Finding> => {
  const found: Array<Finding> = []
  for (const issue of issues) {
    if (walk.places >= issueLimit) {
      walk.omitted += placesOf(issue)
      continue
    }
    const before = walk.places
    found.push(...find(issue))
    if (walk.places === before) walk.places++
  }
  return found
}

/** How many places an issue is about, alternatives counted as one. */
const placesOf = (issue: ParseResult.ParseIssue): number => {
  if (issue._tag === "Pointer") return placesOf(issue.issue)
  return issue._tag === "Composite" && !AST.isUnion(issue.ast)
    ? members(issue.issues).reduce((sum, member) => sum + placesOf(member), 0)
    : 1
}

/** A tool without parameters that was given some: Effect's `{}` admits them, we do not. */
export const unexpectedParameters = (names: ReadonlyArray<string>): {
  readonly issues: ReadonlyArray<Issue>
  readonly omitted: number
} => ({
  issues: names.slice(0, issueLimit).map((name) => ({ path: [name], kind: "Unexpected", message: notAParameter([]) })),
  omitted: Math.max(0, names.length - issueLimit)
})

const fold = (found: ReadonlyArray<Finding>): Issue => {
  const wanted = found.filter((finding) => finding.expected !== undefined)
  const finished = found.flatMap((finding) => finding.message === undefined ? [] : [finding.message])
  const path = found[0]?.path ?? []
  const isSecret = path.some((step) => typeof step === "string" && isSecretName(step))
  const messages = [...(wanted.length === 0 ? [] : [alternatives(wanted)]), ...new Set(finished)]
  const message = messages.join("; or ")
  return {
    path,
    kind: found[0]?.kind ?? "Type",
    message: excerpt(isSecret ? withoutValues(message, found) : message, shownMessage * 2)
  }
}

/** Below this length a value is not told apart from the words round it. */
const shortestSecret = 3

/** The message without the values that are found at a place whose name says that they are secret. */
const withoutValues = (message: string, found: ReadonlyArray<Finding>): string =>
  found.reduce((kept, { actual }) => {
    if (typeof actual === "object" || actual === undefined) return kept
    const value = String(actual)
    const written = JSON.stringify(value)
    const spellings = [show(actual), written, excerpt(written, shownValue), excerpt(value, shownValue), value]
    return spellings.reduce(
      (rest, spelling) => spelling.length < shortestSecret ? rest : rest.replaceAll(spelling, mask),
      kept
    )
  }, message)

const alternatives = (wanted: ReadonlyArray<Finding>): string => {
  const names = [...new Set(wanted.map((finding) => finding.expected))]
  const shown = names.slice(0, shownMembers)
  const more = names.length > shownMembers ? ` and ${names.length - shownMembers} more` : ""
  const what = names.length === 1
    ? names[0]
    : wanted.every((finding) => finding.literal === true)
    ? `one of ${shown.join(", ")}${more}`
    : `${shown.join(" or ")}${more}`
  return `expected ${what}, got ${show(wanted[0]?.actual)}`
}

/** A value as the model wrote it, clipped; of objects and arrays only the outline. */
const show = (value: unknown): string => {
  if (typeof value === "string") return JSON.stringify(excerpt(value, shownValue))
  if (Array.isArray(value)) return `an array of ${value.length}`
  if (typeof value === "object" && value !== null) {
    const keys = Object.keys(value)
    return keys.length === 0 ? "an empty object" : excerpt(`an object with ${keys.slice(0, 5).join(", ")}`, shownValue)
  }
  return excerpt(String(value), shownValue)
}

/** A schema in words: its description, else its TypeScript spelling. */
const describe = (ast: AST.AST): string => {
  if (AST.isLiteral(ast)) return JSON.stringify(ast.literal) ?? String(ast.literal)
  const description = AST.getDescriptionAnnotation(ast)
  if (description._tag === "Some") return asDate(description.value) ?? excerpt(description.value, shownMessage)
  const keyword = keywords[ast._tag]
  return keyword ??
    (AST.isTypeLiteral(ast) ? "an object" : AST.isTupleType(ast) ? "an array" : excerpt(String(ast), shownMessage))
}

/** Effect names the classes of its dates, which a model cannot write; what it can write is their text. */
const dates =
  /^a(?: valid Date(?: instance)?| Date instance| DateTime\.(?:Utc|Zoned) instance)$|^a string to be decoded into a (?:Date|DateTime\.(?:Utc|Zoned))$/

const asDate = (description: string): string | undefined =>
  !dates.test(description)
    ? undefined
    : description.includes("Zoned")
    ? "a date and time in ISO 8601 with its offset, such as \"2026-01-31T09:30:00+01:00\""
    : "a date and time in ISO 8601, such as \"2026-01-31T09:30:00Z\""

const keywords: { readonly [tag: string]: string | undefined } = {
  StringKeyword: "a string",
  NumberKeyword: "a number",
  BooleanKeyword: "true or false",
  ObjectKeyword: "an object"
}

/**
 * What the schema's author says instead. As in Effect's formatters, it stands for what is found further in only where
 * it says so (`override`). Messages that need an effect are passed over.
 */
const ownMessage = (issue: ParseResult.ParseIssue): string | undefined => {
  if (!("ast" in issue) || issue._tag === "Missing") return undefined
  const annotation = AST.getMessageAnnotation(issue.ast)
  if (annotation._tag === "None") return undefined
  const made = annotation.value(issue)
  const [message, override] = typeof made === "object" && "override" in made
    ? [made.message, made.override]
    : [made, false]
  const hasInner = issue._tag === "Composite" || (issue._tag === "Refinement" && issue.kind === "From") ||
    (issue._tag === "Transformation" && issue.kind !== "Transformation")
  return typeof message === "string" && (override || !hasInner) ? excerpt(message, shownMessage) : undefined
}

/** One step of a path; keys are the model's own words and may be of any length. */
export const clipped = (step: PropertyKey): string | number =>
  typeof step === "number" ? step : excerpt(String(step), shownValue)

const steps = (path: ParseResult.Path): Path => (isKey(path) ? [path] : path).map(clipped)

const isKey = (path: ParseResult.Path): path is PropertyKey => !Array.isArray(path)

const members = (issues: ParseResult.SingleOrNonEmpty<ParseResult.ParseIssue>): ReadonlyArray<ParseResult.ParseIssue> =>
  isMany(issues) ? issues : [issues]

const isMany = (
  issues: ParseResult.SingleOrNonEmpty<ParseResult.ParseIssue>
): issues is Exclude<typeof issues, ParseResult.ParseIssue> => Array.isArray(issues)

const findings = (
  walk: Walk,
  issue: ParseResult.ParseIssue,
  path: Path,
  allowed: ReadonlyArray<string>,
  keys: ReadonlyArray<string> = []
): ReadonlyArray<Finding> => {
  if (issue._tag === "Pointer") {
    return findings(walk, issue.issue, [...path, ...steps(issue.path)], allowed, keys)
  }
  const place = { path, actual: issue.actual }
  const own = ownMessage(issue)
  switch (issue._tag) {
    case "Missing":
      return [{ ...place, kind: "Missing", message: missing(issue) }]
    case "Unexpected":
      return [{ ...place, kind: "Unexpected", message: notAParameter(allowed, keys) }]
    case "Forbidden":
      return [{ ...place, kind: "Forbidden", message: "the schema of this tool cannot be decided at once" }]
    case "Type":
      return ofType(issue, own, path)
    case "Refinement":
      if (own !== undefined) return [{ ...place, kind: "Refinement", message: own }]
      return issue.kind === "From"
        ? findings(walk, issue.issue, path, allowed).map((finding) => asRefined(finding, issue.ast, path))
        : findings(walk, issue.issue, path, allowed).map((finding) => ({
          ...asWritten(finding, issue, path),
          kind: "Refinement"
        }))
    case "Transformation":
      if (own === undefined && issue.kind !== "Transformation") {
        return findings(walk, issue.issue, path, allowed).map((finding) => asWritten(finding, issue, path))
      }
      return [{ ...place, kind: "Transformation", message: own ?? transformed(issue) }]
    case "Composite": {
      if (own !== undefined) return [{ ...place, kind: "Type", message: own }]
      if (AST.isUnion(issue.ast)) return ofUnion(walk, members(issue.issues), path)
      if (AST.isTupleType(issue.ast)) return ofTuple(walk, issue.ast, members(issue.issues), path)
      const names = AST.isTypeLiteral(issue.ast)
        ? issue.ast.propertySignatures.map((property) => String(property.name))
        : []
      const keys = AST.isTypeLiteral(issue.ast)
        ? issue.ast.indexSignatures.map((index) => describe(index.parameter))
        : []
      return enough(walk, members(issue.issues), (member) => findings(walk, member, path, names, keys))
    }
  }
}

/** "a number" says too little where the schema wants "an integer". */
const asRefined = (finding: Finding, ast: AST.AST, path: Path): Finding =>
  finding.expected !== undefined && finding.path.length === path.length && hasDescription(ast)
    ? { ...finding, expected: describe(ast) }
    : finding

const hasDescription = (ast: AST.AST): boolean => AST.getDescriptionAnnotation(ast)._tag === "Some"

/** Effect 3.22 names a wrong element as the missing one, so the tuple itself is asked. */
const ofTuple = (
  walk: Walk,
  ast: AST.TupleType,
  issues: ReadonlyArray<ParseResult.ParseIssue>,
  path: Path
): ReadonlyArray<Finding> =>
  enough(walk, issues, (issue) => {
    const index = issue._tag === "Pointer" && typeof issue.path === "number" ? issue.path : undefined
    if (issue._tag !== "Pointer" || index === undefined) return findings(walk, issue, path, [])
    const place = { path: [...path, index], actual: issue.actual }
    const type = ast.elements[index]?.type
    switch (issue.issue._tag) {
      case "Missing":
        return type === undefined ? findings(walk, issue, path, []) : [{
          ...place,
          kind: "Missing",
          message: `is missing, expected ${described(type)}`
        }]
      case "Unexpected":
        return [{ ...place, kind: "Unexpected", message: `is one too many; the list takes ${ast.elements.length}` }]
      default:
        return findings(walk, issue, path, [])
    }
  })

/** The value as the model wrote it, on the encoded side; a half-converted one would only puzzle it. */
const asWritten = (finding: Finding, outer: { readonly actual: unknown }, path: Path): Finding =>
  finding.path.length === path.length ? { ...finding, actual: outer.actual } : finding

const ofType = (issue: ParseResult.Type, own: string | undefined, path: Path): ReadonlyArray<Finding> => {
  const message = own ?? issue.message
  const place = { path, actual: issue.actual, kind: "Type" } as const
  return message === undefined
    ? alternativesOf(issue.ast).map((ast) => ({ ...place, expected: describe(ast), literal: AST.isLiteral(ast) }))
    : [{ ...place, message: excerpt(message, shownMessage) }]
}

/** The members of a union that can be written in JSON; any other schema by itself. */
const alternativesOf = (ast: AST.AST): ReadonlyArray<AST.AST> =>
  AST.isUnion(ast)
    ? ast.types.filter((member) => !AST.isUndefinedKeyword(member)).flatMap(alternativesOf)
    : AST.isEnums(ast)
    ? ast.enums.map(([, value]) => new AST.Literal(value))
    : [ast]

/** `undefined` cannot be written in JSON, so it is no help to name it; a member that fits further in explains more. */
const ofUnion = (
  walk: Walk,
  issues: ReadonlyArray<ParseResult.ParseIssue>,
  path: Path
): ReadonlyArray<Finding> => {
  const writable = issues.filter((issue) => !(issue._tag === "Type" && AST.isUndefinedKeyword(issue.ast)))
  const found = writable.map((issue) => findings(walk, issue, path, []))
  const deeper = found.filter((some) => some.some((finding) => finding.path.length > path.length))
  return (deeper.length > 0 ? deeper : found).flat()
}

const missing = (issue: ParseResult.Missing): string => {
  const annotation = AST.getMissingMessageAnnotation(issue.ast)
  const message = annotation._tag === "Some" ? annotation.value() : undefined
  if (typeof message === "string") return excerpt(message, shownMessage)
  return issue.ast instanceof AST.Type ? `is missing, expected ${described(issue.ast.type)}` : "is missing"
}

/** A schema in words, with its alternatives. */
const described = (ast: AST.AST): string => {
  const members = alternativesOf(ast)
  const shown = members.slice(0, shownMembers).map(describe)
  const more = members.length > shownMembers ? ` and ${members.length - shownMembers} more` : ""
  return members.length > 1 && members.every(AST.isLiteral)
    ? `one of ${shown.join(", ")}${more}`
    : `${shown.join(" or ")}${more}`
}

const notAParameter = (allowed: ReadonlyArray<string>, keys: ReadonlyArray<string> = []): string =>
  keys.length > 0
    ? excerpt(`is not a key that is taken here; the keys are ${[...allowed, ...keys].join(", ")}`, shownMessage)
    : allowed.length === 0
    ? "is not a parameter; there are none here"
    : excerpt(`is not a parameter; the parameters here are ${allowed.join(", ")}`, shownMessage)

const transformed = (issue: ParseResult.Transformation): string => {
  const wanted = `cannot be read as ${describe(issue.ast.to)}, got ${show(issue.actual)}`
  const inner = findings({ places: 0, omitted: 0 }, issue.issue, [], [])[0]?.message
  return inner === undefined ? wanted : `${wanted}: ${inner}`
}
