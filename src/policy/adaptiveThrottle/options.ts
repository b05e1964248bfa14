/** The options of an adaptive throttle. */
import * as Duration from "effect/Duration"
import type * as Verdict from "../../error/Verdict.ts"
import * as Form from "../../internal/form.ts"

/**
 * What a throttle is made from; everything may be left out.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** The name its events and refusals carry. Default: `"throttle"`. */
  readonly name?: string | undefined
  /**
   * How many calls are let through for each that the other side accepts: 1 to 100. With 2 nothing is refused while at
   * least half is accepted; less refuses more, and finds out later that the other side has recovered. Default: 2.
   */
  readonly ratio?: number | undefined
  /** How far back it looks: above zero and finite, and longer than most calls take. Default: 2 minutes. */
  readonly window?: Duration.DurationInput | undefined
  /** Judges an error, for errors that do not know their own verdict. Default: `Verdict.of`. */
  readonly verdict?: ((error: unknown) => Verdict.Verdict) | undefined
}

const mostRatio = 100

/** `ratio` and `window` are those of the SRE book. */
export const defaults = { name: "throttle", ratio: 2, window: Duration.minutes(2) } as const

export const form = Form.of<Options>()(Form.struct("an object with the options of an adaptive throttle", {
  name: Form.withDefault(Form.name, () => defaults.name),
  ratio: Form.withDefault(
    Form.number({ min: 1, max: mostRatio }, `a number from 1 to ${mostRatio}`),
    () => defaults.ratio
  ),
  window: Form.withDefault(Form.duration(), () => defaults.window),
  verdict: Form.optional(
    Form.fn<(error: unknown) => Verdict.Verdict>("a function from an error to its Verdict", "judge errors")
  )
}))
