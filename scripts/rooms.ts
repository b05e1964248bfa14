// What the layer rules cannot say: who uses a file decides where it stands, and a file of a few lines has several users.
import { readdirSync, readFileSync } from "node:fs"
import { dirname, join, normalize, relative, sep } from "node:path"
import { root } from "./modules.ts"

const src = join(root, "src")
const files = readdirSync(src, { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".ts"))
  .map((file) => file.split(sep).join("/"))

const users = new Map<string, Set<string>>(files.map((file) => [file, new Set()]))
const lines = new Map<string, number>()
for (const file of files) {
  const text = readFileSync(join(src, file), "utf8")
  lines.set(file, text.split("\n").length - 1)
  for (const [, target = ""] of text.matchAll(/^(?:import|export)\b[^"]*?from "(\.[^"]+)"/gm)) {
    users.get(relative(src, normalize(join(src, dirname(file), target))).split(sep).join("/"))?.add(file)
  }
}

const isEntry = (file: string): boolean => file.endsWith("index.ts")
/** The program, which nobody imports. */
const isProgram = (file: string): boolean => file === "cli/main.ts"
const isPublic = (file: string): boolean => /^[a-z]+\/[A-Z]\w*\.ts$/.test(file)
/** What the pipeline knows of a policy stands in that policy's folder, however short it is. */
const isSection = (file: string): boolean => /^policy\/\w+\/section\.ts$/.test(file)
const roomOf = (file: string): string => file.split("/")[0] ?? ""
/** The module a file belongs to: `policy/Retry.ts` and `policy/retry/loop.ts` are both `retry`. */
const moduleOf = (file: string): string => (file.split("/")[1] ?? "").replace(/\.ts$/, "").toLowerCase()

const complaintOf = (file: string, by: ReadonlyArray<string>): string | undefined => {
  if (isEntry(file) || isProgram(file) || isPublic(file)) return undefined
  if (by.length === 0) return "nobody imports it"
  if ((lines.get(file) ?? 0) < 30 && by.length === 1 && !isSection(file)) {
    return `has under 30 lines and one user, ${by[0]}: write it there`
  }
  if (roomOf(file) === "internal" && !isSharedByRooms(by)) {
    return `is used by the room ${roomOf(by[0] ?? "")} alone: it belongs there`
  }
  if (moduleOf(file) === "shared" && new Set(by.map(moduleOf)).size === 1 && moduleOf(by[0] ?? "") !== "shared") {
    return `is used by ${by[0]} and its parts alone: it belongs in its folder`
  }
  return undefined
}

const isSharedByRooms = (by: ReadonlyArray<string>): boolean =>
  new Set(by.map(roomOf)).size > 1 || by.some((user) => roomOf(user) === "internal")

const complaints = files.flatMap((file) => {
  const complaint = complaintOf(file, [...users.get(file) ?? []].filter((user) => !isEntry(user)))
  return complaint === undefined ? [] : [`src/${file} ${complaint}`]
})

if (complaints.length > 0) {
  console.error(complaints.join("\n"))
  process.exitCode = 1
} else console.log(`${files.length} files stand where their users are`)
