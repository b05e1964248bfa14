/** Streams that do what a script says, for tests of what stands round them. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as ModelError from "../../src/error/ModelError.ts"
import * as LanguageModel from "../../src/model/LanguageModel.ts"
import * as StreamPart from "../../src/model/StreamPart.ts"
import * as Usage from "../../src/model/Usage.ts"

/** One thing that a stream does. */
export type Act =
  | { readonly do: "part"; readonly part: StreamPart.StreamPart }
  | { readonly do: "wait"; readonly millis: number }
  /** Bytes that are no content, such as a comment. */
  | { readonly do: "ping" }
  | { readonly do: "fail"; readonly error: ModelError.ModelError }
  | { readonly do: "hang" }

export const part = (given: StreamPart.StreamPart): Act => ({ do: "part", part: given })
export const start = part(StreamPart.start({ model: "scripted" }))
export const text = (given: string): Act => part(StreamPart.textDelta(given))
export const usage = (outputTokens: number): Usage.Usage =>
  new Usage.Usage({ inputTokens: 1, outputTokens, totalTokens: 1 + outputTokens })
export const finish = (outputTokens = 0): Act => part(StreamPart.finish({ reason: "stop", usage: usage(outputTokens) }))
export const wait = (millis: number): Act => ({ do: "wait", millis })
export const ping: Act = { do: "ping" }
export const hang: Act = { do: "hang" }
export const overloaded = new ModelError.ServerError({ provider: "scripted", status: 503 })
export const fail = (error: ModelError.ModelError = overloaded): Act => ({ do: "fail", error })

type Pull = Effect.Effect<StreamPart.StreamPart, Option.Option<ModelError.ModelError>>

/** The stream of a script. What comes behind the last act is its end. */
export const play = (
  acts: ReadonlyArray<Act>,
  onPart: () => void = () => {}
): Stream.Stream<StreamPart.StreamPart, ModelError.ModelError> =>
  Stream.suspend(() => {
    let at = 0
    const next: Pull = Effect.suspend((): Pull => {
      const act = acts[at++]
      if (act === undefined) return Effect.fail(Option.none())
      switch (act.do) {
        case "part":
          onPart()
          return Effect.flatMap(LanguageModel.CurrentLiveness, (alive) => {
            alive()
            return Effect.succeed(act.part)
          })
        case "wait":
          return Effect.zipRight(Effect.sleep(act.millis), next)
        case "ping":
          return Effect.flatMap(LanguageModel.CurrentLiveness, (alive) => {
            alive()
            return next
          })
        case "fail":
          return Effect.fail(Option.some(act.error))
        case "hang":
          return Effect.never
      }
    })
    return Stream.repeatEffectOption(next)
  })

/** A model whose streams follow the scripts, one a request; the last one is repeated. */
export const modelOf = (...scripts: ReadonlyArray<ReadonlyArray<Act>>) => {
  const counts = { requests: 0, open: 0, mostOpen: 0 }
  const model = LanguageModel.make({
    name: "scripted",
    provider: "scripted",
    generate: () => Effect.die("nobody asks for a whole reply"),
    stream: () =>
      Stream.acquireRelease(
        Effect.sync(() => {
          counts.open++
          counts.mostOpen = Math.max(counts.mostOpen, counts.open)
          return scripts[Math.min(counts.requests++, scripts.length - 1)] ?? []
        }),
        () => Effect.sync(() => counts.open--)
      ).pipe(Stream.flatMap((acts) => play(acts)))
  })
  return { model, counts }
}

/** A model that keeps its replies: each reply is a list of scripts, the first for the request, the others for each resume. */
export const keeping = (...replies: ReadonlyArray<ReadonlyArray<ReadonlyArray<Act>>>) => {
  const counts = { requests: 0, resumes: 0, cancels: 0, others: new Array<LanguageModel.Request>() }
  return {
    counts,
    /** `others`: scripts of requests that are not kept. */
    model: (others: ReadonlyArray<ReadonlyArray<Act>> = [], continuation?: "prefill" | "followUp") =>
      LanguageModel.make({
        name: "scripted",
        provider: "scripted",
        capabilities: { resume: { vendor: replies.length > 0, continuation } },
        generate: () => Effect.die("nobody asks for a whole reply"),
        stream: (asked) =>
          Stream.suspend(() => {
            counts.others.push(asked)
            return play(others[counts.others.length - 1] ?? [])
          }),
        ...(replies.length === 0 ? {} : {
          resumable: () =>
            Effect.sync((): LanguageModel.Resumable<ModelError.ModelError> => {
              const scripts = replies[counts.requests++] ?? []
              let at = 0
              return {
                parts: Stream.suspend(() => play(scripts[at++] ?? [])),
                resume: Stream.suspend(() => {
                  counts.resumes++
                  return play(scripts[at++] ?? [])
                }),
                cancel: Effect.sync(() => {
                  counts.cancels++
                })
              }
            })
        })
      })
  }
}
