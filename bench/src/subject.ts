/** Measures one subject in this process of its own: `node subject.js <what> <name> <size>`, and prints it as JSON. */
import { throughputs, wholeCalls } from "./calls/client.ts"
import { concurrency } from "./concurrent/client.ts"
import { loneChunks } from "./loneChunk/client.ts"
import { hostile } from "./hostile/client.ts"
import { bytes, held, millisOf, nanos } from "./measure.ts"
import type { Found } from "./run.ts"
import { streamLayers } from "./streamLayer/client.ts"
import { decodings } from "./streams/decoders.ts"
import { crowds, sequences, waiting } from "./subjects.ts"
import { calls as toolCalls } from "./toolCall/subjects.ts"

const [what = "", name = "", size = "0"] = process.argv.slice(2)

const found = <T>(table: { readonly [name: string]: T }): T => {
  const subject = table[name]
  if (subject === undefined) throw new Error(`no subject "${name}"; there are: ${Object.keys(table).join(", ")}`)
  return subject
}

const measure = async (): Promise<Found> => {
  switch (what) {
    case "nanos":
      return { ...await nanos(await found({ ...sequences, ...toolCalls })()) }
    case "bytes":
      return { processor: await bytes(await found({ ...sequences, ...toolCalls })()) }
    case "millis":
      return { ...await millisOf(await found(crowds)(), Number(size)) }
    case "held": {
      const kept: Array<unknown> = []
      const result = await held(await found(waiting)(kept), Number(size))
      if (kept.length < Number(size)) throw new Error("not all calls were kept")
      return { processor: result }
    }
    case "decode":
      return found(decodings)(Number(size))
    case "concurrent":
      return found(concurrency)()
    case "call":
      return found(wholeCalls)()
    case "throughput":
      return found(throughputs)()
    case "loneChunk":
      return found(loneChunks)(Number(size))
    case "streamLayer":
      return found(streamLayers)()
    case "hostile":
      return found(hostile)()
    default:
      throw new Error(
        `measure nanos, bytes, millis, held, decode, concurrent, call, throughput, loneChunk, streamLayer or hostile, not "${what}"`
      )
  }
}

// Breakers and time-outs of others keep timers that would keep this process alive.
process.stdout.write(JSON.stringify(await measure()), () => process.exit(0))
