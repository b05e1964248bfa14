/**
 * A provider from what only its vendor has: addresses, headers, variables and a protocol. Checking the options that all of
 * them have, reading the configuration and making the model and its layers is written here, once.
 */
import type * as HttpClient from "@effect/platform/HttpClient"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import { InvalidOptions, type Issue } from "../../error/InvalidOptions.ts"
import type * as ModelError from "../../error/ModelError.ts"
import type * as BatchService from "../../model/BatchService.ts"
import * as LanguageModel from "../../model/LanguageModel.ts"
import type { Dialects } from "../../model/Response.ts"
import type { Dialect } from "../../model/SchemaDialect.ts"
import * as batchExchange from "./batchExchange.ts"
import * as httpModel from "./httpModel.ts"
import * as checks from "./options.ts"

/** The options that every provider has. */
export interface Common {
  readonly model: string
  readonly apiKey?: Redacted.Redacted<string> | undefined
  readonly baseUrl?: string | undefined
  readonly headers?: checks.GivenHeaders | undefined
  readonly provider?: string | undefined
  readonly capabilities?: Partial<LanguageModel.Capabilities> | undefined
  readonly maxBodyBytes?: number | undefined
  readonly maxEventBytes?: number | undefined
  readonly maxToolCalls?: number | undefined
  readonly dialects?: checks.GivenDialects | undefined
}

/** What the configuration told, with the options where it was silent. */
export interface Configured {
  readonly apiKey: Redacted.Redacted<string> | undefined
  readonly baseUrl: string | undefined
  readonly model: string
}

/** What one vendor has of its own. */
export interface Vendor<O extends Common, S> {
  /** The module's name, for issues. */
  readonly module: string
  readonly defaults: {
    readonly baseUrl: string
    readonly provider: string
    readonly maxBodyBytes: number
    readonly maxEventBytes: number
  }
  /** A model's name, to show what one looks like. */
  readonly example: string
  /** The path that is added to the base URL, so that it is not given twice. */
  readonly added: string
  /** The dialects that the API knows, and which of them are used where the options are silent. */
  readonly dialects: {
    readonly known: ReadonlyArray<Dialect>
    readonly usual: (host: string | undefined) => Dialects
  }
  readonly keyRule: (host: string | undefined) => { readonly isNeeded: boolean; readonly remedy: string }
  /** Issues with options that others do not have. */
  readonly issues: (options: O) => ReadonlyArray<Issue>
  /** Names in lower case; the user's own come after them and win. */
  readonly headers: (options: O) => { readonly [name: string]: string }
  /** What the model can take, where an option says more of it. Left out, `options.capabilities`. */
  readonly capabilities?: (options: O) => Partial<LanguageModel.Capabilities> | undefined
  /** Of options without an issue. */
  readonly protocol: (options: O, baseUrl: string) => httpModel.Protocol<S>
  /** The vendor's batch service. */
  readonly batch: (options: O, baseUrl: string) => batchExchange.Wire
  readonly variableNames: { readonly apiKey: ReadonlyArray<string>; readonly baseUrl: string; readonly model: string }
  readonly variables: { readonly [option: string]: checks.Variable }
  readonly configured: (options: Partial<O>, configured: Configured) => O
}

/** What a provider's module exports, as far as all of them export the same. */
export interface Provider<O> {
  readonly make: (
    options: O
  ) => Effect.Effect<LanguageModel.Service<ModelError.ModelError>, InvalidOptions, HttpClient.HttpClient>
  readonly makeBatchService: (
    options: O
  ) => Effect.Effect<BatchService.Service, InvalidOptions, HttpClient.HttpClient>
  readonly makeBatchServiceConfig: (
    options?: Partial<O>
  ) => Effect.Effect<BatchService.Service, InvalidOptions, HttpClient.HttpClient>
  readonly layer: (options: O) => Layer.Layer<LanguageModel.LanguageModel, InvalidOptions, HttpClient.HttpClient>
  readonly makeConfig: (
    options?: Partial<O>
  ) => Effect.Effect<LanguageModel.Service<ModelError.ModelError>, InvalidOptions, HttpClient.HttpClient>
  readonly layerConfig: (
    options?: Partial<O>
  ) => Layer.Layer<LanguageModel.LanguageModel, InvalidOptions, HttpClient.HttpClient>
}

const issuesOf = <O extends Common, S>(options: O, vendor: Vendor<O, S>): ReadonlyArray<Issue> => {
  const baseUrl = options.baseUrl ?? vendor.defaults.baseUrl
  return [
    ...checks.modelIssues(options.model, vendor.example),
    ...checks.keyIssues(options.apiKey, vendor.keyRule(checks.hostOf(baseUrl))),
    ...checks.baseUrlIssues(baseUrl, { example: vendor.defaults.baseUrl, added: vendor.added }),
    ...checks.textIssues("provider", options.provider),
    ...checks.headerIssues(options.headers),
    ...checks.sizeIssues("maxBodyBytes", options.maxBodyBytes),
    ...checks.sizeIssues("maxEventBytes", options.maxEventBytes),
    ...checks.countIssues("maxToolCalls", options.maxToolCalls, "calls"),
    ...checks.dialectIssues(options.dialects, vendor.dialects.known),
    ...vendor.issues(options)
  ]
}

/** The options as settings and protocol, or every issue at once. */
const settle = <O extends Common, S>(
  options: O,
  vendor: Vendor<O, S>
): Either.Either<readonly [httpModel.Settings, httpModel.Protocol<S>], InvalidOptions> => {
  const issues = issuesOf(options, vendor)
  if (issues.length > 0) return Either.left(new InvalidOptions({ module: vendor.module, issues }))
  const { defaults } = vendor
  const usual = vendor.dialects.usual(checks.hostOf(options.baseUrl ?? defaults.baseUrl))
  return Either.right([
    {
      model: options.model,
      provider: options.provider ?? defaults.provider,
      headers: { ...vendor.headers(options), ...checks.openHeaders(options.headers) },
      secretHeaders: checks.secretNames(options.headers),
      maxBodyBytes: options.maxBodyBytes ?? defaults.maxBodyBytes,
      maxEventBytes: options.maxEventBytes ?? defaults.maxEventBytes,
      maxToolCalls: options.maxToolCalls ?? checks.defaults.maxToolCalls,
      capabilities: vendor.capabilities === undefined ? options.capabilities : vendor.capabilities(options),
      dialects: {
        tools: options.dialects?.tools ?? usual.tools,
        output: options.dialects?.output ?? usual.output
      }
    },
    vendor.protocol(options, options.baseUrl ?? defaults.baseUrl)
  ])
}

/** The provider of a vendor. */
export const provider = <O extends Common, S>(vendor: Vendor<O, S>): Provider<O> => {
  const make: Provider<O>["make"] = (options) =>
    Effect.flatMap(settle(options, vendor), ([settings, protocol]) => httpModel.make(settings, protocol))
  const makeBatchService: Provider<O>["makeBatchService"] = (options) =>
    Effect.flatMap(
      settle(options, vendor),
      ([settings, protocol]) =>
        batchExchange.make(settings, protocol, vendor.batch(options, options.baseUrl ?? vendor.defaults.baseUrl))
    )
  /** What is made from the configuration, with the options where that is silent. */
  const configuredBy =
    <A, R>(make: (options: O) => Effect.Effect<A, InvalidOptions, R>) =>
    (options: Partial<O> = {}): Effect.Effect<A, InvalidOptions, R> =>
      Effect.flatMap(
        checks.configured(vendor.module, vendor.variableNames),
        ({ apiKey, baseUrl, model }) =>
          make(vendor.configured(options, {
            apiKey: Option.getOrElse(apiKey, () => options.apiKey),
            baseUrl: Option.getOrElse(baseUrl, () => options.baseUrl),
            model: Option.getOrElse(model, () => options.model ?? "")
          })).pipe(Effect.mapError(checks.nameVariables(vendor.variables)))
      )
  const makeConfig = configuredBy(make)
  return {
    make,
    makeBatchService,
    makeBatchServiceConfig: configuredBy(makeBatchService),
    makeConfig,
    layer: (options) => Layer.effect(LanguageModel.LanguageModel, make(options)),
    layerConfig: (options) => Layer.effect(LanguageModel.LanguageModel, makeConfig(options))
  }
}
