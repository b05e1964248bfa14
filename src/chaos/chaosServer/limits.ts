/** Requests and tokens per minute, as two buckets that refill evenly. Data in, data out. */

export interface Limits {
  readonly requestsPerMinute: number | undefined
  readonly tokensPerMinute: number | undefined
}

interface Bucket {
  readonly level: number
  readonly at: number
}

export interface Levels {
  readonly requests: Bucket | undefined
  readonly tokens: Bucket | undefined
}

/** Buckets not yet used are full. */
export const full: Levels = { requests: undefined, tokens: undefined }

/** Why a request was not let in. Without a wait it never can be. */
export interface Refusal {
  readonly scope: "requests" | "tokens"
  readonly limit: number
  readonly used: number
  readonly requested: number
  readonly wait: number | undefined
}

/** The way Go prints a duration, which is how the reset headers spell it: `120ms`, `1.5s`, `6m0s`, `4h43m36.314s`. */
export const goDuration = (millis: number): string => {
  const whole = Math.max(0, Math.ceil(millis))
  if (whole < 1000) return `${whole}ms`
  const seconds = (whole % 60_000) / 1000
  const minutes = Math.floor(whole / 60_000) % 60
  const hours = Math.floor(whole / 3_600_000)
  return `${hours > 0 ? `${hours}h` : ""}${hours > 0 || minutes > 0 ? `${minutes}m` : ""}${seconds}s`
}

const perMilli = (limit: number) => limit / 60_000

const refill = (bucket: Bucket | undefined, limit: number, now: number): Bucket => ({
  level: bucket === undefined ? limit : Math.min(limit, bucket.level + Math.max(0, now - bucket.at) * perMilli(limit)),
  at: now
})

const check = (scope: Refusal["scope"], bucket: Bucket, limit: number, cost: number): Refusal | undefined => {
  if (cost <= bucket.level) return undefined
  return {
    scope,
    limit,
    used: Math.floor(limit - bucket.level),
    requested: cost,
    wait: cost > limit ? undefined : Math.ceil((cost - bucket.level) / perMilli(limit))
  }
}

/** How one limit stands: what is left of it, and in how many milliseconds it is whole again. */
export interface Standing {
  readonly scope: Refusal["scope"]
  readonly limit: number
  readonly remaining: number
  readonly reset: number
}

const standingOf = (scope: Refusal["scope"], bucket: Bucket, limit: number): Standing => ({
  scope,
  limit,
  remaining: Math.floor(bucket.level),
  reset: (limit - bucket.level) / perMilli(limit)
})

/** Takes one request and its tokens from the buckets if both hold enough; a refused request takes nothing. */
export const admit = (limits: Limits, levels: Levels, tokens: number, now: number): {
  readonly refusal: Refusal | undefined
  readonly levels: Levels
  readonly standings: ReadonlyArray<Standing>
} => {
  const scopes = [
    { scope: "requests", limit: limits.requestsPerMinute, cost: 1 },
    { scope: "tokens", limit: limits.tokensPerMinute, cost: tokens }
  ] as const
  const filled = scopes.flatMap(({ cost, limit, scope }) =>
    limit === undefined ? [] : [{ scope, limit, cost, bucket: refill(levels[scope], limit, now) }]
  )
  const refusals = filled.flatMap(({ bucket, cost, limit, scope }) => check(scope, bucket, limit, cost) ?? [])
  // What can never pass is told before what has to wait; among waits the longest is the true one.
  const refusal = refusals.find(({ wait }) => wait === undefined) ??
    [...refusals].sort((left, right) => (right.wait ?? 0) - (left.wait ?? 0))[0]
  const after = filled.map((item) =>
    refusal === undefined ? { ...item, bucket: { ...item.bucket, level: item.bucket.level - item.cost } } : item
  )
  return {
    refusal,
    levels: {
      requests: after.find(({ scope }) => scope === "requests")?.bucket,
      tokens: after.find(({ scope }) => scope === "tokens")?.bucket
    },
    standings: after.map(({ bucket, limit, scope }) => standingOf(scope, bucket, limit))
  }
}
