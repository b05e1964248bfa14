import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import { inspect } from "node:util"
import * as ModelError from "../../../src/error/ModelError.ts"
import * as Verdict from "../../../src/error/Verdict.ts"
import { hiding } from "../../../src/provider/shared/ownSecrets.ts"

const keys = ["hunter2-secret-value", "0123456789abcdef0123456789abcdef", "key.with+odd/chars=12", "quo\"ted-key-9"]

describe("hiding", () => {
  for (const key of keys) {
    it(`finds a key without a known form in every field of an error: ${key}`, () => {
      const hide = hiding({ authorization: `Bearer ${key}`, "x-team": "blue" }, [])
      const error = hide(
        new ModelError.RateLimited({
          provider: "gateway",
          model: "m",
          status: 429,
          requestId: `req-${key}`,
          detail: `The token ${key} is too fast; see https://x.example/?k=${encodeURIComponent(key)}`,
          body: JSON.stringify({ headers: { "x-forwarded": key } }),
          retryAfter: Duration.seconds(3),
          cause: { name: "Error", message: `socket of ${key}` }
        })
      )
      const shown = `${error.message} ${JSON.stringify(error)} ${inspect(error, { depth: 9, showHidden: true })}`
      for (const spelling of [key, encodeURIComponent(key), JSON.stringify(key).slice(1, -1)]) {
        expect(shown).not.toContain(spelling)
      }
      expect(error).toBeInstanceOf(ModelError.RateLimited)
      expect(error.detail).toContain("is too fast")
      expect(Verdict.of(error)).toEqual(
        Verdict.make("Retry", { throttled: true, retryAfter: "3 seconds" })
      )
    })
  }

  it("knows the headers that the caller calls secret, and no others", () => {
    const hide = hiding({ "x-corp": "corporate-pass-1", "x-team": "blue-team-one" }, ["x-corp"])
    const error = hide(new ModelError.ServerError({ provider: "p", detail: "corporate-pass-1 of blue-team-one" }))
    expect(error.detail).toBe("[redacted] of blue-team-one")
  })

  it("finds a key that a clip has cut, however little of it is missing", () => {
    const key = "0123456789abcdef0123456789abcdef012345678"
    const hide = hiding({ authorization: `Bearer ${key}` }, [])
    for (let shown = 8; shown < key.length; shown++) {
      const body = `${"x ".repeat(1_000 - shown / 2)}${key} and more`
      const error = hide(new ModelError.ServerError({ provider: "p", body, detail: `You sent ${key.slice(0, shown)}` }))
      expect(JSON.stringify(error)).not.toContain(key.slice(0, 8))
    }
  })

  it("gives an error without a credential back as it is", () => {
    const hide = hiding({ authorization: "Bearer hunter2-secret-value" }, [])
    const error = new ModelError.Overloaded({ provider: "p", detail: "busy" })
    expect(hide(error)).toBe(error)
  })

  it("leaves dummy keys alone, which stand in ordinary words", () => {
    const hide = hiding({ authorization: "Bearer ollama" }, [])
    const error = new ModelError.ModelNotFound({ provider: "p", detail: "ollama has no such model" })
    expect(hide(error)).toBe(error)
  })
})
