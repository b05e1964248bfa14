/** Azure's content filters, as both of OpenAI's protocols report them. */
import { isRecord } from "../../internal/record.ts"

/** The names of the Azure filters that fired. */
export const filteredCategories = (results: unknown): ReadonlyArray<string> =>
  isRecord(results)
    ? Object.entries(results).flatMap(([name, result]) => isRecord(result) && result["filtered"] === true ? [name] : [])
    : []
