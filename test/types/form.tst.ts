import type * as Duration from "effect/Duration"
import type * as Either from "effect/Either"
import type * as Schema from "effect/Schema"
import { describe, expect, test } from "tstyche"
import * as Form from "../../src/internal/form.ts"

/** What reading gives. */
type Reading<Read> = Either.Either<Read, ReadonlyArray<Form.Fault>>

interface Options {
  readonly name?: string | undefined
  readonly maxConcurrent: number
  readonly maxQueued?: number | undefined
  readonly queueTimeout?: Duration.DurationInput | undefined
  readonly verdict?: ((error: unknown) => boolean) | undefined
}

const form = Form.struct("an object", {
  $schema: Form.fileOnly(Form.text()),
  name: Form.withDefault(Form.name, () => "bulkhead"),
  maxConcurrent: Form.count(1, 10),
  maxQueued: Form.withDefault(Form.count(0, 10), () => 0),
  queueTimeout: Form.optional(Form.duration()),
  verdict: Form.optional(Form.fn<(error: unknown) => boolean>("a function", "judge errors"))
}, ({ maxQueued }, { queueTimeout }) => {
  expect(maxQueued).type.toBe<number | undefined>()
  expect(queueTimeout).type.toBe<unknown>()
  return []
})

describe("a form", () => {
  test("says what code gives: what has a default may be left out, what is for files does not exist", () => {
    expect<Form.Input<typeof form>>().type.toBe<Options>()
  })

  test("says what is read: every field is there", () => {
    expect<Form.Output<typeof form>>().type.toBe<{
      readonly name: string
      readonly maxConcurrent: number
      readonly maxQueued: number
      readonly queueTimeout: Duration.Duration | undefined
      readonly verdict: ((error: unknown) => boolean) | undefined
    }>()
  })

  test("is an Effect Schema of both", () => {
    expect(Form.schema(form)).type.toBe<Schema.Schema<Form.Output<typeof form>, Form.Input<typeof form>>>()
  })

  test("reads to what its parts read", () => {
    const jitter = Form.choose(
      "a jitter",
      Form.when(Form.isText, Form.oneOf("none", "full")),
      Form.when(Form.has("ratio"), Form.struct("a ratio", { ratio: Form.share() }))
    )
    expect<Form.Input<typeof jitter>>().type.toBe<"none" | "full" | { readonly ratio: number }>()
    expect(Form.read(jitter, "none", "code")).type.toBe<Reading<"none" | "full" | { readonly ratio: number }>>()
    const rule = Form.tagged(
      "a rule",
      "when",
      Form.struct("a rule", { when: Form.oneOf("consecutive"), failures: Form.count(1, 9) }),
      Form.struct("a rule", { when: Form.oneOf("slow"), longerThan: Form.millis() })
    )
    expect(Form.read(rule, {}, "code")).type.toBe<
      Reading<
        { readonly when: "consecutive"; readonly failures: number } | {
          readonly when: "slow"
          readonly longerThan: number
        }
      >
    >()
  })
})

describe("the defaults of a form", () => {
  test("are the fields that may be left out and are there all the same", () => {
    expect(Form.defaults(form)).type.toBe<{ readonly name: string; readonly maxQueued: number }>()
  })
})

describe("of, which holds a form to the interface written by hand", () => {
  test("takes the form of that interface, and keeps what it reads", () => {
    const held = Form.of<Options>()(form)
    expect<Form.Input<typeof held>>().type.toBe<Options>()
    expect(Form.read(held, {}, "code")).type.toBe<Reading<Form.Output<typeof form>>>()
  })

  test("refuses a field that only the interface has", () => {
    expect(Form.of<Options & { readonly more?: string | undefined }>()).type.not.toBeCallableWith(form)
  })

  test("refuses a field that only the form has", () => {
    expect(Form.of<Omit<Options, "queueTimeout">>()).type.not.toBeCallableWith(form)
    expect(Form.of<Omit<Options, "maxConcurrent">>()).type.not.toBeCallableWith(form)
  })

  test("refuses a field of another type, or that may be left out in one of them alone", () => {
    expect(Form.of<Omit<Options, "maxQueued"> & { readonly maxQueued?: string | undefined }>())
      .type.not.toBeCallableWith(form)
    expect(Form.of<Omit<Options, "maxConcurrent"> & { readonly maxConcurrent?: number | undefined }>())
      .type.not.toBeCallableWith(form)
    expect(Form.of<Omit<Options, "maxQueued"> & { readonly maxQueued: number | undefined }>())
      .type.not.toBeCallableWith(form)
  })

  test("looks into objects within", () => {
    interface Outer {
      readonly inner: { readonly a: number; readonly b?: number | undefined }
    }
    const a = Form.count(0, 1)
    expect(Form.of<Outer>()).type.toBeCallableWith(
      Form.struct("", { inner: Form.struct("", { a, b: Form.optional(a) }) })
    )
    expect(Form.of<Outer>()).type.not.toBeCallableWith(Form.struct("", { inner: Form.struct("", { a }) }))
  })
})
