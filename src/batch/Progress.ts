/**
 * How far a batch is: counts, rate, tokens, cost and the time that is left, as a `Stream` of snapshots, as a bar that
 * redraws on a terminal, or as lines.
 *
 * @example
 * import * as Effect from "effect/Effect"
 * import * as Stream from "effect/Stream"
 * import * as Batch from "effect-llm-resilience/batch/Batch"
 * import * as Progress from "effect-llm-resilience/batch/Progress"
 *
 * const program = Effect.gen(function*() {
 *   const progress = yield* Progress.make
 *   // On a terminal: Progress.bar(progress), written to stderr.
 *   const shown = yield* Effect.fork(
 *     Stream.runForEach(Progress.lines(progress), (line) => Effect.sync(() => console.log(line)))
 *   )
 *   yield* Batch.run(["a", "b"], (item) => Effect.succeed(item.toUpperCase()), { progress })
 *   yield* shown
 * })
 *
 * Effect.runPromise(program) // 2 of 2 done, 0 failed, …
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { elapsedMillis } from "../internal/elapsed.ts"
import * as Kernel from "./progress/kernel.ts"

/**
 * What marks a value as a {@link Progress}.
 *
 * @since 0.1.0
 * @category symbols
 */
export const TypeId: unique symbol = Symbol.for("effect-llm-resilience/Progress")

/**
 * What has happened so far, as whoever does the work counts it.
 *
 * @since 0.1.0
 * @category models
 */
export type Counts = Kernel.Counts

/**
 * How far it is. `done` holds all items that have ended, failed and skipped ones included. `perSecond` is the rate of
 * late, and `timeLeft` what follows from it where the total is known and nothing pauses the work (`pausedBy`).
 *
 * @since 0.1.0
 * @category models
 */
export interface Snapshot extends Counts {
  readonly perSecond: number
  readonly timeLeft?: Duration.Duration
}

/**
 * What is told the progress of one batch. Do not give it to two.
 *
 * @since 0.1.0
 * @category models
 */
export interface Progress {
  readonly [TypeId]: typeof TypeId
  /** What is counted, and since when; only whoever does the work sets it. */
  readonly cell: { counts: () => Counts; startedAt: number | undefined }
  readonly over: Deferred.Deferred<void>
}

/**
 * A progress that nothing has happened to yet.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make: Effect.Effect<Progress> = Effect.map(Deferred.make<void>(), (over) => ({
  [TypeId]: TypeId,
  cell: { counts: () => Kernel.nothing, startedAt: undefined },
  over
}))

/**
 * Whether a value is a progress.
 *
 * @since 0.1.0
 * @category guards
 */
export const isProgress = (value: unknown): value is Progress =>
  typeof value === "object" && value !== null && TypeId in value

/**
 * Tells where to read what has happened, from now on: for whoever does the work.
 *
 * @since 0.1.0
 * @category low level
 */
export const begin = (self: Progress, counts: () => Counts): Effect.Effect<void> =>
  Effect.clockWith((clock) =>
    Effect.sync(() => {
      self.cell.startedAt = elapsedMillis(clock)
      self.cell.counts = counts
    })
  )

/**
 * Tells that it is over: for whoever does the work. The streams show what came last, and end.
 *
 * @since 0.1.0
 * @category low level
 */
export const end = (self: Progress): Effect.Effect<void> =>
  Effect.suspend(() => {
    const last = self.cell.counts()
    self.cell.counts = () => last
    return Effect.asVoid(Deferred.succeed(self.over, undefined))
  })

const shown = (counts: Counts, perSecond: number): Snapshot => {
  const timeLeft = Kernel.millisLeft(counts, perSecond)
  return { ...counts, perSecond, ...(timeLeft === undefined ? {} : { timeLeft: Duration.millis(timeLeft) }) }
}

/**
 * How far it is at this moment; the rate is that since the beginning.
 *
 * @since 0.1.0
 * @category getters
 */
export const snapshot = (self: Progress): Effect.Effect<Snapshot> =>
  Effect.clockWith((clock) =>
    Effect.sync(() => {
      const counts = self.cell.counts()
      const elapsed = elapsedMillis(clock) - (self.cell.startedAt ?? elapsedMillis(clock))
      return shown(counts, elapsed > 0 ? counts.done * 1_000 / elapsed : 0)
    })
  )

/**
 * How often it is looked at.
 *
 * @since 0.1.0
 * @category models
 */
export interface Every {
  /** Default: 250 milliseconds for snapshots and the bar, 10 seconds for lines. */
  readonly every?: Duration.DurationInput | undefined
}

/**
 * `every`: between two snapshots of a bar, and between two lines.
 *
 * @since 0.1.0
 * @category defaults
 */
export const defaults = { every: { bar: "250 millis", lines: "10 seconds" } } as const

/**
 * How far it is, now and then: at once, then every `every`, and once more when it is over. A reader that is slow gets
 * fewer of them. The rate is that of about the last half minute.
 *
 * @since 0.1.0
 * @category interpreters
 */
export const changes = (self: Progress, options: Every = {}): Stream.Stream<Snapshot> => {
  const { every = defaults.every.bar } = options
  return Stream.suspend(() => {
    let rate = Kernel.noRate
    let isLast = false
    const read = Effect.map(Effect.clock, (clock) => {
      const counts = self.cell.counts()
      rate = Kernel.observe(rate, counts.done, elapsedMillis(clock), self.cell.startedAt)
      return shown(counts, rate.perSecond)
    })
    const wait = Effect.raceFirst(Effect.as(Deferred.await(self.over), true), Effect.as(Effect.sleep(every), false))
    return Stream.concat(
      Stream.fromEffect(read),
      Stream.repeatEffectOption(
        Effect.suspend(() =>
          isLast ? Effect.fail(Option.none()) : Effect.flatMap(wait, (over) => {
            isLast = over
            return read
          })
        )
      )
    )
  })
}

/**
 * One line for people: "412 of 1000 done, 3 failed, 17 retried, 20 in flight, 9.8/s, 51200 tokens, 1m left"
 *
 * @since 0.1.0
 * @category conversions
 */
export const toLine = (self: Snapshot): string => Kernel.line(self, self.timeLeft)

/**
 * A line now and then, and one at the end: for a log.
 *
 * @since 0.1.0
 * @category interpreters
 */
export const lines = (self: Progress, options: Every = {}): Stream.Stream<string> => {
  const { every = defaults.every.lines } = options
  // At the very beginning there is nothing to tell.
  return Stream.drop(changes(self, { every }), 1).pipe(Stream.map(toLine))
}

/**
 * How a bar is drawn.
 *
 * @since 0.1.0
 * @category models
 */
export interface BarOptions extends Every {
  /** The width of the terminal: 20 or more. Default: 80. */
  readonly columns?: number | undefined
  /** Default: `"color"`, or `"plain"` where the environment has a `NO_COLOR` that is not empty. */
  readonly style?: "color" | "plain" | undefined
}

const styleOfEnvironment: Effect.Effect<"color" | "plain"> = Config.string("NO_COLOR").pipe(
  Effect.orElseSucceed(() => ""),
  Effect.map((value) => value === "" ? "color" : "plain")
)

/**
 * What to write to a terminal, one text after the other: each draws the bar over the one before, and the last one ends the
 * line. Elsewhere take {@link lines}.
 *
 * @since 0.1.0
 * @category interpreters
 */
export const bar = (self: Progress, options: BarOptions = {}): Stream.Stream<string> =>
  Stream.unwrap(Effect.gen(function*() {
    const style = options.style ?? (yield* styleOfEnvironment)
    const columns = Math.max(20, options.columns ?? 80)
    return changes(self, options).pipe(
      Stream.map((each) => `\r\u001b[K${Kernel.bar(each, each.timeLeft, columns, style)}`),
      Stream.concat(Stream.make("\n"))
    )
  }))
