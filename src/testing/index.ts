// Written by scripts/barrels.ts from the files that exist: npm run index

export * as JournalLaws from "./JournalLaws.ts"
export * as ScriptedModel from "./ScriptedModel.ts"
export * as StoreLaws from "./StoreLaws.ts"
