/** What a request will probably cost, before it is sent: enough for a limiter, which settles with the truth. */
import type * as LanguageModel from "../../model/LanguageModel.ts"
import * as Prompt from "../../model/Prompt.ts"

/**
 * English text has about four characters a token. Source:
 * https://help.openai.com/en/articles/4936856-what-are-tokens-and-how-to-count-them
 */
const charactersPerToken = 4

/** What an image costs at least at a usual size, in tokens. */
const tokensPerImage = 765

/** What a reply costs when the request does not bound it. */
const usualReply = 500

const lengthOf = (message: Prompt.Message): number =>
  message._tag === "System"
    ? message.content.length
    : message.content.reduce((sum, part) => {
      switch (part._tag) {
        case "Text":
        case "Reasoning":
          return sum + part.text.length
        case "Image":
          return sum + tokensPerImage * charactersPerToken
        case "ToolCall":
          return sum + part.name.length + part.arguments.length
        case "ProviderPart":
          return sum + part.providerMetadata.length
        case "ToolResult":
          return sum + part.content.length
      }
    }, 0)

/** Tokens of the prompt, the tools and the longest reply that is allowed. */
export const tokens = (request: LanguageModel.Request): number => {
  const prompt = Prompt.make(request.prompt).messages.reduce((sum, message) => sum + lengthOf(message), 0)
  const tools = (request.tools?.definitions ?? [])
    .reduce((sum, tool) => sum + JSON.stringify(tool.parameters).length + (tool.description?.length ?? 0), 0)
  return Math.ceil((prompt + tools) / charactersPerToken) + (request.maxOutputTokens ?? usualReply)
}
