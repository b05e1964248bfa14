/**
 * Damaged arguments by class, with what must become of each: the value that was meant, and the repairs it takes, or why it
 * is refused. "Syntax" and the like stand where a value was meant, too, if more than one reading is possible.
 */
interface Right {
  readonly value: unknown
  readonly repairs: ReadonlyArray<string>
}

type Refused =
  | "Syntax"
  | "TrailingContent"
  | "Truncated"
  | "NotAnObject"
  | "DuplicateKey"
  | "ProtoKey"
  | "UnsafeNumber"
  | "LoneSurrogate"

const right = (value: unknown, ...repairs: ReadonlyArray<string>): Right => ({ value, repairs })

const fence = "```"

type Row = readonly [kind: string, input: string, expected: Right | Refused]

/** The classes of the evidence: what was tried on thirteen other readers. */
export const evidence: ReadonlyArray<Row> = [
  ["valid", "{\"to\":\"bob@x.io\",\"amount\":12345}", right({ to: "bob@x.io", amount: 12345 })],
  ["valid", "{\"a\":[1,2,{\"b\":null}],\"c\":true,\"d\":\"x\"}", right({ a: [1, 2, { b: null }], c: true, d: "x" })],
  [
    "raw newline in string",
    "{\"note\":\"line1\nline2\",\"n\":1}",
    right({ note: "line1\nline2", n: 1 }, "controlCharacters")
  ],
  ["raw tab in string", "{\"note\":\"a\tb\"}", right({ note: "a\tb" }, "controlCharacters")],
  ["unescaped quotes", "{\"note\":\"he said \"hi\" to me\",\"n\":1}", "Syntax"],
  ["unescaped quotes", "{\"code\":\"print(\"a, b\")\",\"n\":1}", "Syntax"],
  ["unescaped quotes (comma inside)", "{\"text\":\"the \"a\", \"b\" and \"c\" options\"}", "Syntax"],
  ["unescaped quotes (html)", "{\"html\":\"<a href=\"http://x.io\">y</a>\"}", "Syntax"],
  ["bad escape \\d", "{\"re\":\"\\d+\\.\\w\"}", "Syntax"],
  ["windows path", "{\"path\":\"C:\\Users\\bob\\new\"}", "Syntax"],
  ["single quotes", "{'to':'bob','n':1}", "Syntax"],
  ["single quotes + apostrophe", "{'note':'it\\'s ok','n':1}", "Syntax"],
  ["single quotes + raw apostrophe", "{'note':'it's ok','n':1}", "Syntax"],
  ["unquoted keys", "{to:\"bob\",n:1}", "Syntax"],
  ["unquoted string value", "{\"to\":bob,\"n\":1}", "Syntax"],
  ["unquoted value w/ spaces", "{\"city\":New York,\"n\":1}", "Syntax"],
  ["trailing comma obj", "{\"a\":1,\"b\":2,}", right({ a: 1, b: 2 }, "trailingCommas")],
  ["trailing comma arr", "{\"a\":[1,2,]}", right({ a: [1, 2] }, "trailingCommas")],
  ["missing comma", "{\"a\":1 \"b\":2}", "Syntax"],
  ["missing comma newline", "{\"a\":1\n\"b\":2}", "Syntax"],
  ["missing comma arr", "{\"a\":[1 2 3]}", "Syntax"],
  ["missing comma arr str", "{\"a\":[\"x\" \"y\"]}", "Syntax"],
  ["missing colon", "{\"a\" 1}", "Syntax"],
  ["double comma", "{\"a\":1,,\"b\":2}", "Syntax"],
  ["missing value", "{\"a\":,\"b\":2}", "Syntax"],
  ["missing close }", "{\"a\":{\"b\":1}", "Truncated"],
  ["missing close ]", "{\"a\":[1,2}", "Syntax"],
  ["extra close }", "{\"a\":1}}", "TrailingContent"],
  ["extra close ]", "{\"a\":[1,2]]}", "Syntax"],
  ["mismatched close", "{\"a\":[1,2}]", "Syntax"],
  ["line comment", "{\"a\":1, // note\n\"b\":2}", right({ a: 1, b: 2 }, "comments")],
  ["block comment", "{\"a\":1, /* note */ \"b\":2}", right({ a: 1, b: 2 }, "comments")],
  ["hash comment", "{\"a\":1, # note\n\"b\":2}", "Syntax"],
  ["url not comment", "{\"u\":\"http://x.io/a\",\"b\":2}", right({ u: "http://x.io/a", b: 2 })],
  [
    "python literals",
    "{\"a\":True,\"b\":False,\"c\":None}",
    right({ a: true, b: false, c: null }, "pythonLiterals")
  ],
  ["python tuple", "{\"a\":(1,2)}", "Syntax"],
  ["python triple quote", "{\"a\":\"\"\"hi \"x\" there\"\"\"}", "Syntax"],
  ["js undefined", "{\"a\":undefined,\"b\":1}", "Syntax"],
  ["NaN", "{\"a\":NaN}", "Syntax"],
  ["Infinity", "{\"a\":Infinity}", "Syntax"],
  ["-Infinity", "{\"a\":-Infinity}", "Syntax"],
  ["hex number", "{\"a\":0xFF}", "Syntax"],
  ["leading zero", "{\"a\":007}", "Syntax"],
  ["leading +", "{\"a\":+5}", "Syntax"],
  ["leading dot", "{\"a\":.5}", "Syntax"],
  ["trailing dot", "{\"a\":5.}", "Syntax"],
  ["thousands sep", "{\"a\":1,234}", "Syntax"],
  ["underscore number", "{\"a\":1_000}", "Syntax"],
  ["percent", "{\"a\":50%}", "Syntax"],
  ["currency", "{\"a\":$50}", "Syntax"],
  ["bigint 2^53+1", "{\"id\":9007199254740993}", "UnsafeNumber"],
  ["bigint 20 digits", "{\"id\":12345678901234567890}", "UnsafeNumber"],
  ["1e400", "{\"a\":1e400}", "UnsafeNumber"],
  ["0.1+17 digits", "{\"a\":0.12345678901234567890}", right({ a: 0.12345678901234568 })],
  ["md fence json", `${fence}json\n{"a":1}\n${fence}`, right({ a: 1 }, "fence")],
  ["md fence", `${fence}\n{"a":1}\n${fence}`, right({ a: 1 }, "fence")],
  ["md fence unclosed", `${fence}json\n{"a":1}`, "Syntax"],
  ["fence inside string", `{"code":"${fence}js\\nx\\n${fence}"}`, right({ code: `${fence}js\nx\n${fence}` })],
  ["prose before", "Sure! Here are the arguments:\n{\"a\":1}", "Syntax"],
  ["prose after", "{\"a\":1}\nLet me know if you need more.", "TrailingContent"],
  ["prose both w/ fence", `Here you go:\n${fence}json\n{"a":1}\n${fence}\nDone`, "Syntax"],
  ["prose with braces", "Use {name} like so: {\"a\":1}", "Syntax"],
  ["think tag", "<think>maybe {\"a\":2}?</think>{\"a\":1}", "Syntax"],
  ["tool_call tag", "<tool_call>\n{\"a\":1}\n</tool_call>", "Syntax"],
  ["key=value call", "a=1, b=\"x\"", "Syntax"],
  ["pure prose", "I cannot do that.", "Syntax"],
  ["refusal json-ish", "I will not call {tool}", "Syntax"],
  ["double encoded", "\"{\\\"a\\\":1,\\\"b\\\":\\\"x\\\"}\"", right({ a: 1, b: "x" }, "doubleEncoded")],
  ["escaped json", "{\\\"a\\\":1,\\\"b\\\":\\\"x\\\"}", "Syntax"],
  ["nested arg double-encoded", "{\"filter\":\"{\\\"a\\\":1}\"}", right({ filter: "{\"a\":1}" })],
  ["concat objects", "{\"a\":1}{\"a\":2}", "TrailingContent"],
  ["concat objects nl", "{\"a\":1}\n{\"a\":2}", "TrailingContent"],
  ["concat dup identical", "{\"a\":1}{\"a\":1}", "TrailingContent"],
  ["empty obj + real", "{}{\"a\":1}", "TrailingContent"],
  ["dup keys", "{\"a\":1,\"a\":2}", "DuplicateKey"],
  ["dup keys nested", "{\"x\":{\"a\":1,\"a\":2}}", "DuplicateKey"],
  ["__proto__ key", "{\"__proto__\":{\"admin\":true},\"a\":1}", "ProtoKey"],
  ["constructor.prototype", "{\"constructor\":{\"prototype\":{\"admin\":true}}}", "ProtoKey"],
  ["lone surrogate escape", "{\"a\":\"\\ud800\"}", "LoneSurrogate"],
  ["lone surrogate raw", "{\"a\":\"\ud800\"}", "LoneSurrogate"],
  ["split surrogate trunc", "{\"a\":\"hi \\ud83d", "Truncated"],
  ["BOM", "\ufeff{\"a\":1}", right({ a: 1 }, "byteOrderMark")],
  ["nbsp ws", "{\u00a0\"a\":\u00a01}", "Syntax"],
  ["zero-width", "\u200b{\"a\":1}", "Syntax"],
  ["NUL byte in str", "{\"a\":\"x\u0000y\"}", right({ a: "x\u0000y" }, "controlCharacters")],
  ["smart quotes", "{\u201ca\u201d: \u201cx\u201d}", "Syntax"],
  ["smart quotes inside str", "{\"a\":\"he said \u201chi\u201d ok\"}", right({ a: "he said \u201chi\u201d ok" })],
  ["mixed smart open", "{\u201ca\": \"x\"}", "Syntax"],
  ["fullwidth punct", "{\"a\"\uff1a1\uff0c\"b\"\uff1a\"x\"}", "Syntax"],
  ["fullwidth quotes", "{\uff02a\uff02:1}", "Syntax"],
  ["CJK quotes", "{\u300ca\u300d:1}", "Syntax"],
  ["fullwidth braces", "\uff5b\"a\":1\uff5d", "Syntax"],
  ["ellipsis arr", "{\"a\":[1,2,...]}", "Syntax"],
  ["ellipsis mid", "{\"a\":[1,...,9]}", "Syntax"],
  ["ellipsis obj", "{\"a\":1,...}", "Syntax"],
  ["ellipsis str", "{\"a\":\"abc...\"}", right({ a: "abc..." })],
  // The tool of this table takes {}, so nothing is enough.
  ["empty", "", right({})],
  ["ws only", "  \n ", right({})],
  ["null", "null", right({}, "nullArguments")],
  ["bare string", "\"hello\"", "NotAnObject"],
  ["bare word", "hello", "Syntax"],
  ["bare number", "42", "NotAnObject"],
  ["array root", "[1,2]", "NotAnObject"],
  ["jsonp", "cb({\"a\":1});", "Syntax"],
  ["mongo", "{\"d\":ISODate(\"2020-01-01T00:00:00Z\"),\"n\":1}", "Syntax"],
  ["string concat", "{\"a\":\"x\" + \"y\"}", "Syntax"],
  ["expr", "{\"a\":60*60}", "Syntax"],
  ["expr add", "{\"a\":1+2}", "Syntax"],
  ["date unquoted", "{\"d\":2024-01-02}", "Syntax"],
  ["time unquoted", "{\"t\":12:30}", "Syntax"],
  ["ip unquoted", "{\"ip\":10.0.0.1}", "Syntax"],
  ["version unquoted", "{\"v\":1.2.3}", "Syntax"],
  ["number unit", "{\"w\":10kg}", "Syntax"],
  ["trunc literal tr", "{\"a\":tr", "Truncated"],
  ["trunc literal f", "{\"a\":f", "Truncated"],
  ["trunc literal n", "{\"a\":n", "Truncated"],
  ["trunc number", "{\"amount\":12", "Truncated"],
  ["trunc number -", "{\"amount\":-", "Truncated"],
  ["trunc number e", "{\"amount\":1e", "Truncated"],
  ["trunc number .", "{\"amount\":1.", "Truncated"],
  ["trunc string", "{\"to\":\"bob@exa", "Truncated"],
  ["trunc path rm", "{\"path\":\"/home/bob", "Truncated"],
  ["trunc in key", "{\"a\":1,\"am", "Truncated"],
  ["trunc after colon", "{\"a\":1,\"am\":", "Truncated"],
  ["trunc after comma", "{\"a\":1,", "Truncated"],
  ["trunc arr", "{\"ids\":[1,2,3", "Truncated"],
  ["trunc arr comma", "{\"ids\":[1,2,", "Truncated"],
  ["trunc esc", "{\"a\":\"x\\", "Truncated"],
  ["trunc \\u", "{\"a\":\"x\\u00", "Truncated"]
]

/** What the repairs themselves might get wrong. */
export const temptations: ReadonlyArray<Row> = [
  ["whole division", "{\"a\":10//3\n}", "Syntax"],
  ["whole division, spaced", "{\"a\":10 // 3\n}", "Syntax"],
  ["comment behind a number", "{\"a\":10, // 3 of them\n\"b\":11 // eleven\n}", right({ a: 10, b: 11 }, "comments")],
  ["comment between digits", "{\"a\":1/**/2}", "Syntax"],
  ["comment in a word", "{\"a\":tr/**/ue}", "Syntax"],
  ["comment not closed", "{\"a\":1} /* and", "TrailingContent"],
  ["comment of two readings", "{\"a\":1, // x\u2028\"b\":2\n}", "Syntax"],
  ["comment in a comment", "{\"a\":1 /* x /* y */ z */}", "Syntax"],
  ["comment for a value", "{\"a\": /* 5 */}", "Syntax"],
  ["path without quotes", "{\"path\": //server/share, \"n\":1}", "Truncated"],
  ["pair in a comment", "{\"a\":1, // \"b\":2,\n\"c\":3}", right({ a: 1, c: 3 }, "comments")],
  ["line continuation", "{\"a\":\"one \\\ntwo\"}", "Syntax"],
  ["comma alone", "{,}", "Syntax"],
  ["comma alone in array", "{\"a\":[,]}", "Syntax"],
  ["two trailing commas", "{\"a\":[1,,]}", "Syntax"],
  ["comma behind the root", "{\"a\":1},", "TrailingContent"],
  ["comma behind a colon", "{\"a\":,}", "Syntax"],
  ["python word as key", "{True:1}", "Syntax"],
  ["python word in a word", "{\"a\":Nonesuch}", "Syntax"],
  ["python word in a string", "{\"a\":\"True\"}", right({ a: "True" })],
  ["two fences", `${fence}json\n{"a":1}\n${fence}\n${fence}json\n{"a":2}\n${fence}`, "TrailingContent"],
  ["fence closed by fewer marks", `${fence}${fence}json\n{"a":1}\n${fence}`, "Syntax"],
  ["fence in one line", `${fence}json {"a":1}${fence}`, right({ a: 1 }, "fence")],
  ["fence round nothing", `${fence}\n${fence}`, "Syntax"],
  ["fence round an array", `${fence}\n[1]\n${fence}`, "NotAnObject"],
  ["cut in a fence that is closed", `${fence}json\n{"a":12\n${fence}`, "Truncated"],
  ["byte order mark inside", "{\"a\":\ufeff1}", "Syntax"],
  ["byte order mark in a string", "{\"a\":\"\ufeff\"}", right({ a: "\ufeff" })],
  ["encoded three times", JSON.stringify(JSON.stringify("{\"a\":1}")), "NotAnObject"],
  ["encoded and cut", "\"{\\\"a\\\":12\"", "NotAnObject"],
  ["encoded with a duplicate key", "\"{\\\"a\\\":1,\\\"a\\\":2}\"", "DuplicateKey"],
  [
    "encoded and damaged",
    "\"{\\\"a\\\":True,}\"",
    right({ a: true }, "trailingCommas", "pythonLiterals", "doubleEncoded")
  ]
]
