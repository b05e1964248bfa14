/** A form with every kind of part, for the tests of forms. */
import * as Duration from "effect/Duration"
import * as FastCheck from "effect/FastCheck"
import * as Form from "../../../src/internal/form.ts"

/** A policy that is shared: only code can give it. */
export class Shared {
  readonly limit = 3
}

export const isShared = (value: unknown): value is Shared => value instanceof Shared

const jitter = Form.choose(
  "\"full\", \"none\", { \"ratio\": 0.2 }, or { \"min\": 0.75, \"max\": 1 }",
  Form.when(Form.isText, Form.oneOf("none", "full")),
  Form.when(Form.has("ratio"), Form.struct("a ratio", { ratio: Form.number({ above: 0, max: 1 }) })),
  Form.otherwise(Form.checked(
    Form.struct("a jitter", { min: Form.number({ min: 0, max: 10 }), max: Form.number({ min: 0, max: 10 }) }),
    ({ max, min }) => min > max ? [{ path: [], allowed: "min not above max" }] : []
  ))
)

export type Window = { readonly _tag: "Calls"; readonly calls: number } | {
  readonly _tag: "Time"
  readonly millis: number
}

const isCalls = (value: unknown): boolean => typeof value === "string" && value.includes("call")

/** "100 calls" or "30 seconds". */
const window = Form.choose(
  "a number of calls like \"100 calls\" or a time like \"30 seconds\"",
  Form.when(
    isCalls,
    Form.spelled<Window>({
      allowed: "a number of calls like \"100 calls\"",
      pattern: "^[1-9]\\d{0,4} calls$",
      parse: (text) => /^[1-9]\d{0,4} calls$/.test(text) ? { _tag: "Calls", calls: parseInt(text, 10) } : undefined,
      print: (read) => read._tag === "Calls" ? `${read.calls} calls` : ""
    }),
    (read) => Form.has("calls")(read)
  ),
  Form.otherwise(Form.mapped(Form.millis(), {
    decode: (millis): Window => ({ _tag: "Time", millis }),
    encode: (read) => read._tag === "Time" ? read.millis : 0
  }))
)

export type Rule =
  | { readonly when: "consecutive"; readonly failures: number }
  | { readonly when: "failureRate"; readonly share: number; readonly window: Window }
  | { readonly any: ReadonlyArray<Rule> }

export const rule: Form.Form<Rule, unknown> = Form.recursive(
  "rule",
  { maxDepth: 16, allowed: "rules at most 16 deep" },
  () =>
    Form.choose(
      "a rule",
      Form.when(
        Form.has("any"),
        Form.struct("a rule", { any: Form.list(rule, { allowed: "a list of rules that is not empty" }) })
      ),
      Form.otherwise(Form.tagged(
        "a rule with \"when\" or \"any\"",
        "when",
        Form.struct("a rule", {
          when: Form.oneOf("consecutive"),
          failures: Form.withDefault(Form.count(1, 100), () => 5)
        }),
        Form.struct("a rule", {
          when: Form.oneOf("failureRate"),
          share: Form.withDefault(Form.share(), () => 0.5),
          window: Form.withDefault(window, (): Window => ({ _tag: "Time", millis: 30_000 }))
        })
      ))
    )
)

export interface Options {
  readonly name?: string | undefined
  readonly maxConcurrent: number
  readonly maxQueued?: number | undefined
  readonly queueTimeout?: Duration.DurationInput | undefined
  readonly delay?: Duration.DurationInput | undefined
  readonly jitter?:
    | "none"
    | "full"
    | { readonly ratio: number }
    | { readonly min: number; readonly max: number }
    | undefined
  readonly rule?: unknown
  readonly budget?: Shared | "standard" | undefined
  readonly tags?: ReadonlyArray<string> | undefined
  readonly verdict?: ((error: unknown) => boolean) | undefined
}

export const form = Form.of<Options>()(Form.struct(
  "an object with the options of a sample",
  {
    $schema: Form.fileOnly(Form.text()),
    name: Form.annotate(Form.withDefault(Form.name, () => "sample"), { description: "the name that errors carry" }),
    maxConcurrent: Form.count(1, 1_000),
    maxQueued: Form.withDefault(Form.count(0, 1_000), () => 0),
    queueTimeout: Form.optional(Form.duration()),
    delay: Form.optional(Form.millis({ from: "zero", to: "Infinity" })),
    jitter: Form.optional(jitter),
    rule: Form.optional(rule),
    budget: Form.optional(Form.choose(
      "\"standard\" or a shared budget",
      Form.when(isShared, Form.value(isShared, "a shared budget")),
      Form.otherwise(Form.oneOf("standard"))
    )),
    tags: Form.optional(Form.list(Form.text(), { allowed: "a list of tags that is not empty" })),
    verdict: Form.optional(
      Form.fn<(error: unknown) => boolean>("a function from an error to a verdict", "judge errors")
    )
  },
  ({ maxQueued, queueTimeout }) =>
    queueTimeout === undefined || maxQueued !== 0 ? [] : [{
      path: ["queueTimeout"],
      allowed: "nothing while maxQueued is 0"
    }]
))

export type Settings = Form.Output<typeof form>

// ---- generators ----

const { constant, constantFrom, double, integer, oneof, record } = FastCheck

export const durations: FastCheck.Arbitrary<Duration.Duration> = oneof(
  integer({ min: 1, max: 10_000_000 }).map(Duration.millis),
  FastCheck.bigInt({ min: 1n, max: 10n ** 18n }).map(Duration.nanos),
  double({ min: 0.001, max: 1e9, noNaN: true }).map(Duration.millis),
  constantFrom<Duration.DurationInput>("1 nano", "3 micros", "500 millis", "1 minute", "36500 days")
    .map((input) => Duration.decode(input))
)

const some = (fields: Record<string, FastCheck.Arbitrary<unknown>>, ...requiredKeys: ReadonlyArray<string>) =>
  record(fields, { requiredKeys: [...requiredKeys] })

const texts = oneof(
  {
    weight: 9,
    arbitrary: constantFrom("500 millis", "0.5 seconds", " 8 seconds ", "1 nano", "2.5 micros", "007 minutes", "1  day")
  },
  {
    weight: 1,
    arbitrary: constantFrom("0 seconds", "Infinity", "5", "-1 seconds", "1 fortnight", "", "1e3 millis", "5 Seconds")
  }
)

const mostly = (right: FastCheck.Arbitrary<unknown>): FastCheck.Arbitrary<unknown> =>
  oneof({ weight: 30, arbitrary: right }, { weight: 1, arbitrary: FastCheck.jsonValue() })

const rules = FastCheck.letrec((tie) => ({
  rule: oneof(
    { maxDepth: 4 },
    some({ when: constant("consecutive"), failures: mostly(integer({ min: 1, max: 100 })) }, "when"),
    some({
      when: constant("failureRate"),
      share: mostly(double({ min: 0, max: 1, noNaN: true })),
      window: mostly(oneof(texts, constantFrom("1 calls", "100 calls")))
    }, "when"),
    record({ any: FastCheck.array(tie("rule"), { minLength: 1, maxLength: 3 }) })
  )
})).rule

/** Files of which many are right; whether one is, the reader says. */
export const files: FastCheck.Arbitrary<unknown> = some(
  {
    $schema: constant("sample.schema.json"),
    name: mostly(constantFrom("chat", "a b")),
    maxConcurrent: mostly(integer({ min: 1, max: 1_000 })),
    maxQueued: mostly(integer({ min: 1, max: 1_000 })),
    queueTimeout: mostly(texts),
    delay: mostly(texts),
    jitter: mostly(oneof(
      constantFrom("none", "full"),
      record({ ratio: double({ min: 0.01, max: 1, noNaN: true }) }),
      record({ min: constant(0.5), max: double({ min: 0.4, max: 10, noNaN: true }) })
    )),
    rule: mostly(rules),
    budget: mostly(constant("standard")),
    tags: mostly(FastCheck.array(constantFrom("RateLimited", "ServerError"), { minLength: 1, maxLength: 3 })),
    verdict: mostly(constant(undefined))
  },
  "maxConcurrent",
  "maxQueued"
)
