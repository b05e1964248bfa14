/**
 * Makes time go faster in this process: import it before anything else. A minute of the provider is then some seconds, for its
 * server and for whoever calls it alike: dates, elapsed time and timers all run by the same scale. `TIME_SCALE` says how
 * many times faster; `TIME_ORIGIN` is the date from which on they do, the same for all processes of a run.
 */
export const scale = Number(process.env["TIME_SCALE"] ?? 1)
const origin = Number(process.env["TIME_ORIGIN"] ?? Date.now())

const faster = (from: number, now: number): number => from + (now - from) * scale

const { now } = Date
const elapsed = performance.now.bind(performance)
const nanos = process.hrtime.bigint.bind(process.hrtime)
const firstNanos = nanos()
const timer = globalThis.setTimeout

Date.now = () => faster(origin, now.call(Date))
performance.now = () => elapsed() * scale
process.hrtime.bigint = () => firstNanos + (nanos() - firstNanos) * BigInt(scale)
globalThis.setTimeout = Object.assign(
  // Node's own declaration is overloaded; callers of this run give a delay or none.
  (callback: (...args: Array<unknown>) => void, delay = 0, ...args: Array<unknown>) =>
    timer(callback, delay / scale, ...args),
  timer
) as typeof timer

/** What the run itself waits for is not scaled. */
export const realMillis = (): number => now.call(Date)
export const rest = (millis: number): Promise<void> => new Promise((resolve) => timer(resolve, millis))
