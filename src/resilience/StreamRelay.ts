/**
 * Streams for web clients that lose their connection: one generation, many reconnects. The parts of a reply go out as
 * server-sent events with ids; a client that comes back with `Last-Event-ID` gets what it missed from a small buffer, and
 * while it is away the generation goes on, for a while. So a browser's reconnect loses nothing and pays nothing twice.
 *
 * A client reads `event: TextDelta` and the other parts by their `_tag`, forgets what it has on `event: Reset`, and closes
 * its `EventSource` on `event: Finish`, `event: Error` (the reply failed) and `event: Missed` (more came than is kept; it has
 * to ask anew).
 *
 * @example
 * import * as Effect from "effect/Effect"
 * import * as Stream from "effect/Stream"
 * import * as StreamPart from "effect-llm-resilience/model/StreamPart"
 * import * as StreamRelay from "effect-llm-resilience/resilience/StreamRelay"
 * import * as Usage from "effect-llm-resilience/model/Usage"
 *
 * const parts = Stream.make(
 *   StreamPart.textDelta("Par"),
 *   StreamPart.textDelta("is."),
 *   StreamPart.finish({ reason: "stop", usage: Usage.zero })
 * )
 *
 * const program = Effect.gen(function*() {
 *   const relay = yield* StreamRelay.make()
 *   yield* StreamRelay.begin(relay, "chat-7", parts)
 *   // For a client that comes back: { lastEventId: "1/1" }, from its header.
 *   const events = yield* StreamRelay.events(relay, "chat-7")
 *   yield* Stream.runForEach(events, (text) => Effect.sync(() => console.log(text)))
 * })
 *
 * Effect.runPromise(Effect.scoped(program))
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { InvalidOptions, issueOf } from "../error/InvalidOptions.ts"
import { RelayFull, ReplayMissed } from "../error/RelayError.ts"
import * as Form from "../internal/form.ts"
import { definedFields } from "../internal/record.ts"
import type { StreamPart } from "../model/StreamPart.ts"
import { missedEvent, numberOf } from "./streamRelay/events.ts"
import { Reply, type Settings } from "./streamRelay/reply.ts"

/**
 * What marks a value as a {@link StreamRelay}.
 *
 * @since 0.1.0
 * @category symbols
 */
export const TypeId: unique symbol = Symbol.for("effect-llm-resilience/StreamRelay")

/**
 * The replies that are relayed now, by their ids.
 *
 * @since 0.1.0
 * @category models
 */
export interface StreamRelay {
  readonly [TypeId]: typeof TypeId
  readonly settings: Settings
  readonly replies: Map<string, Reply>
  readonly scope: Scope.Scope
}

/**
 * What a relay is made from; everything may be left out.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** How long a reply that nobody reads goes on, or is kept when it is over: 0 or more. Default: 30 seconds. */
  readonly linger?: Duration.DurationInput | undefined
  /**
   * How many replies are held at a time, those included that are over and linger: 1 to 1 000 000. When there is no room for
   * another one, the oldest that is over and that nobody reads is forgotten, and a client that comes back for it has to ask
   * anew. Where there is none, `begin` fails with `RelayFull`. So at most `maxReplies` × `maxCharacters` are kept. Default:
   * 1 000.
   */
  readonly maxReplies?: number | undefined
  /** How many events of a reply are kept: 1 to 1 000 000. Default: 5 000. */
  readonly maxEvents?: number | undefined
  /** How many characters of events of a reply are kept, 1 000 to 1 000 000 000; the last event always is. Default: 1 000 000. */
  readonly maxCharacters?: number | undefined
  /** After how long a silence a comment is sent, so that no proxy cuts the connection: above zero. Default: 15 seconds. */
  readonly heartbeat?: Duration.DurationInput | undefined
  /** After how long a client is to come back when its connection broke: 0 or more. Default: 1 second. */
  readonly retry?: Duration.DurationInput | undefined
}

const orZero = { from: "zero", allowed: "a duration, 0 or more" } as const

const form = Form.of<Options>()(Form.struct("an object with the options of a relay", {
  maxReplies: Form.withDefault(Form.count(1, 1_000_000), () => 1_000),
  linger: Form.withDefault(Form.millis(orZero), () => 30_000),
  maxEvents: Form.withDefault(Form.count(1, 1_000_000), () => 5_000),
  maxCharacters: Form.withDefault(Form.count(1_000, 1_000_000_000), () => 1_000_000),
  heartbeat: Form.withDefault(Form.millis(), () => 15_000),
  retry: Form.withDefault(Form.millis(orZero), () => 1_000)
}))

/**
 * A relay. It belongs to the scope: when that closes, all replies are interrupted and their clients' connections end. Fails
 * with one `InvalidOptions` that lists everything that is wrong.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Effect.Effect<StreamRelay, InvalidOptions, Scope.Scope> =>
  Effect.gen(function*() {
    const settings = yield* Either.mapLeft(
      Form.read(form, options, "code"),
      (faults) => new InvalidOptions({ module: "StreamRelay", issues: faults.map(issueOf) })
    )
    const replies = new Map<string, Reply>()
    const scope = yield* Effect.scope
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        for (const reply of replies.values()) reply.stop()
        replies.clear()
      })
    )
    return { [TypeId]: TypeId, settings, replies, scope }
  })

/**
 * Begins a reply under an id of its own, or does nothing where that reply is there already: so a client may send the same
 * question twice. The reply runs beside its clients, to its end or until nobody has read it for as long as it lingers.
 *
 * Fails with `RelayFull`, and sends nothing, where there is no room: `maxReplies` are being made or read.
 *
 * @since 0.1.0
 * @category operations
 */
export const begin = <E, R>(
  self: StreamRelay,
  id: string,
  stream: Stream.Stream<StreamPart, E, R>
): Effect.Effect<void, RelayFull, R> =>
  Effect.uninterruptible(Effect.suspend((): Effect.Effect<void, RelayFull, R> => {
    if (self.replies.has(id)) return Effect.void
    const { maxReplies } = self.settings
    if (self.replies.size >= maxReplies && !forgetOldest(self)) return Effect.fail(new RelayFull({ id, maxReplies }))
    const reply = new Reply(self.settings)
    self.replies.set(id, reply)
    return Effect.interruptible(reply.run(stream)).pipe(
      Effect.forkIn(self.scope),
      Effect.flatMap((generation) => {
        reply.generation = generation
        return linger(self, id, reply)
      })
    )
  }))

/**
 * The reply as the text of a `text/event-stream`, from its start, or from behind the event that the client has seen last
 * (its header `Last-Event-ID`). The stream ends when the reply is over. However slow the client is, no more is kept than the
 * relay keeps for all; one that falls behind by more gets `event: Missed`, and its stream ends.
 *
 * Fails with `ReplayMissed` where the client cannot get everything that it missed; {@link missed} is what to tell it.
 *
 * @since 0.1.0
 * @category operations
 */
export const events = (
  self: StreamRelay,
  id: string,
  options: { readonly lastEventId?: string | undefined } = {}
): Effect.Effect<Stream.Stream<string>, ReplayMissed> =>
  Effect.suspend(() => {
    const { lastEventId } = options
    const refused = (reason: ReplayMissed["reason"]) =>
      new ReplayMissed({ id, reason, ...definedFields({ lastEventId }) })
    const reply = self.replies.get(id)
    const from = lastEventId === undefined ? 0 : numberOf(lastEventId)
    if (reply === undefined || from === undefined || from > reply.buffer.last) return Effect.fail(refused("unknown"))
    if (reply.buffer.after(from)._tag === "Dropped") return Effect.fail(refused("dropped"))
    const { message } = refused("dropped")
    return Effect.succeed(
      Stream.acquireRelease(attach(reply), () => detach(self, id, reply)).pipe(
        Stream.flatMap(() => reply.events(from, self.settings, message))
      )
    )
  })

/**
 * What tells a client that it has to ask anew: an event `Missed`, whose data says why. Send it in place of the reply, as a
 * `text/event-stream`.
 *
 * @since 0.1.0
 * @category conversions
 */
export const missed = (error: ReplayMissed): string => missedEvent(error.message)

/** Makes room where a reply is only kept; says whether there was one. */
const forgetOldest = (self: StreamRelay): boolean => {
  for (const [id, reply] of self.replies) {
    if (!reply.isOnlyKept) continue
    self.replies.delete(id)
    reply.lingering?.unsafeInterruptAsFork(reply.lingering.id())
    return true
  }
  return false
}

const attach = (reply: Reply): Effect.Effect<void> =>
  Effect.suspend(() => {
    reply.readers += 1
    const { lingering } = reply
    reply.lingering = undefined
    return lingering === undefined ? Effect.void : Fiber.interruptFork(lingering)
  })

const detach = (self: StreamRelay, id: string, reply: Reply): Effect.Effect<void> =>
  Effect.suspend(() => {
    reply.readers -= 1
    return reply.readers === 0 && self.replies.get(id) === reply ? linger(self, id, reply) : Effect.void
  })

/** Ends the reply and forgets it, unless somebody reads it before it has lingered. */
const linger = (self: StreamRelay, id: string, reply: Reply): Effect.Effect<void> =>
  Effect.sleep(self.settings.linger).pipe(
    Effect.zipRight(Effect.suspend(() => {
      if (reply.readers > 0) return Effect.void
      self.replies.delete(id)
      reply.stop()
      return reply.generation === undefined ? Effect.void : Fiber.interruptFork(reply.generation)
    })),
    Effect.interruptible,
    Effect.forkIn(self.scope),
    Effect.map((lingering) => {
      reply.lingering = lingering
    })
  )
