/**
 * Parts of a stream as server-sent events, for a browser's `EventSource`: `event` is the part's `_tag`, `data` its JSON, and
 * `id` how far the client got, `attempt/number`.
 * Source: https://html.spec.whatwg.org/multipage/server-sent-events.html
 */
import * as Schema from "effect/Schema"
import * as StreamPart from "../../model/StreamPart.ts"

const encode = Schema.encodeSync(StreamPart.StreamPart)

/** What the provider told of the account that asks is nothing for its clients. */
const forClients = (part: StreamPart.StreamPart): unknown => {
  if (part._tag === "TextDelta" || part._tag === "ReasoningDelta") return part
  if (part._tag !== "Start") return encode(part)
  const { rateLimit: _, ...start } = part
  return encode(start)
}

const event = (tag: string, data: unknown): string => `event: ${tag}\ndata: ${JSON.stringify(data)}\n\n`

/** One part. */
export const partEvent = (part: StreamPart.StreamPart, attempt: number, number: number): string =>
  `id: ${attempt}/${number}\n${event(part._tag, forClients(part))}`

/** The end of a reply that failed: by the name of the error alone, because its text may be nothing for clients. */
export const errorEvent = (name: string, attempt: number, number: number): string =>
  `id: ${attempt}/${number}\n${event("Error", { _tag: "Error", error: name })}`

/** The client has to forget what it has and ask anew; it has no id, so a client that does not ask anew gets it again. */
export const missedEvent = (message: string): string => event("Missed", { _tag: "Missed", reason: message })

/** A comment: it keeps proxies from cutting a connection that is silent. */
export const heartbeat = ":\n\n"

/** After how long the client comes back when its connection broke. */
export const retryAfter = (millis: number): string => `retry: ${Math.round(millis)}\n\n`

/** The number in the id of an event; `undefined` for what is no such id. */
export const numberOf = (lastEventId: string): number | undefined => {
  const [, number] = /^\d{1,15}\/(\d{1,15})$/.exec(lastEventId) ?? []
  return number === undefined ? undefined : Number(number)
}
