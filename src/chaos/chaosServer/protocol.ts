/** What a wire protocol is to the chaos server: how a request is read, and how replies, streams and refusals are written. */
import type * as Either from "effect/Either"
import type { Fault } from "../Fault.ts"
import type { Refusal as LimitRefusal } from "./limits.ts"

/** The protocols that the server speaks. */
export const protocolNames = ["openai-chat", "openai-responses", "anthropic", "gemini"] as const

export type ProtocolName = (typeof protocolNames)[number]

type Headers = Readonly<Record<string, string>>

/** A whole HTTP reply. */
export interface Reply {
  readonly _tag: "Reply"
  readonly status: number
  readonly headers: Headers
  readonly body: string
}

/** A tool call in a request's history. Where the wire has no id, it is the empty text. */
export interface ToolCall {
  readonly id: string
  readonly name: string
  readonly arguments: string
}

export interface Message {
  /** `tool` for a message that answers calls, whatever the wire calls it. */
  readonly role: "system" | "user" | "assistant" | "tool"
  readonly text: string
  readonly images: number
  readonly toolCalls: ReadonlyArray<ToolCall>
}

export interface Tool {
  readonly name: string
  /** A JSON Schema in the dialect of the wire. */
  readonly parameters: unknown
}

/** How a stream is framed. */
export type Framing = "events" | "array"

/** What the address of a request says already. */
export interface Route {
  readonly model: string | undefined
  readonly stream: boolean | undefined
  readonly framing?: Framing | undefined
}

/** A request, whatever the wire it came by. */
export interface ModelRequest {
  readonly model: string
  readonly messages: ReadonlyArray<Message>
  readonly tools: ReadonlyArray<Tool>
  readonly toolChoice: "auto" | "none" | "required" | { readonly name: string }
  readonly parallel: boolean
  readonly maxTokens: number | undefined
  readonly stream: boolean
  /** Whether a stream is to tell its usage, where the wire lets the client choose. */
  readonly includeUsage: boolean
  /** The JSON Schema that the text of the reply is to follow, where structured output was asked for. */
  readonly output: unknown
  /** Asks for a reply that is made in the background and kept; absent where the wire has none. */
  readonly background?: { readonly store: boolean } | undefined
  /** Whether a stream comes as events or as one JSON array, where the address of the request chooses. Absent: as events. */
  readonly framing?: Framing | undefined
}

/** What one call of the model says, with the price. Ids are bare hex: the protocol puts its own prefix before them. */
export interface Completion {
  readonly id: string
  readonly model: string
  /** Seconds since 1970. */
  readonly created: number
  readonly text: string | undefined
  /** `arguments` is raw text and may be broken on purpose. */
  readonly toolCalls: ReadonlyArray<{ readonly id: string; readonly name: string; readonly arguments: string }>
  readonly finishReason: "stop" | "length" | "tool-calls"
  /** Whether the request named the tool to call, which some vendors tell in their reason to finish. */
  readonly forced?: boolean | undefined
  readonly promptTokens: number
  readonly completionTokens: number
}

/** A piece of a stream as it goes over the wire, its blank line included. */
export interface Frame {
  /** `start` comes before all content, `finish` says how the reply ended, `end` is what may follow it (`[DONE]`, usage). */
  readonly kind: "start" | "content" | "finish" | "end"
  readonly text: string
  /** It was made before the connection asked for it, so it comes without a pause. */
  readonly isMade?: boolean | undefined
}

/** What is asked about a reply that is kept. */
export interface KeptRoute {
  readonly id: string
  /** `after` is the number of the last event that the client has; -1 for all events. */
  readonly action: { readonly _tag: "Stream"; readonly after: number } | { readonly _tag: "Look" } | {
    readonly _tag: "Cancel"
  }
}

/** How far a reply that is kept has come. */
export type KeptStatus = "queued" | "in_progress" | "completed" | "cancelled"

/** Why a reply that is kept is not given. */
export type KeptFailure =
  | { readonly _tag: "Unknown"; readonly id: string }
  | { readonly _tag: "TooOld" }
  | { readonly _tag: "NotStreamed" }
  | { readonly _tag: "NoRetention" }

/** How a wire keeps replies that are made in the background, and speaks of them. */
export interface Keeping {
  readonly route: (method: string, path: string, query: URLSearchParams) => KeptRoute | undefined
  /** The id of a reply on the wire. */
  readonly idOf: (said: Completion) => string
  /** The reply as it stands. */
  readonly look: (said: Completion, request: ModelRequest, status: KeptStatus) => Reply
  readonly failure: (failure: KeptFailure) => Reply
}

/** Why a request is refused, or what goes wrong instead of a reply. */
export type Failure =
  | { readonly _tag: "MissingKey" }
  /** `shown` is what may be told of the key. */
  | { readonly _tag: "WrongKey"; readonly shown: string }
  | { readonly _tag: "UnknownModel"; readonly model: string }
  | { readonly _tag: "UnknownUrl"; readonly method: string; readonly url: string }
  | { readonly _tag: "BodyTooLarge" }
  /** A tool whose arguments cannot be made up. */
  | { readonly _tag: "UnknownSchema"; readonly tool: string }
  /** The server's own limits. */
  | { readonly _tag: "Limited"; readonly model: string; readonly refusal: LimitRefusal }
  /** The 429 of a plan: the wait, in milliseconds, is told in the given form and nowhere else. */
  | {
    readonly _tag: "RateLimited"
    readonly model: string
    readonly hint: Extract<Fault, { _tag: "RateLimited" }>["hint"]
    readonly wait: number
    readonly now: number
  }
  | { readonly _tag: "Quota"; readonly model: string }
  | {
    readonly _tag: "ServerError"
    readonly status: Extract<Fault, { _tag: "ServerError" }>["status"]
    readonly id: string
  }

/** One wire protocol. All of it is pure. */
export interface Protocol {
  readonly name: ProtocolName
  /** What the path of a request to the model says: `undefined` where the path is another's. */
  readonly route: (method: string, path: string, query: URLSearchParams) => Route | undefined
  /** The key as this wire sends it. */
  readonly key: (headers: Headers, query: URLSearchParams) => string | undefined
  /** The request, or the refusal that the real service would send. Model and stream may come from the path. */
  readonly read: (body: string, path: Route) => Either.Either<ModelRequest, Reply>
  readonly failure: (failure: Failure) => Reply
  readonly reply: (said: Completion, request: ModelRequest) => Reply
  /** A reply that is well formed and holds no answer (no choices, no candidates, no content). */
  readonly empty: (said: Completion, request: ModelRequest) => Reply
  /** The headers of a stream and its frames, from the first to the last. */
  readonly stream: (said: Completion, request: ModelRequest) => {
    readonly headers: Headers
    readonly frames: ReadonlyArray<Frame>
  }
  /** An error inside a stream of status 200, as the frame that ends it: in place of the stream, or after some of it. */
  readonly errorFrame: (
    kind: "overloaded" | "server" | "rate-limit",
    said: Completion,
    request: ModelRequest,
    when: "first" | "late"
  ) => string
  /** A content frame whose JSON is broken. */
  readonly brokenFrame: (said: Completion, request: ModelRequest) => string
  /** Absent where the wire keeps nothing. */
  readonly keeping?: Keeping | undefined
}
