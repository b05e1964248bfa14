/** A JSON Schema in a dialect: read, written in the dialect's shapes, printed, measured. */
import * as Either from "effect/Either"
import { isRecord } from "../../internal/record.ts"
import { lower, lowerRoot } from "./compound.ts"
import * as Form from "./form.ts"
import type * as Node from "./node.ts"
import * as Print from "./print.ts"
import { read } from "./read.ts"
import { type Rules, rules, type Translated } from "./rules.ts"

export type Problem = Node.Problem

interface ObjectSchema {
  readonly type: "object"
  readonly properties: { readonly [name: string]: unknown }
  readonly [keyword: string]: unknown
}

export interface Translation {
  readonly jsonSchema: ObjectSchema
  readonly moved: ReadonlyArray<Print.Moved>
  readonly size: Print.Size
  readonly restored: (written: unknown) => Form.Restored
  readonly write: (plain: unknown) => unknown
  /** Whether what is written is the plain value. */
  readonly isSame: boolean
}

const nothing: Print.Size = {
  properties: 0,
  levels: 0,
  enumValues: 0,
  characters: 0,
  largeEnum: 0,
  optional: 0,
  unions: 0
}

/** The schema as it is. */
export const plain = (jsonSchema: ObjectSchema): Translation => ({
  jsonSchema,
  moved: [],
  size: nothing,
  restored: Form.asWritten,
  write: (value) => value,
  isSame: true
})

/** The schema in a dialect, or everything that stands in the way. */
export const translate = (
  dialect: Translated,
  jsonSchema: ObjectSchema
): Either.Either<Translation, ReadonlyArray<Problem>> =>
  Either.flatMap(read(jsonSchema), ({ circle, definitions, root }) => {
    const { [dialect]: own } = rules
    if (circle !== undefined && !own.recursion) return Either.left([recursion(own, circle)])
    const lowering: Form.Lowering = {
      rules: own,
      plain: definitions,
      written: new Map(),
      forms: new Map(),
      problems: []
    }
    for (const [name, node] of definitions) {
      const form = lower(node, lowering)
      lowering.forms.set(name, form)
      lowering.written.set(name, form.written)
    }
    const form = lowerRoot(root, lowering)
    const printed = Print.print(form.written, lowering.written, own)
    const problems = [
      ...lowering.problems,
      ...Print.excess(printed.size, own.limits, "it has").map((problem) => ({
        path: [],
        problem,
        remedy: smaller(own)
      }))
    ]
    if (problems.length > 0) return Either.left(problems)
    const { definitions: $defs } = printed
    return Either.right({
      jsonSchema: {
        ...printed.root,
        type: "object",
        properties: isRecord(printed.root.properties) ? printed.root.properties : {},
        ...(Object.keys($defs).length === 0 ? {} : { $defs })
      },
      moved: printed.moved,
      size: printed.size,
      restored: (written) => Form.restored(form, written, Form.freshRun()),
      write: (value) => Form.written(form, value, Form.freshRun()),
      isSame: form.restore === undefined
    })
  })

const recursion = (own: Rules, path: Node.Path): Problem => ({
  path,
  problem: `the schema holds itself, and ${own.vendor} takes no such schema in this dialect`,
  remedy: own.dialect === "gemini"
    ? "Use the dialect \"plain\" (parametersJsonSchema), or write the levels out as far as they are needed."
    : "Use the dialect \"plain\" (a tool that is not strict), or write the levels out as far as they are needed."
})

const smaller = (own: Rules): string =>
  `Split the schema, or use the dialect "plain", in which ${own.vendor} does not hold the model to it.`

/** What schemas that go into one request have too much of together. */
export const excessOf = (
  dialect: Translated,
  sizes: ReadonlyArray<Pick<Print.Size, "optional" | "unions">>
): ReadonlyArray<Problem> => {
  const { [dialect]: own } = rules
  const sum = sizes.reduce<Print.Size>((total, size) => ({
    ...total,
    optional: total.optional + size.optional,
    unions: total.unions + size.unions
  }), nothing)
  const remedy =
    `Use the dialect "plain" for this tool, which has the most of them, or give fewer tools in one request.`
  const tools = sizes.length > own.limits.tools
    ? [`the request has ${sizes.length} tools in this dialect, and the vendor takes ${own.limits.tools}`]
    : []
  return [...tools, ...Print.excess(sum, own.limits, "the tools of the request together have")].map((problem) => ({
    path: [],
    problem,
    remedy
  }))
}
