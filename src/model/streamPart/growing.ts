/** The parts of a reply that is still coming. Each belongs to one run of `StreamPart.collect`. */
import type { ProviderPart } from "../Prompt.ts"
import type * as Response from "../Response.ts"
import type { Dialect } from "../shared/dialectNames.ts"

interface Call {
  readonly _tag: "ToolCall"
  readonly index: number
  id: string
  name: string
  arguments: string
  providerMetadata: string | undefined
  dialect: Dialect | undefined
}

type Growing =
  | { readonly _tag: "Text" | "Reasoning"; text: string; providerMetadata: string | undefined }
  | Call
  | ProviderPart

/** What a part of a stream adds to the reply. */
export type Content =
  | { readonly _tag: "TextDelta"; readonly text: string; readonly providerMetadata?: string | undefined }
  | { readonly _tag: "ReasoningDelta"; readonly text: string; readonly providerMetadata?: string | undefined }
  | { readonly _tag: "ToolCallStart"; readonly index: number; readonly id: string; readonly name: string }
  | { readonly _tag: "ToolArgumentsDelta"; readonly index: number; readonly delta: string }
  | {
    readonly _tag: "ToolCall"
    readonly index: number
    readonly id: string
    readonly name: string
    readonly arguments: string
    readonly providerMetadata?: string | undefined
    readonly dialect?: Dialect | undefined
  }
  | ProviderPart

/** The field, where there is something to keep. */
export const withMetadata = (providerMetadata: string | undefined): { readonly providerMetadata?: string } =>
  providerMetadata === undefined ? {} : { providerMetadata }

/** The same for the dialect of a call. */
export const written = (dialect: Dialect | undefined): { readonly dialect?: Dialect } =>
  dialect === undefined ? {} : { dialect }

/** Grows by deltas, and is told as parts at the end. */
export class Parts {
  private all: Array<Growing> = []
  private readonly calls = new Map<number, Call>()

  forget(): void {
    this.all = []
    this.calls.clear()
  }

  add(part: Content): void {
    switch (part._tag) {
      case "TextDelta":
        return this.grow("Text", part.text, part.providerMetadata)
      case "ReasoningDelta":
        return this.grow("Reasoning", part.text, part.providerMetadata)
      case "ToolCallStart":
      case "ToolCall": {
        const call = this.callAt(part.index)
        call.id = part.id
        call.name = part.name
        if (part._tag === "ToolCall") {
          call.arguments = part.arguments
          call.providerMetadata = part.providerMetadata
          call.dialect = part.dialect
        }
        return
      }
      case "ToolArgumentsDelta":
        this.callAt(part.index).arguments += part.delta
        return
      case "ProviderPart":
        this.all.push(part)
    }
  }

  private grow(tag: "Text" | "Reasoning", text: string, providerMetadata: string | undefined): void {
    const last = this.all.at(-1)
    // A thought is sealed at its end, a text as it comes; what is sealed stays as it is.
    if (
      last?._tag === tag && last.providerMetadata === undefined &&
      (providerMetadata === undefined || tag === "Reasoning")
    ) {
      last.text += text
      last.providerMetadata = providerMetadata
    } else {
      this.all.push({ _tag: tag, text, providerMetadata })
    }
  }

  /** The call of that number, begun here if it is new. */
  private callAt(index: number): Call {
    const known = this.calls.get(index)
    if (known !== undefined) return known
    const call: Call = {
      _tag: "ToolCall",
      index,
      id: "",
      name: "",
      arguments: "",
      providerMetadata: undefined,
      dialect: undefined
    }
    this.all.push(call)
    this.calls.set(index, call)
    return call
  }

  /** The text that came, for an error that has to show it. */
  received(): string {
    return this.all.map((part) =>
      part._tag === "ToolCall" ? `${part.name}(${part.arguments}` : part._tag === "ProviderPart" ? "" : part.text
    ).join("")
  }

  whole(): ReadonlyArray<Response.Part> {
    return this.all.map((part): Response.Part =>
      part._tag === "ProviderPart"
        ? part
        : part._tag === "ToolCall"
        ? {
          _tag: "ToolCall",
          id: part.id,
          name: part.name,
          arguments: part.arguments,
          ...withMetadata(part.providerMetadata),
          ...written(part.dialect)
        }
        : { _tag: part._tag, text: part.text, ...withMetadata(part.providerMetadata) }
    )
  }
}
