/**
 * The smallest inputs of public bug reports, run by the casebook's own runner over this checkout. The runner plays servers
 * on 127.0.0.1, so it has a process of its own; here each of its lines becomes one test.
 */
import { beforeAll, describe, expect, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { spawn } from "node:child_process"
import { existsSync, readFileSync } from "node:fs"
import { join, resolve } from "node:path"
import { fileURLToPath } from "node:url"

const folder = resolve(process.env["FIXTURES"] ?? "../shared/fixtures", "reports")
const casebook = join(folder, "cases.json")
if (!existsSync(casebook)) console.log(`skipped: ${casebook} is absent (set FIXTURES)`)

const Casebook = Schema.parseJson(
  Schema.Struct({
    cases: Schema.Array(Schema.Struct({ id: Schema.String, kind: Schema.String, why: Schema.String }))
  })
)

const cases = existsSync(casebook) ? Schema.decodeUnknownSync(Casebook)(readFileSync(casebook, "utf8")).cases : []

/** What a model writes where a call was due, and how its arguments are read. */
const toolCallKinds: ReadonlySet<string> = new Set(["B-W7", "B-R1", "B-R2", "B-R3"])

const project = fileURLToPath(new URL("../..", import.meta.url))

/** Runs the casebook and gives its lines: `right <id> [<kind>]` or `WRONG <id> [<kind>] <what is wrong>`. */
const run = (): Promise<ReadonlyArray<string>> =>
  new Promise((done, fail) => {
    const runner = spawn(process.execPath, ["--import", "tsx", join(folder, "run.mts"), casebook, project, "--list"], {
      cwd: project,
      stdio: ["ignore", "pipe", "inherit"]
    })
    let output = ""
    runner.stdout.setEncoding("utf8")
    runner.stdout.on("data", (text: string) => output += text)
    runner.on("error", fail)
    runner.on("close", () => done(output.split("\n")))
  })

describe.skipIf(cases.length === 0)("public bug reports", () => {
  let verdicts: ReadonlyMap<string, string> = new Map()
  beforeAll(async () => {
    verdicts = new Map((await run()).map((line) => [line.split(" ")[1] ?? "", line]))
  }, 120_000)

  const judge = (own: typeof cases) => {
    for (const { id, kind, why } of own) {
      it(`${id}: ${why}`, () => expect(verdicts.get(id)).toBe(`right ${id} [${kind}]`))
    }
  }
  describe("replies, streams, errors and requests", () => judge(cases.filter(({ kind }) => !toolCallKinds.has(kind))))
  describe("tool calls", () => judge(cases.filter(({ kind }) => toolCallKinds.has(kind))))
})
