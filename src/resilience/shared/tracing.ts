/**
 * The spans of a call: one for the call, one below it for each attempt and each wait. What policies report while the call
 * runs says why it waits. Spans are made by the tracer itself, without a layer or a fiber of their own, and only where
 * somebody sees them: an attempt that nobody sees costs one look at its fiber.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"
import * as Verdict from "../../error/Verdict.ts"
import { property, redact } from "../../internal/redact.ts"
import type * as LanguageModel from "../../model/LanguageModel.ts"
import * as Prompt from "../../model/Prompt.ts"
import type { Usage } from "../../model/Usage.ts"
import * as Pipeline from "../../policy/Pipeline.ts"
import * as Event from "../../telemetry/Event.ts"
import * as GenAi from "../../telemetry/GenAi.ts"
import * as Monitor from "../../telemetry/Monitor.ts"

/** What a reply says of itself. */
export interface Told {
  readonly id?: string | undefined
  readonly model?: string | undefined
  readonly finishReason?: string | undefined
  readonly usage?: Usage | undefined
  /** What was said, for who wants it written. */
  readonly content?: unknown
}

const nanosPerMilli = 1_000_000n

/** Shorter than this nobody waits; it is the work of the pipeline itself. */
const leastWait = nanosPerMilli

/** The longest text of a prompt or an answer in a span. */
const longestContent = 4_096

/** How many messages or parts are looked at. */
const mostParts = 64

/**
 * Clipped, and with what looks like a credential hidden before that. Twice as much is read as is shown, so that no key is cut
 * where it would no longer be known as one, and an image of megabytes costs nothing.
 */
const contentOf = (content: unknown): string => {
  const clipped = (text: string): string => text.slice(0, 2 * longestContent)
  const read = Array.isArray(content) ? content.slice(0, mostParts) : content
  try {
    const text = typeof read === "string"
      ? read
      : JSON.stringify(read, (_, value: unknown) => typeof value === "string" ? clipped(value) : value) ?? ""
    return redact(clipped(text)).slice(0, longestContent)
  } catch {
    // What is no JSON says nothing, and fails no call.
    return ""
  }
}

const set = (span: Tracer.Span, name: string, value: unknown): void => {
  if (value !== undefined) span.attribute(name, value)
}

/** An error of one word: what an error says may hold what the model or the person said. */
const inOneWord = (failure: unknown): Error => {
  const error = new Error(Event.errorTag(failure))
  error.name = error.message
  error.stack = error.message
  return error
}

/** The exit without values and texts. */
const bare = (exit: Exit.Exit<unknown, unknown>): Exit.Exit<void, Error> =>
  Exit.isSuccess(exit)
    ? Exit.void
    : Cause.isInterruptedOnly(exit.cause)
    ? Exit.failCause(Cause.interrupt(FiberId.none))
    : Exit.fail(inOneWord(Cause.squash(exit.cause)))

/** Why nothing runs: what was reported when it began. */
interface Pause {
  readonly reason: "backoff" | "rate limiter"
  readonly from: bigint
  /** What the other side had asked for, in seconds. */
  readonly hint?: number | undefined
}

const seconds = (nanos: bigint): number => Number(nanos) / 1e9

/** One call while it runs. */
class CallTrace {
  readonly span: Tracer.Span
  readonly names: GenAi.Names
  readonly settings: GenAi.Settings
  readonly monitor: Monitor.Service
  private readonly tracer: Tracer.Tracer
  private readonly clock: Clock.Clock
  private readonly verdict: (error: unknown) => Verdict.Verdict
  private readonly startedAt: bigint
  private running = 0
  private attempts = 0
  private idleSince: bigint
  private pauses: Array<Pause> = []
  private firstContentAt: bigint | undefined
  private winner: Tracer.Span | undefined

  constructor(options: {
    readonly tracer: Tracer.Tracer
    readonly clock: Clock.Clock
    readonly parent: Option.Option<Tracer.AnySpan>
    readonly name: string
    readonly settings: GenAi.Settings
    readonly verdict: (error: unknown) => Verdict.Verdict
  }) {
    this.tracer = options.tracer
    this.clock = options.clock
    this.settings = options.settings
    this.names = GenAi.names[options.settings.version]
    this.verdict = options.verdict
    this.startedAt = this.now()
    this.idleSince = this.startedAt
    this.span = this.tracer.span(options.name, options.parent, Context.empty(), [], this.startedAt, "client", {})
    this.monitor = {
      emit: (event) => {
        this.event(event)
        return Effect.void
      }
    }
  }

  private now(): bigint {
    return this.clock.unsafeCurrentTimeNanos()
  }

  private child(name: string, from: bigint): Tracer.Span {
    return this.tracer.span(name, Option.some(this.span), Context.empty(), [], from, "internal", {})
  }

  /** What a policy reports. */
  private event(event: Event.Event): void {
    const now = this.now()
    this.span.event(event._tag, now, {
      "llm_resilience.policy": event.name,
      "llm_resilience.event": Event.describe(event)
    })
    if (event._tag === "Retried") {
      const { retryAfter } = this.verdict(event.error)
      const hint = Option.getOrUndefined(Option.map(retryAfter, Duration.toSeconds))
      this.pauses.push({ reason: "backoff", from: now, hint })
    } else if (event._tag === "RateLimitDelayed") this.pauses.push({ reason: "rate limiter", from: now })
  }

  /** Spans for the time in which nothing ran, each with its reason. */
  private closePauses(now: bigint): void {
    const pauses = this.pauses
    this.pauses = []
    if (this.running > 0) return
    const steps: ReadonlyArray<Pause> = pauses.filter(({ from }) => from >= this.idleSince)
    const first = steps[0]?.from ?? now
    this.wait("queue", this.idleSince, first, undefined)
    steps.forEach(({ from, hint, reason }, at) => this.wait(reason, from, steps[at + 1]?.from ?? now, hint))
  }

  private wait(reason: Pause["reason"] | "queue", from: bigint, until: bigint, hint: number | undefined): void {
    if (until - from < leastWait) return
    const span = this.child("wait", from)
    span.attribute("llm_resilience.wait.reason", reason)
    set(span, "llm_resilience.wait.hint", hint)
    span.end(until, Exit.void)
  }

  /** An attempt is sent. */
  attempt(): Tracer.Span {
    const now = this.now()
    this.closePauses(now)
    this.running++
    this.attempts++
    const span = this.child("attempt", now)
    span.attribute("llm_resilience.attempt", this.attempts)
    if (this.attempts > 1) span.attribute("http.request.resend_count", this.attempts - 1)
    return span
  }

  attemptEnded(span: Tracer.Span, exit: Exit.Exit<unknown, unknown>, told: Told | undefined): void {
    const now = this.now()
    this.running--
    if (this.running === 0) this.idleSince = now
    if (Exit.isSuccess(exit)) {
      this.winner = span
      if (told !== undefined) this.tell(span, told)
    } else if (Cause.isInterruptedOnly(exit.cause)) {
      // A hedge that lost knows who won.
      if (this.winner !== undefined) {
        span.addLinks([{ _tag: "SpanLink", span: this.winner, attributes: { "llm_resilience.link": "winner" } }])
      }
    } else {
      const error = Cause.squash(exit.cause)
      const { action, billed, retryAfter } = this.verdict(error)
      span.attribute(this.names.errorType, Event.errorTag(error))
      span.attribute("llm_resilience.verdict", action)
      span.attribute("llm_resilience.billed", billed)
      set(span, "http.response.status_code", numberIn(error, "status"))
      if (Option.isSome(retryAfter)) span.attribute("llm_resilience.hint", Duration.toSeconds(retryAfter.value))
    }
    span.end(now, bare(exit))
  }

  /** Something of the reply has reached whoever asked. */
  firstContent(): void {
    this.firstContentAt ??= this.now()
  }

  tell(span: Tracer.Span, { content, finishReason, id, model, usage }: Told): void {
    const { names } = this
    set(span, names.responseId, id)
    set(span, names.responseModel, model)
    if (finishReason !== undefined) span.attribute(names.finishReasons, [finishReason])
    if (usage !== undefined && usage.totalTokens > 0) {
      span.attribute(names.inputTokens, usage.inputTokens)
      span.attribute(names.outputTokens, usage.outputTokens)
      set(span, names.cacheRead, usage.cachedInputTokens)
      set(span, names.cacheWrite, usage.cacheWriteInputTokens)
      set(span, names.reasoning, usage.reasoningTokens)
    }
    if (content !== undefined && this.settings.captureContent === "clipped" && span === this.span) {
      span.attribute(names.outputMessages, contentOf(content))
    }
  }

  end(exit: Exit.Exit<unknown, unknown>, told: Told | undefined): void {
    const now = this.now()
    this.closePauses(now)
    const { names, span } = this
    span.attribute("llm_resilience.attempts", this.attempts)
    if (this.firstContentAt !== undefined) {
      span.attribute(names.firstChunk, seconds(this.firstContentAt - this.startedAt))
    }
    if (told !== undefined) this.tell(span, told)
    if (Exit.isFailure(exit)) {
      span.attribute(
        names.errorType,
        Cause.isInterruptedOnly(exit.cause) ? "interrupted" : Event.errorTag(Cause.squash(exit.cause))
      )
    }
    span.end(now, bare(exit))
  }
}

const numberIn = (error: unknown, field: string): number | undefined => {
  const value = typeof error === "object" && error !== null ? property(error, field) : undefined
  return typeof value === "number" ? value : undefined
}

/** The call that runs; none where nobody sees it. */
class CurrentCall extends Context.Reference<CurrentCall>()("effect-llm-resilience/tracing/CurrentCall", {
  defaultValue: (): CallTrace | undefined => undefined
}) {}

/** What a call asks for. */
export interface Asked {
  readonly model: LanguageModel.Service<unknown>
  readonly request: LanguageModel.Request
  readonly policy: string
  readonly verdict: ((error: unknown) => Verdict.Verdict) | undefined
  readonly stream: boolean
}

/** What a span tells of the policies round a call. */
export const policyOf = (pipeline: Pipeline.Pipeline): Pick<Asked, "policy" | "verdict"> => {
  const { name, verdict } = Pipeline.policies(pipeline)
  return { policy: name, verdict }
}

const describe = (trace: CallTrace, { model, policy, request, stream }: Asked): void => {
  const { names, settings, span } = trace
  span.attribute(names.operation, "chat")
  span.attribute(names.provider, GenAi.providerName(model.provider))
  span.attribute(names.requestModel, model.name)
  if (stream) span.attribute(names.stream, true)
  set(span, names.maxTokens, request.maxOutputTokens)
  set(span, names.temperature, request.temperature)
  set(span, names.topP, request.topP)
  set(span, names.seed, request.seed)
  set(span, names.stopSequences, request.stop)
  set(span, names.frequencyPenalty, request.frequencyPenalty)
  set(span, names.presencePenalty, request.presencePenalty)
  span.attribute(names.outputType, request.responseFormat === undefined ? "text" : "json")
  span.attribute("llm_resilience.policy", policy)
  if (settings.captureContent === "clipped") {
    span.attribute(names.inputMessages, contentOf(Prompt.make(request.prompt).messages))
  }
}

/** When something of a reply has reached whoever asked. */
class Watch {
  firstContentAt: bigint | undefined
  private readonly clock: Clock.Clock
  constructor(clock: Clock.Clock) {
    this.clock = clock
  }
  see(): void {
    this.firstContentAt ??= this.clock.unsafeCurrentTimeNanos()
  }
}

class CurrentWatch extends Context.Reference<CurrentWatch>()("effect-llm-resilience/tracing/CurrentWatch", {
  defaultValue: (): Watch | undefined => undefined
}) {}

/** Runs a call, and has it recorded where somebody counts. */
const metered = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  meter: (call: GenAi.Call) => Effect.Effect<void>,
  clock: Clock.Clock,
  { model }: Asked,
  tell: (value: A) => Told
): Effect.Effect<A, E, R> => {
  const startedAt = clock.unsafeCurrentTimeNanos()
  const watch = new Watch(clock)
  return effect.pipe(
    Effect.provideService(CurrentWatch, watch),
    Effect.onExit((exit) => {
      const usage = Exit.isSuccess(exit) ? tell(exit.value).usage : undefined
      const isTold = usage !== undefined && usage.totalTokens > 0
      return meter({
        provider: GenAi.providerName(model.provider),
        model: model.name,
        seconds: seconds(clock.unsafeCurrentTimeNanos() - startedAt),
        secondsToFirstChunk: watch.firstContentAt === undefined ? undefined : seconds(watch.firstContentAt - startedAt),
        inputTokens: isTold ? usage.inputTokens : undefined,
        outputTokens: isTold ? usage.outputTokens : undefined,
        cacheReadTokens: isTold ? usage.cachedInputTokens : undefined,
        reasoningTokens: isTold ? usage.reasoningTokens : undefined,
        error: Exit.isSuccess(exit)
          ? undefined
          : Cause.isInterruptedOnly(exit.cause)
          ? "interrupted"
          : Event.errorTag(Cause.squash(exit.cause))
      })
    })
  )
}

/** Runs a call under its span, where somebody sees it. */
export const call = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  ask: () => Asked,
  tell: (value: A) => Told
): Effect.Effect<A, E, R> =>
  Effect.withFiberRuntime((fiber) => {
    const context = fiber.currentContext
    const meter = Context.get(context, GenAi.CurrentMeter)
    const isTraced = GenAi.isTraced(fiber)
    if (!isTraced && meter === undefined) return effect
    const asked = ask()
    const clock = Context.get(fiber.currentDefaultServices, Clock.Clock)
    const counted = meter === undefined ? effect : metered(effect, meter, clock, asked, tell)
    if (!isTraced) return counted
    const trace = new CallTrace({
      tracer: Context.get(fiber.currentDefaultServices, Tracer.Tracer),
      clock,
      parent: Option.fromNullable(fiber.currentSpan),
      name: `chat ${asked.model.name}`,
      settings: Context.get(context, GenAi.CurrentSettings),
      verdict: asked.verdict ?? Verdict.of
    })
    describe(trace, asked)
    const monitor = Context.get(context, Monitor.Monitor)
    const within = Context.make(Tracer.ParentSpan, trace.span).pipe(
      Context.add(CurrentCall, trace),
      Context.add(Monitor.Monitor, monitor === Monitor.silent ? trace.monitor : Monitor.both(monitor, trace.monitor))
    )
    return counted.pipe(
      Effect.mapInputContext((given: Context.Context<R>) => Context.merge(given, within)),
      Effect.onExit((exit) => Effect.sync(() => trace.end(exit, Exit.isSuccess(exit) ? tell(exit.value) : undefined)))
    )
  })

const current = (fiber: Fiber.RuntimeFiber<unknown, unknown>): CallTrace | undefined =>
  Context.get(fiber.currentContext, CurrentCall)

/** Runs one attempt of the call under a span of its own. */
export const attempt = <A, E, R>(effect: Effect.Effect<A, E, R>, tell: (value: A) => Told): Effect.Effect<A, E, R> =>
  Effect.withFiberRuntime((fiber) => {
    const trace = current(fiber)
    if (trace === undefined) return effect
    const span = trace.attempt()
    return effect.pipe(
      Effect.provideService(Tracer.ParentSpan, span),
      Effect.onExit((exit) =>
        Effect.sync(() => trace.attemptEnded(span, exit, Exit.isSuccess(exit) ? tell(exit.value) : undefined))
      )
    )
  })

/** What tells a call of its first content; nothing where nobody sees the call. */
export const firstContent: Effect.Effect<() => void> = Effect.withFiberRuntime((fiber) => {
  const trace = current(fiber)
  const watch = Context.get(fiber.currentContext, CurrentWatch)
  if (trace === undefined && watch === undefined) return Effect.succeed(nothing)
  return Effect.succeed(() => {
    trace?.firstContent()
    watch?.see()
  })
})

const nothing = (): void => {}

/** Runs the handler of a tool under a span. */
export const tool = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  called: { readonly name: string; readonly id: string; readonly arguments: unknown },
  resultOf: (value: A) => { readonly content: string; readonly isError: boolean }
): Effect.Effect<A, E, R> =>
  Effect.withFiberRuntime((fiber) => {
    if (!GenAi.isTraced(fiber)) return effect
    const settings = Context.get(fiber.currentContext, GenAi.CurrentSettings)
    const names = GenAi.names[settings.version]
    const tracer = Context.get(fiber.currentDefaultServices, Tracer.Tracer)
    const clock = Context.get(fiber.currentDefaultServices, Clock.Clock)
    const now = clock.unsafeCurrentTimeNanos()
    const parent = Option.fromNullable(fiber.currentSpan)
    const span = tracer.span(`execute_tool ${called.name}`, parent, Context.empty(), [], now, "internal", {})
    span.attribute(names.operation, "execute_tool")
    span.attribute(names.toolName, called.name)
    span.attribute(names.toolCallId, called.id)
    span.attribute(names.toolType, "function")
    const isCaptured = settings.captureContent === "clipped"
    if (isCaptured) span.attribute(names.toolArguments, contentOf(called.arguments))
    return effect.pipe(
      Effect.provideService(Tracer.ParentSpan, span),
      Effect.onExit((exit) =>
        Effect.sync(() => {
          if (Exit.isSuccess(exit)) {
            const { content, isError } = resultOf(exit.value)
            // What the model is told of a failure is a result, and a failure all the same.
            if (isError) span.attribute(names.errorType, "tool_error")
            if (isCaptured) span.attribute(names.toolResult, contentOf(content))
          } else span.attribute(names.errorType, Event.errorTag(Cause.squash(exit.cause)))
          span.end(clock.unsafeCurrentTimeNanos(), bare(exit))
        })
      )
    )
  })
