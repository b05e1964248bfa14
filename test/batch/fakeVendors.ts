/** The batch services of three vendors, without a network: as much of each as a client sees. */
import * as HttpClient from "@effect/platform/HttpClient"
import type * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"

/** What a vendor does with its jobs; everything may be left out. */
export interface Script {
  /** Looks at a job before it has ended. */
  readonly looks?: number
  /** Looks that are answered with 404. */
  readonly unknown?: number
  /** Makes of the result lines what is read, the nth time. */
  readonly file?: (lines: ReadonlyArray<string>, reading: number) => string
  /** The result of an entry, in place of an answer. */
  readonly result?: (id: string, at: number) => object | undefined
  /** Fields of the job when it has ended. */
  readonly end?: (job: number) => object
  /** Called when a job was made; it may answer in its place. */
  readonly onCreate?: (jobs: number) => globalThis.Response | undefined
}

interface Job {
  readonly id: string
  readonly marker: string
  readonly ids: ReadonlyArray<string>
  readonly at: number
  looks: number
  readings: number
}

export interface Fake {
  readonly client: HttpClient.HttpClient
  readonly jobs: Array<Job>
  readonly sent: Array<string>
  readonly cancelled: Array<string>
}

const json = (body: unknown, headers: Record<string, string> = {}): globalThis.Response =>
  new globalThis.Response(JSON.stringify(body), { headers: { "content-type": "application/json", ...headers } })

const missing = (): globalThis.Response =>
  new globalThis.Response(JSON.stringify({ error: { type: "not_found_error", message: "no such batch" } }), {
    status: 404
  })

const bodyOf = async (request: HttpClientRequest.HttpClientRequest): Promise<string> => {
  const { body } = request
  if (body._tag === "Uint8Array") return new TextDecoder().decode(body.body)
  if (body._tag !== "FormData") return ""
  const file = body.formData.get("file")
  return file instanceof Blob ? file.text() : ""
}

type Route = (path: string, body: string, url: URL, now: number) => globalThis.Response

const fake = (route: (state: Omit<Fake, "client">) => Route): Fake => {
  const state = { jobs: [], sent: [], cancelled: [] }
  const answer = route(state)
  return {
    ...state,
    client: HttpClient.make((request, url) =>
      Effect.gen(function*() {
        const body = yield* Effect.promise(() => bodyOf(request))
        const log: Array<string> = state.sent
        log.push(`${request.method} ${url.pathname}${url.search}`)
        const now = yield* Clock.currentTimeMillis
        return HttpClientResponse.fromWeb(request, answer(`${request.method} ${url.pathname}`, body, url, now))
      })
    )
  }
}

const look = (job: Job, script: Script): "unknown" | "running" | "ended" => {
  job.looks++
  const { looks = 1, unknown = 0 } = script
  return job.looks <= unknown ? "unknown" : job.looks <= unknown + looks ? "running" : "ended"
}

const fileOf = (job: Job, script: Script, line: (id: string, at: number) => object): string => {
  const lines = job.ids.map((id, at) => JSON.stringify(script.result?.(id, at) ?? line(id, at))).reverse()
  const file = script.file?.(lines, job.readings) ?? `${lines.join("\n")}\n`
  job.readings++
  return file
}

const textOf = (id: string): string => `answer ${id.split("-").at(-1)}`

/** OpenAI's two endpoints that have batches: the body of a reply in each. */
const openAiReplies = {
  "/v1/chat/completions": (id: string) => ({
    id: "c",
    object: "chat.completion",
    model: "gpt-4o-mini",
    choices: [{ index: 0, message: { role: "assistant", content: textOf(id) }, finish_reason: "stop" }],
    usage: { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 }
  }),
  "/v1/responses": (id: string) => ({
    id: "resp_1",
    object: "response",
    status: "completed",
    model: "gpt-4o-mini",
    output: [{
      id: "msg_1",
      type: "message",
      role: "assistant",
      status: "completed",
      content: [{ type: "output_text", text: textOf(id), annotations: [] }]
    }],
    usage: { input_tokens: 3, output_tokens: 2, total_tokens: 5 }
  })
}

/** The text of every answer holds the place of its request, so that a mix-up is seen. */
export const openAi = (script: Script = {}, endpoint: keyof typeof openAiReplies = "/v1/chat/completions"): Fake =>
  fake(({ cancelled, jobs }) => {
    const files: Array<ReadonlyArray<string>> = []
    const view = (job: Job, state: string) => ({
      id: job.id,
      object: "batch",
      status: state === "ended" ? "completed" : "in_progress",
      created_at: Math.floor(job.at / 1000),
      metadata: { marker: job.marker },
      request_counts: { total: job.ids.length, completed: state === "ended" ? job.ids.length : 1, failed: 0 },
      output_file_id: state === "ended" ? `out-${job.id}` : null,
      error_file_id: "",
      ...(state === "ended" ? script.end?.(Number(job.id.slice(6))) : {})
    })
    return (path, body, _, at) => {
      if (path === "POST /v1/files") {
        const lines = body.trim().split("\n").map((line) => JSON.parse(line))
        // The service refuses a file whose lines are for another endpoint, or for several models.
        if (
          lines.some(({ body, method, url }) => method !== "POST" || url !== endpoint || body.model !== "gpt-4o-mini")
        ) {
          return new globalThis.Response("url_mismatch", { status: 400 })
        }
        files.push(lines.map(({ custom_id: id }) => String(id)))
        return json({ id: `file-${files.length - 1}` })
      }
      if (path === "POST /v1/batches") {
        const { endpoint: asked, input_file_id: file, metadata } = JSON.parse(body)
        if (asked !== endpoint) return new globalThis.Response("invalid endpoint", { status: 400 })
        const ids = files[Number(String(file).slice(5))] ?? []
        const job: Job = { id: `batch_${jobs.length}`, marker: metadata.marker, ids, at, looks: 0, readings: 0 }
        jobs.push(job)
        return script.onCreate?.(jobs.length) ?? json(view(job, "running"))
      }
      if (path === "GET /v1/batches") {
        return json({ data: jobs.map((job) => view(job, "running")).reverse(), has_more: false })
      }
      const job = jobs.find(({ id }) => new RegExp(`[/-]${id}\\b`).test(path))
      if (job === undefined) return missing()
      if (path.endsWith("/cancel")) {
        cancelled.push(job.id)
        return json(view(job, "running"))
      }
      if (path.includes("/files/")) {
        return new globalThis.Response(fileOf(job, script, (id) => ({
          id: `req-${id}`,
          custom_id: id,
          response: {
            status_code: 200,
            request_id: "r",
            body: openAiReplies[endpoint](id)
          },
          error: null
        })))
      }
      const state = look(job, script)
      return state === "unknown" ? missing() : json(view(job, state))
    }
  })

export const anthropic = (script: Script = {}): Fake =>
  fake(({ cancelled, jobs }) => {
    const root = "/v1/messages/batches"
    const view = (job: Job, state: string) => ({
      id: job.id,
      type: "message_batch",
      processing_status: state === "ended" ? "ended" : "in_progress",
      created_at: new Date(job.at).toISOString(),
      cancel_initiated_at: null,
      results_url: state === "ended" ? `https://elsewhere.example/${job.id}` : null,
      request_counts: { processing: job.ids.length, succeeded: 0, errored: 0, canceled: 0, expired: 0 }
    })
    return (path, body, _, at) => {
      if (path === `POST ${root}`) {
        const ids = JSON.parse(body).requests.map((each: { custom_id: string }) => each.custom_id)
        const job: Job = { id: `msgbatch_${jobs.length}`, marker: "", ids, at, looks: 0, readings: 0 }
        jobs.push(job)
        return script.onCreate?.(jobs.length) ?? json(view(job, "running"))
      }
      if (path === `GET ${root}`) {
        return json({ data: jobs.map((job) => view(job, "running")).reverse(), has_more: false, last_id: "x" })
      }
      const job = jobs.find(({ id }) => path.includes(id))
      if (job === undefined) return missing()
      if (path.endsWith("/cancel")) {
        cancelled.push(job.id)
        return json(view(job, "running"))
      }
      if (path.endsWith("/results")) {
        return new globalThis.Response(fileOf(job, script, (id) => ({
          custom_id: id,
          result: {
            type: "succeeded",
            message: {
              id: "m",
              type: "message",
              role: "assistant",
              model: "claude-sonnet-4-5",
              content: [{ type: "text", text: textOf(id) }],
              stop_reason: "end_turn",
              usage: { input_tokens: 3, output_tokens: 2, service_tier: "batch" }
            }
          }
        })))
      }
      const state = look(job, script)
      return state === "unknown" ? missing() : json(view(job, state))
    }
  })

export const gemini = (script: Script = {}, output: "file" | "inline" = "file"): Fake =>
  fake(({ cancelled, jobs }) => {
    let file = ""
    const answer = (id: string) => ({
      candidates: [{
        content: { role: "model", parts: [{ text: textOf(id) }] },
        finishReason: "STOP"
      }],
      usageMetadata: { promptTokenCount: 3, candidatesTokenCount: 2, totalTokenCount: 5 },
      modelVersion: "gemini-2.5-flash"
    })
    const view = (job: Job, state: string) => ({
      name: job.id,
      metadata: {
        displayName: job.marker,
        state: state === "ended" ? "BATCH_STATE_SUCCEEDED" : "BATCH_STATE_RUNNING",
        batchStats: { requestCount: String(job.ids.length), successfulRequestCount: "0" }
      },
      ...(state !== "ended" ? {} : {
        done: true,
        response: output === "file"
          ? { responsesFile: `files/batch-${job.id.slice(8)}` }
          : {
            inlinedResponses: {
              inlinedResponses: job.ids.map((id) => ({ response: answer(id), metadata: { key: id } })).reverse()
            }
          }
      })
    })
    return (path, body, url, at) => {
      if (path === "POST /upload/v1beta/files") {
        if (!url.searchParams.has("upload_id")) {
          return json({}, { "x-goog-upload-url": `${url.origin}/upload/v1beta/files?upload_id=1` })
        }
        file = body
        return json({ file: { name: "files/input" } })
      }
      if (path.endsWith(":batchGenerateContent")) {
        const { batch } = JSON.parse(body)
        const inline = batch.inputConfig.requests?.requests
        const ids = inline === undefined
          ? file.trim().split("\n").map((line) => String(JSON.parse(line).key))
          : inline.map((each: { metadata: { key: string } }) => each.metadata.key)
        const job: Job = { id: `batches/j${jobs.length}`, marker: batch.displayName, ids, at, looks: 0, readings: 0 }
        jobs.push(job)
        return script.onCreate?.(jobs.length) ?? json(view(job, "running"))
      }
      if (path === "GET /v1beta/batches") return json({ operations: jobs.map((job) => view(job, "running")) })
      const job = jobs.find(({ id }) => path.includes(id) || path.includes(`batch-${id.slice(8)}`))
      if (job === undefined) return missing()
      if (path.endsWith(":cancel")) {
        cancelled.push(job.id)
        return new globalThis.Response("")
      }
      if (path.endsWith(":download")) {
        return new globalThis.Response(fileOf(job, script, (id) => ({ key: id, response: answer(id) })))
      }
      const state = look(job, script)
      return state === "unknown" ? missing() : json(view(job, state))
    }
  })
