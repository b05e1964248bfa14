/**
 * Many calls: one result for each item, in order, whatever becomes of it. An item that fails is a value; the number of calls
 * at a time is found rather than guessed; an open circuit pauses the batch instead of burning the rest; it stops by
 * conditions that are data; and what failed can be run again alone.
 *
 * `call` is any effect of the item: a `generate`, a tool loop, an object of a schema. Retries, limits and time-outs of one
 * call belong to its own pipeline (`ResilientModel`).
 *
 * @example
 * import * as Effect from "effect/Effect"
 * import * as Either from "effect/Either"
 * import * as Batch from "effect-llm-resilience/batch/Batch"
 *
 * const call = (item: string) => item === "bad" ? Effect.fail("refused") : Effect.succeed(item.length)
 *
 * const program = Effect.gen(function*() {
 *   const report = yield* Batch.run(["one", "bad", "three"], call, {
 *     concurrency: 2,
 *     stopWhen: { failureRate: 0.5, time: "1 hour" }
 *   })
 *   console.log(report.results.map(({ outcome }) => Either.getOrElse(outcome, () => -1))) // => [ 3, -1, 5 ]
 *   return Batch.failures(report) // [ "bad" ]
 * })
 *
 * Effect.runPromise(program)
 *
 * @since 0.1.0
 */
import type { PlatformError } from "@effect/platform/Error"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import { InvalidLine } from "../error/BatchError.ts"
import type { InvalidOptions } from "../error/InvalidOptions.ts"
import type { JournalError } from "../error/JournalError.ts"
import * as Monitor from "../telemetry/Monitor.ts"
import * as Lines from "./batch/jsonLines.ts"
import { type Options, read, type Settings } from "./batch/options.ts"
import type { Callable, FailureOf, ItemResult, Report } from "./batch/results.ts"
import { Run } from "./batch/run.ts"
import * as Source from "./batch/source.ts"

export type {
  /**
   * Any JSON value.
   *
   * @since 0.1.0
   * @category models
   */
  Json,
  /**
   * How JSON Lines are read.
   *
   * @since 0.1.0
   * @category models
   */
  LinesOptions
} from "./batch/jsonLines.ts"
export type {
  /**
   * How a batch remembers what it has done.
   *
   * @since 0.1.0
   * @category models
   */
  JournalOptions,
  /**
   * How a batch is run; everything may be left out.
   *
   * @since 0.1.0
   * @category models
   */
  Options,
  /**
   * When a batch stops by itself.
   *
   * @since 0.1.0
   * @category models
   */
  StopWhen
} from "./batch/options.ts"
export {
  /**
   * What holds where an option is left out.
   *
   * @since 0.1.0
   * @category defaults
   */
  defaults
} from "./batch/options.ts"
export type {
  /**
   * The items that are called: all but the lines of a file that are none.
   *
   * @since 0.1.0
   * @category models
   */
  Callable,
  /**
   * What an item can end with beside a value, where its call fails with `E`.
   *
   * @since 0.1.0
   * @category models
   */
  Failure,
  /**
   * The same for items of type `A`: those that may be `InvalidLine` end with that, too.
   *
   * @since 0.1.0
   * @category models
   */
  FailureOf,
  /**
   * What became of one item.
   *
   * @since 0.1.0
   * @category models
   */
  ItemResult,
  /**
   * What became of all items.
   *
   * @since 0.1.0
   * @category models
   */
  Report,
  /**
   * Why a batch stopped before its end.
   *
   * @since 0.1.0
   * @category models
   */
  StopReason,
  /**
   * What a batch came to.
   *
   * @since 0.1.0
   * @category models
   */
  Summary
} from "./batch/results.ts"
export type {
  /**
   * Where items come from.
   *
   * @since 0.1.0
   * @category models
   */
  Items
} from "./batch/source.ts"

/** The options as they are read, and what the run needs of where it is. */
const runOf = <A, B, E, R, E0, R0>(
  items: Source.Items<A, E0, R0>,
  call: (item: Callable<A>) => Effect.Effect<B, E, R>,
  settings: Settings,
  emit: (result: ItemResult<A, B, FailureOf<A, E>>) => Effect.Effect<void>
): Effect.Effect<Run<A, B, E, R, E0, R0>> =>
  Effect.zipWith(
    Effect.clock,
    Monitor.Monitor,
    (clock, outer) => new Run({ settings, clock, outer, items, call, emit })
  )

/**
 * Calls every item and gives one result for each, in their order. It keeps all results; {@link stream} keeps none.
 *
 * An item that fails, or whose call dies, is a `Left` among the results. The batch itself fails only where it cannot go
 * on: with `InvalidOptions` before anything is called, and with `JournalError` or the error of a `Stream` of items, once the
 * calls in flight have ended.
 *
 * When it stops before its end, the items that have been read and not called are `Skipped`. Those of an array (or of whatever
 * tells how many it has) all are; a `Stream` or an iterator of unknown length is read no further, since it may be long or
 * never end, and `summary.hasUnreadInput` tells it.
 *
 * An item that meets a `CircuitOpen` does not fail: the batch pauses until the circuit lets a probe through and calls it
 * again. While the circuit is tried, an item that fails for the provider's sake is called again, up to three times. For how
 * long it waits, `stopWhen` says: `circuitOpen`, or `time` for the whole batch; without them, until the circuit closes.
 *
 * Interrupted, it ends when the calls in flight have been finished, or interrupted, as `onInterrupt` says. To get a report
 * then, too, stop it by `stopOn`.
 *
 * @since 0.1.0
 * @category combinators
 */
export const run = <A, B, E, R, E0 = never, R0 = never>(
  items: Source.Items<A, E0, R0>,
  call: (item: Callable<A>) => Effect.Effect<B, E, R>,
  options: Options<Callable<NoInfer<A>>, NoInfer<B>> = {}
): Effect.Effect<Report<A, B, FailureOf<A, E>>, InvalidOptions | JournalError | E0, R | R0> =>
  Effect.gen(function*() {
    const settings = yield* read(options, Source.totalOf(items))
    const results: Array<ItemResult<A, B, FailureOf<A, E>>> = []
    const running = yield* runOf(items, call, settings, (result) =>
      Effect.sync(() => {
        results[result.index] = result
      }))
    yield* running.all
    return { results, summary: running.summary() }
  })

/** How many results may wait for whoever takes them. */
const mostWaiting = 64

/**
 * Calls every item and gives the results as they come: a million items need no more memory than those in flight. Whoever is
 * slow to take them slows the batch down; whoever takes no more ends it, as an interruption does.
 *
 * Its errors are those of {@link run}. The summary is that of a `Progress`.
 *
 * @since 0.1.0
 * @category combinators
 */
export const stream = <A, B, E, R, E0 = never, R0 = never>(
  items: Source.Items<A, E0, R0>,
  call: (item: Callable<A>) => Effect.Effect<B, E, R>,
  options: Options<Callable<NoInfer<A>>, NoInfer<B>> = {}
): Stream.Stream<ItemResult<A, B, FailureOf<A, E>>, InvalidOptions | JournalError | E0, R | R0> =>
  Stream.unwrapScoped(Effect.gen(function*() {
    const settings = yield* read(options, Source.totalOf(items))
    const queue = yield* Queue.bounded<ItemResult<A, B, FailureOf<A, E>> | Exit.Exit<void, E0 | JournalError>>(
      mostWaiting
    )
    // Once nobody takes results any more, the queue is shut down, which interrupts whoever offers.
    const offer = (result: ItemResult<A, B, FailureOf<A, E>> | Exit.Exit<void, E0 | JournalError>) =>
      Effect.asVoid(Effect.exit(Queue.offer(queue, result)))
    const running = yield* runOf(items, call, settings, offer)
    yield* Effect.acquireRelease(
      Effect.forkDaemon(Effect.interruptible(Effect.flatMap(Effect.exit(running.all), offer))),
      (fiber) => Effect.all([running.abandon, Queue.shutdown(queue), Fiber.interrupt(fiber)], { discard: true })
    )
    let ended: Exit.Exit<void, E0 | JournalError> | undefined
    // Chunk by chunk: a step for each result takes as long as all the rest of a batch.
    return Stream.repeatEffectChunkOption(Effect.suspend(() => {
      if (ended !== undefined) {
        return Exit.isSuccess(ended)
          ? Effect.fail(Option.none())
          : Effect.failCause(Cause.map(ended.cause, Option.some))
      }
      return Effect.map(Queue.takeBetween(queue, 1, mostWaiting), (taken) => {
        const results: Array<ItemResult<A, B, FailureOf<A, E>>> = []
        for (const each of taken) {
          if (Exit.isExit(each)) ended = each
          else results.push(each)
        }
        return Chunk.unsafeFromArray(results)
      })
    }))
  }))

/**
 * The items to run again alone: those that failed or were left out. Lines that are no items are not among them, nor are
 * items that were never read (`summary.hasUnreadInput`).
 *
 * @since 0.1.0
 * @category getters
 */
export const failures = <A, B, E>(report: Report<A, B, E>): ReadonlyArray<Callable<A>> =>
  report.results.flatMap(({ item, outcome }) =>
    Either.isRight(outcome) || item instanceof InvalidLine ? [] : [item as Callable<A>]
  )

/**
 * Items from JSON Lines: UTF-8 bytes with one JSON value a line, read as they come. Blank lines are left out. Each value is
 * decoded by `schema`, where there is one.
 *
 * A line that is no JSON, no UTF-8, too long or not of the schema is an `InvalidLine`: among the items, so that the batch
 * tells it as that item's result without a call (`onInvalid: "result"`, the default), or as the error of the stream, which
 * ends the batch (`"fail"`).
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromJsonLines = <E, R, A = Lines.Json, I = A, const Mode extends "result" | "fail" = "result">(
  bytes: Stream.Stream<Uint8Array, E, R>,
  options: Lines.LinesOptions<A, I, Mode> = {}
): Stream.Stream<
  A | (Mode extends "result" ? InvalidLine : never),
  E | InvalidOptions | (Mode extends "fail" ? InvalidLine : never),
  R
> => Lines.items(bytes, options)

/**
 * {@link fromJsonLines} of a file.
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromJsonLinesFile = <A = Lines.Json, I = A, const Mode extends "result" | "fail" = "result">(
  path: string,
  options: Lines.LinesOptions<A, I, Mode> = {}
): Stream.Stream<
  A | (Mode extends "result" ? InvalidLine : never),
  PlatformError | InvalidOptions | (Mode extends "fail" ? InvalidLine : never),
  FileSystem.FileSystem
> => Lines.items(Stream.unwrap(Effect.map(FileSystem.FileSystem, (files) => files.stream(path))), options)
