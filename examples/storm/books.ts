/** What the client saw of every provider call, and whether it agrees with what the server says it did. */
import type * as ChaosServer from "effect-llm-resilience/chaos/ChaosServer"
import type * as LanguageModel from "effect-llm-resilience/model/LanguageModel"
import * as Event from "effect-llm-resilience/telemetry/Event"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Ref from "effect/Ref"

/**
 * How many requests ended how: `Reply`, `TimedOut` (interrupted by us), the tag of the error, or `SentAgain`: they met a
 * connection that broke without a byte of an answer, and the provider has sent them once more within the same call.
 */
export type Seen = Readonly<Record<string, number>>

const add = (seen: Seen, name: string): Seen => ({ ...seen, [name]: (seen[name] ?? 0) + 1 })

const nameOf = (exit: Exit.Exit<unknown, unknown>): string =>
  Exit.match(exit, {
    onSuccess: () => "Reply",
    onFailure: (cause) => Cause.isInterrupted(cause) ? "TimedOut" : Event.errorTag(Cause.squash(cause))
  })

/** The model, with every call of it written down: it stands between the policies and the wire. */
export const counted = (model: LanguageModel.Service, seen: Ref.Ref<Seen>): LanguageModel.Service => ({
  ...model,
  generate: (request) =>
    Effect.onExit(model.generate(request), (exit) => Ref.update(seen, (all) => add(all, nameOf(exit))))
})

/** With the requests that were sent again, of which the calls tell nothing. */
export const withSentAgain = (seen: Seen, sent: number): Seen => ({ ...seen, SentAgain: sent - total(seen) })

export const total = (seen: Seen): number => Object.values(seen).reduce((sum, count) => sum + count, 0)

const of = (seen: Seen, ...names: ReadonlyArray<string>): number =>
  names.reduce((sum, name) => sum + (seen[name] ?? 0), 0)

/** One line of the reconciliation: what the client counted, what the server did. */
export interface Entry {
  readonly what: string
  readonly client: number
  readonly server: number
}

/**
 * Both sides of every kind of reply. On a busy machine a reply may come after our time-out: the server has sent it, and we
 * count a time-out. Such replies are taken out of their own line and told in one of their own, so that a slow machine is
 * not taken for a lost request, and a lost request not for a slow machine.
 */
export const reconcile = (
  seen: Seen,
  outcomes: { readonly accepted: number; readonly repaired: number; readonly refused: number },
  books: ChaosServer.Books
): ReadonlyArray<Entry> => {
  const { faults } = books
  const faulty = Object.values(faults).reduce((sum, count) => sum + count, 0)
  const limited = { what: "429", client: of(seen, "RateLimited"), server: faults.RateLimited ?? 0 }
  const replies: ReadonlyArray<Entry> = [
    { what: "right replies", client: outcomes.accepted - outcomes.repaired, server: books.admitted - faulty },
    { what: "bad tool calls", client: outcomes.refused + outcomes.repaired, server: faults.DamagedToolCall ?? 0 },
    limited,
    { what: "5xx", client: of(seen, "ServerError", "Overloaded"), server: faults.ServerError ?? 0 },
    {
      what: "cut connections",
      client: of(seen, "ConnectionFailed", "Truncated", "SentAgain"),
      server: (faults.ResetBeforeBody ?? 0) + (faults.ResetDuringBody ?? 0)
    }
  ]
  const late = ({ client, server }: Entry): number => Math.max(0, server - client)
  const unheard = late(limited)
  const hangs = faults.Hang ?? 0
  const tooLate = Math.max(0, of(seen, "TimedOut") - hangs)
  return [
    { what: "provider calls", client: total(seen), server: books.admitted },
    ...replies.map((entry) => ({ ...entry, server: entry.server - late(entry) })),
    { what: "hangs", client: of(seen, "TimedOut") - tooLate, server: hangs },
    { what: "answered too late", client: tooLate, server: replies.reduce((sum, entry) => sum + late(entry), 0) },
    // A hint that came too late was not heard.
    { what: "came back before a hint", client: 0, server: Math.max(0, books.early - unheard) }
  ]
}

export const disagreements = (entries: ReadonlyArray<Entry>): ReadonlyArray<Entry> =>
  entries.filter((entry) => entry.client !== entry.server)
