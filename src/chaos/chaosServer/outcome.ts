/** What the server does with an exchange, and the replies that come from no vendor at all. */
import type { Reply } from "./protocol.ts"

/** One move of a stream. */
export type Step =
  /** `pieces`: in one write, or in a write for each byte. `isContent`: it is a piece of what the model says. */
  | {
    readonly _tag: "Write"
    readonly text: string
    readonly pieces: "whole" | "bytes"
    readonly isContent: boolean
  }
  /** Without a number of milliseconds: for ever. */
  | { readonly _tag: "Wait"; readonly millis: number | undefined }
  | { readonly _tag: "Close"; readonly how: "clean" | "reset" }

/** A stream of status 200; it ends with a close, or with a wait that only the client or the server's end is the end of. */
export interface Streamed {
  readonly _tag: "Streamed"
  readonly headers: Readonly<Record<string, string>>
  readonly steps: ReadonlyArray<Step>
  /** In how many pieces the model says it, whatever becomes of them. */
  readonly content: number
}

/** What the server does with an exchange. */
export type Outcome =
  | Reply
  | Streamed
  | { readonly _tag: "Hang" }
  | { readonly _tag: "Reset"; readonly after: Reply | undefined }

/** The page of the gateway before the vendor's host. */
export const page = (status: 200 | 502 | 503, host: string): Reply => ({
  _tag: "Reply",
  status,
  headers: { "content-type": "text/html; charset=UTF-8", "server": "cloudflare" },
  body: `<!DOCTYPE html>\n<html lang="en-US">\n<head><title>${host} | ${status}: Bad gateway</title></head>\n` +
    "<body><h1>Bad gateway</h1><p>The web server reported a bad gateway error.</p></body>\n</html>\n"
})

export const notJson: Reply = {
  _tag: "Reply",
  status: 200,
  headers: { "content-type": "application/json" },
  body: "upstream connect error or disconnect/reset before headers. reset reason: connection termination"
}
