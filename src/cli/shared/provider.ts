/** Who answers, by the flags that every command has for it. Keys come from the vendor's own variables and are never printed. */
import * as Options from "@effect/cli/Options"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import type * as HttpClient from "@effect/platform/HttpClient"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as ChaosServer from "../../chaos/ChaosServer.ts"
import * as Fault from "../../chaos/Fault.ts"
import type { InvalidOptions } from "../../error/InvalidOptions.ts"
import type { ModelError } from "../../error/ModelError.ts"
import type * as BatchService from "../../model/BatchService.ts"
import type * as LanguageModel from "../../model/LanguageModel.ts"
import * as RetryPolicy from "../../policy/RetryPolicy.ts"
import * as Anthropic from "../../provider/Anthropic.ts"
import * as Gemini from "../../provider/Gemini.ts"
import * as OpenAiChat from "../../provider/OpenAiChat.ts"
import * as OpenAiResponses from "../../provider/OpenAiResponses.ts"
import { badInput, type Exit } from "./exits.ts"

export const names = ["chaos", "openai", "openai-responses", "anthropic", "gemini"] as const

export type Name = (typeof names)[number]

export const provider = Options.choice("provider", names).pipe(
  Options.withDescription(
    "Who answers. openai takes OPENAI_API_KEY, OPENAI_MODEL and OPENAI_BASE_URL (any server that speaks the same); " +
      "anthropic and gemini take their own. chaos is a server on this machine that fails now and then: no key, no network."
  )
)

export const model = Options.text("model").pipe(
  Options.withDescription("The model. Default: the one of the environment, such as OPENAI_MODEL."),
  Options.optional
)

/** A model to be called, and its vendor's batch service. */
export interface Provider {
  readonly model: LanguageModel.Service<ModelError>
  readonly service: BatchService.Service
  /** When its jobs are looked at. Default: as `VendorBatch` does, in seconds and minutes. */
  readonly poll?: RetryPolicy.RetryPolicy
}

/** The weather at the provider that is embedded. */
const weather = Fault.storm({
  seed: 7,
  serverErrors: { probability: 0.05 },
  rateLimited: { probability: 0.02, wait: "50 millis" }
})

const embedded: Effect.Effect<Provider, InvalidOptions, HttpClient.HttpClient | Scope.Scope> = Effect.gen(function*() {
  const server = yield* ChaosServer.make({ plan: weather, latency: "5 millis" })
  const options = { apiKey: Redacted.make(server.apiKey), baseUrl: server.baseUrl, model: server.model }
  return {
    model: yield* OpenAiChat.make(options),
    service: yield* OpenAiChat.makeBatchService(options),
    poll: RetryPolicy.constant("100 millis").pipe(RetryPolicy.within("5 minutes"))
  }
})

const vendors = {
  openai: { module: OpenAiChat, variable: "OPENAI_MODEL" },
  "openai-responses": { module: OpenAiResponses, variable: "OPENAI_MODEL" },
  anthropic: { module: Anthropic, variable: "ANTHROPIC_MODEL" },
  gemini: { module: Gemini, variable: "GEMINI_MODEL" }
} as const

/** The model that would be asked, where a flag or the environment says it, or the provider is the embedded one. */
export const modelName = (name: Name, given: Option.Option<string>): Effect.Effect<string | undefined> =>
  Option.isSome(given)
    ? Effect.succeed(given.value)
    : name === "chaos"
    ? Effect.succeed(ChaosServer.defaults.model)
    : Effect.orElseSucceed(Config.string(vendors[name].variable), () => undefined)

/** A flag outranks the variable of the environment. */
const outranking = (variable: string, model: Option.Option<string>) => <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Option.match(model, {
    onNone: () => effect,
    onSome: (name) =>
      Effect.configProviderWith((environment) =>
        Effect.withConfigProvider(
          effect,
          ConfigProvider.orElse(ConfigProvider.fromMap(new Map([[variable, name]])), () => environment)
        )
      )
  })

const ofVendor = (name: Exclude<Name, "chaos">, model: Option.Option<string>) => {
  const { module, variable } = vendors[name]
  return Effect.all({ model: module.makeConfig(), service: module.makeBatchServiceConfig() }).pipe(
    outranking(variable, model)
  )
}

/** The provider of the flags. What is missing in the environment is told with the variable to set. */
export const make = (name: Name, model: Option.Option<string>): Effect.Effect<Provider, Exit, Scope.Scope> =>
  (name === "chaos" ? embedded : ofVendor(name, model)).pipe(
    Effect.mapError((error) => badInput(error.message)),
    Effect.provide(FetchHttpClient.layer)
  )
