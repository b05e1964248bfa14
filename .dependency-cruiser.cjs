// The house of DESIGN section 3: a room imports itself and rooms of a lower rank, nothing else.
const { existsSync, readdirSync } = require("node:fs")
const { join } = require("node:path")

const rank = {
  internal: 0,
  error: 1,
  telemetry: 2,
  policy: 3,
  model: 4,
  provider: 5,
  resilience: 5,
  batch: 6,
  chaos: 6,
  adapter: 6,
  testing: 7,
  cli: 8
}

// Neighbours that must not meet although their ranks would allow it.
const strangers = { model: ["policy"] }

// What a kernel may take from Effect: plain data and the functions over it.
const dataModules = [
  "Array",
  "BigDecimal",
  "BigInt",
  "Boolean",
  "Brand",
  "Chunk",
  "Data",
  "DateTime",
  "Duration",
  "Either",
  "Encoding",
  "Equal",
  "Equivalence",
  "Function",
  "Hash",
  "HashMap",
  "HashSet",
  "Inspectable",
  "Iterable",
  "List",
  "Number",
  "Option",
  "Order",
  "Ordering",
  "Pipeable",
  "Predicate",
  "Record",
  "Redacted",
  "RegExp",
  "SortedMap",
  "SortedSet",
  "String",
  "Struct",
  "Tuple",
  "Types"
]

const rooms = Object.keys(rank)

/** What decides over plain data and knows no Effect. */
const kernels = [
  "^src/internal/",
  "/kernel[.]ts$",
  "^src/policy/shared/(permits|retryStep|retryText|retryTree|trippingRule|waiters|window)[.]ts$",
  "^src/policy/(hedge/quantile|retryPolicy/(bounds|canRetry))[.]ts$",
  "^src/model/(shared/repairJson|structuredOutput/partialJson)[.]ts$",
  "^src/resilience/(price/rates|resilientStream/overlap)[.]ts$",
  "^src/batch/shared/spent[.]ts$"
]
const peers = require("./package.json").peerDependenciesMeta ?? {}
const optionalPeers = Object.keys(peers).filter((name) => peers[name].optional)
const mayUseOptionalPeers = ["^src/adapter/", "^src/cli/", "^src/chaos/"]

const roomRules = rooms.map((room) => {
  const open = rooms.filter((other) => rank[other] < rank[room] && !(strangers[room] ?? []).includes(other))
  return {
    name: `room-${room}`,
    comment: `src/${room} may import only ${[room, ...open].join(", ")}.`,
    severity: "error",
    from: { path: `^src/${room}/` },
    to: { path: "^(src|test|examples|scripts|bench)/", pathNot: `^src/(${[room, ...open].join("|")})/(?!index[.]ts$)` }
  }
})

/** The folders of a room: the parts of its modules, and `shared`. */
const foldersOf = (room) => {
  const folder = join(__dirname, "src", room)
  if (room === "internal" || !existsSync(folder)) return []
  return readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory()).map((entry) => entry.name)
}

// A command is no module that anybody imports, and is named as it is typed.
const moduleOf = (room, folder) => room === "cli" ? folder : `${folder.charAt(0).toUpperCase()}${folder.slice(1)}`

// The options of a pipeline are data of their own, read by what the pipeline is made of.
const readers = { pipeline: "PolicyConfig[.]ts$|" }

// The section of a policy is what the pipeline knows of it.
const section = (room) => room === "policy" ? { pathNot: "/section[.]ts$" } : {}

const partRules = rooms.flatMap((room) =>
  foldersOf(room).map((folder) =>
    folder === "shared"
      ? {
        name: `shared-${room}`,
        comment: `src/${room}/shared is what several modules of src/${room} use, and nobody else.`,
        severity: "error",
        from: { path: "^src/", pathNot: `^src/${room}/` },
        to: { path: `^src/${room}/shared/` }
      }
      : {
        name: `parts-${room}-${folder}`,
        comment: `src/${room}/${folder}/ holds the parts of src/${room}/${
          moduleOf(room, folder)
        }.ts, which alone imports them.`,
        severity: "error",
        from: {
          path: "^src/",
          pathNot: `^src/${room}/(${readers[folder] ?? ""}${moduleOf(room, folder)}[.]ts$|${folder}/)`
        },
        to: { path: `^src/${room}/${folder}/`, ...section(room) }
      }
  )
)

module.exports = {
  forbidden: [
    ...roomRules,
    ...partRules,
    {
      name: "sections-are-listed",
      comment: "A section is imported by the list of the pipeline, and by nobody else.",
      severity: "error",
      from: { path: "^src/", pathNot: "^src/policy/pipeline/sections[.]ts$" },
      to: { path: "^src/policy/[^/]+/section[.]ts$", pathNot: "^src/policy/shared/" }
    },
    {
      name: "no-circles",
      comment: "Two modules that import each other, types included, are one module or lack a third.",
      severity: "error",
      from: { path: "^src/" },
      to: { circular: true }
    },
    {
      name: "known-rooms",
      comment:
        "A file stands in a room of DESIGN section 3; a new room gets its rank in .dependency-cruiser.cjs first.",
      severity: "error",
      from: { path: "^src/", pathNot: `^src/((${rooms.join("|")})/|index[.]ts$)` },
      to: {}
    },
    {
      name: "kernels-are-effect-free",
      comment: "Kernels decide with plain data: no Effect, Schedule, Layer, Stream, Ref, no other package, no Node.",
      severity: "error",
      // The one reading of a clock that all rooms share needs the type of Effect's clocks, and waiting for the event loop is
      // an effect. A form decides nothing while calls run: it describes options for all rooms, and is a Schema for whoever
      // composes it, and so knows that family; and so does what checks the fields of a class of Schema.
      from: {
        path: kernels,
        pathNot: [
          "^src/internal/elapsed[.]ts$",
          "^src/internal/eventLoop[.]ts$",
          "^src/internal/form/schema[.]ts$",
          "^src/internal/checkedOnce[.]ts$"
        ]
      },
      to: {
        pathNot: [
          ...kernels,
          // A pure function over two texts.
          "(^|/)node_modules/fastest-levenshtein/",
          `(^|/)node_modules/effect/(dist/(dts|esm|cjs)|src)/(${dataModules.join("|")})[.](d[.]ts|js|ts)$`
        ]
      }
    },
    {
      name: "forms-know-schemas",
      comment: "A form is an Effect Schema too: of Effect it takes that family beside plain data, and nothing else.",
      severity: "error",
      from: { path: "^src/internal/(form/schema|checkedOnce)[.]ts$" },
      to: {
        pathNot: [
          ...kernels,
          // A pure function over two texts.
          "(^|/)node_modules/fastest-levenshtein/",
          `(^|/)node_modules/effect/(dist/(dts|esm|cjs)|src)/(Schema|SchemaAST|ParseResult|${
            dataModules.join("|")
          })[.](d[.]ts|js|ts)$`
        ]
      }
    },
    {
      name: "optional-peers-stay-out",
      comment: "Whoever does not install an optional peer must be able to import every other module.",
      severity: "error",
      from: { path: "^src/", pathNot: mayUseOptionalPeers },
      to: { path: optionalPeers.map((name) => `(^|/)node_modules/${name}/`) }
    },
    {
      name: "node-stays-out",
      comment:
        "The library runs wherever Effect runs; Node's own modules belong to the server, the adapters and the CLI.",
      severity: "error",
      from: { path: "^src/", pathNot: mayUseOptionalPeers },
      to: { dependencyTypes: ["core"] }
    },
    {
      name: "main-entry-needs-no-optional-peer",
      comment: "Nothing that src/index.ts reaches may need an optional peer, a test room, an adapter or the CLI.",
      severity: "error",
      from: { path: "^src/index[.]ts$" },
      to: {
        reachable: true,
        path: ["^src/(chaos|testing|adapter|cli)/", ...optionalPeers.map((name) => `(^|/)node_modules/${name}/`)]
      }
    },
    {
      name: "testing-entry-needs-no-optional-peer",
      comment: "ScriptedModel and the laws of stores need no optional peer; the chaos server has an entry of its own.",
      severity: "error",
      from: { path: "^src/testing/index[.]ts$" },
      to: { reachable: true, path: optionalPeers.map((name) => `(^|/)node_modules/${name}/`) }
    },
    {
      name: "only-declared-packages",
      comment: "What src imports, a user of the package gets: a dependency or a peer, never a tool of ours.",
      severity: "error",
      // The command line is bundled with what it uses.
      from: { path: "^src/", pathNot: "^src/cli/" },
      to: {
        path: "(^|/)node_modules/",
        dependencyTypesNot: ["npm", "npm-peer", "npm-optional"]
      }
    },
    {
      name: "resolvable",
      comment: "An import that leads nowhere.",
      severity: "error",
      from: {},
      to: { couldNotResolve: true }
    }
  ],
  options: {
    doNotFollow: { path: "(^|/)node_modules/" },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["import", "node", "default"],
      extensions: [".ts", ".js", ".d.ts"]
    }
  }
}
