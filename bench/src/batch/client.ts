/** One way to send the calls, in a process of its own whose time is scaled. Told what to do, tells what came of it. */
import "./scaledTime.ts"
import { type Address, type ClientName, clients } from "./clients.ts"
import { itemsOf, type WorkloadName } from "./workload.ts"

export interface Order {
  readonly address: Address
  readonly client: ClientName
  readonly workload: WorkloadName
  readonly concurrency: number
}

process.on("message", (order: Order) => {
  const items = itemsOf(order.workload)
  void clients[order.client](order.address, items, order.concurrency).then((answered) => {
    process.send?.({ answered })
    process.disconnect?.()
  })
})
process.send?.("ready")
