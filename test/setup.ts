/**
 * Property tests draw the same examples every time, so that a check is green or red for a reason. To look for new
 * counterexamples: `FAST_CHECK_SEED=$RANDOM npm test`.
 */
import * as FastCheck from "effect/FastCheck"

const seed = Number(process.env["FAST_CHECK_SEED"] ?? "20261120")

FastCheck.configureGlobal({ ...FastCheck.readConfigureGlobal(), seed: Number.isInteger(seed) ? seed : 20261120 })
