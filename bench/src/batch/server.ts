/** The provider in a process of its own. Tells its address, then what it did whenever it is asked. */
import "./scaledTime.ts"
import * as Effect from "effect/Effect"
import * as ChaosServer from "../../../src/chaos/ChaosServer.ts"
import * as Fault from "../../../src/chaos/Fault.ts"
import { provider } from "./workload.ts"

/** What the figures are made of. */
export interface Counts {
  readonly requests: number
  readonly admitted: number
  readonly limited: number
}

const program = Effect.gen(function*() {
  const server = yield* ChaosServer.make({
    plan: Fault.storm({
      seed: 13,
      serverErrors: { probability: provider.faults * 0.6 },
      cuts: provider.faults * 0.4
    }),
    limits: { requestsPerMinute: provider.requestsPerMinute, tokensPerMinute: provider.tokensPerMinute },
    latency: provider.latency
  })
  process.on("message", () => {
    void Effect.runPromise(server.books).then(({ admitted, refused, requests }) => {
      const counts: Counts = { requests, admitted, limited: refused.limit }
      process.send?.(counts)
    })
  })
  process.send?.({ baseUrl: server.baseUrl, apiKey: server.apiKey, model: server.model })
  return yield* Effect.never
}).pipe(Effect.scoped)

process.on("disconnect", () => process.exit(0))
void Effect.runPromise(program)
