/**
 * Dates in a JSON Schema. Effect's generator tells of a date only in a description, and not even there where the schema has
 * one of its own or a default, so a model would not know how to write it. The schema itself knows.
 */
import * as Option from "effect/Option"
import * as AST from "effect/SchemaAST"
import { type Fields, isRecord } from "../../internal/record.ts"
import { unescaped } from "../../internal/schemaReference.ts"

/** How Effect describes the text that its schemas of dates decode, and nobody else's. */
const dateText = /^a string to be decoded into a (?:Date|DateTime\.(?:Utc|Zoned))$/

/** The side that meets the JSON, with whatever stands round it. */
const encoded = (ast: AST.AST): AST.AST => {
  let current = ast
  while (AST.isTransformation(current) || AST.isRefinement(current)) current = current.from
  return current
}

const isDate = (ast: AST.AST): boolean =>
  AST.isStringKeyword(ast) &&
  Option.exists(AST.getDescriptionAnnotation(ast), (description) => dateText.test(description))

/** A text without a form of its own. */
const isPlainText = (schema: Fields): boolean =>
  schema["type"] === "string" &&
  ["format", "enum", "const", "pattern"].every((keyword) => schema[keyword] === undefined)

/** The schemas of a document with the format of dates; definitions are gone through once each. */
export class Dates {
  readonly definitions: Record<string, unknown>
  private readonly seen = new Set<string>()
  constructor(definitions: { readonly [name: string]: unknown }) {
    this.definitions = { ...definitions }
  }

  /** The JSON Schema of a schema, with the format wherever it has a date. */
  in(ast: AST.AST, json: unknown): unknown {
    if (!isRecord(json)) return json
    const { $ref, allOf, anyOf } = json
    if (typeof $ref === "string") {
      this.define($ref, ast)
      return json
    }
    if (Array.isArray(allOf) && allOf.length === 1) return { ...json, allOf: [this.in(ast, allOf[0])] }
    const inner = encoded(ast)
    if (isDate(inner)) return isPlainText(json) ? { ...json, format: "date-time" } : json
    switch (inner._tag) {
      case "Suspend":
        return this.in(inner.f(), json)
      case "TypeLiteral":
        return this.inObject(inner, json)
      case "TupleType":
        return this.inList(inner, json)
      case "Union":
        return Array.isArray(anyOf)
          ? { ...json, anyOf: this.inForms(inner.types, anyOf) }
          : this.inOneOf(inner.types, json)
      default:
        return json
    }
  }

  private define(reference: string, ast: AST.AST): void {
    const name = unescaped(reference.replace(/^#\/\$defs\//, ""))
    if (this.seen.has(name) || !Object.hasOwn(this.definitions, name)) return
    this.seen.add(name)
    this.definitions[name] = this.in(ast, this.definitions[name])
  }

  private inObject({ indexSignatures, propertySignatures }: AST.TypeLiteral, json: Fields): Fields {
    const { additionalProperties, properties } = json
    const types = new Map(propertySignatures.map(({ name, type }) => [String(name), type]))
    const [index] = indexSignatures
    return {
      ...json,
      ...(isRecord(properties)
        ? {
          properties: Object.fromEntries(
            Object.entries(properties).map(([name, value]) => {
              const type = types.get(name)
              return [name, type === undefined ? value : this.in(type, value)]
            })
          )
        }
        : {}),
      ...(index !== undefined && isRecord(additionalProperties)
        ? { additionalProperties: this.in(index.type, additionalProperties) }
        : {})
    }
  }

  private inList({ elements, rest }: AST.TupleType, json: Fields): Fields {
    const { additionalItems, items } = json
    const [more] = rest
    if (Array.isArray(items)) {
      return {
        ...json,
        items: items.map((item, at) => {
          const element = elements[at]
          return element === undefined ? item : this.in(element.type, item)
        }),
        ...(more !== undefined && isRecord(additionalItems)
          ? { additionalItems: this.in(more.type, additionalItems) }
          : {})
      }
    }
    return more !== undefined && isRecord(items) ? { ...json, items: this.in(more.type, items) } : json
  }

  /** The generator puts literals together and leaves `undefined` out; where the numbers differ, forms are found by what they are. */
  private inForms(types: ReadonlyArray<AST.AST>, forms: ReadonlyArray<unknown>): ReadonlyArray<unknown> {
    const written = types.filter((type) => !AST.isUndefinedKeyword(type))
    return forms.map((form, at) => {
      const type = written.length === forms.length ? written[at] : undefined
      return type === undefined ? this.inOneOf(written, form) : this.in(type, form)
    })
  }

  /** One form of which it is not known whose it is: a date where nothing else of them is a text. */
  private inOneOf(types: ReadonlyArray<AST.AST>, json: unknown): unknown {
    const written = types.filter((type) => !AST.isUndefinedKeyword(type))
    const texts = written.filter((type) => AST.isStringKeyword(encoded(type)))
    const [only] = written.length === 1 ? written : isRecord(json) && isPlainText(json) ? texts : []
    return only !== undefined && (written.length === 1 || texts.length === 1) ? this.in(only, json) : json
  }
}
