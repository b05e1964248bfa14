/**
 * What a rate limiter is told of a call of a model: what it will probably cost, what it did cost, and what the reply said
 * of the provider's limits.
 */
import * as Effect from "effect/Effect"
import type * as LanguageModel from "../../model/LanguageModel.ts"
import * as Prompt from "../../model/Prompt.ts"
import * as RateLimitInfo from "../../model/RateLimitInfo.ts"
import type { Usage } from "../../model/Usage.ts"
import * as Pipeline from "../../policy/Pipeline.ts"
import * as RateLimiter from "../../policy/RateLimiter.ts"

/** Tells the limiter what a reply told about the limits, so that it need not find out by being refused. */
export type Learn = (rateLimit: RateLimitInfo.RateLimitInfo | undefined) => Effect.Effect<void>

const learnNothing: Learn = () => Effect.void

/** For a call that is sent now, since what remains is told as of then. */
export const learning = (pipeline: Pipeline.Pipeline): Effect.Effect<Learn> => {
  const { rateLimiter } = Pipeline.policies(pipeline)
  if (rateLimiter === undefined) return Effect.succeed(learnNothing)
  return Effect.map(RateLimiter.moment(rateLimiter), (sent): Learn => (rateLimit) => {
    const learned = rateLimit === undefined ? {} : RateLimitInfo.perMinute(rateLimit)
    return Object.keys(learned).length === 0 ? Effect.void : RateLimiter.learn(rateLimiter, { ...learned, sent })
  })
}

/** Tokens before they are known, and once they are. */
export interface TokenCost {
  readonly tokens: number
  readonly actual: (usage: Usage) => number
}

/** What the call costs; nothing where no limiter asks. */
export const costOf = (pipeline: Pipeline.Pipeline, request: LanguageModel.Request): TokenCost | undefined => {
  if (Pipeline.policies(pipeline).rateLimiter === undefined) return undefined
  const { prompt, reply } = estimatedTokens(request)
  const tokens = prompt + reply
  // A provider that tells no usage leaves the estimate standing.
  return { tokens, actual: ({ totalTokens }) => totalTokens > 0 ? totalTokens : tokens }
}

// What a request will probably cost, before it is sent: enough for a limiter, which settles with the truth.

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

/** Tokens of the prompt with its tools, and of the longest reply that is allowed. */
export const estimatedTokens = (
  request: LanguageModel.Request
): { readonly prompt: number; readonly reply: number } => {
  const prompt = Prompt.make(request.prompt).messages.reduce((sum, message) => sum + lengthOf(message), 0)
  const tools = (request.tools?.definitions ?? [])
    .reduce((sum, tool) => sum + JSON.stringify(tool.parameters).length + (tool.description?.length ?? 0), 0)
  return { prompt: Math.ceil((prompt + tools) / charactersPerToken), reply: request.maxOutputTokens ?? usualReply }
}
