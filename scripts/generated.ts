// Files that a script writes: written on demand, compared in the check.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { root } from "./modules.ts"

const firstDifference = (found: string, wanted: string): string => {
  const old = found.split("\n")
  const fresh = wanted.split("\n")
  const at = fresh.findIndex((line, index) => line !== old[index])
  const line = at === -1 ? fresh.length : at
  return `line ${line + 1}:\n  - ${old[line] ?? "(end of file)"}\n  + ${fresh[line] ?? "(end of file)"}`
}

/** Writes `content`, or with `--check` on the command line fails when the file says something else. */
export const settle = (path: string, content: string, command: string): void => {
  const file = join(root, path)
  const found = existsSync(file) ? readFileSync(file, "utf8") : ""
  if (found === content) return
  if (process.argv.includes("--check")) {
    console.error(`${path} is out of date at ${firstDifference(found, content)}\nRun: ${command}`)
    process.exitCode = 1
    return
  }
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, content)
  console.log(`wrote ${path}`)
}
