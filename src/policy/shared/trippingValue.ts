/** A rule as a value that compares, prints and writes itself. */
import * as Form from "../../internal/form.ts"
import { type DataValue, prototypeOf } from "./dataValue.ts"
import { describe, form, type Input } from "./trippingForm.ts"
import type { Rule } from "./trippingRule.ts"

/**
 * Marks a `Tripping`.
 *
 * @since 0.1.0
 * @category symbols
 */
export const TypeId: unique symbol = Symbol.for("effect-llm-resilience/Tripping")

/** The public interface of the same name extends this one. */
export interface Tripping extends DataValue {
  readonly [TypeId]: typeof TypeId
  /** What it is made of: plain data, times in milliseconds. */
  readonly rule: Rule
}

/**
 * Whether a value says when a circuit opens.
 *
 * @since 0.1.0
 * @category guards
 */
export const isTripping = (value: unknown): value is Tripping =>
  typeof value === "object" && value !== null && TypeId in value

/** The rule as JSON. */
export const encode = (self: Tripping): unknown => Form.encode(form, self.rule)

const proto: Omit<Tripping, "rule"> = {
  [TypeId]: TypeId,
  ...prototypeOf("Tripping", {
    is: isTripping,
    write: encode,
    describe: (self) => describe(self.rule),
    encode
  })
}

export const make = (rule: Rule): Tripping => Object.assign(Object.create(proto), { rule })

/** A rule as it is written, as a value. */
export const valueForm: Form.Form<Tripping, Input, "required"> = Form.mapped(form, {
  decode: make,
  encode: (tripping) => tripping.rule
})
