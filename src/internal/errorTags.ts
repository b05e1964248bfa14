/**
 * The tags of errors that this package and its surroundings fail with. A tag that is nearly one of them is a slip of the
 * pen: a rule for it would never apply, and nobody would hear of it. A test holds the list against the classes.
 */
import { distance } from "fastest-levenshtein"
import type { CheckFault } from "./form.ts"

export const errorTags: ReadonlyArray<string> = [
  // ModelError
  "RateLimited",
  "QuotaExhausted",
  "RequestTooLarge",
  "ContextLengthExceeded",
  "ContentFiltered",
  "Authentication",
  "PermissionDenied",
  "ModelNotFound",
  "InvalidRequest",
  "UnsupportedFeature",
  "Overloaded",
  "ServerError",
  "ConnectionFailed",
  "MalformedResponse",
  "InvalidToolCall",
  "Truncated",
  "ResumeExpired",
  "EmptyReply",
  "UnknownError",
  // PolicyError
  "CircuitOpen",
  "BulkheadFull",
  "RateLimitExceeded",
  "Throttled",
  "TimedOut",
  "SpendLimitExceeded",
  "RetriesExhausted",
  "PlanExhausted",
  "StreamBroken",
  // ToolCallError
  "UnknownTool",
  "MalformedArguments",
  "HazardousArguments",
  "TruncatedArguments",
  "DuplicateCallId",
  "InvalidArguments",
  "WrittenAsText",
  "ToolCallsRejected",
  // AnswerError, and the kinds of an InvalidAnswer
  "InvalidAnswer",
  "ObjectRejected",
  "NoAnswer",
  "SeveralAnswers",
  "Withheld",
  "InvalidOptions",
  // RelayError
  "ReplayMissed",
  "RelayFull",
  // PriceError
  "UnknownPrice",
  // JournalError
  "JournalError",
  // BatchError
  "Skipped",
  "ItemDied",
  "InvalidLine",
  "Unanswered",
  "JobFailed",
  "JobUncertain",
  // Effect and @effect/platform
  "TimeoutException",
  "RequestError",
  "ResponseError",
  "ParseError",
  "NoSuchElementException",
  "IllegalArgumentException",
  "UnknownException"
]

const known = new Set(errorTags)

/** Whether a tag is one of ours or of our surroundings; any other is that of an error of the user's own. */
export const isKnownTag = (tag: string): boolean => known.has(tag)

/** A tag for people. One that is none of ours is called so: it may be a slip of the pen. */
export const tagWords = (tag: string): string => isKnownTag(tag) ? tag : `your own ${tag}`

/** Two letters that changed places are two edits, and so are one missing and one wrong. */
const mostEdits = 2

/** What is told of a tag that is nearly one of ours: a rule for it would never apply, and nobody would hear of it. */
export const misspelt = (tag: string): ReadonlyArray<CheckFault> => {
  const meant = meantTag(tag)
  return meant === undefined ? [] : [{ path: [], allowed: `"${meant}"; no error has the tag that was written` }]
}

/** The known tag that was meant by one that is nearly the same; `undefined` for a known one and for one that is not near. */
export const meantTag = (tag: string): string | undefined => {
  if (known.has(tag)) return undefined
  // Nothing near can differ more in length, and a very long text is not worth the comparison.
  const near = errorTags.filter((each) => Math.abs(each.length - tag.length) <= mostEdits)
  const lower = tag.toLowerCase()
  let meant: string | undefined
  let fewest = mostEdits + 1
  for (const each of near) {
    const edits = distance(lower, each.toLowerCase())
    if (edits < fewest) [meant, fewest] = [each, edits]
  }
  return meant
}
