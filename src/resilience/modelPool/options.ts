/** What somebody wrote as the options of a pool, in code or in a file, checked before anything of it is built. */
import type * as Verdict from "../../error/Verdict.ts"
import * as Form from "../../internal/form.ts"
import { isRecord } from "../../internal/record.ts"
import { hex } from "../../internal/seeded.ts"
import type * as LanguageModel from "../../model/LanguageModel.ts"
import * as Prompt from "../../model/Prompt.ts"
import { isModel, namesDiffer } from "../shared/prepared.ts"

const second = 1000
const minute = 60 * second

/** What keeps the calls of a conversation at one member. */
export type Affinity = "none" | "conversation" | ((request: LanguageModel.Request) => string | undefined)

const pricesAreTold = (members: ReadonlyArray<unknown>) =>
  members.flatMap((each, position) =>
    isRecord(each) && each["price"] !== undefined ? [] : [{
      path: ["members", position, "price"],
      allowed: "a price for every member where the strategy is \"cheapest\""
    }]
  )

const together = (_: unknown, given: { readonly members?: unknown; readonly strategy?: unknown }) => {
  const members = Array.isArray(given.members) ? given.members : []
  return [...namesDiffer("members", members), ...(given.strategy === "cheapest" ? pricesAreTold(members) : [])]
}

const member = {
  name: Form.annotate(Form.text(), { description: "what the member is called: different for every member" }),
  weight: Form.withDefault(
    Form.annotate(Form.number({ above: 0, max: 1_000_000 }, "a number above 0, at most 1000000"), {
      description: "its share of the calls beside the others"
    }),
    () => 1
  ),
  price: Form.optional(
    Form.annotate(Form.number({ min: 0 }, "a number, 0 or more, in one unit for all members"), {
      description: "what a call costs beside the others: the strategy \"cheapest\" goes by it"
    })
  ),
  // What is wrong within it a pipeline finds by itself.
  pipeline: Form.optional(Form.annotate(Form.anything, { type: "object", description: "its own pipeline" }))
}

const pool = {
  name: Form.withDefault(Form.annotate(Form.text(), { description: "the pool's name" }), () => "pool"),
  strategy: Form.withDefault(
    Form.annotate(Form.oneOf("least-busy", "weighted", "cheapest"), {
      description: "how a member is chosen among those that are ready"
    }),
    () => "least-busy" as const
  ),
  throttledRest: Form.withDefault(
    Form.annotate(Form.millis(), { description: "how long a member rests after a 429 that says no time" }),
    () => 5 * second
  ),
  refusedRest: Form.withDefault(
    Form.annotate(Form.millis(), { description: "how long one rests whose key, quota or model was refused" }),
    () => 5 * minute
  ),
  longestRest: Form.withDefault(
    Form.annotate(Form.millis(), { description: "the longest rest that a provider can ask for" }),
    () => 24 * 60 * minute
  ),
  maxWait: Form.withDefault(
    Form.annotate(Form.millis({ from: "zero" }), {
      description: "how long a call waits for a member that rests, where no other is ready"
    }),
    () => minute
  )
}

const words = "a list of one or more members"
const affinity = Form.oneOf("none", "conversation")

export const form = Form.struct(
  "an object with the options of a pool",
  {
    ...pool,
    affinity: Form.withDefault(
      Form.choose(
        "\"none\", \"conversation\", or a function from a request to a text that tells its conversation",
        Form.when(Form.isText, affinity),
        Form.otherwise(
          Form.fn<(request: LanguageModel.Request) => string | undefined>(
            "\"none\", \"conversation\", or a function from a request to a text that tells its conversation",
            "read requests"
          )
        )
      ),
      () => "none" as const
    ),
    verdict: Form.optional(
      Form.fn<(error: unknown) => Verdict.Verdict>("a function from an error to a verdict", "judge errors")
    ),
    members: Form.list(
      Form.struct("a member with a name and a model", {
        ...member,
        model: Form.value(isModel, "a LanguageModel service, or a layer that provides one")
      }),
      { allowed: words }
    )
  },
  together
)

/** The same without what only code can give. */
export const fileForm = Form.struct(
  "an object with the options of a pool",
  {
    ...pool,
    affinity: Form.withDefault(
      Form.annotate(affinity, { description: "what keeps the calls of a conversation at one member" }),
      () => "none" as const
    ),
    members: Form.list(Form.struct("a member with a name", member), { allowed: words }),
    $schema: Form.fileOnly(
      Form.annotate(Form.anything, { type: "string", description: "where this schema is, for editors" })
    )
  },
  together
)

export const defaults = {
  name: "pool",
  strategy: "least-busy",
  affinity: "none",
  weight: 1,
  throttledRest: "5 seconds",
  refusedRest: "5 minutes",
  longestRest: "24 hours",
  maxWait: "1 minute"
} as const

// What tells one conversation from another, so that its calls can go to the member that has its beginning in its cache.

/** A cache is found by what a prompt begins with, so no more of a text is read than tells beginnings apart. */
const longestText = 4096

const textOf = (message: Prompt.Message): string =>
  message._tag === "System"
    ? message.content.slice(0, longestText)
    : message.content.map((part) => part._tag === "Text" ? part.text.slice(0, longestText) : part._tag).join("\n")

/**
 * The key of a request: its tools, its system messages and the first message that is none. What follows grows with the
 * conversation and is left out.
 */
const conversationOf = (request: LanguageModel.Request): string => {
  const { messages } = Prompt.make(request.prompt)
  const first = messages.findIndex((message) => message._tag !== "System")
  const opening = first === -1 ? messages : messages.slice(0, first + 1)
  const tools = (request.tools?.definitions ?? []).map((tool) => tool.name)
  return hex(JSON.stringify([tools, opening.map((message) => [message._tag, textOf(message)])]))
}

/** What a request is kept together by; nothing where the strategy shall choose. */
export const keyOf = (affinity: Affinity): (request: LanguageModel.Request) => string | undefined =>
  affinity === "none" ? () => undefined : affinity === "conversation" ? conversationOf : affinity
