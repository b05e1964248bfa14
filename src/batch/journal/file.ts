/**
 * A journal in a file that only grows. Entries that come together are written together, by whoever finds nobody writing; a
 * write that fails ends the journal, since the file may then end in a torn line, which the next opening cuts off.
 */
import type { PlatformError } from "@effect/platform/Error"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { InvalidOptions, issueOf } from "../../error/InvalidOptions.ts"
import { JournalError } from "../../error/JournalError.ts"
import * as Form from "../../internal/form.ts"
import { describeCause } from "../../internal/redact.ts"
import { freshIdempotencyKey } from "../../model/LanguageModel.ts"
import * as Entry from "./entry.ts"
import * as Lock from "./lock.ts"
import { Offsets } from "./offsets.ts"
import * as Scan from "./scan.ts"
import type { FileOptions, Service } from "./service.ts"

const form = Form.of<FileOptions>()(Form.struct("an object with the options of a journal's file", {
  path: Form.text(),
  fsync: Form.withDefault(
    Form.choose(
      "\"always\", \"never\" or a duration above zero",
      Form.when((value) => value === "always" || value === "never", Form.oneOf("always", "never")),
      Form.otherwise(Form.millis({ allowed: "\"always\", \"never\" or a duration above zero" }))
    ),
    () => "always" as const
  )
}))

const Header = Schema.parseJson(Schema.Struct({
  format: Schema.Literal("effect-llm-resilience/journal"),
  version: Schema.Literal(1),
  id: Schema.String.pipe(Schema.minLength(1), Schema.maxLength(100))
}))
const encodeHeader = Schema.encodeSync(Header)
const decodeHeader = Schema.decodeUnknownEither(Header)

const failed = (reason: "unreadable" | "unwritable", path: string) => (error: PlatformError): JournalError =>
  new JournalError({ reason, path, detail: describeCause(error).message })

export const make = (
  given: FileOptions
): Effect.Effect<Service, JournalError | InvalidOptions, FileSystem.FileSystem | Scope.Scope> =>
  Effect.gen(function*() {
    const { fsync, path } = yield* Either.mapLeft(
      Form.read(form, given, "code"),
      (faults) => new InvalidOptions({ module: "Journal", issues: faults.map(issueOf) })
    )
    const fs = yield* FileSystem.FileSystem
    const writer = yield* Effect.mapError(fs.open(path, { flag: "a" }), failed("unwritable", path))
    yield* Lock.take(fs, path, failed("unwritable", path))
    const opened = yield* open(fs, path, writer)
    const reader = yield* Effect.mapError(fs.open(path, { flag: "r" }), failed("unreadable", path))
    const file = new JournalFile(path, reader, writer, opened, fsync === "always")
    if (typeof fsync === "number") {
      yield* Effect.forkScoped(Effect.forever(Effect.zipRight(Effect.sleep(Duration.millis(fsync)), file.sync)))
    }
    if (fsync !== "never") yield* Effect.addFinalizer(() => file.sync)
    return {
      id: opened.id,
      lookup: (key) => file.lookup(key),
      append: (entry) => file.append(entry),
      inFlight: Effect.sync(() => [...opened.inFlight.values()])
    }
  })

interface Opened {
  readonly id: string
  readonly size: number
  readonly offsets: Offsets
  readonly inFlight: Map<string, Entry.Started>
}

const remember = (opened: Pick<Opened, "offsets" | "inFlight">, entry: Entry.Entry, offset: number): void => {
  opened.offsets.set(entry.key, offset)
  if (entry._tag === "Started") opened.inFlight.set(entry.key, entry)
  else opened.inFlight.delete(entry.key)
}

/** What a file holds. A new one gets its header, and a torn last line is cut off. */
const open = (
  fs: FileSystem.FileSystem,
  path: string,
  writer: FileSystem.File
): Effect.Effect<Opened, JournalError> =>
  Effect.gen(function*() {
    const offsets = new Offsets()
    const inFlight = new Map<string, Entry.Started>()
    let id: string | undefined
    const each = ({ number, offset, text }: Scan.Line): Effect.Effect<void, JournalError> => {
      if (number === 1) {
        const header = decodeHeader(text ?? "")
        if (Either.isLeft(header)) {
          return Effect.fail(
            new JournalError({
              reason: "format",
              path,
              line: 1,
              byte: 0,
              detail: "its first line is no header of version 1"
            })
          )
        }
        id = header.right.id
        return Effect.void
      }
      const entry = text === undefined ? Either.left("it is longer than 64 MB") : Entry.read(text)
      if (Either.isLeft(entry)) {
        return Effect.fail(
          new JournalError({ reason: "damaged", path, line: number, byte: offset, detail: entry.left })
        )
      }
      remember({ offsets, inFlight }, entry.right, offset)
      return Effect.void
    }
    const size = yield* Effect.catchTags(Scan.scan(fs.stream(path), each), {
      SystemError: (error) => Effect.fail(failed("unreadable", path)(error)),
      BadArgument: (error) => Effect.fail(failed("unreadable", path)(error))
    })
    const { size: bytes } = yield* Effect.mapError(fs.stat(path), failed("unreadable", path))
    if (Number(bytes) > size) {
      // A first line without an end is a header that a crash has torn, or a file that is something else.
      if (id === undefined && !(yield* isTornHeader(fs, path))) {
        return yield* new JournalError({
          reason: "format",
          path,
          line: 1,
          byte: 0,
          detail: "its first line is no header of version 1"
        })
      }
      yield* Effect.mapError(fs.truncate(path, size), failed("unwritable", path))
    }
    if (id !== undefined) return { id, size, offsets, inFlight }
    const fresh = yield* freshIdempotencyKey
    const header = new TextEncoder().encode(
      `${encodeHeader({ format: "effect-llm-resilience/journal", version: 1, id: fresh })}\n`
    )
    yield* Effect.mapError(writer.writeAll(header), failed("unwritable", path))
    return { id: fresh, size: header.length, offsets, inFlight }
  })

const headerStart = "{\"format\":\"effect-llm-resilience/journal\""

const isTornHeader = (fs: FileSystem.FileSystem, path: string): Effect.Effect<boolean, JournalError> =>
  Effect.mapBoth(fs.readFileString(path), {
    onFailure: failed("unreadable", path),
    onSuccess: (text) => text.startsWith(headerStart) || headerStart.startsWith(text)
  })

interface Waiting {
  readonly entry: Entry.Entry
  readonly bytes: Uint8Array
  readonly done: Deferred.Deferred<void, JournalError>
}

const blockBytes = 64 * 1024

class JournalFile {
  private readonly path: string
  private readonly reader: FileSystem.File
  private readonly writer: FileSystem.File
  private readonly opened: Opened
  private readonly syncsEachWrite: boolean
  private readonly reading = Effect.unsafeMakeSemaphore(1)
  private size: number
  private waiting: Array<Waiting> = []
  private isWriting = false
  private isDirty = false
  private broken: JournalError | undefined

  constructor(
    path: string,
    reader: FileSystem.File,
    writer: FileSystem.File,
    opened: Opened,
    syncsEachWrite: boolean
  ) {
    this.path = path
    this.reader = reader
    this.writer = writer
    this.opened = opened
    this.syncsEachWrite = syncsEachWrite
    this.size = opened.size
  }

  lookup(key: string): Effect.Effect<Option.Option<Entry.Entry>, JournalError> {
    const offset = this.opened.offsets.get(key)
    return offset === undefined ? Effect.succeedNone : Effect.flatMap(this.lineAt(offset), (text) => {
      const entry = Entry.read(text)
      return Either.isLeft(entry)
        ? Effect.fail(new JournalError({ reason: "damaged", path: this.path, key, detail: entry.left }))
        : Effect.succeed(entry.right.key === key ? Option.some(entry.right) : Option.none())
    })
  }

  private lineAt(offset: number): Effect.Effect<string, JournalError> {
    const read = Effect.gen(this, function*() {
      yield* this.reader.seek(offset, "start")
      const decoder = new TextDecoder()
      let text = ""
      while (text.length <= Scan.mostLineBytes) {
        const block = yield* this.reader.readAlloc(blockBytes)
        if (Option.isNone(block)) break
        const end = block.value.indexOf(0x0a)
        text += decoder.decode(end === -1 ? block.value : block.value.subarray(0, end), { stream: end === -1 })
        if (end !== -1) break
      }
      return text
    })
    // The position of the reader is that of one line at a time.
    return this.reading.withPermits(1)(Effect.mapError(read, failed("unreadable", this.path)))
  }

  append(entry: Entry.Entry): Effect.Effect<void, JournalError> {
    return Effect.uninterruptibleMask((restore) =>
      Effect.gen(this, function*() {
        if (this.broken !== undefined) return yield* this.broken
        const bytes = new TextEncoder().encode(`${Entry.line(entry)}\n`)
        if (bytes.length > Scan.mostLineBytes) {
          return yield* new JournalError({
            reason: "unwritable",
            path: this.path,
            key: entry.key,
            detail: "the entry is longer than 64 MB"
          })
        }
        const done = yield* Deferred.make<void, JournalError>()
        this.waiting.push({ entry, bytes, done })
        if (!this.isWriting) {
          this.isWriting = true
          yield* Effect.forkDaemon(this.writeWaiting)
        }
        return yield* restore(Deferred.await(done))
      })
    )
  }

  private readonly writeWaiting: Effect.Effect<void> = Effect.whileLoop({
    while: () => {
      this.isWriting = this.waiting.length > 0
      return this.isWriting
    },
    body: () => Effect.suspend(() => this.writeAll(this.waiting.splice(0))),
    step: () => {}
  })

  private writeAll(batch: ReadonlyArray<Waiting>): Effect.Effect<void> {
    return Effect.gen(this, function*() {
      if (this.broken !== undefined) return yield* this.broken
      const length = batch.reduce((sum, { bytes }) => sum + bytes.length, 0)
      const whole = new Uint8Array(length)
      let at = 0
      for (const { bytes } of batch) {
        whole.set(bytes, at)
        at += bytes.length
      }
      yield* Effect.mapError(this.writer.writeAll(whole), failed("unwritable", this.path))
      if (this.syncsEachWrite) yield* Effect.mapError(this.writer.sync, failed("unwritable", this.path))
      else this.isDirty = true
      for (const { bytes, entry } of batch) {
        remember(this.opened, entry, this.size)
        this.size += bytes.length
      }
    }).pipe(
      Effect.tapError((error) =>
        Effect.sync(() => {
          this.broken = error
        })
      ),
      Effect.exit,
      Effect.flatMap((exit) => Effect.forEach(batch, ({ done }) => Deferred.done(done, exit), { discard: true }))
    )
  }

  /** Puts what was written on the disk. What cannot be put there is told by the next write. */
  readonly sync: Effect.Effect<void> = Effect.suspend(() => {
    if (!this.isDirty) return Effect.void
    this.isDirty = false
    return Effect.catchAll(this.writer.sync, (error) =>
      Effect.sync(() => {
        this.broken = failed("unwritable", this.path)(error)
      }))
  })
}
