// Packs the built library and uses it as a stranger would: linted, typed, imported, and closed where it should be closed.
import { execFileSync } from "node:child_process"
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import ts from "typescript"
import { publicModules, root } from "./modules.ts"

const name = "effect-llm-resilience"
/** Bytes unpacked: about two thirds of it are types and docstrings; the command line is one file of its own. */
const largestPackage = 5_000_000
const work = mkdtempSync(join(tmpdir(), `${name}-`))
const problems: Array<string> = []

const run = (command: string, args: ReadonlyArray<string>, cwd: string): string =>
  execFileSync(command, args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] })

const attempt = (what: string, command: string, args: ReadonlyArray<string>, cwd = root): void => {
  try {
    run(command, args, cwd)
  } catch (error) {
    const output = error instanceof Error && "stdout" in error && "stderr" in error
      ? `${error.stdout}\n${error.stderr}`
      : String(error)
    problems.push(`${what}:\n${output.trim()}`)
  }
}

const bin = (tool: string): string => join(root, "node_modules", ".bin", tool)

const modules = publicModules()
const entries = [".", "./chaos", "./testing", ...modules.map((module) => `./${module.path}`)]
const specifiers = entries.map((entry) => `${name}${entry.slice(1)}`)
const closed = [
  "internal/redact",
  "index",
  "chaos/index",
  "testing/index",
  "cli/main",
  "policy/circuitBreaker/kernel",
  ...new Set(modules.map((module) => `${module.room}/shared/any`))
].map((path) => `${name}/${path}`)

const install = (): string => {
  const packed: ReadonlyArray<{ readonly filename: string }> = JSON.parse(
    run("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", work], root)
  )
  const tarball = join(work, packed[0]?.filename ?? "")
  const home = join(work, "node_modules", name)
  mkdirSync(home, { recursive: true })
  run("tar", ["-xzf", tarball, "-C", home, "--strip-components", "1"], work)
  type Ranges = Readonly<Record<string, string>>
  const { dependencies = {}, peerDependencies = {} }: {
    readonly dependencies?: Ranges
    readonly peerDependencies?: Ranges
  } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"))
  const names = [...Object.keys(dependencies), ...Object.keys(peerDependencies)].map((name) =>
    name.split("/")[0] ?? name
  )
  for (const needed of new Set(["@types", ...names])) {
    symlinkSync(join(root, "node_modules", needed), join(work, "node_modules", needed), "dir")
  }
  writeFileSync(join(work, "package.json"), JSON.stringify({ type: "module" }))
  return tarball
}

const importEverything = (): void => {
  const script = `
    let bad = 0
    const say = (line) => { bad++; console.log(line) }
    for (const path of ${JSON.stringify(specifiers)}) {
      await import(path).catch((error) => say(path + " cannot be imported: " + error.message))
    }
    for (const path of ${JSON.stringify(closed)}) {
      await import(path).then(
        () => say(path + " can be imported and must not be"),
        (error) => { if (error.code !== "ERR_PACKAGE_PATH_NOT_EXPORTED") say(path + " is not closed: " + error.code) }
      )
    }
    process.exit(bad === 0 ? 0 : 1)`
  attempt("import", process.execPath, ["--input-type=module", "--eval", script], work)
}

/** `require` works where Node can load ESM by it, and says ESM where it cannot. */
const requireMain = (): void => {
  const script = `
    try { require(${JSON.stringify(name)}) } catch (error) {
      if (error.code !== "ERR_REQUIRE_ESM") { console.log(error.code + " " + error.message); process.exit(1) }
    }`
  attempt("require", process.execPath, ["--input-type=commonjs", "--eval", script], work)
}

/** Nothing refers to a file that is not in the package, and the package stays small. */
const inspectFiles = (): void => {
  const home = join(work, "node_modules", name)
  const files = readdirSync(home, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  const paths = files.map((entry) => join(entry.parentPath, entry.name))
  const size = paths.reduce((sum, path) => sum + statSync(path).size, 0)
  if (size > largestPackage) problems.push(`size: ${size} bytes unpacked, more than ${largestPackage}`)
  for (const path of paths.filter((each) => /\.(?:js|d\.ts)$/.test(each))) {
    const map = /^\/\/# sourceMappingURL=(.+)$/m.exec(readFileSync(path, "utf8"))?.[1]
    if (map !== undefined && !existsSync(join(path, "..", map))) problems.push(`source map: ${path} names ${map}`)
  }
  const { exports }: { readonly exports: Readonly<Record<string, string | Readonly<Record<string, string>>>> } = JSON
    .parse(readFileSync(join(home, "package.json"), "utf8"))
  for (const target of Object.values(exports).flatMap((to) => typeof to === "string" ? [to] : Object.values(to))) {
    if (!existsSync(join(home, target))) problems.push(`exports: ${target} does not exist`)
  }
}

/** With effect 4 nothing of ours gets to run: what Node says by itself must lead to the reason. */
const underEffect4 = (): void => {
  const elsewhere = join(work, "effect4")
  const effect = join(elsewhere, "node_modules", "effect")
  mkdirSync(effect, { recursive: true })
  const exports = { "./*": "./dist/*.js" }
  writeFileSync(
    join(effect, "package.json"),
    JSON.stringify({ name: "effect", version: "4.1.0", type: "module", exports })
  )
  const home = join(elsewhere, "node_modules", name)
  cpSync(join(work, "node_modules", name), home, { recursive: true })
  const script = `
    const found = await import(${JSON.stringify(name)}).then(() => "it loads", (error) => error.message)
    if (!found.includes("needs-effect-3")) { console.log(found); process.exit(1) }`
  attempt("effect 4", process.execPath, ["--input-type=module", "--eval", script], elsewhere)
}

// skipLibCheck would hide an error inside our own declarations, so each of them is asked for its diagnostics.
const typeEverything = (): void => {
  const consumer = join(work, "consumer.ts")
  writeFileSync(consumer, specifiers.map((path, index) => `export * as m${index} from "${path}"`).join("\n"))
  const program = ts.createProgram([consumer], {
    target: ts.ScriptTarget.ES2022,
    lib: ["lib.es2022.d.ts", "lib.dom.d.ts", "lib.dom.iterable.d.ts"],
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    strict: true,
    exactOptionalPropertyTypes: true,
    noEmit: true,
    types: ["node"]
  })
  const ours = program.getSourceFiles().filter((file) =>
    file.fileName === consumer || file.fileName.includes(`/${name}/dist/`)
  )
  const wrong = ours.flatMap((
    file
  ) => [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)])
  if (ours.length < entries.length) problems.push(`types: only ${ours.length} declaration files were found`)
  for (const each of wrong) {
    problems.push(`types: ${each.file?.fileName ?? ""}: ${ts.flattenDiagnosticMessageText(each.messageText, "\n")}`)
  }
}

/** The program in a folder where no package is: it brings all that it needs. */
const runProgram = (): void => {
  const alone = mkdtempSync(join(tmpdir(), `${name}-alone-`))
  cpSync(join(work, "node_modules", name, "dist", "cli.js"), join(alone, "cli.mjs"))
  writeFileSync(join(alone, "prompts.jsonl"), "\"Hello\"\n\"Again\"\n")
  writeFileSync(join(alone, "schema.json"), JSON.stringify({ type: "object" }))
  const program = [join(alone, "cli.mjs")]
  attempt("the program, its help", process.execPath, [...program, "--help"], alone)
  attempt(
    "the program, a batch",
    process.execPath,
    [...program, "batch", "prompts.jsonl", "--provider", "chaos"],
    alone
  )
  const dry = ["batch", "prompts.jsonl", "--provider", "chaos", "--schema", "schema.json", "--dry-run"]
  attempt("the program, a schema", process.execPath, [...program, ...dry], alone)
  rmSync(alone, { recursive: true, force: true })
}

try {
  const tarball = install()
  attempt("publint", bin("publint"), ["run", tarball, "--strict"])
  const attw = ["--profile", "esm-only", "--no-definitely-typed", "--format", "ascii", "--entrypoints", ...entries]
  attempt("attw", bin("attw"), [tarball, ...attw])
  importEverything()
  requireMain()
  inspectFiles()
  underEffect4()
  typeEverything()
  runProgram()
} finally {
  rmSync(work, { recursive: true, force: true })
}

if (problems.length > 0) {
  console.error(problems.join("\n\n"))
  process.exitCode = 1
} else {
  console.log(
    `${entries.length} entries lint, type and import from the tarball; ${closed.length} private paths are closed`
  )
}
