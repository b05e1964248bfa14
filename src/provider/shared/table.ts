/**
 * A persistent map for keys that a server chooses, such as the ids of calls and items.
 *
 * `HashMap` of Effect hashes a string to 32 bits by a known rule, so a server can send thousands of ids of one hash, and each
 * of them then costs a look at all before it. The engine's own `Map` seeds its hashes, so nobody can choose such keys. This is
 * one `Map` behind handles (Baker's trick): the newest handle holds the map, and an older one holds the single entry in which
 * it differs and the handle that came after it. Whoever goes on from the newest state, as a stream does, pays for a `Map`
 * alone; who reads an older one gets what it held, and pays for the changes that lie between. Pure to its users.
 */

/** What differs from the table that was made of this one. */
interface Older<K, V> {
  readonly key: K
  /** None where the key was absent. */
  readonly before: { readonly value: V } | undefined
  readonly newer: Table<K, V>
}

/** A persistent map. What it holds is reached by the functions of this module alone. */
export class Table<K, V> {
  /** `undefined` in the empty table that all begin with: it is never changed, so it leads to nobody's entries. */
  held: Map<K, V> | Older<K, V> | undefined

  constructor(held: Map<K, V> | undefined) {
    this.held = held
  }
}

/** A set of keys is a table that says nothing of them. */
export type Keys<K> = Table<K, true>

export const empty = <K, V>(): Table<K, V> => new Table<K, V>(undefined)

/** The map of this table, which thereby becomes the newest. */
const mapOf = <K, V>(table: Table<K, V>): Map<K, V> | undefined => {
  const path: Array<Table<K, V>> = []
  let last = table
  while (last.held !== undefined && !(last.held instanceof Map)) {
    path.push(last)
    last = last.held.newer
  }
  const map = last.held
  if (map === undefined) return undefined
  // From the newest back to this one, each step turns one entry round.
  for (let older = path.pop(); older !== undefined; older = path.pop()) {
    const { held } = older
    if (held === undefined || held instanceof Map) continue
    change(last, map, held.key, held.before, older)
    last = older
  }
  return map
}

/** Makes `into` the newest table: `from` with one entry set, or left out. */
const change = <K, V>(
  from: Table<K, V>,
  map: Map<K, V>,
  key: K,
  entry: { readonly value: V } | undefined,
  into: Table<K, V>
): void => {
  const before = map.get(key)
  from.held = { key, before: before === undefined ? undefined : { value: before }, newer: into }
  if (entry === undefined) map.delete(key)
  else map.set(key, entry.value)
  into.held = map
}

export const get = <K, V extends {}>(table: Table<K, V>, key: K): V | undefined => mapOf(table)?.get(key)

export const has = <K, V extends {}>(table: Table<K, V>, key: K): boolean => mapOf(table)?.has(key) ?? false

export const size = <K, V>(table: Table<K, V>): number => mapOf(table)?.size ?? 0

/** The entries, in no order to rely on. */
export const entries = <K, V>(table: Table<K, V>): ReadonlyArray<readonly [K, V]> => [...(mapOf(table) ?? [])]

export const set = <K, V extends {}>(table: Table<K, V>, key: K, value: V): Table<K, V> => {
  const map = mapOf(table)
  if (map === undefined) return new Table(new Map([[key, value]]))
  const next = new Table<K, V>(undefined)
  change(table, map, key, { value }, next)
  return next
}

export const remove = <K, V extends {}>(table: Table<K, V>, key: K): Table<K, V> => {
  const map = mapOf(table)
  if (map === undefined || !map.has(key)) return table
  const next = new Table<K, V>(undefined)
  change(table, map, key, undefined, next)
  return next
}

export const add = <K>(keys: Keys<K>, key: K): Keys<K> => has(keys, key) ? keys : set(keys, key, true)
