/** Arguments of earlier calls, as a request repeats them to the model. */
import { isRecord } from "../../internal/record.ts"

/**
 * Several servers (vLLM among them) parse the arguments in the history and refuse the whole request when they are not
 * a JSON object, so broken ones are sent as the text they are, inside an object.
 */
export const historicArguments = (raw: string): string => {
  if (raw.trim() === "") return "{}"
  try {
    return isRecord(JSON.parse(raw)) ? raw : JSON.stringify({ invalid_arguments: raw })
  } catch {
    return JSON.stringify({ invalid_arguments: raw })
  }
}
