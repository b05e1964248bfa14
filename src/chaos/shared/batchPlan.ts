/** The shapes of what goes wrong with jobs of the batch services, with the words that a wrong field is answered with. */
import * as Schema from "effect/Schema"
import { DurationText, says, serverStatuses, Share } from "./planFields.ts"

export { serverStatuses }

export const validationCodes = [
  "token_limit_exceeded",
  "invalid_json_line",
  "duplicate_custom_id",
  "url_mismatch",
  "model_mismatch",
  "empty_file",
  "too_many_tasks"
] as const
export const lineErrorForms = ["status", "zero", "unanswered"] as const
/** What a job may be refused with. */
export const refusals = [429, ...serverStatuses] as const
export const jobPhases = ["created", "running", "results"] as const
export const missingInputTimes = ["create", "validation"] as const

const oneOf = <const A extends ReadonlyArray<string>>(words: A) =>
  Schema.Literal(...words).annotations(says(`one of ${words.join(", ")}`))
const Times = Schema.Int.pipe(Schema.between(1, 1_000_000)).annotations(says("a whole number from 1 to 1 000 000"))
const Status = Schema.Literal(...serverStatuses).annotations(says("500, 502, 503 or 529"))
const Refusal = Schema.Literal(...refusals).annotations(says("429, 500, 502, 503 or 529"))
const Close = Schema.Literal("clean", "reset").annotations(says("clean or reset"))

/** What goes wrong with a job of a batch service, and only there. */
export const BatchFault = Schema.Union(
  Schema.TaggedStruct("UnknownJob", { when: oneOf(jobPhases), duration: DurationText }),
  Schema.TaggedStruct("RefusedJob", { status: Refusal }),
  Schema.TaggedStruct("LostJobReply", {}),
  Schema.TaggedStruct("MissingInput", { when: oneOf(missingInputTimes) }),
  Schema.TaggedStruct("InvalidJob", { code: oneOf(validationCodes) }),
  Schema.TaggedStruct("ExpiredJob", { share: Share }),
  Schema.TaggedStruct("CancelledJob", { share: Share }),
  Schema.TaggedStruct("FailedLines", { share: Share, form: oneOf(lineErrorForms) }),
  Schema.TaggedStruct("AllLinesFailed", {}),
  Schema.TaggedStruct("WrongCounts", {}),
  Schema.TaggedStruct("EmptyFileIds", {}),
  Schema.TaggedStruct("InlineResults", {}),
  Schema.TaggedStruct("ShuffledResults", {}),
  Schema.TaggedStruct("RepeatedResults", { share: Share }),
  Schema.TaggedStruct("MissingKeys", { share: Share }),
  Schema.TaggedStruct("CutResults", { share: Share, close: Close, times: Times }),
  Schema.TaggedStruct("UnavailableResults", { status: Status, times: Times })
)

/** The faults of the first job, of the second, and so on; later jobs are spared. */
export const JobScript = Schema.Array(Schema.Array(BatchFault))

/** Each job meets each of these by its own chance, so that a job may meet several. */
export const JobShares = Schema.Array(Schema.Struct({ probability: Share, fault: BatchFault }))
