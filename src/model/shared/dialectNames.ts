/** The dialects by name. They stand here because what only names them must not import how they are translated. */
import * as Schema from "effect/Schema"

export const Dialect = Schema.Literal("plain", "openai-strict", "anthropic", "gemini")

export type Dialect = typeof Dialect.Type
