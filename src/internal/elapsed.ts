/**
 * The time that every wait and every limit is measured by. The wall clock is set back and forth by people, time servers
 * and a laptop that wakes up, so it serves for dates alone; this one only goes forward. Its zero is arbitrary: two
 * readings of one clock can be subtracted, a reading cannot be compared with a date.
 */
import * as Clock from "effect/Clock"

const liveClock: unknown = Object.getPrototypeOf(Clock.make())

/** Whether this is the clock of the platform; any other one rules by itself, such as a virtual clock in a test. */
export const isLive = (clock: Clock.Clock): boolean => Object.getPrototypeOf(clock) === liveClock

const nanosPerMilli = 1e6

/**
 * Milliseconds, with fractions, on a clock that only goes forward.
 *
 * The nanoseconds of Effect's live clock are that, too, but reading them makes two big integers (0.2 µs, six times a
 * call), so the platform is asked directly.
 */
export const elapsedMillis = (clock: Clock.Clock): number =>
  isLive(clock) && typeof performance === "object"
    ? performance.now()
    : Number(clock.unsafeCurrentTimeNanos()) / nanosPerMilli
