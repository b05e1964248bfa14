import { describe, expect, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FastCheck from "effect/FastCheck"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Supervisor from "effect/Supervisor"
import * as TestClock from "effect/TestClock"
import * as ModelError from "../../src/error/ModelError.ts"
import * as StreamPart from "../../src/model/StreamPart.ts"
import * as Usage from "../../src/model/Usage.ts"
import * as StreamRelay from "../../src/resilience/StreamRelay.ts"
import { runs } from "../runs.ts"

const finish = StreamPart.finish({ reason: "stop", usage: Usage.zero })
const text = StreamPart.textDelta

interface Received {
  readonly id: string | undefined
  readonly event: string
  readonly data: unknown
}

/** The events of a connection, as a browser reads them. */
const parsed = (body: string): ReadonlyArray<Received> =>
  body.split("\n\n").flatMap((block) => {
    const field = (name: string) => new RegExp(`^${name}: (.*)$`, "m").exec(block)?.[1]
    const event = field("event")
    return event === undefined ? [] : [{ id: field("id"), event, data: JSON.parse(field("data") ?? "null") }]
  })

const read = (relay: StreamRelay.StreamRelay, id: string, lastEventId?: string) =>
  StreamRelay.events(relay, id, { lastEventId }).pipe(
    Effect.flatMap(Stream.runCollect),
    Effect.map((pieces) => parsed(Chunk.join(pieces, "")))
  )

/** Connects, and says what has come so far. */
const connect = (relay: StreamRelay.StreamRelay, id: string, lastEventId?: string) =>
  Effect.gen(function*() {
    const pieces: Array<string> = []
    const events = yield* StreamRelay.events(relay, id, { lastEventId })
    const fiber = yield* Effect.fork(Stream.runForEach(events, (piece) => Effect.sync(() => pieces.push(piece))))
    yield* Effect.yieldNow()
    return { fiber, body: () => pieces.join(""), events: () => parsed(pieces.join("")) }
  })

/** A reply that comes as the test says. */
const dictated = Effect.gen(function*() {
  const queue = yield* Queue.unbounded<StreamPart.StreamPart>()
  const state = { isInterrupted: false }
  const stream = Stream.fromQueue(queue).pipe(
    Stream.takeUntil(({ _tag }) => _tag === "Finish"),
    Stream.onDone(() => Effect.void),
    Stream.ensuringWith((exit) =>
      Effect.sync(() => {
        state.isInterrupted = Exit.isInterrupted(exit)
      })
    )
  )
  const say = (...parts: ReadonlyArray<StreamPart.StreamPart>) =>
    Effect.zipRight(Queue.offerAll(queue, parts), TestClock.adjust(0))
  return { stream, say, state }
})

const textsOf = (events: ReadonlyArray<Received>) =>
  events.flatMap(({ data, event }) =>
    event === "TextDelta" ? [Schema.decodeUnknownSync(StreamPart.TextDelta)(data).text] : []
  )

describe("StreamRelay", () => {
  it.scoped("gives the parts as events with ids, and what the account is nothing for clients", () =>
    Effect.gen(function*() {
      const relay = yield* StreamRelay.make()
      const start = StreamPart.start({ model: "m", rateLimit: { requests: { limit: 5 } } })
      const parts = [start, text("a\nb"), StreamPart.reset(2, "broke"), text("c"), finish]
      yield* StreamRelay.begin(relay, "chat", Stream.fromIterable(parts))
      const events = yield* read(relay, "chat")
      expect(events.map(({ id }) => id)).toEqual(["1/1", "1/2", "2/3", "2/4", "2/5"])
      expect(events.map(({ event }) => event)).toEqual(["Start", "TextDelta", "Reset", "TextDelta", "Finish"])
      expect(events.map(({ data }) => Schema.decodeUnknownSync(StreamPart.StreamPart)(data))).toEqual([
        StreamPart.start({ model: "m" }),
        ...parts.slice(1)
      ])
    }))

  it.scoped("gives a client that comes back what it missed, and nothing twice", () =>
    Effect.gen(function*() {
      const relay = yield* StreamRelay.make()
      const { say, stream } = yield* dictated
      yield* StreamRelay.begin(relay, "chat", stream)
      const first = yield* connect(relay, "chat")
      yield* say(text("one "), text("two "))
      expect(textsOf(first.events())).toEqual(["one ", "two "])
      yield* Fiber.interrupt(first.fiber)
      yield* say(text("three "))
      const second = yield* connect(relay, "chat", first.events().at(-1)?.id)
      yield* say(text("four"), finish)
      yield* Fiber.join(second.fiber)
      expect(textsOf(second.events())).toEqual(["three ", "four"])
      // After the end, too, while the reply lingers.
      expect(textsOf(yield* read(relay, "chat"))).toEqual(["one ", "two ", "three ", "four"])
      expect(yield* read(relay, "chat", "1/5")).toEqual([])
    }))

  it.scoped("gives a client that is cut any number of times, anywhere, every event once and in order", () =>
    Effect.gen(function*() {
      const relay = yield* StreamRelay.make({ linger: "1 hour" })
      const scripts = FastCheck.sample(FastCheck.array(FastCheck.constantFrom("part", "part", "cut", "away")), {
        numRuns: runs(30, 300),
        seed: 9
      })
      for (const [at, script] of scripts.entries()) {
        const { say, stream } = yield* dictated
        yield* StreamRelay.begin(relay, `${at}`, stream)
        const seen: Array<Received> = []
        let client = yield* connect(relay, `${at}`)
        const cut = Effect.suspend(() => {
          seen.push(...client.events())
          return Fiber.interrupt(client.fiber)
        })
        let said = 0
        const sayNext = Effect.suspend(() => say(text(`${said++}`)))
        for (const step of script) {
          if (step !== "part") yield* cut
          if (step !== "cut") yield* sayNext
          if (step !== "part") client = yield* connect(relay, `${at}`, seen.at(-1)?.id)
        }
        yield* say(finish)
        yield* Fiber.join(client.fiber)
        seen.push(...client.events())
        expect(textsOf(seen)).toEqual(Array.from({ length: said }, (_, i) => `${i}`))
        expect(seen.map(({ id }) => id)).toEqual(seen.map((_, i) => `1/${i + 1}`))
      }
    }))

  it.scoped("leaves no fiber of thousands of connections", () =>
    Effect.gen(function*() {
      const connections = runs(300, 3_000)
      const supervisor = yield* Supervisor.track
      const fibers = Effect.map(Effect.zipRight(TestClock.adjust(0), supervisor.value), (all) => all.length)
      const relay = yield* StreamRelay.make({ linger: "1 second" })
      const { say, stream } = yield* dictated
      yield* Effect.supervised(StreamRelay.begin(relay, "chat", stream), supervisor)
      const before = yield* fibers
      const connection = Effect.flatMap(StreamRelay.events(relay, "chat"), Stream.runDrain)
      for (let i = 0; i < connections; i++) {
        const client = yield* Effect.supervised(Effect.fork(connection), supervisor)
        if (i % 2 === 0) yield* Effect.yieldNow()
        yield* Fiber.interrupt(client)
      }
      expect(relay.replies.get("chat")?.readers).toBe(0)
      // What generates the reply, and what ends it when nobody comes any more.
      expect(yield* fibers).toBe(before)
      yield* say(finish)
      yield* TestClock.adjust("1 second")
      expect([relay.replies.size, yield* fibers]).toEqual([0, 0])
    }))

  it.scoped("begins a reply once, however often it is asked for, and gives it to many", () =>
    Effect.gen(function*() {
      const relay = yield* StreamRelay.make()
      const { say, stream } = yield* dictated
      let runs = 0
      const counted = Stream.unwrap(Effect.sync(() => {
        runs += 1
        return stream
      }))
      yield* StreamRelay.begin(relay, "chat", counted)
      yield* StreamRelay.begin(relay, "chat", counted)
      const both = [yield* connect(relay, "chat"), yield* connect(relay, "chat")]
      yield* say(text("hello"), finish)
      for (const { events, fiber } of both) {
        yield* Fiber.join(fiber)
        expect(textsOf(events())).toEqual(["hello"])
      }
      expect(runs).toBe(1)
    }))

  it.scoped("lets a reply that nobody reads go on for as long as it lingers, then interrupts it", () =>
    Effect.gen(function*() {
      const relay = yield* StreamRelay.make({ linger: "30 seconds" })
      const { say, state, stream } = yield* dictated
      yield* StreamRelay.begin(relay, "chat", stream)
      const first = yield* connect(relay, "chat")
      yield* say(text("one"))
      yield* Fiber.interrupt(first.fiber)
      yield* TestClock.adjust("29 seconds")
      const second = yield* connect(relay, "chat", "1/1")
      yield* TestClock.adjust("5 minutes")
      expect(state.isInterrupted).toBe(false)
      yield* Fiber.interrupt(second.fiber)
      yield* TestClock.adjust("29999 millis")
      expect(state.isInterrupted).toBe(false)
      yield* TestClock.adjust("1 millis")
      expect(state.isInterrupted).toBe(true)
      expect(yield* Effect.flip(read(relay, "chat", "1/1"))).toMatchObject({ _tag: "ReplayMissed", reason: "unknown" })
      expect(relay.replies.size).toBe(0)
    }))

  it.scoped("interrupts a reply that nobody ever read, and forgets one that is over", () =>
    Effect.gen(function*() {
      const relay = yield* StreamRelay.make({ linger: "10 seconds" })
      const { state, stream } = yield* dictated
      yield* StreamRelay.begin(relay, "unread", stream)
      yield* StreamRelay.begin(relay, "over", Stream.make(finish))
      expect(yield* read(relay, "over")).toHaveLength(1)
      yield* TestClock.adjust("10 seconds")
      expect([state.isInterrupted, relay.replies.size]).toEqual([true, 0])
    }))

  it.scoped("sends a comment while nothing comes", () =>
    Effect.gen(function*() {
      const relay = yield* StreamRelay.make({ heartbeat: "15 seconds", retry: "2 seconds" })
      const { say, stream } = yield* dictated
      yield* StreamRelay.begin(relay, "chat", stream)
      const client = yield* connect(relay, "chat")
      yield* TestClock.adjust("14 seconds")
      expect(client.body()).toBe("retry: 2000\n\n")
      yield* TestClock.adjust("31 seconds")
      expect(client.body()).toBe("retry: 2000\n\n:\n\n:\n\n:\n\n")
      yield* say(text("a"))
      expect(textsOf(client.events())).toEqual(["a"])
    }))

  it.scoped("refuses a client that missed more than is kept, in events or in characters", () =>
    Effect.gen(function*() {
      const parts = [text("1"), text("2"), text("3"), text("4"), finish]
      const few = yield* StreamRelay.make({ maxEvents: 3 })
      yield* StreamRelay.begin(few, "chat", Stream.fromIterable(parts))
      yield* TestClock.adjust(0)
      const refused = yield* Effect.flip(read(few, "chat", "1/1"))
      expect(refused).toMatchObject({ _tag: "ReplayMissed", id: "chat", lastEventId: "1/1", reason: "dropped" })
      expect(parsed(StreamRelay.missed(refused))).toEqual([
        { id: undefined, event: "Missed", data: { _tag: "Missed", reason: refused.message } }
      ])
      expect(textsOf(yield* read(few, "chat", "1/2"))).toEqual(["3", "4"])
      const small = yield* StreamRelay.make({ maxCharacters: 1_000 })
      yield* StreamRelay.begin(
        small,
        "chat",
        Stream.fromIterable([text("a".repeat(900)), text("b".repeat(2_000)), finish])
      )
      yield* TestClock.adjust(0)
      expect(yield* Effect.flip(read(small, "chat"))).toMatchObject({ reason: "dropped" })
    }))

  it.scoped("does not keep more for a slow client, which is told and let go", () =>
    Effect.gen(function*() {
      const relay = yield* StreamRelay.make({ maxEvents: 10 })
      const { say, stream } = yield* dictated
      const mayRead = yield* Deferred.make<void>()
      const pieces: Array<string> = []
      yield* StreamRelay.begin(relay, "chat", stream)
      const events = yield* StreamRelay.events(relay, "chat")
      const slow = yield* Effect.fork(
        Stream.runForEach(events, (piece) =>
          Effect.zipRight(Effect.sync(() => pieces.push(piece)), Deferred.await(mayRead)))
      )
      yield* Effect.yieldNow()
      yield* say(...Array.from({ length: 1_000 }, (_, i) =>
        text(`${i}`)))
      expect(relay.replies.get("chat")?.buffer.after(990)).toMatchObject({ last: 1_000 })
      expect(relay.replies.get("chat")?.buffer.after(989)).toEqual({ _tag: "Dropped" })
      yield* Deferred.succeed(mayRead, undefined)
      yield* Fiber.join(slow)
      expect(parsed(pieces.join("")).map(({ event }) => event)).toEqual(["Missed"])
    }))

  it.scoped.each(["", "1", "x/y", "1/7", "1/-1", "1/1e3", `1/${"9".repeat(40)}`, "1/1\nid: 2"])(
    "refuses an id that it has not given: %j",
    (lastEventId) =>
      Effect.gen(function*() {
        const relay = yield* StreamRelay.make()
        yield* StreamRelay.begin(relay, "chat", Stream.make(text("a")))
        yield* TestClock.adjust(0)
        expect(yield* Effect.flip(read(relay, "chat", lastEventId))).toMatchObject({ reason: "unknown" })
      })
  )

  it.scoped("tells of a reply that failed by the name of its error, and no more", () =>
    Effect.gen(function*() {
      const relay = yield* StreamRelay.make()
      const broken = new ModelError.ServerError({ provider: "openai", status: 503, billed: "maybe" })
      yield* StreamRelay.begin(relay, "failed", Stream.concat(Stream.make(text("a")), Stream.fail(broken)))
      yield* StreamRelay.begin(relay, "died", Stream.die(new TypeError("the password is 1234")))
      const failed = yield* read(relay, "failed")
      expect(failed.at(-1)).toEqual({ id: "1/2", event: "Error", data: { _tag: "Error", error: "ServerError" } })
      const died = yield* read(relay, "died")
      expect(died).toEqual([{ id: "1/1", event: "Error", data: { _tag: "Error", error: "TypeError" } }])
    }))

  describe("with room for two replies", () => {
    const full = Effect.gen(function*() {
      const relay = yield* StreamRelay.make({ maxReplies: 2, linger: "1 minute" })
      yield* StreamRelay.begin(relay, "first", Stream.make(text("a"), finish))
      yield* TestClock.adjust(0)
      const { say, stream } = yield* dictated
      yield* StreamRelay.begin(relay, "second", stream)
      return { relay, say }
    })

    it.scoped("forgets the oldest that is over and that nobody reads, and its timer with it", () =>
      Effect.gen(function*() {
        const { relay } = yield* full
        const lingering = relay.replies.get("first")?.lingering
        expect(lingering?.unsafePoll()).toBeNull()
        yield* StreamRelay.begin(relay, "third", Stream.make(text("c"), finish))
        yield* TestClock.adjust(0)
        expect([...relay.replies.keys()]).toEqual(["second", "third"])
        expect(lingering?.unsafePoll()).not.toBeNull()
        expect(yield* Effect.flip(read(relay, "first"))).toMatchObject({ reason: "unknown" })
        expect(textsOf(yield* read(relay, "third"))).toEqual(["c"])
      }))

    it.scoped("refuses another one while both are being made or read, and asks nobody for it", () =>
      Effect.gen(function*() {
        const { relay, say } = yield* full
        // A client that has not read the end yet.
        const events = yield* StreamRelay.events(relay, "first")
        const mayRead = yield* Deferred.make<void>()
        const reading = yield* Effect.fork(Stream.runForEach(events, () => Deferred.await(mayRead)))
        yield* TestClock.adjust(0)
        let asked = 0
        const counted = Stream.suspend(() => {
          asked++
          return Stream.make(text("c"), finish)
        })
        const refused = yield* Effect.flip(StreamRelay.begin(relay, "third", counted))
        expect(refused).toMatchObject({ _tag: "RelayFull", id: "third", maxReplies: 2 })
        expect([asked, [...relay.replies.keys()]]).toEqual([0, ["first", "second"]])
        // The same question twice is no other reply.
        yield* StreamRelay.begin(relay, "second", counted)
        // As soon as one is neither made nor read, there is room.
        yield* Deferred.succeed(mayRead, undefined)
        yield* Fiber.join(reading)
        yield* StreamRelay.begin(relay, "third", counted)
        yield* say(text("b"), finish)
        expect(textsOf(yield* read(relay, "second"))).toEqual(["b"])
        expect(asked).toBe(1)
      }))

    it.scoped("holds no more than so many, however many come", () =>
      Effect.gen(function*() {
        const relay = yield* StreamRelay.make({ maxReplies: 10 })
        for (let i = 0; i < 1_000; i++) {
          yield* StreamRelay.begin(relay, `${i}`, Stream.make(text("a"), finish))
          yield* Effect.yieldNow()
        }
        expect(relay.replies.size).toBe(10)
      }))
  })

  it.effect("ends with its scope: replies are interrupted, and connections end", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const relay = yield* Scope.extend(StreamRelay.make(), scope)
      const { say, state, stream } = yield* dictated
      yield* StreamRelay.begin(relay, "chat", stream)
      const client = yield* connect(relay, "chat")
      yield* say(text("a"))
      yield* Scope.close(scope, Exit.void)
      yield* Fiber.join(client.fiber)
      expect([state.isInterrupted, textsOf(client.events())]).toEqual([true, ["a"]])
    }))

  it.scoped("refuses options that cannot work, all of them at once", () =>
    Effect.gen(function*() {
      const options = { maxReplies: 0, linger: -1, maxEvents: 0, maxCharacters: 1, heartbeat: 0, retry: "soon" }
      // @ts-expect-error a duration has a unit
      const refused = yield* Effect.flip(StreamRelay.make(options))
      expect(refused.issues.map(({ path }) => path)).toEqual([
        "maxReplies",
        "linger",
        "maxEvents",
        "maxCharacters",
        "heartbeat",
        "retry"
      ])
    }))
})
