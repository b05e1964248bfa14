/** Streams that go on for long: many minutes of virtual time hold no more than one, and nothing is left when they are over. */
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import * as Supervisor from "effect/Supervisor"
import * as TestClock from "effect/TestClock"
import * as V8 from "node:v8"
import * as Vm from "node:vm"
import type * as LanguageModel from "../../src/model/LanguageModel.ts"
import { runs, turn } from "../runs.ts"
import { key, type Provider, providers } from "./badInputServers.ts"

const streamCount = 25

/** Whose last state is held against that after the first one. */
const minutes = runs(4, 10)

/** How often each stream gets an event, of virtual time. */
const beat = "5 seconds"
const beatsAMinute = 12

const heapUsed = (): number => {
  V8.setFlagsFromString("--expose-gc")
  const collect: unknown = Vm.runInNewContext("gc")
  if (typeof collect === "function") { for (let i = 0; i < 3; i++) collect() }
  return process.memoryUsage().heapUsed
}

/** A client whose replies go on for ever: what they say next is said on demand, to all. */
const endless = () => {
  const open = new Set<ReadableStreamDefaultController<Uint8Array>>()
  const client = HttpClient.make((request) =>
    Effect.sync(() => {
      let mine: ReadableStreamDefaultController<Uint8Array> | undefined
      const body = new ReadableStream<Uint8Array>({
        start: (controller) => {
          mine = controller
          open.add(controller)
        },
        cancel: () => {
          if (mine !== undefined) open.delete(mine)
        }
      })
      return HttpClientResponse.fromWeb(
        request,
        new Response(body, { headers: { "content-type": "text/event-stream" } })
      )
    })
  )
  const say = (text: string): void => {
    const bytes = new TextEncoder().encode(text)
    for (const controller of open) controller.enqueue(bytes)
  }
  return { client, open, say }
}

/** The event that says more, with a longer text; it does not begin as the reply did, which would be a repetition. */
const moreOf = (provider: Provider): string => {
  const more = provider.begun.slice(provider.begun.lastIndexOf("data: "))
  expect(more).toContain("Hel")
  return more.replace("Hel", "lo ".repeat(13_000))
}

const reading = (model: LanguageModel.Service<unknown>, received: { parts: number }) =>
  Stream.runForEach(model.stream({ prompt: "Hi" }), (part) =>
    Effect.sync(() => {
      if (part._tag === "TextDelta") received.parts++
    }))

/** The promises between bytes and parts need turns of the real event loop. */
const oneTurn = Effect.promise(turn)

describe(`streams for ${minutes} minutes`, () => {
  for (const provider of providers) {
    it.effect(`${provider.name}: no fiber, no byte more than after one minute`, () =>
      Effect.gen(function*() {
        const { client, open, say } = endless()
        const model = yield* provider.make({ baseUrl: "http://localhost/v1", apiKey: Redacted.make(key), model: "m" })
          .pipe(Effect.provideService(HttpClient.HttpClient, client))
        const received = { parts: 0 }
        const supervisor = yield* Supervisor.track
        const all = yield* Effect.fork(
          Effect.supervised(
            Effect.all(Array.from({ length: streamCount }, () => reading(model, received)), {
              concurrency: "unbounded",
              discard: true
            }),
            supervisor
          )
        )
        const arrived = (beats: number) =>
          Effect.repeat(oneTurn, { until: () => received.parts >= beats * streamCount })
        yield* Effect.repeat(oneTurn, { until: () => open.size === streamCount })
        say(provider.begun)
        yield* arrived(1)

        const more = moreOf(provider)
        yield* Effect.sync(() => say(more)).pipe(Effect.repeat(Schedule.spaced(beat)), Effect.delay(beat), Effect.fork)
        const passed = (beats: number, from: number) =>
          Effect.forEach(
            Array.from({ length: beats }),
            (_, i) => Effect.zipRight(TestClock.adjust(beat), arrived(from + i + 1)),
            { discard: true }
          )

        yield* passed(beatsAMinute, 1)
        const afterOne = { fibers: (yield* supervisor.value).length, heap: heapUsed() }
        yield* passed((minutes - 1) * beatsAMinute, 1 + beatsAMinute)
        const atLast = { fibers: (yield* supervisor.value).length, heap: heapUsed() }

        console.log(`${provider.name}: ${received.parts} parts read by ${streamCount} streams`)
        expect(received.parts).toBe((1 + minutes * beatsAMinute) * streamCount)
        expect(afterOne.fibers).toBeGreaterThanOrEqual(streamCount)
        expect(atLast.fibers).toBe(afterOne.fibers)
        // A megabyte of text has passed for each beat.
        expect(atLast.heap - afterOne.heap).toBeLessThan(20_000_000)

        yield* Fiber.interrupt(all)
        expect(open.size).toBe(0)
        expect(yield* supervisor.value).toHaveLength(0)
      }))
  }
})
