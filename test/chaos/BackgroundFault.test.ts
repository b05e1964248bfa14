import { describe, expect, it } from "@effect/vitest"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as BackgroundFault from "../../src/chaos/BackgroundFault.ts"
import * as Fault from "../../src/chaos/Fault.ts"

describe("BackgroundFault", () => {
  it("goes through JSON, alone and in a plan", () => {
    for (
      const fault of [
        BackgroundFault.repeatedEvents(),
        BackgroundFault.repeatedEvents("all"),
        BackgroundFault.noRetention
      ]
    ) {
      expect(Schema.decodeUnknownSync(BackgroundFault.BackgroundFault)(JSON.parse(JSON.stringify(fault)))).toEqual(
        fault
      )
      expect(Schema.decodeUnknownSync(Fault.Fault)(fault)).toEqual(fault)
    }
  })

  it("meets faults of background responses as often as their shares say", () => {
    const plan = Fault.storm({
      seed: 4,
      background: {
        repeatedEvents: { probability: 0.2 },
        tooOldToStream: 0.1,
        forgottenReplies: 0.1,
        noRetention: 0.1
      }
    })
    const arrivals = 20_000
    const seen = new Map<string, number>()
    for (let n = 0; n < arrivals; n++) {
      const name = JSON.stringify(Option.getOrNull(Fault.fate(plan, Fault.requestKey(`${n}`), 1)))
      seen.set(name, (seen.get(name) ?? 0) + 1)
    }
    const part = (fault: Fault.Fault | null) => (seen.get(JSON.stringify(fault)) ?? 0) / arrivals
    for (const events of BackgroundFault.repeats) {
      expect(part(BackgroundFault.repeatedEvents(events))).toBeCloseTo(0.1, 1)
    }
    expect(part(BackgroundFault.tooOldToStream)).toBeCloseTo(0.1, 1)
    expect(part(BackgroundFault.forgottenReply)).toBeCloseTo(0.1, 1)
    expect(part(BackgroundFault.noRetention)).toBeCloseTo(0.1, 1)
    expect(part(null)).toBeCloseTo(0.5, 1)
  })

  it("harms no request of another kind, so it needs no further call", () => {
    const faults = [
      BackgroundFault.repeatedEvents(),
      BackgroundFault.tooOldToStream,
      BackgroundFault.forgottenReply,
      BackgroundFault.noRetention
    ]
    expect(faults.map(Fault.harms)).toEqual([false, false, false, false])
    expect(Fault.leastCalls(Fault.script({ everyRequest: faults }), ["a"]).total).toBe(1)
  })
})
