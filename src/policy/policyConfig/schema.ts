/** The JSON Schema of a policy file. A test holds it against the reader, so that neither can drift from the other. */

const text = { type: "string", pattern: "\\S" } as const
const spelled = "\\s*\\d+(\\.\\d+)? (milli|second|minute|hour|day|week)s?\\s*"
const wait = { $ref: "#/$defs/duration" } as const
const share = { type: "number", minimum: 0, maximum: 1 } as const
// Not beside a `$ref`: both would hold, and none would be refused.
const waitOrNone = {
  type: "string",
  pattern: `^${spelled}$`,
  description: "a duration; \"0 seconds\" is at once"
} as const
const count = (minimum: number, maximum: number) => ({ type: "integer", minimum, maximum }) as const
const object = (properties: Readonly<Record<string, unknown>>, required: ReadonlyArray<string> = []) => ({
  type: "object",
  properties,
  required,
  additionalProperties: false
})
const ref = (name: string) => ({ $ref: `#/$defs/${name}` })
const literal = (...values: ReadonlyArray<string>) => ({ enum: values })

const window = {
  type: "string",
  pattern: `^(\\s*0*[1-9]\\d* calls?\\s*|(?=.*[1-9])${spelled})$`,
  description: "the last calls (\"100 calls\") or the last time (\"30 seconds\")"
}
const rate = {
  share: { type: "number", exclusiveMinimum: 0, maximum: 1 },
  window,
  minimumCalls: count(1, 100_000)
}
const backoffRatio = { type: "number", minimum: 0.01, maximum: 0.99 } as const
const queue = { maxQueued: count(0, 1_000_000), queueTimeout: wait, priorityAgeing: wait }
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
    retryBudget: ref("retryBudget"),
    adaptiveRetry: object({
      name: text,
      mode: literal("multiplier", "rate"),
      window: wait,
      calls: count(1, 100_000),
      minimumCalls: count(1, 100_000),
      maxMultiplier: { type: "number", minimum: 1, maximum: 100 },
      cap: wait
    }),
    hedge: object({
      name: text,
      delay: {
        anyOf: [
          waitOrNone,
          { const: "Infinity", description: "only when the attempts that ran have failed" },
          object({
            quantile: { type: "number", minimum: 0.5, maximum: 0.999 },
            minimumSamples: count(100, 500),
            initial: waitOrNone
          }, ["quantile"])
        ]
      },
      maxHedges: count(1, 10),
      budget: literal("shared", "none")
    }, ["delay"]),
    circuitBreaker: object({
      name: text,
      tripping: ref("tripping"),
      openFor: { anyOf: [wait, ref("retryPolicy")] },
      longestHint: wait,
      probes: count(1, 1_000),
      successesToClose: count(1, 1_000),
      probeLimit: wait,
      mode: literal("enforce", "observe")
    }),
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
    retryBudget: {
      anyOf: [
        { const: "standard" },
        object({
          share: object({ ratio: share, minimum: { type: "number", minimum: 0, maximum: 1_000_000 } })
        }, ["share"]),
        object({
          tokens: object({
            capacity: { type: "number", minimum: 1 },
            initial: { type: "number", minimum: 0 },
            cost: { type: "number", exclusiveMinimum: 0 },
            throttlingCost: { type: "number", exclusiveMinimum: 0 },
            timeoutCost: { type: "number", exclusiveMinimum: 0 },
            reward: { type: "number", minimum: 0 }
          })
        }, ["tokens"]),
        object({
          deposits: object({
            ttl: wait,
            minimumPerSecond: { type: "number", minimum: 0 },
            ratio: { type: "number", minimum: 0 }
          })
        }, ["deposits"])
      ]
    },
    tripping: {
      anyOf: [
        object({ when: { const: "consecutive" }, failures: count(1, 100_000) }, ["when"]),
        object({ when: { const: "failureRate" }, ...rate }, ["when"]),
        object({ when: { const: "slowCallRate" }, longerThan: wait, ...rate }, ["when", "longerThan"]),
        object({ any: { type: "array", items: ref("tripping"), minItems: 1 } }, ["any"]),
        object({ all: { type: "array", items: ref("tripping"), minItems: 1 } }, ["all"])
      ]
    }
  }
}
