import { describe, expect, it } from "@effect/vitest"
import { find } from "../../../src/model/toolCall/writtenCall.ts"

const tools = ["search", "get_weather"]

describe("a call that a model wrote as text", () => {
  it.each([
    ["Hermes and Qwen", "<tool_call>{\"name\":\"search\",\"arguments\":{\"q\":\"a\"}}</tool_call>"],
    ["behind prose", "Let me look.\n<tool_call>\n{\"name\": \"search\"}\n</tool_call>"],
    ["arguments first", "<tool_call>{\"arguments\":{\"q\":\"a\"},\"name\":\"search\"}</tool_call>"],
    ["Qwen coder", "<tool_call>\n<function=search>\n<parameter=q>a</parameter>\n</function>\n</tool_call>"],
    ["Mistral", "[TOOL_CALLS][{\"name\": \"search\", \"arguments\": {\"q\": \"a\"}}]"],
    ["Mistral, newer", "[TOOL_CALLS]search[ARGS]{\"q\": \"a\"}"],
    ["Llama", "<|python_tag|>{\"name\": \"search\", \"parameters\": {\"q\": \"a\"}}"],
    ["Llama, built-in", "<|python_tag|>search.call(query=\"a\")"],
    ["DeepSeek", "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>search\n```json\n{}\n```"],
    ["Anthropic", "<function_calls>\n<invoke name=\"search\">\n<parameter name=\"q\">a</parameter>"],
    ["a vendor's namespace", "<minimax:tool_call>\n<invoke name=\"search\">"],
    ["a function tag", "<function=search>{\"q\":\"a\"}</function>"],
    ["OpenAI's namespace", "functions.search({\"q\":\"a\"})"],
    ["Kimi", "functions.search:0 {\"q\":\"a\"}"],
    ["Harmony", "<|channel|>commentary to=functions.search <|constrain|>json<|message|>{\"q\":\"a\"}"],
    ["Gemma", "```tool_code\nsearch(q=\"a\")\n```"],
    ["LM Studio", "[TOOL_REQUEST]{\"name\":\"search\",\"arguments\":{}}[END_TOOL_REQUEST]"],
    ["ReAct", "Thought: I must look.\nAction: search\nAction Input: {\"q\": \"a\"}"],
    ["bare JSON", "{\"name\": \"search\", \"arguments\": {\"q\": \"a\"}}"],
    ["bare JSON by other names", "{\"tool\": \"search\", \"tool_input\": {\"q\": \"a\"}}"],
    ["a list", "[{\"name\": \"search\", \"parameters\": {}}]"],
    ["an envelope", "{\"tool_calls\": [{\"function\": {\"name\": \"search\", \"arguments\": \"{}\"}}]}"],
    ["a fence", "```json\n{\"name\": \"search\", \"arguments\": {\"q\": \"a\"}}\n```"],
    ["a fence behind prose", "I will search.\n\n```json\n{\"name\": \"search\", \"arguments\": {}}\n```"],
    ["Python", "[search(q=\"a\")]"],
    ["Python in a fence", "```python\nsearch(q=\"a\")\n```"]
  ])("is recognised: %s", (_, text) => expect(find(text, tools)).toMatchObject({ tool: "search" }))

  it.each([
    ["an answer", "I searched, and found nothing about get_weather."],
    ["a tool that is not there", "<tool_call>{\"name\":\"delete\",\"arguments\":{}}</tool_call>"],
    ["a name that holds a tool's name", "<tool_call>{\"name\":\"research\",\"arguments\":{}}</tool_call>"],
    ["a mark in prose", "Wrap it in `<tool_call>` and name `search`."],
    ["JSON that is an answer", "{\"name\": \"search\", \"hits\": 3}"],
    ["JSON of another name", "{\"name\": \"Rome\", \"arguments\": [\"old\", \"large\"]}"],
    ["code that goes on", "```json\n{\"name\":\"search\",\"arguments\":{}}\n```\nThat is what the call looks like."],
    ["an example in a manual", "Use it like this:\n```python\nsearch(q=\"a\")\n```"],
    ["an action in prose", "Action: search the attic for the lamp."],
    ["a namespace of code", "See functions.search in the module."],
    ["nothing", "  "]
  ])("is not seen in %s", (_, text) => expect(find(text, tools)).toBeUndefined())

  it("needs tools", () => expect(find("<tool_call>{\"name\":\"search\"}</tool_call>", [])).toBeUndefined())
})
