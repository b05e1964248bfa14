// Every check of the house, with the time each takes. `npm run check -- --without tests` leaves one out, `-- --only lint,layers` picks.
import { spawn } from "node:child_process"
import { existsSync } from "node:fs"
import { join } from "node:path"
import { root } from "./modules.ts"

interface Step {
  readonly name: string
  readonly commands: ReadonlyArray<string>
  /** Steps that measure time or open sockets have the machine to themselves. */
  readonly alone?: boolean
}

const steps: ReadonlyArray<Step> = [
  { name: "types", commands: ["npm run types"] },
  { name: "effects", commands: ["npm run effects"] },
  { name: "lint", commands: ["npm run lint"] },
  { name: "layers", commands: ["npm run layers"] },
  { name: "index", commands: ["npm run index:check"] },
  { name: "api", commands: ["npm run api:check"] },
  { name: "type tests", commands: ["npm run test:types"] },
  { name: "docs", commands: ["npm run docs"] },
  { name: "package", commands: ["npm run build", "npm run package:check"] },
  { name: "tests", commands: ["npm test"], alone: true },
  { name: "storm", commands: ["npm start"], alone: true }
]

const list = (flag: string): ReadonlyArray<string> => {
  const at = process.argv.indexOf(flag)
  return at === -1 ? [] : (process.argv[at + 1] ?? "").split(",").map((name) => name.trim())
}

const only = list("--only")
const without = list("--without")
const stranger = [...only, ...without].find((name) => !steps.some((step) => step.name === name))
if (stranger !== undefined) {
  throw new Error(`no step is named "${stranger}"; there are: ${steps.map((step) => step.name).join(", ")}`)
}
const chosen = steps.filter((step) =>
  (only.length === 0 || only.includes(step.name)) && !without.includes(step.name) &&
  (step.name !== "storm" || existsSync(join(root, "examples/storm/main.ts")))
)

// Tests run in their long form here. The storm must run against the embedded provider, whatever keys the person at the keyboard has.
const { OPENAI_API_KEY: _key, ...env } = process.env

const shell = (command: string): Promise<{ readonly code: number; readonly output: string }> =>
  new Promise((resolve) => {
    const child = spawn(command, { cwd: root, env: { ...env, FORCE_COLOR: "0", TEST_RUNS: "full" }, shell: true })
    let output = ""
    child.stdout.on("data", (chunk) => output += String(chunk))
    child.stderr.on("data", (chunk) => output += String(chunk))
    child.on("close", (code) => resolve({ code: code ?? 1, output }))
  })

const failed: Array<string> = []

const run = async (step: Step): Promise<void> => {
  const start = performance.now()
  let result = { code: 0, output: "" }
  for (const command of step.commands) {
    if (result.code === 0) result = await shell(command)
  }
  const seconds = ((performance.now() - start) / 1000).toFixed(1).padStart(6)
  console.log(`${result.code === 0 ? "ok    " : "FAILED"} ${seconds} s  ${step.name}`)
  if (result.code !== 0) {
    failed.push(step.name)
    console.log(result.output)
  }
}

const workThrough = async (queue: Array<Step>): Promise<void> => {
  for (let step = queue.shift(); step !== undefined; step = queue.shift()) await run(step)
}

const together = chosen.filter((step) => step.alone !== true)
await Promise.all([workThrough(together), workThrough(together)])
await workThrough(chosen.filter((step) => step.alone === true))

console.log(failed.length === 0 ? "every check holds" : `failed: ${failed.join(", ")}`)
process.exitCode = failed.length === 0 ? 0 : 1
