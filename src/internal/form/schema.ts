/** A form as an ordinary Effect Schema, for whoever composes it with others. */
import * as Either from "effect/Either"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import type * as AST from "effect/SchemaAST"
import type { Fault, Form, Mode } from "./description.ts"
import { encode, toGiven } from "./encode.ts"
import { toJsonSchema } from "./jsonSchema.ts"
import { read } from "./read.ts"

const toIssue = (ast: AST.AST, given: unknown, faults: ReadonlyArray<Fault>): ParseResult.ParseIssue => {
  const issues = faults.map(({ allowed, found, path }) => {
    const issue = new ParseResult.Type(ast, found, `allowed: ${allowed}`)
    const [first, ...more] = path === "" ? [] : path.split(".")
    return first === undefined ? issue : new ParseResult.Pointer([first, ...more], given, issue)
  })
  const [first = new ParseResult.Type(ast, given), ...more] = issues
  return new ParseResult.Composite(ast, given, [first, ...more])
}

const holds = <Read, Given>(form: Form<Read, Given>, value: unknown): boolean => {
  try {
    // What was read can be written and read again; `value` may be anything.
    return Either.isRight(read(form, toGiven(form, value as Read), "code"))
  } catch {
    return false
  }
}

/**
 * Reads as `read` does, with every fault in one `ParseError`, and writes as `encode` does (for code: with the functions
 * and shared values as they are). Its JSON Schema is that of the file.
 */
export const schema = <Read, Given>(form: Form<Read, Given>, mode: Mode = "code"): Schema.Schema<Read, Given> => {
  const check = (value: unknown, _: AST.ParseOptions, ast: AST.AST): Either.Either<Given, ParseResult.ParseIssue> =>
    Either.mapBoth(read(form, value, mode), {
      onLeft: (faults) => toIssue(ast, value, faults),
      // It was read, so it is what code may give.
      onRight: () => value as Given
    })
  const given = Schema.declare<Given, Given, readonly []>([], { decode: () => check, encode: () => check }, {
    jsonSchema: toJsonSchema(form)
  })
  const result = Schema.declare((value: unknown): value is Read => holds(form, value))
  return Schema.transformOrFail(given, result, {
    strict: true,
    decode: (value, _, ast) => Either.mapLeft(read(form, value, mode), (faults) => toIssue(ast, value, faults)),
    // Both spellings are among what code may give.
    encode: (value) => ParseResult.succeed((mode === "code" ? toGiven(form, value) : encode(form, value)) as Given)
  })
}
