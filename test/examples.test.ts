import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { execFile } from "node:child_process"
import { existsSync, readdirSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import * as ChaosServer from "../src/chaos/ChaosServer.ts"

const root = fileURLToPath(new URL("..", import.meta.url))
const folder = join(root, "examples")
const examples = existsSync(folder) ? readdirSync(folder).filter((name) => /^\d\d-.+[.]ts$/.test(name)).sort() : []

/** The one example that calls a provider by the variables of the environment. */
const forReal = "14-real-provider.ts"

// An example needs no network and no key, so it gets neither.
const { OPENAI_API_KEY: _key, OPENAI_BASE_URL: _url, OPENAI_MODEL: _model, ...env } = process.env

type Variables = Readonly<Record<string, string>>

const execute = (
  name: string,
  more: Variables = {}
): Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }> =>
  new Promise((resolve) => {
    execFile(
      join(root, "node_modules", ".bin", "tsx"),
      [join("examples", name)],
      { cwd: root, env: { ...env, ...more }, timeout: 110_000 },
      (error, stdout, stderr) =>
        resolve({ code: error === null ? 0 : typeof error.code === "number" ? error.code : 1, stdout, stderr })
    )
  })

describe("examples", () => {
  it("are numbered one by one", () => {
    const expected = examples.map((_, index) => String(index + 1).padStart(2, "0"))
    expect(examples.map((name) => name.slice(0, 2))).toEqual(expected)
  })

  it.each(examples.filter((name) => name !== forReal))("%s runs and prints something", async (name) => {
    const { code, stderr, stdout } = await execute(name)
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
    expect(stdout.trim()).not.toBe("")
  })

  it.scopedLive(`${forReal} talks to the provider that the environment names`, () =>
    Effect.gen(function*() {
      const { apiKey, baseUrl, books, model } = yield* ChaosServer.make()
      const run = (key: string) =>
        Effect.promise(() => execute(forReal, { OPENAI_API_KEY: key, OPENAI_BASE_URL: baseUrl, OPENAI_MODEL: model }))
      const { code, stderr, stdout } = yield* run(apiKey)
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
      expect(stdout).toMatch(/\S.* \(\d+ tokens\)\n$/)
      expect(yield* books).toMatchObject({ right: { texts: 1 } })
      // A failure that is not caught is told as what it is, and does not tell the key.
      const refused = yield* run("sk-nobody")
      expect(refused.code).toBe(1)
      expect(refused.stderr).toContain("Authentication")
      expect(refused.stderr).not.toContain("sk-nobody")
    }))
})
