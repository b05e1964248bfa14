/** The words for tool-call errors, short enough and plain enough to be read by a person or by a model. */
import { excerpt, visible, visibleInQuotes, visibleLines } from "../../internal/redact.ts"

/** How many issues, suggestions or names are spelled out before the rest is only counted. */
export const shownIssues = 10

const shownNames = 20
const shownValue = 80
const shownMessage = 300
const shownPath = 120

/** A name or a value as data: in quotation marks, on one line, clipped. */
export const quote = (text: string): string => visibleInQuotes(JSON.stringify(excerpt(text, shownValue)))

const oneLine = (text: string): string => text.replace(/\s+/g, " ").trim()

/** `filter.dates[0]`; keys that are not plain words are put in brackets and quotes. */
export const showPath = (path: ReadonlyArray<string | number>): string =>
  path.length === 0 ? "the arguments" : excerpt(
    path.map((step, index) =>
      typeof step === "number"
        ? `[${step}]`
        : /^[A-Za-z_$][\w$-]{0,63}$/.test(step)
        ? `${index === 0 ? "" : "."}${step}`
        : `[${quote(step)}]`
    ).join(""),
    shownPath
  )

const list = (names: ReadonlyArray<string>): string => {
  const shown = names.slice(0, shownNames).map((name) => visible(excerpt(name, shownValue))).join(", ")
  return names.length > shownNames ? `${shown} and ${names.length - shownNames} more` : shown
}

export const unknownTool = (error: {
  readonly name: string
  readonly available: ReadonlyArray<string>
  readonly suggestions: ReadonlyArray<string>
}): string => {
  const suggestion = error.suggestions[0]
  return [
    `There is no tool named ${quote(error.name)}.`,
    ...(suggestion === undefined ? [] : [`Did you mean ${quote(suggestion)}?`]),
    error.available.length === 0
      ? "No tools are available: answer without calling one."
      : `Available tools: ${list(error.available)}. Call one of them by its exact name.`
  ].join(" ")
}

const remedies = {
  Syntax:
    "Send one JSON object and nothing round it: double quotes round keys and strings, backslashes doubled, no comments, no trailing commas, and line breaks in strings written as \\n.",
  TrailingContent: "Send exactly one JSON object and nothing behind it; put several calls into several tool calls.",
  TooDeep: "Send arguments with less nesting (at most 256 levels).",
  TooLarge: "Send shorter arguments.",
  Empty: "This tool needs arguments: send one JSON object.",
  NotAnObject: "Send one JSON object, not an array, a string or another value.",
  Truncated: "Send the whole JSON object again, shorter if it may have been cut off."
} as const

const faults = {
  Syntax: "are not valid JSON",
  TrailingContent: "have more text behind the JSON",
  TooDeep: "are nested too deeply",
  TooLarge: "are too large",
  Empty: "are empty",
  NotAnObject: "are not a JSON object",
  Truncated: "end in the middle of the JSON"
} as const

export const malformedArguments = (error: {
  readonly tool: string
  readonly reason: keyof typeof faults
  readonly offset: number
  readonly line: number
  readonly column: number
  readonly excerpt: string
}): string => {
  const placed = error.reason !== "Empty" && error.reason !== "NotAnObject" && error.reason !== "TooLarge"
  return [
    `The arguments of ${quote(error.tool)} ${faults[error.reason]}`,
    error.reason === "TooLarge" ? ` (more than ${error.offset} characters)` : "",
    placed
      ? ` at line ${error.line}, column ${error.column}: ${
        visibleInQuotes(JSON.stringify(excerpt(error.excerpt, 2 * shownValue)))
      }`
      : "",
    `. ${remedies[error.reason]}`
  ].join("")
}

const hazards = {
  DuplicateKey: ["the key %s stands twice in one object", "Write every key once."],
  ProtoKey: ["the key %s is not allowed", "Leave it out."],
  UnsafeNumber: [
    "the number at %s is too large to be kept exactly",
    "Send a smaller number, or a string if the tool takes one."
  ],
  LoneSurrogate: [
    "the text at %s holds half a character (a lone surrogate)",
    "Write the whole character, or leave it out."
  ]
} as const

export const hazardousArguments = (error: {
  readonly tool: string
  readonly hazard: keyof typeof hazards
  readonly path: ReadonlyArray<string | number>
}): string => {
  const [fault, remedy] = hazards[error.hazard]
  return `The arguments of ${quote(error.tool)} cannot be taken: ${
    fault.replace("%s", () => showPath(error.path))
  }. ${remedy}`
}

export const truncatedArguments = (error: { readonly tool: string; readonly finishReason: string }): string =>
  `The call of ${
    quote(error.tool)
  } was not run: the reply ended early (finish reason "${error.finishReason}"), so the call may be incomplete. ${
    error.finishReason === "length"
      ? "Send the call again with shorter arguments, or split the work over several calls."
      : "Send the whole call again."
  }`

export const duplicateCallId = (error: {
  readonly callId: string
  readonly tool: string
  readonly calls: number
}): string =>
  `The call of ${quote(error.tool)} was not run: ${error.calls} calls of the reply have the same id ${
    quote(error.callId)
  }, so their results could not be told apart. Send the calls again, one in each reply.`

interface Issue {
  readonly path: ReadonlyArray<string | number>
  readonly message: string
}

/** One line for each place; several messages about one place are told together. */
const byPath = (issues: ReadonlyArray<Issue>): ReadonlyArray<string> => {
  const places = new Map<string, Array<string>>()
  for (const issue of issues) {
    const path = showPath(issue.path)
    const message = excerpt(oneLine(issue.message), shownMessage)
    const known = places.get(path)
    if (known === undefined) places.set(path, [message])
    else if (!known.includes(message)) known.push(message)
  }
  return [...places].map(([path, messages]) => `- ${path}: ${excerpt(messages.join("; or "), 2 * shownMessage)}`)
}

export const invalidArguments = (error: {
  readonly tool: string
  readonly issues: ReadonlyArray<Issue>
  readonly omitted: number
}): string => {
  const lines = byPath(error.issues)
  const rest = lines.length - Math.min(lines.length, shownIssues) + error.omitted
  return visibleLines([
    `The arguments of ${quote(error.tool)} do not fit the tool:`,
    ...lines.slice(0, shownIssues),
    ...(rest > 0 ? [`… and ${rest} more.`] : []),
    "Send the call again with these corrected."
  ])
}
