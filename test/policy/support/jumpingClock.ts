import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"

/** A clock whose wall time can be set back and forth, while the time that elapses goes on as it did. */
export const jumpingClock = Effect.map(Effect.clock, (clock) => {
  let offset = 1e12
  const jumping: Clock.Clock = {
    [Clock.ClockTypeId]: Clock.ClockTypeId,
    sleep: (duration) => clock.sleep(duration),
    unsafeCurrentTimeMillis: () => clock.unsafeCurrentTimeMillis() + offset,
    unsafeCurrentTimeNanos: () => clock.unsafeCurrentTimeNanos(),
    currentTimeMillis: Effect.sync(() => jumping.unsafeCurrentTimeMillis()),
    currentTimeNanos: clock.currentTimeNanos
  }
  return {
    clock: jumping,
    /** Sets the wall clock so many milliseconds forward, or back. */
    jump: (millis: number): Effect.Effect<void> =>
      Effect.sync(() => {
        offset += millis
      })
  }
})
