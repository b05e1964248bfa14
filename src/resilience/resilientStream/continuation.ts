/**
 * The request that continues a text whose stream broke, and the parts of its reply as parts of the first one. Only text is
 * continued: a call that was cut must not be written on by another request, and of a reply in JSON of a schema the
 * provider would begin another one.
 */
import type * as LanguageModel from "../../model/LanguageModel.ts"
import * as Prompt from "../../model/Prompt.ts"
import * as StreamPart from "../../model/StreamPart.ts"
import { Join } from "./overlap.ts"
import type { ReceivedReply } from "./received.ts"

/** How another request can continue a text. */
export type Way = NonNullable<NonNullable<LanguageModel.Capabilities["resume"]>["continuation"]>

/** A request that continues a reply. */
export interface Continuation {
  /** Without an idempotency key: it is another request than the one that broke. */
  readonly request: LanguageModel.Request
  /** What makes the parts of its reply parts of the one that is continued. It belongs to one run of the request. */
  readonly parts: ContinuedParts
}

/** What a model is asked that cannot be given the beginning of its own reply. */
const goOn =
  "The connection broke while you were answering, so your last message is cut off. Continue it exactly where it " +
  "stops, even in the middle of a word. Do not repeat anything of it, and write nothing before or about the continuation."

/** What can be continued of the reply, by the way that the model declares; `undefined` where another request cannot do it. */
export const continuationOf = (
  request: LanguageModel.Request,
  reply: ReceivedReply,
  way: Way | undefined
): Continuation | undefined => {
  const { continuable } = reply
  if (way === undefined || continuable === undefined || request.responseFormat !== undefined) return undefined
  const { hasReasoning, text } = continuable
  // Anthropic refuses a last message that ends with blanks, and other models continue it badly.
  const sent = text.trimEnd()
  if (sent === "") return undefined
  const written = Prompt.text(sent)
  if (way === "followUp") {
    return continuation(request, Prompt.append(withReply(request.prompt, written), Prompt.user(goOn)), text, sent)
  }
  // A thought that is not before the text again would be thought anew within it, and its signature is gone.
  return hasReasoning ? undefined : continuation(request, withReply(request.prompt, written), text, sent)
}

const continuation = (
  { idempotencyKey: _, ...request }: LanguageModel.Request,
  prompt: Prompt.Prompt,
  text: string,
  sent: string
): Continuation => ({
  request: { ...request, prompt },
  parts: new ContinuedParts(new Join(text, text.length - sent.length))
})

/** The prompt and the reply so far: in the last message, where that is the beginning of the reply already. */
const withReply = (input: Prompt.Input, written: Prompt.TextPart): Prompt.Prompt => {
  const prompt = Prompt.make(input)
  const last = prompt.messages.at(-1)
  return last?._tag === "Assistant" && last.content.every(({ _tag }) => _tag === "Text")
    ? { messages: [...prompt.messages.slice(0, -1), Prompt.assistant([...last.content, written])] }
    : Prompt.append(prompt, Prompt.assistant([written]))
}

/**
 * The reply to a request that continues another reply: a `Seam` in place of its `Start`, and its text without what it
 * repeats.
 */
export class ContinuedParts {
  private readonly join: Join
  private isJoined = false

  constructor(join: Join) {
    this.join = join
  }

  /** One more part came: what the consumer gets for it. */
  push(part: StreamPart.StreamPart): ReadonlyArray<StreamPart.StreamPart> {
    switch (part._tag) {
      case "Start":
        return this.seamed([])
      case "TextDelta": {
        const text = this.join.push(part.text)
        return this.seamed(text === "" && part.providerMetadata === undefined ? [] : [{ ...part, text }])
      }
      case "ReasoningDelta":
        return this.seamed([part])
      default:
        // Text does not go on behind a call or the end, so what is held back is no repetition that is not over.
        return this.seamed([...this.end(), part])
    }
  }

  /** No more parts come: what was held back. */
  end(): ReadonlyArray<StreamPart.StreamPart> {
    const text = this.join.end()
    return text === "" ? [] : this.seamed([StreamPart.textDelta(text)])
  }

  private seamed(parts: ReadonlyArray<StreamPart.StreamPart>): ReadonlyArray<StreamPart.StreamPart> {
    if (this.isJoined) return parts
    this.isJoined = true
    return [StreamPart.seam, ...parts]
  }
}
