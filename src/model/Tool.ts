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
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import * as Verdict from "../error/Verdict.ts"
import * as ParameterSchema from "./internal/parameterSchema.ts"

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
 * A tool. `parameters` decodes the arguments a model wrote, `success` encodes what the handler answers.
 *
 * @since 0.1.0
 * @category models
 */
export interface Tool<
  out Name extends string,
  out Parameters extends Schema.Schema.AnyNoContext,
  out Success extends Schema.Schema.AnyNoContext
> {
  readonly [TypeId]: TypeId
  /** 1 to 64 of the characters `a-z A-Z 0-9 _ -`, which is what every provider takes. */
  readonly name: Name
  /** What the tool does and when to use it, for the model. */
  readonly description: string | undefined
  readonly parameters: Parameters
  readonly success: Success
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
export class InvalidTool extends Schema.TaggedError<InvalidTool>()("InvalidTool", {
  tool: Schema.String,
  path: Schema.Array(Schema.Union(Schema.String, Schema.JsonNumber)),
  problem: Schema.String,
  remedy: Schema.String
}) {
  override get message(): string {
    const place = this.path.length === 0 ? "" : ` (at ${this.path.join(".")})`
    return `Tool ${JSON.stringify(this.tool)}${place}: ${this.problem}. ${this.remedy}`
  }
  [Verdict.symbol](): Verdict.Verdict {
    return Verdict.make("Fail")
  }
}

/**
 * A tool from its name and its schemas.
 *
 * - `description`: what the tool does and when to use it, for the model.
 * - `parameters`: the arguments, most often a `Schema.Struct`; its JSON form must be an object. `Schema.Struct({})` for
 *   none. The schemas must not need services, and must decide at once: one that waits refuses every call.
 * - `success`: what the handler answers. Default: `Schema.Unknown`, which sends text as it is and the rest as JSON.
 *
 * Nothing is checked here; `Toolkit.make` refuses tools that cannot be offered.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make: {
  <const Name extends string, Parameters extends Schema.Schema.AnyNoContext>(
    name: Name,
    options: {
      readonly description?: string | undefined
      readonly parameters: Parameters
      readonly success?: undefined
    }
  ): Tool<Name, Parameters, typeof Schema.Unknown>
  <
    const Name extends string,
    Parameters extends Schema.Schema.AnyNoContext,
    Success extends Schema.Schema.AnyNoContext
  >(
    name: Name,
    options: {
      readonly description?: string | undefined
      readonly parameters: Parameters
      readonly success: Success
    }
  ): Tool<Name, Parameters, Success>
} = <
  const Name extends string,
  Parameters extends Schema.Schema.AnyNoContext,
  Success extends Schema.Schema.AnyNoContext
>(
  name: Name,
  options: {
    readonly description?: string | undefined
    readonly parameters: Parameters
    readonly success?: Success | undefined
  }
): Tool<Name, Parameters, Success | typeof Schema.Unknown> => ({
  [TypeId]: TypeId,
  name,
  description: options.description,
  parameters: options.parameters,
  success: options.success ?? Schema.Unknown
})

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
  Either.mapLeft(
    ParameterSchema.generate(tool.parameters.ast),
    (fault) => new InvalidTool({ tool: tool.name, ...fault })
  )
