/** Every regular expression of src, and the inputs that are hardest for each. */
import { type AST, RegExpParser, visitRegExpAST } from "@eslint-community/regexpp"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import ts from "typescript"

const root = fileURLToPath(new URL("../../src", import.meta.url))

/** A regular expression and where it stands. */
export interface Found {
  readonly at: string
  readonly pattern: RegExp
}

const literalsOf = (name: string): ReadonlyArray<Found> => {
  const file = ts.createSourceFile(name, readFileSync(join(root, name), "utf8"), ts.ScriptTarget.Latest, true)
  const found: Array<Found> = []
  const visit = (node: ts.Node): void => {
    if (ts.isRegularExpressionLiteral(node)) {
      const slash = node.text.lastIndexOf("/")
      const { line } = file.getLineAndCharacterOfPosition(node.getStart())
      found.push({
        at: `${name}:${line + 1}`,
        pattern: new RegExp(node.text.slice(1, slash), node.text.slice(slash + 1))
      })
    }
    ts.forEachChild(node, visit)
  }
  visit(file)
  return found
}

/** The literals of all files. Those that are put together from texts are found by {@link recorded}. */
export const literals = (): ReadonlyArray<Found> =>
  readdirSync(root, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".ts")).sort()
    .flatMap(literalsOf)

/** The regular expressions that are put together while `load` runs. */
export const recorded = async (at: string, load: () => Promise<unknown>): Promise<ReadonlyArray<Found>> => {
  const found: Array<Found> = []
  const original = globalThis.RegExp
  globalThis.RegExp = new Proxy(original, {
    construct: (target, given: [string | RegExp, string?]) => {
      const pattern = new target(...given)
      found.push({ at, pattern })
      return pattern
    }
  })
  try {
    await load()
  } finally {
    globalThis.RegExp = original
  }
  return found
}

/** One of each kind of character that classes tell apart. */
const characters = [..." \t\na0A-_.,:;/\\\"'=%&?<>[](){}|*+#@!~`$µ过\u0001"]

const matches = (node: AST.Node, flags: string): ReadonlyArray<string> => {
  const one = new RegExp(`^(?:${node.raw})$`, flags.replace(/[gy]/g, ""))
  return characters.filter((each) => one.test(each))
}

/** The shortest text that a part of a pattern matches, as far as this is easy to say. */
const sample = (node: AST.Element | AST.Alternative, flags: string): string => {
  switch (node.type) {
    case "Alternative":
      return node.elements.map((each) => sample(each, flags)).join("")
    case "Character":
      return String.fromCodePoint(node.value)
    case "CharacterSet":
    case "CharacterClass":
      return matches(node, flags)[0] ?? ""
    case "Group":
    case "CapturingGroup":
      return node.alternatives[0] === undefined ? "" : sample(node.alternatives[0], flags)
    case "Quantifier":
      return sample(node.element, flags).repeat(Math.min(node.min, 20))
    default:
      return ""
  }
}

/** What can be repeated for as long as one likes. */
const pumpsOf = (node: AST.Element, flags: string): ReadonlyArray<string> => {
  switch (node.type) {
    case "CharacterSet":
    case "CharacterClass":
      return matches(node, flags)
    case "Group":
    case "CapturingGroup":
      return node.alternatives.map((each) => sample(each, flags))
    default:
      return [sample(node, flags)]
  }
}

/** What comes before a part, on the shortest way to it. */
const before = (node: AST.Node, flags: string): string => {
  const { parent } = node
  if (parent === null || parent.type === "Pattern" || parent.type === "RegExpLiteral") return ""
  const own = parent.type === "Alternative"
    ? parent.elements.slice(0, parent.elements.findIndex((each) => each === node)).map((each) => sample(each, flags))
    : []
  return before(parent, flags) + own.join("")
}

/** A counted repetition of more than this is taken for one without an end. */
const endless = 50

/** Beginnings of texts on which a pattern may look at the same characters again and again. */
export const attacks = ({ flags, source }: RegExp): ReadonlyArray<(length: number) => string> => {
  const texts = new Set<string>()
  const all: Array<(length: number) => string> = []
  const add = (prefix: string, unit: string): void => {
    const name = JSON.stringify([prefix, unit])
    if (unit === "" || texts.has(name)) return
    texts.add(name)
    all.push((length) => `${prefix}${unit.repeat(Math.ceil(length / unit.length))}\u0001`)
  }
  visitRegExpAST(new RegExpParser().parsePattern(source, undefined, undefined, { unicode: flags.includes("u") }), {
    onQuantifierEnter: (node) => {
      if (node.max <= endless) return
      const prefix = before(node, flags)
      for (const pump of pumpsOf(node.element, flags)) {
        add(prefix, pump)
        add("", prefix + pump)
        add("", pump)
      }
    }
  })
  return all
}
