/** Programs that tests run in a process of their own, so that they can kill it. */
import { afterAll, beforeAll } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { build } from "esbuild"
import { spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

/** How a process ended, and what it wrote: whole lines only, since a kill may tear the last one. */
export interface Ended {
  readonly code: number | null
  readonly signal: string | null
  readonly lines: ReadonlyArray<string>
}

export interface ChildProcess {
  /** The first line that contains the text; nothing where the process is gone before it has written one. */
  readonly line: (text: string) => Effect.Effect<string | undefined>
  readonly kill: (signal: "SIGKILL" | "SIGINT" | "SIGTERM") => Effect.Effect<void>
  /** Waits for the end of the process. */
  readonly ended: Effect.Effect<Ended>
}

/** Starts the program with the arguments. Whoever starts it waits for its end, or kills it. */
export type Start = (args: ReadonlyArray<string>) => ChildProcess

/**
 * Builds the program once for the tests of a file. Bundled into one file, a process is there several times as soon as from
 * its sources, and tests begin many.
 *
 * It is to be called at the top of a test file: `bundledChild(new URL("child.ts", import.meta.url))`.
 */
export const bundledChild = (source: URL): Start => {
  const folder = mkdtempSync(join(tmpdir(), "child-process-"))
  const program = join(folder, "child.mjs")
  beforeAll(() =>
    build({
      entryPoints: [fileURLToPath(source)],
      outfile: program,
      bundle: true,
      platform: "node",
      format: "esm",
      logLevel: "silent",
      // Packages that are no modules ask for it.
      banner: { js: "import { createRequire } from \"node:module\"; const require = createRequire(import.meta.url);" }
    })
  )
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  return (args) => started([program, ...args])
}

const started = (args: ReadonlyArray<string>): ChildProcess => {
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] })
  const lines: Array<string> = []
  let torn = ""
  let isOver = false
  const waiting = new Set<() => void>()
  child.stdout.setEncoding("utf8")
  child.stdout.on("data", (text: string) => {
    const [first = "", ...others] = text.split("\n")
    torn += first
    for (const next of others) {
      lines.push(torn)
      torn = next
    }
    for (const look of waiting) look()
  })
  const ended = new Promise<Ended>((resolve) => {
    child.on("close", (code, signal) => {
      isOver = true
      for (const look of waiting) look()
      resolve({ code, signal, lines })
    })
  })
  return {
    line: (text) =>
      Effect.async((resume) => {
        const look = (): void => {
          const found = lines.find((line) => line.includes(text))
          if (found === undefined && !isOver) return
          waiting.delete(look)
          resume(Effect.succeed(found))
        }
        waiting.add(look)
        look()
        return Effect.sync(() => waiting.delete(look))
      }),
    kill: (signal) => Effect.sync(() => child.kill(signal)),
    ended: Effect.promise(() => ended)
  }
}
