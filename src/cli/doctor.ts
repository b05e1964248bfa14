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

/** Runs a check, which costs a few tokens, within a minute. */
const checked = <E>(check: string, look: Effect.Effect<string, E>): Effect.Effect<Finding> =>
  Effect.gen(function*() {
    const start = yield* Clock.currentTimeMillis
    const seen = yield* Effect.either(Effect.timeout(look, "1 minute"))
    const millis = (yield* Clock.currentTimeMillis) - start
    return Either.match(seen, {
      onLeft: (error) => ({ check, isGood: false, saw: `${Event.errorTag(error)}: ${Event.errorText(error)}`, millis }),
      onRight: (saw) => ({ check, isGood: true, saw, millis })
    })
  })

const answers = (model: LanguageModel.Service) =>
  Effect.map(
    model.generate(question),
    ({ finishReason, model, usage }) =>
      `${model} answered (${finishReason}), ${
        usage.totalTokens === 0 ? "and told no usage" : `${usage.totalTokens} tokens`
      }`
  )

const limits = (model: LanguageModel.Service) =>
  Effect.map(model.generate(question), ({ rateLimit }) =>
    rateLimit === undefined
      ? "told nothing of its limits"
      : Object.entries(rateLimit).flatMap(([scope, standing]) =>
        typeof standing === "object" && "limit" in standing ? [`${scope}: ${String(standing.limit)}`] : []
      ).join(", "))

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
    "Checks a provider by the variables of the environment: whether it answers, tells its limits, streams and calls tools, " +
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
    const first = yield* checked("answers", answers(model))
    // Whoever cannot answer cannot do the rest either.
    const others = first.isGood
      ? [
        yield* checked("limits", limits(model)),
        yield* checked("streams", streams(model)),
        yield* checked("tools", tools(model))
      ]
      : []
    const findings = [first, ...others]
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
