import { z } from "zod";
import { type Command, jsonOption, printJson, printLine } from "./command.ts";
import { connectToApi } from "./find-api.ts";
import { secondsOf } from "./seconds.ts";
import { UsageError } from "./usage-error.ts";

const outcome = z.union([
  z.object({ sandbox: z.looseObject({ sandboxID: z.string() }) }),
  z.object({ error: z.object({ message: z.string() }) }),
]);

export const fork: Command = {
  usage: "larder fork ID [--count N] [--timeout SECONDS] [--json]",
  help: `Starts sandboxes that go on from where another one is, with its files, processes and memory, and prints their
ids. The exit code is 1 when one of them could not be started.`,
  options: {
    ...jsonOption,
    count: { type: "string", default: "1" },
    timeout: { type: "string", default: "300" },
  },
  words: { least: 1, most: 1 },
  run: async ({ values, positionals: [id = ""] }, terminal) => {
    const count = String(values["count"]);
    if (!/^[1-9]\d{0,2}$/.test(count)) throw new UsageError(`--count '${count}' is no number of sandboxes`);
    const body = { count: Number(count), timeout: secondsOf(String(values["timeout"])) };
    const api = await connectToApi(terminal.env);
    const call = { method: "POST", path: `/sandboxes/${encodeURIComponent(id)}/fork`, body } as const;
    const outcomes = await api.json(z.array(outcome), call, terminal.signal);
    const forks = outcomes.flatMap((each) => ("sandbox" in each ? [each.sandbox.sandboxID] : []));
    const failures = outcomes.flatMap((each) => ("error" in each ? [each.error.message] : []));
    if (values["json"] === true) printJson(terminal, { forks, failures });
    else {
      for (const each of forks) printLine(terminal, each);
      for (const each of failures) terminal.stderr.write(`larder fork: ${each}\n`);
    }
    return failures.length === 0 ? 0 : 1;
  },
};
