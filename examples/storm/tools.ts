/** The tools of the demonstration, and what each request asks for. */
import * as Tool from "effect-llm-resilience/model/Tool"
import * as Toolkit from "effect-llm-resilience/model/Toolkit"
import * as Schema from "effect/Schema"

const BookFlight = Tool.make("book_flight", {
  description: "Book seats on a flight",
  parameters: Schema.Struct({
    from: Schema.String,
    to: Schema.String,
    passengers: Schema.Int.pipe(Schema.between(1, 9)),
    cabin: Schema.Literal("economy", "business", "first"),
    flexible: Schema.Boolean
  })
})

const SendInvoice = Tool.make("send_invoice", {
  description: "Send an invoice to a customer",
  parameters: Schema.Struct({
    customer: Schema.String,
    currency: Schema.Literal("EUR", "USD", "GBP"),
    lines: Schema.Array(Schema.Struct({ item: Schema.String, quantity: Schema.Int, price: Schema.Number })),
    note: Schema.optional(Schema.String)
  })
})

const SearchOrders = Tool.make("search_orders", {
  description: "Find orders of a customer",
  parameters: Schema.Struct({
    customer: Schema.String,
    status: Schema.Array(Schema.Literal("open", "paid", "cancelled")),
    limit: Schema.Int.pipe(Schema.between(1, 100)),
    filter: Schema.Struct({ city: Schema.String, minimumTotal: Schema.Number })
  })
})

export const toolkit = Toolkit.make(BookFlight, SendInvoice, SearchOrders)

const names = ["book_flight", "send_invoice", "search_orders"] as const

export const requestOf = (index: number) => {
  const tool = names[index % names.length] ?? "book_flight"
  return { index, tool, prompt: `Request ${index + 1}: please use ${tool} for customer ${1000 + index}.` }
}

export type StormRequest = ReturnType<typeof requestOf>
