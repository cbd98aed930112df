import { z } from "zod";
import type { ApiClient } from "./api-client.ts";
import { type Command, jsonOption, printJson } from "./command.ts";
import { connectToApi } from "./find-api.ts";
import { table } from "./table.ts";

const sandbox = z.looseObject({
  sandboxID: z.string(),
  templateID: z.string(),
  alias: z.string().optional(),
  state: z.string(),
  startedAt: z.string(),
  endAt: z.string(),
  metadata: z.record(z.string(), z.string()).default({}),
});

type Sandbox = z.output<typeof sandbox>;

export const ls: Command = {
  usage: "larder ls [--json]",
  help: "Lists the sandboxes of the daemon, the newest first.",
  options: jsonOption,
  words: { least: 0, most: 0 },
  run: async ({ values }, terminal) => {
    const all = await listSandboxes(await connectToApi(terminal.env), terminal.signal);
    if (values["json"] === true) printJson(terminal, all);
    else
      terminal.stdout.write(
        table(["ID", "TEMPLATE", "STATE", "STARTED", "ENDS", "METADATA"], all.map(cells)),
      );
    return 0;
  },
};

export async function listSandboxes(api: ApiClient, signal: AbortSignal): Promise<Sandbox[]> {
  const all: Sandbox[] = [];
  for (let next: string | undefined = ""; next !== undefined; ) {
    const token: string = next === "" ? "" : `?nextToken=${encodeURIComponent(next)}`;
    const page = await api.page({ method: "GET", path: `/v2/sandboxes${token}` }, signal);
    all.push(...z.array(sandbox).parse(page.body));
    next = page.next;
  }
  return all;
}

function cells({ sandboxID, alias, templateID, state, startedAt, endAt, metadata }: Sandbox): string[] {
  const pairs = Object.entries(metadata).map(([name, value]) => `${name}=${value}`);
  return [sandboxID, alias ?? templateID, state, startedAt, endAt, pairs.join(" ")];
}
