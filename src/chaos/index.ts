// Written by scripts/barrels.ts from the files that exist: npm run index

export * as BackgroundFault from "./BackgroundFault.ts"
export * as BatchFault from "./BatchFault.ts"
export * as ChaosServer from "./ChaosServer.ts"
export * as Fault from "./Fault.ts"
export * as StreamFault from "./StreamFault.ts"
