/**
 * Several language models as one: the first answers, and when it cannot, the next one that is for its error. Each model
 * has a pipeline of its own, and a condition: a larger model for `ContextLengthExceeded`, another vendor for
 * `ContentFiltered`. An error whose verdict is `Fail` stops the plan, so a wrong request is not sent to every vendor in
 * turn. The error of the last step tried passes through, unboxed; its message names every step before it with its error. The
 * plan stands under the same tag as any model. Of a stream the next model takes over only until the first content
 * has come; what fails afterwards reaches the consumer. Where a step's provider keeps its replies, and the step has no
 * pipeline of its own that goes on with them, `resumable` is that of the step that answers.
 *
 * @example
 * import * as Effect from "effect/Effect"
 * import * as ModelError from "effect-llm-resilience/error/ModelError"
 * import * as LanguageModel from "effect-llm-resilience/model/LanguageModel"
 * import * as ModelPlan from "effect-llm-resilience/resilience/ModelPlan"
 * import * as ScriptedModel from "effect-llm-resilience/testing/ScriptedModel"
 *
 * const small = ScriptedModel.layer([
 *   ScriptedModel.fail(new ModelError.ContextLengthExceeded({ provider: "small", requested: 9000, limit: 8192 }))
 * ])
 * const large = ScriptedModel.layer([ScriptedModel.text("a long answer")])
 *
 * const Plan = ModelPlan.layer({
 *   name: "answers",
 *   steps: [
 *     { name: "small", model: small, pipeline: { attemptTimeout: "20 seconds" } },
 *     { name: "large", model: large, when: { tags: ["ContextLengthExceeded"] } }
 *   ],
 *   sticky: "5 minutes"
 * })
 *
 * const program = LanguageModel.generate({ prompt: "A very long text" }).pipe(Effect.provide(Plan))
 *
 * Effect.runPromise(program).then((response) => console.log(response.text)) // a long answer
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
import { InvalidOptions } from "../error/InvalidOptions.ts"
import { PlanExhausted } from "../error/PolicyError.ts"
import * as Verdict from "../error/Verdict.ts"
import { elapsedMillis } from "../internal/elapsed.ts"
import * as Kernel from "../internal/plan.ts"
import * as planNote from "../internal/planNote.ts"
import { definedFields, isRecord } from "../internal/record.ts"
import { derivedKey } from "../internal/seeded.ts"
import * as LanguageModel from "../model/LanguageModel.ts"
import type { Response } from "../model/Response.ts"
import * as Fallback from "../policy/Fallback.ts"
import type * as Pipeline from "../policy/Pipeline.ts"
import { inOrderOfSteps, planIssues } from "./modelPlan/options.ts"
import { keptReply, resumeOf } from "./shared/kept.ts"
import * as Opening from "./shared/opening.ts"
import * as Prepared from "./shared/prepared.ts"

/**
 * The mark of plans of models.
 *
 * @since 0.1.0
 * @category symbols
 */
export const TypeId: unique symbol = Symbol.for("effect-llm-resilience/ModelPlan")

/**
 * One model of a plan.
 *
 * @since 0.1.0
 * @category models
 */
export interface Step {
  /** What it is called in events and reports: different for every step. */
  readonly name: string
  /** A model, or a layer that provides one. A layer is built once, when the plan is made. */
  readonly model: LanguageModel.Service | Layer.Layer<LanguageModel.LanguageModel, unknown, unknown>
  /** Its own pipeline, or the options of one. What a pipeline keeps (breakers, limits) it keeps over all calls. */
  readonly pipeline?: Pipeline.Pipeline | Pipeline.Options | undefined
  /**
   * Which errors of the steps before it this step is for; where it is for none of them, it is skipped. Not for the
   * first step. Default: the verdict of the last error is Retry or Fallback, or it is `Authentication` or
   * `PermissionDenied` and a step that is left has another `provider`.
   */
  readonly when?: Fallback.Condition<LanguageModel.LanguageModelError> | undefined
}

/**
 * The steps of a plan, and whether it stays with the one that took over.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options<S extends Step = Step> {
  /** The plan's name, which it has as a model and in its events. Default: `"plan"`. */
  readonly name?: string | undefined
  /** The steps in the order they are tried: one or more. */
  readonly steps: ReadonlyArray<S>
  /**
   * How long later calls start at the step that took over: above zero and finite. Then the first step is tried again.
   * Default: every call starts at the first step.
   */
  readonly sticky?: Duration.DurationInput | undefined
  /** Judges errors. Default: `Verdict.of`. */
  readonly verdict?: ((error: unknown) => Verdict.Verdict) | undefined
}

/**
 * What is used where the options are silent.
 *
 * @since 0.1.0
 * @category defaults
 */
export const defaults = { name: "plan" } as const

/**
 * A reply, the step that gave it, and what was tried before.
 *
 * @since 0.1.0
 * @category models
 */
export interface Report<out E = LanguageModel.LanguageModelError> extends Fallback.Report<Response, E> {}

/**
 * A plan: a language model made of several. `E` is what its calls can fail with.
 *
 * @since 0.1.0
 * @category models
 */
export interface ModelPlan<out E = LanguageModel.LanguageModelError> extends LanguageModel.Service<E> {
  readonly [TypeId]: typeof TypeId
  /** The steps in the order they were given. */
  readonly steps: ReadonlyArray<Pick<Step, "name" | "when">>
  /** How long the plan stays with a step that took over. */
  readonly sticky: Duration.Duration | undefined
  /** Like `generate`, but the reply comes with the name of the step that gave it and the log of what was tried. */
  readonly generateWithReport: (request: LanguageModel.Request) => Effect.Effect<Report<E>, E>
  /** Like `generate`, but a failure is `PlanExhausted`, with the errors of all steps that were tried. */
  readonly generateOrExhausted: (request: LanguageModel.Request) => Effect.Effect<Response, PlanExhausted<E>>
  /** The name of the step at which a call would start now. */
  readonly start: Effect.Effect<string>
}

/**
 * The plan of an application, for its reports; {@link layer} provides it beside the model that it is.
 *
 * @since 0.1.0
 * @category tags
 */
export const ModelPlan = Context.GenericTag<ModelPlan>("effect-llm-resilience/ModelPlan")

/**
 * What the calls of a step can fail with: its model's errors and its pipeline's refusals.
 *
 * @since 0.1.0
 * @category models
 */
export type StepError<S extends Step> = S extends Step ? Prepared.CallError<S["model"]> | Refusal<S> : never

type Refusal<S extends Step> = "pipeline" extends keyof S
  ? [S["pipeline"]] extends [undefined] ? never : Pipeline.AnyRefusal
  : never

/** Steps without fields that nobody knows, also in the options of their pipelines. */
type Known<S extends Step> = S extends Step ? S & Prepared.NoOther<S, Step> & Prepared.KnownPipeline<S> : never

/** What making the plan can fail with for the sake of a layer, and what that layer needs. */
type BuildError<S extends Step> = Prepared.LayerError<S["model"]>
type BuildNeeds<S extends Step> = Prepared.LayerNeeds<S["model"]>

/** Errors about the request or about this moment. They say nothing about how the model serves other calls. */
const requestErrors: ReadonlyArray<string> = [
  "ContextLengthExceeded",
  "RequestTooLarge",
  "ContentFiltered",
  "UnsupportedFeature",
  "InvalidRequest",
  "InvalidToolCall",
  "BulkheadFull",
  "RateLimitExceeded"
]

const isUnwell = (error: LanguageModel.LanguageModelError): boolean =>
  error._tag === "TimedOut" ? error.phase !== "queue" : !requestErrors.includes(error._tag)

/** A step whose layer is built and whose pipeline is round its model. */
interface Ready {
  readonly name: string
  readonly model: LanguageModel.Service
  readonly when: Fallback.Condition<LanguageModel.LanguageModelError> | undefined
}

const ready = (options: Options): Effect.Effect<readonly [Ready, ...ReadonlyArray<Ready>], unknown, unknown> =>
  Effect.gen(function*() {
    const issues = planIssues(options)
    const plan = (isRecord(options) ? options.name : undefined) ?? defaults.name
    // The pipelines are made even where something else is wrong, so that one error lists every issue.
    const pipelines = yield* Effect.forEach(
      isRecord(options) && Array.isArray(options.steps) ? options.steps : [],
      // `planIssues` finds whatever else is wrong with the step.
      (step, position) => {
        const { name, pipeline } = isRecord(step) ? step : {}
        return Prepared.pipelineOf(pipeline, `${plan}/${name}`, `steps.${position}.pipeline`)
      }
    )
    const wrong = inOrderOfSteps([
      ...issues,
      ...pipelines.flatMap((pipeline) => Either.isLeft(pipeline) ? pipeline.left : [])
    ])
    const [first, ...others] = wrong.length === 0 ? options.steps : []
    if (first === undefined) {
      return yield* new InvalidOptions({ module: "ModelPlan", issues: wrong })
    }
    // One memo map for all, so that what two layers share (an HTTP client) is built once.
    const memo = yield* Layer.makeMemoMap
    const prepare = ({ model, name, when }: Step, position: number) =>
      Effect.map(Prepared.serviceOf(model, memo), (service) => {
        const pipeline = Either.getOrElse(pipelines[position] ?? Either.right(undefined), () => undefined)
        return { name, when, model: Prepared.strengthened(service, pipeline) }
      })
    return [yield* prepare(first, 0), ...(yield* Effect.forEach(others, (step, i) => prepare(step, i + 1)))]
  })

/** Another model is another request, which must not be taken for a repetition of the first. */
const withKeyOfStep = (request: LanguageModel.Request, position: number): LanguageModel.Request =>
  request.idempotencyKey === undefined || position === 0
    ? request
    : { ...request, idempotencyKey: derivedKey(request.idempotencyKey, `step-${position + 1}`) }

/** Errors about one vendor and its key alone: another vendor may still answer. */
const vendorErrors: ReadonlyArray<string> = ["Authentication", "PermissionDenied"]

/**
 * The vendors that have refused one call for good. A plan goes on after such a refusal where a later step is another
 * vendor's; steps of the same vendor are not asked, and fail with the same error.
 */
const vendorRefusals = (vendors: ReadonlyArray<string>, verdict: (error: unknown) => Verdict.Verdict) => {
  const refused = new Map<string, LanguageModel.LanguageModelError>()
  let turn = 0
  return {
    askUnlessRefused: <A>(at: number, effect: Effect.Effect<A, LanguageModel.LanguageModelError>) => {
      turn = at
      const vendor = vendors[at] ?? ""
      const known = refused.get(vendor)
      return known !== undefined ? Effect.fail(known) : Effect.tapError(effect, (error) =>
        Effect.sync(() => {
          if (vendorErrors.includes(error._tag)) refused.set(vendor, error)
        }))
    },
    verdict: (error: unknown): Verdict.Verdict => {
      const errorVerdict = verdict(error)
      const isOfOneVendor = errorVerdict.action === "Fail" && [...refused.values()].some((each) => each === error)
      return isOfOneVendor && vendors.slice(turn + 1).some((vendor) => !refused.has(vendor))
        ? Verdict.make("Fallback", { weighs: errorVerdict.weighs, billed: errorVerdict.billed })
        : errorVerdict
    }
  }
}

const unique = (all: ReadonlyArray<string>): ReadonlyArray<string> => [...new Set(all)]

const build = (options: Options, steps: readonly [Ready, ...ReadonlyArray<Ready>]): ModelPlan => {
  const self = { name: options.name ?? defaults.name, verdict: options.verdict ?? Verdict.of }
  const sticky = options.sticky === undefined ? undefined : Duration.decode(options.sticky)
  const stay = sticky === undefined ? 0 : Duration.toMillis(sticky)
  const names = steps.map((step) => step.name)
  const cell = { current: Kernel.first }

  const startNow = Effect.map(Effect.map(Effect.clock, elapsedMillis), (now) => {
    cell.current = Kernel.startAt(cell.current, now)
    return cell.current
  })

  const settle = (generation: number, report: Fallback.Report<unknown, LanguageModel.LanguageModelError>) =>
    Effect.map(Effect.map(Effect.clock, elapsedMillis), (now) => {
      const tried = [
        ...report.failed.map(({ error, step }) => ({ step: names.indexOf(step), isUnwell: isUnwell(error) })),
        { step: names.indexOf(report.step), isUnwell: false }
      ]
      cell.current = Kernel.settle(cell.current, generation, tried, stay, now)
    })

  const tryInOrder = <A, E>(
    request: LanguageModel.Request,
    ask: (
      model: LanguageModel.Service,
      request: LanguageModel.Request
    ) => Effect.Effect<A, LanguageModel.LanguageModelError>,
    exhausted: (failure: Fallback.Failure<LanguageModel.LanguageModelError>) => E
  ): Effect.Effect<Fallback.Report<A, LanguageModel.LanguageModelError>, E> =>
    Effect.flatMap(startNow, ({ generation, step }) => {
      const order = Kernel.roundFrom(steps.length, step)
      const refusals = vendorRefusals(
        order.map((position) => (steps[position] ?? steps[0]).model.provider),
        self.verdict
      )
      const stepAt = (position: number, turn: number) => {
        const { model, name, when } = steps[position] ?? steps[0]
        return {
          name,
          when,
          effect: Effect.suspend(() => refusals.askUnlessRefused(turn, ask(model, withKeyOfStep(request, position))))
        }
      }
      const [firstPosition = 0, ...laterPositions] = order
      const verdict = options.verdict ?? refusals.verdict
      const run = Fallback.run(
        { name: self.name, verdict },
        [stepAt(firstPosition, 0), ...laterPositions.map((position, at) => stepAt(position, at + 1))],
        exhausted
      )
      return sticky === undefined
        ? run
        : Effect.tap(run, (report) => report.failed.length === 0 ? Effect.void : settle(generation, report))
    })

  /** The last error passes through as it is; what was tried before it stands in its message. */
  const lastError = (failure: Fallback.Failure<LanguageModel.LanguageModelError>): LanguageModel.LanguageModelError => {
    planNote.annotate({ plan: self.name, failed: failure.failed, skipped: failure.skipped })
    return failure.error
  }

  const generate = (model: LanguageModel.Service, request: LanguageModel.Request) => model.generate(request)
  const generateWithReport: ModelPlan["generateWithReport"] = (request) => tryInOrder(request, generate, lastError)
  const provider = unique(steps.map((step) => step.model.provider)).join("+")
  const resume = resumeOf(steps.map(({ model }) => model))
  return {
    [TypeId]: TypeId,
    name: self.name,
    provider,
    capabilities: {
      tools: steps.some((step) => step.model.capabilities.tools),
      images: steps.some((step) => step.model.capabilities.images),
      structuredOutput: steps.some((step) => step.model.capabilities.structuredOutput !== false),
      ...definedFields({ resume })
    },
    steps: steps.map(({ name, when }) => ({ name, when })),
    sticky,
    start: Effect.map(startNow, ({ step }) => names[step] ?? ""),
    generate: (request) => Effect.map(generateWithReport(request), (report) => report.value),
    stream: (request) =>
      Stream.unwrapScoped(Effect.flatMap(Effect.scope, (scope) =>
        Effect.map(
          tryInOrder(
            request,
            (model, addressed) => Opening.open(model.stream(addressed), scope),
            lastError
          ),
          (report) => Opening.resume(report.value)
        ))),
    ...(resume?.vendor !== true ? {} : {
      resumable: (request: LanguageModel.Request) =>
        keptReply(provider, (ask) => Effect.map(tryInOrder(request, ask, lastError), (report) => report.value))
    }),
    // Whichever step is asked, it must take the request.
    check: (request) => Effect.forEach(steps, (step) => step.model.check(request), { discard: true }),
    generateWithReport,
    generateOrExhausted: (request) =>
      Effect.map(
        tryInOrder(request, generate, ({ failed, reason, skipped }) =>
          new PlanExhausted<LanguageModel.LanguageModelError>({ name: self.name, steps: failed, skipped, reason })),
        (report) =>
          report.value
      )
  }
}

/**
 * A plan. Its layers are built once, here, and so are the pipelines given as options; both live as long as the scope.
 * Fails with one `InvalidOptions` that lists every wrong option, those of the pipelines included, and with what the
 * layers fail with.
 *
 * @since 0.1.0
 * @category constructors
 */
export function make<const S extends Step>(
  options: Options<S> & { readonly steps: ReadonlyArray<Known<S>> }
): Effect.Effect<ModelPlan<StepError<S>>, InvalidOptions | BuildError<S>, BuildNeeds<S>>
export function make(options: Options): Effect.Effect<ModelPlan, unknown, unknown> {
  return Effect.map(ready(options), (steps) => build(options, steps))
}

/**
 * The plan under the tag of a language model, and under its own for the reports. Its layers and pipelines live as long
 * as the layer does, so breakers and limits survive every attempt and every call.
 *
 * @since 0.1.0
 * @category layers
 */
export function layer<const S extends Step>(
  options: Options<S> & { readonly steps: ReadonlyArray<Known<S>> }
): Layer.Layer<
  LanguageModel.LanguageModel | ModelPlan,
  InvalidOptions | BuildError<S>,
  Exclude<BuildNeeds<S>, Scope.Scope>
>
export function layer(options: Options): Layer.Layer<LanguageModel.LanguageModel | ModelPlan, unknown, unknown> {
  return Layer.scopedContext(
    Effect.map(ready(options), (steps) => {
      const plan = build(options, steps)
      return Context.make(LanguageModel.LanguageModel, plan).pipe(Context.add(ModelPlan, plan))
    })
  )
}

/**
 * Asks the plan of the context: the reply with the name of the step that gave it and the log of what was tried.
 *
 * @since 0.1.0
 * @category accessors
 */
export const generateWithReport = (
  request: LanguageModel.Request
): Effect.Effect<Report, LanguageModel.LanguageModelError, ModelPlan> =>
  Effect.flatMap(ModelPlan, (plan) => plan.generateWithReport(request))

/**
 * Asks the plan of the context; a failure is `PlanExhausted`, with the errors of all steps that were tried.
 *
 * @since 0.1.0
 * @category accessors
 */
export const generateOrExhausted = (
  request: LanguageModel.Request
): Effect.Effect<Response, PlanExhausted<LanguageModel.LanguageModelError>, ModelPlan> =>
  Effect.flatMap(ModelPlan, (plan) => plan.generateOrExhausted(request))

/**
 * "answers: small → large (for ContextLengthExceeded); stays with the one that took over for 5m"
 *
 * @since 0.1.0
 * @category interpreters
 */
export const describe = (self: ModelPlan<unknown>): string => {
  const steps = self.steps.map(({ name, when }) =>
    when === undefined ? name : `${name} (for ${Kernel.describeCondition(when)})`
  )
  return `${self.name}: ${steps.join(" → ")}` +
    (self.sticky === undefined ? "" : `; stays with the one that took over for ${Duration.format(self.sticky)}`)
}
