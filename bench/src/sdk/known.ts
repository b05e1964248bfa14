/** Where an SDK is known to differ, and why it is not we who should change. */
import { type Answer, difference } from "./answer.ts"
import type { Wire } from "./ours.ts"

export interface Known {
  readonly wires: ReadonlyArray<Wire>
  readonly ways: ReadonlyArray<"reply" | "stream" | "helper">
  readonly cases: ReadonlyArray<string>
  /** What the SDK makes of it: the tag of its error, or the finish of its reply. */
  readonly sdk: string
  readonly ours: string
  readonly reason: string
  /** It depends on how the network cuts the bytes; the SDK is right at other times. */
  readonly sometimes?: true
}

const cutCleanly = ["cut, closed cleanly", "calls cut, closed cleanly", "the end is missing"]
const notEvents = ["page with status 200", "no JSON with status 200"]

export const known: ReadonlyArray<Known> = [
  {
    wires: ["openai-chat", "openai-responses", "anthropic", "gemini"],
    ways: ["stream"],
    cases: cutCleanly,
    sdk: "reply:unknown",
    ours: "Truncated",
    reason: "The SDK's stream takes the end of the bytes for the end of the reply, with or without its last event: half a " +
      "reply looks like a whole one. Ours wants the event that says how it ended."
  },
  {
    wires: ["openai-responses"],
    ways: ["helper"],
    cases: cutCleanly,
    sdk: "reply:unknown",
    ours: "Truncated",
    reason: "finalResponse() gives out what it has when the bytes end; only its status, still in_progress, shows that it is half."
  },
  {
    wires: ["openai-chat", "openai-responses", "anthropic"],
    ways: ["stream"],
    cases: notEvents,
    sdk: "reply:unknown",
    ours: "MalformedResponse",
    reason: "The SDK reads any body of a 200 as a stream of events: a captive portal's page is an empty reply."
  },
  {
    wires: ["openai-chat", "openai-responses", "anthropic"],
    ways: ["helper"],
    cases: notEvents,
    sdk: "Truncated",
    ours: "MalformedResponse",
    reason: "The SDK reads any body of a 200 as a stream of events, here one without any."
  },
  {
    wires: ["gemini"],
    ways: ["stream"],
    cases: notEvents,
    sdk: "Truncated",
    ours: "MalformedResponse",
    reason: "The SDK reads any body of a 200 as a stream of events, here one whose first never ends."
  },
  {
    wires: ["openai-chat", "openai-responses", "anthropic"],
    ways: ["reply"],
    cases: ["page with status 200"],
    sdk: "UnknownError",
    ours: "MalformedResponse",
    reason: "The SDK hands over the text of a page as if it were a reply; whoever looks into it meets a TypeError."
  },
  {
    wires: ["anthropic"],
    ways: ["reply", "stream", "helper"],
    cases: ["quota used up"],
    sdk: "InvalidRequest",
    ours: "QuotaExhausted",
    reason: "Anthropic says it in words only, in a 400 of type invalid_request_error; the SDK's class knows the status."
  },
  {
    wires: ["gemini"],
    ways: ["reply", "stream"],
    cases: ["quota used up"],
    sdk: "RateLimited",
    ours: "QuotaExhausted",
    reason: "The day's quota and a minute's limit are both 429 RESOURCE_EXHAUSTED; the SDK leaves the quotaId, which tells " +
      "them apart, in the text of its message."
  },
  {
    wires: ["anthropic"],
    ways: ["helper"],
    cases: ["tool call cut by the limit", "parallel calls cut by the limit"],
    sdk: "reply:length",
    ours: "reply:length",
    reason: "The SDK's helper closes the JSON of a call that the limit cut, and shows half of its arguments as if they were " +
      "whole. Ours keeps them as they were written, and refuses them as TruncatedArguments."
  },
  {
    wires: ["anthropic"],
    ways: ["helper"],
    cases: ["an unclosed object"],
    sdk: "reply:tool-calls",
    ours: "reply:tool-calls",
    reason: "The SDK's helper closes JSON that the model left open, and says nothing of it. Ours keeps what was written."
  },
  {
    wires: ["anthropic"],
    ways: ["helper"],
    cases: ["broken arguments"],
    sdk: "MalformedResponse",
    ours: "reply:tool-calls",
    reason: "The SDK's helper throws the whole reply away for arguments that are no JSON. Ours gives them out as they were " +
      "written; reading them is the toolkit's part."
  },
  {
    wires: ["gemini"],
    ways: ["reply", "stream"],
    cases: ["broken arguments", "an unclosed object"],
    sdk: "reply:unknown",
    ours: "InvalidToolCall",
    reason: "A candidate that ended with MALFORMED_FUNCTION_CALL holds nothing; the SDK gives out the empty reply."
  },
  {
    wires: ["openai-chat", "gemini"],
    ways: ["reply"],
    cases: ["empty reply"],
    sdk: "reply:unknown",
    ours: "MalformedResponse",
    reason: "A reply without choices or candidates is no reply; the SDK gives it out as it came."
  },
  {
    wires: ["anthropic"],
    ways: ["reply"],
    cases: ["broken arguments", "an unclosed object"],
    sdk: "reply:tool-calls",
    ours: "reply:tool-calls",
    reason: "Anthropic wraps arguments that are no JSON as {\"INVALID_JSON\": text}. The SDK gives out the wrapper; ours takes " +
      "the text out again, so that it is refused as MalformedArguments and never taken for an argument of that name."
  },
  {
    wires: ["anthropic"],
    ways: ["helper"],
    cases: ["started twice"],
    sdk: "UnknownError",
    ours: "reply:stop",
    reason: "A message_start that comes twice is in recorded traffic (gateways that ask again). Ours begins anew with it."
  },
  {
    wires: ["gemini"],
    ways: ["stream"],
    cases: ["overloaded", "server", "rate-limit"].map((kind) => `error in the stream: ${kind}, late`),
    sdk: "reply:unknown",
    ours: "*",
    reason: "Gemini writes an error into a stream as bare JSON, without data:. The SDK sees it where the network delivers it " +
      "by itself, and loses it where it comes together with another chunk.",
    sometimes: true
  }
]

/** Between two replies only the calls may be different. */
const onlyCalls = (sdk: Answer, ours: Answer): boolean =>
  sdk._tag === "Failed" || ours._tag === "Failed" || difference({ ...sdk, calls: ours.calls }, ours) === undefined

const shown = (answer: Answer): string => answer._tag === "Failed" ? answer.error : `reply:${answer.finish}`

export const knownFor = (
  wire: Wire,
  way: "reply" | "stream" | "helper",
  name: string,
  sdk: Answer,
  ours: Answer
): Known | undefined =>
  known.find((each) =>
    each.wires.includes(wire) && each.ways.includes(way) && each.cases.includes(name) && each.sdk === shown(sdk) &&
    (each.ours === "*" || each.ours === shown(ours)) && onlyCalls(sdk, ours)
  )
