/** What holds between a wire protocol and our own client of it: what the server means is what the client makes of it. */
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import type * as Stream from "effect/Stream"
import type { Completion, Failure, Protocol, Reply } from "../../../src/chaos/chaosServer/protocol.ts"
import type { ModelError } from "../../../src/error/ModelError.ts"
import type { Response } from "../../../src/model/Response.ts"
import * as StreamPart from "../../../src/model/StreamPart.ts"
import * as ProviderError from "../../../src/provider/ProviderError.ts"
import { runs } from "../../runs.ts"
import { asked, completions, now, said, sliced, slicings, textOf, webOf } from "../completions.ts"

/** A protocol, and how our client reads it. */
export interface Options<E, F> {
  readonly protocol: Protocol
  readonly provider: string
  readonly decodeStream: (bytes: Stream.Stream<Uint8Array>) => Stream.Stream<StreamPart.StreamPart, ModelError>
  /** One request that is answered so. */
  readonly ask: (
    handler: () => globalThis.Response
  ) => Effect.Effect<{ readonly result: Effect.Effect<Response, E> }, F>
  /** The completions whose arguments this wire can tell. Default: all. */
  readonly isClear?: (what: Completion) => boolean
}

export const clientOf = <E, F>({ ask, decodeStream, isClear = () => true, protocol, provider }: Options<E, F>) => {
  const collect = (text: string, how: (typeof slicings)[number] = "whole") =>
    StreamPart.collect(decodeStream(sliced(text, how)))

  const answered = (reply: Reply) => Effect.flatMap(ask(webOf(reply)), ({ result }) => result)

  const classified = (failure: Failure) => {
    const { body, headers, status } = protocol.failure(failure)
    return ProviderError.fromResponse({ provider, status, headers, body, now })
  }

  const clear = completions.filter(isClear)

  return {
    collect,
    answered,
    classified,

    /** Says what the client must make of streams. */
    streams: (meant: (what: Completion) => object): void => {
      it.effect.each(slicings)("folds to what was meant, cut by the %s", (how) =>
        Effect.promise(() =>
          FastCheck.assert(
            FastCheck.asyncProperty(clear, async (what) => {
              expect(await Effect.runPromise(collect(textOf(protocol, what), how))).toMatchObject(meant(what))
            }),
            { numRuns: runs(50, 200) }
          )
        ))

      it("is a reply that was cut without its last events", () => {
        const { frames } = protocol.stream(said({ text: "Hello" }), asked)
        const text = frames.filter(({ kind }) => kind !== "finish").map((frame) => frame.text).join("")
        expect(Effect.runSync(Effect.flip(collect(text)))).toMatchObject({ _tag: "Truncated", received: "Hello" })
      })

      it("cannot be read where a frame of it is broken", () => {
        const broken = protocol.brokenFrame(said(), asked)
        expect(Effect.runSync(Effect.flip(collect(broken)))).toMatchObject({ _tag: "MalformedResponse" })
      })
    },

    /** Says what the client must make of whole replies. */
    replies: (meant: (what: Completion) => object): void => {
      it.effect("says what was meant, arguments to the letter where the wire can tell them", () =>
        Effect.promise(() =>
          FastCheck.assert(
            FastCheck.asyncProperty(clear, async (what) => {
              expect(await Effect.runPromise(answered(protocol.reply(what, asked)))).toMatchObject(meant(what))
            }),
            { numRuns: runs(50, 200) }
          )
        ))
    },

    /** Says what the client must make of failures: each with its status and its error. */
    failures: (
      table: ReadonlyArray<readonly [name: string, failure: Failure, status: number, error: object]>
    ): void => {
      it.each(table)("for %s has its class", (_, failure, status, error) => {
        expect(protocol.failure(failure).status).toBe(status)
        expect(classified(failure)).toMatchObject(error)
      })
    }
  }
}
