// Every public export says what it does, since when, and in which category; every public module shows an example.
// docgen asks the same of each method as well, which would only breed boilerplate, so it is asked here.
import { readFileSync } from "node:fs"
import { relative } from "node:path"
import ts from "typescript"
import { publicModules, root } from "./modules.ts"

const categories = [
  "accessors",
  "combinators",
  "constants",
  "constructors",
  "conversions",
  "defaults",
  "errors",
  "getters",
  "guards",
  "interpreters",
  "laws",
  "layers",
  "low level",
  "models",
  "operations",
  "schemas",
  "symbols",
  "tags"
]

interface Doc {
  readonly text: string
  readonly tags: ReadonlyMap<string, string>
}

const docsOf = (node: ts.Node): ReadonlyArray<Doc> =>
  ts.getJSDocCommentsAndTags(node).filter(ts.isJSDoc).map((doc) => ({
    text: ts.getTextOfJSDocComment(doc.comment)?.trim() ?? "",
    tags: new Map(
      (doc.tags ?? []).map((tag) => [tag.tagName.text, ts.getTextOfJSDocComment(tag.comment)?.trim() ?? ""])
    )
  }))

const namesOf = (statement: ts.Statement): ReadonlyArray<string> => {
  if (ts.isVariableStatement(statement)) {
    return statement.declarationList.declarations.map((declaration) => declaration.name.getText())
  }
  if (
    ts.isFunctionDeclaration(statement) || ts.isClassDeclaration(statement) || ts.isInterfaceDeclaration(statement) ||
    ts.isTypeAliasDeclaration(statement) || ts.isModuleDeclaration(statement)
  ) return statement.name === undefined ? [] : [statement.name.getText()]
  return []
}

const isExported = (statement: ts.Statement): boolean =>
  ts.canHaveModifiers(statement) &&
  (ts.getModifiers(statement) ?? []).some((modifier) => modifier.kind === ts.SyntaxKind.ExportKeyword)

const complaintsOf = (docs: ReadonlyArray<Doc>): ReadonlyArray<string> => {
  if (docs.length === 0) return ["has no docstring"]
  const category = docs.map((doc) => doc.tags.get("category")).find((value) => value !== undefined)
  return [
    ...(docs.some((doc) => doc.text !== "") ? [] : ["does not say what it does"]),
    ...(docs.some((doc) => doc.tags.get("since")) ? [] : ["lacks @since"]),
    ...(category === undefined
      ? ["lacks @category"]
      : categories.includes(category)
      ? []
      : [`is in @category ${category}; known are ${categories.join(", ")}`])
  ]
}

const problems = publicModules().flatMap((module) => {
  const text = readFileSync(module.file, "utf8")
  const where = relative(root, module.file)
  const file = ts.createSourceFile(module.file, text, ts.ScriptTarget.ES2022, true)
  // A schema and the type it describes, or the overloads of a function, share a name and may share a docstring.
  const byName = new Map<string, { readonly line: number; readonly docs: ReadonlyArray<Doc> }>()
  for (const statement of file.statements.filter(isExported)) {
    for (const name of namesOf(statement)) {
      const line = byName.get(name)?.line ?? file.getLineAndCharacterOfPosition(statement.getStart()).line + 1
      byName.set(name, { line, docs: [...(byName.get(name)?.docs ?? []), ...docsOf(statement)] })
    }
  }
  const wrong = [...byName].flatMap(([name, { docs, line }]) =>
    complaintsOf(docs).map((complaint) => `${where}:${line} ${name} ${complaint}`)
  )
  return text.includes("@example") ? wrong : [...wrong, `${where}:1 the module shows no @example`]
})

if (problems.length > 0) {
  console.error(problems.join("\n"))
  process.exitCode = 1
}
