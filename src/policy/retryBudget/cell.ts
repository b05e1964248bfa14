/** Holds the state of a budget. Each method changes it by the kernel, in one synchronous step. */
import type { BudgetCell, Failure, Grant } from "../shared/currentAttempt.ts"
import * as Kernel from "./kernel.ts"

export class Cell implements BudgetCell {
  readonly form: Kernel.Form
  state: Kernel.State

  constructor(form: Kernel.Form) {
    this.form = form
    this.state = Kernel.start(form)
  }

  begin(now: number): void {
    this.state = Kernel.begin(this.form, this.state, now)
  }

  take(kind: Grant["kind"], failure: Failure, now: number): Grant | undefined {
    const grant: Grant = { kind, cost: Kernel.costOf(this.form, kind, failure) }
    const next = Kernel.take(this.form, this.state, grant, now)
    if (next === undefined) return undefined
    this.state = next
    return grant
  }

  settle(grant: Grant, succeeded: boolean): void {
    this.state = Kernel.settle(this.form, this.state, grant, succeeded)
  }

  fail(): void {
    this.state = Kernel.fail(this.form, this.state)
  }

  end(succeeded: boolean, isClean: boolean): void {
    this.state = Kernel.end(this.form, this.state, isClean, succeeded)
  }

  available(now: number): number {
    return Kernel.available(this.form, this.state, now)
  }
}
