/** What the server's model says to a request, and what its fate makes of that. Data in, data out. */
import * as Option from "effect/Option"
import { draw, hex } from "../../internal/seeded.ts"
import type { BackgroundFault } from "../BackgroundFault.ts"
import { type DamageClass, damageClasses, damageFamilies, fate, type Fault, harms, type Plan } from "../Fault.ts"
import { validArguments } from "../shared/arguments.ts"
import { damage, writeRight, type Written } from "../shared/damage.ts"
import { type JsonObject, parse, same } from "../shared/json.ts"
import { isStreamFault, waitMillis } from "../shared/plan.ts"
import { charge, chargeBroken, count, type Ledger, meet, serveRight, spoil, tellToWait } from "./books.ts"
import { promptTokens } from "./modelRequest.ts"
import { notJson, type Outcome, page } from "./outcome.ts"
import type { Completion, Failure, ModelRequest, Protocol, Reply, Tool } from "./protocol.ts"
import { applies, isContent, type Mishap, score } from "./streamScore.ts"
import { hosts } from "./vendorHeaders.ts"

/** A tool call as the model means it. */
export interface MeantCall {
  readonly name: string
  readonly arguments: JsonObject
}

export const seedOf = (plan: Plan): number | string => plan.seed ?? 0

const called = (request: ModelRequest, key: string, seed: number | string, calls: number): ReadonlyArray<Tool> => {
  const { toolChoice, tools } = request
  if (toolChoice === "none") return []
  if (typeof toolChoice === "object") return tools.filter((tool) => tool.name === toolChoice.name)
  const [first, ...others] = tools
  if (first === undefined) return []
  const random = draw(seed, "tool", key)
  return Array.from({ length: request.parallel ? calls : 1 }, () => random.pick([first, ...others]))
}

/** The tool calls this request is worth: the same at every arrival. The name of the tool where none can be made up. */
export const meantCalls = (
  request: ModelRequest,
  key: string,
  seed: number | string,
  calls: number
): ReadonlyArray<MeantCall> | { readonly beyond: string } => {
  const meant: Array<MeantCall> = []
  for (const [index, tool] of called(request, key, seed, calls).entries()) {
    // The first call is the one that `Fault.meantArguments` foretells.
    const random = index === 0
      ? draw(seed, "arguments", key, tool.name)
      : draw(seed, "arguments", key, tool.name, index)
    const made = validArguments(tool.parameters, random)
    if (made === undefined) return { beyond: tool.name }
    meant.push({ name: tool.name, arguments: made })
  }
  return meant
}

/**
 * How a call was written: `slip` is not JSON or no object, so in a history it is as it was meant only if a client mended it.
 * What else is spoilt may look whole there, as a call that was cut at its very end does.
 */
type How = "right" | "slip" | "spoilt"

const callId = (seed: number | string, key: string, arrival: number, index: number, how: How): string =>
  hex(JSON.stringify([seed, key, arrival, index, how]))

/** The id without the prefix that the protocol puts before it. */
const bare = (id: string): string => id.slice(-16)

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
      call.name === meant[index]?.name && same(parse(call.arguments), meant[index].arguments) &&
      !spoilt.has(bare(call.id))
    )
  )
}

/** The beginning of a reply that the model is to go on with: its own last message, or the one before a demand to continue. */
const begunText = ({ messages }: ModelRequest): string => {
  const [before, last] = messages.slice(-2)
  const begun = last?.role === "user" && /\bcontinue\b/i.test(last.text) ? before : last
  return begun?.role === "assistant" ? begun.text : ""
}

/** What the model says where it calls no tool. It goes on with a beginning of what it says. */
const say = (request: ModelRequest, key: string, seed: number | string): string => {
  const whole = sayWhole(request, key, seed)
  if (request.output !== undefined) return whole
  const begun = begunText(request)
  return begun.length < whole.length && whole.startsWith(begun) ? whole.slice(begun.length) : whole
}

const sayWhole = (request: ModelRequest, key: string, seed: number | string): string => {
  if (request.output !== undefined) {
    return JSON.stringify(validArguments(request.output, draw(seed, "output", key)) ?? {})
  }
  const result = [...request.messages].reverse().find((message) => message.role === "tool")
  return result === undefined
    ? "Here is a short answer to your question, made up by a server that only pretends to think."
    : `According to the tool: ${result.text.slice(0, 200)}`
}

/** Whether a text can be made up that follows the schema which the request asks for. */
export const canSay = (request: ModelRequest, key: string, seed: number | string): boolean =>
  request.output === undefined || validArguments(request.output, draw(seed, "output", key)) !== undefined

/** One arrival of a request. */
export interface Arrival {
  readonly request: ModelRequest
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
  /** What the model says, where it was asked; whoever keeps replies keeps this. */
  readonly said: Completion | undefined
  /** Whether it is paid in full once it is sent; else it breaks, and what was sent of it is paid. */
  readonly isWhole: boolean
  /** How much later than usual, in milliseconds. */
  readonly late: number
  readonly before: (ledger: Ledger) => Ledger
  readonly sent: (ledger: Ledger) => Ledger
  /** Whether a client can use what is sent as it is. */
  readonly isRight: boolean
}

const unchanged = (ledger: Ledger): Ledger => ledger
const both = (...steps: ReadonlyArray<(ledger: Ledger) => Ledger>) => (ledger: Ledger): Ledger =>
  steps.reduce((kept, step) => step(kept), ledger)

const cutText = (text: string, share: number) => text.slice(0, Math.floor(text.length * share))

/**
 * What a reply costs of which so many pieces of content were sent; `isOver` where nothing kept it from being sent to the end
 * that it was to have. One that breaks costs nothing before its first piece.
 */
export const price =
  ({ isWhole, outcome, said }: Answer, contentSent: number, isOver: boolean) => (ledger: Ledger): Ledger => {
    if (said === undefined) return ledger
    const { completionTokens, promptTokens } = said
    if (isWhole && isOver) return charge(promptTokens, completionTokens)(ledger)
    // A reply in one piece is made before any of it is sent.
    if (outcome._tag !== "Streamed") return chargeBroken(promptTokens, completionTokens)(ledger)
    return contentSent === 0
      ? ledger
      : chargeBroken(promptTokens, Math.ceil(completionTokens * contentSent / outcome.content))(ledger)
  }

/** The faults that are one reply, whatever the model would have said. */
type Broken = Exclude<
  Fault,
  Mishap | { readonly _tag: "DamagedToolCall" | "FinishLength" | "SlowReply" } | BackgroundFault
>

export const broken = (protocol: Protocol, fault: Broken, right: Completion, now: number): Outcome => {
  const fail = (failure: Failure): Reply => protocol.failure(failure)
  const { id, model } = right
  switch (fault._tag) {
    case "RateLimited":
      return fail({ _tag: "RateLimited", model, hint: fault.hint, wait: waitMillis(fault.wait), now })
    case "InsufficientQuota":
      return fail({ _tag: "Quota", model })
    case "ServerError":
      return fail({ _tag: "ServerError", status: fault.status, id })
    case "Hang":
      return { _tag: "Hang" }
    case "ResetBeforeBody":
      return { _tag: "Reset", after: undefined }
    case "HtmlErrorPage":
      return page(fault.status, hosts[protocol.name])
    case "NonJsonBody":
      return notJson
  }
}

/** Damage that a careful reader may see through, so that it may run the call. */
const slips: ReadonlySet<string> = new Set([...damageFamilies.malformed, "stringified-object"])

const isSlip = (applied: DamageClass): boolean => slips.has(applied)

/** What is fixed for all arrivals. */
export interface Terms {
  readonly plan: Plan
  /** Milliseconds between the content frames of a stream. */
  readonly tokenDelay: number
}

export const answer = ({ plan, tokenDelay }: Terms, protocol: Protocol, at: Arrival): Answer => {
  const { arrival, key, meant, now, order, request } = at
  const seed = seedOf(plan)
  const random = draw(seed, "reply", key, arrival)
  const wantsCalls = meant.length > 0 && !isDone(at, seed)
  const id = hex(JSON.stringify([seed, key, arrival]))
  const tools = request.tools.map((tool) => tool.name)
  const right = wantsCalls ? meant.map((call) => writeRight({ ...call, parameters: undefined, tools })) : []

  const speak = (
    written: ReadonlyArray<Written>,
    text: string | undefined,
    cut: boolean,
    how: How
  ): Completion => {
    const length = written.reduce((sum, call) => sum + call.name.length + call.arguments.length, text?.length ?? 0)
    return {
      id,
      model: request.model,
      created: Math.floor(now / 1000),
      text,
      toolCalls: written.map((call, index) => ({
        id: callId(seed, key, arrival, index, how),
        name: call.name,
        arguments: call.arguments
      })),
      finishReason: cut || written.some((call) => call.finishReason === "length")
        ? "length"
        : written.length === 0
        ? "stop"
        : "tool-calls",
      forced: typeof request.toolChoice === "object",
      promptTokens: promptTokens(request),
      completionTokens: 8 * written.length + Math.ceil(length / 4)
    }
  }
  const framing = request.background === undefined ? request.framing : "numbered"
  const framesOf = (said: Completion) => protocol.stream(said, request)
  interface Delivery {
    readonly outcome: Outcome
    readonly said: Completion | undefined
  }
  const inOnePiece = (said: Completion, whole = protocol.reply): Reply =>
    request.background === undefined || protocol.keeping === undefined
      ? whole(said, request)
      : protocol.keeping.look(said, request, "queued")
  const streamed = (said: Completion, mishap: Mishap | undefined): Delivery => {
    const { frames, headers } = framesOf(said)
    const materials = {
      frames,
      delay: tokenDelay,
      errorFrame: ({ kind, when }: Extract<Fault, { readonly _tag: "StreamError" }>) =>
        protocol.errorFrame(kind, said, request, when),
      brokenFrame: () => protocol.brokenFrame(said, request)
    }
    const steps = score(materials, mishap, random.fork("stream"))
    return { outcome: { _tag: "Streamed", headers, steps, content: frames.filter(isContent).length }, said }
  }
  const deliver = (said: Completion): Delivery =>
    request.stream ? streamed(said, undefined) : { outcome: inOnePiece(said), said }
  const withoutReply = (outcome: Outcome): Delivery => ({ outcome, said: undefined })
  const whole = speak(right, wantsCalls ? undefined : say(request, key, seed), false, "right")
  const servedRight = serveRight(wantsCalls ? "toolCalls" : "texts")
  const made = (
    { outcome, said }: Delivery,
    sent = unchanged,
    before = unchanged,
    late = 0
  ): Answer => ({
    outcome,
    said,
    isWhole: true,
    late,
    before: outcome._tag === "Streamed" ? both(count("streams"), before) : before,
    sent,
    isRight: sent === servedRight
  })
  const wellServed = (late = 0): Answer => made(deliver(whole), servedRight, unchanged, late)
  const spared = (): Answer => made(deliver(whole), servedRight, count("spared"))
  const spoilt = (
    planned: Extract<Fault, { _tag: "DamagedToolCall" }>["class"] | "truncated",
    cut: boolean
  ): Answer => {
    const damagedIndex = random.between(0, meant.length - 1)
    const call = meant[damagedIndex]
    const tool = request.tools.find(({ name }) => name === call?.name)
    if (call === undefined || tool === undefined) return wellServed()
    const allowed = "script" in plan ? [planned] : plan.toolCalls?.classes ?? damageClasses
    const damaged = damage({ ...call, parameters: tool.parameters, tools }, planned, allowed, random.fork("damage"))
    // A model that runs out of tokens says nothing after the call it was writing.
    const written = right.slice(0, damaged.written.finishReason === "length" ? damagedIndex + 1 : right.length)
      .map((one, index) => index === damagedIndex ? damaged.written : one)
    const reply = speak(written, undefined, cut, isSlip(damaged.applied) ? "slip" : "spoilt")
    return made(deliver(reply), unchanged, cut ? unchanged : spoil(planned, damaged.applied))
  }

  const breaking = (answered: Answer): Answer => ({ ...answered, isWhole: false })

  return Option.match(fate(plan, key, arrival, order), {
    onNone: () => wellServed(),
    onSome: (fault): Answer => {
      const met = (answered: Answer): Answer => ({ ...answered, before: both(meet(fault._tag), answered.before) })
      switch (fault._tag) {
        case "DamagedToolCall":
          return wantsCalls ? met(spoilt(fault.class, false)) : spared()
        case "FinishLength": {
          if (wantsCalls) return met(spoilt("truncated", true))
          const reply = speak([], cutText(whole.text ?? "", 0.2 + 0.6 * random.fraction()), true, "spoilt")
          return met(made(deliver(reply)))
        }
        case "SlowReply":
          return met(wellServed(waitMillis(fault.duration)))
        case "EmptyChoices": {
          if (!request.stream) {
            return met(made({ outcome: inOnePiece(whole, protocol.empty), said: whole }))
          }
          // Some vendors repeat the whole reply in the event that ends it: it must hold nothing either.
          const silent = { ...whole, text: undefined, toolCalls: [], finishReason: "stop" } as const
          return met(made(streamed(silent, fault)))
        }
        case "ResetDuringBody":
          return met(breaking(made(
            request.stream
              ? streamed(whole, fault)
              : { outcome: { _tag: "Reset", after: inOnePiece(whole) }, said: whole }
          )))
        case "RateLimited":
          return met(made(
            withoutReply(broken(protocol, fault, whole, now)),
            fault.hint === "none" ? unchanged : tellToWait(key, now + waitMillis(fault.wait))
          ))
        case "NoRetention":
          return request.background === undefined || protocol.keeping === undefined
            ? spared()
            : met(made(withoutReply(protocol.keeping.failure({ _tag: "NoRetention" }))))
        case "TooOldToStream":
        case "ForgottenReply":
          return spared()
        default: {
          if (fault._tag !== "RepeatedEvents" && !isStreamFault(fault)) {
            return met(made(withoutReply(broken(protocol, fault, whole, now))))
          }
          if (!request.stream || !applies(fault, framesOf(whole).frames, framing)) return spared()
          const answered = made(streamed(whole, fault), harms(fault) ? unchanged : servedRight)
          // A stream with a chunk that cannot be read has come to its end all the same.
          return met(harms(fault) && fault._tag !== "MalformedChunk" ? breaking(answered) : answered)
        }
      }
    }
  })
}
