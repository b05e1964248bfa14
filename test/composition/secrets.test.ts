/**
 * Credentials are planted at every place where one can be given, a server repeats all of them at every place where it can
 * answer, and whatever an operator can see is searched for them.
 */
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import type * as Tracer from "effect/Tracer"
import { inspect } from "node:util"
import type { InvalidOptions } from "../../src/error/InvalidOptions.ts"
import type * as ModelError from "../../src/error/ModelError.ts"
import * as LanguageModel from "../../src/model/LanguageModel.ts"
import * as Tool from "../../src/model/Tool.ts"
import * as Toolkit from "../../src/model/Toolkit.ts"
import * as Anthropic from "../../src/provider/Anthropic.ts"
import * as Gemini from "../../src/provider/Gemini.ts"
import * as OpenAiChat from "../../src/provider/OpenAiChat.ts"
import * as OpenAiResponses from "../../src/provider/OpenAiResponses.ts"
import * as GenerateObject from "../../src/resilience/GenerateObject.ts"
import * as ResilientModel from "../../src/resilience/ResilientModel.ts"
import * as ToolLoop from "../../src/resilience/ToolLoop.ts"
import * as Event from "../../src/telemetry/Event.ts"
import * as Monitor from "../../src/telemetry/Monitor.ts"
import { runs } from "../runs.ts"
import { tracerTelling } from "../spans.ts"

const letters = "abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"

let state = 20_261_120

/** A number below `limit`, the same in every run. */
const next = (limit: number): number => {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
  return Math.floor((state / 2 ** 32) * limit)
}

/** A key without any known form, like no other in any of its parts. */
const secret = (): string => `q7${Array.from({ length: 39 }, () => letters[next(letters.length)]).join("")}`

const secretNames = [
  "api-key",
  "cf-aig-authorization",
  "proxy-authorization",
  "ocp-apim-subscription-key",
  "x-amz-security-token",
  "x-auth-token",
  "x-session-token",
  "x-client-secret",
  "x-portkey-api-key"
]

const apiKey = secret()
const headers: { readonly [name: string]: string | Redacted.Redacted<string> } = {
  ...Object.fromEntries(secretNames.map((name) => [name, secret()])),
  cookie: `session=${secret()}`,
  "x-mine": Redacted.make(secret()),
  "x-plain": secret()
}
const ofClient = secret()
const ofInit = secret()
const ofQuery = secret()
const ofOptions = { mcp_servers: [{ authorization_token: secret() }], settings: { password: secret() } }

const values = Object.values(headers).map((value) => Redacted.isRedacted(value) ? Redacted.value(value) : value)
const secrets: ReadonlyArray<string> = [
  apiKey,
  ...values.map((value) => value.replace("session=", "")),
  ofClient,
  ofInit,
  ofQuery,
  ...ofOptions.mcp_servers.map(({ authorization_token }) => authorization_token),
  ofOptions.settings.password
]

/** Shorter than this a part of a key is found in ordinary words. */
const telling = 8

const parts = new RegExp(
  secrets.flatMap((each) => [each.slice(0, telling), each.slice(-telling), each.slice(16, 16 + telling)]).join("|")
)

/** The places where something is left of a secret. */
const leaked = (texts: Iterable<string>): ReadonlyArray<string> =>
  [...new Set(texts)].flatMap((text) => {
    const at = text.search(parts)
    return at === -1 ? [] : [`…${text.slice(Math.max(0, at - 60), at + 60)}…`]
  })

interface Sent {
  readonly echo: string
}

type Answer = (sent: Sent) => globalThis.Response | Promise<globalThis.Response>

const json = (body: unknown, status: number, more: Record<string, string> = {}) =>
  new globalThis.Response(JSON.stringify(body), { status, headers: { "content-type": "application/json", ...more } })

const text = (body: string | null, status: number, type: string, more: Record<string, string> = {}) =>
  new globalThis.Response(body, { status, headers: { "content-type": type, ...more } })

/** An error of every field that a reader of errors looks into. */
const errorOf = (echo: string) => ({
  error: {
    message: `You sent ${echo}`,
    detail: echo,
    code: echo,
    type: echo,
    param: echo,
    request_id: echo,
    failed_generation: echo,
    status: "INVALID_ARGUMENT",
    details: [{ "@type": "type.googleapis.com/google.rpc.ErrorInfo", reason: echo, metadata: { quota_limit: echo } }],
    metadata: { raw: echo, reasons: [echo], flagged_input: echo }
  },
  message: echo
})

/** A header holds no line break. */
const inHeader = (echo: string): string => echo.replace(/[^\x20-\x7e]/g, " ")

const statuses = [400, 401, 429, 503, 402, 403, 404, 408, 409, 413, 422, 500, 502, 529].slice(0, runs(4, 14))

const answers: ReadonlyArray<readonly [name: string, answer: Answer]> = [
  ...statuses.map((status): readonly [string, Answer] => [
    `an error of status ${status}`,
    ({ echo }) =>
      json(errorOf(echo), status, {
        "x-request-id": inHeader(echo),
        "retry-after": inHeader(echo),
        "x-ratelimit-reset": inHeader(echo),
        "x-amzn-errortype": inHeader(echo)
      })
  ]),
  ["an HTML page", ({ echo }) => text(`<html><title>${echo}</title><body>${echo}</body></html>`, 500, "text/html")],
  ["an HTML page that is none", ({ echo }) => text(`<html><title>${echo}</title></html>`, 200, "text/html")],
  ["bare words", ({ echo }) => text(echo, 400, "text/plain")],
  [
    "a redirect",
    ({ echo }) => text(null, 302, "text/plain", { location: `https://x.example/${encodeURI(inHeader(echo))}` })
  ],
  [
    "no content",
    ({ echo }) => new globalThis.Response(null, { status: 204, headers: { "x-request-id": inHeader(echo) } })
  ],
  ["no JSON", ({ echo }) => text(`{"a": ${echo}`, 200, "application/json")],
  ["JSON of another kind", ({ echo }) => json({ object: echo, [echo]: echo }, 200)],
  ["an error inside of a success", ({ echo }) => json(errorOf(echo), 200)],
  [
    "an error event",
    ({ echo }) =>
      text(`event: error\ndata: ${JSON.stringify({ type: "error", ...errorOf(echo) })}\n\n`, 200, "text/event-stream")
  ],
  ["an event that is no JSON", ({ echo }) => text(`data: {"a": ${echo}\n\n`, 200, "text/event-stream")],
  [
    "a stream that is cut",
    ({ echo }) =>
      text(`data: ${JSON.stringify({ choices: [{ delta: { content: echo } }] })}\n\n`, 200, "text/event-stream")
  ],
  [
    "an error of the transport",
    ({ echo }) =>
      Promise.reject(Object.assign(new TypeError(`fetch failed: ${echo}`), { cause: new Error(echo), request: echo }))
  ],
  ["an error of the transport that is a text", ({ echo }) => Promise.reject(echo)],
  ["a body that breaks", ({ echo }) =>
    new globalThis.Response(
      new ReadableStream({
        pull: (controller) => controller.error(new Error(echo))
      }),
      { headers: { "content-type": "application/json" } }
    )],
  ["bad calls of tools", ({ echo }) =>
    json({
      id: "c1",
      choices: [{
        finish_reason: "tool_calls",
        message: {
          tool_calls: [
            { id: "a", type: "function", function: { name: "other", arguments: echo } },
            {
              id: "b",
              type: "function",
              function: { name: "find", arguments: JSON.stringify({ [echo]: echo, at: echo }) }
            }
          ]
        }
      }]
    }, 200)],
  [
    "an answer that is no data",
    ({ echo }) =>
      json({ id: "c1", choices: [{ finish_reason: "stop", message: { content: `{"at": "${echo}"` } }] }, 200)
  ]
]

/** Each secret in the spellings in which a server repeats it, and everything that came with the request. */
const echoOf = (url: string, init: RequestInit | undefined): string => {
  const sent = Object.entries(Object.fromEntries(new Headers(init?.headers)))
  const body = init?.body instanceof Uint8Array ? new TextDecoder().decode(init.body) : ""
  return [
    ...sent.map(([, value]) => value),
    url,
    JSON.stringify(Object.fromEntries(sent)),
    body,
    encodeURIComponent(sent.map(([, value]) => value).join(" "))
  ].join(" ")
}

type Model = LanguageModel.Service<ModelError.ModelError>

const providers: ReadonlyArray<
  readonly [
    name: string,
    make: (options: {
      readonly apiKey: Redacted.Redacted<string>
      readonly model: string
      readonly baseUrl: string
      readonly headers: typeof headers
    }) => Effect.Effect<Model, InvalidOptions, HttpClient.HttpClient>
  ]
> = [
  ["OpenAiChat", OpenAiChat.make],
  ["OpenAiResponses", OpenAiResponses.make],
  ["Anthropic", Anthropic.make],
  ["Gemini", Gemini.make]
]

const Find = Tool.make("find", { description: "Finds", parameters: Schema.Struct({ city: Schema.String }) })
const request = { prompt: "Hi", providerOptions: ofOptions }

const ways: ReadonlyArray<
  readonly [name: string, ask: Effect.Effect<unknown, unknown, LanguageModel.LanguageModel>]
> = [
  ["generate", LanguageModel.generate(request)],
  ["stream", Stream.runDrain(LanguageModel.stream(request))],
  [
    "ToolLoop",
    Effect.flatMap(
      Toolkit.make(Find),
      (toolkit) => ToolLoop.call({ ...request, toolkit, handlers: { find: () => Effect.succeed("found") } })
    )
  ],
  [
    "GenerateObject",
    GenerateObject.call({ ...request, output: { name: "place", schema: Schema.Struct({ at: Schema.Int }) } })
  ]
]

/** What an exporter of spans could print. */
const spanTracer = (seen: Array<string>): Tracer.Tracer =>
  tracerTelling({
    name: (name) => void seen.push(name),
    attribute: (key, value) => void seen.push(key, ...everything(value)),
    end: (exit) => {
      seen.push(...everything(exit))
      if (Exit.isFailure(exit)) seen.push(...shownCause(exit.cause))
    },
    event: (event, attributes) => void seen.push(event, ...everything(attributes))
  })

const everything = (value: unknown): ReadonlyArray<string> => [
  String(value),
  inspect(value, { depth: 20, showHidden: true, maxArrayLength: null, maxStringLength: null }),
  JSON.stringify(value) ?? "",
  ...(value instanceof Error ? [value.message, String(value.stack)] : [])
]

const shownCause = (cause: Cause.Cause<unknown>): ReadonlyArray<string> => [
  Cause.pretty(cause),
  Cause.pretty(cause, { renderErrorCause: true }),
  ...everything(cause),
  ...[...Cause.failures(cause), ...Cause.defects(cause)].flatMap(everything)
]

/** Runs it, and gives whatever an operator can see of it. */
const seenOf = (
  make: (typeof providers)[number][1],
  ask: (typeof ways)[number][1],
  answer: Answer
) =>
  Effect.gen(function*() {
    const seen: Array<string> = []
    const fetch: typeof globalThis.fetch = (url, init) =>
      Promise.resolve().then(() => answer({ echo: echoOf(String(url), init) }))
    const client = Layer.effect(
      HttpClient.HttpClient,
      Effect.map(
        HttpClient.HttpClient,
        HttpClient.mapRequest(HttpClientRequest.setHeader("x-client-token", ofClient))
      )
    ).pipe(
      Layer.provide(FetchHttpClient.layer),
      Layer.provideMerge(Layer.succeed(FetchHttpClient.Fetch, fetch)),
      Layer.provideMerge(Layer.succeed(FetchHttpClient.RequestInit, { headers: { "x-init-token": ofInit } }))
    )
    const model = Layer.effect(
      LanguageModel.LanguageModel,
      make({ apiKey: Redacted.make(apiKey), model: "m", baseUrl: `https://x.example/v1?ticket=${ofQuery}`, headers })
    )
    const strong = ResilientModel.layer({ retry: { backoff: "exponential", initial: "1 millis", attempts: 2 } }).pipe(
      Layer.provide(model)
    )
    const { events, monitor } = yield* Monitor.recorder
    const loggers = [Logger.stringLogger, Logger.logfmtLogger, Logger.jsonLogger].map((logger) =>
      Logger.map(logger, (line) => void seen.push(line))
    )
    const logging = Layer.mergeAll(
      Logger.minimumLogLevel(LogLevel.All),
      ...loggers.map((logger) => Logger.add(logger))
    )
    const run = Effect.exit(Effect.withSpan(Effect.asVoid(ask), "outer")).pipe(
      Effect.tap((exit) => Exit.isFailure(exit) ? Effect.logFatal("failed", exit.cause) : Effect.void),
      Effect.provide(Layer.mergeAll(strong.pipe(Layer.provide(client)), Monitor.layer(monitor), logging)),
      Effect.withTracer(spanTracer(seen))
    )
    const fiber = yield* Effect.fork(run)
    while (fiber.unsafePoll() === null) {
      yield* TestClock.adjust("1 minute")
      yield* Effect.promise(() => new Promise((resume) => setTimeout(resume, 0)))
    }
    const exit = yield* fiber
    if (Exit.isFailure(exit)) seen.push(...shownCause(exit.cause))
    for (const event of yield* events) seen.push(Event.describe(event), ...everything(event))
    return { seen, exit }
  })

describe("credentials are nowhere to be seen", () => {
  for (const [provider, make] of providers) {
    for (const [way, ask] of ways.slice(0, provider === "OpenAiChat" ? 4 : runs(2, 4))) {
      it.effect(`${provider}, ${way}, whatever the server answers`, () =>
        Effect.gen(function*() {
          for (const [name, answer] of answers) {
            const { exit, seen } = yield* seenOf(make, ask, answer)
            expect([name, leaked(seen)]).toEqual([name, []])
            if (name.startsWith("an error")) expect(Exit.isFailure(exit)).toBe(true)
            expect(seen).toContain("http.client POST")
          }
        }), 60_000)
    }
  }
})

/** Where texts are clipped in this library. */
const clips = runs([300, 500, 2_000, 4_096], [80, 100, 120, 160, 300, 500, 1_000, 2_000, 4_096, 8_192])

describe("a credential that a clip cuts", () => {
  for (
    const [name, body] of [
      ["words", (echo: string) => text(echo, 400, "text/plain")],
      ["a page", (echo: string) => text(`<html><title>${echo}</title></html>`, 500, "text/html")],
      ["an error", (echo: string) => json({ error: { message: echo, param: echo, request_id: echo } }, 400)],
      ["no JSON", (echo: string) => text(`{"a":"${echo}`, 200, "application/json")]
    ] as const
  ) {
    it.effect(`leaves nothing of itself, at every offset: ${name}`, () =>
      Effect.gen(function*() {
        let answer = ""
        const client = HttpClient.make((request) =>
          Effect.sync(() => HttpClientResponse.fromWeb(request, body(answer)))
        )
        const model = yield* OpenAiChat.make({ apiKey: Redacted.make(apiKey), model: "m" }).pipe(
          Effect.provideService(HttpClient.HttpClient, client)
        )
        for (const clip of clips) {
          for (let cut = -10; cut <= apiKey.length + 8; cut += runs(5, 1)) {
            const padding = "x ".repeat(clip).slice(0, Math.max(0, clip - cut))
            answer = `${padding}${apiKey} and more`.padEnd(clip + 100, " y")
            const error = yield* Effect.flip(model.generate({ prompt: "Hi" }))
            expect([clip, cut, leaked([error.message, JSON.stringify(error)])]).toEqual([clip, cut, []])
          }
        }
      }), 120_000)
  }
})

describe("a defect of the client", () => {
  it.effect("shows nothing of the request", () =>
    Effect.gen(function*() {
      const client = HttpClient.make((request) =>
        Effect.die(Object.assign(new Error(`broken with ${apiKey}`), { request, headers: { ...request.headers } }))
      )
      const model = yield* OpenAiChat.make({ apiKey: Redacted.make(apiKey), model: "m", headers }).pipe(
        Effect.provideService(HttpClient.HttpClient, client)
      )
      const seen: Array<string> = []
      const exit = yield* Effect.exit(model.generate({ prompt: "Hi" })).pipe(Effect.withTracer(spanTracer(seen)))
      expect(Exit.isFailure(exit) && Option.isSome(Cause.dieOption(exit.cause))).toBe(true)
      if (Exit.isFailure(exit)) seen.push(...shownCause(exit.cause))
      expect(seen.join()).toContain("broken with")
      expect(leaked(seen)).toEqual([])
    }))
})

describe("options that cannot work", () => {
  const make = (more: Partial<OpenAiChat.Options>) =>
    Effect.flip(OpenAiChat.make({ apiKey: Redacted.make(apiKey), model: "m", ...more })).pipe(
      Effect.provideService(HttpClient.HttpClient, HttpClient.make(() => Effect.die("nothing is sent")))
    )
  const cases: ReadonlyArray<readonly [string, Partial<OpenAiChat.Options>]> = [
    ["a header with a line break", { headers: { "x-plain": `${ofQuery}\nx` } }],
    ["a secret header with a line break", { headers: { "x-mine": Redacted.make(`${ofQuery}\nx`) } }],
    ["a header of the client", { headers: { host: ofQuery } }],
    ["a key with a line break", { apiKey: Redacted.make(`${apiKey}\n`) }],
    ["an address with a password", { baseUrl: `https://user:${ofQuery}@x.example/v1` }],
    ["an address with an odd password", { baseUrl: `https://user:${ofQuery}#${ofInit}?@x.example/v1` }],
    ["an address with a key", { baseUrl: `https://x.example/v1?key=${ofQuery}` }],
    ["an address with a signature", { baseUrl: `https://x.example/v1?sig=${ofQuery}` }],
    ["an address that is none", { baseUrl: `x.example/v1?access_token=${ofQuery}` }]
  ]
  for (const [name, more] of cases) {
    it.effect(`show no credential: ${name}`, () =>
      Effect.gen(function*() {
        const error = yield* make(more)
        expect(leaked(everything(error))).toEqual([])
        expect(leaked(shownCause(Cause.fail(error)))).toEqual([])
      }))
  }
})
