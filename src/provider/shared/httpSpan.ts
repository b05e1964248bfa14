/**
 * The span of a request, in our own words. The platform's client writes the headers of requests and replies into its
 * `http.client` span, the whole address, and ends it with an exit that holds the request: an exporter that prints any of
 * these prints keys. So the client runs under a tracer that passes a span of the kind "client" on with what OpenTelemetry's
 * conventions for HTTP ask for, and with nothing else: no header, no secret of the address, of a failure only words.
 * Whether there is a span, its name and whether it is propagated remain the client's affair.
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberRef from "effect/FiberRef"
import * as Tracer from "effect/Tracer"
import { describeCause, mask, redact } from "../../internal/redact.ts"
import { isPublicParameter } from "./ownSecrets.ts"

/** Effect names a type after `code` where there is one: `ECONNREFUSED` says more than `RequestError`. */
const errorType = (failure: unknown): string => {
  const { code, name } = describeCause(failure)
  return code ?? name
}

/** The address without user, fragment and all values of parameters that may be secret. */
const safeAddress = (url: URL): string => {
  const safe = new URL(url)
  safe.username = ""
  safe.password = ""
  safe.hash = ""
  for (const name of new Set(safe.searchParams.keys())) {
    if (!isPublicParameter(name)) safe.searchParams.set(name, mask)
  }
  return redact(safe.href.replaceAll(encodeURIComponent(mask), mask))
}

/** An error of words: the name, the message, and no stack. */
const inWords = (failure: unknown): Error => {
  const { message, name } = describeCause(failure)
  const error = new Error(message)
  error.name = name
  error.stack = `${name}: ${message}`
  return error
}

/** The same exit without the values in it: a reply and an error of the client both hold the request. */
const safeExit = (exit: Exit.Exit<unknown, unknown>, status: number): Exit.Exit<void, Error> =>
  Exit.match(exit, {
    onSuccess: () => status >= 400 ? Exit.fail(inWords(`HTTP ${status}`)) : Exit.void,
    onFailure: (cause) =>
      Exit.failCause(
        Cause.match(cause, {
          onEmpty: Cause.empty as Cause.Cause<Error>,
          onFail: (error) => Cause.fail(inWords(error)),
          onDie: (defect) => Cause.die(inWords(defect)),
          onInterrupt: Cause.interrupt,
          onSequential: Cause.sequential,
          onParallel: Cause.parallel
        })
      )
  })

/** A span that is told what it may be told. */
class SafeSpan implements Tracer.Span {
  readonly _tag = "Span"
  private status_ = 0
  private readonly span: Tracer.Span
  constructor(span: Tracer.Span, resends: number) {
    this.span = span
    if (resends > 0) span.attribute("http.request.resend_count", resends)
  }
  get name() {
    return this.span.name
  }
  get spanId() {
    return this.span.spanId
  }
  get traceId() {
    return this.span.traceId
  }
  get parent() {
    return this.span.parent
  }
  get context() {
    return this.span.context
  }
  get status() {
    return this.span.status
  }
  get attributes() {
    return this.span.attributes
  }
  get links() {
    return this.span.links
  }
  get sampled() {
    return this.span.sampled
  }
  get kind() {
    return this.span.kind
  }

  attribute(key: string, value: unknown): void {
    switch (key) {
      case "http.request.method":
      case "url.scheme":
        return this.span.attribute(key, value)
      case "url.full":
        return this.address(String(value))
      case "http.response.status_code":
        if (typeof value !== "number") return
        this.status_ = value
        this.span.attribute(key, value)
        if (value >= 400) this.span.attribute("error.type", String(value))
    }
  }

  private address(text: string): void {
    const url = new URL(text)
    const port = url.port === "" ? (url.protocol === "http:" ? 80 : 443) : Number(url.port)
    this.span.attribute("server.address", url.hostname)
    this.span.attribute("server.port", port)
    this.span.attribute("url.full", safeAddress(url))
  }

  end(endTime: bigint, exit: Exit.Exit<unknown, unknown>): void {
    if (Exit.isFailure(exit) && !Cause.isInterruptedOnly(exit.cause)) {
      this.span.attribute("error.type", errorType(Cause.squash(exit.cause)))
    }
    this.span.end(endTime, safeExit(exit, this.status_))
  }

  event(): void {}

  addLinks(links: ReadonlyArray<Tracer.SpanLink>): void {
    this.span.addLinks(links)
  }
}

/** `resends`: how often this request was sent before. */
const safeTracer = (tracer: Tracer.Tracer, resends: number): Tracer.Tracer =>
  Tracer.make({
    context: (execution, fiber) => tracer.context(execution, fiber),
    span: (name, parent, context, links, startTime, kind, options) => {
      const span = tracer.span(name, parent, context, links, startTime, kind, options)
      return kind === "client" ? new SafeSpan(span, resends) : span
    }
  })

/**
 * Runs a request of the platform's client, `resends` times sent before, with a span that shows no secret; with none where
 * spans are switched off.
 */
export const traced = <A, E, R>(request: Effect.Effect<A, E, R>, resends: number): Effect.Effect<A, E, R> =>
  Effect.withFiberRuntime((fiber) =>
    fiber.getFiberRef(FiberRef.currentTracerEnabled)
      ? Effect.withTracer(request, safeTracer(Context.get(fiber.currentDefaultServices, Tracer.Tracer), resends))
      : request
  )
