import * as FastCheck from "effect/FastCheck"

/** JSON whose every value may be of any type: these values, lists, and objects with fields of these names. */
export const anyJson = (
  values: ReadonlyArray<unknown>,
  names: ReadonlyArray<string>
): FastCheck.Arbitrary<unknown> =>
  FastCheck.letrec((tie) => ({
    json: FastCheck.oneof(
      { maxDepth: 6, withCrossShrink: true },
      FastCheck.constantFrom<unknown>(...values),
      FastCheck.array(tie("json"), { maxLength: 3 }),
      FastCheck.dictionary(FastCheck.constantFrom(...names), tie("json"), { maxKeys: 4 })
    )
  })).json
