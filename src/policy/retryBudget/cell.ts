/** The one place where a budget's state is. It is moved by the kernel, in one synchronous step at a time. */
import type { BudgetCell, Failure, Grant } from "../shared/countedCall.ts"
import * as Kernel from "./kernel.ts"

export class Cell implements BudgetCell {
  readonly form: Kernel.Form
  current: Kernel.State

  constructor(form: Kernel.Form) {
    this.form = form
    this.current = Kernel.start(form)
  }

  begin(now: number): void {
    this.current = Kernel.begin(this.form, this.current, now)
  }

  take(kind: Grant["kind"], failure: Failure, now: number): Grant | undefined {
    const grant: Grant = { kind, cost: Kernel.costOf(this.form, kind, failure) }
    const next = Kernel.take(this.form, this.current, grant, now)
    if (next === undefined) return undefined
    this.current = next
    return grant
  }

  settle(grant: Grant, succeeded: boolean): void {
    this.current = Kernel.settle(this.form, this.current, grant, succeeded)
  }

  fail(): void {
    this.current = Kernel.fail(this.form, this.current)
  }

  end(succeeded: boolean, isClean: boolean): void {
    this.current = Kernel.end(this.form, this.current, isClean, succeeded)
  }

  available(now: number): number {
    return Kernel.available(this.form, this.current, now)
  }
}
