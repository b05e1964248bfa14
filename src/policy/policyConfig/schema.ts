/** The JSON Schema of a policy file. A test holds it against the reader, so that neither can drift from the other. */

const text = { type: "string", pattern: "\\S" } as const
const spelled = "\\s*\\d+(\\.\\d+)? (milli|second|minute|hour|day|week)s?\\s*"
const duration = {
  type: "string",
  pattern: `^(?=.*[1-9])${spelled}$`,
  description: "a duration above zero, written like \"500 millis\" or \"8 seconds\"",
  examples: ["500 millis", "8 seconds", "1 minute"]
} as const
const wait = { $ref: "#/$defs/duration" } as const
const share = { type: "number", minimum: 0, maximum: 1 } as const
const count = (minimum: number, maximum: number) => ({ type: "integer", minimum, maximum }) as const
const object = (properties: Readonly<Record<string, unknown>>, required: ReadonlyArray<string> = []) => ({
  type: "object",
  properties,
  required,
  additionalProperties: false
})
const ref = (name: string) => ({ $ref: `#/$defs/${name}` })
const literal = (...values: ReadonlyArray<string>) => ({ enum: values })

const jitter = {
  anyOf: [
    literal("none", "full", "equal", "decorrelated"),
    object({ ratio: { type: "number", exclusiveMinimum: 0, maximum: 1 } }, ["ratio"]),
    object({ min: { type: "number", minimum: 0, maximum: 10 }, max: { type: "number", minimum: 0, maximum: 10 } }, [
      "min",
      "max"
    ])
  ],
  description: "how much of a delay chance decides"
}

/** What may stand round any backoff, in the order in which it applies. */
const modifiers = {
  jitter,
  atLeast: wait,
  cap: { ...wait, description: "no delay is longer; it holds after jitter" },
  attempts: { ...count(2, 100_000), description: "attempts in total, the first included" },
  within: { ...wait, description: "no wait may end later than this after the first attempt's start" },
  honourHints: {
    anyOf: [wait, { const: "never" }],
    description: "waits as long as the other side asks, up to this; longer: stops at once",
    default: "60 seconds"
  }
}

const leaves = {
  never: [],
  immediate: [],
  constant: ["delay"],
  linear: ["initial", "increment"],
  exponential: ["initial", "factor"],
  fibonacci: ["initial"]
}

const leafFields = {
  delay: wait,
  initial: wait,
  increment: wait,
  factor: { type: "number", minimum: 1, maximum: 100, default: 2 }
}

const tags = { type: "array", items: text, minItems: 1, description: "the _tag of the errors, such as RateLimited" }

/**
 * An object in one of several shapes. What its fields are is said once, beside the shapes, which only say which fields
 * there are: a validator that tries every shape would else go through a nested policy once for each of them, and as
 * often again at every level.
 */
const shaped = (properties: Readonly<Record<string, unknown>>, anyOf: ReadonlyArray<unknown>) => ({
  type: "object",
  properties,
  anyOf
})

/** The fields there are, those that must be there, and those that have one value. */
const shape = (
  names: ReadonlyArray<string>,
  required: ReadonlyArray<string>,
  values: Readonly<Record<string, string>> = {}
) =>
  object({
    ...Object.fromEntries(names.map((name) => [name, true])),
    ...Object.fromEntries(Object.entries(values).map(([name, value]) => [name, { const: value }]))
  }, [...Object.keys(values), ...required])

const modifierNames = Object.keys(modifiers)

/** Only the first field of a leaf has no default. */
const flat = (more: ReadonlyArray<string>) =>
  Object.entries(leaves).map(([backoff, own]) =>
    shape([...more, ...own, ...modifierNames], [...more, ...own.slice(0, 1)], { backoff })
  )

const node = (_tag: string, own: ReadonlyArray<string>, required = own) => shape(own, required, { _tag })

const tree = [
  ...Object.entries(leaves).map(([name, own]) =>
    node(`${name.charAt(0).toUpperCase()}${name.slice(1)}`, own, own.slice(0, 1))
  ),
  ...Object.entries({
    Jittered: "jitter",
    AtLeast: "atLeast",
    Capped: "cap",
    Attempts: "attempts",
    Within: "within",
    HonourHints: "honourHints"
  }).map(([tag, name]) => node(tag, [name, "policy"])),
  node("Union", ["left", "right"]),
  node("Intersect", ["left", "right"]),
  node("AndThen", ["first", "second"]),
  node("ByError", ["rules", "otherwise", "growth"], ["rules"])
]

const backoff = literal(...Object.keys(leaves))
const rules = { type: "array", items: ref("rule"), minItems: 1 }

const retryPolicy = shaped({
  backoff,
  ...leafFields,
  ...modifiers,
  byError: { ...rules, description: "which errors are retried how; each tag in one rule only" },
  otherwise: { anyOf: [{ const: "fail" }, ref("retryPolicy")], description: "for errors that no rule names" },
  growth: literal("rule", "call"),
  _tag: text,
  ...Object.fromEntries(["policy", "left", "right", "first", "second"].map((name) => [name, ref("retryPolicy")])),
  rules
}, [
  ...flat([]),
  shape(["byError", "otherwise", "growth", ...modifierNames], ["byError"]),
  ...tree
])

const rule = shaped({ on: tags, use: ref("retryPolicy"), backoff, ...leafFields, ...modifiers }, [
  shape(["on", "use"], ["on", "use"]),
  ...flat(["on"])
])

const backoffRatio = { type: "number", minimum: 0.01, maximum: 0.99 } as const
const queue = { maxQueued: count(0, 1_000_000), queueTimeout: wait }
const perMinute = { anyOf: [{ type: "number", minimum: 1e-4 }, { const: "learned" }] }

export const schema: { readonly [keyword: string]: unknown } = {
  $schema: "https://json-schema.org/draft/2020-12/schema",
  title: "A pipeline of effect-llm-resilience",
  type: "object",
  additionalProperties: false,
  properties: {
    $schema: { type: "string", description: "where this schema is, for editors" },
    name: { ...text, description: "the name that events and errors carry" },
    totalTimeout: { ...wait, description: "for the call with all its attempts and waits" },
    retry: ref("retryPolicy"),
    rateLimiter: {
      ...object({
        name: text,
        requestsPerMinute: perMinute,
        tokensPerMinute: perMinute,
        burst: share,
        onExceeded: literal("delay", "fail"),
        maxWait: wait,
        longestHint: wait,
        key: text
      }),
      anyOf: [{ required: ["requestsPerMinute"] }, { required: ["tokensPerMinute"] }]
    },
    concurrencyLimit: object({
      name: text,
      initial: count(1, 1_000_000),
      floor: count(1, 1_000_000),
      ceiling: count(1, 1_000_000),
      strategy: {
        anyOf: [
          literal("aimd", "gradient"),
          object({ kind: { const: "aimd" }, backoffRatio, timeout: wait }, ["kind"]),
          object({
            kind: { const: "gradient" },
            backoffRatio,
            tolerance: { type: "number", minimum: 1, maximum: 1.99 },
            smoothing: { type: "number", minimum: 0.01, maximum: 1 },
            queueSize: count(1, 1_000),
            remeasureEvery: count(100, 1_000_000)
          }, ["kind"])
        ]
      },
      ...queue
    }),
    bulkhead: object({ name: text, maxConcurrent: count(1, 1_000_000), ...queue }, ["maxConcurrent"]),
    attemptTimeout: { ...wait, description: "for each attempt; less than totalTimeout" }
  },
  $defs: {
    duration,
    retryPolicy,
    rule
  }
}
