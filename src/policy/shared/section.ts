/**
 * The section of a policy: all that a pipeline has to know of it. The pipeline is a fold over an ordered list of sections
 * (`pipeline/sections.ts`), so a new policy is a folder with a section and one line in that list.
 *
 * A section reads the options of its field and installs the policy. An installed policy says how it stands round a call:
 *
 * - `Gate`: it admits an attempt and gives it a permit, which is settled with the result, or it refuses the attempt.
 * - `Deadline`: an attempt, or the call as a whole, is over after so many milliseconds.
 * - `Around`: it decides how often what is within it runs (retry, hedge).
 *
 * A policy without a stage only serves others, which find it among their peers: the budget serves retry and hedge.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { type InvalidOptions, issueOf } from "../../error/InvalidOptions.ts"
import type * as Verdict from "../../error/Verdict.ts"
import * as Form from "../../internal/form.ts"
import { definedFields, type Fields, isRecord } from "../../internal/record.ts"
import { words } from "../../internal/words.ts"
import type { Cost } from "../RateLimiter.ts"
import type { Deadline, Gate, Runnable } from "./attempt.ts"
import type { StreamedCall } from "./streamedCall.ts"

/** One thing that is wrong with the options. */
export type Issue = InvalidOptions["issues"][number]

/** Where the options were written: a file says durations as text, and holds neither functions nor shared policies. */
export type Mode = "code" | "file"

/** What the policies of one pipeline know of each other. */
export interface Peers {
  /** The name of the pipeline. */
  readonly name: string
  readonly verdict: ((error: unknown) => Verdict.Verdict) | undefined
  /** Milliseconds. */
  readonly totalTimeout: () => number | undefined
  /** Milliseconds. */
  readonly attemptTimeout: () => number | undefined
  /** The policy of a kind. While policies are being installed, those before it in the list. */
  readonly find: <A>(is: (value: unknown) => value is A) => A | undefined
  /** Whether a field of the options holds anything, be it right or wrong. */
  readonly isGiven: (field: string) => boolean
}

/** The worst that one call can do, in numbers. Durations are milliseconds. */
export interface Worst {
  /** Attempts in sequence. */
  readonly attempts: number
  /** Calls at the other side, hedges included. */
  readonly calls: number
  /** Time between attempts. */
  readonly wait: number
  /** Time in all. */
  readonly duration: number
}

/**
 * How often what is within runs. No wait should begin that ends at `total` or later. Where the call is a stream, `streamed`
 * says whether it may run again and how far it has got.
 */
export type Around<Refused> = <A, E, R>(
  inner: Runnable<A, E, R>,
  total: Deadline<unknown> | undefined,
  streamed: StreamedCall | undefined
) => Runnable<A, E | Refused, R>

/** How the policies of a kind stand round a call. */
export type Stage<Self, Refused> =
  | {
    readonly _tag: "Gate"
    readonly gate: (self: Self) => Gate<unknown, Refused>
    /** The same for a call that says what it costs; left out where that is all the same. */
    readonly gateAtCost?: <A>(self: Self, cost: Cost<A>) => Gate<A, Refused>
    /** The field of the policy directly behind which it admits; left out, its place in the list decides. */
    readonly behind?: string
  }
  | {
    readonly _tag: "Deadline"
    readonly phase: "attempt" | "total"
    readonly millis: (self: Self) => number
  }
  | { readonly _tag: "Around"; readonly around: (self: Self, peers: Peers) => Around<Refused> }

/** A stage of one policy. */
export type InstalledStage<Refused> =
  | {
    readonly _tag: "Gate"
    readonly gate: Gate<unknown, Refused>
    readonly gateAtCost: (<A>(cost: Cost<A>) => Gate<A, Refused>) | undefined
    readonly behind: string | undefined
  }
  | { readonly _tag: "Deadline"; readonly phase: "attempt" | "total"; readonly millis: number }
  | { readonly _tag: "Around"; readonly around: Around<Refused> }

/** What an owner of a policy writes to have it in a pipeline. Paths of issues start at the field. */
export interface Spec<Name extends string, Given, Read, Self, Refused> {
  /** The field of `Pipeline.make` and of a policy file. */
  readonly name: Name
  /** The options of its field, as data. */
  readonly form: Form.Form<Read, Given>
  /** Whether a value is such a policy: a shared one may stand in place of options. */
  readonly is: (value: unknown) => value is Self
  /** What its options need of the pipeline and do not find there, be they right in themselves or not. */
  readonly missing?: (given: Fields, peers: Peers) => ReadonlyArray<Issue>
  /** Makes the policy for this pipeline alone. */
  readonly make: (read: Read, peers: Peers) => Effect.Effect<Self, InvalidOptions>
  /** How it stands round a call; left out by what only serves its peers. */
  readonly stage?: Stage<Self, Refused>
  /**
   * The policy to go on with when a running pipeline takes over other options: `next` was made from them, `now` is the
   * one in use, if there is one. Left out, that is `next`. It must not fail, because others have changed already.
   */
  readonly keep?: (now: Self | undefined, next: Self, peers: Peers, read: Read) => Effect.Effect<Self>
  /** What cannot change while calls run, by field. */
  readonly fixed?: (self: Self) => { readonly [field: string]: unknown }
  /** Where it cannot be right together with its peers. */
  readonly contradictions?: (self: Self, peers: Peers) => ReadonlyArray<Issue>
  /** Itself in one line. */
  readonly describe: (self: Self) => string
  /** The worst case, from the worst of what is within it. */
  readonly worst?: (self: Self, within: Worst, peers: Peers) => Worst
  /** The policy as JSON, where that is more than the options it was given. */
  readonly encode?: (self: Self) => unknown
}

/** A policy in a pipeline. */
export interface Installed<out Self, out Refused> {
  /** Its field. */
  readonly name: string
  readonly policy: Self
  readonly deadline: { readonly phase: "attempt" | "total"; readonly millis: number } | undefined
  readonly stage: (peers: Peers) => InstalledStage<Refused> | undefined
  readonly describe: () => string
  readonly worst: (within: Worst, peers: Peers) => Worst
  readonly contradictions: (peers: Peers) => ReadonlyArray<Issue>
  /** What would change that cannot, if this took the place of `now`. */
  readonly changes: (now: Installed<unknown, unknown> | undefined) => ReadonlyArray<Issue>
  /** This in place of `now`, with what `now` knows. */
  readonly takeOver: (
    now: Installed<unknown, unknown> | undefined,
    peers: Peers
  ) => Effect.Effect<Installed<Self, Refused>>
  /** For a policy file; `undefined` where a file cannot say it. */
  readonly encode: () => unknown
}

/** A kind of policy as the pipeline sees it. */
export interface Section<out Name extends string, out Given, out Self, out Refused> {
  readonly name: Name
  /** Its options as data. */
  readonly form: Form.Form<unknown, Given>
  readonly install: (
    given: unknown,
    mode: Mode,
    peers: Peers
  ) => Effect.Effect<Installed<Self, Refused>, ReadonlyArray<Issue>>
}

/** Any section. */
export type Any = Section<string, unknown, unknown, unknown>

/** What the policies of a section refuse with. */
export type RefusedBy<S> = S extends Section<string, unknown, unknown, infer Refused> ? Refused : never

/** A section as the pipeline sees it. A policy that has a name may leave it to its pipeline. */
export const make = <const Name extends string, Given, Read, Self, Refused = never>(
  spec: Spec<Name, Given, Read, Self, Refused>
): Section<Name, Form.MayLeaveOut<Given, "name">, Self, Refused> => ({
  name: spec.name,
  form: Form.mayLeaveOut(spec.form, "name"),
  install: (given, mode, peers) =>
    mode === "code" && spec.is(given)
      ? Effect.succeed(install(spec, given, undefined))
      : Effect.gen(function*() {
        const read = Form.read(spec.form, filledIn(given, spec.form, peers), mode)
        const faults = Either.isLeft(read) ? read.left.map(issueOf) : []
        const missing = isRecord(given) ? spec.missing?.(given, peers) ?? [] : []
        if (Either.isLeft(read) || missing.length > 0) {
          return yield* Effect.fail(within(spec.name, [...faults, ...onOthers(missing, faults)]))
        }
        const made = yield* Effect.mapError(spec.make(read.right, peers), ({ issues }) => within(spec.name, issues))
        // It was read, so it is what code may give.
        return install(spec, made, { given: given as Given, read: read.right })
      })
})

/** What a policy has from its pipeline where its own options say nothing. */
const filledIn = (given: unknown, form: Form.Form<unknown, unknown>, peers: Peers): unknown => {
  if (!isRecord(given)) return given
  const own = ["name", "verdict"] as const
  const left = own.filter((field) => given[field] === undefined && Form.hasField(form, field))
  return left.length === 0
    ? given
    : { ...given, ...definedFields(Object.fromEntries(left.map((field) => [field, peers[field]]))) }
}

/** Issues of fields that have none yet. */
const onOthers = (issues: ReadonlyArray<Issue>, known: ReadonlyArray<Issue>): ReadonlyArray<Issue> =>
  issues.filter(({ path }) => !known.some((issue) => issue.path === path))

/** Issues under the name of their section. */
const within = (name: string, issues: ReadonlyArray<Issue>): ReadonlyArray<Issue> =>
  issues.map((issue) => ({ ...issue, path: issue.path === "" ? name : Form.at(name, issue.path) }))

/** `data` is left out where the policy is shared with others: it is used as it is, and others write it down. */
const install = <Name extends string, Given, Read, Self, Refused>(
  spec: Spec<Name, Given, Read, Self, Refused>,
  self: Self,
  data: { readonly given: Given; readonly read: Read } | undefined
): Installed<Self, Refused> => {
  const { stage } = spec
  const policyOf = (other: Installed<unknown, unknown> | undefined): Self | undefined =>
    other !== undefined && spec.is(other.policy) ? other.policy : undefined
  return {
    name: spec.name,
    policy: self,
    deadline: stage?._tag === "Deadline" ? { phase: stage.phase, millis: stage.millis(self) } : undefined,
    stage: (peers) => stage === undefined ? undefined : installStage(stage, self, peers),
    describe: () => spec.describe(self),
    worst: (inner, peers) => spec.worst === undefined ? inner : spec.worst(self, inner, peers),
    contradictions: (peers) => within(spec.name, spec.contradictions?.(self, peers) ?? []),
    changes: (other) => {
      const now = policyOf(other)
      return now === undefined || data === undefined || spec.fixed === undefined
        ? []
        : within(spec.name, changesOf(spec.fixed(now), spec.fixed(self)))
    },
    takeOver: (other, peers) =>
      data === undefined || spec.keep === undefined
        ? Effect.succeed(install(spec, self, data))
        : Effect.map(spec.keep(policyOf(other), self, peers, data.read), (kept) => install(spec, kept, data)),
    encode: () =>
      spec.encode === undefined
        ? data === undefined ? undefined : Form.toFile(spec.form, data.given)
        : spec.encode(self)
  }
}

const installStage = <Self, Refused>(
  stage: Stage<Self, Refused>,
  self: Self,
  peers: Peers
): InstalledStage<Refused> => {
  switch (stage._tag) {
    case "Gate": {
      const { gateAtCost } = stage
      return {
        _tag: "Gate",
        gate: stage.gate(self),
        gateAtCost: gateAtCost === undefined ? undefined : (cost) => gateAtCost(self, cost),
        behind: stage.behind
      }
    }
    case "Deadline":
      return { _tag: "Deadline", phase: stage.phase, millis: stage.millis(self) }
    case "Around":
      return { _tag: "Around", around: stage.around(self, peers) }
  }
}

/** Whether two settings are the same; they are plain data. */
export const isSame = (one: unknown, other: unknown): boolean => JSON.stringify(one) === JSON.stringify(other)

const changesOf = (
  now: { readonly [field: string]: unknown },
  next: { readonly [field: string]: unknown }
): ReadonlyArray<Issue> =>
  Object.keys(now).filter((field) => !isSame(now[field], next[field])).map((field) => ({
    path: field,
    found: next[field] === undefined ? "left out" : "another one",
    allowed: "what it was made with, because calls that wait or run go by it; for another one make another pipeline"
  }))

/** Nothing where `millis` is less than the time that another field allows. */
export const below = (
  path: string,
  millis: number | undefined,
  other: string,
  limit: number | undefined,
  why = ""
): ReadonlyArray<Issue> =>
  millis === undefined || limit === undefined || millis < limit
    ? []
    : [{ path, found: words(millis), allowed: `less than ${other}, which is ${words(limit)}${why}` }]

/** A description that begins with what it is of; the name of a policy may say it already. */
export const titled = (what: string, text: string): string => text.startsWith(what) ? text : `${what} ${text}`

/** Whether a value is a policy of the kind whose module marks its values so. */
export const marked = <Policy>(mark: symbol) => (value: unknown): value is Policy =>
  typeof value === "object" && value !== null && mark in value
