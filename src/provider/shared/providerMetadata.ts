/**
 * How a provider's own state is written into a part (`providerMetadata` of `Prompt.TextPart`, `ReasoningPart` and `ToolCallPart`):
 *
 *     anthropic/anthropic:signature:EqQBCgIYAhIM…
 *     responses/openai:reasoning:{"id":"rs_1","summary":[],"encrypted_content":"gAAAA…"}
 *     gemini/google:signature:CiMBjz1r…
 *
 * The protocol, the `provider` of the model's options, what it is, and then the state to the letter. It is read by the same
 * protocol under the same provider name alone; to all others it is nothing, so a prompt can move between them.
 */
import { readJson } from "../../internal/readJson.ts"
import { type Fields, isRecord } from "../../internal/record.ts"

/** The protocols that have such state. */
export type Protocol = "anthropic" | "responses" | "gemini" | "chat"

/** Neither a colon nor a slash of a name ("openai-compatible:vllm") may be taken for ours. */
const prefix = (protocol: Protocol, provider: string): string =>
  `${protocol}/${provider.replace(/[%:/]/g, (sign) => `%${sign.charCodeAt(0).toString(16)}`)}:`

export const write = (protocol: Protocol, provider: string, kind: string, state: string): string =>
  `${prefix(protocol, provider)}${kind}:${state}`

/** What this provider wrote under this kind, or nothing. */
export const read = (
  protocol: Protocol,
  provider: string,
  kind: string,
  providerMetadata: string | undefined
): string | undefined => {
  const start = `${prefix(protocol, provider)}${kind}:`
  return providerMetadata?.startsWith(start) === true ? providerMetadata.slice(start.length) : undefined
}

/** State that is a JSON object, as it stood; nothing where a stored prompt holds something else. */
export const recordIn = (json: string | undefined): Fields | undefined => {
  try {
    const read = json === undefined ? undefined : readJson(json)
    return isRecord(read) ? read : undefined
  } catch {
    return undefined
  }
}
