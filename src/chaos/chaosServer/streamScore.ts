/** Turns the frames of a right stream into the moves of a stream that meets its fate. Data in, data out. */
import type { Draw } from "../../internal/seeded.ts"
import { type BackgroundFault as BackgroundSchema, type StreamFault as Schema, waitMillis } from "../shared/plan.ts"
import type { Step } from "./outcome.ts"
import type { Frame, Framing } from "./protocol.ts"

/** A fault that exists in streams only. */
export type StreamFault = typeof Schema.Type

/** A numbered event that comes twice. */
type Repeated = Extract<typeof BackgroundSchema.Type, { readonly _tag: "RepeatedEvents" }>

/** What goes wrong with a stream: a fault of streams, or a reply of any form that is reset in its middle or holds nothing. */
export type Mishap = StreamFault | Repeated | { readonly _tag: "ResetDuringBody" | "EmptyChoices" }

export interface Materials {
  readonly frames: ReadonlyArray<Frame>
  /** Milliseconds between content frames. */
  readonly delay: number
  readonly errorFrame: (fault: Extract<StreamFault, { readonly _tag: "StreamError" }>) => string
  readonly brokenFrame: () => string
}

/** A reset overtakes what the client has not read yet: this many milliseconds let it see what was sent. */
export const beforeReset = 15

const write = (text: string, isContent = false): Step => ({ _tag: "Write", text, pieces: "whole", isContent })
const wait = (millis: number | undefined): Step => ({ _tag: "Wait", millis })
const stall = (duration: string | undefined): Step => wait(duration === undefined ? undefined : waitMillis(duration))
const clean: Step = { _tag: "Close", how: "clean" }

const cut = (how: "clean" | "reset"): ReadonlyArray<Step> =>
  how === "clean" ? [clean] : [wait(beforeReset), { _tag: "Close", how: "reset" }]

/** The frames as they are written, with the pauses between those that hold content. */
const paced = (frames: ReadonlyArray<Frame>, delay: number): ReadonlyArray<Step> =>
  frames.flatMap(({ isMade, kind, text }, index) =>
    delay > 0 && isMade !== true && kind === "content" && frames[index - 1]?.kind === "content"
      ? [wait(delay), write(text, true)]
      : [write(text, kind === "content")]
  )

const isStart = ({ kind }: Frame): boolean => kind === "start"
export const isContent = ({ kind }: Frame): boolean => kind === "content"

/** The number of frames up to the middle of the content, one of content at least where there is any. */
const middle = (frames: ReadonlyArray<Frame>): number =>
  frames.filter(isStart).length + Math.ceil(frames.filter(isContent).length / 2)

/**
 * Whether the fault finds in these frames what it changes. What opens an array is not an event that could come twice, and
 * only numbered events may come twice anywhere.
 */
export const applies = (
  fault: StreamFault | Repeated,
  frames: ReadonlyArray<Frame>,
  framing: Framing | "numbered" | undefined
): boolean => {
  switch (fault._tag) {
    case "DuplicatedStart":
      return framing !== "array" && frames.some(isStart)
    case "RepeatedEvents":
      return framing === "numbered"
    default:
      return true
  }
}

/** The stream under its fault, or right where there is none. */
export const score = (materials: Materials, fault: Mishap | undefined, chance: Draw): ReadonlyArray<Step> => {
  const { delay, frames } = materials
  const play = (some: ReadonlyArray<Frame>) => paced(some, delay)
  const begun = frames.slice(0, middle(frames))
  const others = frames.slice(begun.length)
  const next = others[0]?.text ?? ""
  switch (fault?._tag) {
    case undefined:
      return [...play(frames), clean]
    case "StallBeforeFirstToken": {
      const starts = frames.filter(isStart).length
      return [...play(frames.slice(0, starts)), stall(fault.duration), ...play(frames.slice(starts)), clean]
    }
    case "StallMidStream":
      return [...play(begun), stall(fault.duration), ...play(others), clean]
    case "EmptyChoices":
      return [...play(frames.filter((frame) => !isContent(frame))), clean]
    case "ResetDuringBody":
    case "CutStream": {
      // Connections break inside a frame as well as between two.
      const torn = chance.happens(0.5) ? [write(next.slice(0, Math.ceil(next.length / 2)))] : []
      return [...play(begun), ...torn, ...cut(fault._tag === "CutStream" ? fault.close : "reset")]
    }
    case "StreamError": {
      const error = write(materials.errorFrame(fault))
      return fault.when === "first" ? [error, clean] : [...play(begun), error, clean]
    }
    case "DuplicatedStart":
      return [...play(frames.filter(isStart)), ...play(frames), clean]
    case "RepeatedEvents":
      return [...play(begun), ...begun.slice(-1).map(({ text }) => write(text)), ...play(others), clean]
    case "MissingTerminal":
      return [...play(frames.filter((frame) => isStart(frame) || isContent(frame))), clean]
    case "SlowTokens":
      return [
        ...paced(frames.map(({ kind, text }) => ({ kind, text })), Math.max(delay, waitMillis(fault.delay))),
        clean
      ]
    case "ByteChunks":
      return [
        ...play(frames).map((step) => step._tag === "Write" ? { ...step, pieces: "bytes" as const } : step),
        clean
      ]
    case "MalformedChunk": {
      // In place of a frame: who skips what it cannot read has lost a piece of the reply.
      const broken = write(materials.brokenFrame())
      const last = begun.at(-1)
      return last !== undefined && isContent(last)
        ? [...play(begun.slice(0, -1)), broken, ...play(others), clean]
        : [...play(begun), broken, ...play(others), clean]
    }
  }
}
