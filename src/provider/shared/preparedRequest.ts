/**
 * A request made ready to be written: every JSON Schema that goes over the wire is made here, for tools and for structured
 * output, and nowhere else; and what an API cannot say is judged here, by one rule for all of them.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as ModelError from "../../error/ModelError.ts"
import type * as LanguageModel from "../../model/LanguageModel.ts"
import * as Prompt from "../../model/Prompt.ts"
import type { Dialects } from "../../model/Response.ts"
import * as SchemaDialect from "../../model/SchemaDialect.ts"
import type * as Toolkit from "../../model/Toolkit.ts"
import { type IdRule, portable } from "./portableHistory.ts"
import * as schemaFloor from "./schemaFloor.ts"

/** Whether the reply is wanted whole, as it comes, or as it comes and kept meanwhile, so that it can be gone on with. */
export type Kind = "generate" | "stream" | "background"

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
export interface PreparedRequest {
  readonly request: LanguageModel.Request
  readonly kind: Kind
  /** Whose state in the prompt is ours to send back. */
  readonly provider: string
  readonly tools: ReadonlyArray<ToolDefinition>
  readonly format: Format | undefined
  /** How the schemas of both are written; `"plain"` where there is nothing to write. */
  readonly dialects: Dialects
  /** A call of the reply in the words of the toolkit; absent where the wire has the same. */
  readonly restoreCall: RestoreCall | undefined
}

/** A call as the model wrote it, with the tool's own name and the names of its own properties. */
export type RestoreCall = (name: string, json: string) => { readonly name: string; readonly arguments: string }

/** What the wire of an API takes of names and schemas. */
export interface Wire {
  readonly ids: IdRule
  /** The letters of a tool's name. */
  readonly toolName: RegExp
  readonly floor: schemaFloor.Floor
  /** The most characters that the description of a tool may have. */
  readonly longestDescription?: number | undefined
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
  readonly wire: Wire
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
    cause: { name: "RequestCheck", message: [...told, ...chosen].join(" ").replace(/\.$/, "") }
  })
}

/** An answer is read as it was written, so the names in it are its own. */
const formatFloor = ({ floor: { numericEnums, references } }: Wire): schemaFloor.Floor => ({ numericEnums, references })

/** A format is written once for each wire, as a toolkit is. */
const formats = new WeakMap<JsonSchema, Map<Wire, Either.Either<JsonSchema, Problem>>>()

const formatSchema = (jsonSchema: JsonSchema, wire: Wire): Either.Either<JsonSchema, Problem> => {
  const known = formats.get(jsonSchema)?.get(wire)
  if (known !== undefined) return known
  const written = Either.map(schemaFloor.lay(jsonSchema, formatFloor(wire)), ({ schema }) => schema)
  formats.set(jsonSchema, (formats.get(jsonSchema) ?? new Map<Wire, typeof written>()).set(wire, written))
  return written
}

const formatOf = (
  { description, name, schema }: LanguageModel.ResponseFormat,
  api: Api
): Either.Either<Format, ModelError.ModelError> => {
  const refused = (problems: ReadonlyArray<Problem>) =>
    unwritable(api, "responseFormat", "output", problems.map((problem) => ["responseFormat.schema", problem]))
  return SchemaDialect.make(api.dialects.output)(schema).pipe(
    Either.mapLeft(({ problems }) => refused(problems)),
    Either.flatMap(({ jsonSchema }): Either.Either<JsonSchema, ModelError.ModelError> =>
      api.dialects.output === "plain"
        ? Either.mapLeft(formatSchema(jsonSchema, api.wire), (problem) => refused([problem]))
        : Either.right(jsonSchema)
    ),
    Either.map((written) => ({ name, description, schema: written }))
  )
}

/** The tools of a toolkit as one wire has them, and the way back. */
interface Offered {
  readonly definitions: ReadonlyArray<ToolDefinition>
  /** The names on the wire of tools that have others, by their own. */
  readonly toolNames: ReadonlyMap<string, string>
  /** The names on the wire of properties that have others, by the tool's own name. */
  readonly propertyNames: ReadonlyMap<string, ReadonlyMap<string, string>>
}

const noNames: ReadonlyMap<string, string> = new Map()

const noTools: Offered = { definitions: [], toolNames: new Map(), propertyNames: new Map() }

/** A toolkit is translated once for each wire and dialect. */
const translated = new WeakMap<Toolkit.Any, Map<Wire, Map<SchemaDialect.Dialect, Offered>>>()

const isTaken = (name: string, { toolName }: Wire): boolean => toolName.test(name)

/** Names that the wire refuses begin with what it takes, and stay apart from all others. */
const toolNamesFor = (names: ReadonlyArray<string>, wire: Wire): ReadonlyMap<string, string> => {
  const taken = new Set(names)
  return new Map(names.flatMap((name): ReadonlyArray<readonly [string, string]> => {
    if (isTaken(name, wire)) return []
    const base = `_${name.replace(/[^a-zA-Z0-9_-]/g, "_")}`.slice(0, 60)
    let fitting = base
    for (let next = 2; taken.has(fitting); next++) fitting = `${base}_${next}`
    taken.add(fitting)
    return [[name, fitting]]
  }))
}

/** The schemas of a toolkit's tools by name: the tools' own, or those of the dialect. */
const schemasOf = (
  toolkit: Toolkit.Any,
  api: Api
): Effect.Effect<ReadonlyMap<string, { readonly jsonSchema: JsonSchema }>, ModelError.ModelError> =>
  api.dialects.tools === "plain"
    ? Effect.succeed(new Map())
    : Effect.mapError(
      SchemaDialect.forToolkit(api.dialects.tools, toolkit),
      ({ problems }) => unwritable(api, "tools", "tools", problems.map((problem) => [`tools.${problem.tool}`, problem]))
    )

/** Goes on with a description where it says more than a wire takes. */
const more = "[…]"

/** The description in the words of the wire: what it takes no more of goes on at the parameters, so nothing is lost. */
const withDescription = (definition: ToolDefinition, { longestDescription: most }: Wire): ToolDefinition => {
  const { description, parameters } = definition
  if (most === undefined || description === undefined || description.length <= most) return definition
  const room = most - more.length - 1
  const space = description.slice(0, room + 1).search(/\s\S*$/)
  const end = space > room / 2 ? space : room
  const rest = `${more} ${description.slice(end).trim()}`
  const { description: own } = parameters
  return {
    ...definition,
    description: `${description.slice(0, end)} ${more}`,
    parameters: { ...parameters, description: typeof own === "string" ? `${rest}\n\n${own}` : rest }
  }
}

const offer = (
  toolkit: Toolkit.Any,
  api: Api,
  schemas: ReadonlyMap<string, { readonly jsonSchema: JsonSchema }>
): Either.Either<Offered, ModelError.ModelError> => {
  const toolNames = toolNamesFor(toolkit.definitions.map(({ name }) => name), api.wire)
  const propertyNames = new Map<string, ReadonlyMap<string, string>>()
  const definitions: Array<ToolDefinition> = []
  const problems: Array<readonly [root: string, problem: Problem]> = []
  for (const { description, name, parameters } of toolkit.definitions) {
    const written = schemas.get(name)?.jsonSchema
    const floored = written === undefined
      ? schemaFloor.lay(parameters, api.wire.floor)
      : Either.right({ schema: written, names: noNames })
    if (Either.isLeft(floored)) {
      problems.push([`tools.${name}`, floored.left])
      continue
    }
    const { names, schema } = floored.right
    if (names.size > 0) propertyNames.set(name, names)
    definitions.push(
      withDescription({ name: toolNames.get(name) ?? name, description, parameters: schema }, api.wire)
    )
  }
  return problems.length === 0
    ? Either.right({ definitions, toolNames, propertyNames })
    : Either.left(unwritable(api, "tools", "tools", problems))
}

const offeredOf = (toolkit: Toolkit.Any, api: Api): Effect.Effect<Offered, ModelError.ModelError> => {
  const { dialects: { tools: dialect }, wire } = api
  const known = translated.get(toolkit)?.get(wire)?.get(dialect)
  if (known !== undefined) return Effect.succeed(known)
  return Effect.map(Effect.flatMap(schemasOf(toolkit, api), (schemas) => offer(toolkit, api, schemas)), (offered) => {
    const ofToolkit = translated.get(toolkit) ?? new Map<Wire, Map<SchemaDialect.Dialect, Offered>>()
    const ofWire = ofToolkit.get(wire) ?? new Map<SchemaDialect.Dialect, Offered>()
    translated.set(toolkit, ofToolkit.set(wire, ofWire.set(dialect, offered)))
    return offered
  })
}

const turned = (names: ReadonlyMap<string, string>): ReadonlyMap<string, string> =>
  new Map([...names].map(([own, onWire]) => [onWire, own]))

/** The way back of all names that are others on the wire. */
const restoreCallOf = ({ propertyNames, toolNames }: Offered): RestoreCall | undefined => {
  if (propertyNames.size === 0 && toolNames.size === 0) return undefined
  const ownNames = turned(toolNames)
  const ownProperties = new Map([...propertyNames].map(([tool, names]) => [tool, turned(names)]))
  return (onWire, json) => {
    const name = ownNames.get(onWire) ?? onWire
    return { name, arguments: schemaFloor.renameKeys(json, ownProperties.get(name) ?? noNames) }
  }
}

/** The request in the names and ids of the wire. */
const onWire = (
  request: LanguageModel.Request,
  { propertyNames, toolNames }: Offered,
  wire: Wire
): LanguageModel.Request => {
  const toolName = (name: string): string =>
    toolNames.get(name) ?? (isTaken(name, wire) ? name : toolNamesFor([name], wire).get(name) ?? name)
  const prompt = portable(Prompt.make(request.prompt), {
    ids: wire.ids,
    toolName,
    toolArguments: (name, json) => schemaFloor.renameKeys(json, propertyNames.get(name) ?? noNames)
  })
  const { toolChoice } = request
  return typeof toolChoice === "object"
    ? { ...request, prompt, toolChoice: { ...toolChoice, tool: toolName(toolChoice.tool) } }
    : { ...request, prompt }
}

/** The request with its schemas, or why it cannot be sent. */
export const prepare = (
  request: LanguageModel.Request,
  kind: Kind,
  api: Api
): Effect.Effect<PreparedRequest, ModelError.ModelError> => {
  const { responseFormat, tools: toolkit } = request
  const refused = unsupported(request, api)
  if (refused !== undefined) return Effect.fail(refused)
  const ready = (offered: Offered, format: Format | undefined): PreparedRequest => {
    const tools = offered.definitions
    return {
      request: onWire(request, offered, api.wire),
      kind,
      provider: api.provider,
      tools,
      format,
      dialects: {
        tools: tools.length === 0 ? "plain" : api.dialects.tools,
        output: format === undefined ? "plain" : api.dialects.output
      },
      restoreCall: restoreCallOf(offered)
    }
  }
  return Effect.flatMap(
    toolkit === undefined ? Effect.succeed(noTools) : offeredOf(toolkit, api),
    (offered): Either.Either<PreparedRequest, ModelError.ModelError> =>
      responseFormat === undefined
        ? Either.right(ready(offered, undefined))
        : Either.map(formatOf(responseFormat, api), (format) => ready(offered, format))
  )
}

/** For an API that takes nothing but a schema: its description stands inside, unless the schema has one. */
export const describedSchema = ({ description, schema }: Format): JsonSchema =>
  description === undefined || schema["description"] !== undefined ? schema : { ...schema, description }
