import { describe, expect, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { fromHeaders } from "../../src/internal/hints.ts"

const fixtures = process.env["FIXTURES"] ?? "../shared/fixtures"
const file = join(fixtures, "resilience", "retry-after.json")

const Row = Schema.Struct({
  headers: Schema.Record({ key: Schema.String, value: Schema.String }),
  nowMs: Schema.Number,
  expectDelayMs: Schema.NullOr(Schema.Number),
  acceptAlso: Schema.optional(Schema.Union(Schema.Number, Schema.String)),
  origin: Schema.String
})
const Rows = Schema.Struct({ rows: Schema.Array(Row) })

describe.skipIf(!existsSync(file))("Retry-After, as other clients test it", () => {
  it("reads every row to the millisecond, the optional ones included", () => {
    const { rows } = Schema.decodeUnknownSync(Rows)(JSON.parse(readFileSync(file, "utf8")))
    const wrong = rows.flatMap((row) => {
      const wait = fromHeaders(row.headers, row.nowMs) ?? null
      return wait === row.expectDelayMs || wait === row.acceptAlso
        ? []
        : [`${JSON.stringify(row.headers)}: ${wait}, expected ${row.expectDelayMs} (${row.origin})`]
    })
    console.log(`retry-after.json: ${rows.length - wrong.length} of ${rows.length} rows`)
    expect(wrong).toEqual([])
  })
})

if (!existsSync(file)) console.log(`skipped: ${file} is absent (set FIXTURES)`)
