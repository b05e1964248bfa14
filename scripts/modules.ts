// The public modules: what a user may import, read from the files that exist.
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { dirname, join, normalize, relative } from "node:path"
import { fileURLToPath } from "node:url"

export const root: string = fileURLToPath(new URL("..", import.meta.url))

export interface Module {
  /** The room it stands in, such as `policy`. */
  readonly room: string
  /** The name of its namespace, such as `Retry`. */
  readonly name: string
  /** The subpath a user imports, such as `policy/Retry`. */
  readonly path: string
  readonly file: string
  readonly needsOptionalPeer: boolean
}

// The order in which DESIGN section 3 tells the story.
const rooms = [
  "error",
  "telemetry",
  "policy",
  "model",
  "provider",
  "resilience",
  "batch",
  "chaos",
  "testing",
  "adapter"
]

interface Manifest {
  readonly peerDependenciesMeta?: Record<string, { readonly optional?: boolean }>
}

const manifest = (): Manifest => JSON.parse(readFileSync(join(root, "package.json"), "utf8"))

const optionalPeers = (): ReadonlyArray<string> =>
  Object.entries(manifest().peerDependenciesMeta ?? {}).flatMap(([name, meta]) => meta.optional === true ? [name] : [])

// Imports that vanish when compiled need no peer at run time.
const runtimeImports = (source: string): ReadonlyArray<string> =>
  Array.from(
    source.matchAll(/^(?:import|export)\s+(?!type\b)(?:[^"']*?\bfrom\s+)?["']([^"']+)["']|\bimport\("([^"]+)"\)/gm),
    (match) => match[1] ?? match[2] ?? ""
  )

const reaches = (file: string, peers: ReadonlyArray<string>, seen: Set<string> = new Set()): boolean => {
  if (seen.has(file) || !existsSync(file)) return false
  seen.add(file)
  return runtimeImports(readFileSync(file, "utf8")).some((target) =>
    target.startsWith(".")
      ? reaches(normalize(join(dirname(file), target)), peers, seen)
      : peers.some((peer) => target === peer || target.startsWith(`${peer}/`))
  )
}

/** Every public module, rooms in the order of the design and names in the order of the alphabet. */
export const publicModules = (): ReadonlyArray<Module> => {
  const peers = optionalPeers()
  return rooms.flatMap((room) => {
    const folder = join(root, "src", room)
    if (!existsSync(folder)) return []
    return readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.name.endsWith(".ts") && entry.name !== "index.ts")
      .map((entry) => entry.name.slice(0, -".ts".length))
      .sort((a, b) => a.toLowerCase() < b.toLowerCase() ? -1 : 1) // as the formatter does
      .map((name) => {
        const file = join(folder, `${name}.ts`)
        if (!/^[A-Z][A-Za-z0-9]*$/.test(name)) {
          throw new Error(
            `${
              relative(root, file)
            }: a public module is named like a type; helpers stand in the folder of their module, or in shared/`
          )
        }
        return { room, name, path: `${room}/${name}`, file, needsOptionalPeer: reaches(file, peers) }
      })
  })
}
