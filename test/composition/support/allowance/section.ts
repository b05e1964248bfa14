/** A policy that the library does not have: so many attempts in all, each of which waits a moment before it is sent. */
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Form from "../../../../src/internal/form.ts"
import type { Gate, GatePermit } from "../../../../src/policy/shared/attempt.ts"
import * as Section from "../../../../src/policy/shared/section.ts"

export class AllowanceSpent extends Data.TaggedError("AllowanceSpent")<{ readonly name: string }> {}

export interface Options {
  readonly name?: string | undefined
  /** Attempts in all: 1 to 1 000. */
  readonly attempts: number
  /** How long each of them waits. Default: 0 seconds. */
  readonly pause?: Duration.DurationInput | undefined
}

const form = Form.of<Options>()(Form.struct("an object with the options of an allowance", {
  name: Form.withDefault(Form.name, () => "allowance"),
  attempts: Form.annotate(Form.count(1, 1_000), { description: "attempts in all" }),
  pause: Form.withDefault(Form.millis({ from: "zero" }), () => 0)
}))

const TypeId = Symbol.for("test/Allowance")

export interface Allowance extends Form.Output<typeof form> {
  readonly [TypeId]: typeof TypeId
  readonly cell: { used: number }
}

export const make = (options: Form.Output<typeof form>): Allowance => ({
  ...options,
  [TypeId]: TypeId,
  cell: { used: 0 }
})

const permit: GatePermit<unknown> = { _tag: "GatePermit", settle: () => undefined }

const gate = (self: Allowance): Gate<unknown, AllowanceSpent> => ({
  admit: (_, restore) => ({
    _tag: "GateWait",
    permit: Effect.suspend(() => {
      if (self.cell.used >= self.attempts) return new AllowanceSpent({ name: self.name })
      self.cell.used += 1
      return Effect.as(restore(Effect.sleep(Duration.millis(self.pause))), permit)
    })
  })
})

export const section = Section.make({
  name: "allowance",
  form,
  is: Section.marked<Allowance>(TypeId),
  make: (read) => Effect.succeed(make(read)),
  stage: { _tag: "Gate", gate },
  keep: (now, next) => Effect.succeed(now === undefined ? next : { ...next, cell: now.cell }),
  fixed: ({ pause }) => ({ pause }),
  contradictions: ({ pause }, peers) => Section.below("pause", pause, "totalTimeout", peers.totalTimeout()),
  describe: ({ attempts, name, pause }) => `allowance ${name}: ${attempts} attempts, each after ${pause}ms`,
  worst: ({ pause }, within) => ({ ...within, duration: within.duration + pause })
})
