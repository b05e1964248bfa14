import { describe, expect, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import { inspect } from "node:util"
import * as ModelError from "../../../src/error/ModelError.ts"
import * as Verdict from "../../../src/error/Verdict.ts"
import { ofAddress, ofHeaders, ofOptions, rememberAll } from "../../../src/provider/shared/ownSecrets.ts"

const keys = ["hunter2-secret-value", "0123456789abcdef0123456789abcdef", "key.with+odd/chars=12", "quo\"ted-key-9"]

describe("credentials of a request", () => {
  for (const key of keys) {
    it(`without a known form are in no field of an error: ${key}`, () => {
      rememberAll(ofHeaders({ authorization: `Bearer ${key}`, "x-team": "blue" }, []))
      const error = new ModelError.RateLimited({
        provider: "gateway",
        model: "m",
        status: 429,
        requestId: `req-${key}`,
        detail: `The token ${key} is too fast; see https://x.example/?k=${encodeURIComponent(key)}`,
        body: JSON.stringify({ headers: { "x-forwarded": key }, raw: JSON.stringify({ was: key }) }),
        retryAfter: Duration.seconds(3),
        cause: { name: "Error", message: `socket of ${key}` }
      })
      const shown = `${error.message} ${JSON.stringify(error)} ${inspect(error, { depth: 9, showHidden: true })}`
      for (const spelling of [key, encodeURIComponent(key), JSON.stringify(key).slice(1, -1)]) {
        expect(shown).not.toContain(spelling)
      }
      expect(error.detail).toContain("is too fast")
      expect(Verdict.of(error)).toEqual(
        Verdict.make("Retry", { throttled: true, retryAfter: "3 seconds" })
      )
    })
  }

  it("are hidden at every place where a clip can cut them", () => {
    const key = "0123456789abcdef0123456789abcdef012345678"
    rememberAll([key])
    for (let shown = 8; shown < key.length; shown++) {
      const body = `${"x ".repeat(1_000 - shown / 2)}${key} and more`
      const texts = [body, `You sent ${key.slice(0, shown)}`, `${key.slice(-shown)} is what you sent`]
      for (const detail of texts) {
        const error = new ModelError.ServerError({ provider: "p", body, detail })
        expect(JSON.stringify(error)).not.toContain(key.slice(0, 8))
        expect(JSON.stringify(error)).not.toContain(key.slice(-8))
      }
    }
  })

  it("are values of headers by their names, by the caller's word, or by their form", () => {
    const headers = {
      authorization: "Basic dXNlcjpodW50ZXIyLXBhc3M=",
      "cf-aig-authorization": "Bearer gateway-pass-1",
      cookie: "a=1; session=cookie-pass-2",
      "x-corp": "corporate pass 3",
      "x-auth": "q7Zx81kLm2Pq90",
      "x-unnamed": "q7Zx81kLm2Pq90aa",
      "x-team": "blue-team-one",
      "anthropic-beta": "prompt-caching-2024-07-31",
      "anthropic-version": "2023-06-01",
      "openai-organization": "org-a1b2c3d4e5f6g7h8",
      "user-agent": "my-application/1.2.3"
    }
    expect(ofHeaders(headers, ["x-corp"])).toEqual([
      "dXNlcjpodW50ZXIyLXBhc3M=",
      "user:hunter2-pass",
      "hunter2-pass",
      "gateway-pass-1",
      "a=1; session=cookie-pass-2",
      "1",
      "cookie-pass-2",
      "corporate pass 3",
      "q7Zx81kLm2Pq90aa"
    ])
  })

  it("are parameters of an address, and options by the names of their fields", () => {
    expect(ofAddress("https://x.example/v1?api-version=2024-10-21-preview&alt=sse&sig=q7Zx81kLm2Pq90aa&t=short"))
      .toEqual([
        "q7Zx81kLm2Pq90aa"
      ])
    expect(ofAddress("https://x.example/v1")).toEqual([])
    const circle: { [name: string]: unknown } = { password: "in-a-circle" }
    circle["again"] = circle
    expect(new Set(ofOptions(circle))).toEqual(new Set(["in-a-circle"]))
    const tools = [{ type: "mcp", server_url: "https://x.example", headers: { Authorization: "Bearer tool-pass-1" } }]
    expect(ofOptions({ tools, max_tokens: 5, mcp_servers: [{ authorization_token: "tool-pass-2" }] })).toEqual([
      "tool-pass-1",
      "tool-pass-2"
    ])
  })

  it("leaves dummy keys alone, which stand in ordinary words", () => {
    rememberAll(["ollama", "not-needed", "placeholder", "sk-no-key-required"])
    const detail = "ollama has no such model; a placeholder is not-needed"
    expect(new ModelError.ModelNotFound({ provider: "p", detail }).detail).toBe(detail)
  })
})
