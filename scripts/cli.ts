// Bundles the command line into one file, so that `npx` needs nothing else and users of the library get no dependency more:
// part of `npm run build`.
import { build } from "esbuild"
import { chmodSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { root } from "./modules.ts"

const outfile = join(root, "dist", "cli.js")
const { version }: { readonly version: string } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"))

await build({
  entryPoints: [join(root, "src", "cli", "main.ts")],
  outfile,
  bundle: true,
  minify: true,
  platform: "node",
  format: "esm",
  target: "node20",
  legalComments: "none",
  define: { packageVersion: JSON.stringify(version) },
  // What some bundled packages ask for by `require`.
  banner: {
    js: "import { createRequire as requireOf } from \"node:module\"; const require = requireOf(import.meta.url);"
  }
})
chmodSync(outfile, 0o755)
