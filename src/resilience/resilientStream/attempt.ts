/**
 * One attempt of a stream: it reads the reply from its request to its end and hands over what comes. Nothing reaches the
 * consumer before the first content, so until then it may fail without a trace. It reads one chunk ahead and acts on what
 * it read when the consumer asks: all that follows a failure happens while somebody waits for it.
 */
import * as Channel from "effect/Channel"
import * as Chunk from "effect/Chunk"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { Truncated } from "../../error/ModelError.ts"
import { definedFields } from "../../internal/record.ts"
import type * as StreamPart from "../../model/StreamPart.ts"
import type * as Pipeline from "../../policy/Pipeline.ts"
import type { Learn } from "../shared/limits.ts"
import type { ContinuedParts } from "./continuation.ts"

export type Parts = Chunk.Chunk<StreamPart.StreamPart>

/** A stream that has ended well. */
export interface Ending {
  /** The last parts, `finish` behind them. */
  readonly parts: Parts
  readonly finish: StreamPart.Finish
}

/** What an attempt needs of the run that it is part of. */
export interface Reader<E> {
  readonly provider: string
  readonly model: string
  /** Milliseconds for which the first content is held back. */
  readonly peek: number
  readonly isAsked: () => boolean
  /** Waits until the consumer asks. */
  readonly asked: () => Effect.Effect<void>
  /** The first parts go to the consumer: what stands before them, and they. */
  readonly open: (parts: Parts, attempt: Attempt<E>) => Parts
  readonly give: (parts: Parts) => void
  /** What becomes of what the reply says of the limits, for an attempt that is sent now. */
  readonly learning: Effect.Effect<Learn>
}

/** Whether a part brings the reply on, so that the wait for the next one begins. */
const isContent = (part: StreamPart.StreamPart): boolean => {
  switch (part._tag) {
    case "Start":
    case "Seam":
      return false
    case "TextDelta":
    case "ReasoningDelta":
      return part.text !== "" || part.providerMetadata !== undefined
    case "ToolArgumentsDelta":
      return part.delta !== ""
    default:
      return true
  }
}

/** How long the end of the bytes is waited for once the reply is over. A provider's own limit is shorter. */
const longestLinger = Duration.seconds(1)

/** Where the parts of an attempt stand in what the consumer gets. */
export interface Place {
  readonly isContinuing: boolean
  readonly continued?: ContinuedParts | undefined
  /** What came of the same reply before and did not reach the consumer. */
  readonly before?: Parts | undefined
}

export class Attempt<E> {
  private readonly reader: Reader<E>
  readonly signals: Pipeline.StreamSignals
  /** Its parts go on behind those that the consumer has. */
  readonly isContinuing: boolean
  /** What makes them parts of that reply, where another request continues it. */
  readonly continued: ContinuedParts | undefined
  private readonly scope: Scope.CloseableScope
  private pull: Effect.Effect<Either.Either<Parts, unknown>, E> = Effect.never
  /** Reads on: made once, for all chunks. */
  private next: Effect.Effect<Ending, E | Truncated> = Effect.never
  /** What has come and is held back; `undefined` once the consumer gets what comes. */
  private held: Parts | undefined
  private start: StreamPart.Start | undefined = undefined
  private hasContent = false
  private learn: Learn | undefined = undefined
  private isOver = false
  private timer: Fiber.Fiber<void> | undefined = undefined
  /** Whether the other side has sent anything. */
  hasBegun = false

  constructor(
    reader: Reader<E>,
    signals: Pipeline.StreamSignals,
    scope: Scope.CloseableScope,
    { continued, isContinuing, before = Chunk.empty() }: Place
  ) {
    this.reader = reader
    this.signals = signals
    this.scope = scope
    this.isContinuing = isContinuing
    this.continued = continued
    this.held = before
  }

  /** What has come and did not reach the consumer. */
  get heldBack(): Parts {
    return this.held ?? Chunk.empty()
  }

  /** Whether something of it has reached the consumer. */
  get isShown(): boolean {
    return this.held === undefined
  }

  run(stream: Stream.Stream<StreamPart.StreamPart, E>): Effect.Effect<Ending, E | Truncated> {
    if (this.isContinuing && this.continued === undefined) this.signals.continuing()
    // `Stream.toPull` wraps each pull in two more effects.
    const pulling = Scope.extend(Channel.toPull(Stream.toChannel(stream)), this.scope)
    return Effect.flatMap(Effect.zip(this.reader.learning, pulling), ([learn, pull]) => {
      this.learn = learn
      this.pull = pull
      this.next = Effect.matchEffect(pull, {
        onFailure: (error) => this.failWith(error),
        onSuccess: (pulled) => Either.isRight(pulled) ? this.onChunk(pulled.right) : this.failWith(this.cut())
      })
      return this.next
    })
  }

  private onChunk(chunk: Parts): Effect.Effect<Ending, E | Truncated> {
    this.hasBegun = true
    return this.held === undefined && !this.reader.isAsked()
      ? Effect.flatMap(this.reader.asked(), () => this.take(chunk))
      : this.take(chunk)
  }

  private failWith(error: E | Truncated): Effect.Effect<never, E | Truncated> {
    const failed = Effect.fail(error)
    return this.held === undefined && !this.reader.isAsked() ? Effect.zipRight(this.reader.asked(), failed) : failed
  }

  private cut(): Truncated {
    const { model, provider } = this.reader
    return new Truncated({
      provider,
      ...definedFields({ requestId: this.start?.requestId }),
      model: this.start?.model ?? model,
      received: "",
      cause: { name: "MissingFinish", message: "the stream ended without a Finish part" }
    })
  }

  private take(came: Parts): Effect.Effect<Ending, E | Truncated> {
    const { continued } = this
    const chunk = continued === undefined
      ? came
      : Chunk.unsafeFromArray(Chunk.toReadonlyArray(came).flatMap((part) => continued.push(part)))
    let finish: StreamPart.Finish | undefined
    let hasContent = false
    let length = 0
    while (length < chunk.length && finish === undefined) {
      const part = Chunk.unsafeGet(chunk, length++)
      if (part._tag === "Start") this.start = part
      else if (part._tag === "Finish") finish = part
      hasContent ||= isContent(part)
    }
    const parts = length === chunk.length ? chunk : Chunk.unsafeFromArray(Chunk.toReadonlyArray(chunk).slice(0, length))
    // Text that is held back until it is known where it joins is content, too.
    if (hasContent || (continued !== undefined && Chunk.some(came, isContent))) this.signals.content()
    if (this.held !== undefined) return this.hold(Chunk.appendAll(this.held, parts), hasContent, finish)
    if (finish !== undefined) return this.endWith(() => parts, finish)
    if (parts.length > 0) this.reader.give(parts)
    return this.next
  }

  /** Nothing of this attempt has reached the consumer; with what came now, `held` is held back. */
  private hold(
    held: Parts,
    hasContent: boolean,
    finish: StreamPart.Finish | undefined
  ): Effect.Effect<Ending, E | Truncated> {
    this.held = held
    const then = this.thenAfter(hasContent, finish)
    const limits = this.start?.rateLimit
    const { learn } = this
    if (limits === undefined || learn === undefined) return then
    this.learn = undefined
    return Effect.zipRight(learn(limits), then)
  }

  private thenAfter(
    hasContent: boolean,
    finish: StreamPart.Finish | undefined
  ): Effect.Effect<Ending, E | Truncated> {
    if (finish !== undefined) {
      this.isOver = true
      return this.endWith(() => this.open(), finish)
    }
    if (!hasContent || this.hasContent) return this.next
    this.hasContent = true
    const shown = this.reader.peek > 0 ? this.showLater(this.reader.peek) : Effect.suspend(() => this.show())
    return Effect.zipRight(shown, this.next)
  }

  /** Gives what was held back, now. An attempt that comes second gives nothing and waits for its end. */
  private show(): Effect.Effect<void> {
    if (this.held === undefined || this.isOver) return Effect.void
    const opened = this.open()
    if (opened === undefined) return Effect.never
    this.reader.give(opened)
    return Effect.void
  }

  /** The same when the time is up, whatever is being waited for then. */
  private showLater(millis: number): Effect.Effect<void> {
    return Effect.map(
      Effect.fork(Effect.zipRight(Effect.sleep(Duration.millis(millis)), Effect.suspend(() => this.show()))),
      (timer) => {
        this.timer = timer
      }
    )
  }

  private open(): Parts | undefined {
    const { held } = this
    if (held === undefined || !this.signals.begin()) return undefined
    this.held = undefined
    return this.reader.open(held, this)
  }

  /**
   * The reply is whole. What is left of the stream is nothing but the end of the bytes; it is read before the permits are
   * given back, so that never more streams are open than they allow.
   */
  private endWith(last: () => Parts | undefined, finish: StreamPart.Finish): Effect.Effect<Ending> {
    this.signals.whole()
    const end: Effect.Effect<void> = Effect.matchCauseEffect(this.pull, {
      onFailure: () => Effect.void,
      onSuccess: (pulled) => Either.isRight(pulled) ? end : Effect.void
    })
    return Effect.zipRight(
      Effect.timeoutOption(Effect.disconnect(end), longestLinger),
      Effect.suspend(() => {
        const parts = last()
        return parts === undefined ? Effect.never : Effect.succeed({ parts, finish })
      })
    )
  }

  /** Stops what the attempt has started and lets go of its stream. */
  release(exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> {
    const closed = Scope.close(this.scope, exit)
    return this.timer === undefined ? closed : Effect.zipRight(Fiber.interrupt(this.timer), closed)
  }
}
