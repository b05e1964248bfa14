/**
 * A form describes options once. From it follow: reading what code or a file says, with every fault at once; the
 * defaults; the JSON Schema of the file; the way back to JSON; and an Effect Schema. Import it as a namespace:
 *
 * ```ts
 * import * as Form from "../../internal/form.ts"
 *
 * // By hand, because doc comments do not reach an editor through a derived type.
 * export interface Options {
 *   /** Default: `"bulkhead"`. *\/
 *   readonly name?: string | undefined
 *   readonly maxConcurrent: number
 *   readonly maxQueued?: number | undefined
 *   readonly queueTimeout?: Duration.DurationInput | undefined
 * }
 *
 * // `of` compiles only where the form takes exactly `Options`: a field that is missing in either is an error here.
 * export const form = Form.of<Options>()(Form.struct(
 *   "an object with the options of a bulkhead", // what is allowed where there is no object
 *   {
 *     name: Form.withDefault(Form.name, () => "bulkhead"),
 *     maxConcurrent: Form.annotate(Form.count(1, 1_000_000), { description: "calls that may run at a time" }),
 *     maxQueued: Form.withDefault(Form.count(0, 1_000_000), () => 0),
 *     queueTimeout: Form.optional(Form.millis())
 *   },
 *   // What several fields must fulfil together. First the fields that are right, with defaults; then all as given.
 *   ({ maxQueued, queueTimeout }) =>
 *     queueTimeout === undefined || maxQueued !== 0
 *       ? []
 *       : [{ path: ["queueTimeout"], allowed: "nothing while maxQueued is 0; or set maxQueued too" }]
 * ))
 *
 * export const defaults = Form.defaults(form) // { name: "bulkhead", maxQueued: 0 }
 *
 * Form.read(form, { maxConcurrent: 0, queueTimeout: 500 }, "code")
 * // Left([
 * //   { path: "maxConcurrent", found: 0, allowed: "a whole number, 1 to 1000000" },
 * //   { path: "queueTimeout", found: 500, allowed: "nothing while maxQueued is 0; or set maxQueued too" }
 * // ])
 * Form.read(form, { maxConcurrent: 2 }, "file")
 * // Right({ name: "bulkhead", maxConcurrent: 2, maxQueued: 0, queueTimeout: undefined })
 * Form.encode(form, read)      // what was read as JSON: { name: "bulkhead", maxConcurrent: 2, maxQueued: 0 }
 * Form.toFile(form, given)     // what code gave as JSON, without the defaults: { maxConcurrent: 2 }
 * Form.toJsonSchema(form, { title: "A bulkhead" })
 * Form.schema(form)            // Schema.Schema<Read, Options>
 * ```
 *
 * In the policy room, `readForm` of `policy/shared/options.ts` reads a form and turns the faults into `InvalidOptions`.
 *
 * Which form for which field:
 * - a number: `count(min, max)`, `number({ min | above, max | below })`, `share()`; each takes its words as last argument.
 * - a duration: `duration(range)` reads a `Duration`, `millis(range)` the milliseconds a kernel wants; the range says
 *   `from: "zero"`, `to: "Infinity"`, or `min` and `max`, and in `allowed` what the user is told.
 * - `boolean`, where somebody else's interface has one; a mode of ours is a `oneOf`.
 * - texts: `oneOf("enforce", "observe")`, `text()`, `name` (redacted), `spelled` (a grammar of its own: `"100 calls"`).
 * - what only code can give: `fn<F>(allowed, "judge errors")`, `value(guard, allowed)`. A file is told so.
 * - what only a file has: `fileOnly` (`$schema`).
 * - several kinds of value: `choose(allowed, when(isText, …), when(has("ratio"), …), otherwise(…))`; the first that is
 *   meant says what is wrong. Objects told apart by a text in a field: `tagged(what, "when", struct, struct)`.
 * - itself: `recursive(name, { maxDepth, allowed }, () => form)`. Whatever the JSON Schema should say once: `named`.
 * - another value than what was written: `mapped(form, { decode, encode })`. Two fields that depend on each other: a
 *   `mapped` round the struct. A further condition on what was read: `checked`.
 *
 * Forms are plain data, so a module may make them when it is loaded; JSON Schema and Schema are made when asked for.
 */
export {
  type CheckFault,
  type Fault,
  type Form,
  type Input,
  type JsonSchema,
  type Mode,
  of,
  type Output
} from "./form/description.ts"
export {
  allowedDuration,
  duration,
  formatDuration,
  formatMillis,
  looksLikeDuration,
  millis,
  parseDuration,
  parseMillis
} from "./form/durations.ts"
export { defaults, encode, toFile } from "./form/encode.ts"
export { toJsonSchema } from "./form/jsonSchema.ts"
export {
  anything,
  boolean,
  count,
  fn,
  name,
  number,
  oneOf,
  oneOfWith,
  share,
  spelled,
  text,
  value
} from "./form/leaves.ts"
export { at, read } from "./form/read.ts"
export { schema } from "./form/schema.ts"
export {
  annotate,
  type Check,
  checked,
  choose,
  fileOnly,
  has,
  hasField,
  isText,
  list,
  mapped,
  type MayLeaveOut,
  mayLeaveOut,
  named,
  optional,
  otherwise,
  recursive,
  struct,
  tagged,
  when,
  withDefault
} from "./form/struct.ts"
