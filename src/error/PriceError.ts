/**
 * What a price table cannot say.
 *
 * @example
 * import * as PriceError from "effect-llm-resilience/error/PriceError"
 *
 * const error = new PriceError.UnknownPrice({ model: "gpt-5-mni", near: ["gpt-5-mini"] })
 *
 * console.log(error.message)
 * // The table has no price for "gpt-5-mni". The nearest name it has is "gpt-5-mini". Add the model, or name it as the table does.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { visible } from "../internal/redact.ts"
import { scrubbed } from "./shared/fields.ts"
import * as Verdict from "./Verdict.ts"

/**
 * The table has no price for the model, so what its tokens cost is not known; it is never taken to be nothing.
 *
 * @since 0.1.0
 * @category errors
 */
export class UnknownPrice extends scrubbed(
  Schema.TaggedError<UnknownPrice>()("UnknownPrice", {
    /** The model as the reply names it. */
    model: Schema.String,
    /** The names in the table that are spelled most alike, the nearest first; three at most. */
    near: Schema.Array(Schema.String)
  })
) {
  override get message(): string {
    const [nearest] = this.near
    return visible(
      `The table has no price for ${JSON.stringify(this.model)}. ` +
        (nearest === undefined ? "" : `The nearest name it has is ${JSON.stringify(nearest)}. `) +
        "Add the model, or name it as the table does."
    )
  }
  [Verdict.symbol](): Verdict.Verdict {
    return Verdict.make("Fail")
  }
}
