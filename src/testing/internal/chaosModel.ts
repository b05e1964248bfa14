/** What the server's model says to a request, and what its fate makes of that. Data in, data out. */
import * as Option from "effect/Option"
import { draw, hex } from "../../internal/seeded.ts"
import { damageClasses, fate, type Fault, type Plan } from "../Fault.ts"
import { validArguments } from "./arguments.ts"
import { charge, type Ledger, meet, serveRight, spoil, tellToWait } from "./books.ts"
import { damage, writeRight, type Written } from "./damage.ts"
import { type JsonObject, parse, same } from "./json.ts"
import { type ChatRequest, promptTokens, type Tool } from "./openAiChat.ts"
import { broken, type Completion, completion, type Outcome, waitMillis } from "./openAiReplies.ts"

/** A tool call as the model means it. */
export interface MeantCall {
  readonly name: string
  readonly arguments: JsonObject
}

export const seedOf = (plan: Plan): number | string => plan.seed ?? 0

const called = (request: ChatRequest, key: string, seed: number | string, calls: number): ReadonlyArray<Tool> => {
  const { toolChoice, tools } = request
  if (toolChoice === "none") return []
  if (typeof toolChoice === "object") return tools.filter((tool) => tool.name === toolChoice.name)
  const [first, ...others] = tools
  if (first === undefined) return []
  const chance = draw(seed, "tool", key)
  return Array.from({ length: request.parallel ? calls : 1 }, () => chance.pick([first, ...others]))
}

/** The tool calls this request is worth: the same at every arrival. The name of the tool where none can be made up. */
export const meantCalls = (
  request: ChatRequest,
  key: string,
  seed: number | string,
  calls: number
): ReadonlyArray<MeantCall> | { readonly beyond: string } => {
  const meant: Array<MeantCall> = []
  for (const [index, tool] of called(request, key, seed, calls).entries()) {
    // The first call is the one that `Fault.meantArguments` foretells.
    const chance = index === 0
      ? draw(seed, "arguments", key, tool.name)
      : draw(seed, "arguments", key, tool.name, index)
    const made = validArguments(tool.parameters, chance)
    if (made === undefined) return { beyond: tool.name }
    meant.push({ name: tool.name, arguments: made })
  }
  return meant
}

/** Tells calls apart that were written right and wrong, since one cut by its limit may look whole. */
const callId = (seed: number | string, key: string, arrival: number, index: number, how: "right" | "spoilt"): string =>
  `call_${hex(JSON.stringify([seed, key, arrival, index, how]))}`

/** Whether some turn of the conversation already made exactly the meant calls; they have results by the wire's rules. */
const isDone = ({ arrival, key, meant, request }: Arrival, seed: number | string): boolean => {
  if (request.toolChoice !== "auto" || meant.length === 0) return false
  const spoilt = new Set(
    Array.from(
      { length: arrival - 1 },
      (_, earlier) => meant.map((_, index) => callId(seed, key, earlier + 1, index, "spoilt"))
    ).flat()
  )
  return request.messages.some(({ toolCalls }) =>
    toolCalls.length === meant.length &&
    toolCalls.every((call, index) =>
      call.name === meant[index]?.name && same(parse(call.arguments), meant[index].arguments) && !spoilt.has(call.id)
    )
  )
}

const say = (request: ChatRequest): string => {
  const result = [...request.messages].reverse().find((message) => message.role === "tool")
  return result === undefined
    ? "Here is a short answer to your question, made up by a server that only pretends to think."
    : `According to the tool: ${result.text.slice(0, 200)}`
}

/** One arrival of a request. */
export interface Arrival {
  readonly request: ChatRequest
  readonly key: string
  readonly meant: ReadonlyArray<MeantCall>
  readonly arrival: number
  readonly order: number
  /** The time, in milliseconds since 1970. */
  readonly now: number
}

/** What to do with an exchange, and what to enter in the books before it and once it is sent. */
export interface Answer {
  readonly outcome: Outcome
  /** How much later than usual, in milliseconds. */
  readonly late: number
  readonly before: (ledger: Ledger) => Ledger
  readonly sent: (ledger: Ledger) => Ledger
}

const unchanged = (ledger: Ledger): Ledger => ledger
const both = (...steps: ReadonlyArray<(ledger: Ledger) => Ledger>) => (ledger: Ledger): Ledger =>
  steps.reduce((kept, step) => step(kept), ledger)

const cutText = (text: string, share: number) => text.slice(0, Math.floor(text.length * share))

export const answer = (plan: Plan, at: Arrival): Answer => {
  const { arrival, key, meant, now, order, request } = at
  const seed = seedOf(plan)
  const chance = draw(seed, "reply", key, arrival)
  const wantsCalls = meant.length > 0 && !isDone(at, seed)
  const id = hex(JSON.stringify([seed, key, arrival]))
  const tools = request.tools.map((tool) => tool.name)
  const right = wantsCalls ? meant.map((call) => writeRight({ ...call, parameters: undefined, tools })) : []

  const speak = (
    written: ReadonlyArray<Written>,
    text: string | undefined,
    cut: boolean,
    how: "right" | "spoilt"
  ): Completion => {
    const finished = written.length === 0 || typeof request.toolChoice === "object" ? "stop" : "tool_calls"
    const length = written.reduce((sum, call) => sum + call.name.length + call.arguments.length, text?.length ?? 0)
    return {
      id: `chatcmpl-${id}`,
      model: request.model,
      created: Math.floor(now / 1000),
      text,
      toolCalls: written.map((call, index) => ({
        id: callId(seed, key, arrival, index, how),
        name: call.name,
        arguments: call.arguments
      })),
      finishReason: cut || written.some((call) => call.finishReason === "length") ? "length" : finished,
      promptTokens: promptTokens(request),
      completionTokens: 8 * written.length + Math.ceil(length / 4)
    }
  }
  const whole = speak(right, wantsCalls ? undefined : say(request), false, "right")
  const paid = (said: Completion) => charge(said.promptTokens, said.completionTokens)
  const wellServed: Answer = {
    outcome: completion(whole),
    late: 0,
    before: unchanged,
    sent: both(paid(whole), serveRight(wantsCalls ? "toolCalls" : "texts"))
  }
  const spoilt = (
    planned: Extract<Fault, { _tag: "DamagedToolCall" }>["class"] | "truncated",
    cut: boolean
  ): Answer => {
    const place = chance.between(0, meant.length - 1)
    const call = meant[place]
    const tool = request.tools.find(({ name }) => name === call?.name)
    if (call === undefined || tool === undefined) return wellServed
    const allowed = "script" in plan ? [planned] : plan.toolCalls?.classes ?? damageClasses
    const made = damage({ ...call, parameters: tool.parameters, tools }, planned, allowed, chance.fork("damage"))
    // A model that runs out of tokens says nothing after the call it was writing.
    const written = right.slice(0, made.written.finishReason === "length" ? place + 1 : right.length)
      .map((one, index) => index === place ? made.written : one)
    const said = speak(written, undefined, cut, "spoilt")
    return {
      outcome: completion(said),
      late: 0,
      before: cut ? unchanged : spoil(planned, made.applied),
      sent: paid(said)
    }
  }

  return Option.match(fate(plan, key, arrival, order), {
    onNone: () => wellServed,
    onSome: (fault): Answer => {
      const met = (made: Answer): Answer => ({ ...made, before: both(meet(fault._tag), made.before) })
      switch (fault._tag) {
        case "DamagedToolCall":
          return wantsCalls
            ? met(spoilt(fault.class, false))
            : {
              ...wellServed,
              before: (ledger) => ({ ...ledger, totals: { ...ledger.totals, spared: ledger.totals.spared + 1 } })
            }
        case "FinishLength": {
          if (wantsCalls) return met(spoilt("truncated", true))
          const said = speak([], cutText(whole.text ?? "", 0.2 + 0.6 * chance.fraction()), true, "spoilt")
          return met({ outcome: completion(said), late: 0, before: unchanged, sent: paid(said) })
        }
        case "SlowReply":
          return met({ ...wellServed, late: waitMillis(fault.duration) })
        case "RateLimited":
          return met({
            outcome: broken(fault, whole, now),
            late: 0,
            before: fault.hint === "none" ? unchanged : tellToWait(key, now + waitMillis(fault.wait)),
            sent: unchanged
          })
        default: {
          const outcome = broken(fault, whole, now)
          return met({
            outcome,
            late: 0,
            before: unchanged,
            sent: fault._tag === "EmptyChoices" ? paid(whole) : unchanged
          })
        }
      }
    }
  })
}
