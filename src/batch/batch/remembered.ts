/** What a batch does with its journal: the key of an item, the outcome that is there, and what is written of a call. */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import { JournalError } from "../../error/JournalError.ts"
import { CurrentIdempotencyKeys } from "../../model/LanguageModel.ts"
import { errorTag, errorText } from "../../telemetry/Event.ts"
import * as Journal from "../Journal.ts"

/** What the journal knows of an item. */
export type Known<B> =
  | { readonly _tag: "Value"; readonly value: B }
  /** It is to be called; `round` counts how often it had failed before. */
  | { readonly _tag: "Missing"; readonly round: number }

const excerptOf = (error: ParseResult.ParseError): string => ParseResult.TreeFormatter.formatErrorSync(error)

export class Remembered<B> {
  private readonly journal: Journal.Service
  private readonly settings: unknown
  private readonly decode: (value: unknown) => Either.Either<B, ParseResult.ParseError>
  private readonly encode: (value: unknown) => Either.Either<unknown, ParseResult.ParseError>

  constructor(options: {
    readonly journal: Journal.Service
    readonly value: Schema.Schema.AnyNoContext
    readonly settings: unknown
  }) {
    this.journal = options.journal
    this.settings = options.settings
    // The options' type holds the schema to the values; what is read from a form has lost that.
    const schema: Schema.Schema<B, unknown> = options.value
    this.decode = Schema.decodeUnknownEither(schema)
    this.encode = Schema.encodeUnknownEither(schema)
  }

  /** The key of an item of this content. */
  readonly keyOf = (content: string): Effect.Effect<string> => Journal.keyOf(content, this.settings)

  readonly lookup = (key: string): Effect.Effect<Known<B>, JournalError> =>
    Effect.flatMap(this.journal.lookup(key), (entry): Effect.Effect<Known<B>, JournalError> => {
      if (Option.isNone(entry)) return Effect.succeed({ _tag: "Missing", round: 0 })
      const { value } = entry
      if (value._tag !== "Succeeded") {
        return Effect.succeed({ _tag: "Missing", round: value._tag === "Failed" ? value.round + 1 : value.round })
      }
      return Either.match(this.decode(value.value), {
        onLeft: (error) => Effect.fail(new JournalError({ reason: "mismatch", key, detail: excerptOf(error) })),
        onRight: (decoded) => Effect.succeed({ _tag: "Value", value: decoded })
      })
    })

  readonly begun = (key: string, round: number, at: number): Effect.Effect<void, JournalError> =>
    this.journal.append({ _tag: "Started", key, round, at })

  readonly succeeded = (key: string, value: B, at: number): Effect.Effect<void, JournalError> =>
    Either.match(this.encode(value), {
      onLeft: (error) => Effect.fail(new JournalError({ reason: "mismatch", key, detail: excerptOf(error) })),
      onRight: (encoded) => this.journal.append({ _tag: "Succeeded", key, value: encoded, at })
    })

  readonly failed = (key: string, round: number, error: unknown, at: number): Effect.Effect<void, JournalError> =>
    this.journal.append({ _tag: "Failed", key, round, tag: errorTag(error), message: errorText(error), at })

  /** The call of an item: whatever asks a model within it takes the keys of this item and round, in their order. */
  readonly withKeys = <A, E, R>(call: Effect.Effect<A, E, R>, key: string, round: number): Effect.Effect<A, E, R> =>
    Effect.suspend(() => {
      let calls = 0
      const start = `${this.journal.id}-${key}-${round}`
      return Effect.provideService(call, CurrentIdempotencyKeys, { next: () => `${start}-${++calls}` })
    })
}
