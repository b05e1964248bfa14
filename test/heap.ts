/** How much memory is held, for tests of what grows. */
import * as Effect from "effect/Effect"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { turn } from "./runs.ts"

setFlagsFromString("--expose-gc")
const collect: unknown = runInNewContext("gc")

/** Megabytes that are still held after the garbage was collected: objects, and the bytes of buffers beside them. */
export const heldMegabytes: Effect.Effect<number> = Effect.promise(async () => {
  // What was let go of in this turn of the loop is still held by it.
  await turn()
  if (typeof collect === "function") collect()
  const { external, heapUsed } = process.memoryUsage()
  return (heapUsed + external) / 1_048_576
})
