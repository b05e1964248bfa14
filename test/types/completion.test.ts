/** What an editor offers where a pipeline is written: asked of the service that editors ask. */
import { describe, expect, it } from "@effect/vitest"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import ts from "typescript"

const root = join(dirname(fileURLToPath(import.meta.url)), "../..")
const file = join(root, "test/types/written.ts")

/** The service over a file that somebody is writing. */
const editor = () => {
  const config = ts.parseJsonConfigFileContent(
    ts.readConfigFile(join(root, "tsconfig.json"), ts.sys.readFile).config,
    { ...ts.sys, readDirectory: () => [] },
    root
  )
  let text = ""
  let version = 0
  const service = ts.createLanguageService({
    getScriptFileNames: () => [file],
    getScriptVersion: (name) => name === file ? String(version) : "0",
    getScriptSnapshot: (name) => {
      const content = name === file ? text : ts.sys.readFile(name)
      return content === undefined ? undefined : ts.ScriptSnapshot.fromString(content)
    },
    getCurrentDirectory: () => root,
    getCompilationSettings: () => config.options,
    getDefaultLibFileName: (options) => ts.getDefaultLibFilePath(options),
    fileExists: (name) => name === file || ts.sys.fileExists(name),
    readFile: (name) => ts.sys.readFile(name),
    readDirectory: (...options) => ts.sys.readDirectory(...options),
    directoryExists: (name) => ts.sys.directoryExists(name),
    getDirectories: (name) => ts.sys.getDirectories(name)
  })
  const write = (options: string): number => {
    const content =
      `import * as Pipeline from "../../src/policy/Pipeline.ts"\nexport const made = Pipeline.make(${options})\n`
    const cursor = content.indexOf("|")
    text = content.replace("|", "")
    version += 1
    return cursor
  }
  return {
    /** The fields that are offered at `|`. */
    offered: (options: string): ReadonlyArray<string> =>
      service.getCompletionsAtPosition(file, write(options), {})?.entries.filter(({ kind }) => kind === "property")
        .map(({ name }) => name) ?? [],
    /** What is shown of a field at `|`. */
    documentation: (options: string, field: string): string => {
      const details = service.getCompletionEntryDetails(file, write(options), field, {}, undefined, {}, undefined)
      return ts.displayPartsToString(details?.documentation)
    },
    faults: (options: string): ReadonlyArray<string> => {
      write(options)
      return service.getSemanticDiagnostics(file).map(({ messageText }) =>
        ts.flattenDiagnosticMessageText(messageText, "\n")
      )
    }
  }
}

describe("an editor, where a pipeline is written", () => {
  const { documentation, faults, offered } = editor()

  it.each<readonly [string, ReadonlyArray<string>]>([
    ["{ | }", ["totalTimeout", "retry", "circuitBreaker", "attemptTimeout", "verdict"]],
    ["{ circuitBreaker: { | } }", ["tripping", "openFor", "probes", "mode", "name"]],
    ["{ circuitBreaker: { openFor: { | } } }", ["backoff"]],
    ["{ circuitBreaker: { openFor: { backoff: \"linear\", | } } }", ["initial", "increment", "cap", "jitter"]],
    ["{ circuitBreaker: { tripping: { | } } }", ["when", "failures", "any", "all"]],
    ["{ retry: { | } }", ["backoff", "byError", "attempts", "within", "honourHints"]],
    ["{ retry: { backoff: \"exponential\", | } }", ["initial", "factor", "cap", "jitter"]],
    ["{ rateLimiter: { | } }", ["requestsPerMinute", "maxWait", "name"]],
    ["{ hedge: { delay: { | } } }", ["quantile", "minimumSamples", "initial"]],
    ["{ retryBudget: { tokens: { | } } }", ["capacity", "cost", "reward"]],
    ["{ bulkhead: { | } }", ["maxConcurrent", "maxQueued", "queueTimeout"]]
  ])("offers the fields: %s", (options, fields) => {
    expect(offered(options)).toEqual(expect.arrayContaining([...fields]))
  })

  it.each<readonly [string, string, string]>([
    ["{ | }", "hedge", "A further attempt beside one that takes long"],
    ["{ circuitBreaker: { | } }", "openFor", "How long it stays open"],
    ["{ retryBudget: { share: { | } } }", "ratio", "0 to 1"]
  ])("shows what they mean: %s", (options, field, text) => {
    expect(documentation(options, field)).toContain(text)
  })

  it.each<readonly [string, string]>([
    ["{ attemptTimeot: \"1 second\" }", "never"],
    ["{ circuitBreaker: { openFr: \"1 second\" } }", "openFr"],
    ["{ circuitBreaker: { openFor: { backoff: \"constant\", dely: \"1 second\" } } }", "dely"],
    ["{ bulkhead: { maxConcurrent: 1, maxQueue: 2 } }", "maxQueue"],
    ["{ hedge: { delay: { quantil: 0.9 } } }", "quantil"],
    ["{ retry: { backoff: \"immediate\", atempts: 3 } }", "atempts"],
    ["{ retryBudget: { share: { minimun: 3 } } }", "minimun"]
  ])("refuses a misspelt field: %s", (options, told) => {
    expect(faults(options).join("\n")).toContain(told)
  })

  it("takes what is right", () => {
    expect(faults("{ bulkhead: { maxConcurrent: 1 }, circuitBreaker: { openFor: \"1 second\" } }")).toEqual([])
  })
})
