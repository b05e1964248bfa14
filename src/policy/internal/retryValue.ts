/** The value a retry policy is: a tree of data that knows how to print, compare and write itself. */
import * as Equal from "effect/Equal"
import * as Hash from "effect/Hash"
import { type Inspectable, NodeInspectSymbol } from "effect/Inspectable"
import { type Pipeable, pipeArguments } from "effect/Pipeable"
import * as Json from "../../internal/retryJson.ts"
import { describe } from "../../internal/retryText.ts"
import type { RetryTree } from "../../internal/retryTree.ts"

export const TypeId: unique symbol = Symbol.for("effect-llm-resilience/RetryPolicy")

export interface RetryPolicy extends Pipeable, Inspectable, Equal.Equal {
  readonly [TypeId]: typeof TypeId
  /** What the policy is made of: plain data, times in milliseconds. Read it with the interpreters of `RetryPolicy`. */
  readonly tree: RetryTree
}

const fingerprint = (self: RetryPolicy): string => JSON.stringify(Json.writeTree(self.tree))

const proto: Omit<RetryPolicy, "tree"> = {
  [TypeId]: TypeId,
  [Equal.symbol](this: RetryPolicy, that: unknown): boolean {
    return isRetryPolicy(that) && fingerprint(this) === fingerprint(that)
  },
  [Hash.symbol](this: RetryPolicy): number {
    return Hash.string(fingerprint(this))
  },
  [NodeInspectSymbol](this: RetryPolicy): string {
    return `RetryPolicy(${describe(this.tree)})`
  },
  toString(this: RetryPolicy): string {
    return describe(this.tree)
  },
  toJSON(this: RetryPolicy): unknown {
    return Json.write(this.tree)
  },
  pipe() {
    return pipeArguments(this, arguments)
  }
}

export const make = <Tree extends RetryTree>(tree: Tree): RetryPolicy & { readonly tree: Tree } =>
  Object.assign(Object.create(proto), { tree })

/**
 * Whether a value is a retry policy.
 *
 * @since 0.1.0
 * @category guards
 */
export const isRetryPolicy = (value: unknown): value is RetryPolicy =>
  typeof value === "object" && value !== null && TypeId in value
