/**
 * What goes wrong inside a stream, as data: the faults that only a reply in events can have. They are faults like any
 * other (see `Fault`): they stand in scripts, a storm deals them by its `streams` shares, and they go through JSON. A
 * request that asks for no stream is spared them.
 *
 * @example
 * import * as Fault from "effect-llm-resilience/chaos/Fault"
 * import * as StreamFault from "effect-llm-resilience/chaos/StreamFault"
 *
 * // The first answer breaks off, the second stalls for two seconds and then goes on, the third is right.
 * export const plan = Fault.script({
 *   everyRequest: [StreamFault.cut("reset"), StreamFault.stallMidStream("2 seconds"), null]
 * })
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import type * as Schema from "effect/Schema"
import * as Data from "./shared/plan.ts"

/**
 * One thing that goes wrong inside a stream; every one is a `Fault.Fault` too.
 *
 * @since 0.1.0
 * @category models
 */
export type StreamFault = typeof Data.StreamFault.Type

/**
 * The schema of a `StreamFault`.
 *
 * @since 0.1.0
 * @category schemas
 */
export const StreamFault: Schema.Schema<StreamFault> = Data.StreamFault

/**
 * How a cut connection ends: `clean` as if all had been said, `reset` as a broken line.
 *
 * @since 0.1.0
 * @category models
 */
export const closes = Data.closes

/**
 * When an error stands in a stream: as its very first event, or `late`, after half of the content.
 *
 * @since 0.1.0
 * @category models
 */
export const errorTimes = Data.errorTimes

/**
 * What an error in a stream says, in the vendor's own words.
 *
 * @since 0.1.0
 * @category models
 */
export const errorKinds = Data.errorKinds

const lasting = (duration: Duration.DurationInput | undefined) =>
  duration === undefined ? {} : { duration: Data.durationText(duration) }

/**
 * The headers come and the events that hold no content, then nothing for the given time, and then the right rest.
 * Without a time the stall ends only when the client leaves or the server stops.
 *
 * @since 0.1.0
 * @category constructors
 */
export const stallBeforeFirstToken = (duration?: Duration.DurationInput): StreamFault => ({
  _tag: "StallBeforeFirstToken",
  ...lasting(duration)
})

/**
 * Half of the content comes, then nothing for the given time, and then the right rest. Without a time the stall ends only
 * when the client leaves or the server stops.
 *
 * @since 0.1.0
 * @category constructors
 */
export const stallMidStream = (duration?: Duration.DurationInput): StreamFault => ({
  _tag: "StallMidStream",
  ...lasting(duration)
})

/**
 * The stream breaks off after half of its content, by chance between two events or inside one. `clean` ends the body as
 * if all had been said, `reset` resets the connection. Default: "clean".
 *
 * @since 0.1.0
 * @category constructors
 */
export const cut = (close: (typeof closes)[number] = "clean"): StreamFault => ({ _tag: "CutStream", close })

/**
 * An error inside a stream of status 200, after which the stream ends. Default: `late` and `overloaded`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const error = (options: {
  readonly when?: (typeof errorTimes)[number] | undefined
  readonly kind?: (typeof errorKinds)[number] | undefined
} = {}): StreamFault => ({
  _tag: "StreamError",
  when: options.when ?? "late",
  kind: options.kind ?? "overloaded"
})

/**
 * The events that begin the reply come twice, as gateways send them that ask again. Where a vendor's stream has none
 * (Gemini), the reply is spared.
 *
 * @since 0.1.0
 * @category constructors
 */
export const duplicatedStart: StreamFault = { _tag: "DuplicatedStart" }

/**
 * All of the content comes, and the stream ends cleanly without the event that says so.
 *
 * @since 0.1.0
 * @category constructors
 */
export const missingTerminal: StreamFault = { _tag: "MissingTerminal" }

/**
 * A right stream with a pause before each piece of content but the first.
 *
 * @since 0.1.0
 * @category constructors
 */
export const slowTokens = (delay: Duration.DurationInput): StreamFault => ({
  _tag: "SlowTokens",
  delay: Data.durationText(delay)
})

/**
 * A right stream, each of its bytes in an HTTP chunk of its own.
 *
 * @since 0.1.0
 * @category constructors
 */
export const byteChunks: StreamFault = { _tag: "ByteChunks" }

/**
 * In the middle of the content an event of broken JSON stands in place of the right one; the stream goes on to its end.
 *
 * @since 0.1.0
 * @category constructors
 */
export const malformedChunk: StreamFault = { _tag: "MalformedChunk" }
