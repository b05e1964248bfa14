/** Items that are identical share one call: the first leads, the others follow and get its outcome. */
import * as Either from "effect/Either"
import { canonicalJson } from "../shared/canonicalJson.ts"

type Place<Outcome> =
  /** Nobody was there: it is called, and {@link Identical.leave} must follow. */
  | { readonly _tag: "Leads" }
  | { readonly _tag: "Follows" }
  | { readonly _tag: "Known"; readonly outcome: Outcome }

export class Identical<Item, Outcome> {
  private readonly following = new Map<string, Array<Item>>()
  private readonly known = new Map<string, Outcome>()
  private readonly keepsOutcomes: boolean
  /** How many follow. */
  waiting = 0

  /** Whether the outcomes are kept for items that come later. */
  constructor(keepsOutcomes: boolean) {
    this.keepsOutcomes = keepsOutcomes
  }

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
    if (this.keepsOutcomes) this.known.set(key, outcome)
    this.waiting -= followers.length
    return followers
  }
}

/** What makes an item identical to another, or what the user's function threw. */
export const identityOf = (
  key: ((item: never) => unknown) | undefined,
  item: unknown
): Either.Either<string, unknown> => {
  // The options' type holds the function to the items; what is read from a form has lost that.
  const content = key as ((item: unknown) => unknown) | undefined
  return Either.try({
    // `undefined` has no JSON: as a text it cannot be taken for the text "undefined", whose JSON has quotes.
    try: () => canonicalJson(content === undefined ? item : content(item)),
    catch: (error) => error
  })
}
