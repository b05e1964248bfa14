/** Models as options give them, made ready: their layers built, their pipelines made and put round them. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { Issue } from "../../error/InvalidOptions.ts"
import { isRecord } from "../../internal/record.ts"
import * as LanguageModel from "../../model/LanguageModel.ts"
import * as Pipeline from "../../policy/Pipeline.ts"
import * as ResilientModel from "../ResilientModel.ts"

/** A model with a name of its own, and what stands round it. */
export interface Named {
  readonly name: string
  readonly model: LanguageModel.Service | Layer.Layer<LanguageModel.LanguageModel, unknown, unknown>
  readonly pipeline?: Pipeline.Pipeline | Pipeline.Options | undefined
}

/** What somebody gave as a model. */
export const isModel = (value: unknown): value is Named["model"] =>
  Layer.isLayer(value) || (isRecord(value) && typeof value["generate"] === "function")

/** Entries of the list `field` that have the name of an earlier one. */
export const namesDiffer = (field: string, entries: ReadonlyArray<unknown>) => {
  const firstOf = new Map<unknown, number>()
  return entries.flatMap((each, position) => {
    const name = isRecord(each) ? each["name"] : undefined
    const first = firstOf.get(name)
    if (name === undefined) return []
    if (first === undefined) firstOf.set(name, position)
    return first === undefined
      ? []
      : [{ path: [field, position, "name"], allowed: `a name of its own; ${field}.${first} has this one` }]
  })
}

/** The pipeline that stands at `path` of somebody's options, in code or in a file, or what is wrong with it. */
export const pipelineOf = (
  given: unknown,
  name: string,
  path: string,
  mode: "code" | "file" = "code"
): Effect.Effect<Either.Either<Pipeline.Pipeline | undefined, ReadonlyArray<Issue>>> =>
  mode === "code" && Pipeline.isPipeline(given)
    ? Effect.succeed(Either.right(given))
    : !isRecord(given)
    ? Effect.succeed(Either.right(undefined))
    : Effect.either(Effect.mapError(
      (mode === "code" ? Pipeline.make : Pipeline.decode)({ name, ...given }),
      (error) =>
        error.issues.map((issue) => ({ ...issue, path: `${path}${issue.path === "" ? "" : `.${issue.path}`}` }))
    ))

const isLayer = (model: Named["model"]): model is Layer.Layer<LanguageModel.LanguageModel, unknown, unknown> =>
  Layer.isLayer(model)

/** The model of a layer, which is built with what other layers of the memo map share with it. */
export const serviceOf = (
  model: Named["model"],
  memo: Layer.MemoMap
): Effect.Effect<LanguageModel.Service, unknown, unknown> =>
  isLayer(model)
    ? Effect.map(
      Effect.flatMap(Effect.scope, (scope) => Layer.buildWithMemoMap(model, memo, scope)),
      (context) => Context.get(context, LanguageModel.LanguageModel)
    )
    : Effect.succeed(model)

/** The model with its pipeline round it, where it has one. */
export const strengthened = (
  service: LanguageModel.Service,
  pipeline: Pipeline.Pipeline | undefined
): LanguageModel.Service => pipeline === undefined ? service : ResilientModel.strengthen(service, pipeline)

type KeysOf<T> = T extends unknown ? keyof T : never

/** An object with fields that `Known` has, whichever of its members: a misspelt one is refused where it is written. */
export type NoOther<Given, Known> = { readonly [Field in Exclude<keyof Given, KeysOf<Known>>]: never }

/** Options of a pipeline without fields that nobody knows. */
export type Sections<P> = {
  readonly [Field in keyof P & keyof Pipeline.Options]?: P[Field] extends object
    ? NoOther<P[Field], NonNullable<Pipeline.Options[Field]>>
    : unknown
}

/** The same for whoever has a pipeline, given as a value or as options. */
export type KnownPipeline<S> = {
  readonly pipeline?: S extends { readonly pipeline: infer P } ? P extends Pipeline.Pipeline ? unknown
    : NoOther<P, Pipeline.Options> & Sections<P>
    : unknown
}

/** What a model's calls can fail with. */
export type CallError<M> = M extends LanguageModel.Service<infer E> ? E : LanguageModel.LanguageModelError

/** What making it can fail with for the sake of a layer, and what that layer needs. */
export type LayerError<M> = M extends Layer.Layer<never, infer E, infer _R> ? E : never
export type LayerNeeds<M> = M extends Layer.Layer<never, infer _E, infer R> ? R | Scope.Scope : never
