/** The options of an adaptive retry. */
import type * as Duration from "effect/Duration"
import type * as Verdict from "../../error/Verdict.ts"
import * as Form from "../../internal/form.ts"
import { judge } from "../shared/options.ts"

export type Mode = "multiplier" | "rate"

export interface Options {
  /** The name its events carry. Default: `"adaptiveRetry"`. */
  readonly name?: string | undefined
  /** Default: `"multiplier"`. */
  readonly mode?: Mode | undefined
  /** How long an outcome counts. Default: 5 minutes. */
  readonly window?: Duration.DurationInput | undefined
  /** The most outcomes that count: 1 to 100 000. Default: 100. */
  readonly calls?: number | undefined
  /**
   * With fewer outcomes than this, the missing ones are taken for successes, so that one failure out of one does not
   * weigh like a hundred out of a hundred: 1 to `calls`. Default: 10, or `calls` if that is less.
   */
  readonly minimumCalls?: number | undefined
  /** How much longer a wait may become: 1 to 100. Default: 4. */
  readonly maxMultiplier?: number | undefined
  /** A wait is not stretched beyond this; one that was longer before stays as it was. Default: 30 seconds. */
  readonly cap?: Duration.DurationInput | undefined
  /** Judges errors that do not know their own verdict. Default: `Verdict.of`. */
  readonly verdict?: ((error: unknown) => Verdict.Verdict) | undefined
}

export const defaults = {
  mode: "multiplier",
  window: "5 minutes",
  calls: 100,
  minimumCalls: 10,
  maxMultiplier: 4,
  cap: "30 seconds",
  rate: { beta: 0.7, scale: 0.4, minimumRate: 0.5, smooth: 0.8 }
} as const

const minute = 60_000

const allowedCalls = (most: number): string => `a whole number of calls, 1 to ${most}`
const calls = Form.count(1, 100_000, allowedCalls(100_000))

export const form = Form.of<Options>()(Form.struct(
  "an object with the options of an adaptive retry",
  {
    name: Form.withDefault(Form.name, () => "adaptiveRetry"),
    mode: Form.withDefault(Form.oneOf("multiplier", "rate"), () => defaults.mode),
    window: Form.withDefault(Form.millis(), () => 5 * minute),
    calls: Form.withDefault(calls, () => defaults.calls),
    minimumCalls: Form.optional(calls),
    maxMultiplier: Form.withDefault(
      Form.number({ min: 1, max: 100 }, "a factor from 1 to 100"),
      () => defaults.maxMultiplier
    ),
    cap: Form.withDefault(Form.millis(), () => 0.5 * minute),
    verdict: Form.optional(judge)
  },
  ({ calls: most = defaults.calls, minimumCalls }) =>
    minimumCalls === undefined || minimumCalls <= most
      ? []
      : [{ path: ["minimumCalls"], allowed: allowedCalls(most) }]
))
