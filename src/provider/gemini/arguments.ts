/**
 * The arguments of a function call that Gemini sends in pieces: `{ jsonPath: "$.items[0].name", stringValue: "Ap",
 * willContinue: true }`. The pieces are kept as they come, shown at once as growing JSON text, and put together at the end.
 *
 * Pure: a value here never changes, so a stream can be run twice.
 */
import * as Chunk from "effect/Chunk"
import * as Either from "effect/Either"

export type Path = readonly [string | number, ...ReadonlyArray<string | number>]

/** One value, or a piece of a text, and where it belongs. */
export interface Piece {
  readonly path: Path
  /** For a text its piece, else the JSON text of a number, a boolean or null, as it was written. */
  readonly value: { readonly text: string } | { readonly json: string }
  /** More of this text follows. */
  readonly continues: boolean
}

/** What has come of a call's arguments, and how far their text has been shown. */
export interface Pieces {
  readonly all: Chunk.Chunk<Piece>
  readonly shown: Shown
}

/** The containers that the shown text has open, from the root on; `step` is where each stands in its parent. */
interface Shown {
  readonly open: ReadonlyArray<{ readonly step: string | number; readonly isArray: boolean; readonly size: number }>
  /** The path of the text whose closing quote is still owed. */
  readonly text: Path | undefined
}

export const none: Pieces = { all: Chunk.empty(), shown: { open: [], text: undefined } }

/** Deeper than any arguments; the strict reader refuses deeper ones too. */
const deepest = 256

/** A longer array is not built from single values, and an index beyond it would only fill memory. */
const longest = 100_000

/** Elements that may be left out before one of a list. */
const mostHoles = 16

const stepPattern = /\.([^.[\]]+)|\[(\d{1,9})\]|\[(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)")\]/y

/** `$.operations[0].item`, `$['odd name']`. At least one step, the first a name, as arguments are an object. */
export const parsePath = (text: string): Path | undefined => {
  if (!text.startsWith("$")) return undefined
  const steps: Array<string | number> = []
  stepPattern.lastIndex = 1
  for (let at = 1; at < text.length; at = stepPattern.lastIndex) {
    const found = stepPattern.exec(text)
    if (found === null || steps.length >= deepest) return undefined
    const index = found[2]
    if (index !== undefined && Number(index) >= longest) return undefined
    const quoted = found[3] ?? found[4]
    steps.push(index === undefined ? quoted?.replace(/\\(.)/g, "$1") ?? found[1] ?? "" : Number(index))
  }
  const [first, ...rest] = steps
  return typeof first === "string" ? [first, ...rest] : undefined
}

/** The members of a JSON text without the quotes round it. */
const escaped = (text: string): string => JSON.stringify(text).slice(1, -1)

const samePath = (left: Path | undefined, right: Path): boolean =>
  left !== undefined && left.length === right.length && left.every((step, index) => step === right[index])

const closers = (open: Shown["open"], from: number): string =>
  open.slice(from).reverse().map((container) => container.isArray ? "]" : "}").join("")

/** The text that shows one more piece. */
const show = (shown: Shown, piece: Piece): readonly [string, Shown] => {
  const { path, value } = piece
  const shownText = "text" in value ? escaped(value.text) : value.json
  if ("text" in value && samePath(shown.text, path)) {
    return [piece.continues ? shownText : `${shownText}"`, piece.continues ? shown : { ...shown, text: undefined }]
  }
  let out = shown.text === undefined ? "" : "\""
  const open = [...shown.open]
  if (open.length === 0) {
    open.push({ step: "$", isArray: false, size: 0 })
    out += "{"
  }
  // The containers both paths go through stay open; a value in the same place as a container closes it.
  let common = 1
  while (common < open.length && common < path.length && open[common]?.step === path[common - 1]) common++
  out += closers(open, common)
  open.length = common
  for (let at = common - 1; at < path.length; at++) {
    const step = path[at] ?? ""
    const parent = open[at]
    if (parent === undefined) break
    out += parent.size === 0 ? "" : ","
    if (!parent.isArray) out += `${JSON.stringify(String(step))}:`
    open[at] = { ...parent, size: parent.size + 1 }
    const next = path[at + 1]
    if (next === undefined) break
    const isArray = typeof next === "number"
    out += isArray ? "[" : "{"
    open.push({ step, isArray, size: 0 })
  }
  const isOpenText = "text" in value && piece.continues
  out += "text" in value ? `"${shownText}${isOpenText ? "" : "\""}` : shownText
  return [out, { open, text: isOpenText ? path : undefined }]
}

/** One more piece, and the text that it adds to what was shown. */
export const add = (pieces: Pieces, piece: Piece): readonly [delta: string, Pieces] => {
  const [delta, shown] = show(pieces.shown, piece)
  return [delta, { all: Chunk.append(pieces.all, piece), shown }]
}

/** What the shown text lacks to be whole. */
export const rest = ({ shown }: Pieces): string => `${shown.text === undefined ? "" : "\""}${closers(shown.open, 0)}`

/** A value under construction. Members are a Map, so that no name is special. */
type Node =
  | { readonly kind: "object"; readonly members: Map<string, Node> }
  | { readonly kind: "array"; readonly elements: Array<Node | undefined> }
  | { readonly kind: "text"; readonly pieces: Array<string>; continues: boolean }
  | { readonly kind: "json"; readonly json: string }

const containerFor = (step: string | number): Node =>
  typeof step === "number" ? { kind: "array", elements: [] } : { kind: "object", members: new Map() }

const childOf = (node: Node, step: string | number): Node | undefined =>
  node.kind === "object" && typeof step === "string"
    ? node.members.get(step)
    : node.kind === "array" && typeof step === "number"
    ? node.elements[step]
    : undefined

/**
 * False where the node is no container of such a step. The elements of a list come in their order, or nearly so: one far
 * behind the end would be a list of holes, 200 MB of them in 18 KB of pieces.
 */
const put = (node: Node, step: string | number, child: Node): boolean => {
  if (node.kind === "object" && typeof step === "string") node.members.set(step, child)
  else if (node.kind === "array" && typeof step === "number" && step <= node.elements.length + mostHoles) {
    node.elements[step] = child
  } else return false
  return true
}

const place = (root: Node, { continues, path, value }: Piece): boolean => {
  let node = root
  for (let at = 0; at < path.length - 1; at++) {
    const step = path[at] ?? ""
    let child = childOf(node, step)
    if (child === undefined) {
      child = containerFor(path[at + 1] ?? "")
      if (!put(node, step, child)) return false
    }
    node = child
  }
  const last = path[path.length - 1] ?? ""
  const before = childOf(node, last)
  if ("text" in value && before?.kind === "text" && before.continues) {
    before.pieces.push(value.text)
    before.continues = continues
    return true
  }
  // A value where a container has begun contradicts it.
  if (before?.kind === "object" || before?.kind === "array") return false
  return put(
    node,
    last,
    "text" in value ? { kind: "text", pieces: [value.text], continues } : { kind: "json", json: value.json }
  )
}

const print = (node: Node | undefined): string => {
  switch (node?.kind) {
    case undefined:
      return "null"
    case "object":
      return `{${[...node.members].map(([name, member]) => `${JSON.stringify(name)}:${print(member)}`).join(",")}}`
    case "array":
      return `[${Array.from(node.elements, print).join(",")}]`
    case "text":
      return JSON.stringify(node.pieces.join(""))
    case "json":
      return node.json
  }
}

/** The arguments as JSON text, or the path at which the pieces contradict each other. */
export const whole = (pieces: Pieces): Either.Either<string, string> => {
  const root: Node = { kind: "object", members: new Map() }
  for (const piece of pieces.all) {
    if (!place(root, piece)) return Either.left(piece.path.join("."))
  }
  return Either.right(print(root))
}
