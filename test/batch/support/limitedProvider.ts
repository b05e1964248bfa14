/** A provider in virtual time that allows so much a minute, takes a while to answer and fails now and then. */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { admit, full, type Levels } from "../../../src/chaos/chaosServer/limits.ts"
import { RateLimited, ServerError } from "../../../src/error/ModelError.ts"
import { draw } from "../../../src/internal/seeded.ts"
import type * as LanguageModel from "../../../src/model/LanguageModel.ts"
import * as Prompt from "../../../src/model/Prompt.ts"
import { Response } from "../../../src/model/Response.ts"
import { Usage } from "../../../src/model/Usage.ts"

export interface Habits {
  readonly requestsPerMinute?: number | undefined
  readonly tokensPerMinute?: number | undefined
  /** Calls that it takes at a time; more are throttled, without a hint. */
  readonly mostAtATime?: number | undefined
  /** Milliseconds. */
  readonly latency: { readonly least: number; readonly most: number }
  /** The share of calls that fail with a 500. */
  readonly faults: number
  /** The share of calls that are throttled whatever the load is. */
  readonly throttles?: number | undefined
  /** Whether replies tell the limits. */
  readonly headers: "sent" | "absent"
  readonly seed: string
}

export interface Seen {
  calls: number
  admitted: number
  throttled: number
  inFlight: number
  /** Calls that were admitted in each minute. */
  readonly perMinute: Array<number>
}

/** What a request counts for: its prompt at four characters a token, and the longest reply. */
const tokensOf = (request: LanguageModel.Request): number =>
  Math.ceil(
    Prompt.make(request.prompt).messages.reduce(
      (sum, message) =>
        sum + (typeof message.content === "string" ? message.content.length : JSON.stringify(message.content).length),
      0
    ) / 4
  ) + (request.maxOutputTokens ?? 16)

/** The share of what a minute allows that was used, minute by minute, without the first one and the last two. */
export const useOf = (seen: Seen, perMinute: number): number => {
  const shares = seen.perMinute.slice(1, -2).map((count) => Math.min(1, count / perMinute))
  return shares.reduce((sum, share) => sum + share, 0) / Math.max(1, shares.length)
}

export const make = (habits: Habits): { readonly model: LanguageModel.Service; readonly seen: Seen } => {
  const seen: Seen = { calls: 0, admitted: 0, throttled: 0, inFlight: 0, perMinute: [] }
  const limits = { requestsPerMinute: habits.requestsPerMinute, tokensPerMinute: habits.tokensPerMinute }
  let levels: Levels = full
  const name = "limited"
  const common = { provider: "test", model: name }

  const generate = (request: LanguageModel.Request): Effect.Effect<Response, RateLimited | ServerError> =>
    Effect.gen(function*() {
      const now = yield* Clock.currentTimeMillis
      const random = draw(habits.seed, "call", String(seen.calls++))
      if (random.fraction() < (habits.throttles ?? 0) || seen.inFlight >= (habits.mostAtATime ?? Infinity)) {
        seen.throttled++
        return yield* new RateLimited(common)
      }
      const made = admit(limits, levels, tokensOf(request), now)
      levels = made.levels
      if (made.refusal !== undefined) {
        seen.throttled++
        const { scope, wait } = made.refusal
        return yield* new RateLimited({ ...common, scope, retryAfter: Duration.millis(wait ?? 60_000) })
      }
      seen.admitted++
      const minute = Math.floor(now / 60_000)
      while (seen.perMinute.length <= minute) seen.perMinute.push(0)
      seen.perMinute[minute] = (seen.perMinute[minute] ?? 0) + 1
      seen.inFlight++
      const { least, most } = habits.latency
      const fails = random.fraction() < habits.faults
      yield* Effect.sleep(Duration.millis(Math.round(least + (most - least) * random.fraction()))).pipe(
        Effect.ensuring(Effect.sync(() => seen.inFlight--))
      )
      if (fails) return yield* new ServerError({ ...common, status: 500 })
      const prompt = tokensOf(request) - (request.maxOutputTokens ?? 16)
      const standing = Object.fromEntries(
        made.standings.map(({ limit, remaining, reset, scope }) => [
          scope,
          { limit, remaining, resetAfter: Duration.millis(reset), per: "minute" as const }
        ])
      )
      return new Response({
        model: name,
        parts: [Prompt.text("ok")],
        finishReason: "stop",
        usage: new Usage({ inputTokens: prompt, outputTokens: 10, totalTokens: prompt + 10 }),
        ...(habits.headers === "sent" ? { rateLimit: standing } : {})
      })
    })

  return {
    seen,
    model: {
      name,
      provider: "test",
      capabilities: { tools: true, images: false },
      generate,
      stream: () => Stream.empty,
      check: () => Effect.void
    }
  }
}
