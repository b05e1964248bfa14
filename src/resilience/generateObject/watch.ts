/** What a streamed reply shows of its answer while it comes. */
import * as Option from "effect/Option"
import type { Dialects } from "../../model/Response.ts"
import type * as StreamPart from "../../model/StreamPart.ts"
import * as StructuredOutput from "../../model/StructuredOutput.ts"

/** Each look takes time in proportion to the text, so the next one is due when it has grown by this part of itself. */
const growth = 1 / 64

/** The answer so far. It belongs to one run of one stream. */
export class Watch<A, I> {
  private readonly output: StructuredOutput.StructuredOutput<A, I>
  private dialects: Dialects | undefined = undefined
  private text = ""
  /** The call that holds the answer, which then is not in the text. */
  private call: number | undefined = undefined
  private looked = 0
  /** What the consumer has before its eyes, as JSON. */
  private last: string | undefined = undefined

  constructor(output: StructuredOutput.StructuredOutput<A, I>) {
    this.output = output
  }

  private begin(): void {
    this.text = ""
    this.looked = 0
  }

  /** Something new to show, if the part brought it. */
  see(part: StreamPart.StreamPart): Option.Option<StructuredOutput.Partial<I>> {
    switch (part._tag) {
      case "Start":
        this.dialects = part.dialects
        return Option.none()
      case "Reset":
        this.begin()
        this.call = undefined
        return Option.none()
      case "TextDelta":
        return this.call === undefined ? this.grow(part.text) : Option.none()
      case "ToolCallStart":
        if (this.call === undefined) {
          this.begin()
          this.call = part.index
        }
        return Option.none()
      case "ToolArgumentsDelta":
        return part.index === this.call ? this.grow(part.delta) : Option.none()
      case "ToolCall":
        if (this.call !== undefined && part.index !== this.call) return Option.none()
        this.call = part.index
        this.text = part.arguments
        return this.look()
      case "Finish":
        return this.look()
      case "ProviderPart":
      case "ReasoningDelta":
      case "Seam":
        return Option.none()
    }
  }

  private grow(delta: string): Option.Option<StructuredOutput.Partial<I>> {
    this.text += delta
    return this.text.length - this.looked >= Math.max(1, this.text.length * growth) ? this.look() : Option.none()
  }

  private look(): Option.Option<StructuredOutput.Partial<I>> {
    if (this.text.length === this.looked) return Option.none()
    this.looked = this.text.length
    const dialect = (this.call === undefined ? this.dialects?.output : this.dialects?.tools) ?? "plain"
    return Option.filter(StructuredOutput.partial(this.output, this.text, dialect), ({ shown }) => {
      const written = JSON.stringify(shown)
      const isNew = written !== this.last
      this.last = written
      return isNew
    })
  }
}
