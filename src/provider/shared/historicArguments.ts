/** Arguments of earlier calls, as a request repeats them to the model. */
import * as Either from "effect/Either"
import { type Fields, isRecord } from "../../internal/record.ts"
import * as strictJson from "../../internal/strictJson.ts"

/**
 * For an API that takes them as text. Several servers (vLLM among them) parse the arguments in the history and refuse the
 * whole request when they are not a JSON object, so broken ones are sent as the text they are, inside an object.
 */
export const historicArguments = (raw: string): string => {
  if (raw.trim() === "") return "{}"
  try {
    return isRecord(JSON.parse(raw)) ? raw : JSON.stringify({ invalid_arguments: raw })
  } catch {
    return JSON.stringify({ invalid_arguments: raw })
  }
}

/** JSON that means what was written; with repeated keys or rounded numbers it is better sent as the text it is. */
export const exactJson = (text: string): unknown => {
  const read = strictJson.parse(text, { maxLength: text.length })
  return Either.isRight(read) && read.right.hazards.length === 0 ? read.right.value : undefined
}

/** For an API that takes them as an object: what an object cannot carry to the letter is sent as text inside one. */
export const historicObject = (raw: string): Fields => {
  if (raw.trim() === "") return {}
  const read = exactJson(raw)
  return isRecord(read) ? read : { invalid_arguments: raw }
}
