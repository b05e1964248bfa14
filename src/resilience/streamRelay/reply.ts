/** One reply that is being relayed: what came of it, and who reads it. */
import * as Cause from "effect/Cause"
import type * as Chunk from "effect/Chunk"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { describeCause } from "../../internal/redact.ts"
import type { StreamPart } from "../../model/StreamPart.ts"
import { type Bounds, EventBuffer } from "./buffer.ts"
import * as Events from "./events.ts"

export interface Settings extends Bounds {
  /** Replies that are held at a time. */
  readonly maxReplies: number
  /** Milliseconds. */
  readonly linger: number
  /** Milliseconds. */
  readonly heartbeat: number
  /** Milliseconds. */
  readonly retry: number
}

/** What comes of a reply is written down once, however many read it. */
export class Reply {
  readonly buffer: EventBuffer
  /** How many read it now. */
  readers = 0
  /** What generates it, and what ends that when nobody has read for long. */
  generation: Fiber.RuntimeFiber<void> | undefined
  lingering: Fiber.RuntimeFiber<void> | undefined
  private attempt = 1
  private isOver = false
  /** Who waits for more. */
  private changed: Deferred.Deferred<void> = Deferred.unsafeMake(FiberId.none)

  constructor(settings: Settings) {
    this.buffer = new EventBuffer(settings)
  }

  /** Whether it is kept only for clients that may come back. */
  get isOnlyKept(): boolean {
    return this.isOver && this.readers === 0
  }

  /** Runs the reply to its end, whoever reads it. */
  run<E, R>(stream: Stream.Stream<StreamPart, E, R>): Effect.Effect<void, never, R> {
    return stream.pipe(
      Stream.runForEachChunk((chunk) => Effect.sync(() => this.add(chunk))),
      Effect.exit,
      Effect.flatMap((exit) => Effect.sync(() => this.end(exit)))
    )
  }

  /** What comes after an event, as the text of a connection, until the reply is over. */
  events(from: number, settings: Settings, missed: string): Stream.Stream<string> {
    const { buffer } = this
    let seen = from
    let isLost = false
    const pull: Effect.Effect<string, Option.Option<never>> = Effect.suspend(() => {
      if (isLost) return Effect.fail(Option.none())
      const next = buffer.after(seen)
      // A client that is slower than the reply by more than is kept.
      if (next._tag === "Dropped") {
        isLost = true
        return Effect.succeed(Events.missedEvent(missed))
      }
      if (next.texts.length > 0) {
        seen = next.last
        return Effect.succeed(next.texts.join(""))
      }
      if (this.isOver) return Effect.fail(Option.none())
      return Effect.flatMap(
        Effect.timeoutOption(Deferred.await(this.changed), settings.heartbeat),
        (change) => Option.isSome(change) ? pull : Effect.succeed(Events.heartbeat)
      )
    })
    return Stream.concat(Stream.succeed(Events.retryAfter(settings.retry)), Stream.repeatEffectOption(pull))
  }

  /** No more comes, whatever the reply has become. */
  stop(): void {
    this.isOver = true
    this.notify()
  }

  private add(chunk: Chunk.Chunk<StreamPart>): void {
    for (const part of chunk) {
      if (part._tag === "Reset") this.attempt = Math.max(this.attempt + 1, part.attempt)
      this.buffer.push(Events.partEvent(part, this.attempt, this.buffer.last + 1))
    }
    this.notify()
  }

  private end(exit: Exit.Exit<void, unknown>): void {
    if (Exit.isFailure(exit) && !Cause.isInterruptedOnly(exit.cause)) {
      const { name } = describeCause(Cause.squash(exit.cause))
      this.buffer.push(Events.errorEvent(name, this.attempt, this.buffer.last + 1))
    }
    this.stop()
  }

  private notify(): void {
    const { changed } = this
    this.changed = Deferred.unsafeMake(FiberId.none)
    Deferred.unsafeDone(changed, Effect.void)
  }
}
