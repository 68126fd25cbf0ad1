// The @anthropic-ai/sdk package: messages, their streams, and what it does with failures.

import Anthropic from "@anthropic-ai/sdk";
import { zodOutputFormat } from "@anthropic-ai/sdk/helpers/zod";
import {
  cancelled, fault, joined, messages, model, play, released, running, schema, slow, sorted, Trip, url, waited,
} from "./playing.mjs";

const client = new Anthropic({ baseURL: url, apiKey: "none", maxRetries: 0, timeout: 60_000 });
const asked = { model, max_tokens: 700, messages };

const ask = (more = {}, options = {}) => client.messages.create({ ...asked, ...more }, options);
const streamed = async (options = {}) => {
  const stream = client.messages.stream(asked, options);
  const said = await joined(stream, (event) => event.delta?.text);
  return `${said} ${(await stream.finalMessage()).stop_reason}`;
};
const under = (name) => () => ask({}, { headers: fault(name) });
const streamedUnder = (name) => () => streamed({ headers: fault(name) });

const text = async () => {
  const { content, stop_reason, usage } = await ask();
  return `${content[0].text} ${stop_reason} ${usage.output_tokens}`;
};

const calls = async () => {
  const tools = [{ name: "get_weather", input_schema: schema }];
  const more = { tools, tool_choice: { type: "tool", name: "get_weather" } };
  const told = [await ask(more), await client.messages.stream({ ...asked, ...more }).finalMessage()];
  return told.map(({ content: [one], stop_reason }) => `${one.name} ${sorted(one.input)} ${stop_reason}`).join(", ");
};

const parsed = async (more = {}) =>
  sorted(
    (await client.messages.parse({ ...asked, ...more, output_config: { format: zodOutputFormat(Trip) } }))
      .parsed_output,
  );

const stopped = async () => {
  const stream = client.messages.stream(asked, { headers: slow });
  for await (const event of stream) {
    if (event.type !== "content_block_delta") continue;
    if (!(await running())) return "nothing runs";
    break;
  }
  return released();
};

await play({
  messages: text,
  "messages stream": streamed,
  tools: calls,
  "structured output": parsed,
  "structured output cut": () => parsed({ max_tokens: 1 }),
  "count of tokens": async () => (await client.messages.countTokens({ model, messages })).input_tokens,
  models: async () => joined(client.models.list(), (one) => one.id),
  400: () => ask({ messages: [] }),
  404: () => ask({ model: "other" }),
  retry: () =>
    waited(async () => (await ask({}, { headers: { "X-Case": "retry" }, maxRetries: 1 })).content[0].text),
  "time limit": () => ask({}, { headers: fault("close-before-status:how=hang"), timeout: 1000 }),
  "stream cancelled": stopped,
  "call cancelled": () => cancelled((signal) => ask({}, { headers: slow, signal })),
  closed: under("close-before-status"),
  reset: under("close-before-status:how=reset"),
  "body cut": under("cut-after-events"),
  401: under("status:code=401"),
  403: under("status:code=403"),
  409: under("status:code=409"),
  422: under("status:code=422"),
  429: under("status:code=429"),
  500: under("status:code=500"),
  529: under("status:code=529"),
  "stream cut": streamedUnder("cut-after-events:events=4"),
  "stream reset": streamedUnder("cut-after-events:events=4,how=reset"),
  "stream cut in JSON": streamedUnder("cut-in-json:event=4"),
  "error in the stream": streamedUnder("error-mid-stream:events=4"),
  "malformed event": streamedUnder("malformed-json:event=4"),
  "terminal event missing": streamedUnder("terminal-event-missing"),
});
