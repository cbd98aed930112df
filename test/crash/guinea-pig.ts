import assert from "node:assert/strict";
import { Sandbox } from "e2b";
import type { Sdk } from "./operations.ts";

const timeoutMs = 600_000;

/** A sandbox that something is done to again and again, and that must come out of it with all that it had. */
export class GuineaPig {
  readonly id: string;
  #round = 0;

  private constructor(id: string) {
    this.id = id;
  }

  static async make(sdk: Sdk): Promise<GuineaPig> {
    const sandbox = await Sandbox.create({ ...sdk, timeoutMs });
    await sandbox.commands.run("sleep 100000", { background: true, timeoutMs: 0 });
    return new GuineaPig(sandbox.sandboxId);
  }

  /** Wakes it if it sleeps, and writes something new to its disk and to its memory. */
  async change(sdk: Sdk): Promise<void> {
    const sandbox = await Sandbox.connect(this.id, { ...sdk, timeoutMs });
    this.#round += 1;
    await sandbox.commands.run(`echo ${this.#round} | tee kept.txt > /dev/shm/kept.txt`);
  }

  /** Wakes it if it sleeps. */
  async assertWhole(sdk: Sdk): Promise<void> {
    const sandbox = await Sandbox.connect(this.id, { ...sdk, timeoutMs });
    const { stdout } = await sandbox.commands.run("cat kept.txt /dev/shm/kept.txt; pgrep -c sleep");
    assert.equal(stdout, `${this.#round}\n${this.#round}\n1\n`, "it has its files and its process");
  }
}

/** Ends all that a run before has left. */
export async function killAll(sdk: Sdk): Promise<void> {
  for (const { sandboxId } of await Sandbox.list(sdk).nextItems()) await Sandbox.kill(sandboxId, sdk);
}
