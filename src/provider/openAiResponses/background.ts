/**
 * Background responses: a reply that OpenAI makes by itself and keeps for some minutes, so that a broken stream is gone on
 * with by `GET /responses/{id}?stream=true&starting_after=N`. https://platform.openai.com/docs/guides/background
 *
 * What goes on is decided by what is known of the reply. A stream is asked for first. A reply that is too old for that (five
 * minutes) is polled until it is finished, and what was not delivered is given as one piece. So is one whose stream brought
 * nothing new, as asking for the same stream again would end in the same way.
 */
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as ModelError from "../../error/ModelError.ts"
import { elapsedMillis } from "../../internal/elapsed.ts"
import { definedFields, type Fields, isRecord } from "../../internal/record.ts"
import { fieldsOf } from "../../internal/scrubbed.ts"
import { freshIdempotencyKey } from "../../model/LanguageModel.ts"
import type { StreamPart } from "../../model/StreamPart.ts"
import * as ProviderError from "../ProviderError.ts"
import * as decode from "../shared/decode.ts"
import { factsIn, type Incoming, requestIdOf } from "../shared/httpExchange.ts"
import type { Answer, KeptExchange, Protocol } from "../shared/httpModel.ts"
import { nonBlank, parse } from "../shared/jsonBody.ts"
import { endpoint } from "../shared/options.ts"
import { fromStream, type Pull, toStream } from "../shared/pull.ts"
import * as numbered from "./numbered.ts"
import { decode as decodeReply } from "./reply.ts"
import { rest } from "./rest.ts"
import { initial, type State } from "./state.ts"
import * as responsesStream from "./stream.ts"

/** Between two polls of a reply that is not finished: 1, 1.5, 2.25, … up to 10 seconds, for an hour at most. */
const polling = { firstMillis: 1_000, factor: 1.5, mostMillis: 10_000, totalMillis: 3_600_000 } as const

/** A cancel that takes longer is given up. */
const cancelLimit = "5 seconds"

/** How long an account that refuses background responses is not asked for one again. */
const refusedMillis = 600_000

type Failure = ModelError.ModelError
type Parts = Stream.Stream<StreamPart, Failure>
/** The parts of one connection, or of none, to be pulled as long as its scope is open. */
type Opening = Effect.Effect<Pull<StreamPart, Failure>, Failure, Scope.Scope>

/** An id goes into an address, so it must not lead anywhere else. */
const idPattern = /^(?=.*\w)[\w.:~=-]{1,512}$/

/** `background`, `store` and the account's terms by name; other parameters have these words in theirs. */
const refusalWords = /\bbackground\b|zero[- ]?data[- ]?retention|\bZDR\b|['"`]store['"`]|\bstore ?[=:]/i

/** Whether a refusal is about background responses as such, and not about the request. */
const isRefusal = (error: Failure): boolean => {
  if (error.status === undefined || error.status < 400 || error.status > 499) return false
  switch (error._tag) {
    case "InvalidRequest":
      return error.param === undefined
        ? refusalWords.test(error.detail ?? "")
        : error.param === "background" || error.param === "store"
    case "UnsupportedFeature":
    case "PermissionDenied":
      return refusalWords.test(error.detail ?? "")
    default:
      return false
  }
}

/** Why the reply cannot be streamed from a place, although it may still be there: told by the status, not by words. */
const refusesStream: ReadonlySet<number> = new Set([400, 405, 406, 409, 415, 422, 501])

const isGone = (status: number | undefined): boolean => status === 404 || status === 410

/** How far one reply was read, and what became of it. */
class Reading {
  state = numbered.initial(initial)
  readonly received: decode.Received
  /**
   * How to go on. A connection that brought nothing new is no reason to open the next one without a look at the reply; one
   * whose first event cannot be placed is one to open no more, as it would begin with that event again.
   */
  next: "stream" | "look" | "poll" = "stream"
  /** The provider said within a stream that it failed; the reply may have failed with it, or only the stream. */
  hasFailed = false
  /** Why nothing more can be had of the reply. */
  lost: string | undefined = undefined

  constructor(limits: decode.Limits) {
    this.received = new decode.Received(limits)
  }

  get isOver(): boolean {
    return this.state.reply.over
  }
}

class Background {
  private readonly reading: Reading
  private readonly exchange: KeptExchange
  private readonly url: string

  constructor(exchange: KeptExchange, url: string) {
    this.exchange = exchange
    this.url = url
    this.reading = new Reading(exchange.limits)
  }

  /** The request itself, run once. */
  get parts(): Parts {
    return this.opened(Effect.flatMap(
      this.exchange.ask(this.exchange.sent),
      (answer) => answer._tag === "Events" ? this.eventsOf(answer, false) : this.whole(answer, answer.incoming)
    ))
  }

  get resume(): Parts {
    return this.opened(Effect.suspend((): Opening => {
      const { isOver, lost, next, state } = this.reading
      if (isOver) return fromStream(Stream.empty)
      if (lost !== undefined) return this.expired(lost)
      if (state.id === undefined) {
        return this.expired("the stream broke before the provider had told the id of the reply")
      }
      if (!idPattern.test(state.id)) return this.expired("its id cannot be part of an address")
      if (state.isUnnumbered || next === "poll") return this.polled
      return next === "look" ? this.lookedAt : this.streamed
    }))
  }

  get cancel(): Effect.Effect<void> {
    return Effect.suspend(() => {
      const { isOver, lost, state } = this.reading
      if (isOver || lost !== undefined || state.id === undefined || !idPattern.test(state.id)) return Effect.void
      this.reading.lost = "it was cancelled"
      return Effect.scoped(this.asked(undefined, "/cancel", {}, "application/json")).pipe(
        Effect.disconnect,
        // It is run where a stream is given up, which cannot be interrupted; its own limit has to be able to.
        Effect.interruptible,
        Effect.timeoutOption(cancelLimit),
        Effect.catchAllCause(() => Effect.void),
        Effect.asVoid
      )
    })
  }

  /**
   * A question about the reply. It has a key of its own, as all requests have: one that meets a connection which the server
   * has just closed is then sent once more.
   */
  private asked(
    method: "GET" | undefined,
    path: string,
    query: { readonly [name: string]: string },
    accept: string
  ): Effect.Effect<Answer, Failure, Scope.Scope> {
    const { sent } = this.exchange
    const url = endpoint(this.url, `/${encodeURIComponent(this.reading.state.id ?? "")}${path}`, query)
    return Effect.flatMap(freshIdempotencyKey, (key) =>
      this.exchange.ask({
        ...sent,
        method,
        url,
        headers: { ...sent.headers, accept, "idempotency-key": key },
        body: undefined
      }))
  }

  /** A stream of its own scope, whose errors know what was received before this connection. */
  private opened(opening: Opening): Parts {
    return Stream.mapError(
      toStream(opening),
      (error) =>
        error._tag === "Truncated"
          ? new ModelError.Truncated({ ...fieldsOf(error), received: this.reading.received.text })
          : error
    )
  }

  private expired(why: string, facts: { readonly status?: number; readonly requestId?: string } = {}) {
    const { who } = this.exchange
    const { id } = this.reading.state
    this.reading.lost = why
    return Effect.fail(
      new ModelError.ResumeExpired({
        ...who,
        ...facts,
        reply: id ?? "",
        billed: id === undefined ? "maybe" : "yes",
        cause: { name: "NotResumable", message: why }
      })
    )
  }

  /** Reads the events of a connection on, and learns from the way it ends. */
  private eventsOf(answer: Extract<Answer, { readonly _tag: "Events" }>, isResumed: boolean): Opening {
    const { exchange: { limits, who }, reading } = this
    const { headers, status } = answer
    const before = reading.state.last
    const inner = responsesStream.decoder({ ...who, status, headers, requestId: requestIdOf(headers) }, "one")
    const decoder = numbered.decoder(inner, reading.state, isResumed)
    const step: typeof decoder.step = (state, message) => {
      const next = decoder.step(state, message)
      const broken = reading.received.add(next.parts)
      if (broken !== undefined) return { state, parts: [], error: decode.malformed(inner.facts, { text: "" }, broken) }
      reading.state = next.state
      return next.parts[0]?._tag === "Start" ? { ...next, parts: next.parts.map(answer.withHead) } : next
    }
    const noticed = (error: Failure): void => {
      const hasNothingNew = isResumed && reading.state.last === before
      if (error._tag === "Truncated") {
        reading.next = hasNothingNew ? "look" : "stream"
      } else if (error._tag === "MalformedResponse") {
        reading.next = hasNothingNew ? "poll" : "stream"
      } else {
        reading.hasFailed = true
        reading.next = "look"
      }
    }
    return Effect.map(fromStream(answer.bytes), (bytes) => {
      const pull = decode.pull({ ...decoder, step }, limits)(bytes)
      return () => Effect.tapError(pull(), (error) => Effect.sync(() => noticed(error)))
    })
  }

  /** The reply as a stream that begins behind the last event read. */
  private get streamed(): Opening {
    const { last } = this.reading.state
    // Without a number to start after, a server streams all of it.
    const query = last < 0 ? { stream: "true" } : { stream: "true", starting_after: String(last) }
    return Effect.flatMap(this.asked("GET", "", query, "text/event-stream"), (answer): Opening => {
      if (answer._tag === "Events") return this.eventsOf(answer, true)
      return refusesStream.has(answer.status) ? this.polled : this.whole(answer, answer.incoming)
    })
  }

  /** One look at the reply, and then its rest, or its stream where it still goes on. */
  private get lookedAt(): Opening {
    return Effect.flatMap(this.poll, (response) => response._tag === "Running" ? this.streamed : response.rest)
  }

  /** Looks at the reply until it is finished, and gives its rest. */
  private get polled(): Opening {
    const again = (interval: number, until: number): Opening =>
      Effect.gen(this, function*() {
        const response = yield* this.poll
        if (response._tag === "Settled") return yield* response.rest
        if (elapsedMillis(yield* Effect.clock) + interval > until) {
          return yield* this.expired("it was not finished within an hour")
        }
        yield* Effect.sleep(Duration.millis(interval))
        return yield* again(Math.min(interval * polling.factor, polling.mostMillis), until)
      })
    return Effect.flatMap(
      Effect.clock,
      (clock) => again(polling.firstMillis, elapsedMillis(clock) + polling.totalMillis)
    )
  }

  private get poll(): Effect.Effect<Response, Failure> {
    return Effect.scoped(Effect.flatMap(
      this.asked("GET", "", {}, "application/json"),
      (answer): Effect.Effect<Response, Failure> =>
        answer._tag === "Events"
          ? Effect.fail(
            decode.malformed(
              { ...this.exchange.who, status: answer.status },
              { text: "" },
              "events came where one response was asked for"
            )
          )
          : this.responseIn(answer, answer.incoming)
    ))
  }

  /** What came in one piece, where a stream was asked for. */
  private whole(answer: Answer, incoming: Incoming): Opening {
    return Effect.flatMap(
      this.responseIn(answer, incoming),
      (response) => response._tag === "Running" ? this.polled : response.rest
    )
  }

  /** The response in a body, or the error that it is. */
  private responseIn(answer: Answer, incoming: Incoming): Effect.Effect<Response, Failure> {
    const { exchange: { who }, reading } = this
    const facts = factsIn(incoming, who)
    return Effect.gen(this, function*() {
      const now = yield* DateTime.now
      const { headers, status, text } = incoming
      const id = reading.state.id
      if (status < 200 || status > 299) {
        const error = ProviderError.fromResponse({ ...who, status, headers, body: text, now })
        if (id === undefined) return yield* error
        if (isGone(status)) return yield* this.expired("the provider no longer has it", facts)
        if (refusesStream.has(status) || isRefusal(error)) {
          return yield* this.expired(error.detail ?? "the provider refuses to give it", facts)
        }
        return yield* error
      }
      const body = yield* parse(incoming, facts)
      const response = isRecord(body) ? body : {}
      const given = nonBlank(response["id"])
      if (!Array.isArray(response["output"]) || given === undefined || given !== (id ?? given)) {
        return yield* decode.malformed(facts, { text }, "this is not the response that was asked for")
      }
      reading.state = { ...reading.state, id: given }
      return yield* this.judged(answer, response, incoming, now)
    })
  }

  private judged(
    answer: Answer,
    response: Fields,
    incoming: Incoming,
    now: DateTime.Utc
  ): Effect.Effect<Response, Failure> {
    const { exchange: { who }, reading } = this
    const status = response["status"]
    if (numbered.isUnfinished(status)) return Effect.succeed<Response>({ _tag: "Running" })
    if (status === "cancelled") return this.expired("it was cancelled")
    if (status === "completed" || status === "incomplete") {
      return Effect.succeed<Response>({ _tag: "Settled", rest: this.restOf(answer, response, incoming.text) })
    }
    if (reading.hasFailed) return this.expired("it failed at the provider")
    reading.lost = "it failed at the provider"
    return Effect.fail(Either.match(decodeReply(incoming, who, now), {
      onLeft: (error) => error,
      onRight: () => decode.malformed(factsIn(incoming, who), incoming, `status: ${JSON.stringify(status)}`)
    }))
  }

  /** What of a finished response was not delivered. */
  private restOf(answer: Answer, response: Fields, text: string): Opening {
    const { exchange: { who }, reading } = this
    const { headers, status } = answer
    const inner = responsesStream.decoder({ ...who, status, headers, requestId: requestIdOf(headers) }, "one")
    return Either.match(rest(inner, reading.state, response, text), {
      onLeft: (misfit) => this.expired(`what the provider has of it does not fit what was delivered: ${misfit}`),
      onRight: ({ error, parts, state }) => {
        const broken = reading.received.add(parts)
        if (broken !== undefined) return Effect.fail(decode.malformed(inner.facts, { text: "" }, broken))
        reading.state = state
        const given = Stream.fromIterable(parts.map(answer.withHead))
        return fromStream(error === undefined ? given : Stream.concat(given, Stream.fail(error)))
      }
    })
  }
}

/** What a look at the reply shows. */
type Response =
  | { readonly _tag: "Running" }
  | { readonly _tag: "Settled"; readonly rest: Opening }

const feature = "background responses"

const unsupported = (who: KeptExchange["who"], why: string): Failure =>
  new ModelError.UnsupportedFeature({ ...who, feature, billed: "no", cause: { name: "RequestCheck", message: why } })

const refusedBy = ({ body, detail, model, provider, requestId, status }: Failure): Failure =>
  new ModelError.UnsupportedFeature({
    provider,
    ...definedFields({ model, requestId, status, body, detail }),
    feature,
    billed: "no"
  })

/**
 * How a model behind `url` keeps its replies. An account may refuse it (zero data retention) or the server not know it: that
 * is `UnsupportedFeature`, before anything is paid, and for ten minutes the next requests are refused without being sent.
 */
export const keeps = (url: string): NonNullable<Protocol<State>["keeps"]> => {
  let refusedUntil = Number.NEGATIVE_INFINITY
  return (exchange, request) =>
    Effect.flatMap(Effect.map(Effect.clock, elapsedMillis), (now) => {
      if (request.providerOptions?.["background"] === false) {
        return Effect.fail(unsupported(exchange.who, "providerOptions.background is false"))
      }
      if (now < refusedUntil) {
        return Effect.fail(unsupported(exchange.who, "the provider refused them to this account minutes ago"))
      }
      const background = new Background(exchange, url)
      const noticed = (error: Failure): Effect.Effect<never, Failure> =>
        Effect.flatMap(Effect.clock, (clock) => {
          if (!isRefusal(error)) return Effect.fail(error)
          refusedUntil = elapsedMillis(clock) + refusedMillis
          return Effect.fail(refusedBy(error))
        })
      return Effect.succeed({
        parts: Stream.catchAll(background.parts, (error) => Stream.fromEffect(noticed(error))),
        resume: background.resume,
        cancel: background.cancel
      })
    })
}
