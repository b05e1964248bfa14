/** The wire protocols of the server, and which of them an exchange speaks. */
import { anthropic } from "./anthropic/protocol.ts"
import { gemini } from "./gemini/protocol.ts"
import { chat } from "./openAiChat/protocol.ts"
import { responses } from "./openAiResponses/protocol.ts"
import type { Keeping, KeptRoute, Protocol, ProtocolName, Route } from "./protocol.ts"

const protocols: ReadonlyArray<Protocol> = [chat, responses, anthropic, gemini]

/** What is asked, in which protocol. */
export interface Asked {
  readonly protocol: Protocol
  readonly path: Route
}

/** The protocol whose address of a model this is. */
export const asked = (method: string, path: string, query: URLSearchParams): Asked | undefined => {
  for (const protocol of protocols) {
    const route = protocol.route(method, path, query)
    if (route !== undefined) return { protocol, path: route }
  }
  return undefined
}

/** What is asked about a reply that is kept. */
export interface KeptAsked {
  readonly protocol: Protocol
  readonly keeping: Keeping
  readonly route: KeptRoute
}

export const keptAsked = (method: string, path: string, query: URLSearchParams): KeptAsked | undefined => {
  for (const protocol of protocols) {
    const { keeping } = protocol
    const route = keeping?.route(method, path, query)
    if (keeping !== undefined && route !== undefined) return { protocol, keeping, route }
  }
  return undefined
}

const byName = (name: ProtocolName): Protocol => protocols.find((protocol) => protocol.name === name) ?? chat

/** Whose words an address that nobody has is refused with. */
export const nearest = (path: string, headers: Readonly<Record<string, string>>): Protocol =>
  path.startsWith("/v1beta")
    ? byName("gemini")
    : path.startsWith("/v1/messages") || headers["anthropic-version"] !== undefined
    ? byName("anthropic")
    : path.startsWith("/v1/responses")
    ? byName("openai-responses")
    : chat
