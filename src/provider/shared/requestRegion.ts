/**
 * What a request runs in: the fiber references that the platform's client reads, and the right to abort it.
 *
 * All of them are set in one region. `Effect.locally`, `Effect.mapInputContext` and `Effect.scoped` each make a region of
 * their own; four of them took a fifth of all the steps of a call.
 */
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as Headers from "@effect/platform/Headers"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as FiberRef from "effect/FiberRef"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import { secretHeaders } from "../../internal/redact.ts"
import * as GenAi from "../../telemetry/GenAi.ts"

/** What differs from request to request. */
export interface Settings {
  /** Headers whose values must not appear in a span or a log, beside those known to be secret. */
  readonly secretHeaders: ReadonlyArray<string>
  /** For a fetch client: what to add to each of its requests. */
  readonly requestInit: RequestInit | undefined
}

/**
 * The right to abort a request. It is given up when the reply has been read to its end: to abort what is over has no use, and
 * takes 30 to 60 µs of the processor for an error that nobody sees.
 */
export class Abort {
  readonly scope: Scope.CloseableScope
  private isOver = false

  constructor(scope: Scope.CloseableScope) {
    this.scope = scope
  }

  giveUp(): void {
    this.isOver = true
  }

  run(exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> {
    return this.isOver ? Effect.void : Scope.close(this.scope, exit)
  }
}

/** The values of the fiber references. */
interface References {
  readonly context: Context.Context<never>
  readonly redactedNames: ReadonlyArray<string | RegExp>
  readonly isTraced: boolean
}

/** An address may hold a key of its own: `?key=…`. */
const secretHeaderPatterns = [...secretHeaders, /^location$/]

const set = ({ context, isTraced, redactedNames }: References): Effect.Effect<void> =>
  FiberRef.set(FiberRef.currentContext, context).pipe(
    Effect.zipRight(FiberRef.set(Headers.currentRedactedNames, redactedNames)),
    Effect.zipRight(FiberRef.set(FiberRef.currentTracerEnabled, isTraced))
  )

const within = ({ context, isTraced, redactedNames }: References, settings: Settings, abort: Abort): References => ({
  context: Context.add(context, Scope.Scope, abort.scope).pipe(
    // Of the fetch client only; other clients do not follow redirects unless told to.
    Context.add(FetchHttpClient.RequestInit, {
      ...settings.requestInit,
      ...Option.getOrUndefined(Context.getOption(context, FetchHttpClient.RequestInit)),
      redirect: "manual"
    })
  ),
  redactedNames: [...redactedNames, ...secretHeaderPatterns, ...settings.secretHeaders],
  isTraced
})

/**
 * Runs an effect with what a request needs round it; `end` is run at its end, whatever that is. The type cannot see that the
 * context which is set has the scope.
 */
const run = <A, E>(
  effect: Effect.Effect<A, E, Scope.Scope>,
  settings: Settings,
  abort: Abort,
  end: (exit: Exit.Exit<A, E>) => Effect.Effect<void>
): Effect.Effect<A, E> =>
  Effect.acquireUseRelease(
    Effect.withFiberRuntime<References>((fiber) => {
      const before = {
        context: fiber.currentContext,
        redactedNames: fiber.getFiberRef(Headers.currentRedactedNames),
        isTraced: fiber.getFiberRef(FiberRef.currentTracerEnabled)
      }
      const isTraced = before.isTraced && GenAi.isTraced(fiber)
      return Effect.as(set(within({ ...before, isTraced }, settings, abort)), before)
    }),
    () => effect,
    (before, exit) => Effect.zipRight(set(before), end(exit))
  ) as Effect.Effect<A, E>

/** The request and all that is done with its reply: at the end it is aborted, unless it is over. */
export const whole = <A, E>(
  settings: Settings,
  use: (abort: Abort) => Effect.Effect<A, E, Scope.Scope>
): Effect.Effect<A, E> =>
  Effect.flatMap(Scope.make(), (scope) => {
    const abort = new Abort(scope)
    return run(use(abort), settings, abort, (exit) => abort.run(exit))
  })

/** The request up to the head of its reply: it is aborted when the caller's scope is closed, unless it is over by then. */
export const opened = <A, E>(
  settings: Settings,
  use: (abort: Abort) => Effect.Effect<A, E, Scope.Scope>
): Effect.Effect<A, E, Scope.Scope> =>
  Effect.flatMap(Scope.make(), (scope) => {
    const abort = new Abort(scope)
    return Effect.zipRight(
      Effect.addFinalizer((exit) => abort.run(exit)),
      run(use(abort), settings, abort, () => Effect.void)
    )
  })
