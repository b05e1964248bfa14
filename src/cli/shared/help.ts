/** What `--help` says of a command. */
import * as HelpDoc from "@effect/cli/HelpDoc"
import { exits } from "./exits.ts"

export interface Help {
  /** What the command does, in a line of the overview. */
  readonly does: string
  /** The same with what has to be known of it. */
  readonly text: string
  /** Command lines that can be tried, without the program's name, and what each is for. */
  readonly examples: ReadonlyArray<readonly [typed: string, meaning: string]>
  /** What the codes mean that the command ends with. */
  readonly codes: Readonly<Partial<Record<keyof typeof exits, string>>>
}

export const program = "effect-llm-resilience"

const codesOf = ({ codes }: Help): ReadonlyArray<readonly [code: number, meaning: string]> =>
  Object.entries(exits).flatMap(([name, code]) =>
    Object.entries(codes).flatMap(([given, meaning]) => given === name ? [[code, meaning] as const] : [])
  )

/** The lines of a block, each by itself. */
const lines = (texts: ReadonlyArray<string>): HelpDoc.HelpDoc => HelpDoc.blocks(texts.map((text) => HelpDoc.p(text)))

export const document = (help: Help): HelpDoc.HelpDoc =>
  HelpDoc.blocks([
    HelpDoc.p(help.text),
    HelpDoc.h1("EXAMPLES"),
    lines(help.examples.flatMap(([typed, meaning]) => [`${meaning}:`, `  npx ${program} ${typed}`])),
    HelpDoc.h1("EXIT CODES"),
    lines(codesOf(help).map(([code, meaning]) => `${`${code}`.padStart(5)}  ${meaning}`))
  ])

/** What is shown where no command is named. */
export const overview = (
  commands: ReadonlyArray<readonly [name: string, help: Help]>,
  version: string
): string => {
  const width = Math.max(...commands.map(([name]) => name.length))
  return [
    `${program} ${version}: calls of language models that hold.`,
    "",
    ...commands.map(([name, { does }]) => `  ${name.padEnd(width)}  ${does}`),
    "",
    "Without a key or a network:",
    "  echo '\"Say hello.\"' > prompts.jsonl",
    `  npx ${program} batch prompts.jsonl --provider chaos`,
    "",
    `Each command explains itself:  npx ${program} batch --help`,
    `Completion of words in bash:   source <(${program} --completions bash)   (or zsh, fish)`
  ].join("\n")
}
