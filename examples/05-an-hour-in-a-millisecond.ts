import * as ModelError from "effect-llm-resilience/error/ModelError"
import * as Retry from "effect-llm-resilience/policy/Retry"
import * as RetryPolicy from "effect-llm-resilience/policy/RetryPolicy"
import * as Clock from "effect/Clock"
import * as Console from "effect/Console"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import * as TestContext from "effect/TestContext"

const policy = RetryPolicy.exponential({ initial: "1 second" }).pipe(
  RetryPolicy.capped("5 minutes"),
  RetryPolicy.within("2 hours")
)

const outage = Duration.hours(1)

const model = Effect.flatMap(Clock.currentTimeMillis, (now) =>
  now < Duration.toMillis(outage)
    ? Effect.fail(new ModelError.Overloaded({ provider: "demo" }))
    : Effect.succeed("The model is back."))

const program = Effect.gen(function*() {
  const fiber = yield* Effect.fork(model.pipe(Retry.applyWithReport(policy)))
  yield* TestClock.adjust("2 hours")
  const report = yield* Fiber.join(fiber)
  yield* Console.log(`${report.value} ${report.attempts} attempts in ${Duration.format(report.elapsed)}`)
})

Effect.runPromise(program.pipe(Effect.provide(TestContext.TestContext)))
