// The AI SDK with its providers for OpenAI and Anthropic: chats, responses, messages, and what it does with failures.

import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { embedMany, generateText, jsonSchema, Output, streamText, tool } from "ai";
import {
  cancelled, fault, joined, model, play, released, running, schema, slow, sorted, Trip, url, waited,
} from "./playing.mjs";

const openai = createOpenAI({ baseURL: `${url}/v1`, apiKey: "none" });
const anthropic = createAnthropic({ baseURL: `${url}/v1`, apiKey: "none" });
const chat = openai.chat(model);
const responses = openai.responses(model);
const claude = anthropic(model);
const prompt = "one two three";
const tools = { get_weather: tool({ inputSchema: jsonSchema(schema) }) };

const ask = (more = {}) => generateText({ model: chat, prompt, maxRetries: 0, maxOutputTokens: 700, ...more });
/** Errors of a stream come as its parts: they are thrown here, as its users must do. */
const streamed = async (more = {}) => {
  const stream = streamText({ model: chat, prompt, maxRetries: 0, maxOutputTokens: 700, onError: () => {}, ...more });
  return joined(stream.fullStream, (part) => {
    if (part.type === "error") throw part.error;
    return part.type === "text-delta" ? part.text : "";
  });
};
const calls = async (which) => {
  const toolChoice = { type: "tool", toolName: "get_weather" };
  const { toolCalls: [call], finishReason } = await ask({ model: which, tools, toolChoice });
  return `${call.toolName} ${sorted(call.input)} ${finishReason}`;
};
const shaped = async (which, more = {}) =>
  sorted((await ask({ model: which, output: Output.object({ schema: Trip }), ...more })).output);
const under = (name) => () => ask({ headers: fault(name) });
const streamedUnder = (name, which = chat) => () => streamed({ model: which, headers: fault(name) });

const stopped = async () => {
  const controller = new AbortController();
  const stream = streamText({ model: chat, prompt, maxRetries: 0, headers: slow, abortSignal: controller.signal });
  for await (const _ of stream.textStream) {
    if (!(await running())) return "nothing runs";
    controller.abort();
    break;
  }
  return released();
};

await play({
  chat: async () => (await ask()).text,
  stream: streamed,
  usage: async () => (await ask()).usage.outputTokens,
  tools: () => calls(chat),
  "structured output": () => shaped(chat),
  "structured output cut": () => shaped(chat, { maxOutputTokens: 1 }),
  responses: async () => (await ask({ model: responses })).text,
  "responses stream": () => streamed({ model: responses }),
  "responses tools": () => calls(responses),
  "responses structured": () => shaped(responses),
  messages: async () => (await ask({ model: claude })).text,
  "messages stream": () => streamed({ model: claude }),
  "messages tools": () => calls(claude),
  "messages structured": () => shaped(claude),
  embeddings: async () => {
    const { embeddings } = await embedMany({ model: openai.embedding(model), values: ["a", "b"], maxRetries: 0 });
    return embeddings.map((one) => one.length).join(" ");
  },
  404: () => ask({ model: openai.chat("other") }),
  // Of its own accord it waits two seconds.
  retry: () => waited(async () => (await ask({ headers: { "X-Case": "retry late" }, maxRetries: 1 })).text, 3),
  "time limit": () =>
    ask({ headers: fault("close-before-status:how=hang"), abortSignal: AbortSignal.timeout(1000) }),
  "stream cancelled": stopped,
  "call cancelled": () => cancelled((abortSignal) => ask({ headers: slow, abortSignal })),
  closed: under("close-before-status"),
  reset: under("close-before-status:how=reset"),
  "body cut": under("cut-after-events"),
  "not JSON": under("not-json"),
  401: under("status:code=401"),
  429: under("status:code=429"),
  503: under("status:code=503"),
  "stream cut": streamedUnder("cut-after-events:events=2"),
  "stream reset": streamedUnder("cut-after-events:events=2,how=reset"),
  "error in the stream": streamedUnder("error-mid-stream:events=2"),
  "malformed event": streamedUnder("malformed-json:event=2"),
  "responses stream cut": streamedUnder("cut-after-events:events=2", responses),
  "messages stream cut": streamedUnder("cut-after-events:events=4", claude),
});
