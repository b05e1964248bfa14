/**
 * The `jsonrepair` package as a repair for tools that only read. It mends much (single quotes, keys without quotes, missing
 * commas, quotes inside strings, …) by guessing, and some guesses are wrong: `C:\Users\bob` comes out with a backspace in
 * it, a missing value as `null`, an ellipsis as nothing. What it gives passes the tool's schema like any arguments, which
 * refuses invented parameters and wrong types, but not a wrong text. So it is off unless a tool names it, and
 * `Toolkit.make` refuses it on a tool that may write.
 *
 * It is not asked about a text that is JSON, or that the lossless repairs heal, that is not an object, that is longer than
 * {@link defaults} allows (its time grows with the square of the length), or that was cut off, as far as can be told of a
 * text that is not JSON.
 *
 * Needs the optional peer `jsonrepair`: `npm install jsonrepair`.
 *
 * @example
 * import * as JsonRepair from "effect-llm-resilience/adapter/JsonRepair"
 * import * as Repair from "effect-llm-resilience/model/Repair"
 * import * as Tool from "effect-llm-resilience/model/Tool"
 * import * as ToolCall from "effect-llm-resilience/model/ToolCall"
 * import * as Toolkit from "effect-llm-resilience/model/Toolkit"
 * import * as Effect from "effect/Effect"
 * import * as Schema from "effect/Schema"
 *
 * const weather = Tool.make("get_weather", {
 *   parameters: Schema.Struct({ city: Schema.String }),
 *   access: "read-only",
 *   repairs: [...Repair.lossless, JsonRepair.jsonrepair]
 * })
 *
 * const program = Effect.gen(function*() {
 *   const toolkit = yield* Toolkit.make(weather)
 *   const call = { _tag: "ToolCall", id: "call_1", name: "get_weather", arguments: "{city: 'Rome'}" } as const
 *   const decoded = yield* ToolCall.decodeOne(toolkit, call, "tool-calls")
 *   return [decoded.arguments.city, decoded.repairs]
 * })
 *
 * Effect.runPromise(program).then(console.log) // [ 'Rome', [ 'jsonrepair' ] ]
 *
 * @since 0.1.0
 */
import * as Either from "effect/Either"
import * as Repair from "../model/Repair.ts"
import { optionalPeer } from "./shared/optionalPeer.ts"

const { jsonrepair: mend } = await optionalPeer(
  { module: "adapter/JsonRepair", install: "jsonrepair@3" },
  import("jsonrepair")
)

/**
 * The longest text it is asked about, in UTF-16 units: 65 536. At that length the worst text tried took 0.8 seconds, and
 * ordinary ones a few milliseconds.
 *
 * @since 0.1.0
 * @category defaults
 */
export const defaults: { readonly maxLength: number } = { maxLength: 65_536 }

/**
 * `jsonrepair` as a lossy repair, called `"jsonrepair"` in the `repairs` of a decoded call. What it cannot mend (it throws,
 * or its stack overflows) is refused as it would be without it.
 *
 * @since 0.1.0
 * @category constants
 */
export const jsonrepair: Repair.Repair = Either.getOrThrow(
  Repair.make("jsonrepair", { kind: "lossy", maxLength: defaults.maxLength, repair: (text) => mend(text) })
)
