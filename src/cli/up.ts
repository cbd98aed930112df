import type { Command } from "./command.ts";
import { serveUntilStopped } from "./serve.ts";

export const up: Command = {
  usage: "larder up",
  help: `Makes the base template if it is missing, or if this machine needs another one; then serves until Ctrl-C,
SIGTERM or 'larder stop'.`,
  options: {},
  words: { least: 0, most: 0 },
  run: (_args, terminal) => serveUntilStopped(terminal, "make"),
};
