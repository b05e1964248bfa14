/** From the errors of ajv to the parse issues of Effect, which `model/` then tells like those of any other schema. */
import type { ErrorObject } from "ajv"
import * as Option from "effect/Option"
import * as ParseResult from "effect/ParseResult"
import * as AST from "effect/SchemaAST"
import { isRecord } from "../../internal/record.ts"
import { excerpt } from "../../internal/redact.ts"
import { lookup } from "./document.ts"

const word = (text: string): AST.AST => AST.annotations(AST.unknownKeyword, { [AST.DescriptionAnnotationId]: text })

const typeWords: { readonly [type: string]: AST.AST | undefined } = {
  string: AST.stringKeyword,
  number: AST.numberKeyword,
  boolean: AST.booleanKeyword,
  integer: word("an integer"),
  object: word("an object"),
  array: word("an array"),
  null: AST.null
}

const isLiteral = (value: unknown): value is AST.LiteralValue =>
  value === null || typeof value === "string" || typeof value === "number" || typeof value === "boolean"

const literals = (values: ReadonlyArray<unknown>): AST.AST =>
  AST.Union.make(
    values.map((value) => isLiteral(value) ? new AST.Literal(value) : word(excerpt(JSON.stringify(value) ?? "", 80)))
  )

/** A schema in the words that a wrong value is answered with. */
const wanted = (schema: unknown): AST.AST => {
  if (!isRecord(schema)) return word("a value")
  if (Array.isArray(schema.enum)) return literals(schema.enum)
  if ("const" in schema) return literals([schema.const])
  const types = (Array.isArray(schema.type) ? schema.type : [schema.type]).flatMap((type) =>
    typeof type === "string" ? typeWords[type] ?? [] : []
  )
  return types.length === 0 ? word("a value") : AST.Union.make(types)
}

type Path = ReadonlyArray<string | number>

/** The place of an error, with list places as numbers. */
const placeOf = (pointer: string, root: unknown): { readonly path: Path; readonly value: unknown } => {
  let value = root
  const path = pointer.split("/").slice(1).map((step): string | number => {
    const key = step.replace(/~1/g, "/").replace(/~0/g, "~")
    const isList = Array.isArray(value)
    value = typeof value === "object" && value !== null && Object.hasOwn(value, key)
      ? Reflect.get(value, key)
      : undefined
    return isList ? Number(key) : key
  })
  return { path, value }
}

const at = (path: Path, actual: unknown, issue: ParseResult.ParseIssue): ParseResult.ParseIssue => {
  const [first, ...rest] = path
  return first === undefined ? issue : new ParseResult.Pointer([first, ...rest], actual, issue)
}

const anyRule = new AST.Refinement(AST.unknownKeyword, () => Option.none())

const rule = (value: unknown, message: string): ParseResult.ParseIssue =>
  new ParseResult.Refinement(
    anyRule,
    value,
    "Predicate",
    new ParseResult.Type(AST.unknownKeyword, value, message)
  )

const text = (value: unknown): string => excerpt(typeof value === "string" ? value : JSON.stringify(value) ?? "", 100)

const characters = (count: number): string => count === 1 ? "1 character" : `${count} characters`

/** What a broken rule says, with what was found where that is short. */
const ruleText = (error: ErrorObject, value: unknown): string => {
  const { limit } = isRecord(error.params) ? error.params : {}
  const count = typeof value === "string" ? [...value].length : 0
  switch (error.keyword) {
    case "minLength":
      return `must have at least ${characters(Number(limit))}, has ${count}`
    case "maxLength":
      return `must have at most ${characters(Number(limit))}, has ${count}`
    case "minItems":
      return `must have at least ${text(limit)} elements`
    case "maxItems":
      return `must have at most ${text(limit)} elements`
    case "minProperties":
      return `must have at least ${text(limit)} keys`
    case "maxProperties":
      return `must have at most ${text(limit)} keys`
    case "minimum":
      return `must be at least ${text(limit)}, got ${text(value)}`
    case "maximum":
      return `must be at most ${text(limit)}, got ${text(value)}`
    case "exclusiveMinimum":
      return `must be above ${text(limit)}, got ${text(value)}`
    case "exclusiveMaximum":
      return `must be below ${text(limit)}, got ${text(value)}`
    case "multipleOf":
      return `must be a multiple of ${text(error.params.multipleOf)}, got ${text(value)}`
    case "pattern":
      return `must match the pattern ${text(error.params.pattern)}, got ${excerpt(JSON.stringify(value) ?? "", 80)}`
    case "uniqueItems":
      return "must not hold the same element twice"
    case "contains":
      return "must hold an element of the kind that the schema asks for"
    case "not":
      return "must not be what the schema excludes"
    case "oneOf":
      return "fits more than one of the alternatives, and must fit exactly one"
    default:
      return excerpt(error.message ?? `breaks the rule ${error.keyword}`, 200)
  }
}

const names = (schema: unknown): ReadonlyArray<string> => isRecord(schema) ? Object.keys(schema) : []

/** An unknown key, beside the known ones. */
const unexpected = (
  path: Path,
  value: unknown,
  key: string,
  parent: unknown,
  keys?: string
): ParseResult.ParseIssue => {
  const properties = isRecord(parent) ? names(parent.properties) : []
  const patterns = isRecord(parent) ? names(parent.patternProperties) : []
  const described = keys ?? (patterns.length === 0 ? undefined : `those that match ${text(patterns.join(" or "))}`)
  const known = new AST.TypeLiteral(
    properties.map((name) => new AST.PropertySignature(name, AST.unknownKeyword, true, true)),
    described === undefined ? [] : [
      new AST.IndexSignature(
        AST.annotations(AST.stringKeyword, { [AST.DescriptionAnnotationId]: described }),
        AST.unknownKeyword,
        true
      )
    ]
  )
  const inner = isRecord(value) ? value[key] : undefined
  const issue = new ParseResult.Pointer(key, value, new ParseResult.Unexpected(inner))
  return at(path, value, new ParseResult.Composite(known, value, issue))
}

const missing = (path: Path, key: string, schema: unknown, reason?: string): ParseResult.ParseIssue => {
  const type = new AST.Type(
    wanted(schema),
    reason === undefined ? {} : { [AST.MissingMessageAnnotationId]: () => reason }
  )
  return at([...path, key], undefined, new ParseResult.Missing(type))
}

const property = (schema: unknown, key: string): unknown =>
  isRecord(schema) && isRecord(schema.properties) && Object.hasOwn(schema.properties, key)
    ? schema.properties[key]
    : undefined

/** An error, its place, and what is there. */
interface Found {
  readonly error: ErrorObject
  readonly path: Path
  readonly value: unknown
}

const toIssue = ({ error, path, value }: Found): ParseResult.ParseIssue | string => {
  const params: { readonly [name: string]: unknown } = error.params
  switch (error.keyword) {
    case "required":
      return missing(path, String(params.missingProperty), property(error.parentSchema, String(params.missingProperty)))
    case "dependentRequired":
    case "dependencies": {
      const reason = `is missing, and ${JSON.stringify(params.property)} needs it`
      return missing(path, String(params.missingProperty), undefined, reason)
    }
    case "additionalProperties":
      return unexpected(path, value, String(params.additionalProperty), error.parentSchema)
    case "unevaluatedProperties":
      return unexpected(path, value, String(params.unevaluatedProperty), error.parentSchema)
    case "propertyNames":
      return unexpected(path, value, String(params.propertyName), {}, "those that fit the schema's propertyNames")
    case "type": {
      const orNull = isRecord(error.parentSchema) && error.parentSchema.nullable === true ? ["null"] : []
      return at(path, value, new ParseResult.Type(wanted({ type: [params.type, orNull].flat(2) }), value))
    }
    case "enum":
      return at(path, value, new ParseResult.Type(wanted({ enum: params.allowedValues }), value))
    case "const":
      return at(path, value, new ParseResult.Type(wanted({ const: params.allowedValue }), value))
    case "false schema":
      return at(path, value, new ParseResult.Unexpected(value))
    default:
      return ruleText(error, value)
  }
}

const isChoice = (error: ErrorObject): boolean =>
  error.keyword === "anyOf" || (error.keyword === "oneOf" && error.params.passingSchemas === null)

/** All schemas that a schema may hand a value, or a part of it, on to. */
const reach = (schema: unknown, root: unknown): ReadonlySet<unknown> => {
  const seen = new Set<unknown>()
  const open = [schema]
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (typeof next !== "object" || next === null || seen.has(next)) continue
    seen.add(next)
    if (isRecord(next) && typeof next.$ref === "string") open.push(lookup(root, next.$ref))
    open.push(...Object.values(next))
  }
  return seen
}

/**
 * Of a choice that failed only the branches that were nearly right are told: those that look into the value before those
 * that want another type, and those whose constants fit before those whose do not.
 */
const withoutFarBranches = (errors: ReadonlyArray<ErrorObject>, root: unknown): ReadonlyArray<ErrorObject> => {
  const reached = new Map<unknown, ReadonlyArray<ReadonlySet<unknown>>>()
  const branchesOf = (choice: ErrorObject) => {
    const known = reached.get(choice.schema)
    if (known !== undefined) return known
    const made = (Array.isArray(choice.schema) ? choice.schema : []).map((branch: unknown) => reach(branch, root))
    reached.set(choice.schema, made)
    return made
  }
  let kept = errors
  for (const choice of errors.filter(isChoice)) {
    const end = kept.indexOf(choice)
    const inside = kept.slice(0, end).filter((error) => error.instancePath.startsWith(choice.instancePath))
    const branches = branchesOf(choice).map((schemas) => inside.filter((error) => schemas.has(error.parentSchema)))
    const isHere = (error: ErrorObject) => error.instancePath === choice.instancePath
    const isTag = (error: ErrorObject) => error.keyword === "const" || error.keyword === "enum"
    const looked = branches.filter((branch) =>
      branch.length > 0 && !branch.some((error) => isHere(error) && error.keyword === "type")
    )
    const tagged = looked.filter((branch) => !branch.some((error) => isTag(error) && !isHere(error)))
    const near = tagged.length > 0 ? tagged : looked.length > 0 ? looked : branches
    const explained = new Set(near.flat())
    const all = new Set(branches.flat())
    // The choice itself has nothing more to say where one of its branches has.
    kept = kept.filter((error) => error === choice ? all.size === 0 : !all.has(error) || explained.has(error))
  }
  return kept
}

/** Elements that are not what a list must hold one of are no faults by themselves. */
const isInnerOf = (outer: ErrorObject) => (error: ErrorObject): boolean =>
  outer.keyword === "contains" && error.instancePath.startsWith(`${outer.instancePath}/`) &&
  (error.parentSchema === outer.schema || error.schemaPath.startsWith(`${outer.schemaPath}/`))

/** How many errors of ajv are looked at. */
const errorLimit = 1_000

/**
 * Everything that ajv found wrong with `value`, in its order; the rules broken at one place in one sentence. `root` is the
 * schema that ajv compiled.
 */
export const toParseIssue = (
  ast: AST.AST,
  value: unknown,
  errors: ReadonlyArray<ErrorObject>,
  root: unknown
): ParseResult.ParseIssue => {
  const lists = errors.filter((error) => error.keyword === "contains").map(isInnerOf)
  const shown = errors.slice(0, errorLimit).filter((error) =>
    error.keyword !== "if" && error.propertyName === undefined && !lists.some((isInner) => isInner(error))
  )
  const kept = withoutFarBranches(shown, root)
  const issues: Array<ParseResult.ParseIssue> = []
  const rules = new Map<string, { readonly path: Path; readonly value: unknown; readonly texts: Array<string> }>()
  for (const error of kept) {
    const place = { error, ...placeOf(error.instancePath, value) }
    const issue = toIssue(place)
    if (typeof issue !== "string") issues.push(issue)
    else {
      const known = rules.get(error.instancePath)
      if (known === undefined) rules.set(error.instancePath, { ...place, texts: [issue] })
      else known.texts.push(issue)
    }
  }
  for (const { path, texts, value: actual } of rules.values()) {
    issues.push(at(path, actual, rule(actual, [...new Set(texts)].join(", and "))))
  }
  const [first, ...rest] = issues
  return first === undefined
    ? rule(value, "does not fit the schema")
    : new ParseResult.Composite(ast, value, [first, ...rest])
}
