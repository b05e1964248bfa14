// Written by scripts/barrels.ts from the files that exist: npm run index

export * as InvalidOptions from "./error/InvalidOptions.ts"
export * as ModelError from "./error/ModelError.ts"
export * as PolicyError from "./error/PolicyError.ts"
export * as ToolCallError from "./error/ToolCallError.ts"
export * as Verdict from "./error/Verdict.ts"

export * as Event from "./telemetry/Event.ts"
export * as Metrics from "./telemetry/Metrics.ts"
export * as Monitor from "./telemetry/Monitor.ts"

export * as Backoff from "./policy/Backoff.ts"
export * as Pipeline from "./policy/Pipeline.ts"
export * as Retry from "./policy/Retry.ts"
export * as RetryPolicy from "./policy/RetryPolicy.ts"
export * as Timeout from "./policy/Timeout.ts"

export * as LanguageModel from "./model/LanguageModel.ts"
export * as Prompt from "./model/Prompt.ts"
export * as Response from "./model/Response.ts"
export * as Tool from "./model/Tool.ts"
export * as ToolCall from "./model/ToolCall.ts"
export * as Toolkit from "./model/Toolkit.ts"
export * as Usage from "./model/Usage.ts"

export * as OpenAiChat from "./provider/OpenAiChat.ts"
export * as ProviderError from "./provider/ProviderError.ts"

export * as ResilientModel from "./resilience/ResilientModel.ts"
export * as ToolLoop from "./resilience/ToolLoop.ts"
