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
import * as Schema from "effect/Schema"
import { found, InvalidOptions } from "../error/InvalidOptions.ts"
import type * as PolicyError from "../error/PolicyError.ts"
import * as Verdict from "../error/Verdict.ts"
import { visible } from "../internal/redact.ts"
import { scrubbed } from "../internal/scrubbed.ts"
import * as Tool from "./Tool.ts"
import { runHandler } from "./toolkit/runHandler.ts"
import { problemsOf } from "./toolkit/toolProblems.ts"

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
  /** What had to be mended in them, by the names of the repairs, in the order done. */
  readonly repairs: ReadonlyArray<string>
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
 * What a handler is told about the call it runs for.
 *
 * @since 0.1.0
 * @category models
 */
export interface HandlerContext {
  /** The id the provider gave to the call. */
  readonly callId: string
  /**
   * The same whenever the same call is run again, and no other call's: to send on with anything that must not happen
   * twice.
   */
  readonly idempotencyKey: string
}

/**
 * One handler for each tool: from the decoded arguments to an effect that succeeds with what the tool answers. `E` and
 * `R` are what the handlers may fail with and what they need. Whether a failure is told to the model or raised is said by
 * the tool.
 *
 * @since 0.1.0
 * @category models
 */
export type Handlers<Tools extends ReadonlyArray<Tool.Any>, E = never, R = never> = {
  readonly [T in Tools[number] as Tool.Name<T>]: (
    parameters: Tool.Parameters<T>,
    context: HandlerContext
  ) => Effect.Effect<Tool.Success<T>, E, R>
}

type Answer<H> = H[keyof H] extends (...args: never) => infer Result ? Result : never

/**
 * What a set of handlers can fail with, told or raised.
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

/** A tool without a time-out cannot time out, and one that tells tells its time-out too. */
type RaisedTimeout<T extends Tool.Any> = T["onFailure"] extends "tell" ? never
  : [T["timeout"]] extends [undefined] ? never
  : PolicyError.TimedOut

/**
 * What reaches the caller when these tools run with these handlers: the handlers' failures without those that the model
 * is told, and the time-outs of tools that raise them.
 *
 * @since 0.1.0
 * @category models
 */
export type Raised<Tools extends ReadonlyArray<Tool.Any>, H> = {
  readonly [T in Tools[number] as Tool.Name<T>]:
    | RaisedTimeout<T>
    | Exclude<HandlersError<Pick<H, keyof H & Tool.Name<T>>>, Tool.Failure<T>>
}[Tool.Name<Tools[number]>]

/**
 * A call whose handler succeeded: the text for the model, and the handler's own value.
 *
 * @since 0.1.0
 * @category models
 */
export interface Success<out Name extends string = string, out Value = unknown> {
  /** The id of the call this answers. */
  readonly id: string
  readonly name: Name
  /** What the model reads: text as it is, anything else as JSON. */
  readonly content: string
  readonly isError: false
  readonly value: Value
}

/**
 * A call whose handler failed in a way that the model is told: the text for the model, and the failure itself.
 *
 * @since 0.1.0
 * @category models
 */
export interface Failure<out Name extends string = string, out Error = unknown> {
  /** The id of the call this answers. */
  readonly id: string
  readonly name: Name
  /** What the model reads: credentials masked, at most about 2000 characters. */
  readonly content: string
  readonly isError: true
  readonly error: Error
}

/**
 * What came of one call.
 *
 * @since 0.1.0
 * @category models
 */
export type Result<Name extends string = string, Value = unknown, Error = unknown> =
  | Success<Name, Value>
  | Failure<Name, Error>

type Told<T extends Tool.Any> =
  | (T["failure"] extends undefined ? never
    : T["failure"] extends Schema.Schema.AnyNoContext ? Schema.Schema.Type<T["failure"]>
    : unknown)
  | ([T["timeout"]] extends [undefined] ? never : PolicyError.TimedOut)

type ResultOfTool<T extends Tool.Any> =
  | Success<Tool.Name<T>, Tool.Success<T>>
  | (T["onFailure"] extends "raise" ? never : Failure<Tool.Name<T>, Told<T>>)

/**
 * The result of running one of several tools: a union that is told apart by `name` and `isError`. Tools that raise their
 * failures have no failed result.
 *
 * @since 0.1.0
 * @category models
 */
export type ResultOf<Tools extends ReadonlyArray<Tool.Any>> = {
  readonly [T in Tools[number] as Tool.Name<T>]: ResultOfTool<T>
}[Tool.Name<Tools[number]>]

/**
 * Tools that cannot form a toolkit, with everything that is wrong with them.
 *
 * @since 0.1.0
 * @category errors
 */
export class InvalidToolkit extends scrubbed(
  Schema.TaggedError<InvalidToolkit>()("InvalidToolkit", {
    problems: Schema.Array(Tool.InvalidTool)
  })
) {
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
export class InvalidHandler extends scrubbed(
  Schema.TaggedError<InvalidHandler>()("InvalidHandler", {
    callId: Schema.String,
    tool: Schema.String,
    problem: Schema.String,
    remedy: Schema.String
  })
) {
  override get message(): string {
    return visible(`Handler of ${JSON.stringify(this.tool)}: ${this.problem}. ${this.remedy}`)
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

/**
 * A toolkit of these tools, or everything that is wrong with them: a name twice, a name some provider refuses, a name
 * like `constructor` or `__proto__`, parameters without a JSON Schema or that are not an object, or whose schema no provider
 * takes (it refers to what is not in it, or is no JSON), a lossy repair on a read-write tool, a time-out that cannot be, a
 * failure schema on a tool that tells nothing. What one provider does not take `LanguageModel.check` tells.
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
      problems.push(...problemsOf(tool, index, tools))
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

/**
 * How one call is run.
 *
 * @since 0.1.0
 * @category models
 */
export interface RunOptions {
  /**
   * What the handler gets as `idempotencyKey`. Default: the id of the call, which not every server makes unique beyond one
   * reply: say it where something must not happen twice. `ToolLoop` does.
   */
  readonly idempotencyKey?: string | undefined
}

/**
 * How several calls are run.
 *
 * @since 0.1.0
 * @category models
 */
export interface RunAllOptions {
  /** How many handlers run at a time: 1 or more. Default: 1, in the order of the calls. */
  readonly concurrency?: number | undefined
  /**
   * The key of all calls together; each handler gets it with the place of its call behind it (`"key-1"`, `"key-2"`, …).
   * Default: each call's own id.
   */
  readonly idempotencyKey?: string | undefined
}

/**
 * The numbers used where the options are silent.
 *
 * @since 0.1.0
 * @category defaults
 */
export const defaults: { readonly concurrency: number } = { concurrency: 1 }

type Handler = (parameters: unknown, context: HandlerContext) => Effect.Effect<unknown, unknown, unknown>

const ownHandler = (handlers: object, name: string): Handler | undefined => {
  const found: unknown = Object.hasOwn(handlers, name) ? Reflect.get(handlers, name) : undefined
  return isHandler(found) ? found : undefined
}

const isHandler = (value: unknown): value is Handler => typeof value === "function"

/**
 * Runs the handler of one decoded call, once, and writes its answer as text for the model: text as it is, anything else
 * as JSON through the tool's success schema.
 *
 * - A failure that the tool tells (`onFailure: "tell"`, and it fits the `failure` schema) becomes a result with
 *   `isError: true`. Every other failure passes through as it is.
 * - A handler that takes longer than the tool's `timeout` is interrupted, and left to itself where it cannot be. Then a
 *   `TimedOut` of the phase `attempt` is told or raised, as the tool says.
 * - Defects and interruption pass through and are never told.
 * - `InvalidHandler` is added for a handler that is missing or whose answer has no text.
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
  call: CallOf<Tools>,
  options?: RunOptions
): Effect.Effect<ResultOf<Tools>, Raised<Tools, H> | InvalidHandler, HandlersContext<H>>
export function run(
  toolkit: Any,
  handlers: object,
  call: Call,
  options?: RunOptions
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
    const { id, name } = call
    const context = { callId: id, idempotencyKey: options?.idempotencyKey ?? id }
    return Effect.map(
      runHandler(
        tool,
        Effect.suspend(() => handler(call.arguments, context)),
        (why) => new InvalidHandler({ callId: id, tool: name, ...why })
      ),
      (outcome): Result => ({ id, name, ...outcome })
    )
  })
}

/**
 * Runs the handlers of all calls of a reply as {@link run} does, `concurrency` at a time, and gives their results in the
 * order of the calls. Failures that are told are results like others; the first that is raised interrupts the handlers
 * still running and starts no further one. Fails with `InvalidOptions` for a concurrency that is no whole number from 1.
 *
 * @since 0.1.0
 * @category combinators
 */
export function runAll<
  Tools extends ReadonlyArray<Tool.Any>,
  H extends Handlers<Tools, unknown, unknown>
>(
  toolkit: Toolkit<Tools>,
  handlers: H,
  calls: ReadonlyArray<CallOf<Tools>>,
  options?: RunAllOptions
): Effect.Effect<
  ReadonlyArray<ResultOf<Tools>>,
  Raised<Tools, H> | InvalidHandler | InvalidOptions,
  HandlersContext<H>
>
export function runAll(
  toolkit: Any,
  handlers: Handlers<ReadonlyArray<Tool.Any>, unknown, unknown>,
  calls: ReadonlyArray<Call>,
  { concurrency = defaults.concurrency, idempotencyKey }: RunAllOptions = {}
): Effect.Effect<ReadonlyArray<Result>, unknown, unknown> {
  if (!Number.isInteger(concurrency) || concurrency < 1) {
    const issue = { path: "concurrency", found: found(concurrency), allowed: "a whole number, 1 or more" }
    return Effect.fail(new InvalidOptions({ module: "Toolkit", issues: [issue] }))
  }
  return Effect.forEach(
    calls,
    (call, index) =>
      run(
        toolkit,
        handlers,
        call,
        idempotencyKey === undefined ? {} : { idempotencyKey: `${idempotencyKey}-${index + 1}` }
      ),
    { concurrency }
  )
}
