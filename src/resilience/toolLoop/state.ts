/** How far a tool loop has got, as data, and the pure steps that move it on. */
import * as Arr from "effect/Array"
import * as Option from "effect/Option"
import { SpendLimitExceeded } from "../../error/PolicyError.ts"
import { readJson } from "../../internal/readJson.ts"
import { hex } from "../../internal/seeded.ts"
import { derivedKey } from "../../internal/seeded.ts"
import * as Prompt from "../../model/Prompt.ts"
import * as Response from "../../model/Response.ts"
import type * as Toolkit from "../../model/Toolkit.ts"
import * as Usage from "../../model/Usage.ts"
import { isPause } from "../shared/pausedTurn.ts"

/** Everything that a loop needs to go on where it stopped. */
export interface State {
  readonly key: string
  readonly prompt: Prompt.Prompt
  readonly steps: number
  readonly toolCalls: number
  readonly reasks: number
  readonly usage: Usage.Usage
  readonly cost: number
  readonly isPaused?: boolean | undefined
}

export const start = (key: string, prompt: Prompt.Prompt): State => ({
  key,
  prompt,
  steps: 0,
  toolCalls: 0,
  reasks: 0,
  usage: Usage.zero,
  cost: 0
})

export interface Limits {
  readonly steps: number
  readonly toolCalls: number
  readonly tokens: number
  readonly cost: number
}

const over = (unit: "tokens" | "calls" | "steps" | "cost", limit: number, spent: number): SpendLimitExceeded =>
  new SpendLimitExceeded({ unit, limit, spent })

/** Whether another question may be asked. */
export const beforeAsking = (state: State, limits: Limits): SpendLimitExceeded | undefined =>
  state.steps >= limits.steps
    ? over("steps", limits.steps, state.steps)
    : state.usage.totalTokens >= limits.tokens
    ? over("tokens", limits.tokens, state.usage.totalTokens)
    : state.cost >= limits.cost
    ? over("cost", limits.cost, state.cost)
    : undefined

/** Whether so many calls may be run. */
export const beforeRunning = (state: State, limits: Limits, calls: number): SpendLimitExceeded | undefined =>
  state.toolCalls + calls > limits.toolCalls ? over("calls", limits.toolCalls, state.toolCalls) : undefined

const paid = (state: State, usage: Usage.Usage, cost: number): State => ({
  ...state,
  usage: Usage.add(state.usage, usage),
  cost: state.cost + cost
})

/** A reply whose calls are good. */
export const accept = (
  { isPaused: _before, ...state }: State,
  response: Response.Response,
  cost: number
): State => ({
  ...paid(state, response.usage, cost),
  ...(isPause(response) ? { isPaused: true } : {}),
  steps: state.steps + 1,
  prompt: Prompt.append(state.prompt, Response.toMessage(response))
})

/** A reply that may not be run: paid for, and answered with what is wrong. */
export const refuse = (
  state: State,
  refused: { readonly usage: Usage.Usage; readonly messages: ReadonlyArray<Prompt.Message> },
  cost: number
): State => reask(paid(state, refused.usage, cost), refused.messages)

/** The model is told what was wrong. */
export const reask = (state: State, messages: ReadonlyArray<Prompt.Message>): State => ({
  ...state,
  reasks: state.reasks + 1,
  prompt: Prompt.append(state.prompt, ...messages)
})

/** The last thing the model said, and where it stands; later messages are the results of its calls. */
const lastTurn = (prompt: Prompt.Prompt) => {
  const index = Option.getOrElse(Arr.findLastIndex(prompt.messages, (message) => message._tag !== "Tool"), () => -1)
  const message = prompt.messages[index]
  return message?._tag === "Assistant"
    ? {
      place: index,
      calls: message.content.flatMap((part) => part._tag === "ToolCall" ? [part] : []),
      results: prompt.messages.slice(index + 1).flatMap((message) => message._tag === "Tool" ? message.content : [])
    }
    : undefined
}

/** Calls that nothing has answered yet: what a loop that was stopped has still to run. */
export const unanswered = (prompt: Prompt.Prompt): ReadonlyArray<Prompt.ToolCallPart> => {
  const turn = lastTurn(prompt)
  if (turn === undefined) return []
  const answered = new Set(turn.results.map(({ id }) => id))
  return turn.calls.filter(({ id }) => !answered.has(id))
}

/** Calls of the model's last turn, answered ones included. */
export const lastCalls = (prompt: Prompt.Prompt): ReadonlyArray<Prompt.ToolCallPart> => lastTurn(prompt)?.calls ?? []

/** What the model said last, where that is an answer without calls and no pause: a run that has come there is done. */
export const finalAnswer = ({ isPaused, prompt, steps }: State): Prompt.AssistantMessage | undefined => {
  const message = steps === 0 || isPaused === true ? undefined : prompt.messages.at(-1)
  return message?._tag === "Assistant" && message.content.every((part) => part._tag !== "ToolCall")
    ? message
    : undefined
}

const parts = (message: Prompt.Message | undefined) => message?._tag === "Tool" ? message.content : []

/** One call has its answer. Answers stand in the order of the calls, whichever came first. */
export const answer = (state: State, result: Pick<Toolkit.Result, "id" | "name" | "content" | "isError">): State => {
  const turn = lastTurn(state.prompt)
  if (turn === undefined) return state
  const results = [...turn.results, ...parts(Prompt.toolResult(result))]
  const order = new Map(turn.calls.map(({ id }, index) => [id, index]))
  const orderOf = (id: string): number => order.get(id) ?? -1
  const inOrder = [...results].sort((left, right) => orderOf(left.id) - orderOf(right.id))
  return {
    ...state,
    toolCalls: state.toolCalls + 1,
    prompt: { messages: [...state.prompt.messages.slice(0, turn.place + 1), ...inOrder.map(Prompt.toolResult)] }
  }
}

/** The same text for equal values, whatever the order of their keys. */
export const canonical = (value: unknown): string =>
  JSON.stringify(value, (_, part: unknown) =>
    typeof part === "bigint"
      ? String(part)
      : typeof part === "object" && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([left], [right]) => left < right ? -1 : 1))
      : part) ?? "undefined"

/** Arguments as the model wrote them, spelling aside: what was decoded from them may hide what is in it. */
export const written = (raw: string): string => {
  try {
    return canonical(readJson(raw))
  } catch {
    return raw
  }
}

/** Of values that hold themselves there is only what the model wrote. */
const essence = (call: Toolkit.Call): string => {
  try {
    return canonical([call.name, call.arguments])
  } catch {
    return JSON.stringify([call.name, call.raw])
  }
}

/**
 * One key for each call of a reply: the same when the reply is refused and the model sends the call anew under another
 * id, and when a stopped loop goes on; another for the same call in a later step.
 */
export const callKeys = (state: State, calls: ReadonlyArray<Toolkit.Call>): ReadonlyArray<string> => {
  const names = calls.map((call) => `${call.name}-${hex(essence(call))}`)
  return names.map((name, index) => {
    const before = names.slice(0, index).filter((other) => other === name).length
    return derivedKey(state.key, `step-${state.steps}-${hex(name)}${before === 0 ? "" : `-${before + 1}`}`)
  })
}

/**
 * The key of a request to the model: its own for each step and each re-ask. Made of the state alone, so that a run that
 * goes on never sends another conversation under a key that was used.
 */
export const requestKey = ({ key, reasks, steps }: State): string =>
  steps === 0 && reasks === 0
    ? key
    : derivedKey(key, `${steps === 0 ? "" : `step-${steps + 1}-`}${reasks === 0 ? "ask" : `reask-${reasks}`}`)
