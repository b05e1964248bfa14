// Writes the JSON Schema of policy files into the build, for editors: part of `npm run build`.
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { jsonSchema } from "../src/policy/PolicyConfig.ts"
import { root } from "./modules.ts"

writeFileSync(join(root, "dist/policy.schema.json"), `${JSON.stringify(jsonSchema, null, 2)}\n`)
