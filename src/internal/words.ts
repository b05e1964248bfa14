/** How times are said to people: as short as they can be without becoming wrong. */
import * as Duration from "effect/Duration"

/** Whole milliseconds from one millisecond on: nobody reads nanoseconds. */
export const words = (duration: Duration.DurationInput): string => {
  const millis = Duration.toMillis(duration)
  return Duration.format(millis >= 1 && Number.isFinite(millis) ? Duration.millis(Math.round(millis)) : duration)
}
