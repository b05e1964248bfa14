/** Items that are identical share one call: the first leads, the others follow and get its outcome. */
import * as Either from "effect/Either"
import { isRecord } from "../../internal/record.ts"

type Place<Outcome> =
  /** Nobody was there: it is called, and {@link Identical.leave} must follow. */
  | { readonly _tag: "Leads" }
  | { readonly _tag: "Follows" }
  | { readonly _tag: "Known"; readonly outcome: Outcome }

export class Identical<Item, Outcome> {
  private readonly following = new Map<string, Array<Item>>()
  private readonly known = new Map<string, Outcome>()
  /** How many follow. */
  waiting = 0

  enter(key: string, item: Item): Place<Outcome> {
    const outcome = this.known.get(key)
    if (outcome !== undefined) return { _tag: "Known", outcome }
    const followers = this.following.get(key)
    if (followers === undefined) {
      this.following.set(key, [])
      return { _tag: "Leads" }
    }
    followers.push(item)
    this.waiting += 1
    return { _tag: "Follows" }
  }

  /** The one that leads has its outcome. Gives those who followed. */
  leave(key: string, outcome: Outcome): ReadonlyArray<Item> {
    const followers = this.following.get(key) ?? []
    this.following.delete(key)
    this.known.set(key, outcome)
    this.waiting -= followers.length
    return followers
  }
}

/** The order in which an object's fields were written does not count. */
const inOrder = (_: string, value: unknown): unknown =>
  isRecord(value) ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1)) : value

/** What makes an item identical to another, or what the user's function threw. */
export const identityOf = (
  key: ((item: never) => unknown) | undefined,
  item: unknown
): Either.Either<string, unknown> => {
  // The options' type holds the function to the items; what is read from a form has lost that.
  const content = key as ((item: unknown) => unknown) | undefined
  return Either.try({
    // `undefined` has no JSON: as a text it cannot be taken for the text "undefined", whose JSON has quotes.
    try: () => String(JSON.stringify(content === undefined ? item : content(item), inOrder)),
    catch: (error) => error
  })
}
