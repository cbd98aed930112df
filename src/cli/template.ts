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

export const template: Command = {
  usage: "larder template ls [--json] | larder template build base",
  help: `ls lists what sandboxes can be started from.
build base makes the base template anew from Debian's packages; the daemon must not run meanwhile.`,
  options: jsonOption,
  words: { least: 1, most: 2 },
  run: async (args, terminal) => {
    const [what, name] = args.positionals;
    if (what === "ls" && name === undefined) return await list(args, terminal);
    if (what === "build" && name === "base")
      return await (await import("./build-template.ts")).buildTemplate(terminal);
    throw new UsageError(`usage: ${template.usage}`);
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
