import { describe, expect, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import * as TestContext from "effect/TestContext"
import * as ChaosServer from "../../src/chaos/ChaosServer.ts"
import * as Fault from "../../src/chaos/Fault.ts"

const parameters = {
  type: "object",
  properties: {
    city: { type: "string" },
    unit: { type: "string", enum: ["celsius", "fahrenheit"] },
    days: { type: "integer", minimum: 1, maximum: 14 },
    note: { type: "string" }
  },
  required: ["city", "unit", "days"],
  additionalProperties: false
}
const weather = { type: "function", function: { name: "get_weather", description: "The weather", parameters } }

const ask = (text: string, more: object = {}) => ({
  model: "gpt-4o-mini",
  messages: [{ role: "user", content: text }],
  tools: [weather],
  ...more
})

/** What a test looks into without knowing its shape. */
type Json = ReturnType<typeof JSON.parse>

interface Reply {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  readonly json: Json
}

class NoReply extends Data.TaggedError("NoReply")<{ readonly cause: unknown }> {}

const read = (text: string): Json => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const post = (
  server: ChaosServer.Service,
  body: unknown,
  headers: Record<string, string> = { authorization: `Bearer ${server.apiKey}` }
): Effect.Effect<Reply, NoReply> =>
  Effect.tryPromise({
    try: async (signal) => {
      const response = await fetch(`${server.baseUrl}/chat/completions`, {
        method: "POST",
        headers: { "content-type": "application/json", ...headers },
        body: typeof body === "string" ? body : JSON.stringify(body),
        signal
      })
      const text = await response.text()
      return { status: response.status, headers: response.headers, text, json: read(text) }
    },
    catch: (cause) => new NoReply({ cause })
  })

const scripted = (...inOrder: ReadonlyArray<Fault.Fault | null>) =>
  ChaosServer.make({ plan: Fault.script({ inOrder }) })
/** A server whose clock stands until the test moves it; sockets need no clock. */
const onOwnClock = (options: ChaosServer.Options) =>
  Effect.gen(function*() {
    const clock = Effect.runSync(Effect.provide(TestClock.testClock(), TestContext.TestContext))
    const server = yield* Effect.withClock(ChaosServer.make(options), clock)
    return { clock, server }
  })
/** The server learns of a client's departure from the socket, a little later than the client. */
const booksUntil = (server: ChaosServer.Service, done: (books: ChaosServer.Books) => boolean) =>
  Effect.repeat(server.books, { until: done, schedule: Schedule.spaced("2 millis") })
const theCall = (reply: Reply) => reply.json.choices[0].message.tool_calls[0]

describe("ChaosServer", () => {
  it.scopedLive("answers with the meant tool call, the real envelope and plausible usage", () =>
    Effect.gen(function*() {
      const server = yield* ChaosServer.make()
      const reply = yield* post(server, ask("Weather in Oslo?"))
      const meant = Option.getOrThrow(yield* server.meant("Weather in Oslo?"))
      expect(reply.status).toBe(200)
      expect(reply.json.choices[0].finish_reason).toBe("tool_calls")
      expect(theCall(reply)).toMatchObject({ type: "function", function: { name: "get_weather" } })
      expect(JSON.parse(theCall(reply).function.arguments)).toEqual(meant[0]?.arguments)
      expect(meant[0]?.arguments).toEqual(
        Option.getOrThrow(
          Fault.meantArguments(0, Fault.requestKey("Weather in Oslo?"), { name: "get_weather", parameters })
        )
      )
      expect(reply.json.usage.total_tokens).toBe(reply.json.usage.prompt_tokens + reply.json.usage.completion_tokens)
      expect(reply.headers.get("x-request-id")).toMatch(/^req_/)
      expect(yield* server.books).toMatchObject({
        requests: 1,
        admitted: 1,
        right: { toolCalls: 1, texts: 0 },
        inFlight: 0
      })
    }))

  it.scopedLive("answers in text without tools, with tool_choice none, and once the right call has its result", () =>
    Effect.gen(function*() {
      const server = yield* ChaosServer.make()
      const { tools: _, ...plain } = ask("Hello")
      expect((yield* post(server, plain)).json.choices[0]).toMatchObject({ finish_reason: "stop" })
      expect((yield* post(server, ask("Hello", { tool_choice: "none" }))).json.choices[0].message.content).toBeTypeOf(
        "string"
      )
      const first = yield* post(server, ask("Weather?"))
      const turn = (call: unknown) => [
        { role: "user", content: "Weather?" },
        { role: "assistant", content: null, tool_calls: [call] },
        { role: "tool", tool_call_id: theCall(first).id, content: "21 degrees" }
      ]
      const done = yield* post(server, ask("", { messages: turn(theCall(first)) }))
      expect(done.json.choices[0].message.content).toContain("21 degrees")
      // Told that its call was wrong, the model makes the meant call again.
      const wrong = { ...theCall(first), function: { name: "get_weather", arguments: "{\"city\":1}" } }
      const again = yield* post(server, ask("", { messages: turn(wrong) }))
      expect(theCall(again).function.arguments).toBe(theCall(first).function.arguments)
      expect((yield* server.books).arrivals[Fault.requestKey("Weather?")]).toBe(3)
    }))

  it.scopedLive("names the tool that was asked for, with finish_reason stop as the real service", () =>
    Effect.gen(function*() {
      const server = yield* ChaosServer.make({ callsPerReply: 3 })
      const other = { type: "function", function: { name: "other", parameters: { type: "object", properties: {} } } }
      const reply = yield* post(
        server,
        ask("x", { tools: [weather, other], tool_choice: { type: "function", function: { name: "other" } } })
      )
      expect(theCall(reply).function).toEqual({ name: "other", arguments: "{}" })
      expect(reply.json.choices[0].finish_reason).toBe("stop")
      const several = yield* post(server, ask("y", { tools: [weather, other] }))
      expect(several.json.choices[0].message.tool_calls).toHaveLength(3)
      const single = yield* post(server, ask("y", { tools: [weather, other], parallel_tool_calls: false }))
      expect(single.json.choices[0].message.tool_calls).toHaveLength(1)
    }))

  it.scopedLive("refuses in the real service's words: key, model, body, order of messages", () =>
    Effect.gen(function*() {
      const server = yield* ChaosServer.make()
      const code = (reply: Reply) => [reply.status, reply.json.error.code, reply.json.error.param]
      expect(code(yield* post(server, ask("x"), {}))).toEqual([401, null, null])
      const wrongKey = yield* post(server, ask("x"), { authorization: "Bearer sk-wrong-key-of-somebody" })
      expect(code(wrongKey)).toEqual([401, "invalid_api_key", null])
      expect(wrongKey.text).not.toContain("wrong-key-of-somebody")
      expect(code(yield* post(server, ask("x", { model: "gpt-9" })))).toEqual([404, "model_not_found", null])
      expect(code(yield* post(server, "{\"model\":"))).toEqual([400, null, null])
      expect(code(yield* post(server, ask("x", { messages: [] })))).toEqual([400, "empty_array", "messages"])
      const optionsOnly = yield* post(server, ask("x", { stream_options: { include_usage: true } }))
      expect(code(optionsOnly)).toEqual([400, "invalid_value", "stream_options"])
      expect(code(yield* post(server, ask("x", { temperature: 3 })))[1]).toBe("decimal_above_max_value")
      expect(code(yield* post(server, ask("x", { tools: [{ type: "function", function: { name: "a b" } }] })))[1])
        .toBe("invalid_value")
      expect((yield* post(server, ask("x", { top_k: 3 }))).text).toContain(
        "Unrecognized request argument supplied: top_k"
      )
      const call = { id: "call_1", type: "function", function: { name: "get_weather", arguments: "{}" } }
      const unanswered = [{ role: "user", content: "x" }, { role: "assistant", tool_calls: [call] }]
      expect((yield* post(server, ask("x", { messages: unanswered }))).text).toContain(
        "did not have response messages: call_1"
      )
      const stray = [{ role: "user", content: "x" }, { role: "tool", tool_call_id: "call_1", content: "x" }]
      expect((yield* post(server, ask("x", { messages: stray }))).text).toContain(
        "must be a response to a preceeding message"
      )
      expect(yield* server.books).toMatchObject({
        refused: { authentication: 2, model: 1, invalid: 8, limit: 0 },
        admitted: 0
      })
      const models = yield* Effect.promise(() =>
        fetch(`${server.baseUrl}/models`, { headers: { authorization: `Bearer ${server.apiKey}` } }).then((r) =>
          r.json()
        )
      )
      expect(models).toMatchObject({ object: "list", data: ChaosServer.defaults.models.map((id) => ({ id })) })
    }))

  it.scopedLive("names a failed request of Anthropic's the same in header and body", () =>
    Effect.gen(function*() {
      const server = yield* ChaosServer.make({
        plan: Fault.script({ inOrder: [Fault.serverError(), Fault.rateLimited()] })
      })
      for (const status of [500, 429]) {
        const reply = yield* Effect.promise(() =>
          fetch(`${server.baseUrls.anthropic}/v1/messages`, {
            method: "POST",
            headers: {
              "content-type": "application/json",
              "x-api-key": server.apiKey,
              "anthropic-version": "2023-06-01"
            },
            body: JSON.stringify({
              model: "claude-sonnet-4-5",
              max_tokens: 64,
              messages: [{ role: "user", content: "Hi" }]
            })
          })
        )
        const body: Json = yield* Effect.promise(() => reply.json())
        expect([reply.status, body.request_id]).toEqual([status, reply.headers.get("request-id")])
      }
    }))

  it.scopedLive("refuses an address that it has not, in the words of the vendor it looks like", () =>
    Effect.gen(function*() {
      const server = yield* ChaosServer.make()
      const at = (url: string, headers: Record<string, string> = {}) =>
        Effect.promise(() => fetch(url, { method: "POST", headers }).then((response) => response.text()))
      expect(read(yield* at(`${server.baseUrl}/nothing`))).toMatchObject({ error: { code: "unknown_url" } })
      expect(yield* at(`${server.baseUrls.gemini}/nothing`)).toContain("was not found on this server")
      expect(read(yield* at(`${server.baseUrls.anthropic}/v1/nothing`, { "anthropic-version": "2023-06-01" })))
        .toMatchObject({ type: "error", error: { type: "not_found_error" } })
      expect(yield* server.books).toMatchObject({ requests: 0, inFlight: 0 })
    }))

  it.scopedLive("tells a rate limit in each hint form, and counts who comes too early", () =>
    Effect.gen(function*() {
      const { server } = yield* onOwnClock({
        plan: Fault.script({
          inOrder: Fault.hintForms.map((hint) => Fault.rateLimited({ hint, wait: "1500 millis" }))
        })
      })
      const replies = yield* Effect.forEach(Fault.hintForms, (hint) => post(server, ask(hint)))
      expect(replies.map(({ status }) => status)).toEqual(replies.map(() => 429))
      const [seconds, millis, date, reset, prose, none] = replies
      expect(seconds?.headers.get("retry-after")).toBe("2")
      expect(millis?.headers.get("retry-after-ms")).toBe("1500")
      expect(Date.parse(date?.headers.get("retry-after") ?? "")).toBe(2_000)
      expect(reset?.headers.get("x-ratelimit-reset-requests")).toBe("1.5s")
      expect(prose?.text).toContain("Please try again in 1.5s.")
      expect(none?.text).not.toContain("try again")
      expect(none?.headers.get("retry-after")).toBeNull()
      yield* Effect.forEach(Fault.hintForms, (hint) => post(server, ask(hint)))
      expect(yield* server.books).toMatchObject({ early: 5, faults: { RateLimited: 6 }, right: { toolCalls: 6 } })
    }))

  it.scopedLive("breaks replies: quota, 5xx, pages, garbage, no choices, cut calls, resets", () =>
    Effect.gen(function*() {
      const server = yield* scripted(
        Fault.insufficientQuota,
        Fault.serverError(500),
        Fault.serverError(502),
        Fault.serverError(503),
        Fault.serverError(529),
        Fault.htmlErrorPage(503),
        Fault.nonJsonBody,
        Fault.emptyChoices,
        Fault.finishLength,
        Fault.damagedToolCall("trailing-comma"),
        Fault.resetBeforeBody,
        Fault.resetDuringBody
      )
      const send = post(server, ask("Weather?"))
      expect((yield* send).json.error.code).toBe("insufficient_quota")
      for (const status of [500, 502, 503, 529]) expect((yield* send).status).toBe(status)
      expect((yield* send).headers.get("content-type")).toContain("text/html")
      expect((yield* send).json).toBeUndefined()
      expect((yield* send).json.choices).toEqual([])
      expect((yield* send).json.choices[0].finish_reason).toBe("length")
      expect(theCall(yield* send).function.arguments).toMatch(/,\}$/)
      expect(Exit.isFailure(yield* Effect.exit(send))).toBe(true)
      const during = yield* Effect.exit(
        Effect.promise(() =>
          fetch(`${server.baseUrl}/chat/completions`, {
            method: "POST",
            headers: { authorization: `Bearer ${server.apiKey}` },
            body: JSON.stringify(ask("Weather?"))
          })
        )
      )
      // The headers arrive, the body does not.
      expect(Exit.isSuccess(during) && during.value.status).toBe(200)
      if (Exit.isSuccess(during)) {
        expect(Exit.isFailure(yield* Effect.exit(Effect.tryPromise(() => during.value.text())))).toBe(true)
      }
      expect((yield* send).status).toBe(200)
      expect(yield* server.books).toMatchObject({
        admitted: 13,
        right: { toolCalls: 1 },
        aborted: 0,
        inFlight: 0,
        damage: { "trailing-comma": 1 },
        faults: { ServerError: 4, ResetBeforeBody: 1, ResetDuringBody: 1, FinishLength: 1 }
      })
      expect((yield* server.leastCalls).total).toBe(13)
    }))

  it.scopedLive("hangs until the client leaves, and is slow where it is told to be", () =>
    Effect.gen(function*() {
      const { clock, server } = yield* onOwnClock({
        plan: Fault.script({ inOrder: [Fault.hang, Fault.slowReply("120 millis"), Fault.slowReply("10 seconds")] })
      })
      /** Sends a request and waits until the server holds it back. */
      const held = Effect.gen(function*() {
        const fiber = yield* Effect.fork(post(server, ask("Weather?")))
        yield* booksUntil(server, ({ inFlight }) => inFlight === 1)
        return fiber
      })
      const asleep = Effect.repeat(clock.sleeps, { until: Chunk.isNonEmpty, schedule: Schedule.spaced("2 millis") })
      yield* Fiber.interrupt(yield* held)
      yield* booksUntil(server, ({ inFlight }) => inFlight === 0)
      const slow = yield* held
      yield* asleep
      yield* clock.adjust("119 millis")
      expect(Chunk.size(yield* clock.sleeps)).toBe(1)
      yield* clock.adjust("1 millis")
      expect((yield* Fiber.join(slow)).status).toBe(200)
      const slower = yield* held
      yield* asleep
      yield* clock.adjust("9 seconds")
      expect(Chunk.size(yield* clock.sleeps)).toBe(1)
      yield* Fiber.interrupt(slower)
      yield* booksUntil(server, ({ inFlight }) => inFlight === 0)
      expect(yield* server.books).toMatchObject({ aborted: 2, right: { toolCalls: 1 } })
    }))

  it.scopedLive("enforces requests and tokens per minute with the real headers", () =>
    Effect.gen(function*() {
      const { clock, server } = yield* onOwnClock({ limits: { requestsPerMinute: 2, tokensPerMinute: 10_000 } })
      const first = yield* post(server, ask("a"))
      expect(first.headers.get("x-ratelimit-limit-requests")).toBe("2")
      expect(first.headers.get("x-ratelimit-remaining-requests")).toBe("1")
      expect(first.headers.get("x-ratelimit-reset-requests")).toBe("30s")
      expect(Number(first.headers.get("x-ratelimit-remaining-tokens"))).toBeLessThan(10_000)
      yield* post(server, ask("b"))
      yield* clock.adjust("200 millis")
      const third = yield* post(server, ask("c"))
      expect(third.status).toBe(429)
      expect(Number(third.headers.get("retry-after"))).toBeGreaterThanOrEqual(29)
      expect(third.json.error).toMatchObject({ type: "requests", code: "rate_limit_exceeded" })
      expect(third.json.error.message).toMatch(
        /on requests per min \(RPM\): Limit 2, Used 1, Requested 1\. Please try again in 2\d/
      )
      const large = yield* post(server, ask("d", { max_tokens: 50_000 }))
      expect(large.json.error.message).toMatch(
        /^Request too large for gpt-4o-mini .*\(TPM\): Limit 10000, Requested 50/
      )
      expect(yield* server.books).toMatchObject({ refused: { limit: 2 }, admitted: 2 })
    }))

  it.scopedLive(
    "gives every request the fate that the plan foretells, at any concurrency",
    () =>
      Effect.gen(function*() {
        const plan = Fault.storm({
          seed: 11,
          toolCalls: { probability: 0.3 },
          serverErrors: { probability: 0.1 },
          emptyChoices: 0.1,
          finishLength: 0.1
        })
        const run = (concurrency: number) =>
          Effect.scoped(Effect.gen(function*() {
            const server = yield* ChaosServer.make({ plan, latency: { least: 0, most: "3 millis" } })
            const texts = Array.from({ length: 60 }, (_, n) => `Question ${n % 20}`)
            const idempotent = (text: string) =>
              post(server, ask(text), { "authorization": `Bearer ${server.apiKey}`, "idempotency-key": text })
            yield* Effect.forEach(texts, idempotent, { concurrency })
            const { sockets: _, ...books } = yield* server.books
            return books
          }))
        const alone = yield* run(1)
        const together = yield* run(16)
        expect(together).toEqual(alone)
        expect(alone).toMatchObject({ admitted: 60, idempotency: { keys: 20, replays: 40 }, aborted: 0 })
        const harmed = Object.values(alone.faults).reduce((sum, n) => sum + n, 0)
        expect(alone.right.toolCalls + harmed).toBe(60)
      }),
    20_000
  )

  it.live("cuts what hangs when its scope ends", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const server = yield* Scope.extend(scripted(Fault.hang), scope)
      const outcome = yield* Deferred.make<Exit.Exit<Reply, NoReply>>()
      yield* Effect.fork(Effect.intoDeferred(Effect.exit(post(server, ask("x"))), outcome))
      yield* booksUntil(server, ({ admitted }) => admitted === 1)
      yield* Scope.close(scope, Exit.void)
      expect(Exit.isFailure(yield* Deferred.await(outcome))).toBe(true)
      expect(Exit.isFailure(yield* Effect.exit(post(server, ask("x"))))).toBe(true)
      expect(yield* server.books).toMatchObject({ aborted: 0, inFlight: 0 })
    }))

  it.scopedLive("names every wrong option", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(ChaosServer.make({
        plan: { seed: 1, hangs: 2 },
        limits: { requestsPerMinute: 0, tokensPerMinute: Number.NaN },
        latency: { least: "2 seconds", most: "1 second" },
        callsPerReply: 0,
        apiKeys: [],
        port: 99_999
      }))
      expect(error._tag).toBe("InvalidOptions")
      expect(error.issues.map(({ path }) => path)).toEqual([
        "plan.hangs",
        "limits.requestsPerMinute",
        "limits.tokensPerMinute",
        "callsPerReply",
        "port",
        "apiKeys",
        "latency.most"
      ])
      const running = yield* ChaosServer.make()
      const taken = yield* Effect.flip(ChaosServer.make({ port: running.port }))
      expect(taken.message).toContain("EADDRINUSE")
    }))
})
