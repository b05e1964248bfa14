/**
 * A policy for each key (a model, a tenant, an endpoint), made when the key is first used. Keys that nobody uses are
 * forgotten, so that a family does not grow for ever; what still protects somebody is not.
 *
 * A kind of policy has to say two things: how the policy of a key is made, and whether one is idle, so that a new one in
 * its place would do the same.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { InvalidOptions } from "../../error/InvalidOptions.ts"
import { elapsedMillis } from "../../internal/elapsed.ts"
import * as Form from "../../internal/form.ts"
import { excerpt, visible } from "../../internal/redact.ts"
import { words } from "../../internal/words.ts"
import { readForm } from "./options.ts"

/**
 * How many keys are kept, and for how long.
 *
 * @since 0.1.0
 * @category models
 */
export interface Bounds {
  /**
   * How many keys are kept: 1 to 1000000. Where a new one comes and all are needed, because calls are running through
   * them or they still refuse, there are more. Default: 1000.
   */
  readonly capacity?: number | undefined
  /** A key that was not used for that long is forgotten: above zero and finite. Default: 10 minutes. */
  readonly idleTimeToLive?: Duration.DurationInput | undefined
}

/**
 * How many keys are kept, and for how long, where nobody says.
 *
 * @since 0.1.0
 * @category defaults
 */
export const defaults = { capacity: 1000, idleTimeToLive: Duration.minutes(10) } as const

const mostKeys = 1_000_000

export const fields = {
  capacity: Form.withDefault(
    Form.count(1, mostKeys, `a whole number from 1 to ${mostKeys}`),
    () => defaults.capacity
  ),
  idleTimeToLive: Form.withDefault(Form.duration(), () => defaults.idleTimeToLive)
}

/** For a family whose policies have options by key. */
export const boundsForm = Form.of<Bounds>()(Form.struct("an object with capacity and idleTimeToLive", fields))

interface Entry<Self> {
  readonly policy: Self
  /** Elapsed milliseconds. */
  usedAt: number
  /** Calls that are on their way. */
  running: number
  /** It is never forgotten. */
  isKept: boolean
}

/** Bounds that were read. */
export type BoundsRead = Form.Output<typeof boundsForm>

/** What a kind of policy has to say. */
export interface Kind<in out Self> {
  /** The policy of a key. It cannot fail: options that are wrong for one key are a defect of the program. */
  readonly make: (key: string) => Effect.Effect<Self>
  /** Whether a new one would do the same: it refuses nothing, and nothing runs or waits. `now` is elapsed time. */
  readonly isIdle: (self: Self, now: number) => boolean
}

/** The policies that are there. `entries` is in the order of their last use, the longest unused first. */
export interface Family<in out Self> extends Kind<Self> {
  readonly capacity: number
  readonly idleTimeToLive: Duration.Duration
  readonly entries: Map<string, Entry<Self>>
}

export const family = <Self>(
  bounds: BoundsRead,
  kind: Kind<Self>
): Family<Self> => ({
  ...kind,
  capacity: bounds.capacity,
  idleTimeToLive: bounds.idleTimeToLive,
  entries: new Map()
})

const isForgettable = <Self>({ isIdle }: Family<Self>, entry: Entry<Self>, now: number): boolean =>
  !entry.isKept && entry.running === 0 && isIdle(entry.policy, now)

/** Forgets the keys that were idle for too long. */
const sweep = <Self>(self: Family<Self>, now: number): void => {
  const since = now - Duration.toMillis(self.idleTimeToLive)
  for (const [key, entry] of self.entries) {
    if (entry.usedAt > since) return
    if (isForgettable(self, entry, now)) self.entries.delete(key)
  }
}

/** Makes room for one more: forgets the idle one that was not used for the longest time. */
const makeRoom = <Self>(self: Family<Self>, now: number): void => {
  sweep(self, now)
  if (self.entries.size < self.capacity) return
  for (const [key, entry] of self.entries) {
    if (!isForgettable(self, entry, now)) continue
    self.entries.delete(key)
    return
  }
}

const touch = <Self>({ entries }: Family<Self>, key: string, entry: Entry<Self>, now: number): void => {
  if (entry.usedAt === now) return
  entry.usedAt = now
  entries.delete(key)
  entries.set(key, entry)
}

/** Puts a policy in for a key that has none. */
const add = <Self>(self: Family<Self>, key: string, policy: Self, now: number): Entry<Self> => {
  makeRoom(self, now)
  const entry: Entry<Self> = { policy, usedAt: now, running: 0, isKept: false }
  self.entries.set(key, entry)
  return entry
}

/** The entry of a key, made by `make` where there is none. Two callers at a time get the same one. */
const entryOf = <Self, E>(
  self: Family<Self>,
  key: string,
  make: Effect.Effect<Self, E>
): Effect.Effect<Entry<Self>, E> =>
  Effect.clockWith((clock) => {
    const now = elapsedMillis(clock)
    const existing = self.entries.get(key)
    if (existing === undefined) {
      return Effect.map(make, (policy) => self.entries.get(key) ?? add(self, key, policy, elapsedMillis(clock)))
    }
    touch(self, key, existing, now)
    return Effect.succeed(existing)
  })

/** The policy of a key, made if need be. Whoever keeps it may keep one that the family has forgotten meanwhile. */
export const get = <Self>(self: Family<Self>, key: string): Effect.Effect<Self> =>
  obtain(self, key, Effect.suspend(() => self.make(key)))

/** The same for a key whose policy `make` makes. */
export const obtain = <Self, E>(
  self: Family<Self>,
  key: string,
  make: Effect.Effect<Self, E>
): Effect.Effect<Self, E> => Effect.map(entryOf(self, key, make), ({ policy }) => policy)

/** From now on a key that is there is never forgotten. */
export const keep = <Self>(self: Family<Self>, key: string): void => {
  const entry = self.entries.get(key)
  if (entry !== undefined) entry.isKept = true
}

/** Runs a call by the policy of a key, which is not forgotten while it runs. */
export const use = <Self, A, E, R>(
  self: Family<Self>,
  key: string,
  call: (policy: Self) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(entryOf(self, key, Effect.suspend(() => self.make(key))), (entry) => {
      entry.running++
      return Effect.ensuring(
        restore(call(entry.policy)),
        Effect.clockWith((clock) => {
          entry.running--
          // It was in use until now, however long the call took. Who was forgotten meanwhile cannot have been running.
          touch(self, key, entry, elapsedMillis(clock))
          return Effect.void
        })
      )
    })
  )

/** All that are there, by key, the longest unused first. Keys that have been idle for too long are forgotten first. */
export const entries = <Self>(self: Family<Self>): Effect.Effect<ReadonlyMap<string, Self>> =>
  Effect.clockWith((clock) => {
    sweep(self, elapsedMillis(clock))
    return Effect.succeed(new Map([...self.entries].map(([key, { policy }]) => [key, policy])))
  })

/** The bounds in words, to be put behind what one of its policies does. */
export const describe = <Self>({ capacity, idleTimeToLive }: Family<Self>): string =>
  `one for each key, at most ${capacity} of them, forgotten after ${words(idleTimeToLive)} without use`

/**
 * A policy for each key.
 *
 * @since 0.1.0
 * @category models
 */
export interface Keyed<out Self, out Refused> {
  /**
   * The policy of a key, made if need be: to look at it, or to move it by hand. For calls use `apply`, which asks for it
   * each time: one that is kept may be forgotten by the family meanwhile, and the key given a new one.
   */
  readonly get: (key: string) => Effect.Effect<Self>
  /** Runs the effect under the policy of that key. */
  readonly apply: (key: string) => <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | Refused, R>
  /** All that are there now, by key, the longest unused first. */
  readonly entries: Effect.Effect<ReadonlyMap<string, Self>>
  /** The family in one readable line. */
  readonly describe: () => string
}

/** So long may a name be that a key is part of. */
const maxNameLength = 200

/** The name of the policy of a key. Keys come from anywhere, so it is made safe to show. */
export const nameOf = (familyName: string, key: string): string =>
  visible(excerpt(`${familyName}/${key}`, maxNameLength))

/** How the policies of a kind stand round a call. */
export type Apply<in Self, out Refused> = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  self: Self
) => Effect.Effect<A, E | Refused, R>

/** The part of a family that is the same for all kinds. `one` describes one of its policies. */
export const keyed = <Self, Refused>(
  self: Family<Self>,
  apply: Apply<Self, Refused>,
  one: string
): Keyed<Self, Refused> => ({
  get: (key) => get(self, key),
  apply: (key) => (effect) => use(self, key, (policy) => apply(effect, policy)),
  entries: entries(self),
  describe: () => `${one}; ${describe(self)}`
})

/** A kind of policy that is made from options with a name. */
export interface OptionsKind<in out Options, in out Self, out Refused> {
  readonly module: string
  readonly make: (options: Options) => Effect.Effect<Self, InvalidOptions>
  readonly isIdle: (self: Self, now: number) => boolean
  readonly apply: Apply<Self, Refused>
  readonly describe: (self: Self) => string
}

/** The options of all keys, or a function that gives those of each. */
export type OptionsOf<Options> = Options | ((key: string) => Options)

/** What is wrong with either, in one error. */
export const bothOf = <A, B>(
  module: string,
  one: Either.Either<A, InvalidOptions>,
  other: Either.Either<B, InvalidOptions>
): Either.Either<readonly [A, B], InvalidOptions> =>
  Either.isLeft(one) && Either.isLeft(other)
    ? Either.left(new InvalidOptions({ module, issues: [...one.left.issues, ...other.left.issues] }))
    : Either.all([one, other])

/** A family. Options that are the same for all keys are checked here: one policy is made of them for that. */
export const make = <
  Options extends { readonly name?: string | undefined },
  Self extends { readonly name: string },
  Refused
>(
  kind: OptionsKind<Options, Self, Refused>,
  options: OptionsOf<Options>,
  bounds: Bounds = {}
): Effect.Effect<{ readonly family: Family<Self>; readonly keyed: Keyed<Self, Refused> }, InvalidOptions> =>
  Effect.gen(function*() {
    const read = readForm(kind.module, boundsForm, bounds)
    const familyOf = (read: BoundsRead, optionsOf: (key: string) => Options): Family<Self> =>
      family(read, { make: (key) => Effect.orDie(kind.make(optionsOf(key))), isIdle: kind.isIdle })
    if (typeof options === "function") {
      const ofKeys = familyOf(yield* read, options)
      return { family: ofKeys, keyed: keyed(ofKeys, kind.apply, `${kind.module} with options by key`) }
    }
    const [example, readBounds] = yield* bothOf(kind.module, yield* Effect.either(kind.make(options)), read)
    const ofAll = familyOf(readBounds, (key) => ({ ...options, name: nameOf(example.name, key) }))
    return { family: ofAll, keyed: keyed(ofAll, kind.apply, kind.describe(example)) }
  })
