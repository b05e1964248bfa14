/**
 * Work that nothing counts is held against itself, never against a clock: on any machine, one input of eight times the
 * size takes about as long as eight small ones, and eight times as long where the work is quadratic.
 */
const steps = 8

/** Half of what quadratic work would show; caches and collections of garbage make a line a little steeper. */
export const steepest = steps / 2

/** Other work on the machine makes a try slower, never faster, so the fastest of each is compared. */
const tries = 20

/** Of the processor, in microseconds; some systems count in milliseconds. */
const taken = (times: number, run: () => void): number => {
  const before = process.cpuUsage()
  for (let n = 0; n < times; n++) run()
  const { system, user } = process.cpuUsage(before)
  return Math.max(1_000, system + user)
}

/** How many times longer than eight small inputs the large one takes; the tries end as soon as that is in proportion. */
export const growth = (make: (size: number) => () => void, size: number): number => {
  const [small, large] = [make(size), make(steps * size)]
  const best = { small: Infinity, large: Infinity }
  small()
  for (let n = 0; n < tries; n++) {
    best.small = Math.min(best.small, taken(steps, small))
    best.large = Math.min(best.large, taken(1, large))
    if (n > 1 && best.large < steepest / 2 * best.small) break
  }
  return best.large / best.small
}
