import { describe, expect, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as Stream from "effect/Stream"
import * as StreamPart from "../../../src/model/StreamPart.ts"
import * as Usage from "../../../src/model/Usage.ts"
import { runs } from "../../runs.ts"
import { Screen } from "./screen.ts"

const text = StreamPart.textDelta
const reset = StreamPart.reset(2, "the connection broke")

const printed = (parts: ReadonlyArray<StreamPart.StreamPart>, options?: StreamPart.TextOptions) =>
  Effect.map(
    Stream.runCollect(StreamPart.toText(Stream.fromIterable(parts), options)),
    (pieces) => Chunk.join(pieces, "")
  )

describe("the text of a stream", () => {
  it.effect("is its text deltas, and nothing else", () =>
    Effect.gen(function*() {
      const parts = [
        StreamPart.start(),
        StreamPart.reasoningDelta("hm"),
        text("Par"),
        StreamPart.seam,
        text("is.\n"),
        StreamPart.toolCall(0, "1", "a", "{}"),
        StreamPart.finish({ reason: "stop", usage: Usage.zero })
      ]
      expect(yield* printed(parts)).toBe("Paris.\n")
      expect(yield* printed(parts, { output: "terminal" })).toBe("Paris.\n")
    }))

  it.effect("elsewhere than on a terminal says in a line of its own what is void", () =>
    Effect.gen(function*() {
      const marker = "[void]"
      expect(yield* printed([text("Par"), reset, text("Rome")], { marker })).toBe("Par\n[void]\nRome")
      expect(yield* printed([text("Par\n"), reset, text("Rome")], { marker })).toBe("Par\n[void]\nRome")
      expect(yield* printed([reset, text("Rome"), reset, reset], { marker })).toBe("Rome\n[void]\n")
      expect(yield* printed([text("Par"), reset])).toContain("begins anew")
    }))

  it.effect("on a terminal erases the lines that are void, also broken ones, and nothing before them", () =>
    Effect.gen(function*() {
      const terminal = { output: "terminal", columns: 10 } as const
      expect(yield* printed([text("Hello wonderful\n"), reset, text("Hi")], terminal)).toBe(
        "Hello wonderful\n\r\u001b[2A\u001b[JHi"
      )
      expect(yield* printed([text("Hi"), reset], { ...terminal, startColumn: 2 })).toBe("Hi\r\u001b[2C\u001b[J")
      // The cursor stays in the last column until more comes.
      expect(yield* printed([text("0123456789"), reset], terminal)).toBe("0123456789\r\u001b[J")
      expect(yield* printed([text("0123456789a"), reset], terminal)).toBe("0123456789a\r\u001b[1A\u001b[J")
      expect(yield* printed([reset, text("Hi")], terminal)).toBe("Hi")
    }))

  it.effect("on a terminal counts the columns of characters that are wide, joined or combined", () =>
    Effect.gen(function*() {
      const rowsOf = (line: string) =>
        Effect.map(
          printed([text(line), reset], { output: "terminal", columns: 4 }),
          (all) => Number(/\[(\d+)A/.exec(all)?.[1] ?? 0)
        )
      expect(yield* rowsOf("日本")).toBe(0)
      expect(yield* rowsOf("日本語")).toBe(1)
      expect(yield* rowsOf("a日本")).toBe(1)
      expect(yield* rowsOf("e\u0301e\u0301e\u0301e\u0301")).toBe(0)
      expect(yield* rowsOf("👩‍🚀👋🏽")).toBe(0)
      expect(yield* rowsOf("🇫🇷🇮🇹")).toBe(0)
      expect(yield* rowsOf("\tab")).toBe(1)
    }))

  it.effect("marks what has left the screen and cannot be erased", () =>
    Effect.gen(function*() {
      const screen = { output: "terminal", columns: 10, rows: 3, startColumn: 2, marker: "[void]" } as const
      expect(yield* printed([text("1\n2\n3\n4\n5"), reset, text("a\nb"), reset], screen)).toBe(
        "1\n2\n3\n4\n5\r\u001b[2A\u001b[J[void]\na\nb\r\u001b[1A\u001b[J"
      )
    }))

  it.effect.each<readonly [string, text: string, shown: string]>([
    ["a colour", "\u001b[31mred", "\\u001b[31mred"],
    ["the title of the window", "\u001b]0;pwned\u0007", "\\u001b]0;pwned\\u0007"],
    ["a control character of one byte", "\u009b2J", "\\u009b2J"],
    ["a carriage return that writes over a line", "safe\rdone", "safe\\rdone"],
    ["a backspace", "ab\b", "ab\\u0008"],
    ["a turn of the writing direction", "abc\u202edef", "abc\\u202edef"],
    ["line breaks of two characters", "a\r\nb", "a\nb"],
    ["tabs and line breaks", "a\tb\n", "a\tb\n"],
    ["an astronaut", "👩‍🚀", "👩‍🚀"],
    ["half a character", "a\ud83d!", "a\ufffd!"],
    ["half a character at the end", "a\ud83d", "a\ufffd"],
    ["a carriage return at the end", "a\r", "a\\r"]
  ])("shows %s as what is harmless, however it is cut", ([, given, shown]) =>
    Effect.gen(function*() {
      expect(yield* printed([text(given)])).toBe(shown)
      const units = Array.from({ length: given.length }, (_, at) => text(given[at] ?? ""))
      expect(yield* printed(units)).toBe(shown)
      expect(yield* printed(units, { output: "terminal" })).toBe(shown)
    }))

  it.effect("of a marker is harmless, too, and sizes that are none are the usual ones", () =>
    Effect.gen(function*() {
      expect(yield* printed([text("a"), reset], { marker: "\u001b[2J" })).toBe("a\n\\u001b[2J\n")
      const sizes = { output: "terminal", columns: 0, rows: NaN, startColumn: -1 } as const
      expect(yield* printed([text("a".repeat(81)), reset], sizes)).toContain("\r\u001b[1A\u001b[J")
    }))

  it("leaves on any screen what stood there before, and the text since the last Reset", () => {
    const piece = FastCheck.string({
      unit: FastCheck.constantFrom("a", "b", " ", "\n", "\t", "\r", "\u001b"),
      maxLength: 30
    })
    const part = FastCheck.oneof({ weight: 4, arbitrary: piece }, {
      weight: 1,
      arbitrary: FastCheck.constant(undefined)
    })
    FastCheck.assert(
      FastCheck.property(
        FastCheck.array(part, { maxLength: 12 }),
        FastCheck.integer({ min: 1, max: 20 }),
        FastCheck.nat(6),
        FastCheck.nat(6),
        (parts, columns, above, startColumn) => {
          const before = "x\n".repeat(above) + "> ".repeat(3).slice(0, Math.min(startColumn, columns - 1))
          const options = { output: "terminal", columns, rows: 1_000, startColumn } as const
          const pieces = parts.map((each) => each === undefined ? reset : text(each))
          const screen = new Screen(columns, 1_000)
          screen.write(before + Effect.runSync(printed(pieces, options)))
          const expected = new Screen(columns, 1_000)
          expected.write(before + Effect.runSync(printed(pieces.slice(pieces.lastIndexOf(reset) + 1), options)))
          expect(screen.text()).toBe(expected.text())
        }
      ),
      { numRuns: runs(300, 3_000), seed: 5 }
    )
  })

  it("never erases what stood there before, also on a screen that is too low", () => {
    const piece = FastCheck.string({ unit: FastCheck.constantFrom("a", " ", "\n"), maxLength: 30 })
    FastCheck.assert(
      FastCheck.property(
        FastCheck.array(piece, { maxLength: 5 }),
        FastCheck.integer({ min: 1, max: 8 }),
        (all, rows) => {
          const screen = new Screen(10, rows)
          const parts = all.flatMap((each) => [text(each), reset])
          screen.write("first\nsecond\n" + Effect.runSync(printed(parts, { output: "terminal", columns: 10, rows })))
          expect(screen.text()).toMatch(/^first\nsecond/)
        }
      ),
      { numRuns: runs(200, 2_000), seed: 5 }
    )
  })
})
