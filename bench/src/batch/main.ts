/**
 * A batch against a provider with limits: how much of the limit is used, how many calls are answered 429, and what is lost. Ours
 * finds limits and concurrency by itself; the others are measured at several fixed concurrencies, and the best one is shown.
 * The provider's time is scaled, for its server and for all who call it alike.
 *
 * `npm run batch -- ours` measures only what has that word in its name; `--scale 20` says how many times faster time goes,
 * `--workload short|long` which items are sent.
 */
import { fork } from "node:child_process"
import { once } from "node:events"
import { cpus, loadavg } from "node:os"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { print } from "../run.ts"
import type { Address, ClientName } from "./clients.ts"
import type { Order } from "./client.ts"
import { realMillis, rest } from "./scaledTime.ts"
import type { Counts } from "./server.ts"
import { itemsOf, provider, type WorkloadName } from "./workload.ts"

const { positionals: words, values } = parseArgs({
  options: {
    scale: { type: "string", default: "20" },
    workload: { type: "string", multiple: true, default: ["short", "long"] },
    verbose: { type: "boolean", default: false }
  },
  allowPositionals: true
})
const scale = Number(values.scale)
const fixed = [10, 20, 30, 40, 60, 100]

const names: ReadonlyArray<ClientName> = ["ours, auto", "p-retry with p-limit", "openai SDK's retries", "Effect.forEach with Effect.retry"]
const workloads: ReadonlyArray<WorkloadName> = (["short", "long"] as const).filter((name) => values.workload.includes(name))

interface Figures {
  /** The share of the provider's limit that was used while there was something to send. */
  readonly used: number
  /** The share of the calls that were answered 429. */
  readonly limited: number
  readonly lost: number
  /** Minutes of the provider. */
  readonly minutes: number
  readonly calls: number
}

const started = (file: string, environment: Readonly<Record<string, string>>) =>
  fork(fileURLToPath(new URL(file, import.meta.url)), { env: { ...process.env, ...environment } })

const measure = async (order: Omit<Order, "address">): Promise<Figures> => {
  const environment = { TIME_SCALE: String(scale), TIME_ORIGIN: String(realMillis()) }
  const server = started("./server.js", environment)
  const client = started("./client.js", environment)
  const [[address], ] = await Promise.all([once(server, "message"), once(client, "message")])
  const counts = async (): Promise<Counts> => {
    server.send("counts")
    const [told] = await once(server, "message")
    return told as Counts
  }
  const items = itemsOf(order.workload)
  const meanTokens = items.reduce((sum, { tokens }) => sum + tokens, 0) / items.length
  const perMinute = Math.min(provider.requestsPerMinute, provider.tokensPerMinute / meanTokens)

  const from = realMillis()
  let isOver = false
  let answered = 0
  client.send({ ...order, address: address as Address } satisfies Order)
  const ended = once(client, "message").then(([result]) => {
    isOver = true
    answered = (result as { readonly answered: number }).answered
  })
  // Minute by minute, from the second one on: in the first the full buckets give a further minute's worth.
  const minuteMillis = 60_000 / scale
  const shares: Array<number> = []
  let before = 0
  for (let minute = 1; !isOver; minute++) {
    await Promise.race([ended, rest(Math.max(0, from + minute * minuteMillis - realMillis()))])
    const { admitted } = await counts()
    // The last tenth of the items is the end of the input, where there are too few of them to use all.
    if (!isOver && admitted < items.length * 0.9) shares.push((admitted - before) / perMinute)
    before = admitted
  }
  await ended
  const minutes = (realMillis() - from) / minuteMillis
  const { admitted, limited, requests } = await counts()
  server.disconnect()
  if (values.verbose) console.log(order.client, order.concurrency, shares.map((share) => share.toFixed(3)).join(" "))
  const steady = shares.map((share) => Math.min(1, share))
  return {
    used: steady.reduce((sum, share) => sum + share, 0) / Math.max(1, steady.length),
    limited: limited / requests,
    lost: items.length - answered,
    minutes,
    calls: admitted
  }
}

const percent = (share: number): string => `${(share * 100).toFixed(1)} %`

/** Nothing lost comes first, then few refusals, then much use. */
const better = (one: Figures, other: Figures): boolean =>
  one.lost !== other.lost
    ? one.lost < other.lost
    : (one.limited < 0.03) !== (other.limited < 0.03)
    ? one.limited < 0.03
    : one.used > other.used

console.log(`Node ${process.version}, ${cpus()[0]?.model ?? "?"}, ${cpus().length} cores, time ${scale} times faster`)
for (const workload of workloads) {
  const rows: Array<ReadonlyArray<string>> = []
  for (const client of names.filter((name) => words.every((word) => name.includes(word)))) {
    let best: { readonly figures: Figures; readonly concurrency: number } | undefined
    for (const concurrency of client === "ours, auto" ? [0] : fixed) {
      const figures = await measure({ client, workload, concurrency })
      if (values.verbose) console.log(client, concurrency, JSON.stringify(figures))
      if (best === undefined || better(figures, best.figures)) best = { figures, concurrency }
    }
    if (best === undefined) continue
    const { calls, limited, lost, minutes, used } = best.figures
    rows.push([
      best.concurrency === 0 ? client : `${client}, ${best.concurrency} at a time`,
      percent(used),
      percent(limited),
      String(lost),
      minutes.toFixed(2),
      String(calls)
    ])
  }
  const items = itemsOf(workload)
  print(
    `${items.length} ${workload} items: ${provider.requestsPerMinute} requests and ${provider.tokensPerMinute} tokens a minute, ${percent(provider.faults)} faults`,
    ["", "limit used", "answered 429", "lost", "minutes", "calls"],
    rows
  )
}
console.log(`Load of the last minute at the end: ${(loadavg()[0] ?? Number.NaN).toFixed(1)}`)
