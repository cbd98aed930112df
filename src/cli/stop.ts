import { systemClock } from "../base/clock.ts";
import { Failure } from "../base/failure.ts";
import { readConfiguration } from "../daemon/configuration.ts";
import { findDaemon } from "../daemon/presence.ts";
import { isAlive } from "../base/processes.ts";
import { type Command, printLine } from "./command.ts";
import { hostFacts } from "./host-facts.ts";

/** Longer than the daemon gives itself. */
const stopMsMax = 30_000;

export const stop: Command = {
  usage: "larder stop",
  help: "Stops the daemon that runs on LARDER_DATA, and its sandboxes; returns when it has ended.",
  options: {},
  words: { least: 0, most: 0 },
  run: async (_args, terminal) => {
    const { data } = readConfiguration(terminal.env, hostFacts(terminal.env));
    const daemon = await findDaemon(data);
    if (daemon === undefined) {
      printLine(terminal, `no daemon runs on ${data}`);
      return 0;
    }
    process.kill(daemon.pid, "SIGTERM");
    const until = systemClock.monotonic() + stopMsMax;
    while (isAlive(daemon)) {
      if (systemClock.monotonic() > until) {
        const seconds = stopMsMax / 1000;
        throw new Failure(
          "unavailable",
          `process ${daemon.pid} has not ended within ${seconds} s; kill -9 ends it`,
        );
      }
      await systemClock.sleep(50, terminal.signal);
    }
    printLine(terminal, `stopped ${daemon.url}`);
    return 0;
  },
};
