/** How much later than it was written a chunk is read, where the chunk tells when that was. */

/** Delays by tenths of a millisecond: to keep each of them would be growth of our own. */
export class Delays {
  private readonly counts = new Uint32Array(100_000)
  isOn = false

  /** The text of a chunk, or the chunk itself: it holds when it was written. */
  note(text: string): void {
    if (!this.isOn) return
    const from = text.indexOf("@")
    if (from === -1) return
    const written = BigInt(text.slice(from + 1, text.indexOf(";", from)))
    const tenths = Number((process.hrtime.bigint() - written) / 100_000n)
    const at = Math.min(Math.max(tenths, 0), this.counts.length - 1)
    this.counts[at] = (this.counts[at] ?? 0) + 1
  }

  get total(): number {
    return this.counts.reduce((sum, count) => sum + count, 0)
  }

  /** In milliseconds. */
  quantile(share: number): number {
    let left = this.total * share
    for (const [tenths, count] of this.counts.entries()) {
      left -= count
      if (left <= 0) return tenths / 10
    }
    return Number.NaN
  }
}
