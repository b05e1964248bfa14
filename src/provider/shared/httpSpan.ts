/** The span of a request, where somebody sees it. */
import * as Context from "effect/Context"
import * as DefaultServices from "effect/DefaultServices"
import * as Effect from "effect/Effect"
import * as Tracer from "effect/Tracer"

/** The tracer that nobody has installed: its spans reach nobody. */
const native = Context.get(DefaultServices.liveServices, Tracer.Tracer)

/**
 * Runs a request of the platform's client. Without a tracer and without a span around it no span is made at all: nobody would
 * see it, and it takes 100 µs of the processor.
 */
export const traced = <A, E, R>(request: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.withFiberRuntime((fiber) =>
    Context.get(fiber.currentDefaultServices, Tracer.Tracer) === native && fiber.currentSpan === undefined
      ? Effect.withTracerEnabled(request, false)
      : request
  )
