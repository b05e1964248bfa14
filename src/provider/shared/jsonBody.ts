/** The body of a whole reply: JSON that was read, or the error that says why it is none; and its simplest fields. */
import * as Either from "effect/Either"
import * as ModelError from "../../error/ModelError.ts"
import { type Fields, isRecord } from "../../internal/record.ts"
import * as strictJson from "../../internal/strictJson.ts"
import type * as Response from "../../model/Response.ts"
import { type Facts, header, type Incoming } from "./httpExchange.ts"

export const malformed = (facts: Facts, body: string, reason: string): Either.Either<never, ModelError.ModelError> =>
  Either.left(new ModelError.MalformedResponse({ ...facts, body, reason }))

/** Text that stops inside a value was cut; text that is wrong somewhere was never JSON. */
export const parse = (incoming: Incoming, facts: Facts): Either.Either<unknown, ModelError.ModelError> => {
  const { text } = incoming
  const read = strictJson.parse(text, { maxLength: text.length })
  if (Either.isRight(read)) return Either.right(read.right.value)
  const fault = read.left
  if (fault.reason === "Truncated") {
    return Either.left(
      new ModelError.Truncated({
        ...facts,
        received: text,
        cause: { name: "IncompleteJson", message: `the body ends inside a JSON value, after ${text.length} characters` }
      })
    )
  }
  if (fault.reason === "Empty") return malformed(facts, text, "the body is empty")
  const type = header(incoming.headers, "content-type")
  return malformed(
    facts,
    text,
    `the body is not JSON (${fault.reason} at line ${fault.line}, column ${fault.column}${
      type === undefined ? "" : `; content-type ${type}`
    })${/^\s*</.test(text) ? "; it looks like an HTML page: check that the base URL is an API" : ""}`
  )
}

/** A count of tokens, whole and exact; anything senseless is none. */
export const count = (value: unknown): number | undefined =>
  typeof value === "number" && Number.isFinite(value) && value >= 0
    ? Math.min(Math.trunc(value), Number.MAX_SAFE_INTEGER)
    : undefined

/** The same of a field of a field: `countIn(usage, "prompt_tokens_details", "cached_tokens")`. */
export const countIn = (fields: Fields, holder: string, field: string): number | undefined => {
  const held = fields[holder]
  return isRecord(held) ? count(held[field]) : undefined
}

/** A text that says something. */
export const nonBlank = (value: unknown): string | undefined =>
  typeof value === "string" && value.trim() !== "" ? value : undefined

/** The arguments of a tool call: nothing at all is what a tool without parameters is called with. */
export const orEmptyObject = (json: string): string => json.trim() === "" ? "{}" : json

/** Whether a part holds something of the answer; a provider's own state alone is nothing that was said. */
export const saysSomething = (part: Response.Part): boolean =>
  part._tag === "ToolCall" || (part._tag !== "ProviderPart" && part.text !== "")
