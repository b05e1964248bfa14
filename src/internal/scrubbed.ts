/**
 * What every error class of ours does with its texts. They come from servers and models, so a constructor takes the
 * credentials out and clips them, and what a log prints cannot be mistaken for a line of somebody else's.
 */
import { checkOf, isUnchecked, type SchemaClass } from "./checkedOnce.ts"
import { describeCause, excerpt, isSecretName, mask, property, visible, visibleInQuotes } from "./redact.ts"

/**
 * Fields that are shown without a word of ours round them: Effect prints a field `name` as the name of the error, and ids of
 * requests are copied into logs. All others are facts, and are made visible where they are shown.
 */
const shownAlone = ["name", "requestId"]

/** An object as JSON or a literal makes it, in contrast to an instance of a class. */
export const isPlain = (value: unknown): value is Readonly<Record<string, unknown>> => {
  if (typeof value !== "object" || value === null) return false
  try {
    const prototype: unknown = Object.getPrototypeOf(value)
    return prototype === Object.prototype || prototype === null
  } catch {
    return false
  }
}

type Keep = ReadonlyArray<string>

/** What nests deeper is no data of ours. */
const deepest = 64

const isEndless = (value: object, around: ReadonlyArray<object>): boolean =>
  around.length > deepest || around.includes(value)

const scrubValue = (name: string, value: unknown, keep: Keep, around: ReadonlyArray<object>): unknown =>
  keep.includes(name)
    ? value
    : typeof value === "string"
    ? isSecretName(name) ? mask : shownAlone.includes(name) ? visible(excerpt(value)) : excerpt(value)
    : Array.isArray(value)
    ? isEndless(value, around)
      ? describeCause(value)
      : value.map((each) => scrubValue(name, each, keep, [...around, value]))
    : isPlain(value)
    ? isEndless(value, around) ? describeCause(value) : scrub(value, keep, [...around, value])
    : value

const scrub = (
  props: Readonly<Record<string, unknown>>,
  keep: Keep,
  around: ReadonlyArray<object> = []
): Record<string, unknown> =>
  Object.fromEntries(Object.entries(props).map(([name, value]) => [name, scrubValue(name, value, keep, around)]))

/**
 * Words only: an `Error` given as the cause fits the type, but may hold the request with its headers. Effect prints the
 * cause of an error as it stands, so nothing hidden is left in its words.
 */
const scrubCause = (cause: unknown): Record<string, unknown> => {
  const name = typeof cause === "object" && cause !== null ? property(cause, "name") : undefined
  const message = typeof cause === "object" && cause !== null ? property(cause, "message") : undefined
  const words = isPlain(cause) && typeof message === "string" && typeof name === "string"
    ? scrub(pick({ name, message, code: property(cause, "code") }, ["name", "message", "code"]), [])
    : describeCause(cause)
  return Object.fromEntries(
    Object.entries(words).map(([name, text]) => [name, typeof text === "string" ? visible(text) : text])
  )
}

const scrubProps = (props: object, keep: Keep): Record<string, unknown> => {
  const given: Readonly<Record<string, unknown>> = { ...props }
  const { cause, ...others } = given
  const safe = scrub(others, keep)
  return cause === undefined ? safe : { ...safe, cause: scrubCause(cause) }
}

const pick = (
  record: Readonly<Record<string, unknown>>,
  names: ReadonlyArray<string>
): Readonly<Record<string, unknown>> =>
  Object.fromEntries(names.flatMap((name) => record[name] === undefined ? [] : [[name, record[name]]]))

/** The values as JSON and Node's `inspect` are to show them: both spell line breaks themselves, but not all that hides. */
export const shown = (value: unknown): unknown =>
  typeof value === "string"
    ? visibleInQuotes(value)
    : Array.isArray(value)
    ? value.map(shown)
    : isPlain(value)
    ? Object.fromEntries(Object.entries(value).map(([name, each]) => [visibleInQuotes(name), shown(each)]))
    : value

const inspectSymbol = Symbol.for("nodejs.util.inspect.custom")

type Inspect = (value: unknown, options: unknown) => string

/** An error's own fields, to show them or to make another one of them. `cause` is not enumerable: a spread loses it. */
export const fieldsOf = <E extends object>(error: E): E => {
  const cause = property(error, "cause")
  return cause === undefined ? { ...error } : { ...error, cause }
}

/**
 * How an error shows itself: as a text its tag and its message (a field called `name` would take the tag's place), as JSON
 * and in Node's `inspect` its fields, made visible. The wire form of an error is what its Schema encodes.
 */
const showing = {
  toString(this: Error & { readonly _tag?: string }): string {
    return `${this._tag ?? this.name}: ${this.message}`
  },
  toJSON(this: object): unknown {
    return shown(fieldsOf(this))
  },
  [inspectSymbol](this: Error, _: number, options: unknown, inspect: Inspect): string {
    return `${this.stack ?? String(this)} ${inspect(shown(fieldsOf(this)), options)}`
  }
}

const showSafely = (prototype: object): void => {
  for (const [name, value] of Object.entries(Object.getOwnPropertyDescriptors(showing))) {
    Object.defineProperty(prototype, name, { ...value, enumerable: false })
  }
  Object.defineProperty(prototype, inspectSymbol, { value: showing[inspectSymbol], configurable: true })
}

/**
 * The same class, except that its constructor redacts and clips every text it is given, and that its instances show
 * themselves without characters that could forge a log. Decoding constructs too, so there is no way to make an instance
 * that holds a credential. Fields named in `keep` hold the caller's own value and are left as they are.
 */
export const scrubbed = <Class extends (abstract new(...args: never) => object) & SchemaClass>(
  self: Class,
  keep: Keep = []
): Class => {
  showSafely(self.prototype)
  const check = checkOf(self)
  return new Proxy(self, {
    construct: (target, [given, options], newTarget) => {
      const props = typeof given === "object" && given !== null ? scrubProps(given, keep) : {}
      return Reflect.construct(target, [isUnchecked(options) ? props : check(props), true], newTarget)
    }
  })
}

/**
 * {@link scrubbed}, for a class whose instances are made without its constructor as well: those too say that they are
 * errors when asked the way that tests and loggers ask.
 */
export const lean = <Class extends (abstract new(...args: never) => object) & SchemaClass>(self: Class): Class => {
  Object.defineProperty(self.prototype, Symbol.toStringTag, { value: "Error" })
  return scrubbed(self)
}
