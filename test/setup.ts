/**
 * Property tests draw the same examples every time, so that a check is green or red for a reason. To look for new
 * counterexamples: `FAST_CHECK_SEED=$RANDOM npm test`. Where a property does not say how many it takes, the short form
 * takes fewer. Behind every test the event loop gets a turn, so that a file of many is heard of.
 */
import { afterEach } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { runs, turn } from "./runs.ts"

afterEach(turn)

const seed = Number(process.env["FAST_CHECK_SEED"] ?? "20261120")

FastCheck.configureGlobal({
  ...FastCheck.readConfigureGlobal(),
  seed: Number.isInteger(seed) ? seed : 20261120,
  numRuns: runs(50, 100)
})
