/** Google's Gemini API (`generateContent`, `streamGenerateContent`) as the chaos server speaks it. */
import { isRecord, parse } from "../../shared/json.ts"
import type { Completion, Frame, Framing, ModelRequest, Protocol, Reply } from "../protocol.ts"
import { failure, jsonHeaders, streamError } from "./failures.ts"
import { callPrefix, isGemini3, readRequest } from "./read.ts"

type Call = Completion["toolCalls"][number]

const path = /^\/v1(?:beta|alpha)?\/(?:models\/([^/:]+)|(tunedModels\/[^/:]+)):(generateContent|streamGenerateContent)$/

const route: Protocol["route"] = (method, at, query) => {
  const [, base, tuned, action] = path.exec(at) ?? []
  const model = base ?? tuned
  if (method !== "POST" || model === undefined) return undefined
  return {
    model: decoded(model),
    stream: action === "streamGenerateContent",
    framing: query.get("alt") === "sse" ? "events" : "array"
  }
}

const decoded = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

// What is said --------------------------------------------------------------------------------------------------------

/** Gemini parses the calls of its model itself: arguments that are no object never reach the client. */
const isWhole = (call: Call): boolean => isRecord(parse(call.arguments))

interface Ending {
  readonly calls: ReadonlyArray<Call>
  readonly candidate: Readonly<Record<string, unknown>>
  readonly thoughtsTokens: number | undefined
}

/** Which calls come through, and how the reply ends. */
const endingOf = (said: Completion): Ending => {
  const broken = said.toolCalls.find((call) => !isWhole(call))
  if (said.finishReason === "length") {
    return {
      calls: said.toolCalls.slice(0, broken === undefined ? undefined : said.toolCalls.indexOf(broken)),
      candidate: { finishReason: "MAX_TOKENS", index: 0 },
      thoughtsTokens: said.completionTokens
    }
  }
  if (broken === undefined) {
    return {
      calls: said.toolCalls,
      candidate: { finishReason: "STOP", index: 0 },
      thoughtsTokens: said.completionTokens
    }
  }
  const finishMessage = `Malformed function call: call:${broken.name}${broken.arguments}`
  return {
    calls: [],
    candidate: { finishReason: "MALFORMED_FUNCTION_CALL", index: 0, finishMessage },
    thoughtsTokens: undefined
  }
}

const usage = (said: Completion, thoughtsTokens: number | undefined) => ({
  promptTokenCount: said.promptTokens,
  ...(thoughtsTokens === undefined ? {} : { candidatesTokenCount: thoughtsTokens }),
  totalTokenCount: said.promptTokens + (thoughtsTokens ?? 0),
  promptTokensDetails: [{ modality: "TEXT", tokenCount: said.promptTokens }]
})

/** A reply, or a chunk of one: they have one shape. */
const responseOf = (said: Completion, candidate: object | undefined, thoughtsTokens: number | undefined) => ({
  ...(candidate === undefined ? {} : { candidates: [candidate] }),
  usageMetadata: usage(said, thoughtsTokens),
  modelVersion: said.model,
  responseId: said.id
})

const contentOf = (parts: ReadonlyArray<unknown>) => ({ ...(parts.length === 0 ? {} : { parts }), role: "model" })

/** Models of the third generation sign the first of the calls they make together. */
const signature = (said: Completion, index: number) =>
  isGemini3(said.model) && index === 0 ? { thoughtSignature: `${said.id}AA==`.replace(/[^A-Za-z0-9+/=]/g, "") } : {}

/** Stands for the arguments of a call until the text around them is written. */
const callPart = (said: Completion, marker: string) => (call: Call, index: number) => ({
  functionCall: { id: callPrefix + call.id, name: call.name, args: `${marker}${index}` },
  ...signature(said, index)
})

/** A word that the reply does not hold. */
const markerFor = (said: Completion): string => {
  const text = JSON.stringify(said)
  let marker = "arguments"
  while (text.includes(marker)) marker += "_"
  return marker
}

/** JSON with the arguments as they were written, but for line ends, which no event may hold and only blanks can be. */
const write = (value: unknown, marker: string, calls: ReadonlyArray<Call>): string =>
  JSON.stringify(value).replace(
    new RegExp(`"${marker}(\\d+)"`, "g"),
    (_, index: string) => (calls[Number(index)]?.arguments ?? "{}").replace(/[\r\n]/g, " ")
  )

const sent = (body: string): Reply => ({ _tag: "Reply", status: 200, headers: jsonHeaders, body })

const reply: Protocol["reply"] = (said) => {
  const { calls, candidate, thoughtsTokens } = endingOf(said)
  const marker = markerFor(said)
  const parts = [
    ...(said.text === undefined || said.text === "" ? [] : [{ text: said.text }]),
    ...calls.map(callPart(said, marker))
  ]
  // A malformed call leaves no content at all.
  const content = thoughtsTokens === undefined ? {} : { content: contentOf(parts) }
  return sent(write(responseOf(said, { ...content, ...candidate }, thoughtsTokens), marker, calls))
}

// Streams -------------------------------------------------------------------------------------------------------------

/** Some words at a time, as the service sends them; joined, they are the text. */
const pieces = (text: string): ReadonlyArray<string> => text.match(/[^]{1,24}(?:(?=[ \n])|$)|[^]{1,24}/gu) ?? []

const framed = (framing: Framing | undefined, bodies: ReadonlyArray<readonly [Frame["kind"], string]>) =>
  framing === "array"
    ? [
      { kind: "start" as const, text: "[" },
      ...bodies.map(([kind, body], index) => ({ kind, text: index === 0 ? body : `,\r\n${body}` })),
      { kind: "end" as const, text: "]" }
    ]
    : bodies.map(([kind, body]) => ({ kind, text: `data: ${body}\r\n\r\n` }))

const streamHeaders = (framing: Framing | undefined) => ({
  ...jsonHeaders,
  "content-type": framing === "array" ? "application/json; charset=UTF-8" : "text/event-stream",
  "content-disposition": "attachment"
})

/** Counts are running totals; how it ended comes by itself, after the last that was said. */
const stream = (said: Completion, { framing }: ModelRequest): ReturnType<Protocol["stream"]> => {
  const { calls, candidate, thoughtsTokens } = endingOf(said)
  const marker = markerFor(said)
  const contents = [
    ...pieces(said.text ?? "").map((text) => ({ text })),
    ...calls.map(callPart(said, marker))
  ]
  const total = thoughtsTokens ?? 0
  const bodies = [
    ...contents.map((part, index) =>
      [
        "content" as const,
        write(
          responseOf(said, { content: contentOf([part]), index: 0 }, Math.ceil(total * (index + 1) / contents.length)),
          marker,
          calls
        )
      ] as const
    ),
    [
      "finish" as const,
      JSON.stringify(
        responseOf(
          said,
          thoughtsTokens === undefined ? candidate : { content: contentOf([{ text: "" }]), ...candidate },
          thoughtsTokens
        )
      )
    ] as const
  ]
  return { headers: streamHeaders(framing), frames: framed(framing, bodies) }
}

/** Among events the service writes it as bare JSON, without `data:`; in an array it is the last element. */
const errorFrame: Protocol["errorFrame"] = (kind, _, { framing }, when) => {
  const body = JSON.stringify(streamError(kind), undefined, 2)
  return framing === "array" ? `${when === "first" ? "[" : ",\r\n"}${body}]` : `${body}\r\n\r\n`
}

const brokenFrame: Protocol["brokenFrame"] = (said, { framing }) => {
  const whole = JSON.stringify(responseOf(said, { content: contentOf([{ text: "Hel" }]), index: 0 }, 1))
  const half = whole.slice(0, Math.floor(whole.length / 2))
  return framing === "array" ? `,\r\n${half}` : `data: ${half}\r\n\r\n`
}

export const gemini: Protocol = {
  name: "gemini",
  route,
  key: (headers, query) => headers["x-goog-api-key"] ?? query.get("key") ?? undefined,
  read: readRequest,
  failure,
  reply,
  empty: (said) => sent(JSON.stringify(responseOf(said, undefined, undefined))),
  stream,
  errorFrame,
  brokenFrame
}
