// Writes api.md, the reviewed list of the public surface, from the declarations the compiler emits.
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
    texts.set(relative(join(root, "dist"), name).replace(/[.]d[.]ts$/, ""), text)
  ts.createProgram(config.fileNames, options).emit(undefined, keep, undefined, true)
  return texts
}

const isExported = (statement: ts.Statement): boolean =>
  ts.canHaveModifiers(statement) &&
  (ts.getModifiers(statement) ?? []).some((modifier) => modifier.kind === ts.SyntaxKind.ExportKeyword)

const nameOf = (statement: ts.Statement): string => {
  if (ts.isVariableStatement(statement)) return statement.declarationList.declarations[0]?.name.getText() ?? ""
  if (ts.isExportDeclaration(statement)) return statement.getText()
  if (
    ts.isFunctionDeclaration(statement) || ts.isClassDeclaration(statement) || ts.isInterfaceDeclaration(statement) ||
    ts.isTypeAliasDeclaration(statement) || ts.isModuleDeclaration(statement) || ts.isEnumDeclaration(statement)
  ) return statement.name?.getText() ?? ""
  return ""
}

const readable = (text: string): string => text.replace(/^export (?:declare )?/, "").replace(/\r/g, "").trimEnd()

/** Every exported name of one module, in the order of the alphabet; a class brings the base that carries its fields. */
const surface = (text: string): ReadonlyArray<string> => {
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
      return { name: nameOf(statement), index, text: lines.join("\n") }
    })
    .sort((a, b) => a.name < b.name ? -1 : a.name > b.name ? 1 : a.index - b.index)
    .map((entry) => entry.text)
}

const texts = declarations()
const modules = publicModules()
const sections = modules.map((module) => {
  const entries = surface(texts.get(module.path) ?? "")
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
