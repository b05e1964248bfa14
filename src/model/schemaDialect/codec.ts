/** The codec of a schema in a dialect: the change of shape, then the schema's own decode, told at the written places. */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import type * as AST from "effect/SchemaAST"
import type { Restored } from "./form.ts"
import type { Path } from "./node.ts"
import type { Translation } from "./translate.ts"

type Locate = (path: Path) => Path

interface Plain {
  readonly value: unknown
  readonly locate: Locate
}

/** How many faults of shape an error keeps. */
const faultLimit = 100

/** The parts of a translated schema that depend on the schema itself. */
export const make = <A, I>(schema: Schema.Schema<A, I>, form: Translation): {
  /** Made when it is asked for: most callers only decode. */
  readonly codec: () => Schema.Schema<A, unknown>
  readonly decode: (written: unknown, options?: AST.ParseOptions) => Either.Either<A, ParseResult.ParseError>
  readonly restore: (written: unknown) => Either.Either<Plain, ParseResult.ParseError>
} => {
  const restore = (written: unknown): Either.Either<Plain, ParseResult.ParseIssue> =>
    read(schema.ast, written, form.restored(written))
  return {
    codec: () => form.isSame ? Schema.make(schema.ast) : through(schema, form, restore),
    decode: (written, options) =>
      Either.flatMap(
        restore(written),
        ({ locate, value }) =>
          Either.mapLeft(
            ParseResult.decodeUnknownEither(schema)(value, options),
            (issue) => relocate(issue, locate, [])
          )
      ).pipe(
        Either.mapLeft(ParseResult.parseError)
      ),
    restore: (written) => Either.mapLeft(restore(written), ParseResult.parseError)
  }
}

const through = <A, I>(
  schema: Schema.Schema<A, I>,
  form: Translation,
  restore: (written: unknown) => Either.Either<Plain, ParseResult.ParseIssue>
): Schema.Schema<A, unknown> => {
  const decode = ParseResult.decodeUnknown(schema)
  const encode = ParseResult.encode(schema)
  return Schema.transformOrFail(Schema.Unknown, Schema.typeSchema(schema), {
    strict: true,
    decode: (written, options) =>
      Effect.flatMap(
        restore(written),
        ({ locate, value }) => Effect.mapError(decode(value, options), (issue) => relocate(issue, locate, []))
      ),
    encode: (value, options) => Effect.map(encode(value, options), form.write)
  })
}

const read = (ast: AST.AST, written: unknown, restored: Restored): Either.Either<Plain, ParseResult.ParseIssue> => {
  const issues = restored.faults.slice(0, faultLimit).map(({ message, path }) => {
    const [step, ...rest] = path
    const issue = new ParseResult.Type(ast, at(written, path), message)
    return step === undefined ? issue : new ParseResult.Pointer([step, ...rest], written, issue)
  })
  const [first, ...more] = issues
  return first === undefined
    ? Either.right(restored)
    : Either.left(new ParseResult.Composite(ast, written, [first, ...more]))
}

const at = (value: unknown, path: Path): unknown =>
  path.reduce<unknown>(
    (part, step) =>
      typeof part === "object" && part !== null && Object.hasOwn(part, step) ? Reflect.get(part, step) : undefined,
    value
  )

const isKey = (path: ParseResult.Path): path is PropertyKey => !Array.isArray(path)

const isStep = (step: PropertyKey): step is string | number => typeof step !== "symbol"

/** The same issue at the places of what was written; `plain` is the path so far. */
const relocate = (issue: ParseResult.ParseIssue, locate: Locate, plain: Path): ParseResult.ParseIssue => {
  const inner = (nested: ParseResult.ParseIssue): ParseResult.ParseIssue => relocate(nested, locate, plain)
  switch (issue._tag) {
    case "Pointer": {
      const steps: ReadonlyArray<PropertyKey> = isKey(issue.path) ? [issue.path] : issue.path
      const path = [...plain, ...steps.filter(isStep)]
      const [step, ...rest] = locate(path).slice(locate(plain).length)
      const nested = relocate(issue.issue, locate, path)
      return step === undefined ? nested : new ParseResult.Pointer([step, ...rest], issue.actual, nested)
    }
    case "Composite": {
      const [first, ...more] = isMany(issue.issues) ? issue.issues : [issue.issues]
      return new ParseResult.Composite(issue.ast, issue.actual, [inner(first), ...more.map(inner)], issue.output)
    }
    case "Refinement":
      return new ParseResult.Refinement(issue.ast, issue.actual, issue.kind, inner(issue.issue))
    case "Transformation":
      return new ParseResult.Transformation(issue.ast, issue.actual, issue.kind, inner(issue.issue))
    default:
      return issue
  }
}

const isMany = (
  issues: ParseResult.SingleOrNonEmpty<ParseResult.ParseIssue>
): issues is readonly [ParseResult.ParseIssue, ...Array<ParseResult.ParseIssue>] => Array.isArray(issues)
