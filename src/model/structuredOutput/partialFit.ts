/** Whether a value that is still growing has the form of a schema so far: what is there is right, what is not may come. */
import type * as AST from "effect/SchemaAST"
import { isRecord } from "../../internal/record.ts"

/** Deeper than what any answer may be. */
const maxDepth = 256

type Memo = Map<object, Map<AST.AST, boolean>>

/** Any JSON, as long as it is neither too deep nor able to reach a prototype. */
const isSafe = (value: unknown, depth: number): boolean =>
  typeof value !== "object" || value === null || (depth < maxDepth &&
    !Object.hasOwn(value, "__proto__") && Object.values(value).every((inner) => isSafe(inner, depth + 1)))

const fits = (ast: AST.AST, value: unknown, depth: number, memo: Memo): boolean => {
  if (depth > maxDepth) return false
  switch (ast._tag) {
    case "StringKeyword":
    case "TemplateLiteral":
      return typeof value === "string"
    case "NumberKeyword":
      return typeof value === "number"
    case "BooleanKeyword":
      return typeof value === "boolean"
    case "Literal":
      return typeof value === "string" && typeof ast.literal === "string"
        ? ast.literal.startsWith(value)
        : ast.literal === value
    case "Enums":
      return ast.enums.some(([, one]) =>
        typeof value === "string" && typeof one === "string" ? one.startsWith(value) : one === value
      )
    case "Union":
      return ast.types.some((member) => remembered(member, value, depth, memo))
    case "Transformation":
    case "Refinement":
      return fits(ast.from, value, depth, memo)
    case "Suspend":
      return fits(ast.f(), value, depth, memo)
    case "TupleType":
      return Array.isArray(value) && value.every((item, index) => {
        const type = ast.elements[index]?.type ?? ast.rest[0]?.type
        return type !== undefined && remembered(type, item, depth + 1, memo)
      })
    case "TypeLiteral":
      return isRecord(value) && Object.entries(value).every(([key, inner]) => {
        const property = ast.propertySignatures.find(({ name }) => name === key)
        return property === undefined
          ? key !== "__proto__" &&
            ast.indexSignatures.some(({ type }) => remembered(type, inner, depth + 1, memo))
          : remembered(property.type, inner, depth + 1, memo)
      })
    case "UnknownKeyword":
    case "AnyKeyword":
    case "Declaration":
      return isSafe(value, depth)
    case "ObjectKeyword":
      return typeof value === "object" && value !== null && isSafe(value, depth)
    default:
      return false
  }
}

/** Unions of schemas that hold themselves would else try each part of the value again and again. */
const remembered = (ast: AST.AST, value: unknown, depth: number, memo: Memo): boolean => {
  if (typeof value !== "object" || value === null) return fits(ast, value, depth, memo)
  const outcomes = memo.get(value) ?? new Map<AST.AST, boolean>()
  memo.set(value, outcomes)
  const known = outcomes.get(ast)
  if (known !== undefined) return known
  const outcome = fits(ast, value, depth, memo)
  outcomes.set(ast, outcome)
  return outcome
}

/**
 * Only the encoded side of the schema counts; it is found on the way, as `AST.encodedAST` makes a schema that holds itself
 * anew at each level. An open text fits where it can still become what is wanted.
 */
export const fitsSoFar = (ast: AST.AST, value: unknown): boolean => fits(ast, value, 0, new Map())
