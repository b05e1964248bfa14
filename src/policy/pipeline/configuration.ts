/**
 * The options of a pipeline as a whole, read section by section, so that one error lists everything that is wrong, also
 * where two of them contradict each other.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { InvalidOptions, issueOf } from "../../error/InvalidOptions.ts"
import type * as Verdict from "../../error/Verdict.ts"
import * as Form from "../../internal/form.ts"
import { definedFields, type Fields, isRecord } from "../../internal/record.ts"
import type * as Section from "../shared/section.ts"

type Judge = (error: unknown) => Verdict.Verdict

/** What code gives: for each policy its options, or a policy that others share. */
export type OptionsOf<S extends Section.Any> =
  & { readonly name?: string | undefined; readonly verdict?: Judge | undefined }
  & {
    readonly [Each in S as Each["name"]]?: Each extends Section.Section<string, infer Given, infer Self, unknown>
      ? Given | Self | undefined
      : never
  }

/** The policies that were made, each under the name of its field. */
export type PoliciesOf<S extends Section.Any> =
  & {
    readonly name: string
    readonly verdict: Judge | undefined
    /** What the pipeline works with: the same policies, with what their sections say of them. */
    readonly installation: Installation<Section.RefusedBy<S>>
  }
  & {
    readonly [Each in S as Each["name"]]: Each extends Section.Section<string, unknown, infer Self, unknown>
      ? Self | undefined
      : never
  }

/** The policies of one pipeline, in the order of their sections. */
export interface Installation<Refused> {
  readonly name: string
  readonly verdict: Judge | undefined
  readonly installed: ReadonlyArray<Section.Installed<unknown, Refused>>
  readonly peers: Section.Peers
}

/** A list of sections, each of which refuses with what one of them refuses with. */
export type ListOf<S extends Section.Any> = ReadonlyArray<
  S & Section.Section<string, unknown, unknown, Section.RefusedBy<S>>
>

/** Every field is there, and holds what the section of that name made. */
export const policiesOf = <S extends Section.Any>(
  sections: ListOf<S>,
  installation: Installation<Section.RefusedBy<S>>
): PoliciesOf<S> => {
  const { installed, name, verdict } = installation
  const made = sections.map((section) => [section.name, installed.find((each) => each.name === section.name)?.policy])
  return { ...Object.fromEntries(made), name, verdict, installation } as PoliciesOf<S>
}

const limitOf = (
  installed: ReadonlyArray<Section.Installed<unknown, unknown>>,
  phase: "attempt" | "total"
): number | undefined => installed.find(({ deadline }) => deadline?.phase === phase)?.deadline?.millis

/** What the policies know of each other; `installed` may grow meanwhile. */
const peersOf = (
  name: string,
  verdict: Judge | undefined,
  given: Fields,
  installed: ReadonlyArray<Section.Installed<unknown, unknown>>
): Section.Peers => ({
  name,
  verdict,
  totalTimeout: () => limitOf(installed, "total"),
  attemptTimeout: () => limitOf(installed, "attempt"),
  find: (is) => installed.map(({ policy }) => policy).find(is),
  isGiven: (field) => given[field] !== undefined
})

const isJudge = (value: unknown): value is Judge => typeof value === "function"

const judge = Form.fn<Judge>("a function from an error to a verdict", "judge errors")

/** The whole options; `fieldOf` says how the field of a section is described. */
const structOf = (
  sections: ReadonlyArray<Section.Any>,
  fieldOf: (section: Section.Any) => Form.Form<unknown, unknown>
) =>
  Form.struct("an object with the policies of a pipeline", {
    name: Form.optional(Form.annotate(Form.text(), { description: "the name that events and errors carry" })),
    ...Object.fromEntries(sections.map((section) => [section.name, Form.optional(fieldOf(section))])),
    verdict: Form.optional(judge),
    $schema: Form.fileOnly(
      Form.annotate(Form.anything, { type: "string", description: "where this schema is, for editors" })
    )
  })

/** The fields that are no policies, and whether there are others that nobody knows. */
const readCommon = (options: unknown, sections: ReadonlyArray<Section.Any>, mode: Section.Mode) => {
  const read = Form.read(structOf(sections, () => Form.anything), options, mode)
  const given: Fields = isRecord(options) ? { ...options } : {}
  const { name, verdict } = given
  return {
    given,
    // A wrong name is told once, and not again of every policy that has it.
    name: typeof name === "string" && name.trim() !== "" ? name : "pipeline",
    verdict: mode === "code" && isJudge(verdict) ? verdict : undefined,
    issues: Either.isLeft(read) ? read.left.map(issueOf) : []
  }
}

/** Reads options from code or from a file and makes the policies. Fails with everything that is wrong. */
export const install = <Refused>(
  sections: ReadonlyArray<Section.Section<string, unknown, unknown, Refused>>,
  options: unknown,
  mode: Section.Mode
): Effect.Effect<Installation<Refused>, InvalidOptions> =>
  Effect.gen(function*() {
    const { given, name, verdict, ...common } = readCommon(options, sections, mode)
    const issues = [...common.issues]
    const installed: Array<Section.Installed<unknown, Refused>> = []
    const peers = peersOf(name, verdict, given, installed)
    for (const section of sections) {
      const value = given[section.name]
      if (value === undefined) continue
      const result = yield* Effect.either(section.install(value, mode, peers))
      if (Either.isLeft(result)) issues.push(...result.left)
      else installed.push(result.right)
    }
    for (const each of installed) issues.push(...each.contradictions(peers))
    if (issues.length > 0) return yield* new InvalidOptions({ module: "Pipeline", issues })
    return { name, verdict, installed, peers }
  })

/**
 * What was made from new options, with what the policies in use know. The whole is checked before anything changes;
 * then each policy goes over in the order of the list, and finds among its peers those that went before it.
 */
export const takeOver = <Refused>(
  now: Installation<Refused>,
  next: Installation<Refused>
): Effect.Effect<Installation<Refused>, InvalidOptions> =>
  Effect.gen(function*() {
    const inUse = (name: string) => now.installed.find((each) => each.name === name)
    const issues = next.installed.flatMap((each) => each.changes(inUse(each.name)))
    if (issues.length > 0) return yield* new InvalidOptions({ module: "Pipeline", issues })
    const installed: Array<Section.Installed<unknown, Refused>> = []
    const peers = { ...peersOf(next.name, next.verdict, {}, installed), isGiven: next.peers.isGiven }
    for (const each of next.installed) installed.push(yield* each.takeOver(inUse(each.name), peers))
    return { name: next.name, verdict: next.verdict, installed, peers }
  })

/** The policies as JSON; what is shared with others, or a function, is left out. */
export const encode = ({ installed, name }: Installation<unknown>): Fields => ({
  name,
  ...definedFields(Object.fromEntries(installed.map((each) => [each.name, each.encode()])))
})

/** The options of a pipeline as data. */
export const formOf = <S extends Section.Any>(sections: ReadonlyArray<S>): Form.Form<unknown, OptionsOf<S>> =>
  // The type names the same fields with the same forms.
  structOf(sections, ({ form }) => form) as Form.Form<unknown, unknown> as Form.Form<unknown, OptionsOf<S>>
