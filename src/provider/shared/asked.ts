/**
 * A request made ready to be written: every JSON Schema that goes over the wire is made here, for tools and for structured
 * output, and nowhere else; and what an API cannot say is judged here, by one rule for all of them.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as ModelError from "../../error/ModelError.ts"
import type * as LanguageModel from "../../model/LanguageModel.ts"
import type { Dialects } from "../../model/Response.ts"
import * as SchemaDialect from "../../model/SchemaDialect.ts"
import type * as Toolkit from "../../model/Toolkit.ts"

/** Whether the reply is wanted whole or as it comes. */
export type Kind = "generate" | "stream"

type JsonSchema = { readonly [keyword: string]: unknown }

/** A tool as the wire is told of it. */
export interface ToolDefinition {
  readonly name: string
  readonly description?: string | undefined
  readonly parameters: JsonSchema
}

/** The form of the answer as the wire is told of it. */
export interface Format {
  readonly name: string
  readonly description?: string | undefined
  readonly schema: JsonSchema
}

/** A request with its schemas. */
export interface Asked {
  readonly request: LanguageModel.Request
  readonly kind: Kind
  /** Whose state in the prompt is ours to send back. */
  readonly provider: string
  readonly tools: ReadonlyArray<ToolDefinition>
  readonly format: Format | undefined
  /** How the schemas of both are written; `"plain"` where there is nothing to write. */
  readonly dialects: Dialects
}

/** What would change the meaning of a reply if it were left out. What only loosens is never refused. */
const meanings = {
  stop: {
    isAsked: ({ stop }: LanguageModel.Request) => stop !== undefined && stop.length > 0,
    words: "no stop"
  },
  parallelToolCalls: {
    isAsked: ({ parallelToolCalls, toolChoice, tools }: LanguageModel.Request) =>
      parallelToolCalls === false && toolChoice !== "none" && tools !== undefined && tools.tools.length > 0,
    words: "no way to forbid parallel tool calls"
  }
} as const

/** An option that an API may lack. */
export type Lacking = keyof typeof meanings

/** Who is asked, and what that API lacks. */
export interface Api {
  readonly provider: string
  readonly model: string
  /** As a sentence names it: "the Responses API". */
  readonly api: string
  readonly lacks: ReadonlyArray<Lacking>
  /** How schemas are to be written. */
  readonly dialects: Dialects
}

const unsupported = (request: LanguageModel.Request, api: Api): ModelError.ModelError | undefined => {
  const feature = api.lacks.find((each) => meanings[each].isAsked(request))
  return feature === undefined ? undefined : new ModelError.UnsupportedFeature({
    provider: api.provider,
    model: api.model,
    billed: "no",
    feature,
    detail: `${api.api} has ${meanings[feature].words}; a server that has it can be given it in providerOptions`
  })
}

interface Problem {
  readonly path: ReadonlyArray<string | number>
  readonly problem: string
  readonly remedy: string
}

/** What cannot be written, each with its place and the way out, and where the dialect is chosen. */
const unwritable = (
  api: Api,
  param: "responseFormat" | "tools",
  option: keyof Dialects,
  problems: ReadonlyArray<readonly [root: string, problem: Problem]>
): ModelError.ModelError => {
  const told = problems.map(([root, { path, problem, remedy }]) =>
    `${[root, ...path].join(".")}: ${problem}. ${remedy}`
  )
  const { [option]: dialect } = api.dialects
  const chosen = dialect === "plain"
    ? []
    : [`The dialect ${JSON.stringify(dialect)} is the provider's option or default dialects.${option}.`]
  return new ModelError.InvalidRequest({
    provider: api.provider,
    model: api.model,
    param,
    billed: "no",
    cause: { name: "RequestCheck", message: [...told, ...chosen].join(" ") }
  })
}

const formatOf = (
  { description, name, schema }: LanguageModel.ResponseFormat,
  api: Api
): Either.Either<Format, ModelError.ModelError> =>
  Either.mapBoth(SchemaDialect.make(api.dialects.output)(schema), {
    onLeft: ({ problems }) =>
      unwritable(
        api,
        "responseFormat",
        "output",
        problems.map((problem) => ["responseFormat.schema", problem])
      ),
    onRight: ({ jsonSchema }) => ({ name, description, schema: jsonSchema })
  })

type Definitions = ReadonlyArray<ToolDefinition>

/** A toolkit is translated once for each dialect. */
const translated = new WeakMap<Toolkit.Any, Map<SchemaDialect.Dialect, Definitions>>()

const definitionsOf = (toolkit: Toolkit.Any, api: Api): Effect.Effect<Definitions, ModelError.ModelError> => {
  const { tools: dialect } = api.dialects
  if (dialect === "plain") {
    return Effect.succeed(
      toolkit.definitions.map(({ description, name, parameters }) => ({ name, description, parameters }))
    )
  }
  const known = translated.get(toolkit)?.get(dialect)
  if (known !== undefined) return Effect.succeed(known)
  return SchemaDialect.forToolkit(dialect, toolkit).pipe(
    Effect.mapBoth({
      onFailure: ({ problems }) =>
        unwritable(api, "tools", "tools", problems.map((problem) => [`tools.${problem.tool}`, problem])),
      onSuccess: (schemas) => {
        const definitions = toolkit.definitions.map(({ description, name, parameters }) => ({
          name,
          description,
          parameters: schemas.get(name)?.jsonSchema ?? parameters
        }))
        const others = translated.get(toolkit) ?? new Map<SchemaDialect.Dialect, Definitions>()
        translated.set(toolkit, others.set(dialect, definitions))
        return definitions
      }
    })
  )
}

/** The request with its schemas, or why it cannot be sent. */
export const prepare = (
  request: LanguageModel.Request,
  kind: Kind,
  api: Api
): Effect.Effect<Asked, ModelError.ModelError> =>
  Effect.gen(function*() {
    const { responseFormat, tools: toolkit } = request
    const refused = unsupported(request, api)
    if (refused !== undefined) return yield* refused
    const tools = toolkit === undefined ? [] : yield* definitionsOf(toolkit, api)
    const format = responseFormat === undefined ? undefined : yield* formatOf(responseFormat, api)
    const dialects = {
      tools: tools.length === 0 ? "plain" : api.dialects.tools,
      output: format === undefined ? "plain" : api.dialects.output
    } as const
    return { request, kind, provider: api.provider, tools, format, dialects }
  })

/** For an API that takes nothing but a schema: its description stands inside, unless the schema has one. */
export const describedSchema = ({ description, schema }: Format): JsonSchema =>
  description === undefined || schema["description"] !== undefined ? schema : { ...schema, description }
