/** The options of a bulkhead. */
import * as Form from "../../internal/form.ts"
import * as Admission from "../shared/admission.ts"

export interface Options extends Admission.QueueOptions {
  /** The name its events and errors carry. Default: `"bulkhead"`. */
  readonly name?: string | undefined
  /** Calls that may run at a time: 1 to 1 000 000. */
  readonly maxConcurrent: number
}

const maxConcurrent = Form.count(1, Admission.most)

export const form = Form.of<Options>()(Form.struct(
  "an object with the options of a bulkhead",
  { name: Form.withDefault(Form.name, () => "bulkhead"), maxConcurrent, ...Admission.queueFields },
  Admission.queueCheck
))

export const defaults = Form.defaults(form)

export interface Limits {
  /** Calls that may run at a time: 1 to 1 000 000. Default: as many as before. */
  readonly maxConcurrent?: number | undefined
  /** Calls that may wait at a time: 0 to 1 000 000. Default: as many as before. */
  readonly maxQueued?: number | undefined
}

/** What may change while it is in use. */
export const limitsForm = Form.of<Limits>()(Form.struct("an object with the new limits", {
  maxConcurrent: Form.optional(maxConcurrent),
  maxQueued: Form.optional(Form.count(0, Admission.most))
}))
