import type * as Effect from "effect/Effect"
import { describe, expect, it } from "tstyche"
import type { TimedOut } from "../../src/error/PolicyError.ts"
import { pipelineOf } from "../../src/policy/pipeline/pipelineOf.ts"
import { sections } from "../../src/policy/pipeline/sections.ts"
import {
  type Allowance,
  type AllowanceSpent,
  type Options,
  section as allowance
} from "../composition/support/allowance/section.ts"

const Pipeline = pipelineOf([allowance])
const Everything = pipelineOf([...sections, allowance])
declare const call: Effect.Effect<"answer", "down">
declare const pipeline: Effect.Effect.Success<ReturnType<typeof Pipeline.make>>
type OptionsOfMake = Exclude<Parameters<typeof Pipeline.make>[0]["allowance"], undefined>

describe("a policy that is one folder and one line", () => {
  it("has its options in those of the pipeline", () => {
    expect<Options>().type.toBeAssignableTo<OptionsOfMake>()
    expect<Allowance>().type.toBeAssignableTo<OptionsOfMake>()
    expect(Pipeline.make).type.not.toBeCallableWith({ allowance: { attempts: "three" } })
    expect(Pipeline.make).type.not.toBeCallableWith({ allowance: { attempts: 3, pauses: 1 } })
    expect(Pipeline.make).type.not.toBeCallableWith({ allowances: {} })
    expect<{ readonly bulkhead: { readonly maxConcurrent: 1 }; readonly allowance: Options }>().type
      .toBeAssignableTo<Parameters<typeof Everything.make>[0]>()
    expect(Everything.make).type.not.toBeCallableWith({ bulkhead: { maxConcurrency: 1 } })
  })

  it("has its refusal in what a call may fail with", () => {
    expect(Pipeline.apply(call, pipeline)).type.toBe<Effect.Effect<"answer", "down" | AllowanceSpent | TimedOut>>()
    expect(Pipeline.policies(pipeline).allowance).type.toBe<Allowance | undefined>()
  })
})
