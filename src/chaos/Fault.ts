/**
 * What can go wrong between a client and an LLM provider, as data: single faults, and plans that say which arrival of
 * which request meets which fault. A plan is a value that goes through JSON; the same seed gives the same storm at any
 * concurrency, because the fate of an arrival depends on the seed, the request and how often it was sent before, and on
 * nothing else.
 *
 * @example
 * import * as Fault from "effect-llm-resilience/chaos/Fault"
 *
 * const plan = Fault.storm({
 *   seed: 42,
 *   toolCalls: { probability: 0.18 },
 *   rateLimited: { probability: 0.08, hints: ["retry-after-ms", "prose"], wait: "200 millis" },
 *   serverErrors: { probability: 0.05 },
 *   hangs: 0.03,
 *   cuts: 0.02
 * })
 * const key = Fault.requestKey("What is the weather in Oslo?")
 * console.log(Fault.fate(plan, key, 1)) // an Option<Fault>, the same on every run
 * console.log(Fault.leastCalls(plan, [key]).total) // no client that repairs nothing needs fewer calls
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import { InvalidOptions } from "../error/InvalidOptions.ts"
import { draw, hex, uniform } from "../internal/seeded.ts"
import * as BackgroundFault from "./BackgroundFault.ts"
import { issuesOf } from "./fault/issues.ts"
import { validArguments } from "./shared/arguments.ts"
import { damage as spoil, type Meant } from "./shared/damage.ts"
import * as Damage from "./shared/damageClasses.ts"
import type { JsonObject } from "./shared/json.ts"
import * as Data from "./shared/plan.ts"
import * as StreamFault from "./StreamFault.ts"

/**
 * The ways a model writes a tool call wrongly, by family. A strict reader answers `malformed` with
 * `MalformedArguments`, `truncated` with `TruncatedArguments`, `hazardous` with `HazardousArguments`, `hallucinated`
 * with `InvalidArguments` and `misnamed` with `UnknownTool`. A tool with the default repairs takes some of the
 * `malformed` ones all the same (fences, commas, comments, …), with the value that was meant.
 *
 * @since 0.1.0
 * @category models
 */
export const damageFamilies = Damage.families

/**
 * Every damage class, of all families.
 *
 * @since 0.1.0
 * @category models
 */
export const damageClasses = Damage.damageClasses

/**
 * The name of one way to write a tool call wrongly.
 *
 * @since 0.1.0
 * @category models
 */
export type DamageClass = Damage.DamageClass

/**
 * Where a 429 says how long to wait: in the header `retry-after` as whole seconds, in `retry-after-ms`, in
 * `retry-after` as an HTTP date, in `x-ratelimit-reset-requests` as a Go duration, only in the text ("Please try again
 * in 250ms."), or nowhere.
 *
 * @since 0.1.0
 * @category models
 */
export const hintForms = Data.hintForms

/**
 * The numbers used where a plan is silent.
 *
 * @since 0.1.0
 * @category defaults
 */
export const defaults = {
  wait: "1 second",
  serverStatuses: Data.serverStatuses,
  hints: Data.hintForms,
  classes: Damage.damageClasses
} as const

/**
 * One thing that goes wrong with one arrival of a request.
 *
 * @since 0.1.0
 * @category models
 */
export type Fault = typeof Data.Fault.Type

/**
 * The schema of a `Fault`.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Fault: Schema.Schema<Fault> = Data.Fault

/**
 * A 429 that passes. `hint` says where the wait is told (default "retry-after"), `wait` how long it is (default 1
 * second; forms with whole seconds round it up).
 *
 * @since 0.1.0
 * @category constructors
 */
export const rateLimited = (options: {
  readonly hint?: (typeof hintForms)[number] | undefined
  readonly wait?: Duration.DurationInput | undefined
} = {}): Fault => ({
  _tag: "RateLimited",
  hint: options.hint ?? "retry-after",
  wait: Data.durationText(options.wait ?? defaults.wait)
})

/**
 * A 429 that does not pass: the account has no credit left.
 *
 * @since 0.1.0
 * @category constructors
 */
export const insufficientQuota: Fault = { _tag: "InsufficientQuota" }

/**
 * A 500, 502, 503 or 529 with the provider's error envelope. Default 500.
 *
 * @since 0.1.0
 * @category constructors
 */
export const serverError = (status: (typeof Data.serverStatuses)[number] = 500): Fault => ({
  _tag: "ServerError",
  status
})

/**
 * The request is taken and never answered.
 *
 * @since 0.1.0
 * @category constructors
 */
export const hang: Fault = { _tag: "Hang" }

/**
 * A right reply that comes late.
 *
 * @since 0.1.0
 * @category constructors
 */
export const slowReply = (duration: Duration.DurationInput): Fault => ({
  _tag: "SlowReply",
  duration: Data.durationText(duration)
})

/**
 * The connection is reset before the first byte of the reply.
 *
 * @since 0.1.0
 * @category constructors
 */
export const resetBeforeBody: Fault = { _tag: "ResetBeforeBody" }

/**
 * The connection is reset after the headers and half of the body of a 200, or of a stream.
 *
 * @since 0.1.0
 * @category constructors
 */
export const resetDuringBody: Fault = { _tag: "ResetDuringBody" }

/**
 * A gateway's HTML page in place of the reply. Default 502; 200 is what captive portals send.
 *
 * @since 0.1.0
 * @category constructors
 */
export const htmlErrorPage = (status: 200 | 502 | 503 = 502): Fault => ({ _tag: "HtmlErrorPage", status })

/**
 * A 200 that claims JSON and is not.
 *
 * @since 0.1.0
 * @category constructors
 */
export const nonJsonBody: Fault = { _tag: "NonJsonBody" }

/**
 * A well-formed 200 without any choice; a stream without any content.
 *
 * @since 0.1.0
 * @category constructors
 */
export const emptyChoices: Fault = { _tag: "EmptyChoices" }

/**
 * The model ran into its token limit inside the call: `finish_reason` is `length`, the arguments are cut anywhere, or
 * even whole. For a reply in text, the text is cut.
 *
 * @since 0.1.0
 * @category constructors
 */
export const finishLength: Fault = { _tag: "FinishLength" }

/**
 * A tool call written wrongly in the named way.
 *
 * @since 0.1.0
 * @category constructors
 */
export const damagedToolCall = (damageClass: DamageClass): Fault => ({ _tag: "DamagedToolCall", class: damageClass })

/**
 * Whether the arrival is lost for the client. It is not where a patient client gets the right answer: under a
 * `SlowReply`, and in a stream under `SlowTokens`, `ByteChunks`, `DuplicatedStart` and a stall that ends; nor under a
 * `BackgroundFault`, which all but background responses are spared.
 *
 * @since 0.1.0
 * @category guards
 */
export const harms = (fault: Fault): boolean => {
  switch (fault._tag) {
    case "SlowReply":
    case "SlowTokens":
    case "ByteChunks":
    case "DuplicatedStart":
    case "RepeatedEvents":
    case "TooOldToStream":
    case "ForgottenReply":
    case "NoRetention":
      return false
    case "StallBeforeFirstToken":
    case "StallMidStream":
      return fault.duration === undefined
    default:
      return true
  }
}

/**
 * Faults by chance. Every share is the part of all arrivals, 0 to 1, that meets the fault; together at most 1. Absent
 * shares are 0. `toolCalls.classes` narrows the damage (default: every class), `rateLimited.hints` the hint forms
 * (default: every form) and `wait` the time they tell (default 1 second). `cuts` resets connections, one half before and
 * one half inside the body. `streams` holds the shares of the faults that only streams have: a stall without a duration
 * lasts for ever, cuts are clean or resets, errors first or late and of any kind unless narrowed. `background` holds those
 * of the faults that only background responses have, `batches` the chances of the faults that only jobs of the batch services
 * have, each for itself (see `BatchFault`).
 *
 * @since 0.1.0
 * @category models
 */
export type Storm = typeof Data.Storm.Type

/**
 * Faults by an exact list; null is an arrival that goes well, and so is everything after the list's end. `byRequest`
 * lists the arrivals of one request by its key; `everyRequest` is the list that each other request meets on its own
 * arrivals; `inOrder` lists the server's arrivals, whichever request they belong to, and is meant for one client that
 * sends one request at a time. The first of `byRequest`, `inOrder`, `everyRequest` that is there decides. `jobs` lists the
 * faults of the first job of a batch service, of the second, and so on (see `BatchFault`).
 *
 * @since 0.1.0
 * @category models
 */
export type Script = typeof Data.Script.Type

/**
 * A storm or a script.
 *
 * @since 0.1.0
 * @category models
 */
export type Plan = Storm | Script

/**
 * The schema of a `Plan`. `decode` gives better messages for a file that a person wrote.
 *
 * @since 0.1.0
 * @category schemas
 */
export const Plan: Schema.Schema<Plan> = Schema.Union(Data.Script, Data.Storm)

const parseOptions = { errors: "all", onExcessProperty: "error" } as const
const decodeStorm = Schema.decodeUnknownEither(Data.Storm, parseOptions)
const decodeScript = Schema.decodeUnknownEither(Data.Script, parseOptions)

/**
 * Reads a plan from parsed JSON. `InvalidOptions` lists every wrong field, unknown ones included, with what was found and
 * what is allowed.
 *
 * @since 0.1.0
 * @category constructors
 */
export const decode = (input: unknown): Either.Either<Plan, InvalidOptions> => {
  const isScript = typeof input === "object" && input !== null && Object.hasOwn(input, "script")
  const refuse = (error: ParseResult.ParseError) =>
    new InvalidOptions({ module: "Fault", issues: issuesOf(input, ParseResult.ArrayFormatter.formatErrorSync(error)) })
  return isScript ? Either.mapLeft(decodeScript(input), refuse) : Either.mapLeft(decodeStorm(input), refuse)
}

/**
 * The plan as plain JSON data; `decode` gives it back unchanged.
 *
 * @since 0.1.0
 * @category interpreters
 */
export const encode = (plan: Plan): unknown => Schema.encodeSync(Plan)(plan)

/**
 * A storm as a value. It is not checked here: whoever runs it does, with `decode`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const storm = (options: Storm): Plan => options

/**
 * A script as a value; see `Script` for its three forms.
 *
 * @since 0.1.0
 * @category constructors
 */
export const script = (lists: Script["script"], seed: number | string = 0): Plan => ({ script: lists, seed })

/**
 * The plan under which nothing goes wrong.
 *
 * @since 0.1.0
 * @category constructors
 */
export const calm: Plan = { seed: 0 }

/**
 * The name of a request: a hash of the text of its first user message, so that a retry, and a re-ask that appends
 * messages, are further arrivals of the same request.
 *
 * @since 0.1.0
 * @category constructors
 */
export const requestKey = (firstUserText: string): string => hex(firstUserText)

/** In the plan's own words, so that a plan reads back as it was written. */
const stalled = (tag: "StallBeforeFirstToken" | "StallMidStream", duration: string | undefined): Fault =>
  duration === undefined ? { _tag: tag } : { _tag: tag, duration }

const detail = (plan: Storm, tag: Fault["_tag"], key: string, arrival: number): Fault => {
  const random = draw(plan.seed, "detail", key, arrival)
  switch (tag) {
    case "DamagedToolCall":
      return damagedToolCall(random.pick(plan.toolCalls?.classes ?? defaults.classes))
    case "RateLimited":
      return {
        _tag: tag,
        hint: random.pick(plan.rateLimited?.hints ?? defaults.hints),
        wait: plan.rateLimited?.wait ?? defaults.wait
      }
    case "ServerError":
      return serverError(random.pick(plan.serverErrors?.statuses ?? defaults.serverStatuses))
    case "SlowReply":
      return { _tag: tag, duration: plan.slow?.duration ?? defaults.wait }
    case "HtmlErrorPage":
      return htmlErrorPage(random.pick([200, 502, 503]))
    case "StallBeforeFirstToken":
      return stalled(tag, plan.streams?.stallsBefore?.duration)
    case "StallMidStream":
      return stalled(tag, plan.streams?.stallsMid?.duration)
    case "CutStream":
      return StreamFault.cut(random.pick(Data.closes))
    case "StreamError":
      return StreamFault.error({
        when: random.pick(plan.streams?.errors?.when ?? Data.errorTimes),
        kind: random.pick(plan.streams?.errors?.kinds ?? Data.errorKinds)
      })
    case "RepeatedEvents":
      return BackgroundFault.repeatedEvents(random.pick(plan.background?.repeatedEvents?.events ?? Data.repeats))
    case "SlowTokens":
      return { _tag: tag, delay: plan.streams?.slowTokens?.delay ?? defaults.wait }
    default:
      return { _tag: tag }
  }
}

/**
 * What happens to the n-th arrival (1, 2, …) of a request: a pure function of the plan, the key and n. `order` is the
 * arrival's number over all requests of the server and matters to `inOrder` scripts only; by default it equals
 * `arrival`.
 *
 * @since 0.1.0
 * @category interpreters
 */
export const fate = (plan: Plan, key: string, arrival: number, order: number = arrival): Option.Option<Fault> => {
  if ("script" in plan) {
    const { byRequest, everyRequest, inOrder } = plan.script
    if (byRequest !== undefined && Object.hasOwn(byRequest, key)) {
      return Option.fromNullable(byRequest[key]?.[arrival - 1])
    }
    return Option.fromNullable(inOrder === undefined ? everyRequest?.[arrival - 1] : inOrder[order - 1])
  }
  let fate = uniform(plan.seed, "fate", key, arrival)
  for (const [share, tag] of Data.sharesOf(plan)) {
    if (fate < share) return Option.some(detail(plan, tag, key, arrival))
    fate -= share
  }
  return Option.none()
}

const isStreamFault = Schema.is(Data.StreamFault)

/** A request that met this many harmful fates in a row is taken to meet them for ever. */
const hopeless = 10_000

/**
 * The least number of provider calls that a client needs to get every request answered right: for each key the
 * arrivals up to and including the first one that is not harmed, `Infinity` where there is none. For an `inOrder` script
 * the requests are taken one after another. Requests that want a tool call are assumed: damage cannot harm plain text.
 * So is a client that takes a damaged call for lost: one that repairs some of the damage may need fewer calls.
 * `streams` says which requests ask for a stream (default: all): the others are spared what only a stream can meet.
 *
 * @since 0.1.0
 * @category interpreters
 */
export const leastCalls = (
  plan: Plan,
  keys: Iterable<string>,
  options: { readonly streams?: ((key: string) => boolean) | undefined } = {}
): { readonly total: number; readonly perKey: Readonly<Record<string, number>> } => {
  const isStream = options.streams ?? (() => true)
  let order = 0
  let total = 0
  const perKey: Array<readonly [string, number]> = []
  for (const key of new Set(keys)) {
    let arrival = 1
    order++
    const isLost = (fault: Fault): boolean => harms(fault) && (isStream(key) || !isStreamFault(fault))
    while (Option.exists(fate(plan, key, arrival, order), isLost) && arrival < hopeless) {
      arrival++
      order++
    }
    const calls = arrival === hopeless ? Infinity : arrival
    perKey.push([key, calls])
    total += calls
  }
  return { total, perKey: Object.fromEntries(perKey) }
}

/**
 * The arguments that the model means when it calls the tool for this request: valid under the tool's JSON Schema, and
 * the same at every arrival. None where the schema asks for something that cannot be made up, such as a rare pattern.
 *
 * @since 0.1.0
 * @category interpreters
 */
export const meantArguments = (
  seed: number | string,
  key: string,
  tool: { readonly name: string; readonly parameters: unknown }
): Option.Option<JsonObject> =>
  Option.fromNullable(validArguments(tool.parameters, draw(seed, "arguments", key, tool.name)))

/**
 * Spoils a right call in the named way. The outcome is proven to be refused by a strict reader. A class that finds
 * nothing to spoil (no number to round, no string to break) gives way to one of its family, then to prose before the
 * arguments; `applied` says which it became.
 *
 * @since 0.1.0
 * @category interpreters
 */
export const damage = (call: Meant, damageClass: DamageClass, seed: number | string): {
  readonly name: string
  readonly arguments: string
  readonly finishReason: "tool_calls" | "length"
  readonly applied: DamageClass
} => {
  const { applied, written } = spoil(call, damageClass, [], draw(seed, "damage", damageClass))
  return { ...written, applied }
}
