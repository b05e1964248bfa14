import { Client } from "@modelcontextprotocol/sdk/client/index.js"
import { InMemoryTransport } from "@modelcontextprotocol/sdk/inMemory.js"
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js"
import { CallToolResultSchema } from "@modelcontextprotocol/sdk/types.js"
import * as JsonSchema from "effect-llm-resilience/adapter/JsonSchema"
import * as Toolkit from "effect-llm-resilience/model/Toolkit"
import * as ToolLoop from "effect-llm-resilience/resilience/ToolLoop"
import * as ScriptedModel from "effect-llm-resilience/testing/ScriptedModel"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { z } from "zod"

// The tools of any MCP server. Their schemas are a stranger's, and are held against every call before it is sent there.
const toolsOf = (client: Client) =>
  Effect.gen(function*() {
    const { tools: listed } = yield* Effect.tryPromise((signal) => client.listTools({}, { signal }))
    const tools = yield* Effect.forEach(listed, ({ annotations, description, inputSchema, name }) =>
      JsonSchema.tool(name, {
        description,
        inputSchema,
        access: annotations?.readOnlyHint === true ? "read-only" : "read-write", // a hint: trust it as you trust the server
        timeout: "30 seconds",
        failure: Schema.String, // what the server calls an error is told to the model
        onFailure: "tell"
      }))
    const handler = (name: string) => (given: { readonly [name: string]: unknown }) =>
      Effect.tryPromise(async (signal) =>
        CallToolResultSchema.parse(await client.callTool({ name, arguments: given }, undefined, { signal }))
      ).pipe(Effect.flatMap(({ content, isError }) => {
        const texts = content.map((part) =>
          part.type === "text" ? part.text : `(${part.type})`
        )
        return isError === true ? Effect.fail(texts.join("\n")) : Effect.succeed(texts.join("\n"))
      }))
    const handlers = Object.fromEntries(listed.map(({ name }) => [name, handler(name)]))
    return { toolkit: yield* Toolkit.make(...tools), handlers }
  })

const server = new McpServer({ name: "orders", version: "1.0.0" })
const say = (text: string, isError = false) => ({ content: [{ type: "text" as const, text }], isError })
server.registerTool("find_order", {
  description: "Finds an order by its number",
  inputSchema: { number: z.string().regex(/^A-\d+$/) },
  annotations: { readOnlyHint: true }
}, ({ number }) => say(`${number}: one lamp, 60 EUR, paid`))
server.registerTool("refund", {
  description: "Gives money back",
  inputSchema: { number: z.string(), euros: z.number().positive() }
}, ({ euros }) => euros > 60 ? say("at most 60 EUR were paid", true) : say(`refunded ${euros} EUR`))

const program = Effect.gen(function*() {
  const [ours, theirs] = InMemoryTransport.createLinkedPair() // over the network: StreamableHTTPClientTransport
  const client = new Client({ name: "example", version: "1.0.0" })
  yield* Effect.promise(() => Promise.all([server.connect(theirs), client.connect(ours)]))
  const outcome = yield* ToolLoop.run({ prompt: "Refund my order A-17.", ...(yield* toolsOf(client)) })
  for (const error of outcome.refused) yield* Console.log(`refused: ${error.message}`)
  for (const { results } of outcome.steps) {
    for (const { content, isError, name } of results) yield* Console.log(name, isError ? "failed:" : "->", content)
  }
  yield* Console.log(outcome.response.text)
}).pipe(Effect.provide(ScriptedModel.layer([
  ScriptedModel.toolCall("find_order", { number: 17 }), // not what the schema asks for: the server never sees it
  ScriptedModel.toolCall("find_order", { number: "A-17" }),
  ScriptedModel.toolCall("refund", { number: "A-17", euros: 80 }), // the server refuses, and the model is told why
  ScriptedModel.toolCall("refund", { number: "A-17", euros: 60 }),
  ScriptedModel.text("You get 60 EUR back.")
])))

Effect.runPromise(program)
