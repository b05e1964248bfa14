/** The shapes of faults and plans, with the words that a wrong field is answered with. */
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { JobScript, JobShares } from "./batchPlan.ts"
import { damageClasses } from "./damageClasses.ts"
import { DurationText, says, serverStatuses, Share } from "./planFields.ts"

export { serverStatuses }

export const hintForms = ["retry-after", "retry-after-ms", "http-date", "x-ratelimit-reset", "prose", "none"] as const
export const closes = ["clean", "reset"] as const
export const errorTimes = ["first", "late"] as const
export const errorKinds = ["overloaded", "server", "rate-limit"] as const
export const repeats = ["one", "all"] as const

const Hint = Schema.Literal(...hintForms).annotations(says(`one of ${hintForms.join(", ")}`))
const Status = Schema.Literal(...serverStatuses).annotations(says("500, 502, 503 or 529"))
const PageStatus = Schema.Literal(200, 502, 503).annotations(says("200, 502 or 503"))
const Class = Schema.Literal(...damageClasses).annotations(
  says("a damage class: one of Fault.damageClasses, such as \"raw-newline\" or \"unknown-tool\"")
)
const Close = Schema.Literal(...closes).annotations(says("clean or reset"))
const ErrorTime = Schema.Literal(...errorTimes).annotations(says("first or late"))
const ErrorKind = Schema.Literal(...errorKinds).annotations(says("overloaded, server or rate-limit"))
const Repeat = Schema.Literal(...repeats).annotations(says("one or all"))
const Seed = Schema.Union(Schema.Int, Schema.String).annotations(says("a whole number or a text"))
const some = <A, I>(item: Schema.Schema<A, I>) => Schema.optional(Schema.NonEmptyArray(item))

const backgroundFaults = [
  Schema.TaggedStruct("RepeatedEvents", { events: Repeat }),
  Schema.TaggedStruct("TooOldToStream", {}),
  Schema.TaggedStruct("ForgottenReply", {}),
  Schema.TaggedStruct("NoRetention", {})
] as const

const streamFaults = [
  Schema.TaggedStruct("StallBeforeFirstToken", { duration: Schema.optional(DurationText) }),
  Schema.TaggedStruct("StallMidStream", { duration: Schema.optional(DurationText) }),
  Schema.TaggedStruct("CutStream", { close: Close }),
  Schema.TaggedStruct("StreamError", { when: ErrorTime, kind: ErrorKind }),
  Schema.TaggedStruct("DuplicatedStart", {}),
  Schema.TaggedStruct("MissingTerminal", {}),
  Schema.TaggedStruct("SlowTokens", { delay: DurationText }),
  Schema.TaggedStruct("ByteChunks", {}),
  Schema.TaggedStruct("MalformedChunk", {})
] as const

/** What goes wrong with a reply that is kept while it is made, and only there. */
export const BackgroundFault = Schema.Union(...backgroundFaults)

/** What goes wrong in a stream, and only there. */
export const StreamFault = Schema.Union(...streamFaults)

export const isStreamFault = Schema.is(StreamFault)

export const Fault = Schema.Union(
  Schema.TaggedStruct("RateLimited", { hint: Hint, wait: DurationText }),
  Schema.TaggedStruct("InsufficientQuota", {}),
  Schema.TaggedStruct("ServerError", { status: Status }),
  Schema.TaggedStruct("Hang", {}),
  Schema.TaggedStruct("SlowReply", { duration: DurationText }),
  Schema.TaggedStruct("ResetBeforeBody", {}),
  Schema.TaggedStruct("ResetDuringBody", {}),
  Schema.TaggedStruct("HtmlErrorPage", { status: PageStatus }),
  Schema.TaggedStruct("NonJsonBody", {}),
  Schema.TaggedStruct("EmptyChoices", {}),
  Schema.TaggedStruct("FinishLength", {}),
  Schema.TaggedStruct("DamagedToolCall", { class: Class }),
  ...streamFaults,
  ...backgroundFaults
)

const Stall = Schema.optional(Schema.Struct({ probability: Share, duration: Schema.optional(DurationText) }))

/** Shares of the faults in streams. */
const StreamShares = Schema.Struct({
  stallsBefore: Stall,
  stallsMid: Stall,
  cuts: Schema.optional(Share),
  errors: Schema.optional(Schema.Struct({ probability: Share, when: some(ErrorTime), kinds: some(ErrorKind) })),
  duplicatedStarts: Schema.optional(Share),
  missingTerminals: Schema.optional(Share),
  slowTokens: Schema.optional(Schema.Struct({ probability: Share, delay: DurationText })),
  byteChunks: Schema.optional(Share),
  malformedChunks: Schema.optional(Share)
})

/** Shares of the faults of replies that are kept. */
const BackgroundShares = Schema.Struct({
  repeatedEvents: Schema.optional(Schema.Struct({ probability: Share, events: some(Repeat) })),
  tooOldToStream: Schema.optional(Share),
  forgottenReplies: Schema.optional(Share),
  noRetention: Schema.optional(Share)
})

const StormFields = Schema.Struct({
  seed: Seed,
  toolCalls: Schema.optional(Schema.Struct({ probability: Share, classes: some(Class) })),
  rateLimited: Schema.optional(
    Schema.Struct({ probability: Share, hints: some(Hint), wait: Schema.optional(DurationText) })
  ),
  serverErrors: Schema.optional(Schema.Struct({ probability: Share, statuses: some(Status) })),
  slow: Schema.optional(Schema.Struct({ probability: Share, duration: DurationText })),
  hangs: Schema.optional(Share),
  cuts: Schema.optional(Share),
  insufficientQuota: Schema.optional(Share),
  htmlPages: Schema.optional(Share),
  nonJson: Schema.optional(Share),
  emptyChoices: Schema.optional(Share),
  finishLength: Schema.optional(Share),
  streams: Schema.optional(StreamShares),
  background: Schema.optional(BackgroundShares),
  batches: Schema.optional(JobShares)
})

/** The shares of a storm in the order in which they divide the line from 0 to 1. */
export const sharesOf = (
  storm: typeof StormFields.Type
): ReadonlyArray<readonly [share: number, fault: (typeof Fault.Type)["_tag"]]> => [
  [storm.toolCalls?.probability ?? 0, "DamagedToolCall"],
  [storm.rateLimited?.probability ?? 0, "RateLimited"],
  [storm.serverErrors?.probability ?? 0, "ServerError"],
  [storm.hangs ?? 0, "Hang"],
  [(storm.cuts ?? 0) / 2, "ResetBeforeBody"],
  [(storm.cuts ?? 0) / 2, "ResetDuringBody"],
  [storm.slow?.probability ?? 0, "SlowReply"],
  [storm.insufficientQuota ?? 0, "InsufficientQuota"],
  [storm.htmlPages ?? 0, "HtmlErrorPage"],
  [storm.nonJson ?? 0, "NonJsonBody"],
  [storm.emptyChoices ?? 0, "EmptyChoices"],
  [storm.finishLength ?? 0, "FinishLength"],
  [storm.streams?.stallsBefore?.probability ?? 0, "StallBeforeFirstToken"],
  [storm.streams?.stallsMid?.probability ?? 0, "StallMidStream"],
  [storm.streams?.cuts ?? 0, "CutStream"],
  [storm.streams?.errors?.probability ?? 0, "StreamError"],
  [storm.streams?.duplicatedStarts ?? 0, "DuplicatedStart"],
  [storm.streams?.missingTerminals ?? 0, "MissingTerminal"],
  [storm.streams?.slowTokens?.probability ?? 0, "SlowTokens"],
  [storm.streams?.byteChunks ?? 0, "ByteChunks"],
  [storm.streams?.malformedChunks ?? 0, "MalformedChunk"],
  [storm.background?.repeatedEvents?.probability ?? 0, "RepeatedEvents"],
  [storm.background?.tooOldToStream ?? 0, "TooOldToStream"],
  [storm.background?.forgottenReplies ?? 0, "ForgottenReply"],
  [storm.background?.noRetention ?? 0, "NoRetention"]
]

const sumOf = (storm: typeof StormFields.Type) => sharesOf(storm).reduce((sum, [share]) => sum + share, 0)

export const Storm = StormFields.pipe(
  // A little slack for sums such as 0.1 + 0.2 + 0.7.
  Schema.filter((storm) =>
    sumOf(storm) <= 1 + 1e-9 || `shares that add up to at most 1 (here ${Number(sumOf(storm).toFixed(6))})`
  )
)

const Step = Schema.NullOr(Fault)
export const Script = Schema.Struct({
  script: Schema.Struct({
    inOrder: Schema.optional(Schema.Array(Step)),
    everyRequest: Schema.optional(Schema.Array(Step)),
    byRequest: Schema.optional(Schema.Record({ key: Schema.String, value: Schema.Array(Step) })),
    jobs: Schema.optional(JobScript)
  }),
  seed: Schema.optional(Seed)
})

/** Durations of a checked plan; text that is no duration reads as no wait. */
export const waitMillis = (text: string): number =>
  Option.match(Duration.decodeUnknown(text), { onNone: () => 0, onSome: Duration.toMillis })

/** The one spelling in which durations stand in plans made by code. */
export const durationText = (duration: Duration.DurationInput): string => `${Duration.toMillis(duration)} millis`
