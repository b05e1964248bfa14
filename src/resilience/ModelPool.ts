/**
 * Several keys, regions or deployments of the same models as one: each call goes to the member that is ready for it. Every
 * member has a pipeline of its own, so a 429, an open circuit or a spent quota of one holds up none of the others. Where
 * `ModelPlan` is a first choice and what comes after it, a pool is members of equal rank.
 *
 * A member is ready while it does not rest and its rate limiter has room. It rests after a 429 for as long as that says,
 * after a refused key, a spent quota or an unknown model until that is over, and while its circuit is open; then it is
 * asked again, and its circuit breaker lets a probe through. A call that fails at one member goes to the next at once, to
 * each member once, and fails with the error of the one that is ready again soonest. A `Fail` verdict stops it, and what a
 * model cannot do (a context that is too long) is not asked of the same model under another key. Where all members rest,
 * the call waits for the first that is ready, `maxWait` at most; then it fails with `CircuitOpen` in the pool's name, which
 * says how long the rest lasts.
 *
 * The pool stands under the same tag as any model. Put a pipeline with the retries and the total time-out round it
 * (`ResilientModel`), and leave to the members what is theirs: limits, circuit breakers, attempt time-outs.
 *
 * @example
 * import * as Effect from "effect/Effect"
 * import * as ModelError from "effect-llm-resilience/error/ModelError"
 * import * as LanguageModel from "effect-llm-resilience/model/LanguageModel"
 * import * as ModelPool from "effect-llm-resilience/resilience/ModelPool"
 * import * as ScriptedModel from "effect-llm-resilience/testing/ScriptedModel"
 *
 * const first = ScriptedModel.layer([
 *   ScriptedModel.fail(new ModelError.RateLimited({ provider: "openai", scope: "requests" }))
 * ])
 * const second = ScriptedModel.layer([ScriptedModel.text("from the second key")])
 *
 * const Pool = ModelPool.layer({
 *   members: [
 *     { name: "first key", model: first, pipeline: { circuitBreaker: {}, rateLimiter: { requestsPerMinute: 500 } } },
 *     { name: "second key", model: second, pipeline: { circuitBreaker: {}, rateLimiter: { requestsPerMinute: 500 } } }
 *   ],
 *   affinity: "conversation"
 * })
 *
 * const program = LanguageModel.generate({ prompt: "Hello" }).pipe(Effect.provide(Pool))
 *
 * Effect.runPromise(program).then((response) => console.log(response.text)) // from the second key
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { InvalidOptions, issueOf } from "../error/InvalidOptions.ts"
import * as Verdict from "../error/Verdict.ts"
import { elapsedMillis } from "../internal/elapsed.ts"
import * as Form from "../internal/form.ts"
import { definedFields, isRecord } from "../internal/record.ts"
import * as LanguageModel from "../model/LanguageModel.ts"
import type { Response } from "../model/Response.ts"
import type { StreamPart } from "../model/StreamPart.ts"
import * as CircuitBreaker from "../policy/CircuitBreaker.ts"
import * as Pipeline from "../policy/Pipeline.ts"
import * as Dispatch from "./modelPool/dispatch.ts"
import * as Given from "./modelPool/options.ts"
import { keptReply, resumeOf } from "./shared/kept.ts"
import * as Opening from "./shared/opening.ts"
import * as Prepared from "./shared/prepared.ts"

/**
 * The mark of pools of models.
 *
 * @since 0.1.0
 * @category symbols
 */
export const TypeId: unique symbol = Symbol.for("effect-llm-resilience/ModelPool")

/**
 * One member of a pool.
 *
 * @since 0.1.0
 * @category models
 */
export interface Member {
  /** What it is called in events, errors and reports: different for every member. */
  readonly name: string
  /** A model, or a layer that provides one. A layer is built once, when the pool is made. */
  readonly model: LanguageModel.Service | Layer.Layer<LanguageModel.LanguageModel, unknown, unknown>
  /** Its share of the calls beside the others: above 0, at most 1 000 000. Default: 1. */
  readonly weight?: number | undefined
  /** What a call costs beside the others, 0 or more, in one unit for all members. Needed where the strategy is `"cheapest"`. */
  readonly price?: number | undefined
  /**
   * Its own pipeline, or the options of one: its limits, its circuit breaker, its attempt time-out. Default: a circuit
   * breaker with its defaults, so that a member that fails leaves the rotation and comes back by its probes.
   */
  readonly pipeline?: Pipeline.Pipeline | Pipeline.Options | undefined
}

/**
 * The members of a pool, and how one is chosen.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options<M extends Member = Member> {
  /** The pool's name, which it has as a model and in its events. Default: `"pool"`. */
  readonly name?: string | undefined
  /** One or more, of equal rank. */
  readonly members: ReadonlyArray<M>
  /**
   * How a member is chosen among those that are ready. `"least-busy"`: the fewest calls in flight for its weight.
   * `"weighted"`: calls in proportion to the weights, spread evenly. `"cheapest"`: the lowest price; as that one's limiter
   * fills, the next. Default: `"least-busy"`.
   */
  readonly strategy?: "least-busy" | "weighted" | "cheapest" | undefined
  /**
   * Sends what belongs together to the same member while that is ready, so that the provider finds the beginning of the
   * prompt in its cache. `"conversation"` tells conversations apart by their tools, system messages and first message; a
   * function gives a text of its own (a session, a user), or nothing where the strategy shall choose. Members take
   * conversations by weight, and no table is kept, so every process chooses alike. Default: `"none"`.
   */
  readonly affinity?: "none" | "conversation" | ((request: LanguageModel.Request) => string | undefined) | undefined
  /** How long a member rests after a 429 that says no time. Default: 5 seconds. */
  readonly throttledRest?: Duration.DurationInput | undefined
  /** How long one rests whose key, quota, region or model was refused without a time. Default: 5 minutes. */
  readonly refusedRest?: Duration.DurationInput | undefined
  /** The longest rest that a provider can ask for. Default: 24 hours, since quotas are of the day. */
  readonly longestRest?: Duration.DurationInput | undefined
  /** How long a call waits for a member that rests, where no other is ready: zero or more. Default: 1 minute. */
  readonly maxWait?: Duration.DurationInput | undefined
  /** Judges errors. Default: `Verdict.of`. */
  readonly verdict?: ((error: unknown) => Verdict.Verdict) | undefined
}

/**
 * What is used where the options are silent.
 *
 * @since 0.1.0
 * @category defaults
 */
export const defaults = Given.defaults

/**
 * A reply, the member that gave it, and which members failed the call before.
 *
 * @since 0.1.0
 * @category models
 */
export interface Report {
  readonly value: Response
  readonly member: string
  readonly failed: ReadonlyArray<{ readonly member: string; readonly error: LanguageModel.LanguageModelError }>
}

/**
 * How a member stands.
 *
 * @since 0.1.0
 * @category models
 */
export interface Standing {
  readonly name: string
  readonly inFlight: number
  /** How much of its rest is left; zero for one that does not rest. */
  readonly restsFor: Duration.Duration
  /** What its circuit breaker does; absent where it has none. */
  readonly circuit?: CircuitBreaker.State | undefined
  /** The `_tag` of what it failed with last; absent where it never did. */
  readonly lastError?: string | undefined
}

/**
 * A pool: a language model made of several of equal rank. `E` is what its calls can fail with.
 *
 * @since 0.1.0
 * @category models
 */
export interface ModelPool<out E = LanguageModel.LanguageModelError> extends LanguageModel.Service<E> {
  readonly [TypeId]: typeof TypeId
  readonly strategy: "least-busy" | "weighted" | "cheapest"
  readonly affinity: NonNullable<Options["affinity"]>
  readonly members: ReadonlyArray<
    { readonly name: string; readonly weight: number; readonly price?: number | undefined }
  >
  /** Like `generate`, but the reply comes with the name of the member that gave it and what failed before. */
  readonly generateWithReport: (request: LanguageModel.Request) => Effect.Effect<Report, E>
  /** How every member stands now, in the order of the options. */
  readonly standings: Effect.Effect<ReadonlyArray<Standing>>
}

/**
 * The tag of a pool, for its reports.
 *
 * @since 0.1.0
 * @category tags
 */
export const ModelPool: Context.Tag<ModelPool, ModelPool> = Context.GenericTag<ModelPool>(
  "effect-llm-resilience/ModelPool"
)

/**
 * What calls of the pool can fail with: the errors of its members, and what their pipelines and the pool refuse.
 *
 * @since 0.1.0
 * @category errors
 */
export type MemberError<M extends Member> = M extends Member ? Prepared.CallError<M["model"]> | Pipeline.AnyRefusal
  : never

/** Members without fields that nobody knows, also in the options of their pipelines. */
type Known<M extends Member> = M extends Member ? M & Prepared.NoOther<M, Member> & Prepared.KnownPipeline<M> : never

type BuildError<M extends Member> = Prepared.LayerError<M["model"]>
type BuildNeeds<M extends Member> = Prepared.LayerNeeds<M["model"]>

/** Left out, a pipeline is a circuit breaker. */
const pipelineOptions = (given: unknown): unknown => given === undefined ? { circuitBreaker: {} } : given

/** Where the options come from, and with them the models. */
type Source = { readonly mode: "code" } | {
  readonly mode: "file"
  readonly models: { readonly [member: string]: Member["model"] }
}

/** The options, whichever way they came, with the issues of all fields but those of the pipelines. */
const readOptions = (given: unknown, source: Source) => {
  if (source.mode === "code") return Form.read(Given.form, given, "code")
  return Either.flatMap(Form.read(Given.fileForm, given, "file"), (read) => {
    const { models } = source
    const modelOf = (name: string) => Object.hasOwn(models, name) ? models[name] : undefined
    const members = read.members.flatMap((member) => {
      const model = modelOf(member.name)
      return model === undefined ? [] : [{ ...member, model }]
    })
    return members.length === read.members.length
      ? Either.right({ ...read, verdict: undefined, members })
      : Either.left(read.members.flatMap(({ name }, at) =>
        modelOf(name) === undefined
          ? [{
            path: `members.${at}.name`,
            found: name,
            allowed: `the name of a model that is given beside the file: ${
              Object.keys(models).join(", ") || "there is none"
            }`
          }]
          : []
      ))
  })
}

const ready = (given: unknown, source: Source): Effect.Effect<Dispatch.Pool, unknown, unknown> =>
  Effect.gen(function*() {
    const read = readOptions(given, source)
    const options = isRecord(given) ? given : {}
    const pool = typeof options["name"] === "string" ? options["name"] : defaults.name
    const members: ReadonlyArray<unknown> = Array.isArray(options["members"]) ? options["members"] : []
    // The pipelines are made even where something else is wrong, so that one error lists every issue.
    const pipelines = yield* Effect.forEach(members, (member, at) => {
      const { name, pipeline } = isRecord(member) ? member : { name: undefined, pipeline: undefined }
      const path = `members.${at}.pipeline`
      return Prepared.pipelineOf(pipelineOptions(pipeline), `${pool}/${String(name)}`, path, source.mode)
    })
    const wrong = pipelines.flatMap((pipeline) => Either.isLeft(pipeline) ? pipeline.left : [])
    if (Either.isLeft(read) || wrong.length > 0) {
      const issues = Either.match(read, { onLeft: (faults) => faults.map(issueOf), onRight: () => [] })
      return yield* new InvalidOptions({ module: "ModelPool", issues: [...issues, ...wrong] })
    }
    const { affinity, longestRest, maxWait, name, refusedRest, strategy, throttledRest, verdict } = read.right
    // One memo map for all, so that what two layers share (an HTTP client) is built once.
    const memo = yield* Layer.makeMemoMap
    return {
      name,
      strategy,
      maxWait,
      rests: { throttled: throttledRest, refused: refusedRest, longest: longestRest },
      affinity,
      keyOf: Given.keyOf(affinity),
      verdict: verdict ?? Verdict.of,
      cell: Dispatch.cellOf(members.length),
      members: yield* Effect.forEach(
        read.right.members,
        ({ model, name, price, weight }, at) =>
          Effect.map(Prepared.serviceOf(model, memo), (service) => {
            const pipeline = Either.getOrElse(pipelines[at] ?? Either.right(undefined), () => undefined)
            return { name, weight, price: price ?? 0, pipeline, model: Dispatch.memberModel(service, pipeline) }
          })
      )
    }
  })

const unique = (all: ReadonlyArray<string>): ReadonlyArray<string> => [...new Set(all)]

/** What a stream fails with after its first content is noted, too; the call is its member's by then. */
const noting = (
  pool: Dispatch.Pool,
  at: number,
  parts: Stream.Stream<StreamPart, LanguageModel.LanguageModelError>
): Stream.Stream<StreamPart, LanguageModel.LanguageModelError> =>
  Stream.tapError(
    parts,
    (error) => Effect.clockWith((clock) => Effect.sync(() => Dispatch.note(pool, at, error, clock)))
  )

const standingOf = (pool: Dispatch.Pool, at: number, now: number): Effect.Effect<Standing> => {
  const { name, pipeline } = pool.members[at] ?? { name: "", pipeline: undefined }
  const { inFlight = 0, restsUntil = 0 } = pool.cell.state.members[at] ?? {}
  const breaker = pipeline === undefined ? undefined : Pipeline.policies(pipeline).circuitBreaker
  return Effect.map(
    breaker === undefined ? Effect.succeed(undefined) : CircuitBreaker.state(breaker),
    (circuit) => ({
      name,
      inFlight,
      restsFor: Duration.millis(Math.ceil(Math.max(0, restsUntil - now))),
      ...definedFields({ circuit, lastError: pool.cell.lastError[at]?._tag })
    })
  )
}

const build = (pool: Dispatch.Pool): ModelPool => {
  const { affinity, members, name, strategy } = pool
  const models = members.map(({ model }) => model)
  const provider = unique(models.map((model) => model.provider)).join("+")
  const resume = resumeOf(models)
  const generateWithReport: ModelPool["generateWithReport"] = (request) =>
    Effect.suspend(() => Dispatch.dispatch(pool, request, (model, addressed) => model.generate(addressed)))
  return {
    [TypeId]: TypeId,
    name,
    provider,
    capabilities: {
      tools: models.some((model) => model.capabilities.tools),
      images: models.some((model) => model.capabilities.images),
      structuredOutput: models.some((model) => model.capabilities.structuredOutput !== false),
      ...definedFields({ resume })
    },
    strategy,
    affinity,
    members: members.map(({ name, price, weight }) => ({ name, weight, price })),
    generateWithReport,
    generate: (request) => Effect.map(generateWithReport(request), ({ value }) => value),
    stream: (request) =>
      Stream.unwrapScoped(Effect.flatMap(Effect.scope, (scope) =>
        Effect.map(
          Dispatch.dispatch(
            pool,
            request,
            (model, addressed, at) => Opening.open(noting(pool, at, model.stream(addressed)), scope),
            scope
          ),
          ({ value }) => Opening.resume(value)
        ))),
    ...(resume?.vendor !== true ? {} : {
      resumable: (request: LanguageModel.Request) =>
        keptReply(
          provider,
          (ask, scope) => Effect.map(Dispatch.dispatch(pool, request, ask, scope), ({ value }) => value)
        )
    }),
    // Whichever member is asked, it must take the request.
    check: (request) => Effect.forEach(models, (model) => model.check(request), { discard: true }),
    standings: Effect.clockWith((clock) =>
      Effect.forEach(members, (_, at) => standingOf(pool, at, elapsedMillis(clock)))
    )
  }
}

/**
 * A pool. Its layers are built once, here, and so are the pipelines given as options; both live as long as the scope.
 * Fails with one `InvalidOptions` that lists every wrong option, those of the pipelines included, and with what the layers
 * fail with.
 *
 * @since 0.1.0
 * @category constructors
 */
export function make<const M extends Member>(
  options: Options<M> & { readonly members: ReadonlyArray<Known<M>> }
): Effect.Effect<ModelPool<MemberError<M>>, InvalidOptions | BuildError<M>, BuildNeeds<M>>
export function make(options: Options): Effect.Effect<ModelPool, unknown, unknown> {
  return Effect.map(ready(options, { mode: "code" }), build)
}

/**
 * The pool under the tag of a language model, and under its own for reports and standings. Its layers and pipelines live
 * as long as the layer does.
 *
 * @since 0.1.0
 * @category layers
 */
export function layer<const M extends Member>(
  options: Options<M> & { readonly members: ReadonlyArray<Known<M>> }
): Layer.Layer<
  LanguageModel.LanguageModel | ModelPool,
  InvalidOptions | BuildError<M>,
  Exclude<BuildNeeds<M>, Scope.Scope>
>
export function layer(options: Options): Layer.Layer<LanguageModel.LanguageModel | ModelPool, unknown, unknown> {
  return Layer.scopedContext(Effect.map(ready(options, { mode: "code" }), (pool) => contextOf(build(pool))))
}

const contextOf = (pool: ModelPool): Context.Context<LanguageModel.LanguageModel | ModelPool> =>
  Context.make(LanguageModel.LanguageModel, pool).pipe(Context.add(ModelPool, pool))

/**
 * A pool as a policy file holds it: JSON with the fields of {@link Options} but `verdict`, `affinity` as a text, durations
 * written like `"5 seconds"`, and members whose models are found in `models` by their names. Fails with one
 * `InvalidOptions` that lists every wrong field and every member without a model.
 *
 * @since 0.1.0
 * @category conversions
 */
export function decode<M extends Member["model"]>(
  json: unknown,
  models: { readonly [member: string]: M }
): Effect.Effect<ModelPool, InvalidOptions | Prepared.LayerError<M>, Prepared.LayerNeeds<M>>
export function decode(
  json: unknown,
  models: { readonly [member: string]: Member["model"] }
): Effect.Effect<ModelPool, unknown, unknown> {
  return Effect.map(ready(json, { mode: "file", models }), build)
}

/**
 * The JSON Schema (2020-12) of a pool in a file. It describes the pool itself; the pipelines of its members are those of
 * `policy.schema.json`.
 *
 * @since 0.1.0
 * @category schemas
 */
export const jsonSchema: { readonly [keyword: string]: unknown } = Form.toJsonSchema(Given.fileForm, {
  title: "A pool of models of effect-llm-resilience"
})

/**
 * "pool: least-busy of first key, second key (weight 2); a conversation stays with its member"
 *
 * @since 0.1.0
 * @category interpreters
 */
export const describe = (self: ModelPool<unknown>): string => {
  const members = self.members.map(({ name, price, weight }) => {
    const said = [
      ...(weight === defaults.weight ? [] : [`weight ${weight}`]),
      ...(self.strategy === "cheapest" ? [`price ${price}`] : [])
    ]
    return said.length === 0 ? name : `${name} (${said.join(", ")})`
  })
  return `${self.name}: ${self.strategy} of ${members.join(", ")}` +
    (self.affinity === "none" ? "" : "; a conversation stays with its member while that is ready")
}
