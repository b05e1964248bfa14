/** What came of one call, in one shape for all clients, so that two of them can be compared. */
import { isDeepStrictEqual } from "node:util"

export interface Call {
  readonly name: string
  /** Parsed; the raw text where it is no JSON. */
  readonly arguments: unknown
}

export interface Said {
  readonly _tag: "Said"
  readonly text: string
  readonly calls: ReadonlyArray<Call>
  /** Input, output and total tokens. */
  readonly usage: readonly [input: number, output: number, total: number]
  readonly finish: string
}

export interface Failed {
  readonly _tag: "Failed"
  /** The tag that our library gives to such an error. */
  readonly error: string
  /** What the client itself said; not compared. */
  readonly words: string
}

export type Answer = Said | Failed

/** The arguments, read where they can be. */
export const parsed = (text: string): unknown => {
  try {
    return text === "" ? {} : JSON.parse(text)
  } catch {
    return text
  }
}

export const said = (facts: Omit<Said, "_tag">): Said => ({ _tag: "Said", ...facts })

const show = (value: unknown): string => JSON.stringify(value) ?? "undefined"

/** What is different, or nothing. */
export const difference = (sdk: Answer, ours: Answer): string | undefined => {
  if (sdk._tag === "Said" && ours._tag === "Said") {
    const fields = ["text", "calls", "usage", "finish"] as const
    const wrong = fields.filter((field) => !isDeepStrictEqual(sdk[field], ours[field]))
    return wrong.length === 0
      ? undefined
      : wrong.map((field) => `${field}: SDK ${show(sdk[field])}, ours ${show(ours[field])}`).join("; ")
  }
  if (sdk._tag === "Failed" && ours._tag === "Failed") {
    return sdk.error === ours.error
      ? undefined
      : `SDK ${sdk.error} (${sdk.words}), ours ${ours.error} (${ours.words})`
  }
  const told = (answer: Answer): string =>
    answer._tag === "Failed"
      ? `${answer.error} (${answer.words})`
      : `a reply (finish ${answer.finish}, text ${show(answer.text.slice(0, 40))}, ${answer.calls.length} calls)`
  return `SDK ${told(sdk)}, ours ${told(ours)}`
}
