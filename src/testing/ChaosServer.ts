/**
 * An LLM provider that misbehaves on purpose: a real HTTP server on 127.0.0.1 that speaks OpenAI chat completions, makes
 * plausible tool calls from the tools' JSON Schemas, enforces limits with the real headers, meets each arrival with the
 * fate that a fault plan foretells, and keeps books of all it did. Use it in integration tests and demonstrations; it
 * runs on the clock it was made under, so not under TestClock.
 *
 * @example
 * import * as Effect from "effect/Effect"
 * import * as ChaosServer from "effect-llm-resilience/testing/ChaosServer"
 * import * as Fault from "effect-llm-resilience/testing/Fault"
 *
 * export const program = Effect.gen(function*() {
 *   const server = yield* ChaosServer.make({
 *     plan: Fault.storm({ seed: 1, toolCalls: { probability: 0.2 }, hangs: 0.02 }),
 *     limits: { requestsPerMinute: 500 }
 *   })
 *   // point any OpenAI client at server.baseUrl with server.apiKey, then reconcile:
 *   const books = yield* server.books
 *   return books.right.toolCalls
 * }).pipe(Effect.scoped)
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FiberSet from "effect/FiberSet"
import * as HashMap from "effect/HashMap"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Ref from "effect/Ref"
import type * as Scope from "effect/Scope"
import { found, InvalidOptions, type Issue } from "../error/InvalidOptions.ts"
import { draw, hex } from "../internal/seeded.ts"
import * as Fault from "./Fault.ts"
import * as Ledger from "./internal/books.ts"
import { clientGone, type Exchange, header, listen, perform, readBody } from "./internal/chaosHttp.ts"
import { answer, type MeantCall as Meant, meantCalls, seedOf } from "./internal/chaosModel.ts"
import { admit, full, type Levels } from "./internal/limits.ts"
import { type ChatRequest, firstUserText, promptTokens, readChatRequest, wireError } from "./internal/openAiChat.ts"
import { json, limited, type Outcome, refusal } from "./internal/openAiReplies.ts"

/**
 * What the server did: what came in, which faults it dealt, what went out right, what the client left.
 *
 * @since 0.1.0
 * @category models
 */
export type Books = Ledger.Books

/**
 * A tool call as the model meant it, whatever was written.
 *
 * @since 0.1.0
 * @category models
 */
export type MeantCall = Meant

/**
 * The numbers used where the options are silent.
 *
 * @since 0.1.0
 * @category defaults
 */
export const defaults = {
  apiKey: "sk-chaos",
  model: "gpt-4o-mini",
  callsPerReply: 1,
  /** Largest request body, in bytes. */
  bodyLimit: 10_000_000
} as const

/**
 * How the server is to behave.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** Which arrival meets which fault. Default: none does. */
  readonly plan?: Fault.Plan | undefined
  /** Keys that are let in. At least one. Default: "sk-chaos". */
  readonly apiKeys?: ReadonlyArray<string> | undefined
  /** Models that exist. At least one. Default: "gpt-4o-mini". */
  readonly models?: ReadonlyArray<string> | undefined
  /** Limits per minute, above 0; a bucket refills evenly. Default: no limits and no `x-ratelimit-*` headers. */
  readonly limits?: {
    readonly requestsPerMinute?: number | undefined
    readonly tokensPerMinute?: number | undefined
  } | undefined
  /** How long a reply takes: a duration, or a range from which each arrival gets its own by the seed. Default: zero. */
  readonly latency?: Duration.DurationInput | {
    readonly least: Duration.DurationInput
    readonly most: Duration.DurationInput
  } | undefined
  /** Tool calls in a reply where the request allows several. 1 to 16. Default: 1. */
  readonly callsPerReply?: number | undefined
  /** The request's key from its first user text. Default: `Fault.requestKey`. */
  readonly requestKey?: ((firstUserText: string) => string) | undefined
  /** The port; 0 takes any free one. Default: 0. */
  readonly port?: number | undefined
}

/**
 * A running server.
 *
 * @since 0.1.0
 * @category models
 */
export interface Service {
  /** `http://127.0.0.1:…/v1`, what OpenAI clients take for their base URL. */
  readonly baseUrl: string
  readonly port: number
  /** A key that is let in. */
  readonly apiKey: string
  /** A model that exists. */
  readonly model: string
  readonly plan: Fault.Plan
  /** What was done so far. */
  readonly books: Effect.Effect<Books>
  /** The tool calls the model means for a request, by its key or its first user text; none before its first arrival. */
  readonly meant: (keyOrText: string) => Effect.Effect<Option.Option<ReadonlyArray<MeantCall>>>
  /** The least calls any client needs for the requests that have arrived; see `Fault.leastCalls`. */
  readonly leastCalls: Effect.Effect<ReturnType<typeof Fault.leastCalls>>
}

/**
 * The running server as a service.
 *
 * @since 0.1.0
 * @category tags
 */
export class ChaosServer extends Context.Tag("effect-llm-resilience/ChaosServer")<ChaosServer, Service>() {}

interface State {
  readonly ledger: Ledger.Ledger
  readonly levels: Levels
  readonly meant: HashMap.HashMap<string, ReadonlyArray<MeantCall>>
}

interface Settings {
  readonly plan: Fault.Plan
  readonly apiKeys: ReadonlyArray<string>
  readonly models: ReadonlyArray<string>
  readonly limits: { readonly requestsPerMinute: number | undefined; readonly tokensPerMinute: number | undefined }
  readonly latency: { readonly least: number; readonly most: number }
  readonly callsPerReply: number
  readonly requestKey: (firstUserText: string) => string
  readonly port: number
}

const millisOf = (path: string, input: Duration.DurationInput): Either.Either<number, Issue> =>
  Option.match(Option.filter(Duration.decodeUnknown(input), Duration.isFinite), {
    onNone: () => Either.left({ path, found: found(input), allowed: "a finite duration of zero or more" }),
    onSome: (duration) => Either.right(Duration.toMillis(duration))
  })

const settle = (options: Options): Either.Either<Settings, InvalidOptions> => {
  const issues: Array<Issue> = []
  const wrong = (path: string, value: unknown, allowed: string) => issues.push({ path, found: found(value), allowed })
  const keep = <A>(checked: Either.Either<A, Issue>, otherwise: A): A => {
    if (Either.isRight(checked)) return checked.right
    issues.push(checked.left)
    return otherwise
  }
  const plan = Fault.decode(options.plan ?? Fault.calm)
  if (Either.isLeft(plan)) {
    issues.push(
      ...plan.left.issues.map((issue) => ({ ...issue, path: issue.path === "" ? "plan" : `plan.${issue.path}` }))
    )
  }
  const { limits = {}, port = 0 } = options
  for (
    const [name, limit] of [
      ["requestsPerMinute", limits.requestsPerMinute],
      ["tokensPerMinute", limits.tokensPerMinute]
    ] as const
  ) {
    if (limit !== undefined && !(limit > 0 && Number.isFinite(limit))) {
      wrong(`limits.${name}`, limit, "a number above 0")
    }
  }
  const callsPerReply = options.callsPerReply ?? defaults.callsPerReply
  if (!Number.isInteger(callsPerReply) || callsPerReply < 1 || callsPerReply > 16) {
    wrong("callsPerReply", callsPerReply, "a whole number from 1 to 16")
  }
  if (!Number.isInteger(port) || port < 0 || port > 65535) wrong("port", port, "a whole number from 0 to 65535")
  const apiKeys = options.apiKeys ?? [defaults.apiKey]
  if (apiKeys.length === 0) wrong("apiKeys", apiKeys, "at least one key")
  const models = options.models ?? [defaults.model]
  if (models.length === 0) wrong("models", models, "at least one model")
  const given = options.latency ?? 0
  const range = typeof given === "object" && "least" in given ? given : undefined
  const single = typeof given === "object" && "least" in given ? 0 : given
  const least = keep(millisOf(range === undefined ? "latency" : "latency.least", range?.least ?? single), 0)
  const most = range === undefined ? least : keep(millisOf("latency.most", range.most), least)
  if (most < least) wrong("latency.most", `${most} millis`, `at least latency.least (${least} millis)`)
  if (issues.length > 0 || Either.isLeft(plan)) {
    return Either.left(new InvalidOptions({ module: "ChaosServer", issues }))
  }
  return Either.right({
    plan: plan.right,
    apiKeys,
    models,
    limits: { requestsPerMinute: limits.requestsPerMinute, tokensPerMinute: limits.tokensPerMinute },
    latency: { least, most },
    callsPerReply,
    requestKey: options.requestKey ?? Fault.requestKey,
    port
  })
}

/** Shows no more of a wrong key than the real service does. */
const starred = (key: string): string => key.length > 8 ? `${key.slice(0, 3)}${"*".repeat(8)}${key.slice(-4)}` : "***"

const keyRefusal = (settings: Settings, exchange: Exchange): Outcome | undefined => {
  const given = header(exchange, "authorization")
  if (given === undefined) {
    const words = "You didn't provide an API key. You need to provide your API key in an Authorization header using " +
      "Bearer auth (i.e. Authorization: Bearer YOUR_KEY)."
    return refusal(wireError(401, words))
  }
  const key = given.replace(/^bearer\s+/i, "")
  if (settings.apiKeys.includes(key)) return undefined
  const words = `Incorrect API key provided: ${starred(key)}. You can find your API key at ` +
    "https://platform.openai.com/account/api-keys."
  return refusal(wireError(401, words, { code: "invalid_api_key" }))
}

const unknownUrl = (exchange: Exchange): Outcome =>
  refusal(
    wireError(
      404,
      `Invalid URL (${exchange.request.method ?? ""} ${exchange.request.url ?? ""})`,
      { code: "unknown_url" }
    )
  )

const serve = (settings: Settings, state: Ref.Ref<State>) => {
  const enter = (change: (ledger: Ledger.Ledger) => Ledger.Ledger) =>
    Ref.update(state, (kept) => ({ ...kept, ledger: change(kept.ledger) }))
  const refuse = (reason: keyof Books["refused"], outcome: Outcome) => Effect.as(enter(Ledger.refuse(reason)), outcome)
  const seed = seedOf(settings.plan)

  const admitted = (exchange: Exchange, request: ChatRequest) =>
    Effect.gen(function*() {
      const key = settings.requestKey(firstUserText(request))
      const meant = meantCalls(request, key, seed, settings.callsPerReply)
      if ("beyond" in meant) {
        const words = `Invalid schema for function '${meant.beyond}': this server cannot make up arguments for it.`
        return yield* refuse(
          "invalid",
          refusal(wireError(400, words, { param: "tools", code: "invalid_function_parameters" }))
        )
      }
      const now = yield* Clock.currentTimeMillis
      const tokens = promptTokens(request) + (request.maxTokens ?? 16)
      const gate = yield* Ref.modify(state, (kept) => {
        const made = admit(settings.limits, kept.levels, tokens, now)
        return [made, { ...kept, levels: made.levels }]
      })
      if (gate.refusal !== undefined) {
        return yield* refuse("limit", limited(request.model, gate.refusal, gate.headers))
      }
      const place = yield* Ref.modify(state, (kept) => {
        const [entered, ledger] = Ledger.arrive(key, header(exchange, "idempotency-key"), now)(kept.ledger)
        return [entered, { ...kept, ledger, meant: HashMap.set(kept.meant, key, meant) }]
      })
      const made = answer(settings.plan, { request, key, meant, now, ...place })
      yield* enter(made.before)
      const { least, most } = settings.latency
      const usual = least + (most - least) * draw(seed, "latency", key, place.arrival).fraction()
      if (made.late + usual > 0) yield* Effect.sleep(made.late + usual)
      const requestId = `req_${hex(JSON.stringify([seed, key, place.arrival]))}`
      yield* perform(exchange, made.outcome, {
        ...gate.headers,
        "x-request-id": requestId,
        "openai-processing-ms": String(Math.round(made.late + usual)),
        "openai-version": "2020-10-01"
      })
      return yield* enter(made.sent)
    })

  const completions = (exchange: Exchange) =>
    Effect.gen(function*() {
      yield* enter(Ledger.count("requests"))
      const body = yield* readBody(exchange, defaults.bodyLimit)
      const keyless = keyRefusal(settings, exchange)
      if (keyless !== undefined) return yield* refuse("authentication", keyless)
      if (body === undefined) {
        return yield* refuse(
          "invalid",
          refusal(wireError(413, "Request body too large.", { code: "request_too_large" }))
        )
      }
      const read = readChatRequest(body)
      if (Either.isLeft(read)) return yield* refuse("invalid", refusal(read.left))
      const request = read.right
      if (!settings.models.includes(request.model)) {
        const words = `The model \`${request.model}\` does not exist or you do not have access to it.`
        return yield* refuse("model", refusal(wireError(404, words, { code: "model_not_found" })))
      }
      return yield* admitted(exchange, request)
    })

  const models = (exchange: Exchange): Outcome =>
    keyRefusal(settings, exchange) ?? json(200, {
      object: "list",
      data: settings.models.map((id) => ({ id, object: "model", created: 1_700_000_000, owned_by: "chaos" }))
    })

  const route = (exchange: Exchange): Effect.Effect<void | Outcome> => {
    const path = exchange.request.url?.split("?")[0]
    const { method } = exchange.request
    if (method === "POST" && path === "/v1/chat/completions") return completions(exchange)
    return Effect.succeed(method === "GET" && path === "/v1/models" ? models(exchange) : unknownUrl(exchange))
  }

  /** Either the exchange is answered, or its client goes away first. */
  return (exchange: Exchange): Effect.Effect<void> =>
    Effect.zipRight(enter(Ledger.count("inFlight")), route(exchange)).pipe(
      Effect.flatMap((outcome) => outcome === undefined ? Effect.void : perform(exchange, outcome, {})),
      Effect.raceFirst(Effect.zipRight(clientGone(exchange), enter(Ledger.count("aborted")))),
      Effect.ensuring(enter(Ledger.count("inFlight", -1)))
    )
}

/**
 * Starts a server; it stops with the scope, and cuts whatever still hangs then. Fails with `InvalidOptions` listing every
 * wrong option, a taken port included.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Effect.Effect<Service, InvalidOptions, Scope.Scope> =>
  Effect.gen(function*() {
    const settings = yield* settle(options)
    const state = yield* Ref.make<State>({ ledger: Ledger.empty, levels: full, meant: HashMap.empty() })
    const fibers = yield* FiberSet.make<void>()
    const fork = yield* FiberSet.runtime(fibers)<never>()
    const handle = serve(settings, state)
    const { port } = yield* Effect.mapError(
      listen({
        port: settings.port,
        onExchange: (exchange) => fork(handle(exchange)),
        onConnection: () =>
          fork(Ref.update(state, (kept) => ({ ...kept, ledger: Ledger.count("sockets")(kept.ledger) })))
      }),
      (code) =>
        new InvalidOptions({
          module: "ChaosServer",
          issues: [{ path: "port", found: `${settings.port} (${code})`, allowed: "a free port; 0 takes any" }]
        })
    )
    // Runs before the sockets are cut, so that our own shutdown is not entered as clients that left.
    yield* Effect.addFinalizer(() => FiberSet.clear(fibers))
    const books = Effect.map(Ref.get(state), ({ ledger }) => Ledger.publish(ledger))
    return {
      baseUrl: `http://127.0.0.1:${port}/v1`,
      port,
      apiKey: settings.apiKeys[0] ?? defaults.apiKey,
      model: settings.models[0] ?? defaults.model,
      plan: settings.plan,
      books,
      meant: (keyOrText) =>
        Effect.map(Ref.get(state), ({ meant }) =>
          Option.orElse(
            HashMap.get(meant, keyOrText),
            () => HashMap.get(meant, settings.requestKey(keyOrText))
          )),
      leastCalls: Effect.map(books, ({ arrivals }) => Fault.leastCalls(settings.plan, Object.keys(arrivals)))
    }
  })

/**
 * The server as a layer.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options = {}): Layer.Layer<ChaosServer, InvalidOptions> =>
  Layer.scoped(ChaosServer, make(options))
