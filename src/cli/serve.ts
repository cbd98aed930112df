import { apiKeyFile } from "../daemon/api-key-file.ts";
import { type Configuration, readConfiguration } from "../daemon/configuration.ts";
import type { Daemon } from "../daemon/daemon.ts";
import { type Command, printLine, type Terminal } from "./command.ts";
import { exportLines } from "./env.ts";
import { hostFacts } from "./host-facts.ts";
import { progressScreen } from "./progress-screen.ts";

export const serve: Command = {
  usage: "larder serve",
  help: `Runs the daemon in the foreground until Ctrl-C, SIGTERM or 'larder stop'. Ctrl-C ends its sandboxes too;
otherwise they run on, and the next daemon finds them. It needs a template: 'larder up' makes one.`,
  options: {},
  words: { least: 0, most: 0 },
  run: (_args, terminal) => serveUntilStopped(terminal, "need"),
};

/** Starts the daemon in this process, says where it is, and stops it in order when the user wants out. */
export async function serveUntilStopped(terminal: Terminal, template: "make" | "need"): Promise<number> {
  const { env, stdout, signal } = terminal;
  const { Daemon } = await import("../daemon/daemon.ts");
  const configuration = quieter(readConfiguration(env, hostFacts(env)), terminal);
  const daemon = await Daemon.start(
    { configuration, env, template, onProgress: progressScreen(stdout) },
    signal,
  );
  try {
    printWelcome(daemon, configuration, terminal);
    await aborted(signal);
  } finally {
    // SIGTERM is what comes before an upgrade.
    await daemon.close(terminal.stoppedBy?.() === "SIGTERM" ? "leave" : "end");
  }
  printLine(terminal, "stopped");
  return 0;
}

/** On a terminal the log would drown what is meant for people: only what went wrong is shown, unless asked for. */
function quieter(configuration: Configuration, { env, stderr }: Terminal): Configuration {
  return env["LARDER_LOG"] || stderr.isTTY !== true ? configuration : { ...configuration, logLevel: "warn" };
}

function printWelcome(daemon: Daemon, configuration: Configuration, terminal: Terminal): void {
  const { url, variables, apiKey, accelerator } = daemon.facts;
  printLine(terminal, `\nLarder is ready at ${url}`);
  printLine(terminal, `Virtual machines run with ${accelerator.reason}`);
  const kept =
    configuration.apiKey === undefined ? `kept in ${apiKeyFile(configuration.data)}` : "as you chose it";
  printLine(terminal, `The API key is ${apiKey} (${kept})`);
  printLine(terminal, "Paste these lines into another terminal, then use the e2b package as ever:\n");
  terminal.stdout.write(exportLines({ ...variables, E2B_API_KEY: apiKey }));
  printLine(terminal, "\nCtrl-C stops it, and its sandboxes.");
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
