// The house of DESIGN section 3: a room imports itself and rooms of a lower rank, nothing else.
const rank = {
  internal: 0,
  error: 1,
  telemetry: 2,
  policy: 3,
  model: 4,
  provider: 5,
  resilience: 5,
  batch: 6,
  testing: 6,
  adapter: 6,
  cli: 7
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
const peers = require("./package.json").peerDependenciesMeta ?? {}
const optionalPeers = Object.keys(peers).filter((name) => peers[name].optional)
const mayUseOptionalPeers = ["^src/adapter/", "^src/cli/", "^src/testing/(ChaosServer|internal/chaos)"]

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

const privateRooms = rooms.filter((room) => room !== "internal").map((room) => ({
  name: `private-${room}`,
  comment: `src/${room}/internal belongs to src/${room} alone.`,
  severity: "error",
  from: { path: "^src/", pathNot: `^src/${room}/` },
  to: { path: `^src/${room}/internal/` }
}))

module.exports = {
  forbidden: [
    ...roomRules,
    ...privateRooms,
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
      comment:
        "src/internal decides with plain data: no Effect, Schedule, Layer, Stream, Ref, no other package, no Node.",
      severity: "error",
      from: { path: "^src/internal/" },
      to: {
        pathNot: [
          "^src/internal/",
          `(^|/)node_modules/effect/(dist/(dts|esm|cjs)|src)/(${dataModules.join("|")})[.](d[.]ts|js|ts)$`
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
        path: ["^src/(testing|adapter|cli)/", ...optionalPeers.map((name) => `(^|/)node_modules/${name}/`)]
      }
    },
    {
      name: "testing-entry-needs-no-optional-peer",
      comment: "ChaosServer is imported from its own subpath, so that ScriptedModel needs no optional peer.",
      severity: "error",
      from: { path: "^src/testing/index[.]ts$" },
      to: { reachable: true, path: optionalPeers.map((name) => `(^|/)node_modules/${name}/`) }
    },
    {
      name: "only-declared-packages",
      comment: "What src imports, a user of the package gets: a dependency or a peer, never a tool of ours.",
      severity: "error",
      from: { path: "^src/" },
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
