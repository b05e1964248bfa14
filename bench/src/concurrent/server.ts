/**
 * A server in a process of its own, so that the client's memory is the client's. Each stream gets a chunk about every
 * 50 ms, with the time at which it was written, until the client leaves. The clock is the machine's, so both can read it.
 */
import { createServer } from "node:http"

const every = 50

const now = (): string => process.hrtime.bigint().toString()

const chunk = (content: string): string =>
  `data: ${
    JSON.stringify({
      id: "chatcmpl-D8Z5oo6uDh67AD85p73ksdT1KxhE0",
      object: "chat.completion.chunk",
      created: 1770933892,
      model: "gpt-4.1-nano-2025-04-14",
      choices: [{ index: 0, delta: { content }, logprobs: null, finish_reason: null }],
      usage: null
    })
  }\n\n`

let opened = 0

const server = createServer((request, response) => {
  request.resume().on("end", () => {
    response.writeHead(200, { "content-type": "text/event-stream" })
    response.flushHeaders()
    let timer: NodeJS.Timeout | undefined
    // Not all streams in the same millisecond.
    const start = setTimeout(() => {
      timer = setInterval(() => response.write(chunk(`@${now()};`)), every)
    }, opened++ % every)
    response.on("close", () => {
      clearTimeout(start)
      clearInterval(timer)
    })
  })
})

server.listen(0, "127.0.0.1", 1_024, () => {
  const address = server.address()
  process.send?.(typeof address === "object" && address !== null ? address.port : 0)
})

process.on("disconnect", () => process.exit(0))
