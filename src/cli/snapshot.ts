import { z } from "zod";
import type { ApiClient } from "./api-client.ts";
import { type Arguments, type Command, jsonOption, printJson, printLine, type Terminal } from "./command.ts";
import { connectToApi } from "./find-api.ts";
import { table } from "./table.ts";
import { UsageError } from "./usage-error.ts";

const made = z.object({ snapshotID: z.string(), names: z.array(z.string()) });

export const snapshot: Command = {
  usage: "larder snapshot ID [NAME] | larder snapshot ls | larder snapshot rm SNAPSHOT [--json]",
  help: `Keeps the state of a sandbox, which goes on; 'larder run --template SNAPSHOT' starts from it.
ls lists the snapshots, the newest first; rm removes one. Sandboxes that were started from it live on.`,
  options: jsonOption,
  words: { least: 1, most: 2 },
  run: async (args, terminal) => {
    const [what = "", name] = args.positionals;
    if (what === "ls" && name !== undefined) throw new UsageError(`usage: ${snapshot.usage}`);
    if (what === "rm" && name === undefined) throw new UsageError(`usage: ${snapshot.usage}`);
    const api = await connectToApi(terminal.env);
    if (what === "ls") return await list(api, args, terminal);
    if (what === "rm") return await remove(api, name ?? "", args, terminal);
    const path = `/sandboxes/${encodeURIComponent(what)}/snapshots`;
    const body = name === undefined ? {} : { name };
    const answer = await api.json(made, { method: "POST", path, body }, terminal.signal);
    if (args.values["json"] === true) printJson(terminal, answer);
    else printLine(terminal, answer.snapshotID);
    return 0;
  },
};

async function list(api: ApiClient, { values }: Arguments, terminal: Terminal): Promise<number> {
  const all: z.output<typeof made>[] = [];
  for (let next: string | undefined = ""; next !== undefined; ) {
    const token: string = next === "" ? "" : `?nextToken=${encodeURIComponent(next)}`;
    const page = await api.page({ method: "GET", path: `/snapshots${token}` }, terminal.signal);
    all.push(...z.array(made).parse(page.body));
    next = page.next;
  }
  const rows = all.map(({ snapshotID, names }) => [snapshotID, names.join(" ")]);
  if (values["json"] === true) printJson(terminal, all);
  else terminal.stdout.write(table(["SNAPSHOT", "NAMES"], rows));
  return 0;
}

async function remove(
  api: ApiClient,
  name: string,
  { values }: Arguments,
  terminal: Terminal,
): Promise<number> {
  await api.page({ method: "DELETE", path: `/templates/${encodeURIComponent(name)}` }, terminal.signal);
  if (values["json"] === true) printJson(terminal, { removed: name });
  else printLine(terminal, name);
  return 0;
}
