/** A pipeline over any list of sections: `Pipeline` is this over the list of all policies. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import { type Pipeable, pipeArguments } from "effect/Pipeable"
import type { InvalidOptions } from "../../error/InvalidOptions.ts"
import type { TimedOut } from "../../error/PolicyError.ts"
import { type Fields, isRecord } from "../../internal/record.ts"
import * as Event from "../../telemetry/Event.ts"
import * as Monitor from "../../telemetry/Monitor.ts"
import type { Cost } from "../RateLimiter.ts"
import type * as Section from "../shared/section.ts"
import type { StreamedWork } from "../shared/streamedCall.ts"
import * as Configuration from "./configuration.ts"
import * as Plan from "./plan.ts"
import { describe, worstOf } from "./words.ts"

/** What marks a value as a pipeline. */
export const TypeId: unique symbol = Symbol.for("effect-llm-resilience/Pipeline")

/** A pipeline with the policies `Policies`, which refuses with `Refused`. */
export interface PipelineOf<out Refused, out Policies> extends Pipeable {
  readonly [TypeId]: typeof TypeId
  readonly name: string
  /** Its own books: replaced as a whole when the configuration changes. */
  readonly cell: { current: Running<Refused, Policies> }
}

interface Running<out Refused, out Policies> {
  readonly policies: Policies
  readonly installation: Configuration.Installation<Refused>
  readonly plan: Plan.Plan<Refused>
}

type AnyPipeline = PipelineOf<unknown, unknown>

const proto = {
  [TypeId]: TypeId,
  toString(this: AnyPipeline): string {
    return describe(this.cell.current.installation)
  },
  toJSON(this: AnyPipeline): unknown {
    return Configuration.encode(this.cell.current.installation)
  },
  pipe() {
    return pipeArguments(this, arguments)
  }
}

/** Under the name that stays. */
const renamed = (options: unknown, name: string): unknown => isRecord(options) ? { ...options, name } : options

/** All that can be done with a pipeline of these sections. */
export const pipelineOf = <const S extends Section.Any>(sections: Configuration.ListOf<S>) => {
  type Refused = Section.RefusedBy<S>
  type Options = Configuration.OptionsOf<S>
  type Policies = Configuration.PoliciesOf<S>
  type Pipeline = PipelineOf<Refused, Policies>

  const running = (installation: Configuration.Installation<Refused>): Running<Refused, Policies> => ({
    policies: Configuration.policiesOf(sections, installation),
    installation,
    plan: Plan.make(installation)
  })

  const read = (options: unknown, mode: Section.Mode) => Configuration.install<Refused>(sections, options, mode)

  const build = (installation: Configuration.Installation<Refused>): Pipeline =>
    Object.assign(Object.create(proto), { name: installation.name, cell: { current: running(installation) } })

  /** All or nothing, whoever is interrupted meanwhile. */
  const swap = (self: Pipeline, options: unknown, mode: Section.Mode): Effect.Effect<void, InvalidOptions> =>
    Effect.uninterruptible(Effect.gen(function*() {
      const next = yield* read(renamed(options, self.name), mode)
      self.cell.current = running(yield* Configuration.takeOver(self.cell.current.installation, next))
      yield* Effect.clockWith((clock) =>
        Monitor.emit(Event.ConfigSwapped({ at: clock.unsafeCurrentTimeMillis(), name: self.name }))
      )
    }))

  const make = (options: Options): Effect.Effect<Pipeline, InvalidOptions> => Effect.map(read(options, "code"), build)

  const decode = (json: unknown): Effect.Effect<Pipeline, InvalidOptions> => Effect.map(read(json, "file"), build)

  const reconfigure: {
    (options: Options): (self: Pipeline) => Effect.Effect<void, InvalidOptions>
    (self: Pipeline, options: Options): Effect.Effect<void, InvalidOptions>
  } = dual(2, (self: Pipeline, options: Options): Effect.Effect<void, InvalidOptions> => swap(self, options, "code"))

  const reload: {
    (json: unknown): (self: Pipeline) => Effect.Effect<void, InvalidOptions>
    (self: Pipeline, json: unknown): Effect.Effect<void, InvalidOptions>
  } = dual(2, (self: Pipeline, json: unknown): Effect.Effect<void, InvalidOptions> => swap(self, json, "file"))

  const apply: {
    (self: Pipeline): <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | Refused | TimedOut, R>
    <A, E, R>(effect: Effect.Effect<A, E, R>, self: Pipeline): Effect.Effect<A, E | Refused | TimedOut, R>
  } = dual(
    2,
    <A, E, R>(effect: Effect.Effect<A, E, R>, self: Pipeline): Effect.Effect<A, E | Refused | TimedOut, R> =>
      Effect.suspend(() => Plan.apply(effect, self.cell.current.plan))
  )

  const applyCost: {
    <A>(self: Pipeline, cost: Cost<A>): <B extends A, E, R>(
      effect: Effect.Effect<B, E, R>
    ) => Effect.Effect<B, E | Refused | TimedOut, R>
    <A, E, R>(
      effect: Effect.Effect<A, E, R>,
      self: Pipeline,
      cost: Cost<A>
    ): Effect.Effect<A, E | Refused | TimedOut, R>
  } = dual(
    3,
    <A, E, R>(
      effect: Effect.Effect<A, E, R>,
      self: Pipeline,
      cost: Cost<A>
    ): Effect.Effect<A, E | Refused | TimedOut, R> =>
      Effect.suspend(() => Plan.applyCost(effect, self.cell.current.plan, cost))
  )

  const applyStreamed = <A, E, R>(
    self: Pipeline,
    work: StreamedWork<A, E, R>
  ): Effect.Effect<A, E | Refused | TimedOut, R> =>
    Effect.suspend(() => Plan.applyStreamed(work, self.cell.current.plan))

  const bounds = (self: Pipeline) => {
    const { attempts, calls, duration, wait } = worstOf(self.cell.current.installation)
    return { attempts, calls, wait: Duration.millis(wait), duration: Duration.millis(duration) }
  }

  return {
    make,
    decode,
    reconfigure,
    reload,
    apply,
    applyCost,
    applyStreamed,
    bounds,
    describe: (self: Pipeline): string => describe(self.cell.current.installation),
    encode: (self: Pipeline): Fields => Configuration.encode(self.cell.current.installation),
    policies: (self: Pipeline): Policies => self.cell.current.policies
  }
}
