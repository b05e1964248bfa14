/**
 * What came of a reply, kept while it streams: for the error of a stream that broke, for the request that continues it, and
 * for the `Reset` that voids it. A reply may be longer than what is to be kept; then its beginning is.
 *
 * Each part costs a small constant and its own length. With at most 10 characters kept, "Hello " and then "wonderful" are
 * "Hello wond" and 5 omitted characters; whatever comes then is counted and not kept, so that there is no gap.
 */
import type { Received } from "../../error/PolicyError.ts"
import { definedFields } from "../../internal/record.ts"
import type * as StreamPart from "../../model/StreamPart.ts"
import * as Usage from "../../model/Usage.ts"

type Call = Received["toolCalls"][number]

/** What came of the reply that one stream gives, and what all its attempts cost. */
export class ReceivedReply {
  private readonly text = new GrowingText()
  private readonly reasoning = new GrowingText()
  private toolCalls: Array<Call> = []
  /** The indices of the calls that have begun, and of those among them that are not whole. */
  private readonly callsBegun = new Set<number>()
  private readonly callsInFlight = new Set<number>()
  private hasProviderParts = false
  private shownCharacters = 0
  private keptCharacters = 0
  private omittedCharacters = 0
  private usage: Usage.Usage | undefined
  private usageBefore: Usage.Usage | undefined
  private attempts = 1
  private readonly maxKept: number

  /** `maxKept`: how many characters are kept; with 0 it only counts. */
  constructor(maxKept: number) {
    this.maxKept = maxKept
  }

  add(part: StreamPart.StreamPart): void {
    switch (part._tag) {
      case "TextDelta":
        this.shownCharacters += part.text.length
        this.text.append(this.keepable(part.text))
        return
      case "ReasoningDelta":
        this.shownCharacters += part.text.length
        this.reasoning.append(this.keepable(part.text))
        return
      case "ToolCallStart":
        this.callsBegun.add(part.index)
        this.callsInFlight.add(part.index)
        return
      case "ToolArgumentsDelta":
        return
      case "ToolCall":
        this.callsBegun.add(part.index)
        this.callsInFlight.delete(part.index)
        this.addCall({ id: part.id, name: part.name, arguments: part.arguments })
        return
      case "ProviderPart":
        this.hasProviderParts = true
        return
      case "Finish":
        this.usage = part.usage
        return
      case "Start":
      case "Reset":
      case "Seam":
        return
    }
  }

  /** Another attempt begins the reply anew: what came is void, what it cost is not. Gives what a `Reset` says of it. */
  restart(): NonNullable<StreamPart.Reset["discarded"]> {
    const discarded = { characters: this.shownCharacters, toolCalls: this.callsBegun.size }
    this.continue()
    this.text.clear()
    this.reasoning.clear()
    this.toolCalls = []
    this.callsBegun.clear()
    this.callsInFlight.clear()
    this.hasProviderParts = false
    this.shownCharacters = 0
    this.keptCharacters = 0
    this.omittedCharacters = 0
    return discarded
  }

  /** Another request continues the reply: what came stays. */
  continue(): void {
    this.attempts += 1
    this.usageBefore = this.usageSoFar()
    this.usage = undefined
  }

  /** Whether a tool call has begun that is not whole. */
  get hasCallInFlight(): boolean {
    return this.callsInFlight.size > 0
  }

  /** The text, where that is all of the reply that another request would have to continue, and all of it was kept. */
  get continuable(): { readonly text: string; readonly hasReasoning: boolean } | undefined {
    const isText = this.callsBegun.size === 0 && !this.hasProviderParts && this.omittedCharacters === 0
    const text = this.text.whole()
    return isText && text !== "" ? { text, hasReasoning: this.reasoning.whole() !== "" } : undefined
  }

  /** What came of the last attempt. */
  received(): Received {
    const { usage } = this
    return {
      text: this.text.whole(),
      reasoning: this.reasoning.whole(),
      toolCalls: [...this.toolCalls],
      ...definedFields({
        usage: usage === undefined
          ? undefined
          : { inputTokens: usage.inputTokens, outputTokens: usage.outputTokens, totalTokens: usage.totalTokens },
        omittedCharacters: this.omittedCharacters === 0 ? undefined : this.omittedCharacters
      })
    }
  }

  /** What all attempts cost together, as far as the provider told; `undefined` where there was one. */
  usageOfAll(): Usage.Usage | undefined {
    return this.attempts === 1 ? undefined : this.usageSoFar() ?? Usage.zero
  }

  private usageSoFar(): Usage.Usage | undefined {
    const { usage, usageBefore } = this
    return usage === undefined || usageBefore === undefined ? usage ?? usageBefore : Usage.add(usageBefore, usage)
  }

  /** A call is kept as a whole or not at all. */
  private addCall(call: Call): void {
    const length = call.id.length + call.name.length + call.arguments.length
    if (this.omittedCharacters > 0 || this.keptCharacters + length > this.maxKept) {
      this.omittedCharacters += length
    } else {
      this.keptCharacters += length
      this.toolCalls.push(call)
    }
  }

  /** As much of a text as is still kept. */
  private keepable(text: string): string {
    const room = this.omittedCharacters > 0 ? 0 : this.maxKept - this.keptCharacters
    const kept = text.length <= room ? text : cut(text, room)
    this.keptCharacters += kept.length
    this.omittedCharacters += text.length - kept.length
    return kept
  }
}

const isHighSurrogate = (unit: number): boolean => unit >= 0xd800 && unit <= 0xdbff

/** The first units of a text, one less where that would halve a character. */
const cut = (text: string, units: number): string =>
  text.slice(0, units > 0 && isHighSurrogate(text.charCodeAt(units - 1)) ? units - 1 : units)

/**
 * A text that grows by deltas of a few characters. An engine keeps such a text as a tree with a node a delta, which is many
 * times the size of the text, so what came of late is written into one piece as soon as it is a block.
 */
class GrowingText {
  private blocks = ""
  private late = ""

  append(delta: string): void {
    this.late += delta
    if (this.late.length < blockLength) return
    // Reading a character makes the engine write the text into one piece.
    this.late.charCodeAt(0)
    this.blocks += this.late
    this.late = ""
  }

  whole(): string {
    return this.blocks + this.late
  }

  clear(): void {
    this.blocks = ""
    this.late = ""
  }
}

const blockLength = 1_024
