/** The program itself, as a process: signals and the codes that a shell sees. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { bundledChild } from "../childProcess.ts"
import { make } from "./shell.ts"

const start = bundledChild(new URL("../../src/cli/main.ts", import.meta.url))

describe("the program", () => {
  it.scopedLive(
    "stops on Ctrl-C with everything kept, ends with 130, and goes on in a second run",
    () =>
      Effect.gen(function*() {
        const shell = yield* make
        yield* shell.write("p.jsonl", Array.from({ length: 150 }, (_, at) => `"Prompt ${at}"`).join("\n"))
        const typed = ["batch", shell.path("p.jsonl"), "--provider", "chaos", "--out", shell.path("r"), "--json"]
        const first = start([...typed, "--concurrency", "2"])
        // Not before the signal is listened to, and something has been done.
        yield* Effect.repeat(
          Effect.delay(
            Effect.flatMap(
              shell.exists("r.journal"),
              (exists) => exists ? shell.read("r.journal") : Effect.succeed("")
            ),
            "20 millis"
          ),
          {
            until: (journal) => journal.split("\n").length > 10
          }
        )
        yield* first.kill("SIGINT")
        const stopped = yield* first.ended
        expect(stopped.code).toBe(130)
        const before: unknown = JSON.parse(stopped.lines.at(-1) ?? "")
        expect(before).toMatchObject({ stoppedBecause: "interrupted", failed: 0, exit: 130 })
        const ended = yield* start(typed).ended
        expect(ended.code).toBe(0)
        const after: unknown = JSON.parse(ended.lines.at(-1) ?? "")
        const { answered } = before as { readonly answered: number }
        expect(after).toMatchObject({ answered: 150, fromJournal: answered })
      }),
    60_000
  )

  it.scopedLive("says in a process of its own what makes no sense, with the code of a shell", () =>
    Effect.gen(function*() {
      expect((yield* start(["batch"]).ended).code).toBe(2)
      expect((yield* start(["--help"]).ended).code).toBe(0)
    }))
})
