/** Options that a policy's own constructor reads: durations are text in a file, however code may spell them. */
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import { found } from "../../error/InvalidOptions.ts"
import * as Form from "../../internal/form.ts"
import { allowedDuration, formatDuration, isFunction, parseDuration } from "../../internal/reader.ts"
import { type DefinedFields, definedFields, isRecord } from "../../internal/record.ts"
import * as RetryPolicy from "../RetryPolicy.ts"
import * as Tripping from "../Tripping.ts"
import type { Issue, Options, Peers } from "./section.ts"

const valueAt = (value: unknown, path: ReadonlyArray<string>): unknown =>
  path.reduce<unknown>((part, name) => isRecord(part) && !Duration.isDuration(part) ? part[name] : undefined, value)

/** `"Infinity"` is a hedge that waits for failures only. */
const isText = (value: unknown): boolean => parseDuration(value) !== undefined || value === "Infinity"

/** What code may say and a file may not: a duration as a number, which would not say its unit, and a function. */
const notText = (given: unknown, durations: ReadonlyArray<string>): ReadonlyArray<Issue> => {
  const verdict = valueAt(given, ["verdict"])
  return [
    ...durations.flatMap((path) => {
      const value = valueAt(given, path.split("."))
      return value === undefined || isRecord(value) || isText(value)
        ? []
        : [{ path, found: found(value), allowed: allowedDuration }]
    }),
    ...(verdict === undefined
      ? []
      : [{ path: "verdict", found: found(verdict), allowed: "nothing in a file: only code can judge errors" }])
  ]
}

const asText = (value: unknown): unknown =>
  isText(value)
    ? value
    : Option.match(Duration.decodeUnknown(value), {
      onNone: () => value,
      onSome: (duration) => Duration.isFinite(duration) ? formatDuration(Duration.toMillis(duration)) : "Infinity"
    })

/** Options as JSON. */
const toJson = (value: unknown, durations: ReadonlyArray<string>, path = ""): unknown => {
  if (RetryPolicy.isRetryPolicy(value)) return RetryPolicy.encode(value)
  if (Tripping.isTripping(value)) return Tripping.encode(value)
  if (durations.includes(path) && (!isRecord(value) || Duration.isDuration(value))) return asText(value)
  const within = (name: string): string => path === "" ? name : `${path}.${name}`
  if (Array.isArray(value)) return value.map((each, i) => toJson(each, durations, within(String(i))))
  return isRecord(value)
    ? Object.fromEntries(
      Object.entries(value).filter(([, field]) => field !== undefined && !isFunction(field))
        .map(([name, field]) => [name, toJson(field, durations, within(name))])
    )
    : value
}

/** The same options, where the name of the pipeline will do. */
export type Named<O extends { readonly name: string }> = Form.MayLeaveOut<O, "name">

/** The name and the judge of errors that a policy has from its pipeline, where its options say none. */
export const fromPipeline = <O extends { readonly name?: string | undefined; readonly verdict?: Peers["verdict"] }>(
  own: O,
  peers: Peers
): { readonly name: string } & DefinedFields<{ readonly verdict: Peers["verdict"] }> => ({
  name: own.name === undefined ? peers.name : own.name,
  ...definedFields({ verdict: own.verdict === undefined ? peers.verdict : own.verdict })
})

/** Options that the constructor of the policy checks; `durations` are the paths of those among them. */
export const readByConstructor = <Given>(
  name: string,
  durations: ReadonlyArray<string>,
  is: (given: unknown) => given is Given = (given): given is Given => isRecord(given),
  allowed = `an object with the options of ${name}`
): Options<Given, Given> => ({
  form: { node: { kind: "annotated", inner: Form.anything.node, keywords: { $ref: name } }, presence: "required" },
  read: (given, mode) =>
    is(given)
      ? { read: given, issues: mode === "file" ? notText(given, durations) : [] }
      : { read: undefined, issues: [{ path: "", found: found(given), allowed }] },
  toFile: (given) => toJson(given, durations)
})
