import { describe, expect, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("..", import.meta.url))

interface Block {
  readonly line: number
  readonly language: string
  readonly code: string
  /** `examples/01-first.ts`, or `examples/01-first.ts#name` for a `// #region name` of it. */
  readonly source: string | undefined
}

/** Fenced blocks, each with the `<!-- examples/… -->` mark that stands on the line above it, if there is one. */
const blocksOf = (page: string): ReadonlyArray<Block> => {
  const pattern = /(?:^<!--\s*(examples\/\S+)\s*-->[ \t]*\n(?:[ \t]*\n)*)?^```(\w*)[^\n]*\n([\s\S]*?)^```[ \t]*$/gm
  return Array.from(page.matchAll(pattern), (match) => ({
    line: page.slice(0, match.index).split("\n").length,
    language: match[2] ?? "",
    code: (match[3] ?? "").trim(),
    source: match[1]
  }))
}

const dedent = (text: string): string => {
  const lines = text.replace(/^\n+|\s+$/g, "").split("\n")
  const indents = lines.filter((line) => line.trim() !== "").map((line) => line.length - line.trimStart().length)
  const margin = Math.min(...indents)
  return lines.map((line) => line.slice(margin)).join("\n")
}

const withoutRegionMarks = (text: string): string => text.replace(/^[ \t]*\/\/ #(?:end)?region\b.*\n/gm, "")

const excerptOf = (source: string): string => {
  const [path = "", region] = source.split("#")
  const text = readFileSync(join(root, path), "utf8")
  if (region === undefined) return withoutRegionMarks(text).trim()
  const part = new RegExp(`^[ \\t]*// #region ${region}[ \\t]*\\n([\\s\\S]*?)^[ \\t]*// #endregion`, "m").exec(text)
    ?.[1]
  if (part === undefined) throw new Error(`${path} has no "// #region ${region}"`)
  return dedent(withoutRegionMarks(part))
}

const readme = readFileSync(join(root, "README.md"), "utf8")
const blocks = blocksOf(readme)
const marked = blocks.flatMap((block) => block.source === undefined ? [] : [{ ...block, source: block.source }])

describe("README", () => {
  it("shows no TypeScript that is not a file in examples/", () => {
    const loose = blocks.filter((block) => block.language === "ts" && block.source === undefined)
    expect(loose.map((block) => `line ${block.line}: put <!-- examples/NN-name.ts --> above this block`)).toEqual([])
  })

  it.each(marked)("line $line is $source", ({ code, source }) => {
    expect(code).toBe(excerptOf(source))
  })
})

describe("README, as its readers find it", () => {
  it("begins with installing the package, then a call to a real provider, then a clone", () => {
    const places = ["`npm install effect-llm-resilience ", "OpenAiChat.layerConfig()", "npm ci && npm start"]
      .map((text) => readme.indexOf(text))
    expect(places).toEqual([...places].sort((one, other) => one - other))
    expect(places).not.toContain(-1)
  })

  it("has the two commands of a clone as its first block of commands", () => {
    const commands = blocks.find(({ language }) => language === "sh")?.code.split("\n") ?? []
    expect(commands.map((line) => line.replace(/\s*#.*/, ""))).toEqual(["npm ci && npm start", "npm ci && npm test"])
  })

  it("has no link that leads nowhere from the page of a registry", () => {
    const text = blocks.reduce((rest, { code }) => rest.replace(code, ""), readme)
    const links = Array.from(text.matchAll(/\]\(([^)]+)\)/g), (match) => match[1] ?? "")
    expect(links.filter((link) => !/^(?:https:|#)/.test(link))).toEqual([])
  })
})

describe("the reading of README", () => {
  const page = [
    "Text",
    "<!-- examples/01-first.ts#wait -->",
    "```ts",
    "const a = 1",
    "```",
    "",
    "```sh",
    "npm test",
    "```",
    "<!-- examples/policy.json -->",
    "",
    "```json",
    "{}",
    "```"
  ].join("\n")

  it("finds every block and its mark", () => {
    expect(blocksOf(page).map(({ code, language, source }) => [language, source, code])).toEqual([
      ["ts", "examples/01-first.ts#wait", "const a = 1"],
      ["sh", undefined, "npm test"],
      ["json", "examples/policy.json", "{}"]
    ])
  })

  it("takes the margin from a region", () => {
    expect(dedent("\n    a\n      b\n\n    c\n  ")).toBe("a\n  b\n\nc")
  })
})
