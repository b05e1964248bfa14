/**
 * A tool that a model may call: a name, what it is for, and schemas of what goes in and what comes out. A tool holds no
 * code; the code is a handler, given when calls are run (see `Toolkit.Handlers`).
 *
 * @example
 * import * as Tool from "effect-llm-resilience/model/Tool"
 * import * as Either from "effect/Either"
 * import * as Schema from "effect/Schema"
 *
 * const weather = Tool.make("get_weather", {
 *   description: "The weather of a city, now",
 *   parameters: Schema.Struct({ city: Schema.NonEmptyString, unit: Schema.optional(Schema.Literal("c", "f")) }),
 *   success: Schema.Struct({ degrees: Schema.Number })
 * })
 *
 * const schema = Either.getOrThrow(Tool.jsonSchema(weather))
 * console.log(schema.type, schema.required) // object [ 'city' ]
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import * as Verdict from "../error/Verdict.ts"
import { visible } from "../internal/redact.ts"
import { scrubbed } from "../internal/scrubbed.ts"
import * as Repair from "./Repair.ts"
import * as ParameterSchema from "./shared/parameterSchema.ts"

/**
 * The mark of tools.
 *
 * @since 0.1.0
 * @category symbols
 */
export const TypeId: unique symbol = Symbol.for("effect-llm-resilience/Tool")

/**
 * The mark of tools.
 *
 * @since 0.1.0
 * @category symbols
 */
export type TypeId = typeof TypeId

/**
 * What a tool does to the world: `"read-only"` tools only look, so running one for arguments that were not quite meant
 * does no harm.
 *
 * @since 0.1.0
 * @category models
 */
export type Access = "read-only" | "read-write"

/**
 * Where a failure of the handler goes: `"tell"` to the model, as the result of its call; `"raise"` to the caller.
 *
 * @since 0.1.0
 * @category models
 */
export type OnFailure = "tell" | "raise"

/**
 * A tool. `parameters` decodes the arguments a model wrote, `success` encodes what the handler answers, `failure` encodes
 * those of its failures that the model is told.
 *
 * @since 0.1.0
 * @category models
 */
export interface Tool<
  out Name extends string,
  out Parameters extends Schema.Schema.AnyNoContext,
  out Success extends Schema.Schema.AnyNoContext,
  out Failure extends Schema.Schema.AnyNoContext | undefined = Schema.Schema.AnyNoContext | undefined,
  out Mode extends OnFailure = OnFailure,
  out Timeout extends Duration.DurationInput | undefined = Duration.DurationInput | undefined
> {
  readonly [TypeId]: TypeId
  /** 1 to 64 of the characters `a-z A-Z 0-9 _ -`, which is what every provider takes. */
  readonly name: Name
  /** What the tool does and when to use it, for the model. */
  readonly description: string | undefined
  readonly parameters: Parameters
  readonly success: Success
  readonly access: Access
  /** What is mended in arguments that are not JSON, in this order. */
  readonly repairs: ReadonlyArray<Repair.Repair>
  /** How long one run of the handler may take. */
  readonly timeout: Timeout
  /** Those of the handler's failures that the model is told. */
  readonly failure: Failure
  readonly onFailure: Mode
}

/**
 * Any tool.
 *
 * @since 0.1.0
 * @category models
 */
export interface Any extends Tool<string, Schema.Schema.AnyNoContext, Schema.Schema.AnyNoContext> {}

/**
 * The name of a tool, as a literal type.
 *
 * @since 0.1.0
 * @category models
 */
export type Name<T extends Any> = T["name"]

/**
 * What the handler of a tool is given: the decoded arguments.
 *
 * @since 0.1.0
 * @category models
 */
export type Parameters<T extends Any> = Schema.Schema.Type<T["parameters"]>

/**
 * What the handler of a tool answers, before it is encoded to text.
 *
 * @since 0.1.0
 * @category models
 */
export type Success<T extends Any> = Schema.Schema.Type<T["success"]>

/**
 * The failures of a tool's handler that the model is told; `never` for a tool that raises.
 *
 * @since 0.1.0
 * @category models
 */
export type Failure<T extends Any> = T["onFailure"] extends "tell"
  ? T["failure"] extends Schema.Schema.AnyNoContext ? Schema.Schema.Type<T["failure"]> : never
  : never

/**
 * The numbers and choices used where the options are silent. There is no time-out by default.
 *
 * @since 0.1.0
 * @category defaults
 */
export const defaults: {
  readonly access: "read-write"
  readonly onFailure: "raise"
  readonly repairs: ReadonlyArray<Repair.Repair>
} = { access: "read-write", onFailure: "raise", repairs: Repair.lossless }

/**
 * A JSON Schema (draft 7) of the arguments. The root is always an object type, without `$ref` and `$id`.
 *
 * @since 0.1.0
 * @category models
 */
export interface JsonSchema {
  readonly type: "object"
  readonly properties: { readonly [name: string]: unknown }
  readonly required?: ReadonlyArray<string>
  /** `false` unless the parameters are a record, or a struct with one. */
  readonly additionalProperties?: unknown
  /** Schemas that refer to themselves; others are written out where they occur. */
  readonly $defs?: { readonly [name: string]: unknown }
  readonly [keyword: string]: unknown
}

/**
 * A tool that cannot be offered to a model. `path` leads to the part of the parameters that is at fault, and is empty
 * where the whole tool is; `remedy` is the way out.
 *
 * @since 0.1.0
 * @category errors
 */
export class InvalidTool extends scrubbed(
  Schema.TaggedError<InvalidTool>()("InvalidTool", {
    tool: Schema.String,
    path: Schema.Array(Schema.Union(Schema.String, Schema.JsonNumber)),
    problem: Schema.String,
    remedy: Schema.String
  })
) {
  override get message(): string {
    const place = this.path.length === 0 ? "" : ` (at ${this.path.join(".")})`
    return visible(`Tool ${JSON.stringify(this.tool)}${place}: ${this.problem}. ${this.remedy}`)
  }
  [Verdict.symbol](): Verdict.Verdict {
    return Verdict.make("Fail")
  }
}

/**
 * What a tool is made from.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options<
  Parameters extends Schema.Schema.AnyNoContext,
  Success extends Schema.Schema.AnyNoContext = Schema.Schema.AnyNoContext,
  Timeout extends Duration.DurationInput | undefined = Duration.DurationInput | undefined
> {
  /** What the tool does and when to use it, for the model. */
  readonly description?: string | undefined
  /**
   * The arguments, most often a `Schema.Struct`; their JSON form must be an object. `Schema.Struct({})` for none. The
   * schemas must not need services, and must decide at once: one that waits refuses every call. For a plain JSON Schema,
   * as MCP servers give it, see `adapter/JsonSchema`.
   */
  readonly parameters: Parameters
  /** What the handler answers. Default: `Schema.Unknown`, which sends text as it is and the rest as JSON. */
  readonly success?: Success | undefined
  /** What the tool does to the world. Default: `"read-write"`. */
  readonly access?: Access | undefined
  /** What is mended in arguments that are not JSON. Lossy repairs are for read-only tools. Default: `Repair.lossless`. */
  readonly repairs?: ReadonlyArray<Repair.Repair> | undefined
  /**
   * How long one run of the handler may take: above zero and finite. After that it is interrupted, and its `TimedOut` is
   * told to the model or raised, as `onFailure` says. Default: for ever.
   */
  readonly timeout?: Timeout
}

/**
 * What becomes of failures when the caller gets them all.
 *
 * @since 0.1.0
 * @category models
 */
export interface Raising {
  /** The caller gets every failure of the handler in the error channel. This is the default. */
  readonly onFailure?: "raise" | undefined
  readonly failure?: undefined
}

/**
 * What becomes of failures when the model is told some of them.
 *
 * @since 0.1.0
 * @category models
 */
export interface Telling<Failure extends Schema.Schema.AnyNoContext | undefined> {
  /** The model is told the failures that `failure` describes, and time-outs; the rest goes to the caller. */
  readonly onFailure: "tell"
  /** The failures the model is told, and how they are written. Default: none, so that only time-outs are told. */
  readonly failure?: Failure
}

/**
 * A tool from its name and its schemas. Nothing is checked here; `Toolkit.make` refuses tools that cannot be offered.
 *
 * A failure of the handler is raised, unless the tool says `onFailure: "tell"`: then those that fit the `failure` schema
 * become the result of the call, for the model to read. Defects and interruption are never told.
 *
 * @example
 * import * as Tool from "effect-llm-resilience/model/Tool"
 * import * as Schema from "effect/Schema"
 *
 * class UnknownCity extends Schema.TaggedError<UnknownCity>()("UnknownCity", { city: Schema.String }) {}
 *
 * const weather = Tool.make("get_weather", {
 *   parameters: Schema.Struct({ city: Schema.String }),
 *   access: "read-only",
 *   timeout: "5 seconds",
 *   failure: UnknownCity, // the model can choose another city
 *   onFailure: "tell"
 * })
 *
 * console.log(weather.onFailure) // tell
 *
 * @since 0.1.0
 * @category constructors
 */
export function make<
  const Name extends string,
  Parameters extends Schema.Schema.AnyNoContext,
  Success extends Schema.Schema.AnyNoContext = typeof Schema.Unknown,
  Failure extends Schema.Schema.AnyNoContext | undefined = undefined,
  const Timeout extends Duration.DurationInput | undefined = undefined
>(
  name: Name,
  options: Options<Parameters, Success, Timeout> & Telling<Failure>
): Tool<Name, Parameters, Success, Failure, "tell", Timeout>
export function make<
  const Name extends string,
  Parameters extends Schema.Schema.AnyNoContext,
  Success extends Schema.Schema.AnyNoContext = typeof Schema.Unknown,
  const Timeout extends Duration.DurationInput | undefined = undefined
>(
  name: Name,
  options: Options<Parameters, Success, Timeout> & Raising
): Tool<Name, Parameters, Success, undefined, "raise", Timeout>
export function make(
  name: string,
  options: Options<Schema.Schema.AnyNoContext> & (Raising | Telling<Schema.Schema.AnyNoContext | undefined>)
): Any {
  return {
    [TypeId]: TypeId,
    name,
    description: options.description,
    parameters: options.parameters,
    success: options.success ?? Schema.Unknown,
    access: options.access ?? defaults.access,
    repairs: options.repairs ?? defaults.repairs,
    timeout: options.timeout,
    failure: options.failure,
    onFailure: options.onFailure ?? defaults.onFailure
  }
}

/**
 * Whether a value is a tool.
 *
 * @since 0.1.0
 * @category guards
 */
export const isTool = (value: unknown): value is Any => typeof value === "object" && value !== null && TypeId in value

/**
 * The JSON Schema of a tool's arguments, as providers take it. Constraints that JSON Schema cannot say are left out here
 * and still enforced when a call is decoded. Fails for parameters without a JSON form (`Schema.DateFromSelf`, …) and for
 * those whose JSON is not an object. A toolkit has it ready for each of its tools: `toolkit.definitions`.
 *
 * @since 0.1.0
 * @category conversions
 */
export const jsonSchema = (tool: Any): Either.Either<JsonSchema, InvalidTool> =>
  Schema.isSchema(tool.parameters)
    ? Either.mapLeft(
      ParameterSchema.generate(tool.parameters.ast),
      (fault) => new InvalidTool({ tool: tool.name, ...fault })
    )
    : Either.left(
      new InvalidTool({
        tool: tool.name,
        path: [],
        problem: "the parameters are no Effect Schema",
        remedy: "Use effect/Schema, or JsonSchema.tool of adapter/JsonSchema for a plain JSON Schema."
      })
    )
