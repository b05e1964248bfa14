/**
 * Classes of Schema whose constructor checks its fields at the price of the check. Effect 3.22 builds the validator of a
 * class anew for each instance where a field is a transformation, such as a wait that is milliseconds on the wire: 70 µs of
 * the processor for an error of a model and 200 for a `Response`, against 4 and 2 for what the validator then does.
 */
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import * as AST from "effect/SchemaAST"

/** As much of a class that Schema makes as is needed here. */
export interface SchemaClass {
  readonly ast: AST.AST
  readonly fields: Schema.Struct.Fields
  readonly identifier: string
}

type Props = Readonly<Record<string, unknown>>

/** Takes the fields given to a constructor and gives them as they are to be kept, or throws the `ParseError` of the class. */
type Check = (props: Props) => unknown

type Default = readonly [name: string, make: () => unknown]

const defaultOf = ([name, field]: [string, Schema.Struct.Field]): ReadonlyArray<Default> => {
  if (!Schema.isPropertySignature(field)) return []
  const { ast } = field
  const make = ast._tag === "PropertySignatureDeclaration" ? ast.defaultValue : ast.to.defaultValue
  return make === undefined ? [] : [[name, make]]
}

const withDefaults = (defaults: ReadonlyArray<Default>, props: Props): Props => {
  const all: Record<string, unknown> = { ...props }
  for (const [name, make] of defaults) if (all[name] === undefined) all[name] = make()
  return all
}

/** The schema of the fields: what a class's own schema makes an instance of. */
const fieldsOf = ({ ast, fields }: SchemaClass): AST.AST =>
  ast._tag === "Transformation" ? ast.from : Schema.Struct(fields).ast

const buildCheck = (self: SchemaClass): Check => {
  const defaults = Object.entries(self.fields).flatMap(defaultOf)
  const validate = ParseResult.validateSync(
    Schema.make(
      AST.annotations(AST.typeAST(fieldsOf(self)), { [AST.TitleAnnotationId]: `${self.identifier} (Constructor)` })
    )
  )
  return (props) => {
    // The tag is the class's own, whatever is given as one.
    const { _tag, ...given } = props
    return validate(withDefaults(defaults, "_tag" in self.fields ? given : props))
  }
}

/** The check of a class, built when it is first used: a schema may refer to what is defined after it. */
export const checkOf = (self: SchemaClass): Check => {
  let check: Check | undefined
  return (props) => (check ??= buildCheck(self))(props)
}

/** What the second argument of a constructor says: `true` and `{ disableValidation: true }` take the fields as they are. */
export const isUnchecked = (options: unknown): boolean =>
  options === true ||
  (typeof options === "object" && options !== null && "disableValidation" in options &&
    options.disableValidation === true)

/** The same class, with a validator that is built once. Wrong fields are the same error. */
export const checkedOnce = <Class extends (abstract new(...args: never) => object) & SchemaClass>(
  self: Class
): Class => {
  const check = checkOf(self)
  return new Proxy(self, {
    construct: (target, [props, options], newTarget) =>
      Reflect.construct(target, isUnchecked(options) ? [props, options] : [check({ ...props }), true], newTarget)
  })
}
