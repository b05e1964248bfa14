/** Turns that a provider ends in the middle of its own work, to be sent back and gone on with. */
import * as Prompt from "../../model/Prompt.ts"
import * as Response from "../../model/Response.ts"

/** How often a turn may be paused where nothing else bounds the requests: as many as a tool loop has steps by default. */
export const mostPauses = 20

/** Anthropic ends a long turn of its own tools in the middle: sent back as it is, the turn goes on. */
export const isPause = ({ rawFinishReason }: Response.Response): boolean => rawFinishReason === "pause_turn"

/** The conversation with the turn so far. */
export const withPause = (prompt: Prompt.Prompt, response: Response.Response): Prompt.Prompt =>
  response.parts.length === 0 ? prompt : Prompt.append(prompt, Response.toMessage(response))
