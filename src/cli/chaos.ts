/** `chaos`: the provider that misbehaves, for an application in any language. */
import * as Command from "@effect/cli/Command"
import * as Options from "@effect/cli/Options"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Runtime from "effect/Runtime"
import { createServer } from "node:http"
import * as ChaosServer from "../chaos/ChaosServer.ts"
import * as Fault from "../chaos/Fault.ts"
import * as Form from "../internal/form.ts"
import { definedFields } from "../internal/record.ts"
import { badInput, Exit, exits } from "./shared/exits.ts"
import { jsonFile } from "./shared/files.ts"
import * as Help from "./shared/help.ts"
import { Stop } from "./shared/signals.ts"

const optional = <A>(option: Options.Options<A>, text: string) =>
  Options.optional(Options.withDescription(option, text))

const options = {
  port: Options.integer("port").pipe(
    Options.withDescription("Where it listens on this machine; 0 takes any free port. Default: 8080."),
    Options.withDefault(8080)
  ),
  plan: optional(
    Options.file("plan", { exists: "yes" }),
    "Which call meets which fault, as JSON, such as {\"seed\": 7, \"serverErrors\": {\"probability\": 0.1}}. Default: one in five fails."
  ),
  latency: optional(Options.text("latency"), "How long a reply takes, such as \"300 millis\". Default: no time."),
  requestsPerMinute: optional(Options.float("requests-per-minute"), "Answers more with 429."),
  tokensPerMinute: optional(Options.float("tokens-per-minute"), "Answers more with 429."),
  json: Options.boolean("json").pipe(Options.withDescription("Tells addresses and books as JSON, a line each."))
}

/** Where no plan is given. */
const usual: Fault.Plan = Fault.storm({
  seed: 7,
  toolCalls: { probability: 0.15 },
  rateLimited: { probability: 0.08, wait: "500 millis" },
  serverErrors: { probability: 0.06 },
  hangs: 0.01,
  cuts: 0.03
})

/** The books as they are, to whoever asks on this port. */
const bookkeeper = (books: Effect.Effect<ChaosServer.Books>) =>
  Effect.flatMap(Effect.runtime<never>(), (runtime) =>
    Effect.acquireRelease(
      Effect.async<{ readonly port: number; readonly close: () => void }, Exit>((resume) => {
        const server = createServer((_, response) => {
          Runtime.runPromise(runtime)(books).then((entries) => {
            response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(entries))
          })
        })
        server.once("error", (error) => resume(badInput(`The books cannot be served: ${error.message}`)))
        server.listen(0, "127.0.0.1", () => {
          const address = server.address()
          resume(Effect.succeed({
            port: typeof address === "object" && address !== null ? address.port : 0,
            close: () => void server.close(() => {})
          }))
        })
      }),
      ({ close }) => Effect.sync(close)
    ))

const addresses = ({ apiKey, baseUrls, model }: ChaosServer.Service, books: string): string =>
  [
    "A provider that misbehaves on purpose listens. Set one of these for your application:",
    `  OPENAI_BASE_URL=${baseUrls.openAiChat}  OPENAI_API_KEY=${apiKey}  OPENAI_MODEL=${model}`,
    `  ANTHROPIC_BASE_URL=${baseUrls.anthropic}  ANTHROPIC_API_KEY=${apiKey}  ANTHROPIC_MODEL=${model}`,
    `  GEMINI_BASE_URL=${baseUrls.gemini}  GEMINI_API_KEY=${apiKey}  GEMINI_MODEL=${model}`,
    `Its books, what it was asked and what it answered: ${books}`,
    "Ctrl-C stops it."
  ].join("\n")

export const help: Help.Help = {
  does: "starts a provider on this machine that misbehaves by a plan, for an application in any language",
  text:
    "Starts a provider on this machine that speaks OpenAI's, Anthropic's and Gemini's APIs and misbehaves by a plan: broken " +
    "tool calls, 429s, 5xx, hangs and cuts, the same for the same seed. Prints what to set, and serves its books.",
  examples: [
    ["chaos", "One call in five fails"],
    [
      "chaos --port 0 --plan plan.json --json",
      "By a plan such as {\"seed\": 7, \"serverErrors\": {\"probability\": 0.1}}, for programs"
    ],
    ["chaos --requests-per-minute 60 --latency \"300 millis\"", "With a limit, and slow"]
  ],
  codes: {
    badInput: "the plan cannot be read, or the port is taken",
    interrupted: "Ctrl-C, after the books were printed"
  }
}

export const chaos = Command.make("chaos", options, (given) =>
  Effect.gen(function*() {
    const read = yield* Option.match(given.plan, {
      onNone: () => Effect.succeed<unknown>(usual),
      onSome: (path) => jsonFile(path, "a plan of faults")
    })
    const plan = yield* Either.mapLeft(Fault.decode(read), (error) => badInput(error.message))
    const latency = Option.map(given.latency, (text) => Form.parseDuration(text))
    if (Option.isSome(latency) && latency.value === undefined) {
      return yield* badInput(
        `--latency ${Option.getOrElse(given.latency, () => "")}: expected a duration such as "300 millis".`
      )
    }
    const server = yield* ChaosServer.make({
      plan,
      port: given.port,
      ...definedFields({ latency: Option.getOrUndefined(latency) }),
      limits: definedFields({
        requestsPerMinute: Option.getOrUndefined(given.requestsPerMinute),
        tokensPerMinute: Option.getOrUndefined(given.tokensPerMinute)
      })
    }).pipe(Effect.mapError((error) => badInput(error.message)))
    const { port } = yield* bookkeeper(server.books)
    const books = `http://127.0.0.1:${port}/`
    const { apiKey, baseUrls, model } = server
    yield* Console.log(
      given.json ? JSON.stringify({ baseUrls, apiKey, model, books }) : addresses(server, books)
    )
    yield* Effect.flatten(Stop)
    yield* Console.log(JSON.stringify(yield* server.books, undefined, given.json ? undefined : 2))
    return yield* new Exit({ code: exits.interrupted, message: "" })
  }).pipe(Effect.scoped)).pipe(
    Command.withDescription(Help.document(help))
  )
