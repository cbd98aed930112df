import { readConfiguration } from "../daemon/configuration.ts";
import { printLine, type Terminal } from "./command.ts";
import { hostFacts } from "./host-facts.ts";
import { progressScreen } from "./progress-screen.ts";

/** Makes the base template anew, in this process: nobody is served meanwhile. */
export async function buildTemplate(terminal: Terminal): Promise<number> {
  const { env, stdout, signal } = terminal;
  const { Daemon } = await import("../daemon/daemon.ts");
  const configuration = readConfiguration(env, hostFacts(env));
  await Daemon.buildBase({ configuration, env, onProgress: progressScreen(stdout) }, signal);
  printLine(terminal, "the template base is ready");
  return 0;
}
