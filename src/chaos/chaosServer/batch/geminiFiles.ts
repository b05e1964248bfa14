/** Gemini's Files API, as far as batches need it: uploads in one or several pieces, or as one multipart body. */
import * as DateTime from "effect/DateTime"
import * as HashMap from "effect/HashMap"
import { isRecord, own, parse } from "../../shared/json.ts"
import { failed as failedReply, invalid, jsonHeaders } from "../gemini/failures.ts"
import { gemini } from "../gemini/protocol.ts"
import type { Reply } from "../protocol.ts"
import type { Terms } from "./lines.ts"
import * as Office from "./office.ts"
import { partsOf } from "./parts.ts"

const mostBytes = 2_000_000_000
const hourMillis = 3_600_000

const reply = (body: unknown, headers: Readonly<Record<string, string>> = {}): Reply => ({
  _tag: "Reply",
  status: 200,
  headers: { ...jsonHeaders, ...headers },
  body: JSON.stringify(body, undefined, 2)
})

const time = (millis: number): string => DateTime.formatIso(DateTime.unsafeMake(Math.floor(millis)))

const fileObject = (name: string, file: Office.StoredFile) => ({
  name,
  displayName: file.name,
  mimeType: file.mimeType,
  sizeBytes: String(Office.bytesOf(file.text)),
  createTime: time(file.createdAt),
  updateTime: time(file.createdAt),
  expirationTime: time(file.createdAt + 48 * hourMillis),
  uri: `https://generativelanguage.googleapis.com/v1beta/${name}`,
  state: "ACTIVE",
  source: "UPLOADED"
})

const store = (terms: Terms, file: Office.StoredFile) => (office: Office.Office): Office.Answered => {
  const [name, after] = Office.store(terms, file, (bare) => `files/${bare}`)(office)
  return [reply({ file: fileObject(name, file) }, { "x-goog-upload-status": "final" }), after]
}

const described = (metadata: unknown, mimeType: string, text: string, createdAt: number): Office.StoredFile => {
  const file = own(metadata, "file")
  const name = own(file, "displayName") ?? own(file, "display_name")
  return { name: typeof name === "string" ? name : "", mimeType, purpose: "batch", text, createdAt }
}

const start = (terms: Terms, { body, headers, now, origin, path }: Office.Call) =>
(
  office: Office.Office
): Office.Answered => {
  const metadata = parse(body === "" ? "{}" : body)
  if (!isRecord(metadata)) return [invalid("Invalid JSON payload received."), office]
  const mimeType = headers["x-goog-upload-header-content-type"] ?? "application/octet-stream"
  const id = Office.nextId(terms, "upload", office.fileOrders)
  return [
    reply({}, {
      "x-goog-upload-status": "active",
      "x-goog-upload-url": `${origin}${path}?upload_id=${id}&upload_protocol=resumable`,
      "x-goog-upload-chunk-granularity": "262144"
    }),
    {
      ...office,
      fileOrders: office.fileOrders + 1,
      uploads: HashMap.set(office.uploads, id, described(metadata, mimeType, "", now))
    }
  ]
}

/** Pieces may end within a letter, so they are kept as bytes, one in each unit of the text, until they are whole. */
const decoded = (bytes: string): string =>
  new TextDecoder().decode(Uint8Array.from(bytes, (unit) => unit.charCodeAt(0)))

const goOn =
  (terms: Terms, { body, headers }: Office.Call, id: string, isLast: boolean) =>
  (office: Office.Office): Office.Answered => {
    const begun = HashMap.get(office.uploads, id)
    if (begun._tag === "None") return [failedReply(404, "Upload not found."), office]
    const { text } = begun.value
    if (headers["x-goog-upload-offset"] !== String(text.length)) {
      return [invalid(`Upload offset does not match: ${text.length} bytes have been received.`), office]
    }
    const file = { ...begun.value, text: text + body }
    if (file.text.length > mostBytes) return [gemini.failure({ _tag: "BodyTooLarge" }), office]
    return isLast
      ? store(terms, { ...file, text: decoded(file.text) })({ ...office, uploads: HashMap.remove(office.uploads, id) })
      : [reply({}, { "x-goog-upload-status": "active" }), { ...office, uploads: HashMap.set(office.uploads, id, file) }]
  }

/** Bodies of uploads come as bytes, one in each unit of the text. */
const upload = (terms: Terms, call: Office.Call) => (office: Office.Office): Office.Answered => {
  const { headers, method, now, query } = call
  const commands = (headers["x-goog-upload-command"] ?? "").split(",").map((command) => command.trim())
  const id = query.get("upload_id")
  if (id !== null && (method === "POST" || method === "PUT") && commands.includes("upload")) {
    return goOn(terms, call, id, commands.includes("finalize"))(office)
  }
  if (method !== "POST") return [gemini.failure({ _tag: "UnknownUrl", method, url: call.path }), office]
  if (commands.includes("start")) return start(terms, { ...call, body: decoded(call.body) })(office)
  const [about, content] = partsOf(headers["content-type"] ?? "", call.body) ?? []
  if (about === undefined || content === undefined) return [invalid("Failed to parse the multipart body."), office]
  const mimeType = content.contentType ?? "application/octet-stream"
  return store(terms, described(parse(decoded(about.text)), mimeType, decoded(content.text), now))(office)
}

const one = ({ method }: Office.Call, name: string) => (office: Office.Office): Office.Answered => {
  const stored = HashMap.get(office.files, name)
  // The service does not tell a file that is gone from one that is another's.
  if (stored._tag === "None") {
    return [failedReply(403, `You do not have permission to access the File ${name} or it may not exist.`), office]
  }
  return method === "DELETE"
    ? [reply({}), { ...office, files: HashMap.remove(office.files, name) }]
    : [reply(fileObject(name, stored.value)), office]
}

export const file = { upload, one } as const
