/** What the server reads off a request, whatever the wire it came by. */
import type { ModelRequest } from "./protocol.ts"

/** About four characters of English make a token; roles and separators cost three more for each message. */
export const promptTokens = (request: ModelRequest): number =>
  request.messages.reduce(
    (sum, message) =>
      sum + 3 + message.images * 85 +
      Math.ceil((message.text.length + message.toolCalls.reduce((n, call) => n + call.arguments.length, 0)) / 4),
    3 + Math.ceil(JSON.stringify(request.tools).length / 4)
  )

/** The text that names the request: that of its first user message, else that of its first message. */
export const firstUserText = (request: ModelRequest): string =>
  (request.messages.find((message) => message.role === "user") ?? request.messages[0])?.text ?? ""
