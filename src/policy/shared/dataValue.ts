/** A policy that is data: a value that knows how to print, compare and write itself. */
import * as Equal from "effect/Equal"
import * as Hash from "effect/Hash"
import { type Inspectable, NodeInspectSymbol } from "effect/Inspectable"
import { type Pipeable, pipeArguments } from "effect/Pipeable"

export interface DataValue extends Pipeable, Inspectable, Equal.Equal {}

/** What such values inherit. Two of them are equal when `write` gives the same JSON for both. */
export const prototypeOf = <A extends DataValue>(name: string, value: {
  readonly is: (value: unknown) => value is A
  readonly write: (self: A) => unknown
  readonly describe: (self: A) => string
  readonly encode: (self: A) => unknown
}): DataValue => {
  const fingerprint = (self: A): string => JSON.stringify(value.write(self))
  const proto: DataValue & ThisType<A> = {
    [Equal.symbol](that: unknown): boolean {
      return value.is(that) && fingerprint(this) === fingerprint(that)
    },
    [Hash.symbol](): number {
      return Hash.string(fingerprint(this))
    },
    [NodeInspectSymbol](): string {
      return `${name}(${value.describe(this)})`
    },
    toString(): string {
      return value.describe(this)
    },
    toJSON(): unknown {
      return value.encode(this)
    },
    pipe() {
      return pipeArguments(this, arguments)
    }
  }
  return proto
}
