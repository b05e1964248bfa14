/** Reads the lines of a journal's file as they come, and tells where each begins. */
import type { PlatformError } from "@effect/platform/Error"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"

/** Longer lines are refused: nothing is read without a bound. */
export const mostLineBytes = 64 * 1024 * 1024

const lineEnd = 0x0a

export interface Line {
  /** From 1. */
  readonly number: number
  readonly offset: number
  /** Absent where it is too long. */
  readonly text: string | undefined
}

/** Gives the offset after the last line end: what follows was torn. */
export const scan = <E, R>(
  bytes: Stream.Stream<Uint8Array, PlatformError, R>,
  each: (line: Line) => Effect.Effect<void, E>
): Effect.Effect<number, E | PlatformError, R> => {
  let parts: Array<Uint8Array> = []
  let held = 0
  let offset = 0
  let number = 0

  const take = (end: Uint8Array): Line => {
    const length = held + end.length
    number += 1
    const line: Line = {
      number,
      offset,
      text: length > mostLineBytes ? undefined : textOf(held === 0 ? [end] : [...parts, end], length)
    }
    offset += length + 1
    parts = []
    held = 0
    return line
  }

  return bytes.pipe(
    Stream.runForEach((chunk) => {
      const lines: Array<Line> = []
      let from = 0
      for (let at = chunk.indexOf(lineEnd); at !== -1; at = chunk.indexOf(lineEnd, from)) {
        lines.push(take(chunk.subarray(from, at)))
        from = at + 1
      }
      const rest = chunk.subarray(from)
      // Of a line that is too long only its length counts.
      if (held + rest.length <= mostLineBytes) parts.push(rest)
      else parts = []
      held += rest.length
      return Effect.forEach(lines, each, { discard: true })
    }),
    Effect.map(() => offset)
  )
}

const textOf = (parts: ReadonlyArray<Uint8Array>, length: number): string => {
  const [only] = parts
  if (parts.length === 1 && only !== undefined) return new TextDecoder().decode(only)
  const whole = new Uint8Array(length)
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return new TextDecoder().decode(whole)
}
