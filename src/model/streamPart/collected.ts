/** The reply that a stream has given so far. */
import * as ModelError from "../../error/ModelError.ts"
import { definedFields } from "../../internal/record.ts"
import * as Response from "../Response.ts"
import type { Usage } from "../Usage.ts"
import { type Content, Parts } from "./growing.ts"

/** Who answers, where the stream does not say it. */
export interface Who {
  readonly provider?: string | undefined
  readonly model?: string | undefined
}

/** What the beginning of a stream tells of the reply. */
type Started = {
  readonly [Each in "id" | "model" | "requestId" | "rateLimit" | "dialects"]?: Response.Response[Each] | undefined
}

/** What its end tells. */
interface Finished {
  readonly reason: Response.FinishReason
  readonly rawReason?: string | undefined
  readonly usage: Usage
  readonly usageOfAll?: Usage | undefined
}

type Part =
  | { readonly _tag: "Start" } & Started
  | { readonly _tag: "Finish" } & Finished
  | { readonly _tag: "Reset" }
  | { readonly _tag: "Seam" }
  | Content

/** It belongs to one run of `StreamPart.collect`. */
export class Collected {
  private started: Started = {}
  private finished: Finished | undefined = undefined
  private readonly parts = new Parts()

  add(part: Part): void {
    switch (part._tag) {
      case "Start":
        this.started = part
        return
      case "Reset":
        this.parts.forget()
        this.finished = undefined
        return
      case "Seam":
        return
      case "Finish":
        this.finished = part
        return
      default:
        return this.parts.add(part)
    }
  }

  response(model: string | undefined): Response.Response | undefined {
    const { finished, started } = this
    const { dialects, id, rateLimit, requestId } = started
    return finished === undefined ? undefined : new Response.Response({
      ...definedFields({
        id,
        requestId,
        rateLimit,
        dialects,
        rawFinishReason: finished.rawReason,
        usageOfAll: finished.usageOfAll
      }),
      model: started.model ?? model ?? "",
      parts: this.parts.whole(),
      finishReason: finished.reason,
      usage: finished.usage
    })
  }

  truncated(who: Who): ModelError.Truncated {
    const model = this.started.model ?? who.model
    return new ModelError.Truncated({
      provider: who.provider ?? "unknown",
      ...definedFields({ model, requestId: this.started.requestId }),
      received: this.parts.received(),
      cause: { name: "MissingFinish", message: "the stream ended without a Finish part" }
    })
  }
}
