/** References of a JSON Schema as vendors take them: each leads to a definition under `$defs`. */
import { type Fields, isRecord, listOf } from "../../internal/record.ts"
import { follow, unescaped } from "../../internal/schemaReference.ts"
import { described, mapped, strings, without } from "./schemaWalk.ts"

const isPlain = (reference: string): boolean => /^#\/\$defs\/[^/]+$/.test(reference)

/** Anchors are names for places that now have others. */
const anchors = ["$anchor", "$dynamicAnchor", "$recursiveAnchor"]

const referenceOf = (schema: Fields): string | undefined => {
  const reference = schema["$ref"] ?? schema["$dynamicRef"] ?? schema["$recursiveRef"]
  return typeof reference === "string" ? reference : undefined
}

const definitionsOf = ({ $defs }: Fields): Fields => isRecord($defs) ? $defs : {}

const pointerTo = (name: string): string =>
  `#/$defs/${encodeURIComponent(name.replace(/~/g, "~0").replace(/\//g, "~1"))}`

/** The last step of a pointer that is a name: `#/definitions/Args` is about `Args`. */
const nameIn = (reference: string, taken: ReadonlySet<string>): string => {
  const base = reference.split("/").at(-1)?.replace(/[^a-zA-Z0-9_.-]/g, "") || "root"
  let name = base
  for (let next = 2; taken.has(name); next++) name = `${base}_${next}`
  return name
}

/**
 * The schema with a definition for everything that is referred to. A pointer to any other place, to the root, or to an
 * anchor leads nowhere once the schema is written in another form, and Gemini takes no other than those to `$defs`.
 */
export const withDefinitions = (root: Fields): Fields => {
  const names = new Map<string, string>()
  const definitions = new Map(Object.entries(definitionsOf(root)))
  const taken = new Set(definitions.keys())
  mapped(root, (schema) => {
    const reference = referenceOf(schema)
    if (reference === undefined || isPlain(reference) || names.has(reference)) return schema
    const target = follow(root, reference)
    if (target === undefined) return schema
    const name = nameIn(reference, taken)
    taken.add(name)
    names.set(reference, name)
    definitions.set(name, isRecord(target) ? without(target, "$defs", "definitions") : target)
    return schema
  })
  if (names.size === 0) return root
  const whole = {
    ...without(root, "$defs", "definitions"),
    $defs: Object.fromEntries(definitions)
  }
  const rewritten = mapped(whole, (schema) => {
    const reference = referenceOf(schema)
    const name = reference === undefined ? undefined : names.get(reference)
    const kept = anchors.some((anchor) => schema[anchor] !== undefined) ? without(schema, ...anchors) : schema
    return name === undefined
      ? kept
      : { ...without(kept, "$dynamicRef", "$recursiveRef"), $ref: pointerTo(name) }
  })
  return isRecord(rewritten) ? rewritten : root
}

/** The names of the definitions that a schema refers to. */
const namesIn = (schema: unknown): ReadonlySet<string> => {
  const names = new Set<string>()
  mapped(schema, (each) => {
    const reference = referenceOf(each)
    if (reference !== undefined && isPlain(reference)) {
      names.add(unescaped(reference.slice("#/$defs/".length)))
    }
    return each
  })
  return names
}

/** For each definition those that it leads to, by whatever way. */
const reachable = (definitions: Fields): ReadonlyMap<string, ReadonlySet<string>> => {
  const direct = new Map(Object.entries(definitions).map(([name, schema]) => [name, namesIn(schema)]))
  return new Map([...direct.keys()].map((name) => {
    const reached = new Set<string>()
    const open = [...(direct.get(name) ?? [])]
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      if (reached.has(next)) continue
      reached.add(next)
      open.push(...(direct.get(next) ?? []))
    }
    return [name, reached]
  }))
}

/** A reference beside other keywords becomes one of several forms, of which there is only this one. */
const alone = (schema: Fields): Fields => {
  const { $ref, allOf, ...rest } = schema
  if ($ref !== undefined && Object.keys(schema).length > 1) {
    return schema["anyOf"] === undefined && allOf === undefined
      ? { ...rest, anyOf: [{ $ref }] }
      : { ...without(schema, "$ref"), allOf: [...listOf(allOf), { $ref }] }
  }
  return listOf(allOf).length === 1 && schema["anyOf"] === undefined ? { ...rest, anyOf: listOf(allOf) } : schema
}

/**
 * For Gemini, which takes a reference only by itself, and one that leads round in a circle only in a property that may be
 * left out. Such a property is said to be required in words, and the decoding of the call holds the model to it.
 */
export const withBoundReferences = (root: Fields): Fields => {
  const definitions = definitionsOf(root)
  const reached = reachable(definitions)
  const loosened = Object.entries(definitions).map(([own, definition]): readonly [string, unknown] => {
    if (reached.get(own)?.has(own) !== true) return [own, definition]
    const leadsBack = (schema: unknown): boolean =>
      [...namesIn(schema)].some((name) => name === own || reached.get(name)?.has(own) === true)
    return [
      own,
      mapped(definition, (schema) => {
        const { properties, required } = schema
        if (!isRecord(properties)) return schema
        const circular = strings(required).filter((name) => leadsBack(properties[name]))
        if (circular.length === 0) return schema
        const left = strings(required).filter((name) => !circular.includes(name))
        return described(
          { ...without(schema, "required"), ...(left.length === 0 ? {} : { required: left }) },
          `Must have ${circular.join(", ")}, too.`
        )
      })
    ]
  })
  const bound = mapped(
    Object.keys(definitions).length === 0 ? root : { ...root, $defs: Object.fromEntries(loosened) },
    alone
  )
  return isRecord(bound) ? bound : root
}
