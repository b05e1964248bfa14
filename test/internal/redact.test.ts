import * as HttpClientError from "@effect/platform/HttpClientError"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { describeCause, excerpt, excerptLength, isSecretName, redact } from "../../src/internal/redact.ts"
import { runs } from "../runs.ts"

const secret = "tOpSeCrEt0123456789abcdef"
const times = { numRuns: runs(200, 500) }

describe("redact", () => {
  describe("masks a credential", () => {
    const json = JSON.stringify({ headers: { authorization: `Bearer ${secret}`, "x-api-key": secret } })
    const forms: Readonly<Record<string, string>> = {
      "a bearer header": `Authorization: Bearer ${secret}`,
      "a basic header": `authorization: Basic ${secret}==`,
      "a header without a scheme": `Authorization: ${secret}`,
      "a proxy's header": `Proxy-Authorization: Basic ${secret}`,
      "a bearer token in prose": `sent with bearer ${secret} to the host`,
      "a bearer token in a URL": `?auth=Bearer%20${secret}`,
      "Anthropic's header": `x-api-key: ${secret}`,
      "Azure's header": `api-key: ${secret}`,
      "Google's header": `x-goog-api-key: ${secret}`,
      "Amazon's header": `X-Amz-Security-Token: ${secret}`,
      "Amazon's signature": `AWS4-HMAC-SHA256 Credential=${secret}/eu, Signature=${secret}`,
      "an environment variable": `OPENAI_API_KEY=${secret} node main.js`,
      "OpenAI's complaint": `Incorrect API key provided: ${secret}. You can find your key at …`,
      "a key in a query": `POST https://host/v1?alt=sse&key=${secret} (500)`,
      "a signature in a query": `https://host/a?sig=${secret}#there`,
      "a key in a form": `model=x key=${secret}`,
      "a user and password in a URL": `https://user:${secret}@host/path`,
      "a token as the user of a URL": `https://${secret}@host/path`,
      "a password alone in a URL": `redis://:${secret}@host`,
      "a password with an @ in a URL": `https://user:p@${secret}@host/path`,
      "headers as JSON": json,
      "headers as JSON in JSON": JSON.stringify({ body: json }),
      "headers as JSON in JSON in JSON": JSON.stringify({ body: JSON.stringify({ body: json }) }),
      "headers as pairs": JSON.stringify([["x-api-key", secret], ["authorization", secret]]),
      "headers as a flat list": `[ 'Api-Key', '${secret}', 'Cookie', '${secret}' ]`,
      "headers with lists of values": JSON.stringify({ "x-api-key": [secret], cookie: [secret] }),
      "headers as a printed Map": `Map(1) { 'x-api-key' => '${secret}' }`,
      "headers as named values": JSON.stringify([{ name: "api-key", value: secret }]),
      "an inspected object": `{ apiKey: '${secret}' }`,
      "a command line": `curl -H "x-api-key: ${secret}" https://host`,
      "a cookie": `Cookie: a=1; session=${secret}; b=2`,
      "a set cookie": `set-cookie: session=${secret}; HttpOnly`,
      "a password of many words": JSON.stringify({ password: `correct horse "${secret}" battery` }),
      "a value whose quote is cut off": `{"api_key":"${secret}`,
      "a refresh token": JSON.stringify({ refresh_token: secret, access_token: secret, id_token: secret }),
      "a private key": `-----BEGIN RSA PRIVATE KEY-----\n${secret}\n-----END RSA PRIVATE KEY-----`,
      "a private key as JSON": JSON.stringify({ k: `-----BEGIN PRIVATE KEY-----\n${secret}\n` }),
      "a JSON Web Token": `token eyJhbGciOiJIUzI1NiJ9.${secret}.${secret}`
    }
    for (const [name, text] of Object.entries(forms)) {
      it(`written as ${name}`, () => {
        expect(redact(text)).not.toContain(secret)
        expect(redact(text)).toContain("[redacted]")
      })
    }

    it.each(["sk-", "sk-proj-", "sk-ant-api03-", "sk-or-v1-", "gsk_", "xai-", "AIzaSy", "hf_", "r8_", "pplx-", "ghp_"])(
      "that begins with %s wherever it stands",
      (prefix) => {
        for (
          const [before, after] of [["", ""], ["the key ", " is bad"], ["(", ")"], ["\"", "\""], ["a_", ""], [
            "%20",
            ""
          ]]
        ) {
          const shown = redact(`${before}${prefix}${secret}${after}`)
          expect(shown).not.toContain(secret.slice(0, 8))
          expect(shown).toBe(`${before}[redacted]${after}`)
        }
      }
    )

    it("that the provider has half starred out", () => {
      expect(redact("Incorrect API key provided: sk-proj-****wxyz.")).not.toContain("wxyz")
      expect(redact("bad key sk-abcd****wxyz")).not.toContain("wxyz")
    })
  })

  it("leaves what people need to read", () => {
    for (
      const text of [
        "Rate limit reached for gpt-4o in organization org-abc on tokens per min (TPM): Limit 30000, Used 29000.",
        "{\"usage\":{\"prompt_tokens\":12,\"completion_tokens\":5,\"total_tokens\":17},\"max_tokens\":100}",
        "https://api.openai.com/v1/chat/completions?alt=sse",
        "The API key was not accepted. Check the key and that it belongs to this base URL.",
        "write to help@example.org"
      ]
    ) expect(redact(text)).toBe(text)
  })

  it("keeps what stands round a credential", () => {
    expect(redact(`a x-api-key: ${secret}, b`)).toBe("a x-api-key: [redacted], b")
    expect(redact(`{"authorization":"Bearer ${secret}","model":"gpt-4o"}`))
      .toBe("{\"authorization\":\"Bearer [redacted]\",\"model\":\"gpt-4o\"}")
    expect(redact(`https://me:${secret}@host/v1?key=${secret}&alt=sse`))
      .toBe("https://[redacted]@host/v1?key=[redacted]&alt=sse")
  })
})

describe("the name of a parameter", () => {
  it.each([
    "skipTlsVerification",
    "skip_disambiguation",
    "pkgRegistryAddress",
    "hf_use_cache",
    "rkPartitionKeyColumn",
    "fwRuleIdentifier"
  ])(
    "%s is no key",
    (name) => expect(redact(`Unexpected parameter ${name}`)).toBe(`Unexpected parameter ${name}`)
  )

  it.each([
    "sk-proj-abc123def456",
    "gsk_abcdefABCDEF",
    "hf_abcdefghijklmnopqrst",
    "sk-****abcd",
    "AIzaSyA1234567890",
    "ghp_16C7e42F292c6912"
  ])(
    "%s is a key",
    (key) => expect(redact(`The key ${key} is wrong`)).toBe("The key [redacted] is wrong")
  )
})

/** Pieces from which every rule can be met, in any order. */
const pieces = FastCheck.array(
  FastCheck.oneof(
    FastCheck.constantFrom(
      ..."\"':=, \\\n;&?@{}[]/.-_%…*",
      "authorization",
      "x-api-key",
      "api key provided",
      "Bearer ",
      "basic ",
      "cookie",
      "set-cookie",
      "password",
      "?key=",
      "&sig=",
      "key=",
      "https://",
      "sk-",
      "AIza",
      "eyJ",
      "abcdef",
      "0123456789ab",
      "value",
      "=>",
      "[redacted]",
      "-----BEGIN PRIVATE KEY-----",
      "… (12 more characters)",
      "😀"
    ),
    FastCheck.string({ maxLength: 12 })
  ),
  { maxLength: 24 }
).map((all) => all.join(""))

describe("laws of redact and excerpt", () => {
  it("redacting twice is redacting once", () => {
    FastCheck.assert(FastCheck.property(pieces, (text) => redact(redact(text)) === redact(text)), {
      numRuns: runs(1_000, 3_000)
    })
  })

  it("clipping twice is clipping once", () => {
    FastCheck.assert(
      FastCheck.property(pieces, FastCheck.integer({ min: 1, max: 60 }), (text, max) => {
        const once = excerpt(text.repeat(8), max)
        return excerpt(once, max) === once
      }),
      { numRuns: runs(1_000, 3_000) }
    )
  })

  it("an excerpt holds no credential, wherever the clip falls", () => {
    FastCheck.assert(
      FastCheck.property(
        FastCheck.integer({ min: 0, max: 9_100 }),
        FastCheck.constantFrom("x", "x ", "😀"),
        (at, filler) => {
          const before = filler.repeat(Math.ceil(at / filler.length)).slice(0, at)
          const shown = excerpt(`${before} sk-proj-${secret.repeat(3)} and x-api-key: ${secret}`)
          return !shown.includes("tOpS")
        }
      ),
      times
    )
  })

  it("an excerpt is well-formed text of about the length asked for", () => {
    FastCheck.assert(
      FastCheck.property(FastCheck.nat(40), FastCheck.integer({ min: 1, max: 60 }), (shift, max) => {
        const shown = excerpt(`${"a".repeat(shift)}${"😀".repeat(60)}`, max)
        return encodeURIComponent(shown).length > 0 && shown.length <= max + "[redacted]".length + 30
      }),
      times
    )
  })
})

describe("excerpt", () => {
  it("leaves a short text as it is", () => {
    expect(excerpt("short")).toBe("short")
    expect(excerpt("a".repeat(excerptLength))).toBe("a".repeat(excerptLength))
  })

  it("says how much is missing", () => {
    expect(excerpt("a".repeat(12), 10)).toBe(`${"a".repeat(10)}… (2 more characters)`)
    expect(excerpt("a".repeat(50_000))).toBe(`${"a".repeat(2_000)}… (48000 more characters)`)
  })

  it("never splits a surrogate pair", () => {
    expect(excerpt("aaa😀b", 4)).toBe("aaa… (3 more characters)")
  })

  it("does not leak a key that the clip would cut in two, even after much that was masked", () => {
    const many = `x-api-key: ${"k".repeat(2_000)} `.repeat(8)
    expect(excerpt(many)).not.toContain("kk")
    for (let at = 8_900; at < 9_100; at++) {
      const masked = `x-api-key: ${"k".repeat(at)}`
      expect(excerpt(`${masked} https://user:${secret.repeat(20)}@host`)).not.toContain("tOpS")
    }
  })
})

describe("isSecretName", () => {
  it("tells names that hold a credential from those that do not", () => {
    for (
      const name of [
        "Authorization",
        "x-api-key",
        "apiKey",
        "OPENAI_API_KEY",
        "client_secret",
        "Set-Cookie",
        "password"
      ]
    ) {
      expect(isSecretName(name), name).toBe(true)
    }
    for (const name of ["max_tokens", "model", "total_tokens", "content-type", "x-request-id", "author"]) {
      expect(isSecretName(name), name).toBe(false)
    }
  })
})

describe("describeCause", () => {
  it("tells the name, the whole chain of messages and the code", () => {
    const root = Object.assign(new Error("connect ECONNREFUSED 127.0.0.1:1"), { code: "ECONNREFUSED" })
    const cause = new TypeError("fetch failed", { cause: root })
    expect(describeCause(cause)).toEqual({
      name: "TypeError",
      message: "fetch failed: connect ECONNREFUSED 127.0.0.1:1",
      code: "ECONNREFUSED"
    })
  })

  it("looks into an AggregateError, which says nothing itself", () => {
    const inner = Object.assign(new Error("connect ECONNREFUSED ::1:1"), { code: "ECONNREFUSED" })
    expect(describeCause(new TypeError("fetch failed", { cause: new AggregateError([inner], "") })))
      .toMatchObject({ message: "fetch failed: connect ECONNREFUSED ::1:1", code: "ECONNREFUSED" })
  })

  it("says a message once", () => {
    expect(describeCause(new Error("same", { cause: new Error("same") })).message).toBe("same")
  })

  it("describes what is not an error", () => {
    expect(describeCause("down")).toEqual({ name: "string", message: "down" })
    expect(describeCause(undefined)).toEqual({ name: "undefined", message: "undefined" })
    expect(describeCause(null)).toEqual({ name: "object", message: "null" })
    expect(describeCause(Symbol("s"))).toEqual({ name: "symbol", message: "Symbol(s)" })
    expect(describeCause({ _tag: "Odd" })).toEqual({ name: "Odd", message: "Odd" })
    expect(describeCause(Object.create(null))).toEqual({ name: "Error", message: "Error" })
    expect(describeCause(() => secret).message).not.toContain(secret)
  })

  it("ends on a cycle", () => {
    const first = new Error("first")
    first.cause = new Error("second", { cause: first })
    expect(describeCause(first).message).toBe("first: second")
  })

  it("survives getters and proxies that throw", () => {
    const hostile = {
      get message(): string {
        throw new Error("no")
      },
      get cause(): unknown {
        throw new Error("no")
      }
    }
    const proxy = new Proxy({}, {
      get: () => {
        throw new Error("no")
      },
      has: () => {
        throw new Error("no")
      }
    })
    expect(describeCause(hostile)).toEqual({ name: "Error", message: "Error" })
    expect(describeCause(proxy)).toEqual({ name: "Error", message: "Error" })
  })

  it("clips a huge message", () => {
    const huge = new Error("x".repeat(5_000_000), { cause: new Error("y".repeat(5_000_000)) })
    expect(describeCause(huge).message.length).toBeLessThan(excerptLength + 40)
  })

  it("masks credentials in name, message and code", () => {
    const error = Object.assign(new Error(`x-api-key: ${secret}`), { name: `sk-${secret}`, code: `sk-${secret}` })
    expect(JSON.stringify(describeCause(error))).not.toContain(secret)
  })

  it("keeps nothing of a platform error but words", () => {
    const request = HttpClientRequest.post(`https://me:${secret}@host/v1?key=${secret}`).pipe(
      HttpClientRequest.setHeaders({ authorization: `Bearer ${secret}`, "api-key": secret })
    )
    const failures = [
      new HttpClientError.RequestError({ request, reason: "Transport", cause: new Error(`Bearer ${secret}`) }),
      new HttpClientError.ResponseError({
        request,
        reason: "StatusCode",
        response: HttpClientResponse.fromWeb(request, new Response("", { status: 401 }))
      })
    ]
    for (const failure of failures) {
      const shown = describeCause(failure)
      expect(shown.name).toBe(failure._tag)
      expect(shown.message).toContain("POST")
      expect(JSON.stringify(shown)).not.toContain(secret)
    }
  })
})
