/**
 * The tools that a model may call in one request, and the handlers that run them.
 *
 * @example
 * import * as Tool from "effect-llm-resilience/model/Tool"
 * import * as ToolCall from "effect-llm-resilience/model/ToolCall"
 * import * as Toolkit from "effect-llm-resilience/model/Toolkit"
 * import * as Effect from "effect/Effect"
 * import * as Schema from "effect/Schema"
 *
 * const add = Tool.make("add", { parameters: Schema.Struct({ a: Schema.Number, b: Schema.Number }) })
 *
 * const program = Effect.gen(function*() {
 *   const toolkit = yield* Toolkit.make(add)
 *   const handlers = { add: (sum: { readonly a: number; readonly b: number }) => Effect.succeed(sum.a + sum.b) }
 *   const call = { _tag: "ToolCall", id: "call_1", name: "add", arguments: "{\"a\":2,\"b\":3}" } as const
 *   const decoded = yield* ToolCall.decodeOne(toolkit, call, "tool-calls")
 *   return yield* Toolkit.run(toolkit, handlers, decoded)
 * })
 *
 * Effect.runPromise(program).then((result) => console.log(result.content)) // 5
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import * as Verdict from "../error/Verdict.ts"
import { excerpt } from "../internal/redact.ts"
import * as Tool from "./Tool.ts"

/**
 * The mark of toolkits.
 *
 * @since 0.1.0
 * @category symbols
 */
export const TypeId: unique symbol = Symbol.for("effect-llm-resilience/Toolkit")

/**
 * The mark of toolkits.
 *
 * @since 0.1.0
 * @category symbols
 */
export type TypeId = typeof TypeId

/**
 * What a provider is told about a tool.
 *
 * @since 0.1.0
 * @category models
 */
export interface Definition {
  readonly name: string
  readonly description: string | undefined
  readonly parameters: Tool.JsonSchema
}

/**
 * Tools that have been checked: their names are different and allowed everywhere, and each has a JSON Schema.
 *
 * @since 0.1.0
 * @category models
 */
export interface Toolkit<out Tools extends ReadonlyArray<Tool.Any>> {
  readonly [TypeId]: TypeId
  /** The tools, in the order given. */
  readonly tools: Tools
  /** What providers are told about them, in the same order. */
  readonly definitions: ReadonlyArray<Definition>
}

/**
 * Any toolkit.
 *
 * @since 0.1.0
 * @category models
 */
export interface Any extends Toolkit<ReadonlyArray<Tool.Any>> {}

/**
 * One call whose arguments have been decoded.
 *
 * @since 0.1.0
 * @category models
 */
export interface Call<out Name extends string = string, out Arguments = unknown> {
  /** The id the provider gave to the call; the result carries it back. */
  readonly id: string
  readonly name: Name
  readonly arguments: Arguments
  /** The arguments as the model wrote them. */
  readonly raw: string
}

/**
 * A decoded call of one of several tools: a union that is told apart by `name`.
 *
 * @since 0.1.0
 * @category models
 */
export type CallOf<Tools extends ReadonlyArray<Tool.Any>> = {
  readonly [T in Tools[number] as Tool.Name<T>]: Call<Tool.Name<T>, Tool.Parameters<T>>
}[Tool.Name<Tools[number]>]

/**
 * One handler for each tool: from the decoded arguments to an effect that succeeds with what the tool answers. `E` and
 * `R` are what the handlers may fail with and what they need.
 *
 * @since 0.1.0
 * @category models
 */
export type Handlers<Tools extends ReadonlyArray<Tool.Any>, E = never, R = never> = {
  readonly [T in Tools[number] as Tool.Name<T>]: (
    parameters: Tool.Parameters<T>
  ) => Effect.Effect<Tool.Success<T>, E, R>
}

type Answer<H> = H[keyof H] extends (...args: never) => infer Result ? Result : never

/**
 * What a set of handlers can fail with.
 *
 * @since 0.1.0
 * @category models
 */
export type HandlersError<H> = Answer<H> extends Effect.Effect<infer _A, infer E, infer _R> ? E : never

/**
 * What a set of handlers needs.
 *
 * @since 0.1.0
 * @category models
 */
export type HandlersContext<H> = Answer<H> extends Effect.Effect<infer _A, infer _E, infer R> ? R : never

/**
 * What came of one call: the text for the model, and the handler's own value.
 *
 * @since 0.1.0
 * @category models
 */
export interface Result<out Name extends string = string, out Value = unknown> {
  /** The id of the call this answers. */
  readonly id: string
  readonly name: Name
  /** What the model reads: text as it is, anything else as JSON. */
  readonly content: string
  readonly isError: false
  readonly value: Value
}

/**
 * The result of running one of several tools: a union that is told apart by `name`.
 *
 * @since 0.1.0
 * @category models
 */
export type ResultOf<Tools extends ReadonlyArray<Tool.Any>> = {
  readonly [T in Tools[number] as Tool.Name<T>]: Result<Tool.Name<T>, Tool.Success<T>>
}[Tool.Name<Tools[number]>]

/**
 * Tools that cannot form a toolkit, with everything that is wrong with them.
 *
 * @since 0.1.0
 * @category errors
 */
export class InvalidToolkit extends Schema.TaggedError<InvalidToolkit>()("InvalidToolkit", {
  problems: Schema.Array(Tool.InvalidTool)
}) {
  override get message(): string {
    return this.problems.map((problem) => problem.message).join("\n")
  }
  [Verdict.symbol](): Verdict.Verdict {
    return Verdict.make("Fail")
  }
}

/**
 * A handler that is not there, or whose answer cannot be written as text. It is a mistake in the program and neither the
 * model's nor the tool's failure; types rule most of it out.
 *
 * @since 0.1.0
 * @category errors
 */
export class InvalidHandler extends Schema.TaggedError<InvalidHandler>()("InvalidHandler", {
  callId: Schema.String,
  tool: Schema.String,
  problem: Schema.String,
  remedy: Schema.String
}) {
  override get message(): string {
    return `Handler of ${JSON.stringify(this.tool)}: ${this.problem}. ${this.remedy}`
  }
  [Verdict.symbol](): Verdict.Verdict {
    return Verdict.make("Fail", { billed: "yes" })
  }
}

/**
 * No tools at all.
 *
 * @since 0.1.0
 * @category constructors
 */
export const empty: Toolkit<readonly []> = { [TypeId]: TypeId, tools: [], definitions: [] }

const namePattern = /^[a-zA-Z0-9_-]{1,64}$/

const nameProblems = (
  tool: Tool.Any,
  index: number,
  tools: ReadonlyArray<Tool.Any>
): ReadonlyArray<Tool.InvalidTool> => {
  const problem = (problem: string, remedy: string) => [
    new Tool.InvalidTool({ tool: tool.name, path: [], problem, remedy })
  ]
  if (!namePattern.test(tool.name)) {
    return problem(
      "the name is not one that every provider takes",
      "Use 1 to 64 of the characters a-z, A-Z, 0-9, _ and -."
    )
  }
  if (tool.name in Object.prototype) {
    return problem("the name is a member of every JavaScript object", "Choose another name.")
  }
  const first = tools.findIndex((other) => other.name === tool.name)
  return first === index
    ? []
    : problem(
      `the name is taken by tool ${first + 1} of this toolkit (this is tool ${index + 1})`,
      "Rename one of them."
    )
}

/**
 * A toolkit of these tools, or everything that is wrong with them: a name twice, a name some provider refuses, a name
 * like `constructor` or `__proto__`, parameters without a JSON Schema, or parameters that are not an object.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <const Tools extends ReadonlyArray<Tool.Any>>(
  ...tools: Tools
): Effect.Effect<Toolkit<Tools>, InvalidToolkit> =>
  Effect.suspend(() => {
    const problems: Array<Tool.InvalidTool> = []
    const definitions: Array<Definition> = []
    tools.forEach((tool, index) => {
      problems.push(...nameProblems(tool, index, tools))
      const parameters = Tool.jsonSchema(tool)
      if (parameters._tag === "Left") problems.push(parameters.left)
      else definitions.push({ name: tool.name, description: tool.description, parameters: parameters.right })
    })
    return problems.length === 0
      ? Effect.succeed({ [TypeId]: TypeId, tools, definitions })
      : Effect.fail(new InvalidToolkit({ problems }))
  })

/**
 * The tool of exactly this name. Names that every object has (`constructor`, `toString`, …) find nothing.
 *
 * @since 0.1.0
 * @category getters
 */
export const get = <Tools extends ReadonlyArray<Tool.Any>>(
  self: Toolkit<Tools>,
  name: string
): Option.Option<Tools[number]> => Option.fromNullable(self.tools.find((tool) => tool.name === name))

type Handler = (parameters: unknown) => Effect.Effect<unknown, unknown, unknown>

const ownHandler = (handlers: object, name: string): Handler | undefined => {
  const found: unknown = Object.hasOwn(handlers, name) ? Reflect.get(handlers, name) : undefined
  return isHandler(found) ? found : undefined
}

const isHandler = (value: unknown): value is Handler => typeof value === "function"

/** Text goes to the model as it is; quoting it as JSON would only cost tokens. */
const toText = (encoded: unknown): string => typeof encoded === "string" ? encoded : JSON.stringify(encoded) ?? "null"

const encode = (tool: Tool.Any, id: string, value: unknown): Effect.Effect<string, InvalidHandler> => {
  const refuse = (detail: string) =>
    new InvalidHandler({
      callId: id,
      tool: tool.name,
      problem: `its answer cannot be written as text: ${excerpt(detail, 300)}`,
      remedy: "Answer what the tool's success schema says, and give the tool a success schema with a JSON form."
    })
  return Schema.encode(tool.success)(value).pipe(
    Effect.mapError((error) => refuse(ParseResult.TreeFormatter.formatErrorSync(error))),
    Effect.flatMap((encoded) =>
      Effect.try({
        try: () => toText(encoded),
        catch: (cause) => refuse(cause instanceof Error ? cause.message : String(cause))
      })
    )
  )
}

/**
 * Runs the handler of one decoded call and writes its answer as text for the model: text as it is, anything else as JSON
 * through the tool's success schema. The handler's failures pass through as they are; `InvalidHandler` is added for a
 * handler that is missing or whose answer has no text.
 *
 * @since 0.1.0
 * @category combinators
 */
export function run<
  Tools extends ReadonlyArray<Tool.Any>,
  H extends Handlers<Tools, unknown, unknown>
>(
  toolkit: Toolkit<Tools>,
  handlers: H,
  call: CallOf<Tools>
): Effect.Effect<ResultOf<Tools>, HandlersError<H> | InvalidHandler, HandlersContext<H>>
export function run(
  toolkit: Any,
  handlers: object,
  call: Call
): Effect.Effect<Result, unknown, unknown> {
  return Effect.suspend(() => {
    const tool = Option.getOrUndefined(get(toolkit, call.name))
    const handler = ownHandler(handlers, call.name)
    if (tool === undefined || handler === undefined) {
      return Effect.fail(
        new InvalidHandler({
          callId: call.id,
          tool: call.name,
          problem: tool === undefined ? "the toolkit has no tool of this name" : "there is no handler for this tool",
          remedy: "Run a call with the toolkit that decoded it and with one handler for each of its tools."
        })
      )
    }
    return Effect.flatMap(
      handler(call.arguments),
      (value) =>
        Effect.map(encode(tool, call.id, value), (content): Result => ({
          id: call.id,
          name: call.name,
          content,
          isError: false,
          value
        }))
    )
  })
}
