/** What the messages and the verdicts of all model errors have in common. */
import type * as Duration from "effect/Duration"
import { withPlanNote } from "../../internal/planNote.ts"
import { visible } from "../../internal/redact.ts"
import { type Billed, type Cause, sentence, spoken } from "../shared/fields.ts"
import * as Verdict from "../Verdict.ts"

interface Common {
  readonly provider: string
  readonly model?: string | undefined
  readonly requestId?: string | undefined
  readonly status?: number | undefined
  readonly detail?: string | undefined
  readonly billed: Billed
  readonly shouldRetry?: boolean | undefined
  readonly cause?: typeof Cause.Type | undefined
}

/** "openai/gpt-4o: what happened. What the provider said (HTTP 429, request req_1)" */
export const say = (error: Common, what: string, remedy?: string): string =>
  visible(withPlanNote(
    error,
    sentence(
      `${error.provider}${error.model === undefined ? "" : `/${error.model}`}: ${what}.`,
      error.detail === undefined ? undefined : `The provider said: "${error.detail}".`,
      error.cause === undefined ? undefined : `Cause: ${error.cause.name}: ${error.cause.message}.`,
      remedy,
      statusAndRequest(error)
    )
  ))

const statusAndRequest = (error: Common): string | undefined => {
  const known = [
    error.status === undefined ? undefined : `HTTP ${error.status}`,
    error.requestId === undefined ? undefined : `request ${error.requestId}`
  ].filter((part) => part !== undefined)
  return known.length === 0 ? undefined : `(${known.join(", ")})`
}

/** A provider that says `x-should-retry` outranks what the class would say by itself. */
export const judge = (
  error: Common,
  action: Verdict.Action,
  options?: {
    readonly retryAfter?: Duration.Duration | undefined
    readonly throttled?: boolean
    readonly weighs?: boolean
  }
): Verdict.Verdict =>
  Verdict.make(
    error.shouldRetry === true ? "Retry" : error.shouldRetry === false && action === "Retry" ? "Fallback" : action,
    { ...options, billed: error.billed, forbidden: error.shouldRetry === false }
  )

export const after = (wait: Duration.Duration | undefined): string =>
  wait === undefined ? "Retry later, with backoff." : `Retry after ${spoken(wait)}.`

export const sizes = (
  error: { readonly requested?: number | undefined; readonly limit?: number | undefined }
): string =>
  error.requested !== undefined && error.limit !== undefined
    ? ` (${error.requested} requested, ${error.limit} allowed)`
    : error.limit !== undefined
    ? ` (${error.limit} allowed)`
    : ""
