import { describe, expect, it } from "@effect/vitest"
import { optionalPeer } from "../../../src/adapter/shared/optionalPeer.ts"

const needs = { module: "adapter/JsonRepair", install: "jsonrepair@3" }

describe("optionalPeer", () => {
  it("gives the package that is there", () => expect(optionalPeer(needs, Promise.resolve(1))).resolves.toBe(1))

  it.each(["ERR_MODULE_NOT_FOUND", "MODULE_NOT_FOUND"])("names the install command where it is missing: %s", (code) => {
    const cause = Object.assign(new Error("Cannot find package 'jsonrepair'"), { code })
    return expect(optionalPeer(needs, Promise.reject(cause))).rejects.toMatchObject({
      message:
        "effect-llm-resilience/adapter/JsonRepair needs a package that is not installed: npm install jsonrepair@3",
      cause
    })
  })

  it("passes a failure of the package itself on", () => {
    const cause = new Error("out of memory")
    return expect(optionalPeer(needs, Promise.reject(cause))).rejects.toBe(cause)
  })
})
