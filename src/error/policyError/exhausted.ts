/** The words of a retry that gave up. */
import * as Duration from "effect/Duration"
import { sentence, spoken } from "../shared/fields.ts"

/** One attempt of the log. */
interface FailedAttempt {
  readonly attempt: number
  readonly elapsed: Duration.Duration
  readonly error: string
  readonly message: string
  readonly decision: "retry" | "stop"
  readonly delay?: Duration.Duration | undefined
  readonly reason?: string | undefined
}

/** "attempt 1 failed after 3s with RateLimited, retried after 1s" */
const line = (failed: FailedAttempt): string =>
  sentence(
    `attempt ${failed.attempt} failed at ${spoken(failed.elapsed)} with ${failed.error};`,
    failed.decision === "retry"
      ? `retried after ${spoken(failed.delay ?? Duration.zero)}`
      : `stopped${failed.reason === undefined ? "" : `: ${failed.reason}`}`
  )

/** How many attempts a message tells; the log has them all. */
const linesShown = 5

/** What was tried, the last attempts in detail. */
export const exhausted = ({ attempts, elapsed, log }: {
  readonly attempts: number
  readonly elapsed: Duration.Duration
  readonly log: ReadonlyArray<FailedAttempt>
}): string => {
  const omitted = Math.max(0, log.length - linesShown)
  const last = log.at(-1)
  return sentence(
    `Gave up after ${attempts} attempt${attempts === 1 ? "" : "s"} in ${spoken(elapsed)}:`,
    omitted === 0 ? undefined : `(${omitted} earlier attempts not shown)`,
    log.slice(omitted).map(line).join("; ") + ".",
    last === undefined || last.message === "" ? undefined : `The last error: ${last.message}`
  )
}
