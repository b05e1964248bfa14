/** The value a retry policy is: a tree of data that knows how to print, compare and write itself. */
import { InvalidOptions } from "../../error/InvalidOptions.ts"
import { type DataValue, prototypeOf } from "./dataValue.ts"
import { write, writeTree } from "./retryForm.ts"
import { describe } from "./retryText.ts"
import { allowedDepth, depthOf, maxDepth, type RetryTree } from "./retryTree.ts"

export const TypeId: unique symbol = Symbol.for("effect-llm-resilience/RetryPolicy")

export interface RetryPolicy extends DataValue {
  readonly [TypeId]: typeof TypeId
  /** What the policy is made of: plain data, times in milliseconds. Read it with the interpreters of `RetryPolicy`. */
  readonly tree: RetryTree
}

/**
 * Whether a value is a retry policy.
 *
 * @since 0.1.0
 * @category guards
 */
export const isRetryPolicy = (value: unknown): value is RetryPolicy =>
  typeof value === "object" && value !== null && TypeId in value

const proto: Omit<RetryPolicy, "tree"> = {
  [TypeId]: TypeId,
  ...prototypeOf("RetryPolicy", {
    is: isRetryPolicy,
    write: (self) => writeTree(self.tree),
    describe: (self) => describe(self.tree),
    encode: (self) => write(self.tree)
  })
}

/**
 * A policy of that tree. Throws `InvalidOptions` where it has more levels than can be written and read again: a policy
 * that grows with every pass of a loop ends here, and not when the stack does.
 */
export const make = <Tree extends RetryTree>(tree: Tree): RetryPolicy & { readonly tree: Tree } => {
  const depth = depthOf(tree)
  if (depth > maxDepth) {
    throw new InvalidOptions({
      module: "RetryPolicy",
      issues: [{ path: "", found: `${depth} levels`, allowed: allowedDepth }]
    })
  }
  return Object.assign(Object.create(proto), { tree })
}
