/**
 * Finds the call of a tool that a model wrote as text, in the markup that its training or its chat template uses. Only a
 * text that names one of the tools counts, so that prose about tools is prose. One pass over the text; what follows a mark
 * is looked at over a bounded length.
 */
import * as Either from "effect/Either"
import { isRecord } from "../../internal/record.ts"
import * as StrictJson from "../../internal/strictJson.ts"

export interface WrittenCall {
  readonly tool: string
  readonly syntax: string
}

/**
 * Marks that open a call, as chat templates write them: Hermes and Qwen `<tool_call>`, Mistral `[TOOL_CALLS]`, Llama
 * `<|python_tag|>`, DeepSeek `<｜tool▁calls▁begin｜>`, Anthropic `<invoke name=`, Kimi and Harmony `functions.name`, Gemma
 * "tool_code", LM Studio `[TOOL_REQUEST]`.
 */
const mark =
  /<\|?(?:[a-z]{1,16}:)?(?:tool_?calls?|tool_use|tool_code|function_?calls?|invoke|function)\b|<[|｜]tool[▁_]calls?|\[TOOL_(?:CALLS?|REQUEST)\]|<\|python_tag\|>|```(?:tool_code|tool_call)|to=functions\.|(?:^|[\s>[(])functions\.|^[ \t]*Action:/gim

/** How far behind a mark the name of the tool may stand. */
const reach = 200

/** A mark in prose stands in backticks. */
const isQuoted = (text: string, at: number): boolean => text[at - 1] === "`" && text[at] !== "`"

/** The first tool whose whole name stands in the text behind a mark. */
const nameIn = (text: string, tools: ReadonlySet<string>): string | undefined =>
  text.match(/[\w-]+(?:\.[\w-]+)*/g)?.flatMap((word) => [word, ...word.split(".")]).find((word) => tools.has(word))

const behindMark = (text: string, tools: ReadonlySet<string>): WrittenCall | undefined => {
  for (const { 0: found, index } of text.matchAll(mark)) {
    if (isQuoted(text, index)) continue
    const behind = text.slice(index + found.length, index + found.length + reach)
    const tool = nameIn(behind, tools)
    const syntax = found.trim()
    if (tool === undefined) continue
    // ReAct: prose has actions, too, but no input to them.
    if (syntax.toLowerCase() === "action:" && !/\n[ \t]*Action Input:/i.test(behind)) continue
    // Namespaces of a programming language: only what is called counts.
    if (syntax.endsWith("functions.") && !/^[\w.-]+\s*(?:[({:<]|$)/.test(behind)) continue
    return { tool, syntax }
  }
  return undefined
}

const nameFields = ["name", "tool", "tool_name", "function", "function_name", "action"] as const
const argumentFields = ["arguments", "parameters", "args", "input", "tool_input", "action_input", "kwargs"] as const

/** The tool that a JSON value calls: `{ name, arguments }` by any of its names, alone, in a list or in an envelope. */
const calledBy = (value: unknown, tools: ReadonlySet<string>, depth = 0): string | undefined => {
  if (depth > 3) return undefined
  if (Array.isArray(value)) return value.length === 0 ? undefined : calledBy(value[0], tools, depth + 1)
  if (!isRecord(value)) return undefined
  const name = nameFields.map((field) => value[field]).find((each) => typeof each === "string" && tools.has(each))
  if (typeof name === "string" && argumentFields.some((field) => Object.hasOwn(value, field))) return name
  return calledBy(value["tool_calls"], tools, depth + 1) ?? calledBy(value["tool_call"], tools, depth + 1) ??
    calledBy(value["function_call"], tools, depth + 1) ?? calledBy(value["function"], tools, depth + 1)
}

/** The text, or the fence at its end. */
const lastDocument = (text: string): string => {
  const whole = text.trim()
  if (!whole.endsWith("```")) return whole
  const inside = whole.slice(0, -3)
  const open = inside.lastIndexOf("```")
  return open === -1 ? "" : inside.slice(open + 3).replace(/^[a-zA-Z_]{0,20}\s/, "").trim()
}

const asJson = (text: string, tools: ReadonlySet<string>): WrittenCall | undefined => {
  const document = lastDocument(text)
  if (!/^[{[]/.test(document)) return undefined
  const read = StrictJson.parse(document)
  const tool = Either.isRight(read) ? calledBy(read.right.value, tools) : undefined
  return tool === undefined ? undefined : { tool, syntax: "{\"name\", \"arguments\"}" }
}

/** `search(q="a")` or `[search(q="a")]` as the whole text; behind prose it may be an example. */
const asFunction = (text: string, tools: ReadonlySet<string>): WrittenCall | undefined => {
  const whole = text.trimStart().startsWith("```") ? lastDocument(text) : text.trim()
  const name = /^\[?\s{0,8}([\w-]{1,128})\(/.exec(whole)?.[1]
  return name !== undefined && tools.has(name) && /\)\s{0,8}\]?$/.test(whole.slice(-16))
    ? { tool: name, syntax: `${name}(…)` }
    : undefined
}

/** The call that a text is, or nothing. */
export const find = (text: string, names: ReadonlyArray<string>): WrittenCall | undefined => {
  if (names.length === 0 || text.trim() === "") return undefined
  const tools = new Set(names)
  return behindMark(text, tools) ?? asJson(text, tools) ?? asFunction(text, tools)
}
