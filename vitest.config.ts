import { availableParallelism } from "node:os"
import { fileURLToPath } from "node:url"
import { defineConfig } from "vitest/config"

const source = (path: string): string => fileURLToPath(new URL(`./src/${path}`, import.meta.url))

export default defineConfig({
  resolve: {
    alias: [
      { find: /^effect-llm-resilience$/, replacement: source("index.ts") },
      { find: /^effect-llm-resilience\/chaos$/, replacement: source("chaos/index.ts") },
      { find: /^effect-llm-resilience\/testing$/, replacement: source("testing/index.ts") },
      { find: /^effect-llm-resilience\/(.+)$/, replacement: source("$1.ts") }
    ]
  },
  test: {
    include: ["test/**/*.test.ts"],
    setupFiles: ["test/setup.ts"],
    // Test files share no state but the modules, and loading those anew for each file takes longer than most tests.
    isolate: false,
    maxWorkers: availableParallelism(),
    // The only guard against what hangs: no test is slow enough to meet it, on any machine.
    testTimeout: 120_000,
    hookTimeout: 30_000
  }
})
