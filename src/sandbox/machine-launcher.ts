import type { Guest, Launcher, LaunchOrder, Remains, StartedMachine, StartOrder } from "./launcher.ts";
import { launch, type LaunchOptions, start } from "./launch.ts";
import { reap } from "./reap.ts";

/** Launches real virtual machines. */
export class MachineLauncher implements Launcher {
  readonly #options: LaunchOptions;

  constructor(options: LaunchOptions) {
    this.#options = options;
  }

  launch(order: LaunchOrder, signal: AbortSignal): Promise<Guest> {
    return launch(order, this.#options, signal);
  }

  start(order: StartOrder, signal: AbortSignal): Promise<StartedMachine> {
    return start(order, this.#options, signal);
  }

  reap(remains: Remains): Promise<void> {
    return reap(remains, this.#options.clock);
  }
}
