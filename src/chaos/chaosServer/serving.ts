/** What the server does with one exchange, from its first byte to the books. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as HashMap from "effect/HashMap"
import * as HashSet from "effect/HashSet"
import * as Option from "effect/Option"
import * as Ref from "effect/Ref"
import { draw, hex } from "../../internal/seeded.ts"
import type { Plan } from "../Fault.ts"
import * as Background from "./background.ts"
import { anthropic } from "./batch/anthropic.ts"
import { gemini } from "./batch/gemini.ts"
import type { Terms } from "./batch/lines.ts"
import { type BatchWire, type Office, settleAll } from "./batch/office.ts"
import { openAi } from "./batch/openAi.ts"
import * as Ledger from "./books.ts"
import { clientGone, type Exchange, headersOf, perform, readBody } from "./http.ts"
import { admit, full, type Levels } from "./limits.ts"
import { answer, canSay, meantCalls, price, seedOf } from "./model.ts"
import { firstUserText, promptTokens } from "./modelRequest.ts"
import { json } from "./openAi/failures.ts"
import { chat } from "./openAiChat/protocol.ts"
import type { Outcome } from "./outcome.ts"
import type { Failure, ModelRequest, Protocol, Reply } from "./protocol.ts"
import { type Asked, asked, type KeptAsked, keptAsked, nearest } from "./protocols.ts"
import { limitHeaders, replyHeaders } from "./vendorHeaders.ts"

export interface Settings {
  readonly plan: Plan
  readonly apiKeys: ReadonlyArray<string>
  readonly models: ReadonlyArray<string>
  readonly limits: { readonly requestsPerMinute: number | undefined; readonly tokensPerMinute: number | undefined }
  readonly latency: { readonly least: number; readonly most: number }
  readonly tokenDelay: number
  readonly callsPerReply: number
  readonly requestKey: (firstUserText: string) => string
  readonly port: number
  /** Largest request body, in bytes. */
  readonly bodyLimit: number
  /** How long replies in the background are kept, and whether they are made at all. */
  readonly background: Background.Times & { readonly isRefused: boolean }
  /** How long jobs of the batch services are in each state, and what they may hold. */
  readonly batches: Terms["batches"]
  /** Whether an idempotency key that is asked again gets the answer that was kept for it. */
  readonly idempotency: "ignored" | "kept"
}

export interface State extends Office {
  readonly levels: Levels
  /** The keys of requests that came as a stream at least once. */
  readonly streamed: HashSet.HashSet<string>
  /** Replies in the background, by their ids. */
  readonly shelf: Background.Shelf
  /** Answers that are kept, by their idempotency keys. */
  readonly answers: HashMap.HashMap<string, Outcome>
}

export const initial: State = {
  ledger: Ledger.empty,
  levels: full,
  meant: HashMap.empty(),
  streamed: HashSet.empty(),
  shelf: HashMap.empty(),
  answers: HashMap.empty(),
  jobs: HashMap.empty(),
  files: HashMap.empty(),
  uploads: HashMap.empty(),
  orders: 0,
  fileOrders: 0
}

/** Enters what has ended by itself: replies in the background, and jobs. */
export const settled = (settings: Settings, now: number) => (before: State): State => {
  const after = settleAll(settings, now)(before)
  return { ...before, ...after, ...Background.settle(settings.background, now)({ ...before, ...after }) }
}

const batchWires: ReadonlyArray<BatchWire> = [openAi, anthropic, gemini]

/** Largest body of an upload or of a job, in bytes; each service refuses its own sizes in its own words. */
const mostBatchBytes = 300_000_000

/** Shows no more of a wrong key than the real service does. */
const starred = (key: string): string => key.length > 8 ? `${key.slice(0, 3)}${"*".repeat(8)}${key.slice(-4)}` : "***"

/** A refusal in the words of the vendor. */
const failed = (protocol: Protocol, failure: Failure, headers: Readonly<Record<string, string>> = {}): Reply => {
  const reply = protocol.failure(failure)
  return { ...reply, headers: { ...headers, ...reply.headers } }
}

export const serve = (settings: Settings, state: Ref.Ref<State>) => {
  const enter = (change: (ledger: Ledger.Ledger) => Ledger.Ledger) =>
    Ref.update(state, (kept) => ({ ...kept, ledger: change(kept.ledger) }))
  const change = (step: (kitchen: Background.Kitchen) => Background.Kitchen) =>
    Ref.update(state, (kept) => ({ ...kept, ...step(kept) }))
  const refuse = (reason: keyof Ledger.Books["refused"], outcome: Outcome) =>
    Effect.as(enter(Ledger.refuse(reason)), outcome)
  const seed = seedOf(settings.plan)

  const keyRefusal = (protocol: Protocol, exchange: Exchange, query: URLSearchParams): Reply | undefined => {
    const key = protocol.key(headersOf(exchange), query)
    if (key === undefined) return failed(protocol, { _tag: "MissingKey" })
    return settings.apiKeys.includes(key) ? undefined : failed(protocol, { _tag: "WrongKey", shown: starred(key) })
  }

  const admitted = (exchange: Exchange, protocol: Protocol, request: ModelRequest) =>
    Effect.gen(function*() {
      const key = settings.requestKey(firstUserText(request))
      const meant = meantCalls(request, key, seed, settings.callsPerReply)
      if ("beyond" in meant) {
        return yield* refuse("invalid", failed(protocol, { _tag: "UnknownSchema", tool: meant.beyond }))
      }
      if (!canSay(request, key, seed)) {
        return yield* refuse("invalid", failed(protocol, { _tag: "UnknownSchema", tool: "response_format" }))
      }
      if (request.background !== undefined && settings.background.isRefused && protocol.keeping !== undefined) {
        return yield* refuse("invalid", protocol.keeping.failure({ _tag: "NoRetention" }))
      }
      const idempotencyKey = settings.idempotency === "kept" ? headersOf(exchange)["idempotency-key"] : undefined
      const keptAnswer = idempotencyKey === undefined
        ? Option.none<Outcome>()
        : HashMap.get((yield* Ref.get(state)).answers, idempotencyKey)
      if (Option.isSome(keptAnswer)) {
        yield* enter(Ledger.replay)
        return yield* perform(exchange, keptAnswer.value, {})
      }
      const now = yield* Clock.currentTimeMillis
      const tokens = promptTokens(request) + (request.maxTokens ?? 16)
      const gate = yield* Ref.modify(state, (kept) => {
        const made = admit(settings.limits, kept.levels, tokens, now)
        return [made, { ...kept, levels: made.levels }]
      })
      const standing = limitHeaders(protocol.name, gate.standings, now)
      if (gate.refusal !== undefined) {
        const { refusal } = gate
        return yield* refuse("limit", failed(protocol, { _tag: "Limited", model: request.model, refusal }, standing))
      }
      const arrival = yield* Ref.modify(state, (kept) => {
        const [entered, ledger] = Ledger.arrive(key, headersOf(exchange)["idempotency-key"], now)(kept.ledger)
        const streamed = request.stream ? HashSet.add(kept.streamed, key) : kept.streamed
        return [entered, { ...kept, ledger, meant: HashMap.set(kept.meant, key, meant), streamed }]
      })
      const made = answer(settings, protocol, { request, key, meant, now, ...arrival })
      yield* enter(made.before)
      const { least, most } = settings.latency
      const usual = least + (most - least) * draw(seed, "latency", key, arrival.arrival).fraction()
      if (made.late + usual > 0) yield* Effect.sleep(made.late + usual)
      const { keeping } = protocol
      if (request.background !== undefined && keeping !== undefined && made.said !== undefined) {
        const kept: Background.Kept = {
          key,
          said: made.said,
          request,
          frames: protocol.stream(made.said, request).frames,
          createdAt: yield* Clock.currentTimeMillis,
          tokenDelay: settings.tokenDelay,
          cancelledAt: undefined,
          isPaid: false
        }
        yield* change(Background.create(keeping.idOf(made.said), kept, settings.background))
      }
      const sending = perform(exchange, made.outcome, {
        ...standing,
        ...replyHeaders(protocol.name, hex(JSON.stringify([seed, key, arrival.arrival])), made.late + usual)
      })
      // A reply in the background is paid for when it is finished, whoever reads it.
      yield* request.background === undefined
        ? Effect.onExit(sending, (exit) => enter(price(made, exchange.contentSent, Exit.isSuccess(exit))))
        : sending
      yield* enter(made.sent)
      // Of what went wrong nothing is kept: it is asked anew, under its next fate.
      if (idempotencyKey === undefined || !made.isRight) return
      yield* Ref.update(state, (kept) => ({
        ...kept,
        answers: HashMap.set(kept.answers, idempotencyKey, made.outcome)
      }))
    })

  const completions = (exchange: Exchange, { path, protocol }: Asked, query: URLSearchParams) =>
    Effect.gen(function*() {
      yield* enter(Ledger.request(protocol.name))
      const body = yield* readBody(exchange, settings.bodyLimit)
      const keyless = keyRefusal(protocol, exchange, query)
      if (keyless !== undefined) return yield* refuse("authentication", keyless)
      if (body === undefined) return yield* refuse("invalid", failed(protocol, { _tag: "BodyTooLarge" }))
      const read = protocol.read(body, path)
      if (Either.isLeft(read)) return yield* refuse("invalid", read.left)
      const { model } = read.right
      return settings.models.includes(model)
        ? yield* admitted(exchange, protocol, read.right)
        : yield* refuse("model", failed(protocol, { _tag: "UnknownModel", model }))
    })

  const unknown = ({ keeping, route }: KeptAsked) =>
    Effect.as(enter(Ledger.keep("refused")), keeping.failure({ _tag: "Unknown", id: route.id }))

  /** Goes on with the stream of a reply that is kept: an arrival of its request, which meets its own fate. */
  const resumed = (exchange: Exchange, { keeping, protocol, route }: KeptAsked, kept: Background.Kept, after: number) =>
    Effect.gen(function*() {
      const now = yield* Clock.currentTimeMillis
      const arrival = yield* Ref.modify(state, (before) => {
        const [entered, ledger] = Ledger.arrive(kept.key, undefined, now)(Ledger.request(protocol.name)(before.ledger))
        return [entered, { ...before, ledger }]
      })
      const made = Background.resume({ ...settings, ...settings.background }, protocol, keeping, kept, {
        ...arrival,
        now,
        after
      })
      yield* enter((ledger) => Ledger.keep(made.outcome._tag === "Reply" ? "refused" : "resumed")(made.before(ledger)))
      if (made.isForgotten) yield* change(Background.forget(route.id))
      if (made.late > 0) yield* Effect.sleep(made.late)
      yield* perform(
        exchange,
        made.outcome,
        replyHeaders(protocol.name, hex(JSON.stringify([seed, kept.key, arrival.arrival])), made.late)
      )
      return yield* enter(made.sent)
    })

  const keptReply = (exchange: Exchange, asked: KeptAsked, query: URLSearchParams) =>
    Effect.gen(function*() {
      const { keeping, protocol, route: { action, id } } = asked
      const keyless = keyRefusal(protocol, exchange, query)
      if (keyless !== undefined) return yield* Effect.as(enter(Ledger.keep("refused")), keyless)
      const now = yield* Clock.currentTimeMillis
      const kept = Background.find(id, settings.background, now)(yield* Ref.get(state))
      if (kept === undefined) return yield* unknown(asked)
      if (action._tag === "Stream") return yield* resumed(exchange, asked, kept, action.after)
      const step = action._tag === "Look" ? Background.look : Background.cancel
      return yield* Ref.modify(state, (before) => {
        const [reply, after] = step(id, kept, keeping, now)(before)
        return [reply, { ...before, ...after }]
      })
    })

  /** The batch services: jobs, their files and their results. */
  const batches = (exchange: Exchange, wire: BatchWire, path: string, query: URLSearchParams) =>
    Effect.gen(function*() {
      const { headers: { host = "" }, method = "" } = exchange.request
      const body = yield* readBody(exchange, mostBatchBytes, path.startsWith("/upload/") ? "latin1" : "utf8")
      const keyless = keyRefusal(wire.protocol, exchange, query)
      if (keyless !== undefined) return yield* refuse("authentication", keyless)
      if (body === undefined) return yield* refuse("invalid", failed(wire.protocol, { _tag: "BodyTooLarge" }))
      const now = yield* Clock.currentTimeMillis
      const origin = `http://${host}`
      const call = { method, path, query, headers: headersOf(exchange), body, origin, now }
      return yield* Ref.modify(state, (before) => {
        const [outcome, after] = wire.serve(settings, call)(before)
        return [outcome, { ...before, ...after }]
      })
    })

  const models = (exchange: Exchange, query: URLSearchParams): Outcome =>
    keyRefusal(chat, exchange, query) ?? json(200, {
      object: "list",
      data: settings.models.map((id) => ({ id, object: "model", created: 1_700_000_000, owned_by: "chaos" }))
    })

  const route = (exchange: Exchange): Effect.Effect<void | Outcome> => {
    const { method = "", url = "" } = exchange.request
    const [path = "", ...rest] = url.split("?")
    const query = new URLSearchParams(rest.join("?"))
    const found = asked(method, path, query)
    if (found !== undefined) return completions(exchange, found, query)
    const about = keptAsked(method, path, query)
    if (about !== undefined) return keptReply(exchange, about, query)
    const wire = batchWires.find((one) => one.route(path))
    if (wire !== undefined) return batches(exchange, wire, path, query)
    if (method === "GET" && path === "/v1/models") return Effect.succeed(models(exchange, query))
    return Effect.succeed(failed(nearest(path, headersOf(exchange)), { _tag: "UnknownUrl", method, url }))
  }

  /** Either the exchange is answered, or its client goes away first. */
  return (exchange: Exchange): Effect.Effect<void> =>
    Effect.zipRight(enter(Ledger.count("inFlight")), route(exchange)).pipe(
      Effect.flatMap((outcome) => outcome === undefined ? Effect.void : perform(exchange, outcome, {})),
      Effect.raceFirst(Effect.zipRight(clientGone(exchange), enter(Ledger.count("aborted")))),
      Effect.ensuring(enter(Ledger.count("inFlight", -1)))
    )
}
