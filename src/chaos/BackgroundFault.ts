/**
 * What goes wrong with a reply that a provider makes in the background and keeps, so that its stream can be gone on with, as
 * data: faults that only such a reply can have. They are faults like any other (see `Fault`): they stand in scripts, a storm
 * deals them by its `background` shares, and they go through JSON. All other requests are spared them.
 *
 * Every connection to such a reply is an arrival with a fate of its own: the request that makes it, and each that goes on
 * with its stream. A cut, a stall or an error within a stream (see `StreamFault`) befalls the connection; the reply is made to
 * its end.
 *
 * @example
 * import * as BackgroundFault from "effect-llm-resilience/chaos/BackgroundFault"
 * import * as Fault from "effect-llm-resilience/chaos/Fault"
 * import * as StreamFault from "effect-llm-resilience/chaos/StreamFault"
 *
 * // The stream breaks off; who goes on with it is told that it is too old, and has to poll.
 * export const plan = Fault.script({
 *   everyRequest: [StreamFault.cut("reset"), BackgroundFault.tooOldToStream]
 * })
 *
 * @since 0.1.0
 */
import type * as Schema from "effect/Schema"
import * as Data from "./shared/plan.ts"

/**
 * One thing that goes wrong with a reply that is kept; every one is a `Fault.Fault` too.
 *
 * @since 0.1.0
 * @category models
 */
export type BackgroundFault = typeof Data.BackgroundFault.Type

/**
 * The schema of a `BackgroundFault`.
 *
 * @since 0.1.0
 * @category schemas
 */
export const BackgroundFault: Schema.Schema<BackgroundFault> = Data.BackgroundFault

/**
 * Whether one event of the numbered events of a background response comes twice, or a resumed stream begins again with its
 * very first event.
 *
 * @since 0.1.0
 * @category models
 */
export const repeats = Data.repeats

/**
 * Numbered events that the client has read already: one event in the middle comes twice (`one`), or a resumed stream brings
 * `all` from the first. The reply is right for who skips them. Other streams, and with `all` the first one of a reply, are
 * spared. Default: "one".
 *
 * @since 0.1.0
 * @category constructors
 */
export const repeatedEvents = (events: (typeof repeats)[number] = "one"): BackgroundFault => ({
  _tag: "RepeatedEvents",
  events
})

/**
 * The stream of a background response is refused to who wants to go on with it, as it is for one older than five minutes;
 * the response can still be polled. Other arrivals are spared.
 *
 * @since 0.1.0
 * @category constructors
 */
export const tooOldToStream: BackgroundFault = { _tag: "TooOldToStream" }

/**
 * A background response is no longer there when somebody wants to go on with it: 404 from then on. Other arrivals are spared.
 *
 * @since 0.1.0
 * @category constructors
 */
export const forgottenReply: BackgroundFault = { _tag: "ForgottenReply" }

/**
 * A background response is refused, as it is for an account with zero data retention. Other arrivals are spared.
 *
 * @since 0.1.0
 * @category constructors
 */
export const noRetention: BackgroundFault = { _tag: "NoRetention" }
