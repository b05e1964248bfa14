/** Input schemas in the manner of well-known MCP servers, each with arguments that fit, and some that do not. */
export const servers: ReadonlyArray<{
  readonly server: string
  readonly name: string
  readonly inputSchema: object
  readonly good: unknown
  readonly bad: unknown
  readonly issues: ReadonlyArray<string>
}> = [
  {
    server: "git (pydantic)",
    name: "git_log",
    inputSchema: {
      title: "GitLog",
      type: "object",
      properties: {
        repo_path: { title: "Repo Path", type: "string" },
        max_count: { title: "Max Count", type: "integer", default: 10 },
        start_timestamp: {
          anyOf: [{ type: "string" }, { type: "null" }],
          default: null,
          description: "Start timestamp for filtering commits",
          title: "Start Timestamp"
        }
      },
      required: ["repo_path"]
    },
    good: { repo_path: "/r", max_count: 3, start_timestamp: null },
    bad: { max_count: "3", start_timestamp: 0 },
    issues: [
      "repo_path Missing: is missing, expected a string",
      "max_count Type: expected an integer, got \"3\"",
      "start_timestamp Type: expected a string or null, got 0"
    ]
  },
  {
    server: "filesystem (zod)",
    name: "edit_file",
    inputSchema: {
      $schema: "http://json-schema.org/draft-07/schema#",
      type: "object",
      properties: {
        path: { type: "string" },
        edits: {
          type: "array",
          items: {
            type: "object",
            properties: {
              oldText: { type: "string", description: "Text to search for - must match exactly" },
              newText: { type: "string", description: "Text to replace with" }
            },
            required: ["oldText", "newText"],
            additionalProperties: false
          }
        },
        dryRun: { type: "boolean", default: false, description: "Preview changes using git-style diff format" }
      },
      required: ["path", "edits"],
      additionalProperties: false
    },
    good: { path: "/a", edits: [{ oldText: "x", newText: "" }], dryRun: true },
    bad: { path: "/a", edits: [{ oldText: "x", text: "y" }], force: true },
    issues: [
      "force Unexpected: is not a parameter; the parameters here are path, edits, dryRun",
      "edits.0.newText Missing: is missing, expected a string",
      "edits.0.text Unexpected: is not a parameter; the parameters here are oldText, newText"
    ]
  },
  {
    server: "github (go)",
    name: "create_pull_request_review",
    inputSchema: {
      type: "object",
      required: ["owner", "repo", "pullNumber", "event"],
      properties: {
        owner: { type: "string", description: "Repository owner", pattern: "^[a-zA-Z0-9]+(?:-[a-zA-Z0-9]+)*$" },
        repo: { type: "string", description: "Repository name" },
        pullNumber: { type: "number", minimum: 1, description: "Pull request number" },
        event: { type: "string", enum: ["APPROVE", "REQUEST_CHANGES", "COMMENT"] },
        comments: {
          type: "array",
          items: {
            anyOf: [
              {
                type: "object",
                required: ["path", "position", "body"],
                properties: { path: { type: "string" }, position: { type: "number" }, body: { type: "string" } }
              },
              {
                type: "object",
                required: ["path", "line", "body"],
                properties: { path: { type: "string" }, line: { type: "number" }, body: { type: "string" } }
              }
            ]
          }
        }
      }
    },
    good: { owner: "a-b", repo: "r", pullNumber: 1, event: "COMMENT", comments: [{ path: "p", line: 1, body: "b" }] },
    bad: { owner: "a--b", repo: "r", pullNumber: 0, event: "LGTM" },
    issues: [
      "event Type: expected one of \"APPROVE\", \"REQUEST_CHANGES\", \"COMMENT\", got \"LGTM\"",
      "owner Refinement: must match the pattern ^[a-zA-Z0-9]+(?:-[a-zA-Z0-9]+)*$, got \"a--b\"",
      "pullNumber Refinement: must be at least 1, got 0"
    ]
  },
  {
    server: "fetch (pydantic)",
    name: "fetch",
    inputSchema: {
      description: "Parameters for fetching a URL.",
      properties: {
        url: { description: "URL to fetch", format: "uri", minLength: 1, title: "Url", type: "string" },
        max_length: {
          default: 5000,
          exclusiveMaximum: 1000000,
          exclusiveMinimum: 0,
          title: "Max Length",
          type: "integer"
        },
        raw: { default: false, title: "Raw", type: "boolean" }
      },
      required: ["url"],
      title: "Fetch",
      type: "object"
    },
    good: { url: "https://example.com", max_length: 999_999 },
    bad: { url: "", max_length: 1_000_000 },
    issues: [
      "url Refinement: must have at least 1 character, has 0",
      "max_length Refinement: must be below 1000000, got 1000000"
    ]
  },
  {
    server: "memory (zod)",
    name: "create_entities",
    inputSchema: {
      $schema: "https://json-schema.org/draft/2020-12/schema",
      type: "object",
      properties: {
        entities: {
          type: "array",
          items: {
            type: "object",
            properties: {
              name: { type: "string" },
              observations: { type: "array", items: { type: "string" }, uniqueItems: true }
            },
            required: ["name", "observations"]
          }
        }
      },
      required: ["entities"]
    },
    good: { entities: [{ name: "n", observations: ["a", "b"] }] },
    bad: { entities: [{ name: "n", observations: ["a", "a"] }, null] },
    issues: [
      "entities.1 Type: expected an object, got null",
      "entities.0.observations Refinement: must not hold the same element twice"
    ]
  },
  {
    server: "puppeteer (hand-written)",
    name: "navigate",
    inputSchema: {
      type: "object",
      properties: {
        url: { type: "string", description: "URL to navigate to" },
        launchOptions: { type: "object", description: "Default null. { headless: true, args: ['--no-sandbox'] }" }
      },
      required: ["url"]
    },
    good: { url: "x", launchOptions: { headless: false, args: [] } },
    bad: { launchOptions: "{}" },
    issues: [
      "url Missing: is missing, expected a string",
      "launchOptions Type: expected an object, got \"{}\""
    ]
  },
  {
    server: "tree (definitions)",
    name: "save_tree",
    inputSchema: {
      type: "object",
      properties: { root: { $ref: "#/definitions/Node" } },
      required: ["root"],
      definitions: {
        Node: {
          type: "object",
          properties: { label: { type: "string" }, children: { type: "array", items: { $ref: "#/definitions/Node" } } },
          required: ["label"]
        }
      }
    },
    good: { root: { label: "a", children: [{ label: "b", children: [] }] } },
    bad: { root: { label: "a", children: [{ label: 1 }, {}] } },
    issues: [
      "root.children.0.label Type: expected a string, got 1",
      "root.children.1.label Missing: is missing, expected a string"
    ]
  }
]
