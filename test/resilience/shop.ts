/** A shop whose tools find, order and pay, and write down what was asked of them. */
import * as Effect from "effect/Effect"
import * as Ref from "effect/Ref"
import * as Schema from "effect/Schema"
import type * as Prompt from "../../src/model/Prompt.ts"
import { Response } from "../../src/model/Response.ts"
import * as Tool from "../../src/model/Tool.ts"
import * as Toolkit from "../../src/model/Toolkit.ts"
import * as Usage from "../../src/model/Usage.ts"
import * as ToolLoop from "../../src/resilience/ToolLoop.ts"
import * as ScriptedModel from "../../src/testing/ScriptedModel.ts"

export class NoStock extends Schema.TaggedError<NoStock>()("NoStock", { item: Schema.String }) {}
export class PaymentDown extends Schema.TaggedError<PaymentDown>()("PaymentDown", {}) {}

export const FindItem = Tool.make("find_item", {
  parameters: Schema.Struct({ name: Schema.String }),
  access: "read-only"
})
export const Order = Tool.make("order", {
  parameters: Schema.Struct({ item: Schema.String, count: Schema.Int }),
  failure: NoStock,
  onFailure: "tell"
})
export const Pay = Tool.make("pay", { parameters: Schema.Struct({ amount: Schema.Number }) })

export const find = (name: string) => ScriptedModel.toolCall("find_item", { name })
export const order = (item: string, count = 1) => ScriptedModel.toolCall("order", { item, count })
export const pay = (amount: number) => ScriptedModel.toolCall("pay", { amount })
export const bad = ScriptedModel.rawToolCall("find_item", "{\"name\" \"x\"}")
export const done = ScriptedModel.text("All done.")
/** A reply that ends in the middle of a turn: the provider's own tool runs on when it is sent back. */
export const paused = ScriptedModel.reply(
  new Response({
    model: "m",
    parts: [{ _tag: "ProviderPart", kind: "server_tool_use", providerMetadata: "anthropic/anthropic:block:{}" }],
    finishReason: "unknown",
    rawFinishReason: "pause_turn",
    usage: Usage.zero
  })
)

export const shop = Effect.gen(function*() {
  const ran = yield* Ref.make<ReadonlyArray<string>>([])
  const keys = yield* Ref.make<ReadonlyArray<string>>([])
  const note = (text: string, { idempotencyKey }: Toolkit.HandlerContext) =>
    Effect.zipRight(
      Ref.update(ran, (before) => [...before, text]),
      Ref.update(keys, (before) => [...before, idempotencyKey])
    )
  const toolkit = yield* Toolkit.make(FindItem, Order, Pay)
  const handlers = {
    find_item: ({ name }: { readonly name: string }, context: Toolkit.HandlerContext) =>
      Effect.as(note(`find ${name}`, context), `item-${name}`),
    order: ({ count, item }: { readonly item: string; readonly count: number }, context: Toolkit.HandlerContext) =>
      Effect.zipRight(
        note(`order ${count} ${item}`, context),
        item === "gone" ? Effect.fail(new NoStock({ item })) : Effect.succeed("ordered")
      ),
    pay: ({ amount }: { readonly amount: number }, context: Toolkit.HandlerContext) =>
      Effect.zipRight(
        note(`pay ${amount}`, context),
        amount === 13 ? Effect.fail(new PaymentDown()) : Effect.succeed("paid")
      )
  }
  return { toolkit, handlers, ran: Ref.get(ran), keys: Ref.get(keys) }
})

export type Shop = Effect.Effect.Success<typeof shop>
export type More = Omit<
  ToolLoop.RunOptions<Shop["toolkit"]["tools"], Shop["handlers"]>,
  "toolkit" | "handlers" | "prompt"
>

export const start = ({ handlers, toolkit }: Shop, more: More = {}) =>
  ToolLoop.run({ prompt: "Buy a lamp.", toolkit, handlers, idempotencyKey: "run", ...more })

export const scripted = (...script: ReadonlyArray<ScriptedModel.Step>) => Effect.provide(ScriptedModel.layer(script))
export const told = (prompt: Prompt.Prompt) =>
  prompt.messages.flatMap((message) => message._tag === "Tool" ? message.content.map(({ content }) => content) : [])
