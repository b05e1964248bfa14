/**
 * The reply of a plan or a pool as one that can be gone on with. Which of its models answers is known when the first content
 * has come; from then on the reply is that model's, and so is what it keeps. One that keeps nothing can answer, too: then
 * there is nothing to go on with, and whoever tries is told so.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { ResumeExpired } from "../../error/ModelError.ts"
import { definedFields } from "../../internal/record.ts"
import type * as LanguageModel from "../../model/LanguageModel.ts"
import type { StreamPart } from "../../model/StreamPart.ts"
import * as Opening from "./opening.ts"

type Failure = LanguageModel.LanguageModelError

/** What came of a step, and what it keeps. */
interface Answered {
  readonly opened: Opening.Opened<Failure>
  readonly reply: LanguageModel.Resumable | undefined
}

/** Asks a model for a reply up to its first content; one that fails before it is not wanted any more. */
const ask = (
  model: LanguageModel.Service,
  request: LanguageModel.Request,
  scope: Scope.Scope
): Effect.Effect<Answered, Failure> =>
  model.resumable === undefined
    ? Effect.map(Opening.open(model.stream(request), scope), (opened) => ({ opened, reply: undefined }))
    : Effect.flatMap(model.resumable(request), (reply) =>
      Opening.open(reply.parts, scope).pipe(
        Effect.onError(() => reply.cancel),
        Effect.map((opened) => ({ opened, reply }))
      ))

/** `answer` asks the models in turn, for a reply that is held in the scope. */
export const keptReply = (
  provider: string,
  answer: (
    ask: (model: LanguageModel.Service, request: LanguageModel.Request) => Effect.Effect<Answered, Failure>,
    scope: Scope.Scope
  ) => Effect.Effect<Answered, Failure>
): Effect.Effect<LanguageModel.Resumable> =>
  Effect.sync(() => {
    let reply: LanguageModel.Resumable | undefined
    const parts: Stream.Stream<StreamPart, Failure> = Stream.unwrapScoped(
      Effect.flatMap(Effect.scope, (scope) =>
        Effect.map(
          answer((model, request) => ask(model, request, scope), scope),
          (answered) => {
            reply = answered.reply
            return Opening.resume(answered.opened)
          }
        ))
    )
    const resume = Stream.suspend((): Stream.Stream<StreamPart, Failure> =>
      reply === undefined
        ? Stream.fail(new ResumeExpired({ provider, reply: "of a step that keeps none" }))
        : reply.resume
    )
    return { parts, resume, cancel: Effect.suspend(() => reply?.cancel ?? Effect.void) }
  })

/** How the replies of the steps can be gone on with. Another request goes to whichever step answers it, so all must be able to. */
export const resumeOf = (models: ReadonlyArray<LanguageModel.Service>): LanguageModel.Capabilities["resume"] => {
  const vendor = models.some(({ resumable }) => resumable !== undefined) || undefined
  const continuation = models[0]?.capabilities.resume?.continuation
  const isEverywhere = models.every(({ capabilities }) => capabilities.resume?.continuation === continuation)
  const resume = definedFields({ vendor, continuation: isEverywhere ? continuation : undefined })
  return Object.keys(resume).length === 0 ? undefined : resume
}
