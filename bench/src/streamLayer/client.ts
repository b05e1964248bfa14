/** Healthy streams whose chunks come alone, with and without the layer that guards them: what it adds to a chunk. */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as LanguageModel from "../../../src/model/LanguageModel.ts"
import * as StreamPart from "../../../src/model/StreamPart.ts"
import * as Pipeline from "../../../src/policy/Pipeline.ts"
import * as Usage from "../../../src/model/Usage.ts"
import * as ResilientStream from "../../../src/resilience/ResilientStream.ts"
import { median } from "../measure.ts"
import type { Found } from "../run.ts"

const streamCount = 100

/** Chunks that each stream gets: until all is warm, and in each stretch that is measured. */
const chunks = { warm: 1_500, stretch: 400 } as const

const stretches = 15

/** Lengths between which the growth of a stream is told, in chunks. */
const lengths = { short: 2_000, long: 12_000 } as const

/** Long enough that an engine keeps it as one piece: what a stream keeps is then told by its characters. */
const delta = " a word or two of a reply"

type Pull = Effect.Effect<Chunk.Chunk<StreamPart.StreamPart>, Option.Option<never>>

/** Where chunks come from: whoever waits gets one at each tick, as from a socket. */
class Wire {
  private waiting: Array<(next: Pull) => void> = []

  readonly pull: Pull = Effect.async((resume) => {
    this.waiting.push(resume)
  })

  get waitingCount(): number {
    return this.waiting.length
  }

  /** All who wait get what `parts` makes, each its own. */
  tick(parts: () => ReadonlyArray<StreamPart.StreamPart>): void {
    const { waiting } = this
    this.waiting = []
    for (const resume of waiting) resume(Effect.succeed(Chunk.unsafeFromArray(parts())))
  }

  end(): void {
    const { waiting } = this
    this.waiting = []
    for (const resume of waiting) resume(Effect.fail(Option.none()))
  }
}

const modelOn = (wire: Wire): LanguageModel.Service =>
  LanguageModel.make({
    name: "wired",
    provider: "bench",
    generate: () => Effect.die("nobody asks for a whole reply"),
    stream: () => Stream.repeatEffectChunkOption(wire.pull)
  })

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

const policies = {
  retry: { backoff: "exponential", initial: "500 millis", attempts: 3 },
  circuitBreaker: {},
  bulkhead: { maxConcurrent: streamCount }
} satisfies Pipeline.Options

const phases = { firstContent: "1 minute", idle: "1 minute", liveness: "30 seconds", total: "1 hour" } as const

const pipelines: { readonly [name: string]: Pipeline.Options } = {
  "no stream policy": policies,
  "fail": { ...policies, stream: { onBreak: "fail" } },
  "restart": { ...policies, stream: { onBreak: "restart" } },
  "truncate": { ...policies, stream: { onBreak: "truncate" } },
  "resume": { ...policies, stream: { onBreak: "resume", otherwise: "restart" } },
  "restart, all time-outs": { ...policies, stream: { ...phases, onBreak: "restart" } }
}

interface Opened {
  /** Gives each stream a chunk, and waits until all have read it. */
  readonly tick: () => Promise<void>
  readonly close: () => Promise<void>
}

const open = async (options: Pipeline.Options | undefined): Promise<Opened> => {
  const wire = new Wire()
  const model = modelOn(wire)
  const stream = options === undefined
    ? model.stream
    : ResilientStream.strengthen(model, await Effect.runPromise(Pipeline.make(options)))
  let read = 0
  let ended = 0
  for (let at = 0; at < streamCount; at++) {
    const reading = Stream.runForEach(stream({ prompt: "Hi" }), (part) =>
      Effect.sync(() => {
        if (part._tag === "TextDelta") read++
      }))
    void Effect.runPromise(Effect.orDie(reading)).finally(() => ended++)
  }
  const isIdle = async (): Promise<void> => {
    while (wire.waitingCount < streamCount) await turn()
  }
  await isIdle()
  wire.tick(() => [StreamPart.start({ model: "wired" })])
  await isIdle()
  return {
    tick: async () => {
      const wanted = read + streamCount
      wire.tick(() => [StreamPart.textDelta(delta)])
      while (read < wanted || wire.waitingCount < streamCount) await turn()
    },
    close: async () => {
      wire.tick(() => [StreamPart.finish({ reason: "stop", usage: Usage.zero })])
      while (ended < streamCount) {
        await turn()
        wire.end()
      }
    }
  }
}

const collected = async (): Promise<number> => {
  if (globalThis.gc === undefined) throw new Error("run node with --expose-gc")
  for (let at = 0; at < 3; at++) {
    globalThis.gc()
    await turn()
  }
  return process.memoryUsage().heapUsed
}

const measured = (options?: Pipeline.Options) => async (): Promise<Found> => {
  const { close, tick } = await open(options)
  for (let at = 0; at < chunks.warm; at++) await tick()
  const micros: Array<number> = []
  for (let at = 0; at < stretches; at++) {
    const used = process.cpuUsage()
    for (let chunk = 0; chunk < chunks.stretch; chunk++) await tick()
    const { system, user } = process.cpuUsage(used)
    micros.push((user + system) / (chunks.stretch * streamCount))
  }
  await close()
  const grown = await open(options)
  for (let at = 0; at < lengths.short; at++) await grown.tick()
  const short = await collected()
  for (let at = lengths.short; at < lengths.long; at++) await grown.tick()
  const long = await collected()
  await grown.close()
  return {
    micros: median(micros),
    least: Math.min(...micros),
    growth: (long - short) / streamCount / (lengths.long - lengths.short)
  }
}

/** Characters that a chunk brings. */
export const charactersOfChunk = delta.length

export const bare = "stream layer, bare"

/** Who guards the streams. */
export const streamLayers: { readonly [name: string]: () => Promise<Found> } = {
  [bare]: measured(),
  ...Object.fromEntries(
    Object.entries(pipelines).map(([name, options]) => [`stream layer, ${name}`, measured(options)])
  )
}
