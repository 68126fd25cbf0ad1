// The openai package for Node: chats, completions, responses, embeddings, and what it does with failures.

import OpenAI from "openai";
import { zodResponseFormat, zodTextFormat } from "openai/helpers/zod";
import {
  cancelled, fault, joined, messages, model, play, released, running, schema, slow, sorted, Trip, url, waited,
} from "./playing.mjs";

const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "none", maxRetries: 0, timeout: 60_000 });
const tools = [{ type: "function", function: { name: "get_weather", parameters: schema } }];

const chat = (more = {}, options = {}) => client.chat.completions.create({ model, messages, ...more }, options);
const streamed = async (options = {}) =>
  joined(await chat({ stream: true }, options), (chunk) => chunk.choices[0]?.delta.content);
const under = (name) => () => chat({}, { headers: fault(name) });
const streamedUnder = (name) => () => streamed({ headers: fault(name) });
const callOf = ([call]) => `${call.function.name} ${sorted(JSON.parse(call.function.arguments))}`;

const calls = async () => {
  const asked = { model, messages, tools, tool_choice: "required", parallel_tool_calls: false };
  const { message, finish_reason } = (await chat(asked)).choices[0];
  const final = (await client.chat.completions.stream(asked).finalChatCompletion()).choices[0];
  return `${callOf(message.tool_calls)}, ${callOf(final.message.tool_calls)} ${finish_reason}`;
};

const parsed = async (more = {}) => {
  const asked = { model, messages, response_format: zodResponseFormat(Trip, "trip"), ...more };
  return sorted((await client.chat.completions.parse(asked)).choices[0].message.parsed);
};

const responded = async () => {
  const { id, status } = await client.responses.create({ model, input: "one two three" });
  return `${(await client.responses.retrieve(id)).output_text} ${status}`;
};

const respondedStream = async (options = {}) => {
  const kinds = [];
  const stream = client.responses.stream({ model, input: "one two three" }, options);
  for await (const event of stream) kinds.push(event.type);
  return `${kinds[0]} ${kinds.at(-1)} ${(await stream.finalResponse()).output_text}`;
};

const respondedParsed = async () =>
  sorted(
    (await client.responses.parse({ model, input: "one", text: { format: zodTextFormat(Trip, "trip") } }))
      .output_parsed,
  );

const embedded = async () =>
  (await client.embeddings.create({ model, input: ["a", "b"] })).data.map((one) => one.embedding.length).join(" ");

const stopped = async () => {
  for await (const _ of await chat({ stream: true }, { headers: slow })) {
    if (!(await running())) return "nothing runs";
    break;
  }
  return released();
};

await play({
  chat: async () => (await chat()).choices[0].message.content,
  stream: streamed,
  completion: async () => (await client.completions.create({ model, prompt: "a b" })).choices[0].text,
  tools: calls,
  "structured output": parsed,
  "structured output cut": () => parsed({ max_tokens: 1 }),
  responses: responded,
  "responses stream": respondedStream,
  "responses structured": respondedParsed,
  embeddings: embedded,
  models: async () => joined(client.models.list(), (one) => one.id),
  400: () => chat({ messages: [] }),
  404: () => chat({ model: "other" }),
  retry: () =>
    waited(async () => (await chat({}, { headers: { "X-Case": "retry" }, maxRetries: 1 })).choices[0].message.content),
  "time limit": () => chat({}, { headers: fault("close-before-status:how=hang"), timeout: 1000 }),
  "stream cancelled": stopped,
  "call cancelled": () => cancelled((signal) => chat({}, { headers: slow, signal })),
  closed: under("close-before-status"),
  reset: under("close-before-status:how=reset"),
  "body cut": under("cut-after-events"),
  401: under("status:code=401"),
  403: under("status:code=403"),
  409: under("status:code=409"),
  422: under("status:code=422"),
  429: under("status:code=429"),
  500: under("status:code=500"),
  503: under("status:code=503"),
  "stream cut": streamedUnder("cut-after-events:events=2"),
  "stream reset": streamedUnder("cut-after-events:events=2,how=reset"),
  "stream cut in JSON": streamedUnder("cut-in-json:event=2"),
  "error in the stream": streamedUnder("error-mid-stream:events=2"),
  "malformed event": streamedUnder("malformed-json:event=2"),
  "responses stream cut": () => respondedStream({ headers: fault("cut-after-events:events=2") }),
  "responses stream failed": () => respondedStream({ headers: fault("error-mid-stream:events=2") }),
});
