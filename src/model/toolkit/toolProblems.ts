/** Everything that keeps a tool from being offered, each with the way out. */
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { found } from "../../error/InvalidOptions.ts"
import * as Repair from "../Repair.ts"
import * as Tool from "../Tool.ts"

type Problems = ReadonlyArray<Tool.InvalidTool>

const problem = (tool: Tool.Any, problem: string, remedy: string): Problems => [
  new Tool.InvalidTool({ tool: tool.name, path: [], problem, remedy })
]

const namePattern = /^[a-zA-Z0-9_-]{1,64}$/

const ofName = (tool: Tool.Any, index: number, tools: ReadonlyArray<Tool.Any>): Problems => {
  if (!namePattern.test(tool.name)) {
    return problem(
      tool,
      "the name is not one that every provider takes",
      "Use 1 to 64 of the characters a-z, A-Z, 0-9, _ and -."
    )
  }
  if (tool.name in Object.prototype) {
    return problem(tool, "the name is a member of every JavaScript object", "Choose another name.")
  }
  const first = tools.findIndex((other) => other.name === tool.name)
  return first === index
    ? []
    : problem(
      tool,
      `the name is taken by tool ${first + 1} of this toolkit (this is tool ${index + 1})`,
      "Rename one of them."
    )
}

const ofRepairs = (tool: Tool.Any): Problems => {
  const wrong = tool.repairs.find((repair) => !Repair.isRepair(repair))
  if (wrong !== undefined) {
    return problem(
      tool,
      `one of its repairs is ${found(wrong)}`,
      "List repairs: those of Repair.lossless, what Repair.make gives, or jsonrepair of adapter/JsonRepair."
    )
  }
  const lossy = tool.repairs.filter((repair) => repair.kind === "lossy").map((repair) => repair.name)
  return lossy.length === 0 || tool.access === "read-only" ? [] : problem(
    tool,
    `it is read-write, and what ${lossy.join(" and ")} makes of broken arguments may not be what was meant`,
    `Leave ${lossy.length === 1 ? "this repair" : "these repairs"} out, or, if the tool only looks and changes ` +
      "nothing, say access: \"read-only\"."
  )
}

const ofTimeout = (tool: Tool.Any): Problems => {
  if (tool.timeout === undefined) return []
  const limit = Option.getOrUndefined(Duration.decodeUnknown(tool.timeout))
  return limit !== undefined && Duration.isFinite(limit) && Duration.greaterThan(limit, Duration.zero) ? [] : problem(
    tool,
    `the time-out is ${found(tool.timeout)}`,
    "Use a duration above zero, for example \"30 seconds\", or leave it out for no limit."
  )
}

const ofChoices = (tool: Tool.Any): Problems => [
  ...(tool.access === "read-only" || tool.access === "read-write"
    ? []
    : problem(tool, `access is ${found(tool.access)}`, "Use \"read-only\" or \"read-write\".")),
  ...(tool.onFailure === "tell" || tool.onFailure === "raise"
    ? []
    : problem(tool, `onFailure is ${found(tool.onFailure)}`, "Use \"tell\" or \"raise\".")),
  ...(tool.onFailure === "raise" && tool.failure !== undefined
    ? problem(
      tool,
      "it has a failure schema, and raises every failure",
      "Say onFailure: \"tell\", or leave the schema out."
    )
    : [])
]

const ofSchemas = (tool: Tool.Any): Problems => {
  const wrong = (["success", "failure"] as const).filter((field) =>
    !Schema.isSchema(tool[field]) && !(field === "failure" && tool.failure === undefined)
  )
  return wrong.flatMap((field) =>
    problem(
      tool,
      `its ${field} is no Effect Schema`,
      "Use effect/Schema, or JsonSchema.tool of adapter/JsonSchema for a tool that comes with plain JSON Schemas."
    )
  )
}

/** What is wrong with one of several tools, its parameters apart. */
export const problemsOf = (tool: Tool.Any, index: number, tools: ReadonlyArray<Tool.Any>): Problems => [
  ...ofName(tool, index, tools),
  ...ofChoices(tool),
  ...ofRepairs(tool),
  ...ofTimeout(tool),
  ...ofSchemas(tool)
]
