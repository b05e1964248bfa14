/** What is asked, of whom, and how often one may try. The same for everybody who calls. */

/** What the provider allows, and how it is. Times are those of the provider, before they are scaled. */
export const provider = {
  requestsPerMinute: 600,
  tokensPerMinute: 200_000,
  latency: { least: 1_000, most: 5_000 },
  faults: 0.1
} as const

/** Attempts of one call, the first included. */
export const attempts = 6

/** Minutes that the provider needs at least, beside the minute that its full buckets give at once. */
export const minutes = 6

export type WorkloadName = "short" | "long"

/** How many tokens a request counts, prompt and longest reply: with short ones requests run out first, with long ones tokens. */
const tokensOf: Readonly<Record<WorkloadName, { readonly least: number; readonly most: number }>> = {
  short: { least: 150, most: 400 },
  long: { least: 250, most: 950 }
}

export const longestReply = 60

/** As the server counts it: three for the message, three for the request. */
const overhead = 6

export interface Item {
  readonly text: string
  readonly tokens: number
}

/** Items of all lengths between least and most, in an order that repeats. */
export const itemsOf = (name: WorkloadName): ReadonlyArray<Item> => {
  const { least, most } = tokensOf[name]
  const mean = (least + most) / 2
  const perMinute = Math.min(provider.requestsPerMinute, provider.tokensPerMinute / mean)
  // A tenth of them is asked twice.
  const count = Math.round(perMinute * (minutes + 1) / (1 + provider.faults))
  return Array.from({ length: count }, (_, index) => {
    const tokens = least + Math.floor((index * 0.618033988749895 % 1) * (most - least))
    const characters = (tokens - longestReply - overhead) * 4
    return { text: `${name} ${index}: `.padEnd(characters, "lorem ipsum "), tokens }
  })
}
