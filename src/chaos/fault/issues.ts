/** Turns schema issues into lines a person can act on: one for each wrong place, with what was found there. */
import type { ArrayFormatterIssue } from "effect/ParseResult"
import { found, type Issue } from "../../error/InvalidOptions.ts"
import { isArray, isRecord } from "../shared/json.ts"

const valueAt = (input: unknown, path: ReadonlyArray<PropertyKey>): unknown =>
  path.reduce<unknown>(
    (at, key) => isArray(at) ? at[Number(key)] : isRecord(at) && Object.hasOwn(at, key) ? at[String(key)] : undefined,
    input
  )

const spell = (path: ReadonlyArray<PropertyKey>): string => path.map(String).join(".")

const allowedBy = (issue: ArrayFormatterIssue): string =>
  issue._tag === "Unexpected"
    ? "no such field"
    : issue._tag === "Missing"
    ? "a value: the field is required"
    : issue.message.replace(/^Expected /, "").replace(/, actual [\s\S]*$/, "").replace(/^undefined$/, "")

/** Issues of one place are merged; a place is dropped where the fault lies deeper inside it. */
export const issuesOf = (input: unknown, issues: ReadonlyArray<ArrayFormatterIssue>): ReadonlyArray<Issue> => {
  const places = new Map<string, { readonly issue: Issue; readonly allowed: Set<string> }>()
  for (const issue of issues) {
    const path = spell(issue.path)
    const deeper = issues.some((other) =>
      other.path.length > issue.path.length && issue.path.every((key, index) => other.path[index] === key)
    )
    if (deeper && issue.path.length > 0) continue
    const known = places.get(path)
    if (known === undefined) {
      places.set(path, {
        issue: { path, found: found(valueAt(input, issue.path)), allowed: "" },
        allowed: new Set([allowedBy(issue)])
      })
    } else {
      known.allowed.add(allowedBy(issue))
    }
  }
  return [...places.values()].map(({ allowed, issue }) => ({
    ...issue,
    allowed: [...allowed].filter((words) => words !== "").join(" or ")
  }))
}
