/** What happens to a call. */
import * as Fault from "../../../src/chaos/Fault.ts"
import * as StreamFault from "../../../src/chaos/StreamFault.ts"

export interface Case {
  readonly name: string
  readonly fault?: Fault.Fault
  /** How many calls a reply makes; none where it is text. */
  readonly calls?: 1 | 3
  /** Only for a stream. */
  readonly streamed?: true
  readonly key?: "wrong"
  readonly model?: "unknown"
  /** The wait of a 429, in milliseconds, where it is told. */
  readonly wait?: number
}

const wait = 1500

const limits: ReadonlyArray<Case> = Fault.hintForms.map((hint) => ({
  name: `429, wait told by ${hint}`,
  fault: Fault.rateLimited({ hint, wait }),
  ...(hint === "none" ? {} : { wait })
}))

const streamErrors: ReadonlyArray<Case> = StreamFault.errorTimes.flatMap((when) =>
  StreamFault.errorKinds.map((kind): Case => ({
    name: `error in the stream: ${kind}, ${when}`,
    fault: StreamFault.error({ when, kind }),
    streamed: true
  }))
)

export const cases: ReadonlyArray<Case> = [
  { name: "text" },
  { name: "one tool call", calls: 1 },
  { name: "three parallel tool calls", calls: 3 },
  { name: "text cut by the limit", fault: Fault.finishLength },
  { name: "tool call cut by the limit", fault: Fault.finishLength, calls: 1 },
  { name: "parallel calls cut by the limit", fault: Fault.finishLength, calls: 3 },
  { name: "broken arguments", fault: Fault.damagedToolCall("raw-newline"), calls: 1 },
  { name: "an unclosed object", fault: Fault.damagedToolCall("missing-close"), calls: 1 },
  { name: "a key twice", fault: Fault.damagedToolCall("duplicate-key"), calls: 1 },
  { name: "an unknown tool", fault: Fault.damagedToolCall("unknown-tool"), calls: 1 },
  { name: "empty reply", fault: Fault.emptyChoices },
  ...limits,
  { name: "quota used up", fault: Fault.insufficientQuota },
  { name: "wrong key", key: "wrong" },
  { name: "unknown model", model: "unknown" },
  { name: "500", fault: Fault.serverError(500) },
  { name: "502", fault: Fault.serverError(502) },
  { name: "503", fault: Fault.serverError(503) },
  { name: "529", fault: Fault.serverError(529) },
  { name: "page of a gateway, 502", fault: Fault.htmlErrorPage(502) },
  { name: "page with status 200", fault: Fault.htmlErrorPage(200) },
  { name: "no JSON with status 200", fault: Fault.nonJsonBody },
  { name: "reset before the headers", fault: Fault.resetBeforeBody },
  { name: "reset in the body", fault: Fault.resetDuringBody },
  ...streamErrors,
  { name: "cut, closed cleanly", fault: StreamFault.cut("clean"), streamed: true },
  { name: "cut, reset", fault: StreamFault.cut("reset"), streamed: true },
  { name: "calls cut, closed cleanly", fault: StreamFault.cut("clean"), streamed: true, calls: 3 },
  { name: "the end is missing", fault: StreamFault.missingTerminal, streamed: true },
  { name: "started twice", fault: StreamFault.duplicatedStart, streamed: true },
  { name: "byte by byte", fault: StreamFault.byteChunks, streamed: true },
  { name: "calls byte by byte", fault: StreamFault.byteChunks, streamed: true, calls: 3 },
  { name: "a broken chunk", fault: StreamFault.malformedChunk, streamed: true },
  { name: "slow tokens", fault: StreamFault.slowTokens("2 millis"), streamed: true }
]
