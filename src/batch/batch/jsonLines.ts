/** JSON Lines as the items of a batch: lines are cut as bytes, then read one by one. */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { InvalidLine } from "../../error/BatchError.ts"
import { InvalidOptions, issueOf } from "../../error/InvalidOptions.ts"
import * as Form from "../../internal/form.ts"
import { type Line, LineCutter } from "../../internal/lineCutter.ts"
import { excerpt } from "../../internal/redact.ts"
import * as StrictJson from "../../internal/strictJson.ts"

export type Json = null | boolean | number | string | ReadonlyArray<Json> | { readonly [field: string]: Json }

export interface LinesOptions<in out A = Json, in out I = A, out Mode extends "result" | "fail" = "result" | "fail"> {
  /** What a line has to be. Default: any JSON. */
  readonly schema?: Schema.Schema<A, I> | undefined
  /** What becomes of a line that is no item. Default: `"result"`. */
  readonly onInvalid?: Mode | undefined
  /** The longest line, in bytes: 1 to 1 000 000 000. Default: 16 777 216. */
  readonly maxLineBytes?: number | undefined
}

export const mostLineBytes = 16_777_216

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

const byteOrderMark = "\uFEFF"

const textOf = ({ bytes, number }: Line): string | undefined => {
  try {
    const text = decoder.decode(bytes)
    return number === 1 && text.startsWith(byteOrderMark) ? text.slice(1) : text
  } catch {
    return undefined
  }
}

const syntaxWords = (fault: StrictJson.Fault): string =>
  fault.reason === "Truncated"
    ? `it ends in the middle of a value, after ${fault.offset} characters`
    : fault.reason === "TooDeep"
    ? `it is nested too deeply at character ${fault.column}`
    : `character ${fault.column} is not expected, near ${JSON.stringify(fault.excerpt)}`

type Read<A> = (line: Line) => Either.Either<A, InvalidLine> | undefined

/** Reads one line; nothing for a blank one. */
const reader = <A, I>(most: number, schema: Schema.Schema<A, I> | undefined): Read<A> => {
  const decode = schema === undefined
    // Without a schema the type is that of any JSON, which is what was read.
    ? (value: unknown) => Either.right(value as A)
    : Schema.decodeUnknownEither(schema, { errors: "all" })
  return (line) => {
    const wrong = (reason: InvalidLine["reason"], detail: string) =>
      Either.left(new InvalidLine({ line: line.number, offset: line.offset, reason, detail: excerpt(detail) }))
    if (line.bytes === undefined) return wrong("size", `it has more than ${most} bytes`)
    const text = textOf(line)
    if (text === undefined) return wrong("encoding", "some of its bytes are no UTF-8")
    if (text.trim() === "") return undefined
    const document = StrictJson.parse(text, { maxLength: Number.POSITIVE_INFINITY })
    if (Either.isLeft(document)) return wrong("syntax", syntaxWords(document.left))
    return Either.mapLeft(decode(document.right.value), (error) =>
      new InvalidLine({
        line: line.number,
        offset: line.offset,
        reason: "schema",
        detail: excerpt(
          ParseResult.ArrayFormatter.formatErrorSync(error)
            .map(({ message, path }) => path.length === 0 ? message : `${path.map(String).join(".")}: ${message}`)
            .join("; ")
        )
      }))
  }
}

const form = Form.struct("an object with the options of JSON Lines", {
  schema: Form.optional(Form.value(Schema.isSchema, "a Schema")),
  onInvalid: Form.withDefault(Form.oneOf("result", "fail"), () => "result" as const),
  maxLineBytes: Form.withDefault(Form.count(1, 1_000_000_000), () => mostLineBytes)
})

/** The items, and among them or in place of the rest the lines that are none. */
export const items = <E, R, A, I, Mode extends "result" | "fail">(
  bytes: Stream.Stream<Uint8Array, E, R>,
  options: LinesOptions<A, I, Mode>
): Stream.Stream<
  A | (Mode extends "result" ? InvalidLine : never),
  E | InvalidOptions | (Mode extends "fail" ? InvalidLine : never),
  R
> => {
  const settings = Form.read(form, options, "code")
  if (Either.isLeft(settings)) {
    return Stream.fail(new InvalidOptions({ module: "Batch", issues: settings.left.map(issueOf) }))
  }
  const { maxLineBytes, onInvalid } = settings.right
  const lines = Stream.suspend(() => {
    const cutter = new LineCutter(maxLineBytes)
    const read = reader(maxLineBytes, options.schema)
    const readAll = (all: ReadonlyArray<Line>): Effect.Effect<ReadonlyArray<A | InvalidLine>, InvalidLine> => {
      const found: Array<A | InvalidLine> = []
      for (const line of all) {
        const item = read(line)
        if (item === undefined) continue
        if (Either.isLeft(item) && onInvalid === "fail") return Effect.fail(item.left)
        found.push(Either.merge(item))
      }
      return Effect.succeed(found)
    }
    return Stream.mapConcatEffect(bytes, (each) => readAll(cutter.feed(each))).pipe(
      Stream.concat(Stream.mapConcatEffect(Stream.suspend(() => Stream.make(cutter.rest())), readAll))
    )
  })
  // `onInvalid` says which of the two places a line that is no item can be found in, and `Mode` is its type.
  return lines as Stream.Stream<
    A | (Mode extends "result" ? InvalidLine : never),
    E | (Mode extends "fail" ? InvalidLine : never),
    R
  >
}
