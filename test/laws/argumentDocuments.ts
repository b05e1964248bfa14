/** Arguments of tool calls as models write them: made from the schemas of tools, the same ones in every run. */
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as Schema from "effect/Schema"
import * as StrictJson from "../../src/internal/strictJson.ts"
import * as Tool from "../../src/model/Tool.ts"
import * as ToolCall from "../../src/model/ToolCall.ts"
import * as Toolkit from "../../src/model/Toolkit.ts"

const texts = [
  "line one\nline two\ttabbed\r\n",
  "C:\\Users\\bob\\new",
  "^\\d+\\.\\w{2,}$",
  "she said \"hi, } ] // no\" /* no */",
  "Grüße, 世界 😀 👩‍👩‍👧",
  "const x = { a: [1, 2,], b: None, };\n",
  "```json\n{\"a\":1}\n```",
  "\u0000\u001f\b\f",
  "https://x.io/?a=1#b",
  "{\"inner\":[1,2,{\"deep\":true}]}",
  "True, False and None",
  "\u2028\u2029\ufeff"
]

const Text = Schema.String.annotations({
  arbitrary: () => (fc) =>
    fc.oneof(
      { weight: 3, arbitrary: fc.constantFrom(...texts) },
      { weight: 2, arbitrary: fc.string({ maxLength: 12 }) },
      { weight: 2, arbitrary: fc.string({ unit: "grapheme", maxLength: 8 }) }
    )
})

const Amount = Schema.Number.annotations({
  arbitrary: () => (fc) =>
    fc.oneof(fc.integer(), fc.constantFrom(0, -0.5, 1e21, 1.5e-7, 9007199254740991, 12.75), fc.double({ noNaN: true }))
}).pipe(Schema.finite())

interface Tree {
  readonly name: string
  readonly children: ReadonlyArray<Tree>
}

const Tree: Schema.Schema<Tree> = Schema.Struct({
  name: Text,
  children: Schema.Array(Schema.suspend(() => Tree))
}).annotations({
  identifier: "Tree",
  arbitrary: () => (fc) => {
    const grown = (levels: number): FastCheck.Arbitrary<Tree> =>
      fc.record({
        name: fc.constantFrom(...texts),
        children: levels === 0 ? fc.constant<ReadonlyArray<Tree>>([]) : fc.array(grown(levels - 1), { maxLength: 2 })
      })
    return grown(4)
  }
})

const few = <A, I>(item: Schema.Schema<A, I>) => Schema.Array(item).pipe(Schema.maxItems(3))

/** Every one needs something, so that blank arguments are never enough. */
export const tools = [
  Tool.make("search", {
    parameters: Schema.Struct({
      query: Text,
      exact: Schema.Boolean,
      limit: Schema.optional(Schema.Int),
      tags: few(Text)
    })
  }),
  Tool.make("transfer", {
    parameters: Schema.Struct({
      to: Text,
      amount: Amount,
      currency: Schema.Literal("EUR", "USD"),
      note: Schema.NullOr(Text)
    })
  }),
  Tool.make("write_file", {
    parameters: Schema.Struct({ path: Text, content: Text, mode: Schema.NullOr(Schema.Int), force: Schema.Boolean })
  }),
  Tool.make("plant", { parameters: Tree }),
  Tool.make("request", {
    parameters: Schema.Struct({
      headers: Schema.Record({ key: Schema.String.pipe(Schema.maxLength(6)), value: Text }),
      rows: few(few(Amount)),
      retry: Schema.NullOr(Schema.Boolean)
    })
  }),
  Tool.make("filter", {
    parameters: Schema.Struct({
      by: Schema.Union(
        Schema.Struct({ eq: Schema.Tuple(Text, Amount) }),
        Schema.Struct({ not: Schema.Struct({ in: few(Schema.NullOr(Schema.Boolean)) }) })
      ),
      none: Schema.Null
    })
  })
] as const

export const toolkit = Effect.runSync(Toolkit.make(...tools))

/** A tool that takes any object, so that nothing but the gates on the text can refuse a call. */
const anything = Tool.make("anything", { parameters: Schema.Record({ key: Schema.String, value: Schema.Unknown }) })
const open = Effect.runSync(Toolkit.make(anything))

export const decode = (args: string, finishReason: "stop" | "length" = "stop") =>
  ToolCall.decodeOne(open, { _tag: "ToolCall", id: "1", name: "anything", arguments: args }, finishReason)

export interface Document {
  readonly tool: string
  readonly text: string
  readonly value: unknown
}

const perTool = 50

const isSound = (text: string): boolean =>
  Either.match(StrictJson.parse(text), { onLeft: () => false, onRight: ({ hazards }) => hazards.length === 0 })

/** Fifty different ones for each tool: compact, indented, or with everything escaped that may be. */
export const documents: ReadonlyArray<Document> = tools.flatMap((tool, index): ReadonlyArray<Document> => {
  const schema: Schema.Schema.AnyNoContext = tool.parameters
  const values: ReadonlyArray<unknown> = FastCheck.sample(Arbitrary.make(schema), {
    numRuns: perTool * 6,
    seed: 20_240_501 + index
  })
  const spelled = values.map((value, place) => {
    const text = JSON.stringify(value, null, place % 3 === 1 ? 2 : undefined)
    return place % 3 === 2
      ? text.replace(/[^\u0000-\u007f]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`)
      : text
  })
  return [...new Set(spelled)].filter((text) => text.length <= 400 && isSound(text)).slice(0, perTool).map((text) => ({
    tool: tool.name,
    text,
    value: JSON.parse(text)
  }))
})
