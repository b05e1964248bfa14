/** The options of a rate limiter. */
import type * as Duration from "effect/Duration"
import type { Verdict } from "../../error/Verdict.ts"
import { lowestRate } from "../../internal/bucket.ts"
import * as Form from "../../internal/form.ts"
import { words } from "../../internal/words.ts"
import type { Limits } from "../RateLimitStore.ts"
import { judge } from "../shared/options.ts"

export interface Options {
  /** The name its events and refusals carry. */
  readonly name: string
  /**
   * Requests a minute: at least 0.0001, which is one in a week. `"learned"` has no limit until `learn` is given one.
   * Without it requests are not limited. At least one of the two limits must be given.
   */
  readonly requestsPerMinute?: number | "learned" | undefined
  /** Tokens a minute: at least 0.0001, or `"learned"`. Without it tokens are not limited. */
  readonly tokensPerMinute?: number | "learned" | undefined
  /**
   * The share of a minute's limit that may go at once when it was saved up, from 0 to 1. Default: 1, which mirrors the
   * token buckets of OpenAI and Anthropic. With 0 calls go evenly spaced. In any time t, at most `burst` (or the largest
   * single cost) plus what refills in t goes out.
   */
  readonly burst?: number | undefined
  /** What a call does that has no room: wait its turn, or fail with `RateLimitExceeded`. Default: `"delay"`. */
  readonly onExceeded?: "delay" | "fail" | undefined
  /**
   * With `"delay"`: a call that would have to wait longer fails at once, and so does one that waits when a pause makes
   * it wait longer. Default: no limit, so that only a time-out round the call ends the wait.
   */
  readonly maxWait?: Duration.DurationInput | undefined
  /**
   * The longest pause that a hint of the other side (a failure's `retryAfter`) makes: a longer one is cut to it, so that
   * one wrong reply cannot stop a key for days. `pause` has no such limit. Default: 1 hour.
   */
  readonly longestHint?: Duration.DurationInput | undefined
  /** Who shares the limits, for example one API key. Default: the name. */
  readonly key?: string | undefined
  /** Judges an error: who was throttled, and what was billed. Default: `Verdict.of`. */
  readonly verdict?: ((error: unknown) => Verdict) | undefined
}

const rate = (unit: string) => {
  const allowed = `${unit} a minute, above zero (at least ${lowestRate}) and finite: to let nothing through, do not ` +
    "call; for no limit, leave the field out; for the limit the other side tells, \"learned\""
  return Form.choose(
    allowed,
    Form.when(Form.isText, Form.oneOfWith(["learned"], allowed)),
    Form.otherwise(Form.number({ min: lowestRate }, allowed))
  )
}

const hourMillis = 3_600_000

/** Here and not above, because the type of a check is that of its fields. */
const fields = {
  name: Form.name,
  requestsPerMinute: Form.optional(rate("requests")),
  tokensPerMinute: Form.optional(rate("tokens")),
  burst: Form.withDefault(Form.share("a share of a minute's limit, from 0 to 1"), () => 1),
  onExceeded: Form.withDefault(Form.oneOf("delay", "fail"), () => "delay" as const),
  maxWait: Form.optional(Form.millis()),
  longestHint: Form.withDefault(Form.millis(), () => hourMillis),
  key: Form.optional(Form.text()),
  verdict: Form.optional(judge)
}

const limitsCheck: Form.Check<typeof fields> = (_, { requestsPerMinute, tokensPerMinute }) =>
  requestsPerMinute !== undefined || tokensPerMinute !== undefined ? [] : [{
    path: [],
    found: undefined,
    allowed: "requestsPerMinute, tokensPerMinute or both (\"learned\" takes a limit from the reply headers)"
  }]

const waitCheck: Form.Check<typeof fields> = ({ onExceeded }, { maxWait }) =>
  onExceeded !== "fail" || maxWait === undefined ? [] : [{
    path: ["maxWait"],
    allowed: "nothing together with onExceeded \"fail\", which never waits: leave it out, or use onExceeded \"delay\""
  }]

export const form = Form.of<Options>()(Form.annotate(
  Form.struct("an object of options", fields, limitsCheck, waitCheck),
  { anyOf: [{ required: ["requestsPerMinute"] }, { required: ["tokensPerMinute"] }] }
))

export const defaults = Form.defaults(form)

/** What a limiter works by. Times are milliseconds, and `Infinity` is no limit. */
export interface Settings {
  readonly name: string
  readonly key: string
  readonly limits: Limits
  readonly maxWait: number
  readonly longestHint: number
}

const perMinute = (given: number | "learned" | undefined): number =>
  given === undefined || given === "learned" ? Infinity : given

/** `key` is that of a limiter whose options give none: the name as it was written, for `name` may be clipped. */
export const settingsOf = (read: Form.Output<typeof form>, key: string): Settings => ({
  name: read.name,
  key: read.key ?? key,
  limits: {
    requestsPerMinute: perMinute(read.requestsPerMinute),
    tokensPerMinute: perMinute(read.tokensPerMinute),
    burst: read.burst
  },
  maxWait: read.onExceeded === "fail" ? 0 : read.maxWait ?? Infinity,
  longestHint: read.longestHint
})

const limitText = (limit: number, unit: string): string =>
  limit === Infinity ? `any number of ${unit}` : `${limit} ${unit}`

export const describeSettings = ({ limits, maxWait }: Settings): string => {
  const wait = maxWait === 0
    ? "fails when exceeded"
    : maxWait === Infinity
    ? "waits as long as it takes"
    : `waits at most ${words(maxWait)}`
  return `${limitText(limits.requestsPerMinute, "requests")} and ${limitText(limits.tokensPerMinute, "tokens")} ` +
    `a minute, burst ${limits.burst}, ${wait}`
}
