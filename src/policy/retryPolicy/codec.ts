/** A retry policy to and from JSON. */
import * as Either from "effect/Either"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import type { InvalidOptions } from "../../error/InvalidOptions.ts"
import * as Form from "../../internal/form.ts"
import { readForm } from "../shared/options.ts"
import { policyForm, write, writeTree } from "../shared/retryForm.ts"
import { describePart } from "../shared/retryText.ts"
import type { RetryTree } from "../shared/retryTree.ts"
import { isRetryPolicy, make, type RetryPolicy } from "../shared/retryValue.ts"
import { maxRetries } from "./bounds.ts"
import { canRetry } from "./canRetry.ts"

/**
 * The policy as JSON in the spelling for people, where it can be said so, otherwise as the full tree.
 *
 * @since 0.1.0
 * @category conversions
 */
export const encode = (self: RetryPolicy): { readonly [field: string]: unknown } => write(self.tree)

/**
 * The policy as JSON in the spelling for programs: one object for each constructor and modifier.
 *
 * @since 0.1.0
 * @category conversions
 */
export const encodeTree = (self: RetryPolicy): { readonly [field: string]: unknown } => writeTree(self.tree)

/** What is wrong with a tree that can never retry although it does not say so; `undefined` for one that can. */
const neverRetries = (tree: RetryTree): string | undefined =>
  tree._tag === "Never" || canRetry(tree)
    ? undefined
    : maxRetries(tree) > 0
    ? "a first wait that ends within the deadline: wait less, or allow more with \"within\""
    : "a policy that can retry at least once (for none at all, use { \"backoff\": \"never\" })"

const form = Form.checked(
  Form.mapped(policyForm, { decode: (tree) => make(tree), encode: (policy: RetryPolicy) => policy.tree }),
  ({ tree }) => {
    const allowed = neverRetries(tree)
    return allowed === undefined ? [] : [{ path: [], found: describePart(tree), allowed }]
  }
)

/**
 * Reads a policy from JSON, in either spelling or both mixed. Fails with one `InvalidOptions` that lists every wrong
 * field with its path, the value found and what is allowed. A policy that can never retry is refused too, unless it
 * says so with `{ "backoff": "never" }`. `path` is put before every path of the error.
 *
 * @since 0.1.0
 * @category conversions
 */
export const decode = (
  json: unknown,
  options?: { readonly path?: string | undefined }
): Either.Either<RetryPolicy, InvalidOptions> => readForm("RetryPolicy", form, json, "file", options?.path)

/**
 * A policy within a Schema of your own, such as that of a config file: reads as {@link decode}, writes as
 * {@link encode}. The `ParseError` carries the whole listing of wrong fields.
 *
 * @since 0.1.0
 * @category schemas
 */
export const FromJson: Schema.Schema<RetryPolicy, unknown> = Schema.transformOrFail(
  Schema.Unknown,
  Schema.declare(isRetryPolicy, { identifier: "RetryPolicy", description: "a retry policy" }),
  {
    strict: true,
    decode: (json, _, ast) => Either.mapLeft(decode(json), (error) => new ParseResult.Type(ast, json, error.message)),
    encode: (policy) => ParseResult.succeed(encode(policy))
  }
)
