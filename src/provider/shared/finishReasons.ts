/**
 * What the words mean with which servers end a reply. One table serves all protocols, because gateways hand on the words of
 * the server behind them: a chat completion may end with Gemini's `SAFETY` or Anthropic's `end_turn`.
 *
 * A word is compared by its letters alone, so `MAX_TOKENS`, `max_tokens` and `maxTokens` are one.
 */
import * as ModelError from "../../error/ModelError.ts"
import type * as Response from "../../model/Response.ts"
import type { Usage } from "../../model/Usage.ts"

/** What a word says: no end yet, a reason to finish, that no reply came of it, or something that nobody knows. */
export type Ending =
  | { readonly _tag: "None" }
  | { readonly _tag: "Finished"; readonly reason: Response.FinishReason }
  | { readonly _tag: "Failed"; readonly because: "server" | "overload" | "call" }
  | { readonly _tag: "Unknown" }

const none: Ending = { _tag: "None" }
const unknown: Ending = { _tag: "Unknown" }

const words = (list: string): ReadonlyArray<string> => list.split(/\s+/).filter((word) => word !== "")

/** Python's and JavaScript's nothing, printed as text. */
const nothing = words("none null nil undefined nan unspecified finishreasonunspecified notset notfinished inprogress")

/** `eos_token` is TGI's, `COMPLETE` Cohere's, `end_turn` Anthropic's, `finished` Hugging Face's. */
const stopped = words(
  `stop stopped stopsequence stopsequences stoptoken stoptokens stopword eos eostoken eot eotid endturn endofturn
   endofsequence endoftext end complete completed completion done finish finished normal success`
)

const cut = words(
  `length maxlength lengthlimit maxtokens maxtoken maxtokensreached maxtokenlimit maxnewtokens maxoutputtokens
   maxcompletiontokens tokenlimit tokenslimit tokenlimitreached modellength limit outputlimit errorlimit truncated
   contextlength contextlengthexceeded contextwindowexceeded contextlimit modelcontextwindowexceeded maxcontextlength
   maxcontextlengthexceeded maxmodellen`
)

const calling = words("toolcalls toolcall tooluse tooluses tool tools functioncall functioncalls function")

/** `sensitive` is Zhipu's, `ERROR_TOXIC` Cohere's, the names in capitals Google's. */
const withheld = words(
  `contentfilter contentfiltered contentfiltering contentpolicy contentpolicyviolation contentmoderation contentblocked
   sensitive sensitivecontent sensitivewords filter filtered refusal refused safety unsafe recitation blocklist block blocked
   prohibitedcontent spii imagesafety imageprohibitedcontent imagerecitation modelarmor moderation moderated censored
   guardrail guardrails guardrailintervened errortoxic toxic riskcontrol risk violation policyviolation datainspection
   datainspectionfailed jailbreak`
)

/** The server says itself that its work came to nothing. */
const failed = words(
  `error errors networkerror abort aborted cancel canceled cancelled usercancel usercancelled failed failure fail
   servererror internalerror internalservererror interrupted timeout timedout connectionerror modelerror engineerror
   unknownerror upstreamerror inferenceerror systemerror exception`
)

const crowded = words(
  "insufficientsystemresource insufficientresource insufficientresources overloaded serveroverloaded"
)

const badCalls = words("malformedfunctioncall unexpectedtoolcall toomanytoolcalls malformedtoolcall invalidtoolcall")

const finished = (
  list: ReadonlyArray<string>,
  reason: Response.FinishReason
): ReadonlyArray<readonly [string, Ending]> => list.map((word) => [word, { _tag: "Finished", reason }])

const brokenOff = (
  list: ReadonlyArray<string>,
  because: "server" | "overload" | "call"
): ReadonlyArray<readonly [string, Ending]> => list.map((word) => [word, { _tag: "Failed", because }])

const endings: ReadonlyMap<string, Ending> = new Map([
  ...nothing.map((word): readonly [string, Ending] => [word, none]),
  ...finished(stopped, "stop"),
  ...finished(cut, "length"),
  ...finished(calling, "tool-calls"),
  ...finished(withheld, "content-filter"),
  ...brokenOff(failed, "server"),
  ...brokenOff(crowded, "overload"),
  ...brokenOff(badCalls, "call")
])

/** Longer ones are sentences: no server has such a word. */
const longestWord = 100

/** What a server's word for its end says. */
export const readEnding = (word: unknown): Ending => {
  if (typeof word !== "string" || word.trim() === "") return none
  if (word.length > longestWord) return unknown
  // Gemini's OpenAI endpoint writes "function_call_filter: MALFORMED_FUNCTION_CALL".
  const letters = (text: string): string => text.toLowerCase().replace(/[^a-z]/g, "")
  return endings.get(letters(word)) ?? endings.get(letters(word.slice(word.lastIndexOf(":") + 1))) ?? unknown
}

/** The server's own word, where it is one. */
export const endingWord = (word: unknown): string | undefined =>
  typeof word === "string" && readEnding(word)._tag !== "None" ? word : undefined

/** What the reply holds, as far as its end depends on it. */
export interface Held {
  readonly hasCalls: boolean
  /** Whether the arguments of all calls are whole JSON texts: a text that was cut never is. */
  readonly areCallsWhole: boolean
}

/**
 * Why the reply ended. A finished reply with calls waits for tools, whatever the server says: OpenAI itself says `stop` when
 * a named tool was forced. A word that nobody knows says nothing against calls that are whole.
 */
export const finishReasonOf = (word: unknown, { areCallsWhole, hasCalls }: Held): Response.FinishReason => {
  const ending = readEnding(word)
  const reason = ending._tag === "Finished" ? ending.reason : "unknown"
  if (!hasCalls) return reason
  return reason === "stop" || (reason === "unknown" && areCallsWhole) ? "tool-calls" : reason
}

/** The error of a reply whose end says that nothing came of it. */
export const failureOf = (
  word: string | undefined,
  facts: {
    readonly provider: string
    readonly model?: string
    readonly requestId?: string
    readonly status?: number
  },
  usage: Usage
): ModelError.ModelError | undefined => {
  const ending = readEnding(word)
  if (ending._tag !== "Failed") return undefined
  const billed = usage.totalTokens > 0 ? "yes" : "maybe"
  const fields = { ...facts, billed, detail: `finish_reason: ${word}` } as const
  switch (ending.because) {
    case "server":
      return new ModelError.ServerError(fields)
    case "overload":
      return new ModelError.Overloaded(fields)
    case "call":
      return new ModelError.InvalidToolCall(fields)
  }
}
