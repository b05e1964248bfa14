/** Our own client of each wire protocol, pointed at a chaos server. */
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import type * as HttpClient from "@effect/platform/HttpClient"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type * as ChaosServer from "../../src/chaos/ChaosServer.ts"
import * as Fault from "../../src/chaos/Fault.ts"
import * as Tool from "../../src/model/Tool.ts"
import * as Toolkit from "../../src/model/Toolkit.ts"
import * as Anthropic from "../../src/provider/Anthropic.ts"
import * as Gemini from "../../src/provider/Gemini.ts"
import * as OpenAiChat from "../../src/provider/OpenAiChat.ts"
import * as OpenAiResponses from "../../src/provider/OpenAiResponses.ts"

const settings = (server: ChaosServer.Service, baseUrl: string, model: string) => ({
  model,
  baseUrl,
  apiKey: Redacted.make(server.apiKey)
})

/** Breaks 30 % of the streams in their middle; a stall has no end. No 429: that empties a limiter's bucket. */
export const breaksInTheMiddle = Fault.storm({
  seed: 12,
  streams: {
    cuts: 0.1,
    stallsMid: { probability: 0.1 },
    errors: { probability: 0.1, when: ["late"], kinds: ["overloaded", "server"] }
  }
})

/** How a client writes the schemas of tools: as they are, or as its vendor wants them. */
export type Spelling = "plain" | "own"

const clients = {
  "openai-chat": (server: ChaosServer.Service, spelling: Spelling) =>
    OpenAiChat.make({
      ...settings(server, server.baseUrls.openAiChat, "gpt-4o-mini"),
      dialects: { tools: spelling === "own" ? "openai-strict" : "plain" }
    }),
  "openai-responses": (server: ChaosServer.Service, spelling: Spelling) =>
    OpenAiResponses.make({
      ...settings(server, server.baseUrls.openAiResponses, "gpt-4o-mini"),
      dialects: { tools: spelling === "own" ? "openai-strict" : "plain" }
    }),
  "anthropic": (server: ChaosServer.Service, spelling: Spelling) =>
    Anthropic.make({
      ...settings(server, server.baseUrls.anthropic, "claude-sonnet-4-5"),
      dialects: { tools: spelling === "own" ? "anthropic" : "plain" }
    }),
  "gemini": (server: ChaosServer.Service, spelling: Spelling) =>
    Gemini.make({
      ...settings(server, server.baseUrls.gemini, "gemini-2.5-flash"),
      dialects: { tools: spelling === "own" ? "gemini" : "plain" }
    })
}

export type WireName = keyof typeof clients

export const wireNames = ["openai-chat", "openai-responses", "anthropic", "gemini"] as const

/** The model behind that protocol. */
export const modelOf = (
  server: ChaosServer.Service,
  wire: WireName,
  spelling: Spelling = "plain",
  client: Layer.Layer<HttpClient.HttpClient> = FetchHttpClient.layer
) => Effect.provide(clients[wire](server, spelling), client)

/**
 * The faults as a server has to deal them to calls in sequence. A reset without a byte, on a connection that had answered
 * before, looks like the closing race of such connections: our client sends the request once more, and meets the next fault.
 */
export const dealt = (faults: ReadonlyArray<Fault.Fault>): ReadonlyArray<Fault.Fault> =>
  faults.flatMap((fault) => fault._tag === Fault.resetBeforeBody._tag ? [fault, fault] : [fault])

/** What the server's model says to anything that asks for no tool. */
export const answer = "Here is a short answer to your question, made up by a server that only pretends to think."

/** One tool, with what may go wrong in arguments. */
export const kit = Toolkit.make(
  Tool.make("book_flight", {
    parameters: Schema.Struct({
      from: Schema.String,
      passengers: Schema.Int.pipe(Schema.between(1, 9)),
      legs: Schema.Array(Schema.Struct({ to: Schema.String, cabin: Schema.Literal("economy", "business") }))
    })
  })
)
