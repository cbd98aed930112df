import { z } from "zod";
import { systemClock } from "../base/clock.ts";
import { type Configuration, readConfiguration } from "../daemon/configuration.ts";
import { findDaemon, type Presence } from "../daemon/presence.ts";
import { daemonName, runDirectoryOf } from "../daemon/run-directory.ts";
import { groupsOf } from "../machine/stray-groups.ts";
import { type Command, jsonOption, printJson, printLine, type Terminal } from "./command.ts";
import { connectToApi } from "./find-api.ts";
import { hostFacts } from "./host-facts.ts";
import { findLeaks, isEmpty, type Leaks } from "./leaks.ts";

/** What is being made or ended just now is not lost yet: only what stays this long is. */
const settleMsMax = 5000;
const settlePauseMs = 250;

export const doctor: Command = {
  usage: "larder doctor [--leaks] [--json]",
  help: `Says of each requirement whether it is there, or which command mends it.
With --leaks it lists processes, sockets, files, mounts and control groups that no sandbox owns.
The exit code is 1 when something is found wrong.`,
  options: { ...jsonOption, leaks: { type: "boolean" } },
  words: { least: 0, most: 0 },
  run: async ({ values }, terminal) => {
    const configuration = readConfiguration(terminal.env, hostFacts(terminal.env));
    const json = values["json"] === true;
    if (values["leaks"] === true)
      return showLeaks(await settledLeaks(configuration, terminal), json, terminal);
    const { checkRequirements } = await import("./requirements.ts");
    const all = await checkRequirements(configuration, terminal.env, terminal.signal);
    if (json) printJson(terminal, all);
    else {
      for (const { name, found, mend } of all) {
        printLine(terminal, mend === undefined ? `✓ ${name}: ${found}` : `✗ ${name}: ${found}\n    ${mend}`);
      }
    }
    return all.every(({ mend }) => mend === undefined) ? 0 : 1;
  },
};

function showLeaks(leaks: Leaks, json: boolean, terminal: Terminal): number {
  if (json) printJson(terminal, leaks);
  else if (isEmpty(leaks)) printLine(terminal, "nothing is left that no sandbox owns");
  else {
    for (const [kind, list] of Object.entries(leaks)) {
      for (const one of list) printLine(terminal, `${kind}: ${one}`);
    }
  }
  return isEmpty(leaks) ? 0 : 1;
}

async function settledLeaks(configuration: Configuration, terminal: Terminal): Promise<Leaks> {
  const until = systemClock.monotonic() + settleMsMax;
  for (;;) {
    const leaks = await leaksNow(configuration, terminal);
    if (isEmpty(leaks) || systemClock.monotonic() > until) return leaks;
    await systemClock.sleep(settlePauseMs, terminal.signal);
  }
}

async function leaksNow({ data }: Configuration, terminal: Terminal): Promise<Leaks> {
  const daemon = await findDaemon(data);
  const owners = new Set(daemon === undefined ? [] : await ownersOf(daemon, terminal));
  const runDirectory = runDirectoryOf(data, { env: terminal.env, uid: process.getuid?.() ?? 0 });
  const groups = (await groupsOf(daemonName(data))).filter(({ id }) => !owners.has(id));
  const leaks = findLeaks({ data, runDirectory, owners, daemonPid: daemon?.pid });
  return { ...leaks, groups: groups.map(({ directory }) => directory) };
}

const report = z.looseObject({ owners: z.array(z.string()).default([]) });

/** Also of sandboxes that are starting or ending, which no list shows. */
async function ownersOf(_daemon: Presence, terminal: Terminal): Promise<string[]> {
  const api = await connectToApi(terminal.env);
  return (await api.json(report, { method: "GET", path: "/larder/report" }, terminal.signal)).owners;
}
