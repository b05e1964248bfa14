// Writes the entries, one namespace for each public module, and the subpaths of package.json.
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { settle } from "./generated.ts"
import { type Module, publicModules, root } from "./modules.ts"

const header = "// Written by scripts/barrels.ts from the files that exist: npm run index"

const barrel = (modules: ReadonlyArray<Module>, from: (module: Module) => string): string => {
  const names = modules.map((module) => module.name)
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice !== undefined) throw new Error(`two public modules are named ${twice}; a barrel can hold only one`)
  // One paragraph a room, in the order of the design: the formatter sorts within a paragraph only.
  const paragraphs = [...new Set(modules.map((module) => module.room))].map((room) =>
    modules
      .filter((module) => module.room === room)
      .map((module) => `export * as ${module.name} from "${from(module)}"`)
      .join("\n")
  )
  return `${header}\n\n${paragraphs.join("\n\n")}\n`
}

// Whoever imports the main entry must not need an optional peer, so such modules keep their own subpath only.
const modules = publicModules()
const isApart = (module: Module): boolean => ["chaos", "testing", "adapter"].includes(module.room)
const room = (name: string): ReadonlyArray<Module> => modules.filter((module) => module.room === name)
const beside = (module: Module): string => `./${module.name}.ts`

const main = modules.filter((module) => !module.needsOptionalPeer && !isApart(module))
settle("src/index.ts", barrel(main, (module) => `./${module.path}.ts`), "npm run index")
settle("src/testing/index.ts", barrel(room("testing"), beside), "npm run index")
settle("src/chaos/index.ts", barrel(room("chaos"), beside), "npm run index")

// Every subpath by name: a pattern would open the parts of modules, too. The condition is `default`, not `import`: with that
// `require` is told that there is no such path, where now it loads the module, or says that it is ESM (before Node 20.19).
// The folder's name is there to be read: with effect 4 no file of ours gets so far that it could say what is wrong, but
// every message of Node and of bundlers ("Cannot find module …/effect/dist/Either.js imported from …") names the file.
const built = "./dist/needs-effect-3"
const subpath = (path: string) => ({ types: `${built}/${path}.d.ts`, default: `${built}/${path}.js` })
const exported = {
  ".": subpath("index"),
  "./chaos": subpath("chaos/index"),
  "./testing": subpath("testing/index"),
  ...Object.fromEntries(modules.map((module) => [`./${module.path}`, subpath(module.path)])),
  "./policy.schema.json": "./dist/policy.schema.json",
  "./package.json": "./package.json"
}
const manifest: object = JSON.parse(readFileSync(join(root, "package.json"), "utf8"))
settle("package.json", `${JSON.stringify({ ...manifest, exports: exported }, null, 2)}\n`, "npm run index")
