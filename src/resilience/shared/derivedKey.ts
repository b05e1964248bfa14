/** Idempotency keys for the further requests that one logical call makes. */
import { hex } from "../../internal/seeded.ts"

/** How long the caller's own key may be, so that what is put behind it still fits (255 in all). */
const longest = 235

/**
 * The caller's key with something behind it: another request, which must not be taken for a repetition of the first,
 * and still the same one when the whole call is run again.
 */
export const derivedKey = (key: string, suffix: string): string =>
  `${key.length > longest ? `${key.slice(0, 200)}-${hex(key)}` : key}-${suffix}`
