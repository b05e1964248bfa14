/** The policy of a command: a file, or what is sensible for calls of a model. */
import type * as FileSystem from "@effect/platform/FileSystem"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { InvalidOptions } from "../../error/InvalidOptions.ts"
import * as Pipeline from "../../policy/Pipeline.ts"
import type * as PolicyConfig from "../../policy/PolicyConfig.ts"
import { badInput, type Exit } from "./exits.ts"
import { jsonFile } from "./files.ts"

/** Where no file is given. */
export const usual: PolicyConfig.Options = {
  name: "provider",
  totalTimeout: "10 minutes",
  attemptTimeout: "2 minutes",
  retry: { backoff: "exponential", initial: "500 millis", cap: "8 seconds", jitter: "full", attempts: 5 },
  circuitBreaker: { probeLimit: "2 minutes" },
  rateLimiter: { requestsPerMinute: "learned", tokensPerMinute: "learned" }
}

const ofFile = (file: string) => Effect.flatMap(jsonFile(file, "a policy file"), Pipeline.decode)

export const pipelineOf = (
  path: Option.Option<string>
): Effect.Effect<Pipeline.Pipeline, Exit, FileSystem.FileSystem> =>
  Effect.suspend((): Effect.Effect<Pipeline.Pipeline, Exit | InvalidOptions, FileSystem.FileSystem> =>
    Option.match(path, { onNone: () => Pipeline.make(usual), onSome: ofFile })
  ).pipe(Effect.catchTag("InvalidOptions", (error) => badInput(error.message)))
