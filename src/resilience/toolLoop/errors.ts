/** What only a tool loop can fail with. */
import * as Schema from "effect/Schema"
import * as Verdict from "../../error/Verdict.ts"
import { visible } from "../../internal/redact.ts"
import { scrubbed } from "../../internal/scrubbed.ts"

/** The same call failed in the same way each time. */
export class RepeatedToolFailure extends scrubbed(
  Schema.TaggedError<RepeatedToolFailure>()("RepeatedToolFailure", {
    tool: Schema.String,
    callId: Schema.String,
    /** What the model was told, each time. */
    told: Schema.String,
    times: Schema.Int.pipe(Schema.positive())
  })
) {
  override get message(): string {
    return visible(
      `The model called ${JSON.stringify(this.tool)} ${this.times} times with the same arguments, and it failed ` +
        `each time with: ${this.told}. Raise sameFailures, or change what the tool tells.`
    )
  }
  [Verdict.symbol](): Verdict.Verdict {
    return Verdict.make("Fail", { billed: "yes" })
  }
}
