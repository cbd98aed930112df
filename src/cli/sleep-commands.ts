import { type Arguments, type Command, jsonOption, printJson, printLine, type Terminal } from "./command.ts";
import { eachSandbox, type Outcomes } from "./each-sandbox.ts";
import { connectToApi } from "./find-api.ts";
import { secondsOf } from "./seconds.ts";

export const pause: Command = {
  usage: "larder pause ID... [--no-memory] [--json]",
  help: `Puts sandboxes to sleep: they keep files, processes and memory, and cost no memory here.
Without memory only the disk is kept: the sandbox starts anew from it.`,
  options: { ...jsonOption, "no-memory": { type: "boolean" } },
  words: { least: 1, most: Number.POSITIVE_INFINITY },
  run: async (args, terminal) => {
    const api = await connectToApi(terminal.env);
    const body = { memory: args.values["no-memory"] !== true };
    const outcomes = await eachSandbox(args.positionals, (path) =>
      api.page({ method: "POST", path: `${path}/pause`, body }, terminal.signal),
    );
    return tell("pause", "paused", outcomes, args, terminal);
  },
};

export const resume: Command = {
  usage: "larder resume ID... [--timeout SECONDS] [--no-memory] [--json]",
  help: `Wakes sandboxes that sleep, where they were; one that runs gets more time, never less.
Without memory they start anew from their disk, as after a loss of power.`,
  options: { ...jsonOption, timeout: { type: "string", default: "300" }, "no-memory": { type: "boolean" } },
  words: { least: 1, most: Number.POSITIVE_INFINITY },
  run: async (args, terminal) => {
    const timeout = secondsOf(String(args.values["timeout"]));
    const api = await connectToApi(terminal.env);
    const body = { timeout, ...(args.values["no-memory"] === true ? { memory: false } : {}) };
    const outcomes = await eachSandbox(args.positionals, (path) =>
      api.page({ method: "POST", path: `/v2${path}/connect`, body }, terminal.signal),
    );
    return tell("resume", "resumed", outcomes, args, terminal);
  },
};

function tell(
  command: string,
  key: string,
  { done, refused }: Outcomes,
  { values }: Arguments,
  terminal: Terminal,
): number {
  if (values["json"] === true) printJson(terminal, { [key]: done, refused });
  else {
    for (const id of done) printLine(terminal, id);
    for (const why of Object.values(refused)) terminal.stderr.write(`larder ${command}: ${why}\n`);
  }
  return Object.keys(refused).length === 0 ? 0 : 1;
}
