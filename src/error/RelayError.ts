/**
 * What a `StreamRelay` refuses.
 *
 * @example
 * import * as RelayError from "effect-llm-resilience/error/RelayError"
 *
 * const error = new RelayError.ReplayMissed({ id: "chat-7", lastEventId: "1/12", reason: "dropped" })
 *
 * console.log(error.message)
 * // The client of "chat-7" missed events that are no longer kept. It has to ask anew.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { scrubbed } from "./shared/fields.ts"
import * as Verdict from "./Verdict.ts"

/**
 * A client that comes back cannot get everything that it missed: `"dropped"` because more came meanwhile than is kept,
 * `"unknown"` because there is no reply of that id (it is over for longer than it lingers, or it never was), or none that
 * has had such an event. The client has to forget what it has and ask anew.
 *
 * @since 0.1.0
 * @category errors
 */
export class ReplayMissed extends scrubbed(
  Schema.TaggedError<ReplayMissed>()("ReplayMissed", {
    /** The id of the reply. */
    id: Schema.String,
    lastEventId: Schema.optional(Schema.String),
    reason: Schema.Literal("dropped", "unknown")
  })
) {
  override get message(): string {
    return this.reason === "dropped"
      ? `The client of ${JSON.stringify(this.id)} missed events that are no longer kept. It has to ask anew.`
      : `There is no reply ${JSON.stringify(this.id)} that the client could go on with. It has to ask anew.`
  }
  [Verdict.symbol](): Verdict.Verdict {
    return Verdict.make("Fail")
  }
}

/**
 * A relay holds as many replies as it may, and each of them is still being made or read: there is no room for another one.
 * Nothing was sent to a model.
 *
 * @since 0.1.0
 * @category errors
 */
export class RelayFull extends scrubbed(
  Schema.TaggedError<RelayFull>()("RelayFull", {
    /** The id of the reply that was to begin. */
    id: Schema.String,
    maxReplies: Schema.Number
  })
) {
  override get message(): string {
    return `There is no room for the reply ${
      JSON.stringify(this.id)
    }: ${this.maxReplies} others are being made or read. ` +
      "Ask again later, or raise maxReplies."
  }
  [Verdict.symbol](): Verdict.Verdict {
    return Verdict.make("Fallback")
  }
}
