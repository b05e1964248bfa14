/** `doctor`: whether a provider can be reached, and what it can. */
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import * as Clock from "effect/Clock"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type * as LanguageModel from "../model/LanguageModel.ts"
import type { Response } from "../model/Response.ts"
import * as StreamPart from "../model/StreamPart.ts"
import * as Tool from "../model/Tool.ts"
import * as ToolCall from "../model/ToolCall.ts"
import * as Toolkit from "../model/Toolkit.ts"
import * as Event from "../telemetry/Event.ts"
import { Exit, exits } from "./shared/exits.ts"
import * as Help from "./shared/help.ts"
import * as Provider from "./shared/provider.ts"
import { untilStopped } from "./shared/signals.ts"
import { table } from "./shared/table.ts"

const options = {
  provider: Provider.provider,
  model: Provider.model,
  json: Options.boolean("json").pipe(Options.withDescription("As JSON."))
}

interface Finding {
  readonly check: string
  readonly isGood: boolean
  readonly saw: string
  readonly millis: number
}

const question: LanguageModel.Request = { prompt: "Answer with the single word: yes", maxOutputTokens: 200 }

/** What is seen of the provider, or the error in its place, within a minute. */
const look = <A, E>(ask: Effect.Effect<A, E>) =>
  Effect.gen(function*() {
    const start = yield* Clock.currentTimeMillis
    const seen = yield* Effect.either(Effect.timeout(ask, "1 minute"))
    return { seen, millis: (yield* Clock.currentTimeMillis) - start }
  })

const told = (error: unknown): string => `${Event.errorTag(error)}: ${Event.errorText(error)}`

/** A check by a call of its own, which costs a few tokens. */
const checked = <E>(check: string, ask: Effect.Effect<string, E>): Effect.Effect<Finding> =>
  Effect.map(look(ask), ({ millis, seen }) =>
    Either.match(seen, {
      onLeft: (error) => ({ check, isGood: false, saw: told(error), millis }),
      onRight: (saw) => ({ check, isGood: true, saw, millis })
    }))

/** What has to be so before a model answers, in the order in which it shows. */
const steps = ["reachable", "key", "model", "answers"] as const

/** The step at which a call ends with the error. */
const stepOf = (tag: string): (typeof steps)[number] => {
  switch (tag) {
    case "ConnectionFailed":
    case "TimedOut":
    case "TimeoutException":
      return "reachable"
    case "Authentication":
    case "PermissionDenied":
      return "key"
    case "ModelNotFound":
      return "model"
    default:
      return "answers"
  }
}

/** What a call that failed says of the steps. Whether an error of another kind came before the key was looked at, nobody knows. */
const failed = (error: unknown, millis: number): ReadonlyArray<Finding> => {
  const step = stepOf(Event.errorTag(error))
  const passed = step === "answers" ? ["reachable"] : steps.slice(0, steps.indexOf(step))
  return [
    ...passed.map((check) => ({ check, isGood: true, saw: "yes", millis })),
    { check: step, isGood: false, saw: told(error), millis }
  ]
}

const limitsOf = ({ rateLimit }: Response): string => {
  const limits = Object.entries(rateLimit ?? {}).flatMap(([scope, standing]) =>
    typeof standing === "object" && "limit" in standing ? [`${scope}: ${String(standing.limit)}`] : []
  )
  return limits.length === 0 ? "told nothing of its limits" : limits.join(", ")
}

const answered = (response: Response, millis: number): ReadonlyArray<Finding> => {
  const { finishReason, model, usage } = response
  const tokens = usage.totalTokens === 0 ? "and told no usage" : `${usage.totalTokens} tokens`
  return [
    ["reachable", "yes"],
    ["key", "accepted"],
    ["model", model],
    ["answers", `${finishReason}, ${tokens}`],
    ["limits", limitsOf(response)]
  ].map(([check = "", saw = ""]) => ({ check, isGood: true, saw, millis }))
}

/** Whether the provider answers at all, by one call. */
const first = (model: LanguageModel.Service): Effect.Effect<ReadonlyArray<Finding>> =>
  Effect.map(look(model.generate(question)), ({ millis, seen }) =>
    Either.match(seen, {
      onLeft: (error) => failed(error, millis),
      onRight: (response) => answered(response, millis)
    }))

const streams = (model: LanguageModel.Service) =>
  Effect.map(Stream.runCollect(model.stream(question)), (parts) => {
    const all = [...parts]
    const contents = all.filter(StreamPart.isContent).length
    return `${contents} pieces of content, and an end`
  })

const weather = Tool.make("get_weather", {
  description: "The weather of a city now.",
  parameters: Schema.Struct({ city: Schema.String }),
  success: Schema.String
})

const tools = (model: LanguageModel.Service) =>
  Effect.gen(function*() {
    const toolkit = yield* Toolkit.make(weather)
    const reply = yield* model.generate({
      prompt: "What is the weather in Oslo?",
      tools: toolkit,
      toolChoice: "required",
      maxOutputTokens: 500
    })
    const calls = yield* ToolCall.decode(toolkit, reply)
    return calls.map(({ arguments: given, name }) => `${name}(${JSON.stringify(given)})`).join(", ")
  })

export const help: Help.Help = {
  does: "checks whether a provider answers, streams and calls tools",
  text:
    "Checks a provider by the variables of the environment: whether it can be reached, takes the key, has the model, answers, tells its limits, streams and calls tools, " +
    "with what it said. It costs a few tokens. No key is printed.",
  examples: [
    ["doctor --provider openai --model gpt-4.1-mini", "With OPENAI_API_KEY of the environment"],
    ["doctor --provider chaos --json", "Without a key or a network, for programs"]
  ],
  codes: {
    good: "all is good",
    someFailed: "something is not",
    badInput: "a variable is missing, or a word makes no sense",
    interrupted: "Ctrl-C"
  }
}

export const doctor = Command.make("doctor", options, (given) =>
  Effect.gen(function*() {
    const { model } = yield* Provider.make(given.provider, given.model)
    const answer = yield* first(model)
    // Whoever cannot answer cannot do the rest either.
    const findings = answer.every(({ isGood }) => isGood)
      ? [...answer, yield* checked("streams", streams(model)), yield* checked("tools", tools(model))]
      : answer
    const { name, provider } = model
    yield* Console.log(
      given.json
        ? JSON.stringify({ provider, model: name, findings })
        : [
          `${name} at ${provider}`,
          table(findings.map(({ check, isGood, millis, saw }) => [isGood ? "good" : "BAD", check, `${millis} ms`, saw]))
        ].join("\n")
    )
    return findings.every(({ isGood }) => isGood)
      ? undefined
      : yield* new Exit({ code: exits.someFailed, message: "" })
  }).pipe(Effect.scoped, untilStopped)).pipe(
    Command.withDescription(Help.document(help))
  )
