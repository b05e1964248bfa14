/** `init`: writes a policy file after three questions. */
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import * as Prompt from "@effect/cli/Prompt"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Pipeline from "../policy/Pipeline.ts"
import { badInput, Exit, exits } from "./shared/exits.ts"
import * as Help from "./shared/help.ts"

const kinds = ["interactive", "background"] as const
const outages = ["wait", "give-up"] as const

const options = {
  out: Options.text("out").pipe(
    Options.withDescription("The file to write. It is never overwritten. Default: policy.json."),
    Options.withDefault("policy.json")
  ),
  kind: Options.choice("kind", kinds).pipe(
    Options.withDescription("Whether a person waits for the answer. Asked for where it is not given."),
    Options.optional
  ),
  outage: Options.choice("outage", outages).pipe(
    Options.withDescription("What to do while the provider is away. Asked for where it is not given."),
    Options.optional
  ),
  concurrency: Options.integer("concurrency").pipe(
    Options.withDescription("The most calls at a time. Asked for where it is not given."),
    Options.optional
  ),
  json: Options.boolean("json").pipe(Options.withDescription("Tells what was written as JSON."))
}

export interface Answers {
  readonly kind: (typeof kinds)[number]
  readonly outage: (typeof outages)[number]
  readonly concurrency: number
}

/** The policy file that the answers lead to. */
export const policyOf = ({ concurrency, kind, outage }: Answers): { readonly [field: string]: unknown } => {
  const isInteractive = kind === "interactive"
  return {
    $schema: "./node_modules/effect-llm-resilience/dist/policy.schema.json",
    name: "provider",
    totalTimeout: isInteractive ? "30 seconds" : outage === "wait" ? "30 minutes" : "5 minutes",
    attemptTimeout: isInteractive ? "15 seconds" : "2 minutes",
    retry: {
      backoff: "exponential",
      initial: "500 millis",
      cap: isInteractive ? "4 seconds" : "30 seconds",
      jitter: "full",
      attempts: isInteractive ? 3 : outage === "wait" ? 20 : 6
    },
    retryBudget: "standard",
    circuitBreaker: {
      openFor: isInteractive ? "10 seconds" : "20 seconds",
      probeLimit: isInteractive ? "15 seconds" : "2 minutes"
    },
    rateLimiter: { requestsPerMinute: "learned", tokensPerMinute: "learned" },
    bulkhead: { maxConcurrent: concurrency, maxQueued: isInteractive ? concurrency * 2 : 10_000 }
  }
}

const orAsked = <A, E, R>(given: Option.Option<A>, question: Effect.Effect<A, E, R>) =>
  Option.match(given, { onNone: () => question, onSome: Effect.succeed })

export const help: Help.Help = {
  does: "asks three questions and writes a policy file",
  text:
    "Asks three questions and writes a policy file with the line by which editors complete and check it. Answers can be " +
    "given as options. A file that is there is never overwritten.",
  examples: [
    ["init", "Asks, and writes policy.json"],
    ["init --out batch.json --kind background --outage wait --concurrency 20", "Asks nothing"]
  ],
  codes: {
    good: "the file was written",
    badInput: "it is there already, or cannot be written",
    interrupted: "Ctrl-C; nothing was written"
  }
}

export const init = Command.make("init", options, (given) =>
  Effect.gen(function*() {
    const files = yield* FileSystem.FileSystem
    if (yield* Effect.orDie(files.exists(given.out))) {
      return yield* badInput(`${given.out} is there already. Take another name with --out, or move it away.`)
    }
    const answers: Answers = {
      kind: yield* orAsked(
        given.kind,
        Prompt.run(Prompt.select({
          message: "Does a person wait for the answers?",
          choices: [
            { title: "yes", value: "interactive", description: "fails within 30 seconds" },
            { title: "no", value: "background", description: "takes minutes and tries harder" }
          ] as const
        }))
      ),
      outage: yield* orAsked(
        given.outage,
        Prompt.run(Prompt.select({
          message: "The provider is away for ten minutes. What is a call to do?",
          choices: [
            { title: "wait for it", value: "wait", description: "up to half an hour" },
            { title: "give up", value: "give-up", description: "somebody else decides" }
          ] as const
        }))
      ),
      concurrency: yield* orAsked(
        given.concurrency,
        Prompt.run(Prompt.integer({
          message: "How many calls may run at a time?",
          min: 1,
          max: 10_000
        }))
      )
    }
    const policy = policyOf(answers)
    const pipeline = yield* Effect.mapError(Pipeline.decode(policy), (error) => badInput(error.message))
    yield* files.writeFileString(given.out, `${JSON.stringify(policy, null, 2)}\n`).pipe(
      Effect.mapError((error) => badInput(`${given.out} cannot be written: ${error.message}`))
    )
    const description = Pipeline.describe(pipeline)
    yield* Console.log(
      given.json
        ? JSON.stringify({ file: given.out, policy, description })
        : `${given.out} says:\n${description}\n\nLook closer with: preview ${given.out}`
    )
  }).pipe(
    Effect.catchTag("QuitException", () => new Exit({ code: exits.interrupted, message: "Nothing was written." }))
  )).pipe(
    Command.withDescription(Help.document(help))
  )
