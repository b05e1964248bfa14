/**
 * Work that nothing counts is held against itself, never against a clock: an input of twice the size takes twice as long
 * where the work is in proportion to it, and four times as long where it is quadratic.
 */

/** How many times as long an input of twice the size may take: caches and collections of garbage make a line steeper. */
export const steepest = 2.5

/** Other work on the machine makes a try slower, never faster, so the fastest of each is compared. */
const tries = 30

/** Shorter than this, in microseconds, is not told apart from the noise. */
const shortest = 3_000

/** Of the processor, in microseconds; some systems count in milliseconds. */
const taken = (times: number, run: () => void): number => {
  const before = process.cpuUsage()
  for (let n = 0; n < times; n++) run()
  const { system, user } = process.cpuUsage(before)
  return system + user
}

/** How many times longer the large input takes. The tries end as soon as that is in proportion. */
const ratio = (small: () => void, large: () => void): number => {
  const best = { small: Infinity, large: Infinity }
  let times = 1
  while (taken(2 * times, small) < shortest && times < 1_000) times *= 2
  for (let n = 0; n < tries; n++) {
    best.small = Math.min(best.small, taken(2 * times, small) / 2)
    best.large = Math.min(best.large, taken(times, large))
    if (n > 1 && best.large < (2 + steepest) / 2 * best.small) break
  }
  return best.large / best.small
}

/** What takes longer than this for one input, in microseconds, is not tried with a larger one. */
const longest = 500_000

/**
 * How many times longer an input of eight times the size takes than one of four times the size. Where that is steep, it is
 * asked again with twice as much: a step, as where the input outgrows a cache, is not there twice. Where that is steep, too,
 * it is asked over two doublings at once, of which a step is one, and once more as at first: what else the machine did
 * meanwhile is not there each time, and work that is quadratic is four each time.
 */
export const growth = (make: (size: number) => () => void, size: number): number => {
  const small = make(4 * size)
  const large = make(8 * size)
  const first = ratio(small, large)
  if (first <= steepest || taken(1, large) > longest) return first
  const second = Math.min(first, ratio(large, make(16 * size)))
  if (second <= steepest) return second
  const third = Math.min(second, Math.sqrt(ratio(make(2 * size), large)))
  return third <= steepest ? third : Math.min(third, ratio(small, large))
}
