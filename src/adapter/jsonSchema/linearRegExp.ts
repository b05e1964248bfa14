/**
 * Regular expressions of strangers, matched in linear time. JavaScript's own engine tries one way after the other, so
 * that `^(a+)+$` takes seconds on 28 letters; this one walks all ways at once (Thompson's construction, its sets of
 * states kept as in a lazy DFA: https://swtch.com/~rsc/regexp/regexp1.html). It only answers yes or no. What one character
 * matches is still asked of JavaScript's engine, so that classes, escapes and case mean exactly what they mean there.
 *
 * Why no library: re2js 2.10 means the same (translated, on 38,000 random patterns and texts) but bounds no work: its
 * `test` takes 6 s for `a[ab]{900}[cd]` on 900,000 letters, 30 s at worst; this one has spent its budget after 20 ms.
 */
import * as Either from "effect/Either"

/** A matcher: what ajv calls for each `pattern`. */
export interface Matcher {
  readonly test: (text: string) => boolean
}

/** Matches nothing. */
export const none: Matcher = { test: () => false }

/** Takes note of work; throws when there has been too much of it. */
export type Spend = (units: number) => void

/**
 * The longest pattern, in UTF-16 units, how deep its groups go, how many steps it may come to when its counts are written
 * out, how many all patterns of a schema may, and how much they keep of what they found out, in about 8 bytes.
 */
export const limits = {
  patternLength: 4_096,
  depth: 100,
  steps: 2_000,
  stepsTogether: 50_000,
  kept: 1_000_000
} as const

/** Why a pattern is not taken; `TooMany` for one that is too much together with those before it. */
export type Refusal = "Syntax" | "Unsupported" | "TooLarge" | "TooMany"

/** What the patterns of one schema share, so that many of them can fill the memory no more than one. */
export interface Shared {
  readonly spend: Spend
  readonly states: Map<string, State>
  readonly askers: Map<string, Asker>
  matchers: number
  steps: number
  kept: number
}

/** For the patterns of one schema. */
export const shared = (spend: Spend): Shared => ({
  spend,
  states: new Map(),
  askers: new Map(),
  matchers: 0,
  steps: 0,
  kept: 0
})

/** Makes room to keep something; tells whether all that was kept had to be dropped for it. */
const keep = (common: Shared, size: number): boolean => {
  const full = common.kept + size > limits.kept
  if (full) {
    common.states.clear()
    common.askers.clear()
    common.kept = 0
  }
  common.kept += size
  return full
}

type Assertion = "start" | "end" | "boundary" | "notBoundary"

/** A program: each step leads to the next ones. */
type Step =
  | { readonly _tag: "Atom"; readonly source: string; readonly next: number }
  | { readonly _tag: "Assert"; readonly assertion: Assertion; readonly next: number }
  | { readonly _tag: "Split"; readonly next: ReadonlyArray<number> }
  | { readonly _tag: "Match" }

type Node =
  | { readonly _tag: "Atom"; readonly source: string }
  | { readonly _tag: "Assert"; readonly assertion: Assertion }
  | { readonly _tag: "Sequence"; readonly parts: ReadonlyArray<Node> }
  | { readonly _tag: "Choice"; readonly parts: ReadonlyArray<Node> }
  | { readonly _tag: "Repeat"; readonly part: Node; readonly least: number; readonly most: number }

class Refused extends Error {
  readonly reason: Refusal
  constructor(reason: Refusal) {
    super(reason)
    this.reason = reason
  }
}

const unsupported = (): never => {
  throw new Refused("Unsupported")
}

const quantifier = /(?:[*+?]|\{(\d+)(?:(,)(\d*))?\})\??/y
const escape = /\\(?:u\{[0-9a-fA-F]+\}|u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|c[a-zA-Z]|[pP]\{[^}]*\}|[^])/uy
const surrogatePair = /\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}/y
const characterClass = /\[\^?(?:\\[^]|[^\]\\])*\]/y
const group = /\((?:\?:|\?<[^=!>][^>]*>)?/y

const at = (pattern: RegExp, text: string, from: number): RegExpExecArray | null => {
  pattern.lastIndex = from
  return pattern.exec(text)
}

/** The pattern is known to be valid for JavaScript, so only what means something else here is looked for. */
const parse = (text: string, unicode: boolean): Node => {
  let place = 0
  let depth = 0

  const choice = (): Node => {
    const parts = [sequence()]
    while (text[place] === "|") {
      place++
      parts.push(sequence())
    }
    return parts.length === 1 && parts[0] !== undefined ? parts[0] : { _tag: "Choice", parts }
  }

  const sequence = (): Node => {
    const parts: Array<Node> = []
    while (place < text.length && text[place] !== "|" && text[place] !== ")") parts.push(term())
    return { _tag: "Sequence", parts }
  }

  const term = (): Node => {
    const part = single()
    const found = at(quantifier, text, place)
    if (found === null) return part
    if (part._tag === "Assert") unsupported()
    place = quantifier.lastIndex
    const [sign, least, comma, most] = found
    if (least !== undefined) {
      const fewest = Number(least)
      return {
        _tag: "Repeat",
        part,
        least: fewest,
        most: comma === undefined ? fewest : most === "" ? Number.POSITIVE_INFINITY : Number(most)
      }
    }
    return {
      _tag: "Repeat",
      part,
      least: sign[0] === "+" ? 1 : 0,
      most: sign[0] === "?" ? 1 : Number.POSITIVE_INFINITY
    }
  }

  const take = (found: RegExpExecArray | null): Node => {
    if (found === null) return unsupported()
    place += found[0].length
    return { _tag: "Atom", source: found[0] }
  }

  const assert = (assertion: Assertion, length: number): Node => {
    place += length
    return { _tag: "Assert", assertion }
  }

  const single = (): Node => {
    switch (text[place]) {
      case "^":
        return assert("start", 1)
      case "$":
        return assert("end", 1)
      case "[":
        return take(at(characterClass, text, place))
      case "\\": {
        const next = text[place + 1] ?? ""
        if (next === "b") return assert("boundary", 2)
        if (next === "B") return assert("notBoundary", 2)
        // References to what was matched before need more than a set of states.
        if (/[1-9k]/.test(next)) return unsupported()
        return take((unicode ? at(surrogatePair, text, place) : null) ?? at(escape, text, place))
      }
      case "(": {
        const found = at(group, text, place)
        if (found === null || (found[0] === "(" && text[place + 1] === "?")) return unsupported()
        if (++depth > limits.depth) throw new Refused("TooLarge")
        place += found[0].length
        const inner = choice()
        place++
        depth--
        return inner
      }
      default: {
        const source = unicode ? String.fromCodePoint(text.codePointAt(place) ?? 0) : text[place] ?? ""
        place += source.length
        return { _tag: "Atom", source }
      }
    }
  }

  return choice()
}

/** Written out from the end, so that every step knows where it leads. */
const assemble = (node: Node): { readonly steps: ReadonlyArray<Step>; readonly start: number } => {
  const steps: Array<Step> = []
  const add = (step: Step): number => {
    if (steps.length >= limits.steps) throw new Refused("TooLarge")
    return steps.push(step) - 1
  }
  const write = (part: Node, next: number): number => {
    switch (part._tag) {
      case "Atom":
        return add({ ...part, next })
      case "Assert":
        return add({ ...part, next })
      case "Sequence":
        return part.parts.reduceRight((after, inner) => write(inner, after), next)
      case "Choice":
        return add({ _tag: "Split", next: part.parts.map((inner) => write(inner, next)) })
      case "Repeat": {
        // An empty body makes any count of it cheap to write and endless to count.
        if (part.least > limits.steps || (Number.isFinite(part.most) && part.most > limits.steps)) {
          throw new Refused("TooLarge")
        }
        let start = next
        if (part.most === Number.POSITIVE_INFINITY) {
          const loop = add({ _tag: "Split", next: [] })
          const body = write(part.part, loop)
          steps[loop] = { _tag: "Split", next: [body, next] }
          start = loop
        } else {
          for (let count = part.least; count < part.most; count++) {
            start = add({ _tag: "Split", next: [write(part.part, start), next] })
          }
        }
        for (let count = 0; count < part.least; count++) {
          const before = steps.length
          start = write(part.part, start)
          if (steps.length === before) break
        }
        return start
      }
    }
  }
  const match = add({ _tag: "Match" })
  return { start: write(node, match), steps }
}

/** What stands beside a place, as far as assertions ask. */
type Side = "none" | "word" | "other"

const sideOf = (code: number): Side =>
  (code >= 48 && code <= 57) || (code >= 65 && code <= 90) || code === 95 || (code >= 97 && code <= 122)
    ? "word"
    : "other"

const holds = (assertion: Assertion, before: Side, after: Side): boolean => {
  switch (assertion) {
    case "start":
      return before === "none"
    case "end":
      return after === "none"
    case "boundary":
      return (before === "word") !== (after === "word")
    case "notBoundary":
      return (before === "word") === (after === "word")
  }
}

/** The end of the text, where characters have their codes. */
const theEnd = -1

/** The steps to go on from, and what was read last; where each character leads is found out once. */
interface State {
  readonly at: ReadonlyArray<number>
  readonly before: Side
  readonly ascii: Array<State | "matched" | undefined>
  readonly onward: Map<number, State | "matched">
}

const matcherOf = (
  steps: ReadonlyArray<Step>,
  start: number,
  matches: (source: string, code: number) => boolean,
  unicode: boolean,
  common: Shared
): Matcher => {
  const name = common.matchers++

  const stateAt = (places: ReadonlyArray<number>, before: Side): State => {
    const key = `${name} ${before} ${places.join(" ")}`
    const known = common.states.get(key)
    if (known !== undefined) return known
    keep(common, 200 + 2 * places.length)
    const state: State = { at: places, before, ascii: [], onward: new Map() }
    common.states.set(key, state)
    return state
  }

  const initial = () => stateAt([start], "none")

  /** Where a character leads; matched as soon as any way is at its end. A match may start at every place. */
  const find = (state: State, code: number): State | "matched" => {
    const after = code === theEnd ? "none" : sideOf(code)
    const seen = new Set<number>()
    const reached = new Set<number>()
    const open = [...state.at]
    for (let place = open.pop(); place !== undefined; place = open.pop()) {
      const step = steps[place]
      if (step === undefined || seen.has(place)) continue
      seen.add(place)
      if (step._tag === "Match") return "matched"
      if (step._tag === "Split") open.push(...step.next)
      else if (step._tag === "Assert") {
        if (holds(step.assertion, state.before, after)) open.push(step.next)
      } else if (code !== theEnd && matches(step.source, code)) reached.add(step.next)
    }
    common.spend(seen.size * 4)
    return stateAt([...reached.add(start)].sort((left, right) => left - right), after)
  }

  const next = (state: State, code: number): State | "matched" => {
    const known = code >= 0 && code < 128 ? state.ascii[code] : state.onward.get(code)
    if (known !== undefined) return known
    const found = find(state, code)
    if (code >= 0 && code < 128) state.ascii[code] = found
    else {
      if (keep(common, 8)) state.onward.clear()
      state.onward.set(code, found)
    }
    return found
  }

  return {
    test: (text) => {
      common.spend(text.length + 1)
      let state = initial()
      for (let place = 0; place < text.length;) {
        const code = (unicode ? text.codePointAt(place) : text.charCodeAt(place)) ?? 0
        place += code > 0xffff ? 2 : 1
        const found = next(state, code)
        if (found === "matched") return true
        state = found
      }
      return next(state, theEnd) === "matched"
    }
  }
}

/** JavaScript's own word on one character, kept for ASCII. */
interface Asker {
  readonly one: RegExp
  readonly ascii: Array<boolean | undefined>
}

/** The character that a source is, when it stands for nothing but itself. */
const literal = (source: string): number | undefined => {
  const code = source.codePointAt(0) ?? 0
  return source !== "." && source.length === (code > 0xffff ? 2 : 1) ? code : undefined
}

const asking = (flags: string, common: Shared) => (source: string, code: number): boolean => {
  const itself = literal(source)
  if (itself !== undefined) return itself === code
  const key = flags + source
  let asker = common.askers.get(key)
  if (asker === undefined) {
    common.spend(200)
    keep(common, 600)
    asker = { one: new RegExp(`^(?:${source})$`, flags), ascii: [] }
    common.askers.set(key, asker)
  }
  const known = code < 128 ? asker.ascii[code] : undefined
  if (known !== undefined) return known
  const found = asker.one.test(String.fromCodePoint(code))
  if (code < 128) asker.ascii[code] = found
  return found
}

const unicodeOnly = /(?<!\\)(?:\\\\)*\\[pPu]\{/

const valid = (pattern: string, flags: string): boolean => {
  try {
    return new RegExp(pattern, flags) instanceof RegExp
  } catch {
    return false
  }
}

/**
 * A matcher of the pattern. Read with Unicode, as JSON Schema wants it, or without where the pattern is only valid so.
 * Its work and its steps count with those of the other patterns that share with it.
 * References to earlier groups, looking ahead and behind, and changes of flags are not supported.
 */
export const compile = (pattern: string, common: Shared): Either.Either<Matcher, Refusal> => {
  if (pattern.length > limits.patternLength) return Either.left("TooLarge")
  const flags = valid(pattern, "u") ? "u" : ""
  // What only means a character with Unicode is a slip in a pattern that is not valid so.
  if (flags === "" && (!valid(pattern, flags) || unicodeOnly.test(pattern))) return Either.left("Syntax")
  try {
    const unicode = flags === "u"
    const { start, steps } = assemble(parse(pattern, unicode))
    common.steps += steps.length
    if (common.steps > limits.stepsTogether) return Either.left("TooMany")
    return Either.right(matcherOf(steps, start, asking(flags, common), unicode, common))
  } catch (cause) {
    if (cause instanceof Refused) return Either.left(cause.reason)
    throw cause
  }
}
