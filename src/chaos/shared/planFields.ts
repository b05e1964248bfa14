/** Fields that several shapes of a plan have, with the words that a wrong one is answered with. */
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"

export const serverStatuses = [500, 502, 503, 529] as const

export const says = (allowed: string) => ({ message: () => ({ message: allowed, override: true }) })

export const DurationText = Schema.String.pipe(
  Schema.filter((text) =>
    Option.exists(
      Duration.decodeUnknown(text),
      (duration) => Duration.isFinite(duration) && Duration.toMillis(duration) > 0
    ) &&
    !text.startsWith("-")
  )
).annotations(says("a finite duration above zero, such as \"200 millis\" or \"2 seconds\""))

export const Share = Schema.Number.pipe(Schema.between(0, 1)).annotations(says("a number from 0 to 1"))
