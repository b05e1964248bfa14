/**
 * A conversation as any API takes it, whoever wrote it: every call with its result right behind it, and names and ids in the
 * letters of the wire. So a plan may move to another vendor in the middle of a conversation, and one that was interrupted
 * can be gone on with. Pure; the same conversation is always written the same way.
 *
 * Example: Assistant `[c1, c2]`, Tool `[c1]`, User `"never mind"` becomes Assistant `[c1, c2]`, Tool `[c1, c2 (error)]`,
 * User `"never mind"`.
 */
import * as Prompt from "../../model/Prompt.ts"

/** What a wire takes as the id of a call. */
export interface IdRule {
  readonly isAllowed: (id: string) => boolean
  /** An id made from another one; `attempt` counts from 0 until it is a new one. */
  readonly make: (id: string, attempt: number) => string
}

/** Letters, digits, `_` and `-`, up to a length: what OpenAI (40 or 64) and Anthropic (64) take. */
export const plainIds = (longest: number): IdRule => ({
  isAllowed: (id) => id !== "" && id.length <= longest && /^[a-zA-Z0-9_-]+$/.test(id),
  make: (id, attempt) => {
    const suffix = attempt === 0 ? "" : `_${attempt + 1}`
    return `${id.replace(/[^a-zA-Z0-9_-]/g, "_").slice(0, longest - suffix.length) || "call"}${suffix}`
  }
})

const hashOf = (text: string, seed: number): number => {
  let hash = seed >>> 0
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193) >>> 0
  return hash
}

/** Mistral's: nine letters and digits, made from a hash (FNV-1a) of the id. */
export const nineLetters: IdRule = {
  isAllowed: (id) => /^[a-zA-Z0-9]{9}$/.test(id),
  make: (id, attempt) =>
    (hashOf(id, 0x811c9dc5 + attempt).toString(36) + hashOf(id, 0x1000193 * (attempt + 7)).toString(36) + "000000000")
      .slice(0, 9)
}

/** Ids go as they are, but each is used once. */
export const anyIds: IdRule = {
  isAllowed: (id) => id !== "",
  make: (id, attempt) => attempt === 0 && id !== "" ? id : `${id === "" ? "call" : id}_${attempt + 1}`
}

/** How one wire writes a conversation. */
export interface Wire {
  readonly ids: IdRule
  /** The name of a tool on this wire. */
  readonly toolName: (name: string) => string
  /** The arguments of a call of that tool, by its own name. */
  readonly toolArguments: (name: string, json: string) => string
}

const unanswered = "There is no result: the call was interrupted, and nobody knows whether it had its effect. " +
  "Make it again if it is still needed."

/** A call that is waiting for its result, with its id on the wire. */
interface Waiting {
  readonly givenId: string
  readonly id: string
  readonly name: string
}

/** The ids of one conversation, each used for one call. */
class Ids {
  private readonly used = new Set<string>()
  /** How often each id was made anew. Ids that are made alike (`a?`, `a!`) share a count, so none is tried twice. */
  private readonly attempts = new Map<string, number>()
  private readonly rule: IdRule
  constructor(rule: IdRule, given: Iterable<string>) {
    this.rule = rule
    // An id that can go as it is keeps it, so none is made that comes later.
    for (const id of given) if (rule.isAllowed(id)) this.reserved.add(id)
  }
  private readonly reserved = new Set<string>()

  take(given: string): string {
    if (this.rule.isAllowed(given) && !this.used.has(given)) {
      this.used.add(given)
      return given
    }
    const first = this.rule.make(given, 0)
    let attempt = this.attempts.get(first) ?? (this.used.has(given) ? 1 : 0)
    let id = this.rule.make(given, attempt)
    while (this.used.has(id) || this.reserved.has(id) || !this.rule.isAllowed(id)) {
      attempt++
      id = this.rule.make(given, attempt)
    }
    this.attempts.set(first, attempt + 1)
    this.used.add(id)
    return id
  }
}

const callIds = (messages: ReadonlyArray<Prompt.Message>): ReadonlyArray<string> =>
  messages.flatMap((message) =>
    message._tag === "Assistant" ? message.content.flatMap((part) => part._tag === "ToolCall" ? [part.id] : []) : []
  )

/** The calls of a message as the wire takes them, and what waits for a result. */
const writeCalls = (
  message: Prompt.AssistantMessage,
  wire: Wire,
  ids: Ids
): { readonly message: Prompt.AssistantMessage; readonly waiting: ReadonlyArray<Waiting> } => {
  const waiting: Array<Waiting> = []
  const content = message.content.map((part): Prompt.AssistantPart => {
    if (part._tag !== "ToolCall") return part
    const id = ids.take(part.id)
    const name = wire.toolName(part.name)
    waiting.push({ givenId: part.id, id, name })
    return { ...part, id, name, arguments: wire.toolArguments(part.name, part.arguments) }
  })
  return { message: waiting.length === 0 ? message : { ...message, content }, waiting }
}

/** The results of a round in the order they came, and an error for each call that has none. */
const writeResults = (
  waiting: ReadonlyArray<Waiting>,
  results: ReadonlyArray<Prompt.ToolResultPart>
): {
  readonly answers: ReadonlyArray<Prompt.ToolResultPart>
  readonly strays: ReadonlyArray<Prompt.ToolResultPart>
} => {
  // Calls of one id are answered in their order.
  const open = new Map<string, Array<Waiting>>()
  for (const call of [...waiting].reverse()) {
    const same = open.get(call.givenId)
    if (same === undefined) open.set(call.givenId, [call])
    else same.push(call)
  }
  const answered = new Set<Waiting>()
  const answers: Array<Prompt.ToolResultPart> = []
  const strays: Array<Prompt.ToolResultPart> = []
  for (const result of results) {
    const call = open.get(result.id)?.pop()
    if (call === undefined) strays.push(result)
    else {
      answered.add(call)
      answers.push({ ...result, id: call.id, name: call.name })
    }
  }
  for (const call of waiting) {
    if (answered.has(call)) continue
    answers.push({ _tag: "ToolResult", id: call.id, name: call.name, content: unanswered, isError: true })
  }
  return { answers, strays }
}

/** The result of a call that is not there, as something that was said: no API takes it for more. */
const asText = (stray: Prompt.ToolResultPart): Prompt.UserMessage =>
  Prompt.user(`The result of the tool ${JSON.stringify(stray.name)}: ${stray.content}`)

/** The conversation as the wire takes it. One without calls and results is given back as it is. */
export const portable = (prompt: Prompt.Prompt, wire: Wire): Prompt.Prompt => {
  const { messages } = prompt
  const given = callIds(messages)
  if (given.length === 0 && !messages.some(({ _tag }) => _tag === "Tool")) return prompt
  const ids = new Ids(wire.ids, given)
  const written: Array<Prompt.Message> = []
  let round: {
    readonly waiting: ReadonlyArray<Waiting>
    readonly results: Array<Prompt.ToolResultPart>
    readonly behind: Array<Prompt.Message>
  } | undefined
  const close = (): void => {
    if (round === undefined) return
    const { answers, strays } = writeResults(round.waiting, round.results)
    if (answers.length > 0) written.push({ _tag: "Tool", content: answers })
    written.push(...strays.map(asText), ...round.behind)
    round = undefined
  }
  for (const message of messages) {
    if (message._tag === "Assistant") {
      close()
      const { message: own, waiting } = writeCalls(message, wire, ids)
      written.push(own)
      if (waiting.length > 0) round = { waiting, results: [], behind: [] }
    } else if (message._tag === "Tool") {
      if (round === undefined) written.push(...message.content.map(asText))
      else round.results.push(...message.content)
    } else if (round === undefined) {
      written.push(message)
    } else {
      // What was said while a tool ran comes behind its result.
      round.behind.push(message)
    }
  }
  close()
  return { messages: written }
}
