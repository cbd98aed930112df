import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { Failure } from "../base/failure.ts";
import type { ApiClient } from "./api-client.ts";
import { type Command, jsonOption, printLine } from "./command.ts";
import { connectToApi } from "./find-api.ts";
import { UsageError } from "./usage-error.ts";

const levels = ["debug", "info", "warn", "error"];
const entry = z.object({
  timestamp: z.string(),
  level: z.string(),
  message: z.string(),
  fields: z.record(z.string(), z.string()),
});
const answer = z.object({ logs: z.array(entry) });

/** How often it is looked whether there is more. */
const followMs = 500;

export const logs: Command = {
  usage: "larder logs ID [--follow] [--level debug | info | warn | error] [--json]",
  help: `Prints what the daemon has noted of a sandbox since it started, the oldest first; of one that has ended, too.
--follow goes on until the sandbox has ended. With --json each line is an object.`,
  options: { ...jsonOption, follow: { type: "boolean", short: "f" }, level: { type: "string" } },
  words: { least: 1, most: 1 },
  run: async ({ values, positionals: [id = ""] }, terminal) => {
    const level = values["level"] === undefined ? "debug" : String(values["level"]);
    if (!levels.includes(level))
      throw new UsageError(`--level '${level}' is not one of ${levels.join(", ")}`);
    const api = await connectToApi(terminal.env);
    const print = (each: z.output<typeof entry>) =>
      printLine(terminal, values["json"] === true ? JSON.stringify(each) : lineOf(each));
    const path = `/v2/sandboxes/${encodeURIComponent(id)}/logs?level=${level}`;
    const reader = new LogReader(api, path);
    for (let goesOn = true; goesOn; ) {
      const there = await exists(api, id, terminal.signal); // before reading: its last words are read, too
      for (const each of await reader.more(terminal.signal)) print(each);
      if (!there && reader.isEmpty) throw new Failure("not_found", `there is no sandbox '${id}'`);
      goesOn = there && values["follow"] === true;
      if (goesOn) await sleep(followMs, undefined, { signal: terminal.signal });
    }
    return 0;
  },
};

/** Remembers what it has read: entries of the last moment are asked for again, since more may have come in it. */
class LogReader {
  readonly #api: ApiClient;
  readonly #path: string;
  #since: string | undefined;
  #ofThatMoment = 0;

  constructor(api: ApiClient, path: string) {
    this.#api = api;
    this.#path = path;
  }

  get isEmpty(): boolean {
    return this.#since === undefined;
  }

  async more(signal: AbortSignal): Promise<z.output<typeof entry>[]> {
    const cursor = this.#since === undefined ? "" : `&cursor=${Date.parse(this.#since)}`;
    const call = { method: "GET", path: `${this.#path}${cursor}` } as const;
    const { logs: all } = await this.#api.json(answer, call, signal);
    const fresh = all.slice(this.#ofThatMoment);
    const last = all.at(-1)?.timestamp;
    if (last === undefined) return [];
    this.#since = last;
    this.#ofThatMoment = all.filter(({ timestamp }) => timestamp === last).length;
    return fresh;
  }
}

async function exists(api: ApiClient, id: string, signal: AbortSignal): Promise<boolean> {
  try {
    await api.page({ method: "GET", path: `/sandboxes/${encodeURIComponent(id)}` }, signal);
    return true;
  } catch (error) {
    if (Failure.is(error, "not_found")) return false;
    throw error;
  }
}

function lineOf({ timestamp, level, message, fields }: z.output<typeof entry>): string {
  const facts = Object.entries(fields).map(([name, value]) => ` ${name}=${value}`);
  return `${timestamp} ${level.padEnd(5)} ${message}${facts.join("")}`;
}
