/** The state of a circuit as plain data: written, read after it went through JSON, and taken over. */
import * as Form from "../../internal/form.ts"
import { definedFields } from "../../internal/record.ts"
import { excerpt } from "../../internal/redact.ts"
import * as Rule from "../shared/trippingRule.ts"
import { openedByLength } from "./cell.ts"
import * as Circuit from "./kernel.ts"

/** A state as plain data. Times are what is left, not moments, so that it may be restored on another machine. */
export type Snapshot =
  | {
    readonly state: "Closed"
    readonly counts: Rule.Written
    readonly slowStart?: { readonly passedMillis: number; readonly remainingMillis: number } | undefined
  }
  | {
    readonly state: "Open"
    readonly remainingMillis: number
    readonly openings: number
    readonly openedBy?: Circuit.OpenedBy | undefined
  }
  | {
    readonly state: "HalfOpen"
    readonly openings: number
    readonly successes: number
    readonly failures?: number | undefined
    readonly openedBy?: Circuit.OpenedBy | undefined
  }
  | { readonly state: "Isolated" | "Disabled" }

const writeSlowStart = ({ since, until }: Circuit.SlowStart, now: number) => ({
  passedMillis: Math.max(0, now - since),
  remainingMillis: Math.max(0, until - now)
})

export const write = (state: Circuit.State, now: number): Snapshot => {
  switch (state._tag) {
    case "Closed":
      return {
        state: "Closed",
        counts: Rule.write(state.counts, now),
        ...definedFields({ slowStart: state.slowStart && writeSlowStart(state.slowStart, now) })
      }
    case "Open":
      return {
        state: "Open",
        remainingMillis: Math.max(0, state.until - now),
        openings: state.history.openings,
        ...definedFields({ openedBy: state.openedBy })
      }
    case "HalfOpen":
      return {
        state: "HalfOpen",
        openings: state.history.openings,
        successes: state.successes,
        failures: state.failures,
        ...definedFields({ openedBy: state.openedBy })
      }
    case "Isolated":
    case "Disabled":
      return { state: state._tag }
  }
}

/** The state that a snapshot tells of. Probes that were on their way are not waited for. */
export const restore = (
  settings: Circuit.Settings,
  ticket: number,
  snapshot: Snapshot,
  now: number
): Circuit.State => {
  switch (snapshot.state) {
    case "Closed": {
      const counts = Rule.counts(settings.rule)
      Rule.fill(counts, snapshot.counts, now)
      const { slowStart } = snapshot
      return {
        _tag: "Closed",
        ticket: ticket + 1,
        counts,
        slowStart: slowStart === undefined
          ? undefined
          : { since: now - slowStart.passedMillis, until: now + slowStart.remainingMillis, asked: 0 }
      }
    }
    case "Open":
      return {
        _tag: "Open",
        ticket: ticket + 1,
        since: now,
        until: now + snapshot.remainingMillis,
        history: Circuit.replay(settings, snapshot.openings),
        sum: { calls: 0, failures: 0, slow: 0 },
        openedBy: snapshot.openedBy
      }
    case "HalfOpen":
      return {
        _tag: "HalfOpen",
        ticket: ticket + 1,
        history: Circuit.replay(settings, snapshot.openings),
        openedBy: snapshot.openedBy,
        probes: [],
        successes: Math.min(snapshot.successes, settings.successesToClose - 1),
        failures: Math.min(snapshot.failures ?? 0, settings.failuresToOpen - 1),
        slow: 0
      }
    case "Isolated":
    case "Disabled":
      return { _tag: snapshot.state, ticket: ticket + 1 }
  }
}

const whatSnapshotIs = "what CircuitBreaker.snapshot gave"

const count = Form.count(0, Number.MAX_SAFE_INTEGER, "a whole number, 0 or more")
const openings = Form.count(
  0,
  Circuit.mostOpenings * Circuit.mostOpenings,
  `a whole number from 0 to ${Circuit.mostOpenings * Circuit.mostOpenings}`
)

/** As long as any duration may be. */
const longestMillis = 3_153_600_000_000
const millis = Form.number({ min: 0, max: longestMillis }, `milliseconds from 0 to ${longestMillis}`)

const mostCalls = 100_000
const outcomes = Form.spelled<string>({
  allowed: `a text of at most ${mostCalls} characters, each 0 or 1`,
  pattern: "^[01]*$",
  parse: (text) => text.length <= mostCalls && /^[01]*$/.test(text) ? text : undefined,
  print: (text) => text
})

const whatCountsAre = "an object with one of failures, last, buckets"

const bucket = Form.struct(
  "an object with age, calls and bad",
  { age: millis, calls: count, bad: count },
  ({ bad, calls }) =>
    bad === undefined || calls === undefined || bad <= calls
      ? []
      : [{ path: ["bad"], allowed: `at most calls, which is ${calls}` }]
)

const counts = Form.list(
  Form.choose(
    whatCountsAre,
    Form.when(Form.has("failures"), Form.struct(whatCountsAre, { failures: count })),
    Form.when(Form.has("last"), Form.struct(whatCountsAre, { last: outcomes })),
    Form.when(
      Form.has("buckets"),
      Form.struct(whatCountsAre, { buckets: Form.list(bucket, { minItems: 0, allowed: "a list of objects" }) })
    )
  ),
  { minItems: 0, allowed: "a list of objects" }
)

/** Redacted again: nobody knows who has written the snapshot. */
const line = Form.mapped(
  Form.spelled<string>({ allowed: "a text", pattern: "", parse: (text) => text, print: (text) => text }),
  { decode: (text) => excerpt(text, openedByLength), encode: (text) => text }
)
const openedBy = Form.optional(Form.struct("an object with tag and message", { tag: line, message: line }))

const slowStart = Form.optional(
  Form.struct("an object with passedMillis and remainingMillis", { passedMillis: millis, remainingMillis: millis })
)

/** Reads what `CircuitBreaker.snapshot` gave. */
export const form: Form.Form<Snapshot, unknown> = Form.tagged(
  whatSnapshotIs,
  "state",
  Form.struct(whatSnapshotIs, { state: Form.oneOf("Closed"), counts, slowStart }),
  Form.struct(whatSnapshotIs, { state: Form.oneOf("Open"), remainingMillis: millis, openings, openedBy }),
  Form.struct(whatSnapshotIs, {
    state: Form.oneOf("HalfOpen"),
    openings,
    successes: count,
    failures: Form.optional(count),
    openedBy
  }),
  Form.struct(whatSnapshotIs, { state: Form.oneOf("Isolated") }),
  Form.struct(whatSnapshotIs, { state: Form.oneOf("Disabled") })
)
