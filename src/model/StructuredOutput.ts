/**
 * An answer that is data: what it is called, what it is for, and its schema. The model is asked for it by the provider's
 * own structured output or by a tool it has to call, and the same gates stand before both: those of `ToolCall`. So an
 * answer that was cut off is refused even where its JSON is valid, no key is passed over, nothing is coerced, and only
 * slips with exactly one reading are mended. `GenerateObject` asks, and asks again with what was wrong.
 *
 * @example
 * import * as Prompt from "effect-llm-resilience/model/Prompt"
 * import * as Response from "effect-llm-resilience/model/Response"
 * import * as StructuredOutput from "effect-llm-resilience/model/StructuredOutput"
 * import * as Usage from "effect-llm-resilience/model/Usage"
 * import * as Effect from "effect/Effect"
 * import * as Schema from "effect/Schema"
 *
 * const program = Effect.gen(function*() {
 *   const cities = yield* StructuredOutput.make({ name: "cities", schema: Schema.Array(Schema.NonEmptyString) })
 *   const response = new Response.Response({
 *     model: "gpt-4o-mini",
 *     parts: [Prompt.text("{\"value\":[\"Rome\",\"Oslo\",]}")], // an array travels in an object; the comma is mended
 *     finishReason: "stop",
 *     usage: Usage.zero
 *   })
 *   return yield* StructuredOutput.decode(cities, response)
 * })
 *
 * Effect.runPromise(program).then(({ repairs, value }) => console.log(value, repairs))
 * // [ 'Rome', 'Oslo' ] [ 'trailingCommas' ]
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { InvalidAnswer, type Kind } from "../error/AnswerError.ts"
import { found, InvalidOptions, type Issue } from "../error/InvalidOptions.ts"
import type * as ToolCallError from "../error/ToolCallError.ts"
import type { ResponseFormat } from "./LanguageModel.ts"
import type * as Prompt from "./Prompt.ts"
import type * as Repair from "./Repair.ts"
import * as Response from "./Response.ts"
import * as SchemaDialect from "./SchemaDialect.ts"
import * as ParameterSchema from "./shared/parameterSchema.ts"
import * as PartialAnswer from "./structuredOutput/partialAnswer.ts"
import { fitsSoFar } from "./structuredOutput/partialFit.ts"
import * as Tool from "./Tool.ts"
import * as ToolCall from "./ToolCall.ts"
import * as Toolkit from "./Toolkit.ts"

/**
 * The mark of structured outputs.
 *
 * @since 0.1.0
 * @category symbols
 */
export const TypeId: unique symbol = Symbol.for("effect-llm-resilience/StructuredOutput")

/**
 * The mark of structured outputs.
 *
 * @since 0.1.0
 * @category symbols
 */
export type TypeId = typeof TypeId

/**
 * What a structured output is made from.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options<in out A, in out I = A> {
  /** What the answer is, for the model: 1 to 64 of the characters `a-z A-Z 0-9 _ -`. */
  readonly name: string
  /** What it is for, in a sentence. */
  readonly description?: string | undefined
  /** Any schema with a JSON form that needs no services and decides at once. */
  readonly schema: Schema.Schema<A, I>
  /** What is mended in answers that are not JSON. Lossy repairs are refused. Default: `Repair.lossless`. */
  readonly repairs?: ReadonlyArray<Repair.Repair> | undefined
}

/**
 * A checked structured output. `A` is the answer, `I` its JSON form.
 *
 * @since 0.1.0
 * @category models
 */
export interface StructuredOutput<in out A, in out I = A> {
  readonly [TypeId]: {
    readonly decode: (answer: Response.Response) => Either.Either<Read<A>, ToolCallError.ToolCallError | undefined>
    readonly partial: (text: string, dialect: SchemaDialect.Dialect) => Option.Option<Shown<I>>
  }
  readonly name: string
  readonly description: string | undefined
  readonly schema: Schema.Schema<A, I>
  /** Whether the answer travels as `{ "value": … }`, since providers take nothing but an object at the root. */
  readonly isWrapped: boolean
  /** To ask with: `Request.responseFormat`. */
  readonly format: ResponseFormat
  /** To ask with instead: `Request.tools`, one tool of the same name. */
  readonly toolkit: Toolkit.Any
}

interface Read<out A> {
  readonly value: A
  readonly raw: string
  readonly repairs: ReadonlyArray<string>
}

/**
 * An answer that passed all gates.
 *
 * @since 0.1.0
 * @category models
 */
export interface Decoded<out A> {
  readonly value: A
  /** Whether the model wrote it as text or as the arguments of a call. */
  readonly source: "text" | "call"
  /** What the model wrote. */
  readonly text: string
  /** What had to be mended in it, by the names of the repairs, in the order done. */
  readonly repairs: ReadonlyArray<string>
}

/**
 * The least of a JSON form that a part of it has: every field may be missing, every list may be shorter, and every text
 * may end early, so the literals `"celsius" | "kelvin"` are a `string`.
 *
 * @since 0.1.0
 * @category models
 */
export type Shown<I> = I extends string ? string
  : I extends number | boolean | bigint | null | undefined ? I
  : I extends ReadonlyArray<unknown>
    ? number extends I["length"] ? ReadonlyArray<Shown<I[number]>> : { readonly [K in keyof I]?: Shown<I[K]> }
  : I extends object ? { readonly [K in keyof I]?: Shown<I[K]> }
  : I

/**
 * The mark of partial answers.
 *
 * @since 0.1.0
 * @category symbols
 */
export const PartialTypeId: unique symbol = Symbol.for("effect-llm-resilience/StructuredOutput/Partial")

/**
 * The mark of partial answers.
 *
 * @since 0.1.0
 * @category symbols
 */
export type PartialTypeId = typeof PartialTypeId

/**
 * What can be shown of an answer that is still coming: for display and for nothing else. It is a box of its own kind, so
 * that no code that wants the answer takes it; what is in it is the JSON form, not decoded, no rule of the schema is
 * checked, and the whole may be refused yet.
 *
 * @since 0.1.0
 * @category models
 */
export interface Partial<I> {
  readonly [PartialTypeId]: PartialTypeId
  readonly _tag: "Partial"
  /** All that is certain by now. It replaces what was shown before. */
  readonly shown: Shown<I>
}

/**
 * Whether a value is a structured output.
 *
 * @since 0.1.0
 * @category guards
 */
export const isStructuredOutput = (value: unknown): value is StructuredOutput<unknown, unknown> =>
  typeof value === "object" && value !== null && TypeId in value

const invalid = (issues: ReadonlyArray<Issue>) => new InvalidOptions({ module: "StructuredOutput", issues })

const ofTool = (
  { path, problem, remedy }: { readonly path: ReadonlyArray<string | number>; problem: string; remedy: string },
  at: string
): Issue => ({ path: [at, ...path].join("."), found: problem.replace(/^the parameters have /, ""), allowed: remedy })

/** What the schema is called on the wire: itself, or the object round it. */
interface Box<W, A> {
  readonly isWrapped: boolean
  readonly open: (written: W) => A
  /** The same for the JSON form, in which the answer may not have begun. */
  readonly openPart: (written: unknown) => Option.Option<unknown>
}

const over = <A, I, W, WI>(
  { description, name, repairs, schema }: Options<A, I>,
  wire: Schema.Schema<W, WI>,
  box: Box<W, A>
): Effect.Effect<StructuredOutput<A, I>, InvalidOptions> => {
  const isShown = (value: unknown): value is Shown<I> => fitsSoFar(schema.ast, value)
  const tool = Tool.make(name, { description, parameters: wire, repairs })
  return Toolkit.make(tool).pipe(
    Effect.mapError(({ problems }) =>
      invalid(problems.map((problem) => ofTool(problem, problem.problem.startsWith("the name") ? "name" : "repairs")))
    ),
    Effect.map((toolkit): StructuredOutput<A, I> => ({
      [TypeId]: {
        decode: (answer) =>
          Either.flatMap(
            Either.mapLeft(ToolCall.decode(toolkit, answer), ({ rejected: [first] }) => first?.error),
            ([call]) =>
              call === undefined
                ? Either.left(undefined)
                : Either.right({ value: box.open(call.arguments), raw: call.raw, repairs: call.repairs })
          ),
        partial: (text, dialect) =>
          readPart(wire, text, dialect).pipe(Option.flatMap(box.openPart), Option.filter(isShown))
      },
      name,
      description,
      schema,
      isWrapped: box.isWrapped,
      format: { name, ...(description === undefined ? {} : { description }), schema: wire },
      toolkit
    }))
  )
}

/** What the provider's dialect made of the schema is undone as far as the answer has come. */
const readPart = <W, WI>(
  wire: Schema.Schema<W, WI>,
  text: string,
  dialect: SchemaDialect.Dialect
): Option.Option<unknown> =>
  dialect === "plain"
    ? PartialAnswer.plain(text)
    : Either.getRight(SchemaDialect.make(dialect)(wire)).pipe(
      Option.flatMap(({ restore }) =>
        PartialAnswer.restored(text, (written) => Option.map(Either.getRight(restore(written)), ({ value }) => value))
      )
    )

const isBox = (value: unknown): value is { readonly value: unknown } =>
  typeof value === "object" && value !== null && Object.hasOwn(value, "value")

/**
 * A structured output of this name and schema. A schema whose JSON is not an object (a list, a choice, a text) travels as
 * `{ "value": … }`; nothing else of it changes.
 *
 * Fails with `InvalidOptions` that lists everything wrong: a name that some provider refuses, a schema without a JSON
 * form (`Schema.DateFromSelf`, …) with the path to the part at fault, a lossy repair.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <A, I = A>(options: Options<A, I>): Effect.Effect<StructuredOutput<A, I>, InvalidOptions> =>
  Effect.suspend(() => {
    const { repairs = [], schema } = options
    if (!Schema.isSchema(schema)) {
      return Effect.fail(invalid([{ path: "schema", found: found(schema), allowed: "a schema of effect/Schema" }]))
    }
    const lossy = repairs.filter((repair) => repair.kind === "lossy")
    if (lossy.length > 0) {
      const names = lossy.map(({ name }) => name).join(", ")
      return Effect.fail(invalid([{ path: "repairs", found: names, allowed: "lossless repairs" }]))
    }
    if (Either.isRight(ParameterSchema.generate(schema.ast))) {
      return over(options, schema, { isWrapped: false, open: (value) => value, openPart: Option.some })
    }
    const wire = Schema.Struct({ value: schema })
    const boxed = ParameterSchema.generate(wire.ast)
    if (Either.isLeft(boxed)) {
      const { path, ...why } = boxed.left
      return Effect.fail(invalid([ofTool({ ...why, path: path[0] === "value" ? path.slice(1) : path }, "schema")]))
    }
    return over(options, wire, {
      isWrapped: true,
      open: ({ value }) => value,
      openPart: (written) => isBox(written) ? Option.some(written.value) : Option.none()
    })
  })

/** Native answers pass the gates as the arguments of a call that nobody made. */
const asCall = (output: string, { dialects, text }: Response.Response): Prompt.ToolCallPart => ({
  _tag: "ToolCall",
  id: "answer",
  name: output,
  arguments: text,
  dialect: dialects?.output ?? "plain"
})

/**
 * The answer in a reply, whether the model wrote it as text or called the tool of that name, or what is wrong with it. A
 * call counts where there is one; text beside it is passed over. Pure.
 *
 * @since 0.1.0
 * @category conversions
 */
export const decode = <A, I>(
  self: StructuredOutput<A, I>,
  response: Response.Response
): Either.Either<Decoded<A>, InvalidAnswer> => {
  const { finishReason, text, toolCalls: [call, ...others] } = response
  const source = call === undefined ? "text" : "call"
  const refuse = (kind: Kind, fault?: ToolCallError.ToolCallError) =>
    Either.left(
      new InvalidAnswer({
        output: self.name,
        kind,
        source,
        text: call?.arguments ?? text,
        finishReason,
        ...(fault === undefined ? {} : { fault })
      })
    )
  if (finishReason === "content-filter") return refuse("Withheld")
  if (others.length > 0) return refuse("SeveralAnswers")
  // Blank arguments may be an answer without fields; silence is none. A reply that was cut off says so first.
  if (call === undefined && text.trim() === "" && isWhole(finishReason)) return refuse("NoAnswer")
  const answer = new Response.Response({ ...response, parts: [call ?? asCall(self.name, response)] })
  const read = self[TypeId].decode(answer)
  if (Either.isLeft(read)) return refuse(read.left?._tag ?? "NoAnswer", read.left)
  const { raw, repairs, value } = read.right
  return Either.right({ value, source, text: raw, repairs })
}

const isWhole = (finishReason: Response.FinishReason): boolean =>
  finishReason === "stop" || finishReason === "tool-calls"

/**
 * What can be shown of an answer of which `text` has come so far: everything that is certain, if it has the form of the
 * schema. Nothing before that, and for text that is not the beginning of an answer. It takes time in proportion to the
 * text, so ask less often as the text grows. `dialect` is the one that `StreamPart.Start`
 * tells, `output` for text and `tools` for a call; default `"plain"`.
 *
 * @since 0.1.0
 * @category conversions
 */
export const partial = <A, I>(
  self: StructuredOutput<A, I>,
  text: string,
  dialect: SchemaDialect.Dialect = "plain"
): Option.Option<Partial<I>> =>
  Option.map(
    self[TypeId].partial(text, dialect),
    (shown) => ({ [PartialTypeId]: PartialTypeId, _tag: "Partial", shown })
  )
