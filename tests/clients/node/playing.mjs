// What the programs of all Node clients share: cases are played one by one, each told in a line of JSON.

import { setTimeout as pause } from "node:timers/promises";
import { z } from "zod";

/** Where the server is, without a path. */
export const url = process.argv[2];
export const model = "fake-model";
export const messages = [{ role: "user", content: "one two three" }];
export const Trip = z.object({ city: z.string(), days: z.number().int() });
export const schema = {
  type: "object",
  properties: { city: { type: "string" }, days: { type: "integer" } },
  required: ["city", "days"],
  additionalProperties: false,
};
/** Asks for the scripted answer that takes a minute. */
export const slow = { "X-Case": "slow" };
export const fault = (name) => ({ "X-Inference-Fault": name });
export const sorted = (value) => Object.keys(value).sort().join(" ");

/** Return the class of an error and, where it has one, its status. */
const errorText = (error) => {
  const name = error.name && error.name !== "Error" ? error.name : error.constructor.name;
  const status = error.status ?? error.statusCode;
  return typeof status === "number" ? `${name} ${status}` : name;
};

/** Return what the call returns, and whether it took at least the seconds that Retry-After asks for. */
export const waited = async (call, seconds = 1) => {
  const began = performance.now();
  const text = await call();
  return `${text}, ${performance.now() - began >= seconds * 1000 ? "waited" : "did not wait"}`;
};

/** Return how many requests the server works on. */
export const running = async () => {
  const lines = (await (await fetch(`${url}/metrics`)).text()).split("\n");
  return Number(lines.find((line) => line.startsWith("vllm:num_requests_running{")).split(" ").pop());
};

/** Wait until the server works on nothing more; say so where that is long before the answer would have ended. */
export const released = async () => {
  const began = performance.now();
  while (await running()) {
    if (performance.now() - began > 30_000) return "the server goes on";
    await pause(20);
  }
  return "the server stopped";
};

/** Give up a call as soon as the server works on it; return its error, and what the server did. */
export const cancelled = async (call) => {
  const controller = new AbortController();
  const answered = call(controller.signal).then(
    () => "not cancelled",
    (error) => errorText(error),
  );
  let ended = false;
  answered.then(() => (ended = true));
  while (!ended && !(await running())) await pause(20);
  controller.abort();
  return `${await answered}, ${await released()}`;
};

/** Return what an asynchronous stream gives, each part made a text. */
export const joined = async (stream, text) => {
  let said = "";
  for await (const part of stream) said += text(part) ?? "";
  return said;
};

export const play = async (cases) => {
  for (const [name, run] of Object.entries(cases)) {
    let outcome;
    let detail = "";
    try {
      outcome = String(await run());
    } catch (error) {
      outcome = errorText(error);
      detail = String(error.message);
    }
    console.log(JSON.stringify({ case: name, outcome, detail }));
  }
};
