/**
 * The ids of the calls of one reply. A given id that is new stays; absent, blank and repeated ones are made up from the place
 * of the call, the same for the same reply: the third call without an id is `call_2`, or the next number that is free. A
 * number that was found taken is not tried again, so a server that gives `call_1`, `call_2`, … to half of its calls costs no
 * more than another. Pure.
 */
import * as table from "./table.ts"

export interface CallIds {
  readonly used: table.Keys<string>
  /** From the place of the next call on, the numbers below this one are taken. */
  readonly next: number
}

export const none: CallIds = { used: table.empty(), next: 0 }

/** How many calls have an id. */
export const count = ({ used }: CallIds): number => table.size(used)

export const has = ({ used }: CallIds, id: string): boolean => table.has(used, id)

/** The id of one more call. Ids that are made up begin with the prefix. */
export const take = (
  ids: CallIds,
  given: string | undefined,
  prefix = "call"
): readonly [id: string, ids: CallIds] => {
  if (given !== undefined && !has(ids, given)) return [given, { used: table.add(ids.used, given), next: ids.next }]
  let number = Math.max(count(ids), ids.next)
  while (has(ids, `${prefix}_${number}`)) number++
  const id = `${prefix}_${number}`
  return [id, { used: table.add(ids.used, id), next: number + 1 }]
}
