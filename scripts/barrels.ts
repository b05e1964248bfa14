// Writes src/index.ts and src/testing/index.ts: one namespace for each public module.
import { settle } from "./generated.ts"
import { type Module, publicModules } from "./modules.ts"

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

// Whoever imports an entry must not need an optional peer, so such modules keep their own subpath only.
const light = publicModules().filter((module) => !module.needsOptionalPeer)
const main = light.filter((module) => module.room !== "testing" && module.room !== "adapter")
const testing = light.filter((module) => module.room === "testing")

settle("src/index.ts", barrel(main, (module) => `./${module.path}.ts`), "npm run index")
settle("src/testing/index.ts", barrel(testing, (module) => `./${module.name}.ts`), "npm run index")
