/**
 * Where in a file the last entry of each key is: 16 bytes a slot in typed arrays, at most two thirds of them used, so that a
 * million items take some 25 to 50 MB instead of the hundreds that a `Map` of texts takes.
 *
 * A key is kept as a hash of 64 bits. Of two keys with the same hash (one pair among a million keys in 40 million journals)
 * only the later one is known; whoever reads its line sees that it is of another key, and the earlier item is called again.
 */
import { lanes } from "../../internal/seeded.ts"

const firstSlots = 1_024

export class Offsets {
  private highs = new Uint32Array(firstSlots)
  private lows = new Uint32Array(firstSlots)
  /** One more than the offset; 0 is an empty slot. */
  private places = new Float64Array(firstSlots)
  private used = 0

  get(key: string): number | undefined {
    const [high, low] = lanes(key)
    const place = this.places[this.slotOf(high, low)] ?? 0
    return place === 0 ? undefined : place - 1
  }

  set(key: string, offset: number): void {
    const [high, low] = lanes(key)
    const slot = this.slotOf(high, low)
    if (this.places[slot] === 0) this.used += 1
    this.fill(slot, high, low, offset + 1)
    if (this.used * 3 > this.places.length * 2) this.grow()
  }

  private fill(slot: number, high: number, low: number, place: number): void {
    this.highs[slot] = high
    this.lows[slot] = low
    this.places[slot] = place
  }

  /** The slot of a hash: its own, or the empty one where it would be. There is always an empty one. */
  private slotOf(high: number, low: number): number {
    const length = this.places.length
    let slot = low % length
    while (this.places[slot] !== 0 && (this.highs[slot] !== high || this.lows[slot] !== low)) {
      slot = slot + 1 === length ? 0 : slot + 1
    }
    return slot
  }

  private grow(): void {
    const { highs, lows, places } = this
    const length = places.length * 2
    this.highs = new Uint32Array(length)
    this.lows = new Uint32Array(length)
    this.places = new Float64Array(length)
    for (let old = 0; old < places.length; old++) {
      const [high = 0, low = 0, place = 0] = [highs[old], lows[old], places[old]]
      if (place !== 0) this.fill(this.slotOf(high, low), high, low, place)
    }
  }
}
