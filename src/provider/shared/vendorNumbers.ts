/** Numbers that vendors use for codes, in the words that others use. */

/** MiniMax's `base_resp.status_code`, https://platform.minimax.io/docs/api-reference/errorcode. */
const miniMax: ReadonlyMap<number, string> = new Map([
  [1001, "timeout"],
  [1002, "rate_limit_exceeded"],
  [1004, "authentication_error"],
  [1008, "insufficient_balance"],
  [1013, "internal_error"],
  [1024, "internal_error"],
  [1026, "content_filter"],
  [1027, "output_content_filtered"],
  [1033, "internal_error"],
  [1039, "rate_limit_exceeded"],
  [1041, "concurrency_limit_exceeded"],
  [1042, "invalid_parameter"],
  [2013, "invalid_parameter"],
  [2045, "rate_limit_exceeded"],
  [2049, "invalid_api_key"],
  [2056, "usage_limit_exceeded"]
])

/** Zhipu's `error.code`, https://docs.bigmodel.cn/cn/faq/api-code; sent as text. */
const zhipu: ReadonlyMap<string, string> = new Map([
  ["1000", "authentication_error"],
  ["1001", "authentication_error"],
  ["1002", "invalid_api_key"],
  ["1003", "token_expired"],
  ["1004", "authentication_error"],
  ["1110", "account_inactive"],
  ["1113", "insufficient_balance"],
  ["1210", "invalid_parameter"],
  ["1211", "model_not_found"],
  ["1212", "unsupported_feature"],
  ["1213", "invalid_parameter"],
  ["1214", "invalid_parameter"],
  ["1220", "permission_denied"],
  ["1221", "model_not_found"],
  ["1222", "model_not_found"],
  ["1230", "internal_error"],
  ["1234", "connection_error"],
  ["1261", "prompt_too_long"],
  ["1301", "content_filter"],
  ["1302", "concurrency_limit_exceeded"],
  ["1303", "rate_limit_exceeded"],
  ["1304", "daily_limit_exceeded"],
  ["1305", "server_overloaded"],
  ["1308", "usage_limit_reached"],
  ["1309", "subscription_expired"],
  ["1310", "usage_limit_reached"],
  ["1312", "server_overloaded"]
])

/** Cloudflare's Workers AI, https://developers.cloudflare.com/workers-ai/platform/errors. */
const cloudflare: ReadonlyMap<number, string> = new Map([
  [3007, "timeout"],
  [3008, "timeout"],
  [3036, "daily_limit_exceeded"],
  [3040, "server_overloaded"],
  [3041, "permission_denied"],
  [5007, "model_not_found"],
  [5021, "prompt_too_long"],
  [10_000, "authentication_error"]
])

export const ofMiniMax = (code: unknown): string | undefined => typeof code === "number" ? miniMax.get(code) : undefined

/** Mistral, whose errors say `object: "error"`, has numbers of its own in the same range. */
export const ofZhipu = (error: { readonly [field: string]: unknown }): string | undefined =>
  error["object"] === "error" ? undefined : zhipu.get(String(textOrNumber(error["code"])))

export const ofCloudflare = (code: unknown): string | undefined =>
  typeof code === "number" ? cloudflare.get(code) : undefined

/** MiniMax's number behind its sentence: "…, please check your input (1026)". */
export const behindSentence = (sentence: string): string | undefined => {
  const found = /\((\d{4})\)\s*$/.exec(sentence.slice(-12))
  return found === null ? undefined : miniMax.get(Number(found[1]))
}

const textOrNumber = (value: unknown): string | number | undefined =>
  typeof value === "string" || typeof value === "number" ? value : undefined
