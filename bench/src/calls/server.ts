/**
 * A server in a process of its own, so that the client's processor time is the client's. It answers as OpenAI does, with
 * all of its headers, and fails a share of the requests (`FAULTS`) in turns. The limits it tells are generous, because a
 * rate limiter keeps them.
 */
import { createServer } from "node:http"

const faults = Number(process.env["FAULTS"] ?? 0)

const reply = Buffer.from(JSON.stringify({
  id: "chatcmpl-D8Z5oo6uDh67AD85p73ksdT1KxhE0",
  object: "chat.completion",
  created: 1770933892,
  model: "gpt-4.1-nano-2025-04-14",
  choices: [{
    index: 0,
    message: { role: "assistant", content: "Hello! How can I help you today?", refusal: null, annotations: [] },
    logprobs: null,
    finish_reason: "stop"
  }],
  usage: {
    prompt_tokens: 8,
    completion_tokens: 9,
    total_tokens: 17,
    prompt_tokens_details: { cached_tokens: 0, audio_tokens: 0 },
    completion_tokens_details: { reasoning_tokens: 0, audio_tokens: 0, accepted_prediction_tokens: 0, rejected_prediction_tokens: 0 }
  },
  service_tier: "default",
  system_fingerprint: "fp_0ba0d124f1"
}))

const fault = Buffer.from(JSON.stringify({
  error: { message: "The server had an error while processing your request. Sorry about that!", type: "server_error", param: null, code: null }
}))

const headers = {
  "content-type": "application/json",
  "access-control-expose-headers": "X-Request-ID",
  "openai-organization": "user-abcdefghijklmnopqrstuvwx",
  "openai-processing-ms": "412",
  "openai-version": "2020-10-01",
  "x-ratelimit-limit-requests": "100000000",
  "x-ratelimit-limit-tokens": "1000000000",
  "x-ratelimit-remaining-requests": "99999999",
  "x-ratelimit-remaining-tokens": "999999972",
  "x-ratelimit-reset-requests": "1ms",
  "x-ratelimit-reset-tokens": "1ms",
  "strict-transport-security": "max-age=31536000; includeSubDomains; preload",
  "x-content-type-options": "nosniff",
  "cf-cache-status": "DYNAMIC",
  "server": "cloudflare"
} as const

let asked = 0

const server = createServer((request, response) => {
  request.resume().on("end", () => {
    const number = ++asked
    // Spread evenly: of ten requests the third, the sixth and the ninth at 30 %.
    const fails = Math.floor(number * faults) > Math.floor((number - 1) * faults)
    const body = fails ? fault : reply
    response.writeHead(fails ? 500 : 200, {
      ...headers,
      "x-request-id": `req_${String(number).padStart(24, "0")}`,
      "content-length": body.byteLength
    }).end(body)
  })
})

server.listen(0, "127.0.0.1", 1_024, () => {
  const address = server.address()
  process.send?.(typeof address === "object" && address !== null ? address.port : 0)
})

process.on("disconnect", () => process.exit(0))
