/**
 * One run of a stream through a pipeline. The pipeline runs in a fiber of its own, whose attempts read the reply and hand
 * over what comes; the consumer asks for it. What follows a break is decided here: by the policy's mode, by what came, and
 * by what the model can.
 */
import * as Cause from "effect/Cause"
import * as Channel from "effect/Channel"
import * as Chunk from "effect/Chunk"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { ResumeExpired, type Truncated } from "../../error/ModelError.ts"
import { StreamBroken } from "../../error/PolicyError.ts"
import * as Verdict from "../../error/Verdict.ts"
import { describeCause } from "../../internal/redact.ts"
import { derivedKey } from "../../internal/seeded.ts"
import * as LanguageModel from "../../model/LanguageModel.ts"
import * as StreamPart from "../../model/StreamPart.ts"
import * as Usage from "../../model/Usage.ts"
import * as Pipeline from "../../policy/Pipeline.ts"
import type * as StreamPolicy from "../../policy/StreamPolicy.ts"
import type { Learn } from "../shared/limits.ts"
import * as Tracing from "../shared/tracing.ts"
import { Attempt, type Ending, type Parts, type Place, type Reader } from "./attempt.ts"
import { type Continuation, continuationOf } from "./continuation.ts"
import { Handover } from "./handover.ts"
import { ReceivedReply } from "./received.ts"

/** What a strengthened stream fails with. */
export type Failure<E> = E | Pipeline.AnyRefusal | StreamBroken | Truncated

/** A stream to be run. */
export interface Settings<E> {
  readonly model: LanguageModel.Service<E>
  readonly request: LanguageModel.Request
  readonly pipeline: Pipeline.Pipeline
  readonly policy: StreamPolicy.Settings | undefined
  /** What the call costs, before it is known and once it is. */
  readonly cost: { readonly tokens: number; readonly actual: (usage: Usage.Usage) => number } | undefined
  /** What becomes of what the reply of an attempt says of the limits, as the attempt is sent. */
  readonly learning: Effect.Effect<Learn>
}

/** A reply that the provider keeps, with what came of it and was not shown. */
interface KeptReply<E> {
  readonly reply: LanguageModel.Resumable<E>
  /** Whether it was read before. */
  readonly isResumed: boolean
  /** Whether something of it has reached the consumer. */
  readonly isShown: boolean
  readonly before: Parts
  /** How often in a row it was gone on with and nothing came. */
  readonly fruitless: number
}

/** How an attempt gets its parts. */
interface Source<E> extends Place {
  readonly stream: Stream.Stream<StreamPart.StreamPart, E>
  /** Where the provider keeps the reply. */
  readonly kept?: KeptReply<E> | undefined
}

/**
 * So often in a row a reply is gone on with that brings nothing. In bad weather a second connection breaks at once, too, and
 * a reply that is given up is paid twice; on the other side each try is one of the attempts that a new request needs.
 */
const mostFruitless = 3

/** How long a provider may take to hear that nobody wants the rest. */
const longestCancel = Duration.seconds(5)

/** Whoever does not hear it in time does not matter: the consumer has left, or goes on. */
const cancel = ({ cancel }: LanguageModel.Resumable<unknown>): Effect.Effect<void> =>
  Effect.asVoid(Effect.timeoutOption(Effect.disconnect(cancel), longestCancel))

/** What a run of the consumer's channel gets: parts, or nothing at the end. */
type Taken = Parts | undefined

type Out<E> = Channel.Channel<Parts, unknown, E, unknown, void, unknown>

/** What a span tells of a stream's end. */
const toldBy = ({ finish }: Ending): Tracing.Told => ({ finishReason: finish.reason, usage: finish.usage })

const channelOf = <E>(ask: Effect.Effect<Taken, E>): Out<E> => {
  const asking = Channel.fromEffect(ask)
  const send = (parts: Taken): Out<E> =>
    parts === undefined ? Channel.void : Channel.flatMap(Channel.write(parts), next)
  const next = (): Out<E> => Channel.flatMap(asking, send)
  return next()
}

const done: Effect.Effect<undefined> = Effect.succeed(undefined)

/** How much of a reply has to be kept: what an error or another request tells of it. */
const keptBy = (policy: StreamPolicy.Settings | undefined): number =>
  policy === undefined || policy.onBreak === "truncate" ? 0 : policy.maxKept

export class Run<E> implements Reader<E> {
  private readonly settings: Settings<E>
  private readonly handover = new Handover<Parts, Failure<E>>()
  private readonly received: ReceivedReply
  private channel: Out<Failure<E>> = Channel.void
  private fiber: Fiber.RuntimeFiber<Ending, E | Pipeline.AnyRefusal | Truncated> | undefined = undefined
  /** How it goes on once the pipeline is done; the end of all is `undefined`. */
  private afterwards: Effect.Effect<Taken, Failure<E>> | undefined = undefined
  private signals: Pipeline.StreamSignals | undefined = undefined
  private isShown = false
  /** Tells whoever traces the call that something was shown. */
  private tellFirstContent: () => void = () => {}
  /** How many attempts there were, those beside another one not counted. */
  private attempts = 0
  /** Which of them was the last to reach the consumer. */
  private shownAttempt = 0
  /** The error of the attempt that another one follows, until that begins. */
  private brokenBy: unknown = undefined
  private isRepeated = true
  /** Whether another request may continue what came: the model has not refused one. */
  private isContinuable = true
  /** The reply that is gone on with. */
  private kept: KeptReply<E> | undefined = undefined

  constructor(settings: Settings<E>) {
    this.settings = settings
    this.received = new ReceivedReply(keptBy(settings.policy))
  }

  get provider(): string {
    return this.settings.model.provider
  }
  get model(): string {
    return this.settings.model.name
  }
  get peek(): number {
    return this.settings.policy?.peek ?? 0
  }
  get learning(): Settings<E>["learning"] {
    return this.settings.learning
  }
  asked(): Effect.Effect<void> {
    return this.handover.asked
  }
  isAsked(): boolean {
    return this.handover.isAsked
  }

  // What the consumer runs.

  /**
   * The parts, from the first request on; when nobody reads them any more, all is let go. One channel stands between the
   * reader and its consumer, because each one inside another costs several microseconds a chunk.
   */
  static readonly stream = <E>(
    settings: Effect.Effect<Settings<E>>
  ): Stream.Stream<StreamPart.StreamPart, Failure<E>> =>
    Stream.fromChannel(
      Channel.acquireUseRelease(
        Effect.flatMap(settings, (made) => new Run(made).begin()),
        (run): Out<Failure<E>> => run.channel,
        (run) => run.leave()
      )
    )

  private begin(): Effect.Effect<this> {
    return Effect.map(Effect.forkDaemon(Effect.interruptible(this.work())), (fiber) => {
      this.fiber = fiber
      this.channel = channelOf(this.ask(fiber))
      fiber.addObserver((exit) => this.end(exit))
      return this
    })
  }

  private ask(fiber: Fiber.RuntimeFiber<unknown, unknown>): Effect.Effect<Taken, Failure<E>> {
    return this.handover.take(fiber.id(), () => {
      if (this.afterwards === undefined) this.signals?.asked()
      return this.afterwards
    })
  }

  /** The consumer has all it wants. */
  private leave(): Effect.Effect<void> {
    const interrupted = this.fiber === undefined ? Effect.void : Fiber.interrupt(this.fiber)
    return Effect.zipRight(
      interrupted,
      Effect.suspend(() => this.dropReply())
    )
  }

  // What the pipeline runs.

  private work(): Effect.Effect<Ending, E | Pipeline.AnyRefusal | Truncated> {
    const { cost, model, pipeline, policy, request } = this.settings
    const calls = Pipeline.applyStreamed<Ending, E | Truncated, never>(pipeline, {
      attempt: (signals) => this.attempt(signals),
      canRepeat: (error) => this.canRepeat(error),
      limits: policy ?? {},
      cost: cost === undefined ? {} : { tokens: cost.tokens, actual: ({ finish }) => cost.actual(finish.usage) }
    })
    const seen = Effect.flatMap(Tracing.firstContent, (tell) => {
      this.tellFirstContent = tell
      return calls
    })
    return Tracing.call(seen, () => ({ model, request, stream: true, ...Tracing.policyOf(pipeline) }), toldBy)
  }

  private attempt(signals: Pipeline.StreamSignals): Effect.Effect<Ending, E | Truncated> {
    return Effect.suspend(() => {
      if (this.isRepeated) {
        this.isRepeated = false
        this.attempts++
      }
      const { kept } = this
      if (kept === undefined) return this.withoutReply(signals)
      this.kept = undefined
      const source = { stream: kept.reply.resume, isContinuing: kept.isShown, before: kept.before, kept }
      return Effect.catchAll(this.read(signals, source), (error) =>
        error instanceof ResumeExpired
          ? Effect.zipRight(this.dropReply(), Effect.suspend(() => this.insteadOf(signals, error)))
          : Effect.fail(error))
    })
  }

  /** Nothing is kept that could be gone on with: another request continues what came, or begins anew. */
  private withoutReply(signals: Pipeline.StreamSignals): Effect.Effect<Ending, E | Truncated> {
    const continuation = this.continuation()
    if (continuation === undefined) return this.anew(signals)
    const { model, pipeline, request } = this.settings
    const idempotencyKey = derivedKey(request.idempotencyKey ?? "", `continue-${this.attempts}`)
    const source = {
      stream: model.stream({ ...continuation.request, idempotencyKey }),
      isContinuing: true,
      continued: continuation.parts
    }
    const verdict = Pipeline.policies(pipeline).verdict ?? Verdict.of
    return Effect.catchAll(this.read(signals, source), (error) => {
      if (verdict(error).action === "Retry") return Effect.fail(error)
      // The model does not take such a request, and will not the next time.
      this.isContinuable = false
      return this.shownAttempt === this.attempts ? Effect.fail(error) : this.insteadOf(signals, error)
    })
  }

  /** What came cannot be gone on with in the way that was tried. */
  private insteadOf(signals: Pipeline.StreamSignals, error: E | Truncated): Effect.Effect<Ending, E | Truncated> {
    this.brokenBy = error
    return !this.isShown || this.canGoOn() ? this.withoutReply(signals) : Effect.fail(error)
  }

  /** A request that continues what came, where that is allowed and possible. */
  private continuation(): Continuation | undefined {
    const { model, policy, request } = this.settings
    return this.isShown && this.isContinuable && policy?.onBreak === "resume" && policy.continuation === "allowed"
      ? continuationOf(request, this.received, model.capabilities.resume?.continuation)
      : undefined
  }

  /** A new request. */
  private anew(signals: Pipeline.StreamSignals): Effect.Effect<Ending, E | Truncated> {
    const { model, policy, request } = this.settings
    return policy?.onBreak !== "resume" || !policy.background || model.resumable === undefined
      ? this.read(signals, { stream: model.stream(request), isContinuing: false })
      : Effect.flatMap(model.resumable(request), (reply) => {
        const kept = { reply, isResumed: false, isShown: false, before: Chunk.empty(), fruitless: 0 }
        return this.read(signals, { stream: reply.parts, isContinuing: false, kept })
      })
  }

  private read(signals: Pipeline.StreamSignals, source: Source<E>): Effect.Effect<Ending, E | Truncated> {
    return Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(Scope.make(), (scope) => {
        const attempt = new Attempt<E>(this, signals, scope, source)
        const liveness = this.settings.policy?.liveness
        const reading = liveness === undefined
          ? attempt.run(source.stream)
          : Effect.provideService(attempt.run(source.stream), LanguageModel.CurrentLiveness, signals.bytes)
        return Effect.onExit(restore(Tracing.attempt(reading, toldBy)), (exit) => {
          const released = attempt.release(exit)
          return Exit.isSuccess(exit) ? released : Effect.zipRight(released, this.keep(source, attempt))
        })
      })
    )
  }

  /** The provider may still have the reply of an attempt that ended, unless another attempt answers in its place. */
  private keep({ kept }: Source<E>, attempt: Attempt<E>): Effect.Effect<void> {
    if (kept === undefined) return Effect.void
    const { reply } = kept
    const hasLost = this.shownAttempt === this.attempts && !attempt.isShown
    const isResumed = kept.isResumed
    const fruitless = attempt.hasBegun ? 0 : kept.fruitless + 1
    if (hasLost || this.kept !== undefined || fruitless >= (isResumed ? mostFruitless : 1)) return cancel(reply)
    this.kept = {
      reply,
      isResumed: true,
      isShown: kept.isShown || attempt.isShown,
      before: attempt.heldBack,
      fruitless
    }
    return Effect.void
  }

  private dropReply(): Effect.Effect<void> {
    const { kept } = this
    this.kept = undefined
    return kept === undefined ? Effect.void : cancel(kept.reply)
  }

  /** Whether another attempt may follow the one that failed. */
  private canRepeat(error: unknown): boolean {
    const can = !this.isShown || this.canGoOn()
    this.isRepeated = can
    this.brokenBy = error
    return can
  }

  private canGoOn(): boolean {
    const { policy } = this.settings
    switch (policy?.onBreak) {
      case "restart":
        return true
      case "resume":
        return this.kept !== undefined || policy.otherwise === "restart" || this.continuation() !== undefined
      default:
        return false
    }
  }

  open(parts: Parts, attempt: Attempt<E>): Parts {
    this.signals = attempt.signals
    this.tellFirstContent()
    const opened = this.isShown && !attempt.isContinuing ? Chunk.prepend(parts, this.reset()) : parts
    if (attempt.continued !== undefined) this.received.continue()
    this.isShown = true
    this.shownAttempt = this.attempts
    return opened
  }

  private reset(): StreamPart.StreamPart {
    return StreamPart.reset(this.attempts, describeCause(this.brokenBy).message, this.received.restart())
  }

  give(parts: Parts): void {
    this.note(parts)
    this.signals?.unasked()
    this.handover.give(parts)
  }

  private note(parts: Parts): void {
    if (this.settings.policy === undefined) return
    for (let at = 0; at < parts.length; at++) this.received.add(Chunk.unsafeGet(parts, at))
  }

  // How it ends.

  private end(exit: Exit.Exit<Ending, E | Pipeline.AnyRefusal | Truncated>): void {
    if (Exit.isSuccess(exit)) {
      const { finish, parts } = exit.value
      this.note(parts)
      return this.endWith(this.withUsageOfAll(parts, finish))
    }
    const failure = Cause.isDie(exit.cause) ? Option.none() : Cause.failureOption(exit.cause)
    const { policy } = this.settings
    if (Option.isNone(failure)) return this.failWith(Effect.failCause(exit.cause))
    if (!this.isShown || policy === undefined) return this.failWith(Effect.fail(failure.value))
    const isTruncated = (policy.onBreak === "resume" ? policy.otherwise : policy.onBreak) === "truncate"
    if (!isTruncated) return this.failWith(Effect.fail(this.broken(failure.value)))
    const known = this.received.received().usage
    const usage = known === undefined ? Usage.zero : new Usage.Usage(known)
    const finish = StreamPart.finish({ reason: "truncated", usage, usageOfAll: this.received.usageOfAll() })
    this.endWith(Chunk.of(finish))
  }

  private withUsageOfAll(parts: Parts, finish: StreamPart.Finish): Parts {
    const usageOfAll = this.settings.policy === undefined ? undefined : this.received.usageOfAll()
    if (usageOfAll === undefined) return parts
    // `Chunk.take` and `Chunk.dropRight` of Effect 3.22 lose parts of a chunk that was put together from two.
    const others = Chunk.toReadonlyArray(parts).slice(0, -1)
    return Chunk.unsafeFromArray([...others, StreamPart.finish({ ...finish, usageOfAll })])
  }

  private broken(error: E | Pipeline.AnyRefusal | Truncated): StreamBroken {
    const { attempts, received, settings } = this
    return new StreamBroken({ name: settings.pipeline.name, attempts, error, received: received.received() })
  }

  /** These are the last parts, then comes the end. */
  private endWith(parts: Parts): void {
    if (this.handover.isAsked) {
      this.afterwards = done
      return this.handover.give(parts)
    }
    this.afterwards = Effect.sync(() => {
      this.afterwards = done
      return parts
    })
  }

  private failWith(failed: Effect.Effect<never, Failure<E>>): void {
    this.afterwards = failed
    this.handover.goOn(failed)
  }
}
