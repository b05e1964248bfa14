/** A pipeline in words and in numbers: what its policies are, and the worst that a call through them can do. */
import * as Duration from "effect/Duration"
import { words } from "../../internal/words.ts"
import type * as Section from "../shared/section.ts"
import type { Installation } from "./configuration.ts"

/** A call on its own: nothing bounds how long it takes. */
const oneCall: Section.Worst = { attempts: 1, calls: 1, wait: 0, duration: Infinity }

/** As a call meets them: an attempt's time-out begins when all gates are passed, wherever the list has it. */
const outerToInner = ({ installed }: Installation<unknown>): Installation<unknown>["installed"] => {
  const ofAttempt = installed.filter(({ deadline }) => deadline?.phase === "attempt")
  return [...installed.filter((each) => !ofAttempt.includes(each)), ...ofAttempt]
}

/** From the call outwards, each policy makes the worst case of what is within it. */
export const worstOf = (all: Installation<unknown>): Section.Worst =>
  outerToInner(all).reduceRight((within, each) => each.worst(within, all.peers), oneCall)

const counted = (count: number, what: string): string =>
  Number.isFinite(count) ? `${count} ${what}${count === 1 ? "" : "s"}` : `unlimited ${what}s`

const time = (millis: number): string => Number.isFinite(millis) ? words(Duration.millis(millis)) : "unbounded"

export const describe = (all: Installation<unknown>): string => {
  const { attempts, calls, duration, wait } = worstOf(all)
  const hedged = calls === attempts ? "" : ` (${counted(calls, "call")} with hedges)`
  return `${all.name}: ${[...outerToInner(all).map((each) => each.describe()), "call"].join("\n  → ")}\n` +
    `  worst case: ${counted(attempts, "attempt")}${hedged}, ${time(wait)} waiting, ${time(duration)} in all`
}
