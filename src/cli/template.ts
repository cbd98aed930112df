import { z } from "zod";
import { type Arguments, type Command, jsonOption, printJson, type Terminal } from "./command.ts";
import { connectToApi } from "./find-api.ts";
import { table } from "./table.ts";
import { UsageError } from "./usage-error.ts";

const listed = z.looseObject({
  templateID: z.string(),
  names: z.array(z.string()),
  buildID: z.string(),
  cpuCount: z.number(),
  memoryMB: z.number(),
  diskSizeMB: z.number(),
  updatedAt: z.string(),
});

const usage =
  "larder template ls | build base | import [--lost-node ID] | gc [--dry-run] [--older-than HOURS] [--lost-node ID]";

export const template: Command = {
  usage: `${usage} [--json]`,
  help: `ls lists what sandboxes can be started from.
build base makes the base template anew from Debian's packages; the daemon must not run meanwhile.
import makes a store that was lost again from the bucket: names, tags and snapshots; the daemon must not run meanwhile.
With --lost-node, what slept on a node that is no more becomes snapshots called lost-…, to start sandboxes from.
gc removes from bucket and shelf what no name, sandbox, lease or other build needs, on this node or another, and what
is at least a day old (--older-than says otherwise, an hour at least). --dry-run only says what that would be.
gc --lost-node no longer heeds the needs of a node that is no more; gc --json lists the nodes.`,
  options: {
    ...jsonOption,
    "dry-run": { type: "boolean" },
    "older-than": { type: "string" },
    "lost-node": { type: "string", multiple: true },
  },
  words: { least: 1, most: 2 },
  run: async (args, terminal) => {
    const { positionals, values } = args;
    const what = positionals.join(" ");
    const given = (...options: string[]) => options.some((option) => values[option] !== undefined);
    const isUsable =
      what === "gc" || !given("dry-run", "older-than", ...(what === "import" ? [] : ["lost-node"]));
    if (!isUsable) throw new UsageError(`usage: ${usage}`);
    switch (what) {
      case "ls":
        return await list(args, terminal);
      case "build base":
        return await (await import("./build-template.ts")).buildTemplate(terminal);
      case "import":
        return await (await import("./import-templates.ts")).importTemplates(args, terminal);
      case "gc":
        return await (await import("./collect-garbage.ts")).collectGarbage(args, terminal);
      default:
        throw new UsageError(`usage: ${usage}`);
    }
  },
};

async function list({ values }: Arguments, terminal: Terminal): Promise<number> {
  const api = await connectToApi(terminal.env);
  const all = await api.json(z.array(listed), { method: "GET", path: "/templates" }, terminal.signal);
  const rows = all.map((each) => [
    each.names.join(" "),
    each.templateID,
    String(each.cpuCount),
    `${each.memoryMB} MB`,
    `${each.diskSizeMB} MB`,
    each.updatedAt,
    each.buildID,
  ]);
  if (values["json"] === true) printJson(terminal, all);
  else terminal.stdout.write(table(["NAME", "ID", "CPUS", "MEMORY", "DISK", "UPDATED", "BUILD"], rows));
  return 0;
}
