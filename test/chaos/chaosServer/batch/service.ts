/** A server under virtual time, asked over real HTTP as the vendors' SDKs ask. Its jobs move when the test moves the clock. */
import * as Effect from "effect/Effect"
import type * as BatchFault from "../../../../src/chaos/BatchFault.ts"
import * as ChaosServer from "../../../../src/chaos/ChaosServer.ts"
import * as Fault from "../../../../src/chaos/Fault.ts"

/** 1 s until it runs, 10 s of running, 1 s until it is completed. */
export const batches = {
  validating: "1 second",
  running: "10 seconds",
  finalizing: "1 second",
  cancelling: "1 second",
  expiry: "24 hours"
} as const

/** What was read, as `JSON.parse` gives it. */
export type Parsed = ReturnType<typeof JSON.parse>

export interface Answer {
  readonly status: number
  readonly text: string
  readonly headers: Headers
  /** The body read as JSON; `undefined` where it is none. */
  readonly json: Parsed
  /** The body read as JSON Lines. */
  readonly lines: () => Array<Parsed>
}

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** A server whose first job meets these faults, the second those, and so on. */
export const start = (
  jobs: ReadonlyArray<ReadonlyArray<BatchFault.BatchFault>> = [],
  options: ChaosServer.Options = {}
) =>
  Effect.map(
    ChaosServer.make({ batches, ...options, plan: options.plan ?? Fault.script({ jobs }) }),
    (server) => {
      const origin = `http://127.0.0.1:${server.port}`
      /** Without an answer, where the connection broke: status 0. */
      const ask = (path: string, init: RequestInit = {}): Effect.Effect<Answer> =>
        Effect.promise(async () => {
          const url = path.startsWith("http") ? path : origin + path
          const headers = new Headers(init.headers)
          headers.set("authorization", `Bearer ${server.apiKey}`)
          headers.set("x-api-key", server.apiKey)
          headers.set("x-goog-api-key", server.apiKey)
          headers.set("anthropic-version", "2023-06-01")
          try {
            const response = await fetch(url, { ...init, headers })
            const text = await response.text()
            return {
              status: response.status,
              text,
              headers: response.headers,
              json: parsed(text),
              lines: () => text.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line))
            }
          } catch {
            return { status: 0, text: "", headers: new Headers(), json: undefined, lines: () => [] }
          }
        })
      const post = (path: string, body: unknown = {}, headers: Record<string, string> = {}) =>
        ask(path, {
          method: "POST",
          body: JSON.stringify(body),
          headers: { "content-type": "application/json", ...headers }
        })
      return { server, origin, ask, post }
    }
  )

export type Asked = Effect.Effect.Success<ReturnType<typeof start>>

export const jsonl = (values: ReadonlyArray<unknown>): string =>
  values.map((value) => `${JSON.stringify(value)}\n`).join("")
