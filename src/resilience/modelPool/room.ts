/** Whether the limiter of a member would let a call go now, and if not, when. */
import * as Effect from "effect/Effect"
import type * as LanguageModel from "../../model/LanguageModel.ts"
import * as Pipeline from "../../policy/Pipeline.ts"
import * as RateLimiter from "../../policy/RateLimiter.ts"
import type { Snapshot } from "../../policy/RateLimitStore.ts"
import { costOf } from "../shared/limits.ts"

/** Milliseconds until a bucket of so much a minute has what is needed. */
const refill = (needed: number, available: number, perMinute: number): number =>
  needed <= available ? 0 : ((needed - available) / perMinute) * 60_000

/** `ahead` are calls that come before this one: those that wait there, and those that are on their way there. */
export const waitAt = (standing: Snapshot, ahead: number, tokens: number): number => {
  const calls = 1 + Math.max(ahead, standing.waiting)
  return Math.max(
    standing.pausedFor,
    refill(calls, standing.requestsAvailable, standing.requestsPerMinute),
    refill(calls * tokens, standing.tokensAvailable, standing.tokensPerMinute)
  )
}

/** The waits at all members; a member without a limiter has room. */
export const waitsAt = (
  pipelines: ReadonlyArray<Pipeline.Pipeline | undefined>,
  ahead: (at: number) => number,
  request: LanguageModel.Request
): Effect.Effect<ReadonlyArray<number>> => {
  const limited = pipelines.map((pipeline) =>
    pipeline === undefined ? undefined : Pipeline.policies(pipeline).rateLimiter
  )
  const first = pipelines[limited.findIndex((limiter) => limiter !== undefined)]
  if (first === undefined) return Effect.succeed([])
  // The estimate is the same whoever is asked.
  const tokens = costOf(first, request)?.tokens ?? 0
  return Effect.forEach(limited, (limiter, at) =>
    limiter === undefined
      ? Effect.succeed(0)
      : Effect.map(RateLimiter.state(limiter), (standing) => waitAt(standing, ahead(at), tokens)))
}
