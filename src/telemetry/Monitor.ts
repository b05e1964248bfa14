/**
 * Where events go. A `Context.Reference` that is silent by default: nothing has to be provided, and a program that
 * wants to know provides a sink, a stream or hooks.
 *
 * A monitor runs beside the call that reports: in a fiber of its own, which nothing waits for. What it does without
 * waiting (a counter, a log line) is done before the call goes on. While it waits (a request, a full queue), the call
 * goes on, and later events of that monitor queue up behind it in order, up to {@link defaults}.capacity; beyond that
 * they are dropped, which is logged once. A monitor that fails is logged once, too, and harms nothing.
 *
 * @example
 * import * as Effect from "effect/Effect"
 * import * as Monitor from "effect-llm-resilience/telemetry/Monitor"
 * import * as Retry from "effect-llm-resilience/policy/Retry"
 * import * as RetryPolicy from "effect-llm-resilience/policy/RetryPolicy"
 *
 * const program = Effect.fail("down").pipe(
 *   Retry.apply(RetryPolicy.immediate.pipe(RetryPolicy.attempts(3))),
 *   Effect.provide(Monitor.layerHooks({
 *     onRetried: (event) => Effect.sync(() => console.log(`attempt ${event.attempt} failed, trying again`))
 *   })),
 *   Effect.ignore
 * )
 *
 * Effect.runPromise(program)
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { globalValue } from "effect/GlobalValue"
import * as Layer from "effect/Layer"
import * as PubSub from "effect/PubSub"
import * as Ref from "effect/Ref"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type * as Event from "./Event.ts"
import * as Delivery from "./monitor/delivery.ts"
import { log } from "./monitor/log.ts"

/**
 * Takes events.
 *
 * @since 0.1.0
 * @category models
 */
export interface Service {
  readonly emit: (event: Event.Event) => Effect.Effect<void>
}

/**
 * `capacity`: how many events may wait for one monitor.
 *
 * @since 0.1.0
 * @category defaults
 */
export const defaults = { capacity: Delivery.capacity } as const

/**
 * Takes events and drops them: the default.
 *
 * @since 0.1.0
 * @category constructors
 */
export const silent: Service = globalValue(
  // One for all copies of this module that a program has loaded: whether it is the silent one decides what is reported.
  Symbol.for("effect-llm-resilience/telemetry/Monitor/silent"),
  () => ({ emit: () => Effect.void })
)

/**
 * The monitor of the running program.
 *
 * @since 0.1.0
 * @category tags
 */
export class Monitor extends Context.Reference<Monitor>()("effect-llm-resilience/Monitor", {
  defaultValue: (): Service => silent
}) {}

/**
 * A monitor from a function.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (emit: (event: Event.Event) => Effect.Effect<void>): Service => ({ emit })

/**
 * Hooks by the name of the event: `onRetried`, `onGaveUp`, `onTimedOut`, … Each gets its event, typed.
 *
 * @since 0.1.0
 * @category models
 */
export type Hooks = {
  readonly [Tag in Event.Tag as `on${Tag}`]?:
    | ((event: Extract<Event.Event, { readonly _tag: Tag }>) => Effect.Effect<void>)
    | undefined
}

/**
 * A monitor from hooks; events without a hook are dropped.
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromHooks = (hooks: Hooks): Service => {
  const table: { readonly [name: string]: unknown } = hooks
  return {
    emit: (event) => {
      const hook = table[`on${event._tag}`]
      return typeof hook === "function" ? hook(event) : Effect.void
    }
  }
}

/**
 * A monitor that passes every event to both. Each goes its own pace.
 *
 * @since 0.1.0
 * @category combinators
 */
export const both = (first: Service, second: Service): Service => ({
  emit: (event) => Effect.zipRight(Delivery.deliver(first, event), Delivery.deliver(second, event))
})

/**
 * A monitor that keeps all events, in order: for tests and reports.
 *
 * @since 0.1.0
 * @category constructors
 */
export const recorder: Effect.Effect<
  { readonly monitor: Service; readonly events: Effect.Effect<ReadonlyArray<Event.Event>> }
> = Effect.map(Ref.make<ReadonlyArray<Event.Event>>([]), (kept) => ({
  monitor: make((event) => Ref.update(kept, (events) => [...events, event])),
  events: Ref.get(kept)
}))

/**
 * A monitor and the stream of its events. Every run of the stream sees the events from its start on. A slow reader
 * loses the oldest events beyond `capacity` (default 1024) and never slows the program down.
 *
 * @since 0.1.0
 * @category constructors
 */
export const stream = (options?: { readonly capacity?: number | undefined }): Effect.Effect<
  { readonly monitor: Service; readonly events: Stream.Stream<Event.Event> },
  never,
  Scope.Scope
> =>
  Effect.map(
    Effect.acquireRelease(PubSub.sliding<Event.Event>(options?.capacity ?? 1024), PubSub.shutdown),
    (hub) => ({ monitor: make((event) => PubSub.publish(hub, event)), events: Stream.fromPubSub(hub) })
  )

/**
 * Provides a monitor to everything below.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (monitor: Service): Layer.Layer<never> => Layer.succeed(Monitor, monitor)

/**
 * Provides hooks to everything below.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerHooks = (hooks: Hooks): Layer.Layer<never> => layer(fromHooks(hooks))

/**
 * Logs every event through Effect's own logs, with its tag, policy, attempt and error as annotations. Giving up, an opened
 * circuit, a fallback and a pause that the other side asked for are warnings, a retry is info, and what repeats for every
 * call (a refusal of an open circuit) is debug. What a model or a tool said is not logged.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerLog: Layer.Layer<never> = Layer.succeed(Monitor, make(log))

/**
 * Waits until a monitor has handled every event that it was given so far: at the end of a program, before a report is
 * read. A monitor that never ends makes this wait for ever, so give it a time-out of your own.
 *
 * @since 0.1.0
 * @category combinators
 */
export const flush = (monitor: Service): Effect.Effect<void> => Delivery.flush(monitor)

/**
 * How many events a monitor lost because too many waited for it.
 *
 * @since 0.1.0
 * @category getters
 */
export const dropped = (monitor: Service): Effect.Effect<number> => Delivery.dropped(monitor)

/**
 * Reports an event to the monitor of the running program. It never fails, and never waits for the monitor.
 *
 * @since 0.1.0
 * @category combinators
 */
export const emit = (event: Event.Event): Effect.Effect<void> =>
  Effect.flatMap(Monitor, (monitor) => monitor === silent ? Effect.void : Delivery.deliver(monitor, event))
