/**
 * Tools whose schemas are plain JSON Schema, as MCP servers list them. A call of such a tool passes the same gates and
 * fails with the same `InvalidArguments` as that of a tool made with Effect Schema.
 *
 * The schema is taken as a stranger's. It is compiled by ajv, which writes a JavaScript function for it (`new Function`, so
 * this module does not run where a content security policy forbids that). Nothing is ever fetched. Patterns are matched in
 * linear time and the work on one value is bounded, so that no schema and no value can hold up the program.
 *
 * The editions of JSON Schema are told apart by `$schema`: draft 4, 6, 7, 2019-09, 2020-12. Without it the schema is read
 * as 2020-12 where it uses words that draft 7 does not know, else as draft 7. Values are judged as they are: nothing is
 * coerced, no default is filled in. `format` and unknown keywords are passed over. Parameters that the schema does not
 * name are refused only where it says so (`additionalProperties: false`), since whether they are excess is for their
 * server to say; tools made with Effect Schema always refuse them.
 *
 * Needs the optional peer `ajv`: `npm install ajv`.
 *
 * @example
 * import * as JsonSchema from "effect-llm-resilience/adapter/JsonSchema"
 * import * as ToolCall from "effect-llm-resilience/model/ToolCall"
 * import * as Toolkit from "effect-llm-resilience/model/Toolkit"
 * import * as Effect from "effect/Effect"
 *
 * // One entry of what an MCP server answers to `tools/list`
 * const listed = {
 *   name: "git_log",
 *   description: "Shows the commit logs",
 *   inputSchema: {
 *     type: "object",
 *     properties: { repo_path: { type: "string" }, max_count: { type: "integer", minimum: 1 } },
 *     required: ["repo_path"]
 *   }
 * }
 *
 * const program = Effect.gen(function*() {
 *   const gitLog = yield* JsonSchema.tool(listed.name, { ...listed, access: "read-only" })
 *   const toolkit = yield* Toolkit.make(gitLog)
 *   const call = { _tag: "ToolCall", id: "call_1", name: "git_log", arguments: "{\"max_count\":0}" } as const
 *   return yield* ToolCall.decodeOne(toolkit, call, "tool-calls")
 * })
 *
 * Effect.runPromise(Effect.flip(program)).then((error) => console.log(error._tag)) // InvalidArguments
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import type * as AST from "effect/SchemaAST"
import * as Verdict from "../error/Verdict.ts"
import { isRecord } from "../internal/record.ts"
import { visible } from "../internal/redact.ts"
import { scrubbed } from "../internal/scrubbed.ts"
import * as Tool from "../model/Tool.ts"
import * as Compiled from "./jsonSchema/compile.ts"
import * as Document from "./jsonSchema/document.ts"
import { toParseIssue } from "./jsonSchema/issues.ts"

/**
 * The bounds: `maxValues` and `maxDepth` on the values of a schema; `maxWork` on holding one value against it, in words of
 * the schema visited and characters matched (about 50 ms); `explainedValues` on the size of a value for which all faults
 * are told, instead of the first.
 *
 * @since 0.1.0
 * @category defaults
 */
export const defaults: {
  readonly maxValues: number
  readonly maxDepth: number
  readonly maxWork: number
  readonly explainedValues: number
} = {
  maxValues: Document.limits.values,
  maxDepth: Document.limits.depth,
  maxWork: Compiled.budget,
  explainedValues: Compiled.explainedValues
}

/**
 * A JSON Schema that no value can be held against. `path` leads to the keyword at fault; `remedy` is the way out.
 *
 * @since 0.1.0
 * @category errors
 */
export class InvalidJsonSchema extends scrubbed(
  Schema.TaggedError<InvalidJsonSchema>()("InvalidJsonSchema", {
    path: Schema.Array(Schema.Union(Schema.String, Schema.JsonNumber)),
    problem: Schema.String,
    remedy: Schema.String
  })
) {
  override get message(): string {
    const place = this.path.length === 0 ? "" : ` (at ${this.path.join(".")})`
    return visible(`JSON Schema${place}: ${this.problem}. ${this.remedy}`)
  }
  [Verdict.symbol](): Verdict.Verdict {
    return Verdict.make("Fail")
  }
}

/**
 * How a schema is compiled.
 *
 * @since 0.1.0
 * @category models
 */
export interface SchemaOptions {
  /**
   * What matches `pattern` and the keys of `patternProperties`. The default takes linear time and refuses, when the schema
   * is compiled, what needs more: references to groups, and looking ahead or behind. For a schema that you trust:
   * `(pattern) => new RegExp(pattern, "u")`. What your engine does is not bounded.
   */
  readonly patterns?: ((pattern: string) => { readonly test: (text: string) => boolean }) | undefined
}

const tooCostly = "would take too long to check against its schema; send less"

/** Only a root that is sure to be an object has a JSON Schema to offer to a model, so the rest gets none. */
const declared = <A>(
  { check, root }: Compiled.Compiled,
  is: (value: unknown) => value is A,
  jsonSchema: Document.Json | undefined
): Schema.Schema<A> => {
  const judge = (value: unknown, _: AST.ParseOptions, ast: AST.Declaration) => {
    const finding = check(value)
    if (finding === "tooCostly") return ParseResult.fail(new ParseResult.Type(ast, value, tooCostly))
    if (finding !== "fits") return ParseResult.fail(toParseIssue(ast, value, finding, root))
    return is(value)
      ? ParseResult.succeed(value)
      : ParseResult.fail(new ParseResult.Type(ast, value, "must be a JSON object"))
  }
  const coder = { decode: () => judge, encode: () => judge }
  return Schema.declare([], coder, jsonSchema === undefined ? {} : { jsonSchema: { ...jsonSchema } })
}

const anything = (_: unknown): _ is unknown => true

const compile = (json: unknown, options: SchemaOptions | undefined) =>
  Either.flatMap(
    Document.read(json),
    (document) => Either.map(Compiled.compile(document, options?.patterns), (compiled) => ({ document, compiled }))
  )

/**
 * An Effect schema that takes exactly the values that a JSON Schema takes, and gives them back as they are. Its issues are
 * like those of other schemas: `Missing`, `Unexpected`, a wrong type, a broken rule, each at its path.
 *
 * Fails with `InvalidJsonSchema` for what is no JSON Schema, refers to something outside of it or round in a circle, is
 * beyond the bounds of {@link defaults}, or has a pattern that cannot be matched in linear time or, with the others of the schema, is too large.
 *
 * @since 0.1.0
 * @category constructors
 */
export const schema = (
  jsonSchema: unknown,
  options?: SchemaOptions
): Effect.Effect<Schema.Schema<unknown>, InvalidJsonSchema> =>
  Effect.suspend(() =>
    Either.mapBoth(compile(jsonSchema, options), {
      onLeft: (fault) => new InvalidJsonSchema(fault),
      onRight: ({ compiled, document }) =>
        declared(compiled, anything, isRecord(document.schema) ? document.schema : undefined)
    })
  )

/**
 * What a tool with plain JSON Schemas is made from; an entry of an MCP server's tool list has the first three. Whether the
 * tool only reads is for the caller to say: a server's `readOnlyHint` is a hint, and is not asked here.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options<Timeout extends Duration.DurationInput | undefined = Duration.DurationInput | undefined>
  extends
    Omit<Tool.Options<Schema.Schema.AnyNoContext, Schema.Schema.AnyNoContext, Timeout>, "parameters" | "success">,
    SchemaOptions
{
  /** The arguments: a JSON Schema of an object. */
  readonly inputSchema: unknown
  /** What the handler answers, as JSON. Default: anything. */
  readonly outputSchema?: unknown
}

/**
 * A tool as {@link tool} makes it.
 *
 * @since 0.1.0
 * @category models
 */
export interface JsonTool<
  out Name extends string,
  out Failure extends Schema.Schema.AnyNoContext | undefined,
  out Mode extends Tool.OnFailure,
  out Timeout extends Duration.DurationInput | undefined
> extends
  Tool.Tool<
    Name,
    Schema.Schema<{ readonly [name: string]: unknown }>,
    Schema.Schema<unknown>,
    Failure,
    Mode,
    Timeout
  >
{}

/** What keeps a schema from being one of a tool's arguments; where it says nothing of the kind, that is added to it. */
const asArguments = (root: Document.Json | boolean): Either.Either<Document.Json, Document.Fault> => {
  const refuse = (problem: string) =>
    Either.left({
      path: [],
      problem,
      remedy: "The arguments of a tool are a JSON object: give the schema type: \"object\"."
    })
  if (root === false) return refuse("the input schema takes nothing at all")
  const given = root === true ? {} : root
  const { $ref, ...rest } = given
  // Some providers pass over what stands beside a $ref.
  const whole = $ref === undefined
    ? given
    : { ...rest, allOf: [{ $ref }, ...(Array.isArray(rest.allOf) ? rest.allOf : [])] }
  const { type } = given
  return type === undefined || type === "object" || (Array.isArray(type) && type.includes("object"))
    ? Either.right({ ...whole, type: "object" })
    : refuse(`the input schema is of type ${JSON.stringify(type)}`)
}

const compileTool = (name: string, options: Options) => {
  const refuse = (at: ReadonlyArray<string>) => (fault: Document.Fault) =>
    new Tool.InvalidTool({ tool: name, ...fault, path: [...at, ...fault.path] })
  return Either.gen(function*() {
    const parameters = yield* Either.flatMap(
      compile(options.inputSchema, options),
      ({ compiled, document }) =>
        Either.map(asArguments(document.schema), (jsonSchema) => declared(compiled, isRecord, jsonSchema))
    ).pipe(Either.mapLeft(refuse([])))
    const success = options.outputSchema === undefined
      ? Schema.Unknown
      : yield* Either.mapBoth(compile(options.outputSchema, options), {
        onLeft: refuse(["outputSchema"]),
        onRight: ({ compiled }) => declared(compiled, anything, undefined)
      })
    return { parameters, success }
  })
}

/**
 * A tool with plain JSON Schemas. `Tool.jsonSchema` gives providers the schema it came with, without `$schema` and `$id`
 * and with `type: "object"` at its root. The other options are those of `Tool.make`.
 *
 * Fails with `InvalidTool` for an input or output schema that {@link schema} refuses, and for an input schema that is not
 * one of an object. The path starts with `outputSchema` for that one.
 *
 * @since 0.1.0
 * @category constructors
 */
export function tool<
  const Name extends string,
  Failure extends Schema.Schema.AnyNoContext | undefined = undefined,
  const Timeout extends Duration.DurationInput | undefined = undefined
>(
  name: Name,
  options: Options<Timeout> & Tool.Telling<Failure>
): Effect.Effect<JsonTool<Name, Failure, "tell", Timeout>, Tool.InvalidTool>
export function tool<
  const Name extends string,
  const Timeout extends Duration.DurationInput | undefined = undefined
>(
  name: Name,
  options: Options<Timeout> & Tool.Raising
): Effect.Effect<JsonTool<Name, undefined, "raise", Timeout>, Tool.InvalidTool>
export function tool(
  name: string,
  options: Options & (Tool.Raising | Tool.Telling<Schema.Schema.AnyNoContext | undefined>)
): Effect.Effect<Tool.Any, Tool.InvalidTool> {
  return Effect.suspend(() =>
    Either.map(compileTool(name, options), (schemas) => {
      const { access, description, repairs, timeout } = options
      const common = { ...schemas, description, access, repairs, timeout }
      return options.onFailure === "tell"
        ? Tool.make(name, { ...common, onFailure: options.onFailure, failure: options.failure })
        : Tool.make(name, common)
    })
  )
}
