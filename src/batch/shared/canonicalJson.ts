/** JSON that does not depend on the order in which the fields of an object were written. */
import { isRecord } from "../../internal/record.ts"

const inOrder = (_: string, value: unknown): unknown =>
  isRecord(value) ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1)) : value

export const canonicalJson = (value: unknown): string => String(JSON.stringify(value, inOrder))
