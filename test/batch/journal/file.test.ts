import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { SystemError } from "@effect/platform/Error"
import * as FileSystem from "@effect/platform/FileSystem"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Batch from "../../../src/batch/Batch.ts"
import * as Journal from "../../../src/batch/Journal.ts"
import type { JournalError } from "../../../src/error/JournalError.ts"
import { runs } from "../../runs.ts"

const done = (key: string, value: unknown): Journal.Entry => ({ _tag: "Succeeded", key, value, at: 1 })

/** What is done with the journal of a file, which is opened for it and closed after it. */
const use = <A, E, R>(path: string, body: (journal: Journal.Service) => Effect.Effect<A, E, R>) =>
  Effect.scoped(Effect.flatMap(Journal.makeFile({ path, fsync: "never" }), body))

const refused = (path: string) => Effect.flip(use(path, () => Effect.void))

const changed = (lines: ReadonlyArray<string>, at: number, line: string): ReadonlyArray<string> =>
  lines.map((each, index) => index === at ? line : each)

/** A folder of its own, with a journal of three entries in it. */
const withJournal = <A, E>(
  body: (
    place: { readonly fs: FileSystem.FileSystem; readonly folder: string; readonly path: string }
  ) => Effect.Effect<
    A,
    E,
    FileSystem.FileSystem
  >
) =>
  Effect.scoped(Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    const folder = yield* fs.makeTempDirectoryScoped()
    const path = `${folder}/run.journal`
    yield* use(path, (journal) => Effect.forEach(["a", "b", "c"], (key) => journal.append(done(key, `value ${key}`))))
    return yield* body({ fs, folder, path })
  })).pipe(Effect.provide(NodeFileSystem.layer))

describe("the end of the file", () => {
  it.effect("a last line that was torn at any byte is cut off, and the journal goes on", () =>
    withJournal(({ fs, path }) =>
      Effect.gen(function*() {
        const whole = yield* fs.readFile(path)
        const lastLine = whole.lastIndexOf(0x0a, whole.length - 2) + 1
        for (let length = lastLine; length < whole.length; length += runs(5, 1)) {
          yield* fs.writeFile(path, whole.subarray(0, length))
          const found = yield* use(path, (journal) =>
            Effect.gen(function*() {
              const [b, c] = [yield* journal.lookup("b"), yield* journal.lookup("c")]
              yield* journal.append(done("c", "anew"))
              return [b, c, yield* journal.lookup("c")]
            }))
          expect(found).toEqual([Option.some(done("b", "value b")), Option.none(), Option.some(done("c", "anew"))])
          const lines = (yield* fs.readFileString(path)).split("\n")
          expect(lines.length).toBe(5)
        }
      })
    ))

  it.effect("a header that was torn at any byte is written anew", () =>
    withJournal(({ fs, path }) =>
      Effect.gen(function*() {
        const header = (yield* fs.readFileString(path)).split("\n")[0] ?? ""
        for (let length = 0; length <= header.length; length += runs(9, 1)) {
          yield* fs.writeFileString(path, header.slice(0, length))
          yield* use(path, (journal) => journal.append(done("a", 1)))
          expect(yield* use(path, (journal) => journal.lookup("a"))).toEqual(Option.some(done("a", 1)))
        }
      })
    ))
})

describe("a file that cannot be used is left as it is", () => {
  const cases: ReadonlyArray<
    readonly [string, (lines: ReadonlyArray<string>) => ReadonlyArray<string>, Partial<JournalError>]
  > = [
    ["no JSON in its middle", (lines) => changed(lines, 2, "{\"_tag\":\"Succ"), { reason: "damaged", line: 3 }],
    ["bytes of nothing in its middle", (lines) => changed(lines, 1, "\u0000".repeat(40)), {
      reason: "damaged",
      line: 2
    }],
    ["an empty line", (lines) => changed(lines, 2, ""), { reason: "damaged", line: 3 }],
    ["JSON that is no entry", (lines) => changed(lines, 3, "{\"key\":\"c\"}"), { reason: "damaged", line: 4 }],
    ["a header of another version", (lines) => changed(lines, 0, (lines[0] ?? "").replace(":1,", ":2,")), {
      reason: "format",
      line: 1
    }],
    ["something else", () => ["# My notes", "", "Not to be lost.", ""], { reason: "format", line: 1 }],
    ["something else without a line end", () => ["Not to be lost"], { reason: "format", line: 1 }]
  ]
  for (const [name, spoil, expected] of cases) {
    it.effect(name, () =>
      withJournal(({ folder, fs, path }) =>
        Effect.gen(function*() {
          const spoilt = spoil((yield* fs.readFileString(path)).split("\n")).join("\n")
          yield* fs.writeFileString(path, spoilt)
          const error = yield* refused(path)
          expect(error).toMatchObject({ _tag: "JournalError", path, ...expected })
          expect(yield* fs.readFileString(path)).toBe(spoilt)
          expect(yield* fs.readDirectory(folder)).toEqual(["run.journal"])
        })
      ))
  }

  it.effect("a folder, and a file in no folder", () =>
    withJournal(({ folder }) =>
      Effect.gen(function*() {
        expect(yield* refused(folder)).toMatchObject({ _tag: "JournalError", path: folder })
        const nowhere = `${folder}/none/run.journal`
        expect(yield* refused(nowhere)).toMatchObject({ _tag: "JournalError", reason: "unwritable", path: nowhere })
      })
    ))
})

describe("two on one journal", () => {
  it.effect("the second is refused, and the first goes on", () =>
    withJournal(({ path }) =>
      use(path, (journal) =>
        Effect.gen(function*() {
          expect(yield* refused(path)).toMatchObject({ _tag: "JournalError", reason: "locked", path })
          yield* journal.append(done("d", 4))
          expect(yield* journal.lookup("d")).toEqual(Option.some(done("d", 4)))
        }))
    ))

  it.effect("a file of a process that is gone does not count, and is removed", () =>
    withJournal(({ folder, fs, path }) =>
      Effect.gen(function*() {
        // No process has so high a number. One that was killed before it had the journal leaves an empty file.
        yield* fs.writeFileString(`${path}.lock.999999999.ab`, "has the journal\n")
        yield* fs.writeFileString(`${path}.lock.999999998.cd`, "")
        // An earlier process with the number of this one.
        yield* fs.writeFileString(`${path}.lock.${process.pid}.ef`, "has the journal\n")
        const found = yield* use(path, (journal) => Effect.zip(journal.lookup("a"), fs.readDirectory(folder)))
        expect(found[0]).toEqual(Option.some(done("a", "value a")))
        expect(found[1].length).toBe(2)
        expect(yield* fs.readDirectory(folder)).toEqual(["run.journal"])
      })
    ))

  it.effect("that of a process that has it counts, and so does that of another journal not", () =>
    withJournal(({ folder, fs, path }) =>
      Effect.gen(function*() {
        // The process that began this one lives.
        yield* fs.writeFileString(`${folder}/run.lock.${process.ppid}.ab`, "has the journal\n")
        yield* fs.writeFileString(`${path}.lock`, "somebody's own\n")
        expect(yield* use(path, (journal) => journal.lookup("a"))).toEqual(Option.some(done("a", "value a")))
        const lock = `${path}.lock.${process.ppid}.ab`
        yield* fs.writeFileString(lock, "has the journal\n")
        const error = yield* refused(path)
        expect(error).toMatchObject({ _tag: "JournalError", reason: "locked" })
        expect(error.message).toContain(`process ${process.ppid} has it; if that is not so, remove ${lock}`)
        expect(yield* fs.exists(lock)).toBe(true)
      })
    ))

  it.effect("of many fibers that open it at once, one has it", () =>
    withJournal(({ path }) =>
      Effect.gen(function*() {
        const opened = yield* Effect.scoped(
          Effect.all(Array.from({ length: 10 }, () => Effect.either(Journal.makeFile({ path }))), {
            concurrency: "unbounded"
          })
        )
        expect(opened.filter(Either.isRight).length).toBe(1)
      })
    ))
})

const ioError = (reason: "WriteZero" | "PermissionDenied", method: string): SystemError =>
  new SystemError({ reason, module: "FileSystem", method, description: `${method} was refused` })

/** A disk with room for so many bytes: the write that does not fit is written in part. */
const smallDisk = (room: number) =>
  Layer.effect(
    FileSystem.FileSystem,
    Effect.map(FileSystem.FileSystem, (fs) => {
      let left = room
      return {
        ...fs,
        open: (path: string, options?: FileSystem.OpenFileOptions) =>
          Effect.map(fs.open(path, options), (file) =>
            new Proxy(file, {
              get: (target, name) =>
                name !== "writeAll" ? Reflect.get(target, name) : (bytes: Uint8Array) =>
                  Effect.suspend(() => {
                    const fits = bytes.subarray(0, Math.max(0, left))
                    left -= bytes.length
                    return left >= 0
                      ? target.writeAll(bytes)
                      : Effect.zipRight(target.writeAll(fits), ioError("WriteZero", "writeAll"))
                  })
            }))
      }
    })
  ).pipe(Layer.provide(NodeFileSystem.layer))

describe("a disk that is full", () => {
  it.effect("ends the batch with a typed error; what was told is kept, and a rerun calls only the rest", () =>
    withJournal(({ folder }) =>
      Effect.gen(function*() {
        const path = `${folder}/full.journal`
        const items = Array.from({ length: 40 }, (_, index) => index)
        const called: Array<number> = []
        const run = (journal: Journal.Service) =>
          Batch.run(items, (item) => Effect.sync(() => (called.push(item), item * 2)), {
            concurrency: 3,
            journal: { journal, value: Schema.Number }
          })
        const error = yield* Effect.flip(use(path, run)).pipe(Effect.provide(smallDisk(3_000)))
        expect(error).toMatchObject({ _tag: "JournalError", reason: "unwritable", path })
        const before = called.length
        expect(before).toBeGreaterThan(3)
        expect(before).toBeLessThan(40)
        const report = yield* use(path, run)
        expect(report.results.map(({ outcome }) => Either.getOrNull(outcome))).toEqual(items.map((item) => item * 2))
        // Only those whose outcome could not be written any more are called a second time.
        const twice = called.length - items.length
        expect(twice).toBeLessThanOrEqual(3)
      })
    ))

  it.effect("no entry is taken after one was lost", () =>
    withJournal(({ folder }) =>
      use(`${folder}/full.journal`, (journal) =>
        Effect.gen(function*() {
          const first = yield* Effect.flip(journal.append(done("long", "x".repeat(5_000))))
          const second = yield* Effect.flip(journal.append(done("short", 1)))
          expect(second).toEqual(first)
          expect(yield* journal.lookup("long")).toEqual(Option.none())
        })).pipe(Effect.provide(smallDisk(1_000)))
    ))
})

it.effect("a folder that is read only is told, and nothing is begun", () =>
  withJournal(({ fs, path }) =>
    Effect.gen(function*() {
      const readOnly = Layer.succeed(FileSystem.FileSystem, {
        ...fs,
        open: (name: string, options?: FileSystem.OpenFileOptions) =>
          options?.flag === "r" ? fs.open(name, options) : Effect.fail(ioError("PermissionDenied", "open"))
      })
      const error = yield* Effect.provide(refused(path), readOnly)
      expect(error).toMatchObject({ _tag: "JournalError", reason: "unwritable", path })
      expect(error.message).toContain("give the right to write")
    })
  ))
