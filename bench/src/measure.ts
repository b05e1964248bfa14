/** How a subject is measured within one process. */

/** Makes so many calls, one after the other. */
export type Sequence = (calls: number) => Promise<void>

/** Milliseconds on the wall, and of the processor: a machine that is busy with others makes the first longer, not the second. */
export interface Took {
  readonly wall: number
  readonly processor: number
}

export const timed = async (sequence: Sequence, calls: number): Promise<Took> => {
  const start = performance.now()
  const used = process.cpuUsage()
  await sequence(calls)
  const { system, user } = process.cpuUsage(used)
  return { wall: performance.now() - start, processor: (user + system) / 1_000 }
}

export const median = (numbers: ReadonlyArray<number>): number =>
  [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN

/** Calls that take about so many milliseconds, found by doubling; this warms the code up, too. */
const warmUp = async (sequence: Sequence, millis: number): Promise<number> => {
  let calls = 64
  let spent = 0
  for (;;) {
    const { processor } = await timed(sequence, calls)
    spent += processor
    if (processor < millis) calls *= 2
    else if (spent > 6 * millis) return calls
  }
}

/** Nanoseconds a call: the median of five stretches of about 80 ms, after a warm-up. */
export const nanos = async (sequence: Sequence): Promise<Took> => {
  const calls = await warmUp(sequence, 80)
  const stretches: Array<Took> = []
  for (let i = 0; i < 5; i++) stretches.push(await timed(sequence, calls))
  const each = (of: (took: Took) => number): number => median(stretches.map(of)) * 1e6 / calls
  return { wall: each((took) => took.wall), processor: each((took) => took.processor) }
}

const collect = (): void => {
  if (globalThis.gc === undefined) throw new Error("run node with --expose-gc")
  globalThis.gc()
}

/** Bytes a call allocates; the process must have a young generation that no collection is needed for on the way. */
export const bytes = async (sequence: Sequence): Promise<number> => {
  for (let i = 0; i < 20; i++) await sequence(500)
  collect()
  const calls = 1_000
  const before = process.memoryUsage().heapUsed
  await sequence(calls)
  return (process.memoryUsage().heapUsed - before) / calls
}

/** Makes so many calls at once. */
export type Crowd = (calls: number) => Promise<void>

/** From the start of the first call to the end of the last one, in milliseconds. */
export const millisOf = async (crowd: Crowd, calls: number): Promise<Took> => {
  for (let i = 0; i < 10; i++) await crowd(1_000)
  collect()
  return timed(crowd, calls)
}

/** Bytes held by each of so many calls that all wait; `crowd` resolves when they do. */
export const held = async (crowd: Crowd, calls: number): Promise<number> => {
  await crowd(100)
  collect()
  const before = process.memoryUsage().heapUsed
  await crowd(calls)
  collect()
  return (process.memoryUsage().heapUsed - before) / calls
}
