// Writes api.md, the reviewed list of the public surface, from the declarations the compiler emits; what each export is for
// is the first sentence of its docstring in the source.
import { readFileSync } from "node:fs"
import { join, relative } from "node:path"
import ts from "typescript"
import { settle } from "./generated.ts"
import { publicModules, root } from "./modules.ts"

const declarations = (): ReadonlyMap<string, string> => {
  const configFile = join(root, "tsconfig.build.json")
  const config = ts.parseJsonConfigFileContent(ts.readConfigFile(configFile, ts.sys.readFile).config, ts.sys, root)
  const options = { ...config.options, emitDeclarationOnly: true, declarationMap: false, removeComments: true }
  const texts = new Map<string, string>()
  const keep: ts.WriteFileCallback = (name, text) =>
    texts.set(relative(config.options.outDir ?? root, name).replace(/[.]d[.]ts$/, ""), text)
  ts.createProgram(config.fileNames, options).emit(undefined, keep, undefined, true)
  return texts
}

const isExported = (statement: ts.Statement): boolean =>
  ts.canHaveModifiers(statement) &&
  (ts.getModifiers(statement) ?? []).some((modifier) => modifier.kind === ts.SyntaxKind.ExportKeyword)

/** Of names that are taken out of an object together the first, under which the declarations list them all. */
const firstName = (name: ts.BindingName | undefined): string => {
  if (name === undefined || ts.isIdentifier(name)) return name?.text ?? ""
  const element = name.elements[0]
  return element !== undefined && ts.isBindingElement(element) ? firstName(element.name) : ""
}

const nameOf = (statement: ts.Statement): string => {
  if (ts.isVariableStatement(statement)) return firstName(statement.declarationList.declarations[0]?.name)
  if (ts.isExportDeclaration(statement)) return statement.getText()
  if (
    ts.isFunctionDeclaration(statement) || ts.isClassDeclaration(statement) || ts.isInterfaceDeclaration(statement) ||
    ts.isTypeAliasDeclaration(statement) || ts.isModuleDeclaration(statement) || ts.isEnumDeclaration(statement)
  ) return statement.name?.getText() ?? ""
  return ""
}

const readable = (text: string): string => text.replace(/^export (?:declare )?/, "").replace(/\r/g, "").trimEnd()

/** A type and a value may have the same name. */
const keyOf = (name: string, node: ts.Node): string =>
  `${ts.isInterfaceDeclaration(node) || ts.isTypeAliasDeclaration(node) ? "type" : "value"} ${name}`

/** The first sentence of the docstring before a node, on one line. */
const purposeOf = (source: string, node: ts.Node): string | undefined => {
  const range = ts.getLeadingCommentRanges(source, node.getFullStart())?.at(-1)
  const comment = range === undefined ? "" : source.slice(range.pos, range.end)
  if (!comment.startsWith("/**")) return undefined
  const lines = comment.slice(3, -2).split("\n").map((line) => line.replace(/^\s*\*? ?/, ""))
  const end = lines.findIndex((line, index) => line.startsWith("@") || (line.trim() === "" && index > 0))
  const prose = (end === -1 ? lines : lines.slice(0, end)).join(" ").trim().replace(/\{@link ([^}]+)\}/g, "$1")
  const sentence = /^.*?[^.\s]{2}[.:](?=\s|$)/.exec(prose)?.[0] ?? prose
  return sentence === "" ? undefined : sentence.replace(/:$/, ".")
}

/** What the exports of a module are for, the names that it hands on included. */
const purposesOf = (file: string): ReadonlyMap<string, string> => {
  const source = readFileSync(file, "utf8")
  const purposes = new Map<string, string>()
  const note = (key: string, node: ts.Node): void => {
    const purpose = purposeOf(source, node)
    if (purpose !== undefined && !purposes.has(key)) purposes.set(key, purpose)
  }
  for (const statement of ts.createSourceFile(file, source, ts.ScriptTarget.ES2022, true).statements) {
    if (ts.isExportDeclaration(statement) && statement.exportClause && ts.isNamedExports(statement.exportClause)) {
      for (const each of statement.exportClause.elements) note(`handed on ${each.name.text}`, each)
    } else if (isExported(statement)) note(keyOf(nameOf(statement), statement), statement)
  }
  return purposes
}

/** One line of prose for a declaration; for names that are handed on, one for each. Of overloads the first has it. */
const proseOf = (statement: ts.Statement, purposes: ReadonlyMap<string, string>, seen: Set<string>): string => {
  const keys = ts.isExportDeclaration(statement) && statement.exportClause && ts.isNamedExports(statement.exportClause)
    ? statement.exportClause.elements.map((each) => [`handed on ${each.name.text}`, `${each.name.text}: `])
    : [[keyOf(nameOf(statement), statement), ""]]
  return keys.map(([key = "", label = ""]) => {
    const purpose = seen.has(key) ? undefined : purposes.get(key)
    seen.add(key)
    return purpose === undefined ? "" : `// ${label}${purpose}\n`
  }).join("")
}

/** Every exported name of one module, in the order of the alphabet; a class brings the base that carries its fields. */
const surface = (text: string, purposes: ReadonlyMap<string, string>): ReadonlyArray<string> => {
  const seen = new Set<string>()
  const file = ts.createSourceFile("module.d.ts", text, ts.ScriptTarget.ES2022, true)
  const hidden = new Map(
    file.statements.filter((statement) => !isExported(statement)).map((statement) => [nameOf(statement), statement])
  )
  return file.statements
    .filter((statement) => isExported(statement) || (ts.isExportDeclaration(statement) && statement.moduleSpecifier))
    .map((statement, index) => {
      const base = ts.isClassDeclaration(statement)
        ? hidden.get(statement.heritageClauses?.[0]?.types[0]?.expression.getText() ?? "")
        : undefined
      const lines = [statement, ...(base === undefined ? [] : [base])].map((each) => readable(each.getText()))
      return { name: nameOf(statement), index, text: proseOf(statement, purposes, seen) + lines.join("\n") }
    })
    .sort((a, b) => a.name < b.name ? -1 : a.name > b.name ? 1 : a.index - b.index)
    .map((entry) => entry.text)
}

const texts = declarations()
const modules = publicModules()
const sections = modules.map((module) => {
  const entries = surface(texts.get(module.path) ?? "", purposesOf(module.file))
  return `## ${module.path}\n\n\`\`\`ts\n${entries.join("\n\n")}\n\`\`\`\n`
})
const contents = modules.map((module) =>
  `- ${module.path}${module.needsOptionalPeer ? " (needs an optional peer)" : ""}`
)

const page = `# Public surface

Written by \`npm run api\` and compared in the check: whoever changes this page changes what users may rely on.

${contents.join("\n")}

${sections.join("\n")}`

settle("api.md", page, "npm run api")
