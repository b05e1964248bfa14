/**
 * Reads every error envelope seen in the wild into one shape: OpenAI's `{error:{…}}`, flat ones, `error` as a string,
 * arrays, FastAPI's `detail`, errors doubly encoded in `message` or in OpenRouter's `metadata.raw`, event-stream
 * payloads, bare text and HTML pages. What the facts mean is decided in `classify.ts`.
 */
import type { Headers } from "../../internal/hints.ts"
import { readJson } from "../../internal/readJson.ts"
import { isRecord } from "../../internal/record.ts"
import * as vendorNumbers from "./vendorNumbers.ts"

/** What a body says, whatever its shape. Codes are lower case without punctuation: `RATE_LIMIT_EXCEEDED` is `ratelimitexceeded`. */
export interface ErrorBody {
  /** The body speaks of an error; a 200 with such a body is no success. */
  readonly isError: boolean
  /** The body is an HTML page, which an API never sends: a proxy or a wrong address does. */
  readonly isHtml: boolean
  /** Every machine-readable word: type, code, status, reason, exception class. */
  readonly codes: ReadonlySet<string>
  /** Every sentence, with addresses taken out, because words in a URL (`/settings/billing`) say nothing. */
  readonly text: string
  /** The provider's own main sentence, as it stood. */
  readonly detail: string | undefined
  /** An HTTP status told inside the body. */
  readonly status: number | undefined
  readonly param: string | undefined
  readonly requestId: string | undefined
  readonly failedGeneration: string | undefined
  /** google.rpc quota identifiers, such as `GenerateRequestsPerDayPerProjectPerModel-FreeTier`. */
  readonly quotas: ReadonlyArray<string>
  /** google.rpc `RetryInfo.retryDelay` or `quotaResetDelay`, as spelled. */
  readonly retryDelay: string | undefined
  /** An absolute reset time, as spelled. */
  readonly resetTime: string | undefined
  /** Filter categories that fired. */
  readonly categories: ReadonlyArray<string>
  /** Rate-limit headers that a gateway repeats in its body. */
  readonly headers: Headers
}

type Fields = Readonly<Record<string, unknown>>

/** MiniMax's `base_resp`: it stands in every reply, and says 0 where nothing failed. */
export const isFault = (base: unknown): base is Fields =>
  isRecord(base) && typeof base["status_code"] === "number" && base["status_code"] !== 0

const textLimit = 32_768

/** Some 150 patterns run over the words: what an error says stands at the start of a long text, or at its end. */
const wordsLimit = { start: 6_144, end: 2_048 } as const
const depthLimit = 8
const sizeLimit = 4_194_304

/** One spelling for all: letters and digits in lower case. */
export const canonical = (code: string): string => code.toLowerCase().replace(/[^a-z0-9]/g, "")

const parse = (text: string): unknown => {
  if (text.length > sizeLimit || !/^\s*[{["]/.test(text)) return undefined
  try {
    return readJson(text)
  } catch {
    return undefined
  }
}

const htmlStart = /^\s*(?:<!--[\s\S]{0,500}?-->\s*)?(?:<!doctype html|<html|<head|<body|<\?xml|<center>|<h1>)/i

/** The sentence of an HTML page: its title and first headings. */
const readable = (html: string): string =>
  html.slice(0, textLimit)
    .replace(/<(script|style)\b[\s\S]*?(?:<\/\1>|$)/gi, " ")
    .replace(/<[^<>]*>/g, " ")
    .replace(/&nbsp;/g, " ").replace(/&#39;/g, "'").replace(/&amp;/g, "&")
    .replace(/\s+/g, " ").trim().slice(0, 500)

/** Codes in text that has an envelope printed inside it, as proxies do: `"code": "insufficient_quota"` or Python's repr. */
const printedCode = /(?<!\\)\\*["'](?:type|code|status|reason)\\*["']\s*:\s*\\*["']([A-Za-z_]{4,60})\\*["']/g
const printedStatus = /(?:error code|status(?: code)?|statusCode)\W{1,4}([45]\d\d)\b/i
const exceptionName = /\b(?:litellm\.|openai\.|anthropic\.)?([A-Z][A-Za-z]+(?:Error|Exception|Exceeded))\b/g

/** Fields that hold a wait, the most exact first; `estimated_time` is Hugging Face's for a model that loads. */
const delayFields: ReadonlyArray<readonly [name: string, unit: "s" | "ms"]> = [
  ["retry_after_ms", "ms"],
  ["retryAfterMs", "ms"],
  ["retry_after", "s"],
  ["retryAfter", "s"],
  ["retry_after_seconds", "s"],
  ["resets_in_seconds", "s"],
  ["estimated_time", "s"]
]

/** A number, also one written as text; protobuf's JSON writes 64-bit ones so. Nothing else is asked for its text. */
const numberIn = (value: unknown, otherwise = 0): number =>
  typeof value === "number" ? value : typeof value === "string" && value.trim() !== "" ? Number(value) : otherwise

/** FastAPI's place of a fault, `["body", "messages", 0]`. */
const placeIn = (steps: ReadonlyArray<unknown>): string =>
  steps.slice(0, 50).filter((step) => step !== "body" && (typeof step === "string" || typeof step === "number")).join(
    "."
  )

class Collector {
  isError = false
  detail: string | undefined
  status: number | undefined
  param: string | undefined
  requestId: string | undefined
  failedGeneration: string | undefined
  retryDelay: string | undefined
  resetTime: string | undefined
  readonly codes = new Set<string>()
  readonly texts = new Set<string>()
  readonly quotas: Array<string> = []
  readonly categories = new Set<string>()
  readonly headers: Record<string, string> = {}

  code(value: unknown): void {
    if (typeof value === "number" && Number.isInteger(value)) this.statusOf(value)
    if (typeof value !== "string" || value === "" || value.length > 200) return
    if (/^\d{3}$/.test(value)) this.statusOf(Number(value))
    // xAI writes whole sentences into `code`.
    if (/\s/.test(value)) {
      this.texts.add(value)
      return
    }
    this.codes.add(canonical(value))
    // Volcengine's codes have two halves: `RateLimitExceeded.EndpointTPMExceeded`.
    if (value.includes(".")) { for (const half of value.split(".").slice(0, 4)) this.codes.add(canonical(half)) }
  }

  statusOf(value: unknown): void {
    if (typeof value === "number" && Number.isInteger(value) && value >= 400 && value <= 599) this.status ??= value
  }

  /** A sentence, or another body written into it. */
  say(value: unknown, depth: number): void {
    if (typeof value !== "string" || value === "") return
    const inner = parse(value)
    if (isRecord(inner) || Array.isArray(inner)) {
      this.error(inner, depth + 1)
      return
    }
    this.texts.add(value)
    this.code(vendorNumbers.behindSentence(value))
    // OpenRouter's own sentence says nothing; the upstream's, which comes after it, does.
    if (this.detail === undefined || /^provider returned error$/i.test(this.detail)) this.detail = value
    for (const match of value.slice(0, textLimit).matchAll(printedCode)) this.codes.add(canonical(match[1] ?? ""))
    for (const match of value.slice(0, textLimit).matchAll(exceptionName)) this.codes.add(canonical(match[1] ?? ""))
    const status = printedStatus.exec(value.slice(0, textLimit))
    if (status !== null) this.statusOf(Number(status[1]))
  }

  /** Something that is an error: the object, the string or the list under `error`, or a flat body. */
  error(value: unknown, depth: number): void {
    if (depth > depthLimit) return
    if (typeof value === "string") return this.say(value, depth)
    if (Array.isArray(value)) {
      for (const each of value.slice(0, 20)) this.error(each, depth + 1)
      return
    }
    if (!isRecord(value)) return
    this.isError = true
    for (const name of ["message", "msg", "detail", "error_description", "title", "Message", "html-message"]) {
      const field = value[name]
      if (typeof field === "string") this.say(field, depth)
      else if (field !== undefined) this.error(field, depth + 1)
    }
    for (const name of ["code", "type", "status", "reason", "error_code", "errorCode", "__type", "error_type"]) {
      this.code(value[name])
    }
    this.code(vendorNumbers.ofZhipu(value))
    for (const name of ["status_code", "statusCode", "raw_status_code", "httpStatus"]) this.statusOf(value[name])
    if (typeof value["param"] === "string" && value["param"] !== "") this.param ??= value["param"]
    if (Array.isArray(value["loc"])) this.param ??= placeIn(value["loc"])
    this.request(value)
    if (typeof value["failed_generation"] === "string") this.failedGeneration ??= value["failed_generation"]
    for (const [name, unit] of delayFields) this.delay(value[name], unit)
    if (typeof value["resets_at"] === "number") this.resetTime ??= String(value["resets_at"])
    for (const name of ["error", "errors", "innererror", "inner_error", "cause", "body", "error_chain"]) {
      if (value[name] !== undefined && value[name] !== null) this.error(value[name], depth + 1)
    }
    if (Array.isArray(value["details"])) {
      for (const each of value["details"].slice(0, 20)) {
        this.rpcDetail(each, depth)
      }
    } else if (value["details"] !== undefined) this.error(value["details"], depth + 1)
    if (isRecord(value["metadata"])) this.metadata(value["metadata"], depth)
    this.filters(value["content_filter_result"] ?? value["content_filter_results"])
  }

  request(value: Fields): void {
    for (const name of ["request_id", "requestId", "request-id"]) {
      const id = value[name]
      if (typeof id === "string" && id !== "") this.requestId ??= id
    }
  }

  /** A wait in a field of its own: a number, or a text with or without its unit. */
  delay(value: unknown, unit: "s" | "ms"): void {
    if (typeof value === "number" && value >= 0) this.retryDelay ??= `${value}${unit}`
    else if (typeof value === "string" && value !== "") {
      this.retryDelay ??= /^\d+(?:\.\d+)?$/.test(value) ? `${value}${unit}` : value
    }
  }

  /** One entry of google.rpc `details`. */
  rpcDetail(value: unknown, depth: number): void {
    if (!isRecord(value)) return this.error(value, depth + 1)
    const kind = typeof value["@type"] === "string" ? value["@type"] : ""
    if (kind === "") return this.error(value, depth + 1)
    this.code(value["reason"])
    const delay = value["retryDelay"]
    if (typeof delay === "string") this.retryDelay ??= delay
    // A protobuf duration before it is spelled as JSON.
    if (isRecord(delay)) this.retryDelay ??= `${numberIn(delay["seconds"]) + numberIn(delay["nanos"]) / 1e9}s`
    for (const each of Array.isArray(value["violations"]) ? value["violations"].slice(0, 50) : []) {
      if (!isRecord(each)) continue
      for (const name of ["quotaId", "quotaMetric"]) if (typeof each[name] === "string") this.quotas.push(each[name])
      if (numberIn(each["quotaValue"], NaN) === 0) this.quotas.push("limit: 0")
    }
    const metadata = value["metadata"]
    if (!isRecord(metadata)) return
    for (const name of ["quota_limit", "quota_metric", "quota_unit"]) {
      if (typeof metadata[name] === "string") this.quotas.push(metadata[name])
    }
    if (numberIn(metadata["quota_limit_value"], NaN) === 0) this.quotas.push("limit: 0")
    if (typeof metadata["quotaResetDelay"] === "string") this.retryDelay ??= metadata["quotaResetDelay"]
    if (typeof metadata["quotaResetTimeStamp"] === "string") this.resetTime ??= metadata["quotaResetTimeStamp"]
  }

  /** OpenRouter: the upstream's own body, the reasons of a moderation, the wait, the headers of the limit. */
  metadata(value: Fields, depth: number): void {
    for (const [name, unit] of delayFields) this.delay(value[name], unit)
    const raw = value["raw"]
    if (typeof raw === "string") this.say(raw, depth)
    else if (raw !== undefined) this.error(raw, depth + 1)
    for (const name of ["limit_source", "error_type", "previous_errors"]) {
      if (typeof value[name] === "string") this.texts.add(value[name])
    }
    this.code(value["error_type"])
    if (Array.isArray(value["reasons"]) && value["flagged_input"] !== undefined) {
      this.codes.add("moderation")
      for (const reason of value["reasons"]) if (typeof reason === "string") this.categories.add(reason)
    }
    if (!isRecord(value["headers"])) return
    for (const [name, told] of Object.entries(value["headers"])) {
      if (typeof told === "string" || typeof told === "number") this.headers[name] = String(told)
    }
  }

  /** Azure: which filters fired. */
  filters(value: unknown): void {
    if (!isRecord(value)) return
    for (const [name, result] of Object.entries(value)) {
      if (isRecord(result) && result["filtered"] === true) this.categories.add(name)
    }
  }

  /** A whole payload: an error, a reply with an error in it, or a reply that is one. */
  payload(value: unknown, depth: number): void {
    if (depth > depthLimit) return
    if (Array.isArray(value)) {
      for (const each of value.slice(0, 50)) this.payload(each, depth + 1)
      return
    }
    if (!isRecord(value)) return depth > 0 ? this.say(value, depth) : undefined
    this.request(value)
    const response = value["response"]
    if (isRecord(response)) this.payload(response, depth + 1)
    const hasReply = ["choices", "candidates", "output", "content"].some((name) => {
      const field = value[name]
      return Array.isArray(field) && field.length > 0
    })
    if (hasReply || value["promptFeedback"] !== undefined || value["stop_reason"] !== undefined) this.reply(value)
    const base = value["base_resp"]
    if (isFault(base)) {
      this.error({ message: base["status_msg"], code: vendorNumbers.ofMiniMax(base["status_code"]) }, depth)
    }
    if (value["success"] === false && Array.isArray(value["errors"])) {
      for (const each of value["errors"].slice(0, 20)) {
        if (isRecord(each)) this.code(vendorNumbers.ofCloudflare(each["code"]))
      }
    }
    const error = value["error"] ?? value["errors"]
    if (error !== undefined && error !== null && error !== false && error !== "") {
      // The envelope may carry words of its own beside `error`: xAI's `code`, FastAPI's `detail`, `status`.
      this.error(hasReply ? { error } : value, depth)
    } else if (!hasReply && this.looksFlat(value)) {
      this.error(value, depth)
    }
  }

  /** `{object:"error"}`, `{type:"error"}`, `{message, code}`, `{detail}`: errors without an envelope. */
  looksFlat(value: Fields): boolean {
    const says = value["message"] ?? value["detail"] ?? value["Message"] ?? value["msg"] ?? value["title"] ??
      value["html-message"]
    return value["object"] === "error" || value["type"] === "error" || value["status"] === "failed" ||
      (says !== undefined && says !== null && says !== "") ||
      (typeof value["code"] === "string" && typeof value["type"] === "string")
  }

  /** Finish reasons that mean the reply is none. */
  reply(value: Fields): void {
    const entries = [value["choices"], value["candidates"]].flatMap((list) => Array.isArray(list) ? list : [])
    for (const entry of [value, ...entries]) {
      if (!isRecord(entry)) continue
      if (entry !== value && entry["error"] !== undefined && entry["error"] !== null) this.error(entry["error"], 1)
      for (const name of ["finish_reason", "finishReason", "native_finish_reason", "stop_reason"]) {
        const reason = entry[name]
        if (typeof reason !== "string") continue
        const code = `finish${canonical(reason)}`
        this.codes.add(code)
        if (typeof entry["finishMessage"] === "string") this.say(entry["finishMessage"], 1)
      }
      this.filters(entry["content_filter_results"])
    }
    const feedback = value["promptFeedback"]
    if (isRecord(feedback) && typeof feedback["blockReason"] === "string") {
      this.codes.add("blockreason")
      this.categories.add(feedback["blockReason"])
    }
    const incomplete = value["incomplete_details"]
    if (isRecord(incomplete) && typeof incomplete["reason"] === "string") {
      this.codes.add(`finish${canonical(incomplete["reason"])}`)
    }
  }
}

/** The payloads of an event stream, and what stands between them without `data:`, as Gemini appends its errors. */
const streamPayloads = (text: string): ReadonlyArray<unknown> => {
  const lines = text.split(/\r?\n/)
  const data = lines.flatMap((line) => line.startsWith("data:") ? [parse(line.slice(5).trim())] : [])
  const rest = lines.filter((line) => !/^(?:data|event|id|retry)?:/.test(line)).join("\n").trim()
  const tail = parse(rest)
  return [...data, tail].filter((payload) => payload !== undefined)
}

const shortened = (text: string): string =>
  text.length <= wordsLimit.start + wordsLimit.end
    ? text
    : `${text.slice(0, wordsLimit.start)}\n${text.slice(-wordsLimit.end)}`

const withoutAddresses = (text: string): string => text.replace(/\b(?:https?:\/\/|www\.)\S+/gi, " ")

const stringOf = (body: unknown): string | undefined =>
  typeof body === "string" ? body.replace(/^\uFEFF/, "") : undefined

/** Reads a body, text or already parsed, and the code that stands beside it in a header. Never throws. */
export const read = (body: unknown, code?: string): ErrorBody => {
  const found = new Collector()
  found.code(code)
  const raw = stringOf(body)
  const isHtml = raw !== undefined && htmlStart.test(raw)
  if (raw === undefined) {
    found.payload(body, 0)
  } else if (isHtml) {
    const text = readable(raw)
    found.texts.add(text)
    found.detail = text === "" ? undefined : text
  } else {
    const parsed = parse(raw)
    if (typeof parsed === "string") found.say(parsed, 0)
    else if (parsed !== undefined) found.payload(parsed, 0)
    else {
      const payloads = streamPayloads(raw)
      for (const payload of payloads) found.payload(payload, 0)
      // Bare words, or JSON cut short: the words still tell.
      if (payloads.length === 0) {
        found.say(raw.slice(0, textLimit), 0)
        found.detail = raw.trim() === "" ? undefined : raw.trim().slice(0, 1_000)
      }
    }
  }
  return {
    isError: found.isError,
    isHtml,
    codes: found.codes,
    text: withoutAddresses(shortened([...found.texts].join("\n"))),
    detail: found.detail,
    status: found.status,
    param: found.param,
    requestId: found.requestId,
    failedGeneration: found.failedGeneration,
    quotas: found.quotas,
    retryDelay: found.retryDelay,
    resetTime: found.resetTime,
    categories: [...found.categories],
    headers: found.headers
  }
}
