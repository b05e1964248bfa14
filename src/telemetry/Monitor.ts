/**
 * Where events go. A `Context.Reference` that is silent by default: nothing has to be provided, and a program that
 * wants to know provides a sink, a stream or hooks. A sink that fails or throws changes nothing for the call that
 * reported to it.
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
import * as Layer from "effect/Layer"
import * as PubSub from "effect/PubSub"
import * as Ref from "effect/Ref"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type * as Event from "./Event.ts"

/**
 * Takes events. It is run on the reporting fiber, so let it be quick.
 *
 * @since 0.1.0
 * @category models
 */
export interface Service {
  readonly emit: (event: Event.Event) => Effect.Effect<void>
}

/**
 * Takes events and drops them: the default.
 *
 * @since 0.1.0
 * @category constructors
 */
export const silent: Service = { emit: () => Effect.void }

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
 * A monitor that tells both.
 *
 * @since 0.1.0
 * @category combinators
 */
export const both = (first: Service, second: Service): Service => ({
  emit: (event) => Effect.zipRight(guarded(first, event), guarded(second, event))
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

const guarded = (monitor: Service, event: Event.Event): Effect.Effect<void> =>
  Effect.catchAllCause(Effect.suspend(() => monitor.emit(event)), () => Effect.void)

/**
 * Reports an event to the monitor of the running program. Never fails: a sink that fails or throws is ignored.
 *
 * @since 0.1.0
 * @category combinators
 */
export const emit = (event: Event.Event): Effect.Effect<void> =>
  Effect.flatMap(Monitor, (monitor) => monitor === silent ? Effect.void : guarded(monitor, event))
