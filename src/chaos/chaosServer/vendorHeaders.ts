/** The headers with which each vendor tells who answered and how much of the limits is left. Data in, data out. */
import * as DateTime from "effect/DateTime"
import { goDuration, type Standing } from "./limits.ts"
import type { ProtocolName } from "./protocol.ts"

type Headers = Readonly<Record<string, string>>

const openAiLimits = (standings: ReadonlyArray<Standing>): Headers =>
  Object.assign(
    {},
    ...standings.map(({ limit, remaining, reset, scope }) => ({
      [`x-ratelimit-limit-${scope}`]: String(limit),
      [`x-ratelimit-remaining-${scope}`]: String(remaining),
      [`x-ratelimit-reset-${scope}`]: goDuration(reset)
    }))
  )

/** An instant in whole seconds, never before the time that is meant. */
const instant = (millis: number): string =>
  DateTime.formatIso(DateTime.unsafeMake(Math.ceil(millis / 1000) * 1000)).replace(/\.\d+Z$/, "Z")

const anthropicLimits = (standings: ReadonlyArray<Standing>, now: number): Headers =>
  Object.assign(
    {},
    ...standings.map(({ limit, remaining, reset, scope }) => ({
      [`anthropic-ratelimit-${scope}-limit`]: String(limit),
      [`anthropic-ratelimit-${scope}-remaining`]: String(remaining),
      [`anthropic-ratelimit-${scope}-reset`]: instant(now + reset)
    }))
  )

/** How the limits stand, in the vendor's headers; Gemini has none. */
export const limitHeaders = (name: ProtocolName, standings: ReadonlyArray<Standing>, now: number): Headers =>
  name === "anthropic" ? anthropicLimits(standings, now) : name === "gemini" ? {} : openAiLimits(standings)

/** The headers of any reply of the vendor's model. */
export const replyHeaders = (name: ProtocolName, id: string, millis: number): Headers => {
  switch (name) {
    case "openai-chat":
    case "openai-responses":
      return {
        "x-request-id": `req_${id}`,
        "openai-processing-ms": String(Math.round(millis)),
        "openai-version": "2020-10-01"
      }
    case "anthropic":
      return { "request-id": `req_${id}`, "anthropic-organization-id": "org-chaos" }
    case "gemini":
      return { "server": "scaffolding on HTTPServer2", "server-timing": `gfet4t7; dur=${Math.round(millis)}` }
  }
}

/** The host whose gateway a page of HTML comes from. */
export const hosts: Readonly<Record<ProtocolName, string>> = {
  "openai-chat": "api.openai.com",
  "openai-responses": "api.openai.com",
  "anthropic": "api.anthropic.com",
  "gemini": "generativelanguage.googleapis.com"
}
