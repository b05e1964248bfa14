/**
 * An LLM provider that misbehaves on purpose: a real HTTP server on 127.0.0.1 that speaks OpenAI chat completions and
 * responses, Anthropic messages and Gemini, streaming included. It makes plausible tool calls from the tools' JSON
 * Schemas, and JSON where structured output is asked for, enforces limits with the real headers, meets each arrival with
 * the fate that a fault plan foretells, and keeps books of all it did. Use it in integration tests and demonstrations; it
 * runs on the clock it was made under, so not under TestClock.
 *
 * The Responses API has background responses, too: made at the server's pace whoever reads them, kept for some minutes, gone on
 * with behind a numbered event, polled and cancelled (see `BackgroundFault`). The batch services of OpenAI, Anthropic and
 * Gemini are there with their files: jobs move by the clock, their lines are calls of the same model under the same plan, and
 * the jobs have faults of their own (see `BatchFault`).
 *
 * @example
 * import * as Effect from "effect/Effect"
 * import * as ChaosServer from "effect-llm-resilience/chaos/ChaosServer"
 * import * as Fault from "effect-llm-resilience/chaos/Fault"
 *
 * export const program = Effect.gen(function*() {
 *   const server = yield* ChaosServer.make({
 *     plan: Fault.storm({ seed: 1, toolCalls: { probability: 0.2 }, hangs: 0.02 }),
 *     limits: { requestsPerMinute: 500 }
 *   })
 *   // point any OpenAI client at server.baseUrl with server.apiKey, or another at its server.baseUrls, then reconcile:
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
import * as HashSet from "effect/HashSet"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Ref from "effect/Ref"
import type * as Scope from "effect/Scope"
import { found, InvalidOptions, type Issue } from "../error/InvalidOptions.ts"
import * as Ledger from "./chaosServer/books.ts"
import { listen } from "./chaosServer/http.ts"
import type { MeantCall as Meant } from "./chaosServer/model.ts"
import { initial, serve, type Settings, settled } from "./chaosServer/serving.ts"
import * as Fault from "./Fault.ts"

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
  /** One of each vendor; every model can be asked in every protocol. */
  models: ["gpt-4o-mini", "claude-sonnet-4-5", "gemini-2.5-flash"],
  callsPerReply: 1,
  /** Largest request body, in bytes. */
  bodyLimit: 10_000_000,
  background: { kept: "10 minutes", streamable: "5 minutes", retention: "allowed" },
  batches: {
    validating: "50 millis",
    running: "200 millis",
    finalizing: "50 millis",
    cancelling: "50 millis",
    expiry: "24 hours"
  },
  idempotency: "ignored"
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
  /** Models that exist, in every protocol. At least one. Default: `defaults.models`. */
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
  /** The pause between two pieces of content in a stream. Default: zero. */
  readonly tokenDelay?: Duration.DurationInput | undefined
  /** Tool calls in a reply where the request allows several. 1 to 16. Default: 1. */
  readonly callsPerReply?: number | undefined
  /** The request's key from its first user text, whichever protocol it came by. Default: `Fault.requestKey`. */
  readonly requestKey?: ((firstUserText: string) => string) | undefined
  /** The port; 0 takes any free one. Default: 0. */
  readonly port?: number | undefined
  /** How responses in the background are kept, which the Responses API has (`background: true`). */
  readonly background?: Background | undefined
  /** How jobs of the vendors' batch services move, and what they may hold. */
  readonly batches?: Batches | undefined
  /**
   * What an `idempotency-key` does that is asked again, after a reply that was sent right: it makes another call
   * (`"ignored"`), or gets the kept answer, which is no call and stands in the books as a replay (`"kept"`). The key of a call
   * that is still running makes another call. Batch services never know such keys. Default: `"ignored"`.
   */
  readonly idempotency?: "ignored" | "kept" | undefined
}

/**
 * How jobs of the batch services move: by the server's clock, whoever asks. Each duration is zero or more.
 *
 * @since 0.1.0
 * @category models
 */
export interface Batches {
  /** How long the input of a job is looked at. Default: 50 millis. */
  readonly validating?: Duration.DurationInput | undefined
  /** From the begin of a job's first line to the end of its last; the lines are answered evenly within it. Default: 200 millis. */
  readonly running?: Duration.DurationInput | undefined
  /** How long the results of a job are gathered. Default: 50 millis. */
  readonly finalizing?: Duration.DurationInput | undefined
  /** How long a job goes on after its cancellation was asked for; no further line is run. Default: 50 millis. */
  readonly cancelling?: Duration.DurationInput | undefined
  /** From a job's creation until its time has run out. Default: 24 hours. */
  readonly expiry?: Duration.DurationInput | undefined
  /** The most requests of a job, 1 or more. Default: what the vendor documents. */
  readonly requests?: number | undefined
  /** The most bytes of an uploaded file, or of a job with its requests, 1 or more. Default: what the vendor documents. */
  readonly bytes?: number | undefined
}

/**
 * How responses in the background are kept. Durations count from the creation of the response, on the server's clock.
 *
 * @since 0.1.0
 * @category models
 */
export interface Background {
  /** How long a response is there at all. Default: 10 minutes. */
  readonly kept?: Duration.DurationInput | undefined
  /** How long its stream can be gone on with; later it can only be polled. Default: 5 minutes. */
  readonly streamable?: Duration.DurationInput | undefined
  /** `"refused"` is an account with zero data retention. Default: `"allowed"`. */
  readonly retention?: "allowed" | "refused" | undefined
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
  /** What the clients of each protocol take for their base URL. */
  readonly baseUrls: {
    readonly openAiChat: string
    readonly openAiResponses: string
    readonly anthropic: string
    readonly gemini: string
  }
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
  /** The least calls a client needs for the requests that have arrived; see `Fault.leastCalls`. */
  readonly leastCalls: Effect.Effect<ReturnType<typeof Fault.leastCalls>>
}

/**
 * The running server as a service.
 *
 * @since 0.1.0
 * @category tags
 */
export class ChaosServer extends Context.Tag("effect-llm-resilience/ChaosServer")<ChaosServer, Service>() {}

const millisOf = (path: string, input: Duration.DurationInput): Either.Either<number, Issue> =>
  Option.match(Option.filter(Duration.decodeUnknown(input), Duration.isFinite), {
    onNone: () => Either.left({ path, found: found(input), allowed: "a finite duration of zero or more" }),
    onSome: (duration) => Either.right(Duration.toMillis(duration))
  })

const batchTimes = (
  given: Batches,
  keep: (checked: Either.Either<number, Issue>, otherwise: number) => number
): Settings["batches"]["times"] => {
  const millis = (name: keyof typeof defaults.batches) =>
    keep(millisOf(`batches.${name}`, given[name] ?? defaults.batches[name]), 0)
  return {
    validating: millis("validating"),
    running: millis("running"),
    finalizing: millis("finalizing"),
    cancelling: millis("cancelling"),
    expiry: millis("expiry")
  }
}

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
  const models = options.models ?? defaults.models
  if (models.length === 0) wrong("models", models, "at least one model")
  const given = options.latency ?? 0
  const range = typeof given === "object" && "least" in given ? given : undefined
  const single = typeof given === "object" && "least" in given ? 0 : given
  const least = keep(millisOf(range === undefined ? "latency" : "latency.least", range?.least ?? single), 0)
  const most = range === undefined ? least : keep(millisOf("latency.most", range.most), least)
  if (most < least) wrong("latency.most", `${most} millis`, `at least latency.least (${least} millis)`)
  const tokenDelay = keep(millisOf("tokenDelay", options.tokenDelay ?? 0), 0)
  const background = { ...defaults.background, ...options.background }
  const keptMillis = keep(millisOf("background.kept", background.kept ?? defaults.background.kept), 0)
  const streamableMillis = keep(
    millisOf("background.streamable", background.streamable ?? defaults.background.streamable),
    0
  )
  const retention = background.retention ?? defaults.background.retention
  if (retention !== "allowed" && retention !== "refused") {
    wrong("background.retention", retention, "\"allowed\" or \"refused\"")
  }
  const times = batchTimes(options.batches ?? {}, keep)
  for (const name of ["requests", "bytes"] as const) {
    const limit = options.batches?.[name]
    if (limit !== undefined && !(Number.isInteger(limit) && limit > 0)) {
      wrong(`batches.${name}`, limit, "a whole number of 1 or more")
    }
  }
  const idempotency = options.idempotency ?? defaults.idempotency
  if (idempotency !== "ignored" && idempotency !== "kept") {
    wrong("idempotency", idempotency, "\"ignored\" or \"kept\"")
  }
  if (issues.length > 0 || Either.isLeft(plan)) {
    return Either.left(new InvalidOptions({ module: "ChaosServer", issues }))
  }
  return Either.right({
    plan: plan.right,
    apiKeys,
    models,
    limits: { requestsPerMinute: limits.requestsPerMinute, tokensPerMinute: limits.tokensPerMinute },
    latency: { least, most },
    tokenDelay,
    callsPerReply,
    requestKey: options.requestKey ?? Fault.requestKey,
    port,
    bodyLimit: defaults.bodyLimit,
    background: { keptMillis, streamableMillis, isRefused: retention === "refused" },
    batches: { times, requests: options.batches?.requests, bytes: options.batches?.bytes },
    idempotency
  })
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
    const state = yield* Ref.make(initial)
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
    const origin = `http://127.0.0.1:${port}`
    const books = Effect.flatMap(Clock.currentTimeMillis, (now) =>
      Ref.modify(state, (before) => {
        const after = settled(settings, now)(before)
        return [Ledger.publish(after.ledger), after]
      }))
    return {
      baseUrl: `${origin}/v1`,
      baseUrls: {
        openAiChat: `${origin}/v1`,
        openAiResponses: `${origin}/v1`,
        anthropic: origin,
        gemini: `${origin}/v1beta`
      },
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
      leastCalls: Effect.map(
        Ref.get(state),
        ({ ledger, streamed }) =>
          Fault.leastCalls(settings.plan, HashMap.keys(ledger.arrivals), {
            streams: (key) => HashSet.has(streamed, key)
          })
      )
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
