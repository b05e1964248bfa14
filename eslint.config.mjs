import effect from "@effect/eslint-plugin"
import { defineConfig, globalIgnores } from "eslint/config"
import tseslint from "typescript-eslint"

const formatting = {
  indentWidth: 2,
  lineWidth: 120,
  newLineKind: "lf",
  semiColons: "asi",
  quoteStyle: "alwaysDouble",
  trailingCommas: "never",
  operatorPosition: "maintain",
  "arrowFunction.useParentheses": "force"
}

const fromEffect = "Take time and chance from Effect (Clock, DateTime, Random), so that a test can decide them."

export default defineConfig(
  globalIgnores(["dist/", "docs/", "coverage/", "bench/", "**/*.md"]),
  {
    name: "every file",
    files: ["**/*.ts", "**/*.mjs", "**/*.cjs"],
    extends: [tseslint.configs.recommended],
    plugins: { "@effect": effect },
    linterOptions: { reportUnusedDisableDirectives: "error", noInlineConfig: true },
    rules: {
      "@effect/dprint": ["error", { config: formatting }],
      "@typescript-eslint/array-type": ["error", { default: "generic", readonly: "generic" }],
      "@typescript-eslint/consistent-type-imports": ["error", { fixStyle: "separate-type-imports" }],
      "@typescript-eslint/no-explicit-any": "error",
      "@typescript-eslint/no-import-type-side-effects": "error",
      "@typescript-eslint/no-non-null-assertion": "error",
      "@typescript-eslint/no-unused-vars": ["error", {
        argsIgnorePattern: "^_",
        varsIgnorePattern: "^_",
        ignoreRestSiblings: true
      }],
      // An empty interface over Effect.Context or a Tag names a type for hover texts; a generator that only fails yields nothing.
      "@typescript-eslint/no-empty-object-type": "off",
      "@typescript-eslint/no-namespace": "off",
      "require-yield": "off",
      // `pipeArguments(this, arguments)` is how a value of ours becomes pipeable.
      "prefer-rest-params": "off",
      "eqeqeq": ["error", "always"],
      "no-var": "error",
      "object-shorthand": "error",
      "prefer-const": "error",
      "max-lines": ["error", { max: 500 }]
    }
  },
  {
    name: "commonjs",
    files: ["**/*.cjs"],
    languageOptions: { sourceType: "commonjs", globals: { module: "writable", require: "readonly" } },
    rules: { "@typescript-eslint/no-require-imports": "off" }
  },
  {
    name: "the library",
    files: ["src/**/*.ts"],
    rules: {
      "@effect/no-import-from-barrel-package": [
        "error",
        { packageNames: ["effect", "@effect/platform", "@effect/platform-node", "effect-llm-resilience"] }
      ],
      "no-console": "error",
      "no-restricted-properties": [
        "error",
        { object: "Date", property: "now", message: fromEffect },
        { object: "Math", property: "random", message: fromEffect },
        { object: "performance", property: "now", message: fromEffect },
        { object: "crypto", property: "randomUUID", message: fromEffect }
      ],
      "no-restricted-globals": [
        "error",
        { name: "setTimeout", message: "Sleep with Effect.sleep, so that TestClock drives it." },
        { name: "setInterval", message: "Repeat with a Schedule, so that TestClock drives it." },
        { name: "process", message: "The library runs wherever Effect runs: read settings with Config." },
        { name: "Buffer", message: "The library runs wherever Effect runs: use Uint8Array and effect/Encoding." }
      ],
      "no-restricted-syntax": [
        "error",
        { selector: "NewExpression[callee.name='Date'][arguments.length=0]", message: fromEffect },
        { selector: "CallExpression[callee.name='Date']", message: fromEffect },
        {
          selector: "TSAsExpression > TSAsExpression[typeAnnotation.type='TSUnknownKeyword']",
          message: "`as unknown as` hides a lie: decode, or narrow with a guard."
        }
      ]
    }
  },
  {
    name: "the timer behind the live clock, where a fiber for each time-out would cost too much",
    files: ["src/policy/shared/childFiber.ts"],
    rules: { "no-restricted-globals": "off" }
  },
  {
    name: "the lock of a journal, which asks whether a process runs, where there are processes",
    files: ["src/batch/journal/lock.ts"],
    rules: { "no-restricted-globals": "off" }
  },
  {
    name: "the one reading of time that only goes forward",
    files: ["src/internal/elapsed.ts"],
    rules: { "no-restricted-properties": "off" }
  },
  {
    name: "what a person runs may print",
    files: ["src/cli/**/*.ts"],
    rules: { "no-console": "off", "no-restricted-globals": "off" }
  }
)
