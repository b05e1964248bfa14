import { describe, expect, it } from "@effect/vitest"
import { execFile } from "node:child_process"
import { existsSync, readdirSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("..", import.meta.url))
const folder = join(root, "examples")
const examples = existsSync(folder) ? readdirSync(folder).filter((name) => /^\d\d-.+[.]ts$/.test(name)).sort() : []

// An example needs no network and no key, so it gets neither.
const { OPENAI_API_KEY: _key, OPENAI_BASE_URL: _url, OPENAI_MODEL: _model, ...env } = process.env

const execute = (name: string): Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }> =>
  new Promise((resolve) => {
    execFile(
      join(root, "node_modules", ".bin", "tsx"),
      [join("examples", name)],
      { cwd: root, env, timeout: 110_000 },
      (error, stdout, stderr) =>
        resolve({ code: error === null ? 0 : typeof error.code === "number" ? error.code : 1, stdout, stderr })
    )
  })

describe("examples", () => {
  it("are numbered one by one", () => {
    const expected = examples.map((_, index) => String(index + 1).padStart(2, "0"))
    expect(examples.map((name) => name.slice(0, 2))).toEqual(expected)
  })

  it.each(examples)("%s runs and prints something", async (name) => {
    const { code, stderr, stdout } = await execute(name)
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
    expect(stdout.trim()).not.toBe("")
  })
})
