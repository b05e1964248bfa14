#!/usr/bin/env node
/** The program: `npx effect-llm-resilience`. It is bundled into one file, so that nothing else has to be installed. */
import * as NodeContext from "@effect/platform-node/NodeContext"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { run } from "./command.ts"
import { exits } from "./shared/exits.ts"
import { Stop, StopNow } from "./shared/signals.ts"

/** Put in when the file is bundled. */
declare const packageVersion: string | undefined

const version = typeof packageVersion === "string" ? packageVersion : "development"

const program = Effect.gen(function*() {
  const stopped = yield* Deferred.make<void>()
  const stoppedNow = yield* Deferred.make<void>()
  // https://no-color.org: set and not empty.
  const noColor = (process.env["NO_COLOR"] ?? "") !== ""
  const plain = { out: noColor || !process.stdout.isTTY, err: noColor || !process.stderr.isTTY }
  const fiber = yield* run(process.argv.slice(2), version, plain).pipe(
    Effect.provideService(Stop, Deferred.await(stopped)),
    Effect.provideService(StopNow, Deferred.await(stoppedNow)),
    Effect.provide(NodeContext.layer),
    Effect.fork
  )
  let times = 0
  const onSignal = (): void => {
    times++
    if (times === 1) Effect.runFork(Deferred.succeed(stopped, undefined))
    else if (times === 2) Effect.runFork(Deferred.succeed(stoppedNow, undefined))
    // What is in the journal is safe: it is written so that a process may be killed at any moment.
    else process.exit(exits.interrupted)
  }
  yield* Effect.sync(() => {
    process.on("SIGINT", onSignal)
    process.on("SIGTERM", onSignal)
  })
  return yield* fiber.await
})

Effect.runPromise(program).then((exit) => {
  process.exitCode = Exit.match(exit, {
    onSuccess: (code) => code,
    onFailure: (cause) => {
      if (Exit.isInterrupted(exit)) return exits.interrupted
      process.stderr.write(`This should not have happened: ${String(cause)}\n`)
      return exits.someFailed
    }
  })
})
