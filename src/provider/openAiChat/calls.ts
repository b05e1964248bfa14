/**
 * The tool calls of a chat completion that comes in chunks: which call a piece belongs to, and what it adds. Pure.
 *
 * By the book a call is announced with index, id and name, and its arguments follow under the index alone. Servers bend each
 * of these. The rules, from the surest sign to the weakest:
 * - another id beside another name is another call;
 * - a name behind arguments that are whole begins another call: `f {"x":1}`, then `f {"x":2}` under one index are two;
 * - a name behind arguments that are not whole is the same name once more, or its next piece: `get_`, then `weather`.
 */
import { isRecord } from "../../internal/record.ts"
import * as StreamPart from "../../model/StreamPart.ts"
import * as callIds from "../shared/callIds.ts"
import { nonBlank, orEmptyObject } from "../shared/jsonBody.ts"
import * as jsonProgress from "../shared/jsonProgress.ts"
import * as table from "../shared/table.ts"
import { providerMetadataOf } from "./reply.ts"

/** A tool call that is being sent. Its place in the list is its index in our parts. */
export interface Call {
  /** What the server tells its calls apart by. */
  readonly key: number | undefined
  readonly id: string
  /** Whether the server gave the id. */
  readonly hasOwnId: boolean
  /** Empty until the server says it; only then the call is announced. */
  readonly name: string
  readonly arguments: string
  readonly progress: jsonProgress.Progress
  /** The last piece, as long as each piece may be all the arguments so far. */
  readonly wholePiece: string | undefined
  /** What the server adds to the call and wants back with it. */
  readonly extra: unknown
  readonly isAnnounced: boolean
}

/** The calls so far. */
export interface Calls {
  /** By their places. */
  readonly all: table.Table<number, Call>
  /** The place of the last call of each index, and of each id. */
  readonly byKey: table.Table<number, number>
  readonly byId: table.Table<string, number>
  readonly ids: callIds.CallIds
  /** A name that came alone behind whole arguments: the next call, if arguments follow, or else a repetition. */
  readonly next: { readonly place: number; readonly name: string } | undefined
}

export const none: Calls = {
  all: table.empty(),
  byKey: table.empty(),
  byId: table.empty(),
  ids: callIds.none,
  next: undefined
}

/** How many calls there are. */
export const count = ({ all }: Pick<Calls, "all">): number => table.size(all)

/** The calls while one chunk changes them. */
export interface Draft {
  all: Calls["all"]
  byKey: Calls["byKey"]
  byId: Calls["byId"]
  ids: Calls["ids"]
  next: Calls["next"]
  readonly parts: Array<StreamPart.StreamPart>
  /** The names of the tools that were offered, where they are known. */
  readonly tools: ReadonlySet<string> | undefined
}

export const draft = (
  { all, byId, byKey, ids, next }: Calls,
  parts: Array<StreamPart.StreamPart>,
  tools: ReadonlySet<string> | undefined
): Draft => ({ all, byKey, byId, ids, next, parts, tools })

export const settled = ({ all, byId, byKey, ids, next }: Draft): Calls => ({ all, byKey, byId, ids, next })

const at = <K>(map: table.Table<K, Call>, key: K): Call | undefined => table.get(map, key)

const placeAt = <K>(map: table.Table<K, number>, key: K): number | undefined => table.get(map, key)

/** One piece of a call as the server sent it. */
interface Piece {
  readonly key: number | undefined
  readonly id: string | undefined
  readonly name: string | undefined
  readonly arguments: string
  readonly extra: unknown
}

const isAbsent = (value: unknown): value is null | undefined => value === null || value === undefined

/** Arguments sent as an object are taken as they were written. */
const argumentsOf = (value: unknown, raw: () => string | undefined): string =>
  typeof value === "string" ? value : isAbsent(value) ? "" : raw() ?? JSON.stringify(value)

/** The piece, or what is wrong with it. */
const readPiece = (given: unknown, raw: () => string | undefined): Piece | string => {
  if (!isRecord(given)) return "delta.tool_calls holds what is no object"
  const called = given["function"] ?? {}
  if (!isRecord(called)) return "the function of a tool call is no object"
  const index = given["index"]
  return {
    key: typeof index === "number" ? index : undefined,
    id: nonBlank(given["id"]),
    name: nonBlank(called["name"]),
    arguments: argumentsOf(called["arguments"], raw),
    extra: given["extra_content"]
  }
}

const announce = (call: Call, place: number, parts: Array<StreamPart.StreamPart>): Call => {
  parts.push(StreamPart.toolCallStart(place, call.id, call.name))
  if (call.arguments !== "") parts.push(StreamPart.toolArgumentsDelta(place, call.arguments))
  return { ...call, isAnnounced: true }
}

/** Whether a name that differs from the call's own is that of another tool, and not the next piece of the name. */
const isOtherTool = (call: Call, name: string, tools: ReadonlySet<string> | undefined): boolean =>
  tools !== undefined && tools.has(call.name) && tools.has(name) && !tools.has(call.name + name)

/** Whether the piece begins another call than the one that its index or id leads to. */
const beginsAnother = (call: Call, piece: Piece, into: Draft): boolean => {
  const { id, name } = piece
  if (name === undefined || call.name === "") return false
  const hasOtherId = id !== undefined && call.hasOwnId && id !== call.id
  if (hasOtherId && name !== call.name) return true
  if (jsonProgress.isWhole(call.progress)) {
    // The same call once more, to the letter, is a repetition where an id says so.
    const isRepeated = id !== undefined && id === call.id && name === call.name &&
      (piece.arguments === "" || piece.arguments === call.arguments)
    return hasOtherId || (!isRepeated && (piece.arguments !== "" || name !== call.name))
  }
  return name !== call.name && isOtherTool(call, name, into.tools)
}

/** The place of the call that the piece goes on with; none for a new one. */
const placeOf = (piece: Piece, into: Draft): number | undefined => {
  const { id, key, name } = piece
  if (key !== undefined) return placeAt(into.byKey, key)
  if (id !== undefined) return placeAt(into.byId, id)
  const last = count(into) - 1
  const call = at(into.all, last)
  if (call === undefined) return undefined
  // A server without index and id sends whole calls: only a call that was cut goes on under a name.
  return name === undefined || (call.arguments !== "" && !jsonProgress.isWhole(call.progress)) ? last : undefined
}

const begin = (piece: Piece, into: Draft): number => {
  const place = count(into)
  const [id, ids] = callIds.take(into.ids, piece.id)
  into.ids = ids
  into.byId = table.set(into.byId, id, place)
  if (piece.key !== undefined) into.byKey = table.set(into.byKey, piece.key, place)
  into.all = table.set(into.all, place, {
    key: piece.key,
    id,
    hasOwnId: piece.id !== undefined,
    name: "",
    arguments: "",
    progress: jsonProgress.none,
    wholePiece: undefined,
    extra: undefined,
    isAnnounced: false
  })
  return place
}

/** A name that comes again changes nothing; one that goes on is joined, or replaced where it holds the start once more. */
const grownName = (name: string, more: string | undefined): string =>
  more === undefined || more === name
    ? name
    : more.length > name.length && more.startsWith(name)
    ? more
    : name + more

/** No API takes a longer name. To look at one that comes in many pieces again and again is more than in proportion to it. */
const longestName = 4_096

const grow = (place: number, call: Call, piece: Piece, into: Draft): string | undefined => {
  // A name behind whole arguments would have begun another call: here it is only repeated.
  const name = jsonProgress.isWhole(call.progress) && call.name !== "" ? call.name : grownName(call.name, piece.name)
  if (name.length > longestName) return `the name of a tool call is longer than ${longestName} characters`
  const isWholePiece = call.wholePiece === undefined
    ? call.arguments === ""
    : piece.arguments.startsWith(call.wholePiece)
  let next: Call = {
    ...call,
    name,
    arguments: call.arguments + piece.arguments,
    progress: jsonProgress.after(call.progress, piece.arguments),
    wholePiece: piece.arguments === "" ? call.wholePiece : isWholePiece ? piece.arguments : undefined,
    extra: piece.extra ?? call.extra
  }
  if (!next.isAnnounced || name !== call.name) {
    if (name !== "" && !next.isAnnounced) next = announce(next, place, into.parts)
    else if (next.isAnnounced) {
      into.parts.push(StreamPart.toolCallStart(place, call.id, name))
      if (piece.arguments !== "") into.parts.push(StreamPart.toolArgumentsDelta(place, piece.arguments))
    }
  } else if (piece.arguments !== "") {
    into.parts.push(StreamPart.toolArgumentsDelta(place, piece.arguments))
  }
  into.all = table.set(into.all, place, next)
  return undefined
}

/** Takes one piece; gives what is wrong with it. */
export const take = (into: Draft, given: unknown, raw: () => string | undefined): string | undefined => {
  const read = readPiece(given, raw)
  if (typeof read === "string") return read
  const { next } = into
  let piece = read
  const found = placeOf(piece, into)
  let place = found
  if (next !== undefined && found === next.place && (piece.name === undefined || piece.name === next.name)) {
    if (piece.arguments === "") return undefined
    piece = { ...piece, name: next.name }
    place = undefined
  }
  into.next = undefined
  const call = place === undefined ? undefined : at(into.all, place)
  if (call === undefined || place === undefined) {
    place = begin(piece, into)
  } else if (beginsAnother(call, piece, into)) {
    place = begin(piece, into)
  } else if (
    jsonProgress.isWhole(call.progress) && piece.name === call.name && piece.arguments === "" && piece.id === undefined
  ) {
    into.next = { place, name: call.name }
    return undefined
  } else if (jsonProgress.isWhole(call.progress) && piece.arguments === call.arguments && piece.id === call.id) {
    return undefined
  }
  const current = at(into.all, place)
  return current === undefined ? undefined : grow(place, current, piece, into)
}

/** The same call as a whole, as a closing message repeats it. What is new of it is added; what contradicts it is not. */
export const takeWhole = (
  into: Draft,
  index: number,
  given: unknown,
  raw: () => string | undefined
): string | undefined => {
  const piece = readPiece(given, raw)
  if (typeof piece === "string") return piece
  const place = (piece.id === undefined ? undefined : placeAt(into.byId, piece.id)) ??
    (index < count(into) ? index : undefined)
  const call = place === undefined ? undefined : at(into.all, place)
  if (call === undefined || place === undefined) return take(into, given, raw)
  const isSame = piece.name === undefined || call.name === "" || piece.name.startsWith(call.name)
  if (!isSame || !piece.arguments.startsWith(call.arguments)) return undefined
  return grow(place, call, { ...piece, arguments: piece.arguments.slice(call.arguments.length) }, into)
}

/** The arguments of a call that is over. Where each piece was all there was so far, the last one is the whole. */
const wholeArguments = (call: Call): string =>
  call.wholePiece !== undefined && !jsonProgress.isWhole(call.progress) && jsonProgress.isWholeText(call.wholePiece)
    ? call.wholePiece
    : call.arguments

/** Whether the arguments of all calls are whole. Nothing at all may be the start of some. */
export const areWhole = ({ all }: Calls): boolean =>
  table.entries(all).every(([, call]) => jsonProgress.isWholeText(wholeArguments(call)))

/** The calls as a whole, at the end of the reply. */
export const close = ({ all }: Calls, provider: string, parts: Array<StreamPart.StreamPart>): void => {
  const inOrder = [...table.entries(all)].sort(([left], [right]) => left - right)
  for (const [place, call] of inOrder) {
    if (!call.isAnnounced) announce(call, place, parts)
    parts.push(
      StreamPart.toolCall(
        place,
        call.id,
        call.name,
        orEmptyObject(wholeArguments(call)),
        providerMetadataOf(call.extra, provider)
      )
    )
  }
}
