/** How a stream is guarded to its end: the options, and what is read from them. */
import type * as Duration from "effect/Duration"
import * as Form from "../../internal/form.ts"
import { words } from "../../internal/words.ts"

/**
 * How streams are guarded to their end; everything may be left out. Time in which the consumer does not ask for more
 * never counts.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /**
   * How long an attempt may take to its first content, once it is admitted: above zero, less than `total`. Reasoning is
   * content. Default: `attemptTimeout`, which for a stream counts to the first content.
   */
  readonly firstContent?: Duration.DurationInput | undefined
  /**
   * How long the next content may take: above zero, less than `total`. Pings do not count. Where nothing limits the first
   * content, it holds for that of an attempt that follows a broken one, too. Default: without end.
   */
  readonly idle?: Duration.DurationInput | undefined
  /**
   * How long the next byte of any kind may take, pings and comments too: above zero, and less than `idle` or
   * `firstContent`, because it can only find out earlier than these. Default: without end.
   */
  readonly liveness?: Duration.DurationInput | undefined
  /** How long the stream may take with all its attempts and waits. Default: `totalTimeout`. */
  readonly total?: Duration.DurationInput | undefined
  /**
   * How long the first content is held back, so that an error right behind it is retried without a trace: 0 or more,
   * less than `total`. Default: 0.
   */
  readonly peek?: Duration.DurationInput | undefined
  /**
   * What happens when the stream breaks after its first content. `"fail"`: it fails with everything that came.
   * `"restart"`: a `Reset`, then a new attempt. `"resume"`: it goes on where it stopped, where the provider can.
   * `"truncate"`: it ends with what came, and says so. `"restart"` and `"resume"` need a `retry`, which says how often.
   * Default: `"fail"`.
   */
  readonly onBreak?: "fail" | "restart" | "resume" | "truncate" | undefined
  /** What happens where a resume is not possible; only with `"resume"`. Default: `"fail"`. */
  readonly otherwise?: "fail" | "restart" | "truncate" | undefined
  /**
   * Whether a provider may keep the reply while it is made, which its own resume needs; only with `"resume"`. `false`
   * leaves only a continuation. Default: `true`.
   */
  readonly background?: boolean | undefined
  /**
   * Whether another request may continue a text that broke, where the model can; only with `"resume"`. The text so far is
   * paid for once more, as input. Default: `"never"`.
   */
  readonly continuation?: "never" | "allowed" | undefined
  /**
   * How many characters of a reply are kept for the error or for a continuation: 1 000 to 100 000 000. Of a longer reply
   * the error tells how much it left out, and it is not continued. Default: 1 000 000.
   */
  readonly maxKept?: number | undefined
}

/**
 * How streams are guarded, as numbers. Times are milliseconds; `undefined` is without end.
 *
 * @since 0.1.0
 * @category models
 */
export interface Settings {
  readonly firstContent: number | undefined
  readonly idle: number | undefined
  readonly liveness: number | undefined
  readonly total: number | undefined
  readonly peek: number
  readonly onBreak: "fail" | "restart" | "resume" | "truncate"
  readonly otherwise: "fail" | "restart" | "truncate"
  readonly background: boolean
  readonly continuation: "never" | "allowed"
  readonly maxKept: number
}

const leastKept = 1_000
const mostKept = 100_000_000

const fields = {
  firstContent: Form.annotate(Form.optional(Form.millis()), {
    description: "for an attempt of a stream to its first content, once it is admitted"
  }),
  idle: Form.annotate(Form.optional(Form.millis()), {
    description: "for the next content of a stream; pings do not count"
  }),
  liveness: Form.annotate(Form.optional(Form.millis()), {
    description: "for the next byte of a stream, pings and comments too"
  }),
  total: Form.annotate(Form.optional(Form.millis()), {
    description: "for a stream with all its attempts; left out, it is totalTimeout"
  }),
  peek: Form.annotate(
    Form.withDefault(Form.millis({ from: "zero", allowed: "a duration, 0 or more" }), () => 0),
    {
      description:
        "how long the first content is held back, so that an error right behind it is retried without a trace"
    }
  ),
  onBreak: Form.annotate(Form.withDefault(Form.oneOf("fail", "restart", "resume", "truncate"), () => "fail" as const), {
    description: "what happens when a stream breaks after its first content"
  }),
  otherwise: Form.annotate(Form.withDefault(Form.oneOf("fail", "restart", "truncate"), () => "fail" as const), {
    description: "what happens where a resume is not possible"
  }),
  background: Form.annotate(Form.withDefault(Form.boolean, () => true), {
    description: "whether the provider may keep the reply while it is made, which its own resume needs"
  }),
  continuation: Form.annotate(Form.withDefault(Form.oneOf("never", "allowed"), () => "never" as const), {
    description: "whether another request may continue a text that broke"
  }),
  maxKept: Form.annotate(Form.withDefault(Form.count(leastKept, mostKept), () => 1_000_000), {
    description: "characters of a reply that are kept for an error or a continuation"
  })
}

/** What only `resume` looks at. */
const ofResume = ["otherwise", "background", "continuation"] as const

/** A limit within the stream that is as long as the stream as a whole is never reached. */
const withinTotal = ["firstContent", "idle", "liveness", "peek"] as const

export const form = Form.of<Options>()(Form.struct(
  "an object that says how streams are guarded",
  fields,
  (limits) => {
    const { total } = limits
    return total === undefined ? [] : withinTotal.filter((field) => (limits[field] ?? 0) >= total).map(
      (field) => ({ path: [field], allowed: `less than total, which is ${words(total)}` })
    )
  },
  ({ onBreak }, given) =>
    onBreak === undefined || onBreak === "resume" ? [] : ofResume.filter((field) => given[field] !== undefined).map(
      (field) => ({ path: [field], allowed: `nothing unless onBreak is "resume", and it is "${onBreak}"` })
    ),
  ({ background, continuation, onBreak }) =>
    onBreak === "resume" && background === false && continuation === "never"
      ? [{
        path: ["background"],
        allowed:
          "true, or continuation \"allowed\" beside it: with neither, onBreak \"resume\" has nothing to resume by"
      }]
      : []
))

/** What holds where a pipeline says nothing of streams. */
export const defaults = Form.defaults(form)
