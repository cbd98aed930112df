import { z } from "zod";
import { Failure } from "../base/failure.ts";
import { readConfiguration } from "../daemon/configuration.ts";
import { findDaemon } from "../daemon/presence.ts";
import { type Arguments, printJson, printLine, type Terminal } from "./command.ts";
import { hostFacts } from "./host-facts.ts";
import { table } from "./table.ts";
import { UsageError } from "./usage-error.ts";

const nodes = z.array(z.uuid()).default([]);

/** Makes a lost store again from the bucket, in this process: no daemon may run meanwhile. */
export async function importTemplates({ values }: Arguments, terminal: Terminal): Promise<number> {
  const { env, signal } = terminal;
  const configuration = readConfiguration(env, hostFacts(env));
  const daemon = await findDaemon(configuration.data);
  if (daemon !== undefined)
    throw new Failure("conflict", `a daemon runs on ${configuration.data}; 'larder stop' stops it`);
  const { data: lostNodes } = nodes.safeParse(values["lost-node"]);
  if (lostNodes === undefined)
    throw new UsageError("--lost-node wants the id of a node, as 'larder template gc --json' lists them");
  const { Daemon } = await import("../daemon/daemon.ts");
  const imported = await Daemon.importTemplates({ configuration, env }, lostNodes, signal);
  if (values["json"] === true) {
    printJson(terminal, imported);
    return 0;
  }
  const { templates, skipped, store } = imported;
  const rows = templates.map(({ name, tags }) => [name, tags.join(" ")]);
  if (rows.length > 0) terminal.stdout.write(table(["NAME", "TAGS"], rows));
  for (const { name, tag, because } of skipped)
    printLine(terminal, `skipped ${tag === undefined ? name : `${name}:${tag}`}: ${because}`);
  printLine(terminal, `${templates.length} names of store ${store} were taken over from the bucket.`);
  return 0;
}
