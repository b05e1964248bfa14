/** Measures one subject in this process of its own: `node subject.js <what> <name> <calls>`, and prints it as JSON. */
import { bytes, held, millisOf, nanos, type Took } from "./measure.ts"
import { crowds, sequences, waiting } from "./subjects.ts"

const [what = "", name = "", calls = "0"] = process.argv.slice(2)

const found = <T>(table: { readonly [name: string]: T }): T => {
  const subject = table[name]
  if (subject === undefined) throw new Error(`no subject "${name}"; there are: ${Object.keys(table).join(", ")}`)
  return subject
}

const measure = async (): Promise<number | Took> => {
  switch (what) {
    case "nanos":
      return nanos(await found(sequences)())
    case "bytes":
      return bytes(await found(sequences)())
    case "millis":
      return millisOf(await found(crowds)(), Number(calls))
    case "held": {
      const kept: Array<unknown> = []
      const result = await held(await found(waiting)(kept), Number(calls))
      if (kept.length < Number(calls)) throw new Error("not all calls were kept")
      return result
    }
    default:
      throw new Error(`measure nanos, bytes, millis or held, not "${what}"`)
  }
}

// Breakers and time-outs of others keep timers that would keep this process alive.
process.stdout.write(JSON.stringify(await measure()), () => process.exit(0))
