/** The words for answers that cannot be taken, short enough and plain enough to be read by a person or by a model. */
import { excerpt, visibleInQuotes, visibleLines } from "../../internal/redact.ts"
import { quote, shownIssues, showPath } from "../shared/toolCallText.ts"
import type { Issue, MalformedArguments, ToolCallError } from "../ToolCallError.ts"

const shownExcerpt = 160
const shownMessage = 600

const malformed = {
  Syntax: [
    "is not valid JSON",
    "Send one JSON object and nothing round it: double quotes round keys and strings, backslashes doubled, no " +
    "comments, no trailing commas, and line breaks in strings written as \\n."
  ],
  TrailingContent: ["has more text behind the JSON", "Send exactly one JSON object and nothing behind it."],
  TooDeep: ["is nested too deeply", "Send an answer with less nesting (at most 256 levels)."],
  TooLarge: ["is too large", "Send a shorter answer."],
  Empty: ["is empty", "Send one JSON object."],
  NotAnObject: ["is not a JSON object", "Send one JSON object, not an array, a string or another value."],
  Truncated: [
    "ends in the middle of the JSON",
    "Send the whole JSON object again, shorter if it may have been cut off."
  ]
} as const

const hazards = {
  DuplicateKey: ["the key %s stands twice in one object", "Write every key once."],
  ProtoKey: ["the key %s is not allowed", "Leave it out."],
  UnsafeNumber: [
    "the number at %s is too large to be kept exactly",
    "Send a smaller number, or a string if the schema takes one."
  ],
  LoneSurrogate: [
    "the text at %s holds half a character (a lone surrogate)",
    "Write the whole character, or leave it out."
  ]
} as const

const ofMalformed = ({ column, excerpt: text, line, reason }: MalformedArguments): string => {
  const [fault, remedy] = malformed[reason]
  const isPlaced = reason !== "Empty" && reason !== "NotAnObject" && reason !== "TooLarge"
  const place = isPlaced
    ? ` at line ${line}, column ${column}: ${visibleInQuotes(JSON.stringify(excerpt(text, shownExcerpt)))}`
    : ""
  return `The answer ${fault}${place}. ${remedy}`
}

/** An answer has fields where a call has parameters. */
const ofIssue = ({ kind, message, path }: Issue): string => {
  const place = path.length === 0 ? "the answer" : showPath(path)
  const words = kind === "Unexpected"
    ? message.replace(
      /^is not a parameter; (?:the parameters here|there)/,
      (start) => start.endsWith("there") ? "is not a field; there" : "is not a field; the fields here"
    )
    : message
  return `- ${place}: ${excerpt(words.replace(/\s+/g, " ").trim(), shownMessage)}`
}

const ofIssues = (issues: ReadonlyArray<Issue>, omitted: number): string => {
  const rest = Math.max(0, issues.length - shownIssues) + omitted
  return visibleLines([
    "The answer does not fit the schema:",
    ...issues.slice(0, shownIssues).map(ofIssue),
    ...(rest > 0 ? [`… and ${rest} more.`] : []),
    "Send the whole answer again with these corrected."
  ])
}

const ofEnd = (finishReason: string): string =>
  `The reply ended early (finish reason "${finishReason}"), so the answer may be incomplete. ${
    finishReason === "length" ? "Send a shorter answer." : "Send the whole answer again."
  }`

/** What the gates of tool calls found, told of an answer. */
export const ofFault = (error: ToolCallError, output: string): string => {
  switch (error._tag) {
    case "MalformedArguments":
      return ofMalformed(error)
    case "HazardousArguments": {
      const [fault, remedy] = hazards[error.hazard]
      return `The answer cannot be taken: ${fault.replace("%s", () => showPath(error.path))}. ${remedy}`
    }
    case "TruncatedArguments":
      return ofEnd(error.finishReason)
    case "InvalidArguments":
      return ofIssues(error.issues, error.omitted)
    case "UnknownTool":
      return `There is no tool named ${quote(error.name)}. Call ${quote(output)} with your answer.`
    case "DuplicateCallId":
      return `Call ${quote(output)} exactly once.`
  }
}

/** What is wrong with a reply that the gates were not asked about. */
export const ofReply = (kind: "NoAnswer" | "SeveralAnswers" | "Withheld", output: string): string => {
  switch (kind) {
    case "NoAnswer":
      return `The reply holds no answer. Send one JSON object of the schema ${quote(output)} and nothing else.`
    case "SeveralAnswers":
      return `The reply holds several answers. Call ${quote(output)} exactly once.`
    case "Withheld":
      return "The answer was withheld (finish reason \"content-filter\")."
  }
}
