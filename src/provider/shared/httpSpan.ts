/** Whether anybody sees the span of a request. */
import * as Context from "effect/Context"
import * as DefaultServices from "effect/DefaultServices"
import type * as Fiber from "effect/Fiber"
import * as Tracer from "effect/Tracer"

/** The tracer that nobody has installed: its spans reach nobody. */
const native = Context.get(DefaultServices.liveServices, Tracer.Tracer)

/** Without a tracer and without a span around it nobody sees the span of a request, and it takes 100 µs of the processor. */
export const isSeen = (fiber: Fiber.RuntimeFiber<unknown, unknown>): boolean =>
  Context.get(fiber.currentDefaultServices, Tracer.Tracer) !== native || fiber.currentSpan !== undefined
