/** The two clients that meet the same storm: one plain attempt a request, and ours. */
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as HttpClient from "@effect/platform/HttpClient"
import type * as ChaosServer from "effect-llm-resilience/chaos/ChaosServer"
import * as LanguageModel from "effect-llm-resilience/model/LanguageModel"
import type * as Pipeline from "effect-llm-resilience/policy/Pipeline"
import * as Retry from "effect-llm-resilience/policy/Retry"
import * as OpenAiChat from "effect-llm-resilience/provider/OpenAiChat"
import * as ResilientModel from "effect-llm-resilience/resilience/ResilientModel"
import * as ToolLoop from "effect-llm-resilience/resilience/ToolLoop"
import * as Event from "effect-llm-resilience/telemetry/Event"
import * as Monitor from "effect-llm-resilience/telemetry/Monitor"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Ref from "effect/Ref"
import { isDeepStrictEqual } from "node:util"
import { counted, type Seen } from "./books.ts"
import { type StormRequest, toolkit } from "./tools.ts"

/** The policy file, read and checked. */
export interface Policy {
  readonly pipeline: Pipeline.Pipeline
  readonly maxReasks: number
  /** Asks afresh when a conversation with re-asks ended without a good call; no handler has run by then. */
  readonly startOver: Retry.Retry
}

/** What came of one request. */
export interface Result {
  readonly request: StormRequest
  /** `right`: the handler ran once, with the arguments that the server meant. */
  readonly verdict: "right" | "wrong" | "failed"
  readonly failure?: string | undefined
  readonly millis: number
  /** Replies with bad calls that were refused on the way. */
  readonly refused: number
  /** What was mended in the call that was taken, by the names of the repairs. */
  readonly repairs: ReadonlyArray<string>
  readonly events: ReadonlyArray<Event.Event>
  readonly startedAt: number
}

/** A provider that points at the storm. */
const provider = (server: ChaosServer.Service) =>
  OpenAiChat.layer({
    provider: "chaos",
    baseUrl: server.baseUrl,
    apiKey: Redacted.make(server.apiKey),
    model: server.model
  })

const countedHttp = (sent: Ref.Ref<number>) =>
  Layer.effect(
    HttpClient.HttpClient,
    Effect.map(HttpClient.HttpClient, HttpClient.tapRequest(() => Ref.update(sent, (count) => count + 1)))
  ).pipe(Layer.provide(FetchHttpClient.layer))

/** The provider with every call of it written down, and every request that it sends counted. */
export const countedProvider = (server: ChaosServer.Service, seen: Ref.Ref<Seen>, sent: Ref.Ref<number>) =>
  Layer.effect(
    LanguageModel.LanguageModel,
    Effect.map(LanguageModel.LanguageModel, (model) => counted(model, seen))
  ).pipe(Layer.provide(provider(server)), Layer.provide(countedHttp(sent)))

const isMeant = (server: ChaosServer.Service, request: StormRequest, tool: string, given: unknown) =>
  Effect.map(
    server.meant(request.prompt),
    (meant) =>
      Option.exists(meant, (calls) =>
        calls.length === 1 && calls[0]?.name === tool && isDeepStrictEqual(calls[0].arguments, given))
  )

const measured = <R>(
  request: StormRequest,
  work: Effect.Effect<Pick<Result, "verdict" | "failure"> & Partial<Pick<Result, "repairs">>, never, R>
): Effect.Effect<Result, never, R> =>
  Effect.gen(function*() {
    const recorder = yield* Monitor.recorder
    const startedAt = yield* Clock.currentTimeMillis
    const outcome = yield* work.pipe(Effect.provide(Monitor.layer(recorder.monitor)))
    const now = yield* Clock.currentTimeMillis
    const events = yield* recorder.events
    const refused = events.filter(Event.is("ToolCallsRejected")).length
    return { repairs: [], ...outcome, request, startedAt, millis: now - startedAt, refused, events }
  })

/** One attempt and `JSON.parse`, as a first version of any program does it; only the hang is bounded, to get an end. */
export const plain = (server: ChaosServer.Service, request: StormRequest) =>
  measured(
    request,
    Effect.gen(function*() {
      const tools = yield* Effect.orDie(toolkit)
      const response = yield* LanguageModel.generate({
        prompt: request.prompt,
        tools,
        toolChoice: { tool: request.tool }
      }).pipe(Effect.disconnect, Effect.timeout("2 seconds"))
      const [call] = response.toolCalls
      if (call === undefined) return { verdict: "failed", failure: "no tool call" } as const
      const given: unknown = yield* Effect.try(() => JSON.parse(call.arguments))
      const right = yield* isMeant(server, request, call.name, given)
      return { verdict: right ? "right" : "wrong" } as const
    }).pipe(
      Effect.catchAll((error) => Effect.succeed({ verdict: "failed", failure: Event.errorTag(error) } as const))
    )
  )

/** Retries, time-outs and re-asks as the policy file declares them; the handler's runs are counted. */
export const ours = (server: ChaosServer.Service, request: StormRequest, policy: Policy) =>
  measured(
    request,
    Effect.gen(function*() {
      const tools = yield* Effect.orDie(toolkit)
      const runs = yield* Ref.make<ReadonlyArray<boolean>>([])
      const run = (tool: string) => (given: unknown) =>
        isMeant(server, request, tool, given).pipe(
          Effect.tap((right) => Ref.update(runs, (all) => [...all, right])),
          Effect.as("done")
        )
      const outcome = yield* ToolLoop.call({
        prompt: request.prompt,
        toolkit: tools,
        toolChoice: { tool: request.tool },
        maxReasks: policy.maxReasks,
        handlers: {
          book_flight: run("book_flight"),
          send_invoice: run("send_invoice"),
          search_orders: run("search_orders")
        }
      }).pipe(
        Retry.apply(policy.startOver),
        Effect.either
      )
      const all = yield* Ref.get(runs)
      return Either.match(outcome, {
        onLeft: (error) => ({ verdict: "failed", failure: Event.errorTag(error) } as const),
        onRight: ({ calls }) => ({
          verdict: all.length === 1 && all[0] === true ? "right" as const : "wrong" as const,
          repairs: calls.flatMap((call) => call.repairs)
        })
      })
    })
  )

export const strengthened = (
  server: ChaosServer.Service,
  seen: Ref.Ref<Seen>,
  sent: Ref.Ref<number>,
  policy: Policy
) => ResilientModel.layer(policy.pipeline).pipe(Layer.provide(countedProvider(server, seen, sent)))
