/** `npm start`, as a person runs it, with less in it: what its second act shows of streams, and how it ends. */
import { describe, expect, it } from "@effect/vitest"
import { execFile } from "node:child_process"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("..", import.meta.url))

const { OPENAI_API_KEY: _key, OPENAI_BASE_URL: _url, OPENAI_MODEL: _model, ...env } = process.env

const start = (...args: ReadonlyArray<string>) =>
  new Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }>((resolve) => {
    execFile(
      join(root, "node_modules", ".bin", "tsx"),
      [join("examples", "storm", "main.ts"), ...args],
      { cwd: root, env, timeout: 60_000 },
      (error, stdout, stderr) =>
        resolve({ code: error === null ? 0 : typeof error.code === "number" ? error.code : 1, stdout, stderr })
    )
  })

/** A row of the table: what one plain attempt got, and ours of both providers. */
const row = (act: string, name: string): ReadonlyArray<string> => {
  const line = act.split("\n").find((each) => each.trim().startsWith(name))
  return line === undefined ? [] : line.trim().slice(name.length).trim().split(/ {2,}/)
}

describe("the second act of npm start", () => {
  it("brings every stream to its end, no word twice, and shows a Reset and a resume", { timeout: 90_000 }, async () => {
    const { code, stderr, stdout } = await start("--requests", "1", "--streams", "20")
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
    const act = stdout.slice(stdout.indexOf("Streams: 20 in the same weather"))
    expect(act).toMatch(/\n40 of 40 streams came whole, 0 repeated words \(.*\)\.\n$/)

    const [plain, anew, resumed] = row(act, "came whole")
    expect([anew, resumed]).toEqual(["20 of 20", "20 of 20"])
    expect(Number.parseInt(plain ?? "")).toBeLessThan(20)
    expect(row(act, "repeated words").slice(1)).toEqual(["0", "0"])
    const numbers = (name: string) => row(act, name).map(Number)
    expect(numbers("begun anew (Reset)")[1]).toBeGreaterThan(0)
    expect(numbers("gone on with (resume)")).toEqual([0, 0, expect.any(Number)])
    expect(numbers("gone on with (resume)")[2]).toBeGreaterThan(0)
    // Where the provider keeps replies nothing is paid for connections that broke.
    const [, brokenAnew, brokenResumed] = numbers("tokens paid for replies that broke")
    expect(brokenAnew).toBeGreaterThan(0)
    expect(brokenResumed).toBe(0)

    // What a person reads: the answer begins anew behind a line that says so, or just goes on.
    const [, begunAnew = "", goneOn = ""] = act.split(
      /\n(?:Begun anew|Gone on with), stream \d+ once more, as it comes:\n/
    )
    const answer = "Here is a short answer to your question, made up by a server that only pretends to think."
    expect(begunAnew).toContain(`[The connection broke. The answer begins anew.]\n${answer}`)
    expect(goneOn.trim().startsWith(answer)).toBe(true)
    for (const shown of [begunAnew, goneOn]) {
      expect(shown).toMatch(/after \d.* and \d+ characters: streams: attempt 1 failed .*\n/)
      expect(shown).toMatch(/attempt \d+ succeeded/)
    }
  })
})
