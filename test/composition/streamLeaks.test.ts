/**
 * Streams that are interrupted wherever they are leave nothing behind: 10 000 in the full form. Most of them are scripted, in a
 * world with a clock of its own, where every fiber and every timer is counted. The others go over real sockets, in all four
 * protocols; they are few, because each costs real time and a connection, and what they prove of sockets the hundredth proves
 * as well as the ten thousandth.
 */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import * as Supervisor from "effect/Supervisor"
import * as ChaosServer from "../../src/chaos/ChaosServer.ts"
import type * as LanguageModel from "../../src/model/LanguageModel.ts"
import type * as StreamPart from "../../src/model/StreamPart.ts"
import * as Bulkhead from "../../src/policy/Bulkhead.ts"
import * as Pipeline from "../../src/policy/Pipeline.ts"
import * as RateLimiter from "../../src/policy/RateLimiter.ts"
import * as RetryBudget from "../../src/policy/RetryBudget.ts"
import * as ResilientStream from "../../src/resilience/ResilientStream.ts"
import { breaksInTheMiddle, modelOf as modelOfWire, type WireName, wireNames } from "../integration/chaosWires.ts"
import { fail, finish, hang, modelOf, start, text, wait } from "../resilience/scriptedStream.ts"
import { runs } from "../runs.ts"
import * as Simulator from "./support/simulator.ts"

const all = runs(1_000, 10_000)
const overSockets = runs(80, 400)
const aRound = runs(460, 800)
const rounds = (all - overSockets) / aRound

/** Every policy that holds something for a stream. */
const guards = (requestsPerMinute: number) =>
  Effect.gen(function*() {
    const bulkhead = yield* Bulkhead.make({ name: "b", maxConcurrent: 50, maxQueued: all })
    const retryBudget = yield* RetryBudget.make({ name: "budget" })
    const rateLimiter = yield* RateLimiter.make({ name: "r", requestsPerMinute })
    const pipeline = yield* Pipeline.make({
      totalTimeout: "1 minute",
      retry: { backoff: "constant", delay: "10 millis", attempts: 3 },
      retryBudget,
      hedge: { delay: "2 millis" },
      bulkhead,
      rateLimiter,
      stream: {
        firstContent: "1 second",
        idle: "40 millis",
        liveness: "35 millis",
        peek: "1 millis",
        onBreak: "restart"
      }
    })
    return { bulkhead, pipeline, rateLimiter, retryBudget }
  })

type Guards = Effect.Effect.Success<ReturnType<typeof guards>>

/** No permit is held, nobody waits, and the limiter has kept reservations for no more than the requests that were sent. */
const expectFree = ({ bulkhead, rateLimiter, retryBudget }: Guards, sent: number, lastedMillis: number) =>
  Effect.gen(function*() {
    expect(yield* Bulkhead.stats(bulkhead)).toMatchObject({ queued: 0, running: 0 })
    expect(yield* RetryBudget.stats(retryBudget)).toMatchObject({ calls: 0, retries: 0, hedges: 0 })
    const { requestsAvailable, requestsPerMinute, waiting } = yield* RateLimiter.state(rateLimiter)
    expect(waiting).toBe(0)
    const refilled = requestsPerMinute * lastedMillis / 60_000
    expect(requestsPerMinute - requestsAvailable).toBeGreaterThanOrEqual(sent - refilled - 1e-6)
    expect(requestsPerMinute - requestsAvailable).toBeLessThanOrEqual(sent)
  })

const parts = (model: LanguageModel.Service, { pipeline }: Guards, index: number) =>
  ResilientStream.strengthen(model, pipeline)({ prompt: `Request ${index}` })

const drain = (model: LanguageModel.Service, own: Guards, index: number) =>
  Effect.ignore(Stream.runDrain(parts(model, own, index)))

/** Interrupts a stream at its first content: the server has more to say then, however slow the machine is. */
const interruptAtContent = (model: LanguageModel.Service, own: Guards, index: number) =>
  Effect.gen(function*() {
    const hasContent = yield* Deferred.make<void>()
    const look = (part: StreamPart.StreamPart) =>
      part._tag.endsWith("Delta") ? Deferred.succeed(hasContent, undefined) : Effect.void
    const read = Effect.ignore(Stream.runDrain(Stream.tap(parts(model, own, index), look)))
    yield* Effect.raceFirst(read, Deferred.await(hasContent))
  })

/** Interrupts each of the streams at a moment of its own, in virtual time. */
const interruptScripted = async (round: number): Promise<void> => {
  const { counts, model } = modelOf(
    ...Array.from({ length: 3 * aRound }, (_, i) =>
      i % 3 === 0
        ? [start, text("a"), wait(20), fail()]
        : i % 3 === 1
        ? [start, wait(5), text("b"), wait(30), text("c"), hang]
        : [start, text("d"), finish()])
  )
  const longest = 80
  const world = Simulator.make(`leaks ${round}`)
  const draw = Simulator.draws(round)
  // Every other limiter is so tight that most streams are interrupted while they wait for it.
  const own = world.ask(guards(round % 2 === 0 ? 6_000 : 60))
  const fibers = Array.from({ length: aRound }, (_, index) => world.start(drain(model, own, index)))
  for (const fiber of fibers) world.at(draw() * longest, () => void world.start(Fiber.interrupt(fiber)))
  await world.run(longest)
  expect(fibers.every((fiber) => Option.isSome(world.ask(fiber.poll)))).toBe(true)
  expect(counts.requests).toBeGreaterThan(0)
  expect(counts.open).toBe(0)
  expect(world.left()).toEqual({ fibers: 0, timers: 0 })
  world.ask(expectFree(own, counts.requests, longest))
}

/** What keeps the process alive. */
const resources = () => {
  const active = process.getActiveResourcesInfo()
  const count = (name: string) => active.filter((each) => each === name).length
  return { sockets: count("TCPSocketWrap"), timers: count("Timeout") }
}

/** The other end of a connection hears of its end a moment later. */
const eventually = <A>(look: Effect.Effect<A>, holds: (value: A) => boolean): Effect.Effect<A> =>
  look.pipe(
    Effect.filterOrFail(holds, (value) => new Error(`still ${JSON.stringify(value)}`)),
    Effect.retry(Schedule.spaced("5 millis").pipe(Schedule.upTo("5 seconds"))),
    Effect.orDie
  )

/** Interrupts every other stream of a wire at a moment of its own, in real time, and the others at their first content. */
const interruptReal = (wire: WireName, count: number) =>
  Effect.gen(function*() {
    const before = resources()
    let sent = 0
    const supervisor = yield* Supervisor.track
    const server = yield* ChaosServer.make({ plan: breaksInTheMiddle, tokenDelay: "5 millis" })
    const dispatcher = yield* NodeHttpClient.makeDispatcher
    const client = NodeHttpClient.layerUndiciWithoutDispatcher.pipe(
      Layer.provide(Layer.succeed(NodeHttpClient.Dispatcher, dispatcher))
    )
    const own = yield* guards(6_000)
    yield* Effect.gen(function*() {
      const provider = yield* modelOfWire(server, wire, "plain", client)
      const model: LanguageModel.Service = {
        ...provider,
        stream: (request) => {
          sent++
          return provider.stream(request)
        }
      }
      yield* Effect.forEach(
        Array.from({ length: count }, (_, index) => index),
        (index) =>
          index % 2 === 0
            ? interruptAtContent(model, own, index)
            : Effect.flatMap(
              Random.nextIntBetween(1, 200),
              (millis) => Effect.timeoutOption(drain(model, own, index), millis)
            ),
        { concurrency: 10, discard: true }
      )
    }).pipe(Effect.supervised(supervisor))
    const books = yield* eventually(server.books, ({ inFlight }) => inFlight === 0)
    // Some were interrupted while the server still had something to say.
    expect(books.aborted).toBeGreaterThan(0)
    expect((yield* supervisor.value).length).toBe(0)
    // It waits for whoever still has a request.
    yield* Effect.promise(() => dispatcher.close())
    yield* eventually(Effect.sync(resources), ({ sockets, timers }) => sockets === 0 && timers <= before.timers)
    yield* expectFree(own, sent, Infinity)
  }).pipe(Effect.withRandom(Random.make(wire)), Effect.scoped)

describe(`${all} interrupted streams`, () => {
  it(
    `leave no timer, fiber, permit or reservation: ${all - overSockets} scripted ones`,
    { timeout: 60_000 },
    async () => {
      for (let round = 0; round < rounds; round++) await interruptScripted(round)
    }
  )

  for (const wire of wireNames) {
    const count = overSockets / wireNames.length
    it.live(
      `leave no timer, fiber, socket, permit or reservation: ${count} of ${wire} over HTTP`,
      () => interruptReal(wire, count),
      60_000
    )
  }
})
