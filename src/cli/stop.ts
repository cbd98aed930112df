import { systemClock } from "../base/clock.ts";
import { Failure } from "../base/failure.ts";
import { isAlive } from "../base/processes.ts";
import { type Configuration, readConfiguration } from "../daemon/configuration.ts";
import { findDaemon, type Presence } from "../daemon/presence.ts";
import { type Command, printLine, type Terminal } from "./command.ts";
import { connectToApi } from "./find-api.ts";
import { hostFacts } from "./host-facts.ts";
import { listSandboxes } from "./ls.ts";

/** Longer than the daemon gives itself. */
const stopMsMax = 30_000;

export const stop: Command = {
  usage: "larder stop [--all]",
  help: `Stops the daemon that runs on LARDER_DATA; returns when it has ended. Its sandboxes run on, and the next
daemon finds them. With --all they end too, also those that an earlier daemon has left.`,
  options: { all: { type: "boolean" } },
  words: { least: 0, most: 0 },
  run: async ({ values }, terminal) => {
    const all = values["all"] === true;
    const configuration = readConfiguration(terminal.env, hostFacts(terminal.env));
    const daemon = await findDaemon(configuration.data);
    if (daemon === undefined) {
      printLine(terminal, `no daemon runs on ${configuration.data}`);
      if (all) await endLeft(configuration, terminal);
      return 0;
    }
    const running = all ? 0 : await countRunning(terminal);
    process.kill(daemon.pid, all ? "SIGINT" : "SIGTERM");
    await ended(daemon, terminal);
    printLine(terminal, `stopped ${daemon.url}`);
    if (running > 0) {
      const which = running === 1 ? "1 sandbox runs on" : `${running} sandboxes run on`;
      printLine(terminal, `${which}: the next daemon finds them; 'larder stop --all' ends them`);
    }
    return 0;
  },
};

async function ended(daemon: Presence, { signal }: Terminal): Promise<void> {
  const until = systemClock.monotonic() + stopMsMax;
  while (isAlive(daemon)) {
    if (systemClock.monotonic() > until) {
      const seconds = stopMsMax / 1000;
      const message = `process ${daemon.pid} has not ended within ${seconds} s; kill -9 ends it`;
      throw new Failure("unavailable", message);
    }
    await systemClock.sleep(50, signal);
  }
}

/** A daemon that does not answer can be stopped all the same. */
async function countRunning({ env, signal }: Terminal): Promise<number> {
  const list = async () => await listSandboxes(await connectToApi(env), signal);
  const all = await list().catch(() => []);
  return all.filter(({ state }) => state === "running").length;
}

async function endLeft(configuration: Configuration, terminal: Terminal): Promise<void> {
  const { Daemon } = await import("../daemon/daemon.ts");
  const quiet = { ...configuration, logLevel: "error" } as const;
  const count = await Daemon.endFormer({ configuration: quiet, env: terminal.env });
  printLine(terminal, count === 0 ? "no sandbox was left" : `ended ${count} that an earlier one had left`);
}
