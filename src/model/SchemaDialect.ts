/**
 * The JSON Schema that a vendor takes, together with the codec that reads what a model writes under it.
 *
 * Vendors take different parts of JSON Schema where they promise that the model keeps to it. A dialect rewrites a schema
 * into such a part. Nothing is lost on the way: what the vendor has no keyword for is said in the description and still
 * enforced by the codec, what it has no shape for is written in another shape and read back. What cannot be carried at
 * all is an error that names the place and the way out, before any request.
 *
 * | in the schema | `openai-strict` | `anthropic` | `gemini` |
 * |---|---|---|---|
 * | optional | must be there, null for absent | may be left out | may be left out |
 * | optional and nullable | a list: `[]`, `[null]`, `[value]` | may be left out, null | may be left out, null |
 * | record | list of `{ key, value }` | the same | the same |
 * | tuple | object with `item0`, `item1`, …, `rest` | the same | the same |
 * | any JSON value | JSON text | the same | the same |
 * | enum of numbers | enum | enum | enum of texts |
 * | a schema that holds itself | `$ref` | refused | refused |
 * | names of properties | as they are | `[a-zA-Z0-9_.-]`, 64 at most | `[a-zA-Z0-9_]`, 64 at most |
 *
 * An optional property whose default is null needs no list: null and absent mean the same, and null comes back as absent.
 *
 * @example
 * import * as SchemaDialect from "effect-llm-resilience/model/SchemaDialect"
 * import * as Either from "effect/Either"
 * import * as Schema from "effect/Schema"
 *
 * const Search = Schema.Struct({
 *   query: Schema.NonEmptyString,
 *   limit: Schema.optional(Schema.Int.pipe(Schema.between(1, 50))),
 *   labels: Schema.Record({ key: Schema.String, value: Schema.String })
 * })
 *
 * const strict = Either.getOrThrow(SchemaDialect.make("openai-strict")(Search))
 * console.log(strict.jsonSchema.required) // [ 'query', 'limit', 'labels' ]
 *
 * const written = { query: "tea", limit: null, labels: [{ key: "lang", value: "en" }] }
 * console.log(Schema.decodeUnknownSync(strict.codec)(written)) // { query: 'tea', labels: { lang: 'en' } }
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import type * as AST from "effect/SchemaAST"
import * as Verdict from "../error/Verdict.ts"
import { visibleLines } from "../internal/redact.ts"
import { scrubbed } from "../internal/scrubbed.ts"
import * as Codec from "./schemaDialect/codec.ts"
import * as Translate from "./schemaDialect/translate.ts"
import * as DialectNames from "./shared/dialectNames.ts"
import * as ParameterSchema from "./shared/parameterSchema.ts"
import * as Tool from "./Tool.ts"
import * as Toolkit from "./Toolkit.ts"

/**
 * The dialects. `"plain"` is the schema as it is, for requests in which the vendor promises nothing, and for Gemini's
 * `parametersJsonSchema`; `"gemini"` is for its `parameters` and `responseSchema`.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Dialect = DialectNames.Dialect

/**
 * The dialects.
 *
 * @since 0.1.0
 * @category models
 */
export type Dialect = typeof Dialect.Type

/**
 * A step on the way into a schema: a property, the index of an item of a tuple, or `"*"` for every item of a list and
 * every value of a record.
 *
 * @since 0.1.0
 * @category models
 */
export type Path = ReadonlyArray<string | number>

/**
 * A constraint that the vendor has no keyword for. It stands in the description and is enforced by the codec.
 *
 * @since 0.1.0
 * @category models
 */
export interface Moved {
  readonly path: Path
  /** For example `minLength 1`. */
  readonly constraint: string
}

/**
 * How much a JSON Schema uses of what vendors limit.
 *
 * @since 0.1.0
 * @category models
 */
export interface Size {
  readonly properties: number
  /** Objects in objects, the root counted. */
  readonly levels: number
  readonly enumValues: number
  /** In the names of properties and definitions and the values of enums, in UTF-16 units. */
  readonly characters: number
  readonly optional: number
  readonly unions: number
}

/**
 * What the model wrote, as the plain schema takes it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Restored {
  readonly value: unknown
  /** From a path in `value` to the path in what the model wrote. */
  readonly locate: (path: Path) => Path
}

/**
 * A schema in a dialect.
 *
 * @since 0.1.0
 * @category models
 */
export interface Translated<A> {
  readonly dialect: Dialect
  /** For the vendor. The root is an object; for Gemini, leave `parameters` away where it has no properties. */
  readonly jsonSchema: Tool.JsonSchema
  /** Between what the model writes under `jsonSchema` and `A`. */
  readonly codec: Schema.Schema<A, unknown>
  /**
   * Decodes as `codec` does, with the issues of the schema itself, at the paths of what the model wrote. The codec wraps
   * them in one of a transformation.
   */
  readonly decode: (
    written: unknown,
    options?: AST.ParseOptions
  ) => Either.Either<A, ParseResult.ParseError>
  /** Only the change of shape, without the schema's own decode. */
  readonly restore: (written: unknown) => Either.Either<Restored, ParseResult.ParseError>
  /** The inverse of `restore`: the plain JSON of a value, as the model would write it under this dialect. */
  readonly write: (plain: unknown) => unknown
  readonly moved: ReadonlyArray<Moved>
  /** Nothing is counted for `"plain"`. */
  readonly size: Size
}

/**
 * A schema that a dialect cannot carry, with everything that stands in the way. `path` leads through the schema, `remedy`
 * is the way out.
 *
 * @since 0.1.0
 * @category errors
 */
export class InvalidDialect extends scrubbed(
  Schema.TaggedError<InvalidDialect>()("InvalidDialect", {
    dialect: Dialect,
    problems: Schema.Array(Schema.Struct({
      path: Schema.Array(Schema.Union(Schema.String, Schema.JsonNumber)),
      problem: Schema.String,
      remedy: Schema.String
    }))
  })
) {
  override get message(): string {
    return visibleLines(
      this.problems.map(({ path, problem, remedy }) =>
        `Dialect ${JSON.stringify(this.dialect)}${
          path.length === 0 ? "" : ` (at ${path.join(".")})`
        }: ${problem}. ${remedy}`
      )
    )
  }
  [Verdict.symbol](): Verdict.Verdict {
    return Verdict.make("Fail")
  }
}

type Outcome = Either.Either<Translate.Translation, ReadonlyArray<Translate.Problem>>

/** Providers ask at every request; a schema is translated once for each dialect. */
const known = new WeakMap<AST.AST, Map<Dialect, Outcome>>()

const translation = (dialect: Dialect, ast: AST.AST): Outcome => {
  const outcomes = known.get(ast) ?? new Map<Dialect, Outcome>()
  known.set(ast, outcomes)
  const outcome = outcomes.get(dialect) ??
    Either.flatMap(
      Either.mapLeft(ParameterSchema.generate(ast), (fault) => [fault]),
      (plain) => dialect === "plain" ? Either.right(Translate.plain(plain)) : Translate.translate(dialect, plain)
    )
  outcomes.set(dialect, outcome)
  return outcome
}

/**
 * A schema in a dialect, or everything the dialect cannot carry of it. The schema's JSON form must be an object, and it
 * must not need services. Made once for each schema and dialect.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make =
  (dialect: Dialect) => <A, I>(schema: Schema.Schema<A, I>): Either.Either<Translated<A>, InvalidDialect> =>
    Either.mapBoth(translation(dialect, schema.ast), {
      onLeft: (problems) => new InvalidDialect({ dialect, problems }),
      onRight: (form) => {
        const { jsonSchema, moved, size, write } = form
        const { codec, decode, restore } = Codec.make(schema, form)
        let made: Schema.Schema<A, unknown> | undefined
        return {
          dialect,
          jsonSchema,
          moved,
          size,
          write,
          decode,
          restore,
          get codec() {
            return made ??= codec()
          }
        }
      }
    })

/**
 * The parameters of a tool in a dialect. The error tells the first thing that stands in the way.
 *
 * @since 0.1.0
 * @category constructors
 */
export const forTool = <T extends Tool.Any>(
  dialect: Dialect,
  tool: T
): Either.Either<Translated<Tool.Parameters<T>>, Tool.InvalidTool> =>
  Either.mapLeft(make(dialect)(tool.parameters), ({ problems: [first] }) => invalid(tool, first ?? unknownProblem))

const unknownProblem: Translate.Problem = { path: [], problem: "the parameters cannot be translated", remedy: "" }

const invalid = (tool: Tool.Any, { path, problem, remedy }: Translate.Problem): Tool.InvalidTool =>
  new Tool.InvalidTool({ tool: tool.name, path, problem, remedy })

/**
 * The parameters of all tools in a dialect, by the name of the tool, or everything that stands in the way: the check to
 * make before the first request. It includes what a vendor limits over all tools of a request (Anthropic: 20 tools, 24
 * optional properties, 16 unions).
 *
 * @since 0.1.0
 * @category constructors
 */
export const forToolkit = (
  dialect: Dialect,
  toolkit: Toolkit.Any
): Effect.Effect<ReadonlyMap<string, Translated<unknown>>, Toolkit.InvalidToolkit> =>
  Effect.suspend(() => {
    const problems: Array<Tool.InvalidTool> = []
    const translated = new Map<string, Translated<unknown>>()
    for (const tool of toolkit.tools) {
      const outcome = make(dialect)(tool.parameters)
      if (Either.isRight(outcome)) translated.set(tool.name, outcome.right)
      else problems.push(...outcome.left.problems.map((problem) => invalid(tool, problem)))
    }
    const heaviest = [...toolkit.tools].sort((one, other) => weight(translated, other) - weight(translated, one))[0]
    if (dialect !== "plain" && heaviest !== undefined && problems.length === 0) {
      const together = Translate.excessOf(dialect, [...translated.values()].map(({ size }) => size))
      problems.push(...together.map((problem) => invalid(heaviest, problem)))
    }
    return problems.length === 0 ? Effect.succeed(translated) : Effect.fail(new Toolkit.InvalidToolkit({ problems }))
  })

const weight = (translated: ReadonlyMap<string, Translated<unknown>>, tool: Tool.Any): number => {
  const size = translated.get(tool.name)?.size
  return size === undefined ? 0 : size.optional + size.unions
}
