import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import path from "node:path";
import { Failure } from "../base/failure.ts";
import { readConfiguration } from "../daemon/configuration.ts";
import { findDaemon } from "../daemon/presence.ts";
import { runDirectoryOf } from "../daemon/run-directory.ts";
import { type Command, printLine } from "./command.ts";
import { hostFacts } from "./host-facts.ts";
import { findLeaks } from "./leaks.ts";

export const purge: Command = {
  usage: "larder purge --yes [--downloads]",
  help: `Removes all that Larder keeps on this machine: LARDER_DATA with templates, paused sandboxes and API key, and
with --downloads LARDER_CACHE too. A bucket that lies elsewhere is left alone. The daemon must not run.`,
  options: { yes: { type: "boolean" }, downloads: { type: "boolean" } },
  words: { least: 0, most: 0 },
  run: async ({ values }, terminal) => {
    const { data, cache } = readConfiguration(terminal.env, hostFacts(terminal.env));
    const daemon = await findDaemon(data);
    if (daemon !== undefined) throw new Failure("conflict", `a daemon runs on ${data}: 'larder stop' first`);
    const runDirectory = runDirectoryOf(data, { env: terminal.env, uid: process.getuid?.() ?? 0 });
    const { processes } = findLeaks({ data, runDirectory, owners: new Set(), daemonPid: undefined });
    if (processes.length > 0)
      throw new Failure("conflict", `sandboxes of ${data} run on: 'larder stop --all' first`);
    if (!existsSync(path.join(data, "larder.db")))
      throw new Failure("not_found", `${data} holds nothing of Larder's: nothing was removed`);
    const doomed = [data, runDirectory, ...(values["downloads"] === true ? [cache] : [])];
    if (values["yes"] !== true)
      throw new Failure("denied", `this would remove ${doomed.join(", ")}: say --yes to do it`);
    for (const directory of doomed) {
      await rm(directory, { recursive: true, force: true });
      printLine(terminal, `removed ${directory}`);
    }
    return 0;
  },
};
