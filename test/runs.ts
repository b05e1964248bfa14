/**
 * How much of what is long a run does. By default it is short, so that `npm test` is quick on any machine;
 * `TEST_RUNS=full npm test` does all of it, as `npm run check` and CI do. Both forms make the same assertions.
 */
const asked = process.env["TEST_RUNS"] ?? "fast"

if (asked !== "fast" && asked !== "full") throw new Error(`TEST_RUNS is "fast" or "full", not "${asked}"`)

/** The first by default, the second in the full form. */
export const runs = <A>(fast: A, full: A): A => asked === "full" ? full : fast

/** A turn of the event loop. Work that is long takes one now and then, since a worker that is silent for long is given up. */
export const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
