/**
 * The last events of a reply, for clients that come back. Events are numbered from 1; what is kept is bounded in events and
 * in characters, and the oldest go first. With room for 3, after 5 events the numbers 3 to 5 are kept: who has seen 2 gets
 * all that was missed, who has seen 1 does not.
 */

/** How much is kept. */
export interface Bounds {
  readonly maxEvents: number
  readonly maxCharacters: number
}

/** What came after an event: the texts and the number of the last one of them; or not all of it is kept. */
export type Missed =
  | { readonly _tag: "Kept"; readonly texts: ReadonlyArray<string>; readonly last: number }
  | { readonly _tag: "Dropped" }

/** The most that one read gives, so that a long catch-up is not one text. */
const batch = 256

export class EventBuffer {
  private readonly bounds: Bounds
  private texts: Array<string> = []
  /** How many at the front of `texts` are dropped; they are cut off when they are half of it. */
  private dropped = 0
  private characters = 0
  private newest = 0

  constructor(bounds: Bounds) {
    this.bounds = bounds
  }

  /** The number of the last event. */
  get last(): number {
    return this.newest
  }

  push(text: string): void {
    this.texts.push(text)
    this.newest += 1
    this.characters += text.length
    while (this.count > this.bounds.maxEvents || (this.characters > this.bounds.maxCharacters && this.count > 1)) {
      this.characters -= this.texts[this.dropped]?.length ?? 0
      this.texts[this.dropped] = ""
      this.dropped += 1
    }
    if (this.dropped > this.texts.length / 2) {
      this.texts = this.texts.slice(this.dropped)
      this.dropped = 0
    }
  }

  /** The events after one. */
  after(number: number): Missed {
    const oldest = this.newest - this.count + 1
    if (number < oldest - 1) return { _tag: "Dropped" }
    const from = this.dropped + number + 1 - oldest
    const texts = this.texts.slice(from, from + batch)
    return { _tag: "Kept", texts, last: number + texts.length }
  }

  private get count(): number {
    return this.texts.length - this.dropped
  }
}
