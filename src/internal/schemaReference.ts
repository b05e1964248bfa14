/** Where a `$ref` of a JSON Schema leads. */
import { isRecord } from "./record.ts"

/** A step of a pointer as the name that it stands for. */
export const unescaped = (step: string): string => {
  try {
    return decodeURIComponent(step).replace(/~1/g, "/").replace(/~0/g, "~")
  } catch {
    return step
  }
}

const isAnchor = (value: object, name: string): boolean =>
  isRecord(value) && (value["$anchor"] === name || value["$dynamicAnchor"] === name)

/** The first schema of that name, whatever holds it. */
const anchored = (root: unknown, name: string): unknown => {
  const open: Array<unknown> = [root]
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (typeof next !== "object" || next === null) continue
    if (isAnchor(next, name)) return next
    open.push(...Object.values(next).filter((value) => typeof value === "object" && value !== null))
  }
  return undefined
}

/** The schema that a reference means; nothing where it leads out of the document, or nowhere. */
export const follow = (root: unknown, reference: string): unknown => {
  if (reference === "#") return root
  if (!reference.startsWith("#")) return undefined
  if (!reference.startsWith("#/")) return anchored(root, unescaped(reference.slice(1)))
  let at: unknown = root
  for (const step of reference.split("/").slice(1).map(unescaped)) {
    if (typeof at !== "object" || at === null || !Object.hasOwn(at, step)) return undefined
    at = Reflect.get(at, step)
  }
  return at
}
