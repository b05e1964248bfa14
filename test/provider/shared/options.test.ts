import { describe, expect, it } from "@effect/vitest"
import * as options from "../../../src/provider/shared/options.ts"

describe("headerIssues", () => {
  it.each(["x-mine", "host"])("never show the value of %s, which may be a key", (name) => {
    const issues = options.headerIssues({ [name]: "hunter2-open-sesame\n" })
    expect(issues).toMatchObject([{ path: `headers.${name}`, found: "a text of 20 characters" }])
  })
})
