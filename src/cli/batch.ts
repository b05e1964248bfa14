/** `batch`: asks a model for every line of a file. */
import * as Args from "@effect/cli/Args"
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import * as Clock from "effect/Clock"
import * as Console from "effect/Console"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as JsonSchema from "../adapter/JsonSchema.ts"
import * as Journal from "../batch/Journal.ts"
import * as Progress from "../batch/Progress.ts"
import * as Form from "../internal/form.ts"
import { definedFields } from "../internal/record.ts"
import * as Price from "../resilience/Price.ts"
import * as ResilientModel from "../resilience/ResilientModel.ts"
import * as DryRun from "./batch/dryRun.ts"
import { checkApart } from "./batch/paths.ts"
import * as Results from "./batch/results.ts"
import * as Summary from "./batch/summary.ts"
import * as Work from "./batch/work.ts"
import { badInput, Exit, exits } from "./shared/exits.ts"
import { jsonFile } from "./shared/files.ts"
import * as Help from "./shared/help.ts"
import { pipelineOf } from "./shared/policy.ts"
import * as Provider from "./shared/provider.ts"
import { untilStopped } from "./shared/signals.ts"

const described = <A>(option: Options.Options<A>, text: string): Options.Options<A> =>
  Options.withDescription(option, text)

const options = {
  out: described(
    Options.text("out"),
    "Where the results go, a JSON line for each prompt in their order. Default: beside the prompts."
  ).pipe(Options.optional),
  policy: described(
    Options.file("policy", { exists: "yes" }),
    "A policy file (see `preview`). Default: retries, a circuit breaker and a limiter that learns."
  ).pipe(Options.optional),
  provider: Provider.provider,
  model: Provider.model,
  concurrency: described(
    Options.text("concurrency"),
    "Calls at a time: a number, or auto, which finds what the provider takes."
  ).pipe(Options.withDefault("auto")),
  system: described(Options.text("system"), "The system message of every prompt that has none of its own.").pipe(
    Options.optional
  ),
  maxOutputTokens: described(
    Options.integer("max-output-tokens"),
    "The longest reply, in tokens, where the line does not say it."
  ).pipe(Options.optional),
  schema: described(
    Options.file("schema", { exists: "yes" }),
    "A JSON Schema: answers are decoded by it, and the model is asked again where they do not fit."
  ).pipe(Options.optional),
  journal: described(
    Options.text("journal"),
    "What the batch remembers, so that the same command goes on where it was. none keeps nothing. Default: beside the results."
  ).pipe(Options.optional),
  service: described(
    Options.boolean("service"),
    "As jobs of the vendor's batch service: half the price, an answer within a day."
  ),
  live: described(
    Options.boolean("live"),
    "With --service: asks the live model for what the service fails, at the full price."
  ),
  prices: described(
    Options.file("prices", { exists: "yes" }),
    "A price table, your own or model_prices_and_context_window.json of LiteLLM."
  ).pipe(Options.optional),
  maxCost: described(Options.float("max-cost"), "Stops once so much is spent. Needs --prices.").pipe(Options.optional),
  maxTokens: described(Options.integer("max-tokens"), "Stops once so many tokens are spent.").pipe(Options.optional),
  maxTime: described(Options.text("max-time"), "Stops after so much time, such as \"2 hours\".").pipe(Options.optional),
  maxOutage: described(
    Options.text("max-outage"),
    "Stops once the provider has been away for so long (the circuit is open). Until then the batch waits for it."
  ).pipe(Options.withDefault("30 minutes")),
  maxFailureRate: described(
    Options.float("max-failure-rate"),
    "Stops once this share of at least 20 prompts has failed, such as 0.5."
  ).pipe(Options.optional),
  onInterrupt: described(
    Options.choice("on-interrupt", ["finish", "interrupt"]),
    "What Ctrl-C does to the calls in flight; a second Ctrl-C interrupts them in any case. With --service: whether the jobs go " +
      "on at the vendor (finish) or are cancelled (interrupt)."
  ).pipe(Options.withDefault("finish" as const)),
  dryRun: described(
    Options.boolean("dry-run"),
    "Sends nothing; tells requests, tokens, and the worst-case time and cost."
  ),
  json: described(Options.boolean("json"), "The summary as JSON.")
}

const prompts = Args.file({ name: "prompts", exists: "yes" }).pipe(
  Args.withDescription(
    "JSON Lines: a text or {\"prompt\": \"...\", \"id\": 1, \"system\": \"...\", \"maxOutputTokens\": 200} on each."
  )
)

const concurrencyOf = (given: string): Effect.Effect<number | "auto", Exit> =>
  given === "auto"
    ? Effect.succeed("auto")
    : /^[1-9]\d{0,5}$/.test(given)
    ? Effect.succeed(Number(given))
    : badInput(`--concurrency ${given}: expected a whole number from 1 to 100000, or auto.`)

const durationOf = (flag: string) => (given: string): Effect.Effect<Duration.Duration, Exit> => {
  const duration = Form.parseDuration(given)
  return duration === undefined
    ? badInput(`${flag} ${given}: expected a duration such as "30 minutes" or "2 hours".`)
    : Effect.succeed(duration)
}

/** The table of a file, in either format. */
const pricesOf = (path: string) =>
  Effect.flatMap(
    jsonFile(path, "a price table"),
    (json) =>
      Effect.orElse(Price.decode(json), () => Price.decodePublicList(json)).pipe(
        Effect.mapError((error) => badInput(`${path}: ${error.message}`))
      )
  )

const maybe = <A, B, E, R>(
  given: Option.Option<A>,
  read: (given: A) => Effect.Effect<B, E, R>
): Effect.Effect<B | undefined, E, R> => Option.match(given, { onNone: () => Effect.succeed(undefined), onSome: read })

const schemaOf = (path: string) =>
  Effect.flatMap(jsonFile(path, "a JSON Schema"), (json) =>
    Effect.map(
      Effect.mapError(JsonSchema.schema(json), (error) => badInput(`${path}: ${error.message}`)),
      (schema) => ({ schema, json })
    ))

/** Progress on stderr, so that stdout holds the result alone: a bar on a terminal, lines elsewhere. */
const show = (progress: Progress.Progress): Effect.Effect<void> =>
  Effect.suspend(() => {
    const { columns, isTTY } = process.stderr
    return isTTY
      ? Stream.runForEach(
        Progress.bar(progress, { columns: Math.max(20, columns) }),
        (text) => Effect.sync(() => process.stderr.write(text))
      )
      : Stream.runForEach(Progress.lines(progress), (line) => Console.error(line))
  })

/** The errors of reading and remembering, told as what to do about them. */
const told = (error: unknown): Exit =>
  error instanceof Exit ? error : badInput(error instanceof Error ? error.message : String(error))

export const help: Help.Help = {
  does: "asks a model for every line of a file; the same command goes on after Ctrl-C or a crash",
  text:
    "Asks a model for every line of a file, and writes a line of result for each, in their order. What was done is " +
    "remembered, so after Ctrl-C, a crash or failures the same command asks only for what is missing.",
  examples: [
    ["batch prompts.jsonl --provider chaos", "Without a key or a network, at a provider that fails now and then"],
    ["batch prompts.jsonl --out results.jsonl --provider openai --model gpt-4.1-mini", "As it is meant"],
    [
      "batch prompts.jsonl --provider anthropic --model claude-haiku-4-5 --prices prices.json --dry-run",
      "What it would cost at worst; nothing is sent"
    ],
    ["batch prompts.jsonl --provider openai --schema answer.json --max-failure-rate 0.2", "Answers of a JSON Schema"],
    ["batch prompts.jsonl --provider openai --service", "Half the price, an answer within a day"]
  ],
  codes: {
    good: "all were answered",
    someFailed: "some failed; their results say why",
    badInput: "something cannot be read or makes no sense",
    stopped: "a limit stopped it (--max-cost, --max-tokens, --max-time, --max-outage, --max-failure-rate)",
    interrupted: "Ctrl-C; what was answered is kept"
  }
}

export const batch = Command.make(
  "batch",
  { prompts, ...options },
  (given) =>
    Effect.gen(function*() {
      const concurrency = yield* concurrencyOf(given.concurrency)
      const pipeline = yield* pipelineOf(given.policy)
      const price = yield* maybe(given.prices, pricesOf)
      const time = yield* maybe(given.maxTime, durationOf("--max-time"))
      const circuitOpen = yield* durationOf("--max-outage")(given.maxOutage)
      const asked = yield* maybe(given.schema, schemaOf)
      if (Option.isSome(given.maxOutputTokens) && given.maxOutputTokens.value < 1) {
        return yield* badInput(
          `--max-output-tokens ${given.maxOutputTokens.value}: expected a whole number of 1 or more.`
        )
      }
      if (Option.isSome(given.maxCost) && price === undefined) {
        return yield* badInput("--max-cost needs --prices: without prices nobody knows what is spent.")
      }
      if (given.live && !given.service) return yield* badInput("--live is for --service: other calls are live anyway.")
      if (given.service && asked !== undefined) {
        return yield* badInput("--service and --schema do not go together: nobody is there to ask the model again.")
      }
      const usual = {
        system: Option.getOrUndefined(given.system),
        maxOutputTokens: Option.getOrUndefined(given.maxOutputTokens)
      }

      if (given.dryRun) {
        const model = yield* Provider.modelName(given.provider, given.model)
        const charged = price === undefined || !given.service ? price : Price.forBatch(price)
        const plan = yield* untilStopped(Stream.runFold(
          Work.linesOf(given.prompts),
          DryRun.nothing,
          (plan, line) => DryRun.add(plan, line, usual, charged, model ?? "")
        ))
        const atATime = concurrency === "auto" ? 20 : concurrency
        const worst = DryRun.worstOf(plan, pipeline, atATime)
        yield* Console.log(given.json ? DryRun.json(plan, worst) : DryRun.text(plan, worst, pipeline, atATime))
        return plan.invalid > 0 ? yield* new Exit({ code: exits.badInput, message: "" }) : undefined
      }

      const results = Option.getOrElse(given.out, () => `${given.prompts}.results`)
      const named = Option.getOrElse(given.journal, () => `${results}.journal`)
      const path = named === "none" ? undefined : named
      yield* checkApart({
        inputs: {
          "the prompts": given.prompts,
          "the policy": Option.getOrUndefined(given.policy),
          "the schema": Option.getOrUndefined(given.schema),
          "the prices": Option.getOrUndefined(given.prices)
        },
        results,
        journal: path
      })
      const provider = yield* Provider.make(given.provider, given.model)
      const journal = path === undefined ? undefined : yield* Journal.makeFile({ path })
      const progress = yield* Progress.make
      const startedAt = yield* Clock.currentTimeMillis
      const writer = yield* Results.writer(results)
      let tally = Results.nothing
      const take = (result: Results.Result) => {
        tally = Results.add(tally, result)
        return writer.take(result)
      }
      const work: Work.Work = {
        file: given.prompts,
        usual,
        model: ResilientModel.strengthen(provider.model, pipeline),
        service: provider.service,
        schema: asked?.schema,
        schemaText: asked?.json,
        journal,
        progress,
        price,
        concurrency,
        onInterrupt: given.onInterrupt,
        stopWhen: {
          circuitOpen,
          ...definedFields({
            time,
            failureRate: Option.getOrUndefined(given.maxFailureRate),
            spend: Option.isNone(given.maxCost) && Option.isNone(given.maxTokens) ? undefined : definedFields({
              cost: Option.getOrUndefined(given.maxCost),
              tokens: Option.getOrUndefined(given.maxTokens)
            })
          })
        }
      }
      const shown = yield* Effect.fork(show(progress))
      const byJobs = given.service
        ? yield* Work.vendor({ ...work, live: given.live, poll: provider.poll }, take)
        : yield* Effect.as(Work.live(work, take), undefined)
      yield* Fiber.join(shown)
      yield* writer.finish
      const came: Summary.Came = {
        tally: byJobs === undefined ? tally : { ...tally, cost: byJobs.cost, unpriced: byJobs.unpriced },
        elapsed: Duration.millis((yield* Clock.currentTimeMillis) - startedAt),
        currency: price?.currency,
        results,
        journal: path,
        jobs: byJobs?.jobs ?? []
      }
      yield* Console.log(given.json ? Summary.json(came) : Summary.text(came))
      const code = Summary.exitOf(tally)
      return code === exits.good ? undefined : yield* new Exit({ code, message: "" })
    }).pipe(Effect.scoped, Effect.mapError(told))
).pipe(
  Command.withDescription(Help.document(help))
)
