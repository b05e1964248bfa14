import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import { describe, expect, it } from "vitest"
import * as Verdict from "../../src/error/Verdict.ts"
import * as Fallback from "../../src/policy/Fallback.ts"
import { runs } from "../runs.ts"

const times = { numRuns: runs(100, 400) }

const actions = ["Retry", "Reask", "Fallback", "Fail"] as const
const tags = ["Red", "Green", "Blue"] as const

interface Judged {
  readonly _tag: string
  readonly at: number
  readonly [Verdict.symbol]: () => Verdict.Verdict
}

/** What one effect does, and which errors it is for. */
interface Plan {
  readonly fails: { readonly tag: string; readonly action: Verdict.Action } | undefined
  readonly when: Fallback.Condition | undefined
}

const plan: FastCheck.Arbitrary<Plan> = FastCheck.record({
  fails: FastCheck.option(
    FastCheck.record({ tag: FastCheck.constantFrom(...tags), action: FastCheck.constantFrom(...actions) }),
    { nil: undefined, freq: 6 }
  ),
  when: FastCheck.option(
    FastCheck.oneof(
      FastCheck.record({ tags: FastCheck.uniqueArray(FastCheck.constantFrom(...tags), { minLength: 1 }) }),
      FastCheck.record({ actions: FastCheck.uniqueArray(FastCheck.constantFrom(...actions), { minLength: 1 }) })
    ),
    { nil: undefined }
  )
})
const plans = FastCheck.array(plan, { minLength: 1, maxLength: 7 })
const unconditional = FastCheck.array(plan.map(({ fails }) => ({ fails, when: undefined })), {
  minLength: 1,
  maxLength: 7
})

const judged = (fails: { readonly tag: string; readonly action: Verdict.Action }, at: number): Judged => ({
  _tag: fails.tag,
  at,
  [Verdict.symbol]: () => Verdict.make(fails.action)
})

/** The effects of a plan, which write down that they ran; an effect's value and its error tell its place. */
const effects = (all: ReadonlyArray<Plan>, ran: Array<number> = []) =>
  all.map(({ fails, when }, at) => ({
    name: String(at),
    when,
    effect: Effect.suspend(() => {
      ran.push(at)
      return fails === undefined ? Effect.succeed(at) : Effect.fail(judged(fails, at))
    })
  }))

const start = <A>(all: ReadonlyArray<A>): readonly [A, ReadonlyArray<A>] => {
  const [head, ...rest] = all
  if (head === undefined) throw new Error("an empty plan")
  return [head, rest]
}

const run = (all: ReadonlyArray<Plan>, ran: Array<number> = []) => {
  const [{ effect }, rest] = start(effects(all, ran))
  return Effect.runSync(Effect.either(Fallback.apply(effect, Fallback.standard, rest)))
}

/** The rule once more, as one would explain it at a blackboard. */
const reference = (all: ReadonlyArray<Plan>): ReadonlyArray<number> => {
  const names = (when: Fallback.Condition, failed: NonNullable<Plan["fails"]>): boolean =>
    when.tags?.includes(failed.tag) === true || when.actions?.includes(failed.action) === true
  const ran = [0]
  const seen: Array<NonNullable<Plan["fails"]>> = []
  let last = all[0]?.fails
  for (let at = 1; at < all.length && last !== undefined; at++) {
    if (seen.at(-1) !== last) seen.push(last)
    const { when } = all[at] ?? {}
    const open = last.action === "Retry" || last.action === "Fallback"
    const meant = when === undefined ? open : (open ? seen : [last]).some((failed) => names(when, failed))
    if (!meant) continue
    ran.push(at)
    last = all[at]?.fails
  }
  return ran
}

describe("the laws of Fallback", () => {
  it("runs exactly the effects that the rule says, each once, in order", () => {
    FastCheck.assert(
      FastCheck.property(plans, (all) => {
        const ran: Array<number> = []
        run(all, ran)
        expect(ran).toEqual(reference(all))
      }),
      times
    )
  })

  it("gives the value or the error of the last effect that ran", () => {
    FastCheck.assert(
      FastCheck.property(plans, (all) => {
        const ran: Array<number> = []
        const result = run(all, ran)
        expect(Either.isRight(result) ? result.right : result.left.at).toBe(ran.at(-1))
      }),
      times
    )
  })

  it("tells the same in all three ways of applying", () => {
    FastCheck.assert(
      FastCheck.property(plans, (all) => {
        const [{ effect }, rest] = start(effects(all))
        const plain = run(all)
        const report = Effect.runSync(Effect.either(Fallback.applyWithReport(effect, Fallback.standard, rest)))
        const boxed = Effect.runSync(Effect.either(Fallback.applyOrExhausted(effect, Fallback.standard, rest)))
        const ran = reference(all).map(String)
        if (Either.isRight(plain)) {
          expect(Either.map(report, ({ value }) => value)).toEqual(plain)
          expect(boxed).toEqual(plain)
          const told = Either.getOrThrow(report)
          expect([...told.failed.map(({ step }) => step), told.step].slice(1)).toEqual(ran.slice(1))
          return
        }
        expect(Either.flip(report)).toMatchObject({ right: { at: plain.left.at } })
        const exhausted = Either.getOrThrow(Either.flip(boxed))
        expect(exhausted.steps.map(({ error }) => String(error.at))).toEqual(ran)
        expect(exhausted.steps.length + exhausted.skipped.length).toBe(all.length)
      }),
      times
    )
  })

  it("without alternatives changes nothing", () => {
    FastCheck.assert(
      FastCheck.property(plan, (only) => {
        const result = run([only])
        expect(Either.isRight(result)).toBe(only.fails === undefined)
      }),
      times
    )
  })

  it("by verdicts alone is associative: a fallback of a fallback is one list", () => {
    FastCheck.assert(
      FastCheck.property(unconditional, FastCheck.nat({ max: 7 }), (all, cut) => {
        const [{ effect }, rest] = start(effects(all))
        const nested = effect.pipe(
          Fallback.apply(Fallback.standard, rest.slice(0, cut)),
          Fallback.apply(Fallback.standard, rest.slice(cut))
        )
        const once = run(all)
        const twice = Effect.runSync(Effect.either(nested))
        expect(Either.isRight(twice) ? twice.right : twice.left.at).toBe(
          Either.isRight(once) ? once.right : once.left.at
        )
      }),
      times
    )
  })
})
