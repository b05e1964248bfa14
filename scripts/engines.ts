// Runs the tests on the other majors of Node that the package is for, in their short form: `npm run engines`, or
// `npm run engines -- 24 test/laws` for one major and some of the files. npm's own package `node` brings each engine; where
// it cannot be had (no network, no build for this machine) a line says so, and that is no failure.
import { spawnSync } from "node:child_process"
import { existsSync, mkdirSync } from "node:fs"
import { delimiter, dirname, join } from "node:path"
import { root } from "./modules.ts"

const majors = ["20", "22", "24"]
const own = process.versions.node.split(".")[0] ?? ""

const given = process.argv.slice(2)
const asked = given.filter((each) => majors.includes(each))
const rest = given.filter((each) => !majors.includes(each))
const chosen = asked.length > 0 ? asked : majors.filter((major) => major !== own)

/** The engine, installed apart from the project's own packages and kept until they are installed anew. */
const engine = (major: string): string | undefined => {
  const home = join(root, "node_modules", ".cache", `node-${major}`)
  const binary = join(home, "node_modules", "node", "bin", process.platform === "win32" ? "node.exe" : "node")
  if (!existsSync(binary)) {
    mkdirSync(home, { recursive: true })
    const quick = ["--no-audit", "--no-fund", "--no-save", "--fetch-retries=1", "--fetch-timeout=60000"]
    spawnSync("npm", ["install", "--prefix", home, ...quick, `node@${major}`], { cwd: home, stdio: "ignore" })
  }
  return spawnSync(binary, ["--version"]).status === 0 ? binary : undefined
}

/** What takes long and asks nothing of an engine: programs that are started one by one, and minutes of virtual time. */
const left = ["test/examples.test.ts", "test/batch/limits.test.ts", "test/resilience/ModelPool.throughput.test.ts"]

const failed: Array<string> = []

for (const major of chosen) {
  const binary = engine(major)
  if (binary === undefined) {
    console.log(`Node ${major}: npm's package "node" cannot be had here, so nothing was run on it`)
    continue
  }
  // Tests start programs of their own, which find the engine first in the path.
  const env = {
    ...process.env,
    PATH: `${dirname(binary)}${delimiter}${process.env["PATH"] ?? ""}`,
    TEST_RUNS: process.env["TEST_RUNS"] ?? "fast"
  }
  const start = performance.now()
  const leaving = rest.length > 0 ? [] : left.map((file) => `--exclude=${file}`)
  const args = [join(root, "node_modules", "vitest", "vitest.mjs"), "run", "--silent", "--reporter=dot", ...leaving]
  const report = process.env["ENGINE_REPORTS"]
  const toFile = report === undefined ? [] : ["--reporter=json", `--outputFile.json=${join(report, `${major}.json`)}`]
  const { status } = spawnSync(binary, [...args, ...toFile, ...rest], { cwd: root, env, stdio: "inherit" })
  const seconds = ((performance.now() - start) / 1000).toFixed(0)
  console.log(`Node ${major}: ${status === 0 ? "every test holds" : "FAILED"}, ${seconds} s`)
  if (status !== 0) failed.push(major)
}

process.exitCode = failed.length === 0 ? 0 : 1
