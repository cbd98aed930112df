import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import { Sandbox } from "e2b";
import { assertNoLeaks } from "../machine/testing/served.ts";
import { type ArmedDaemon, serveArmed } from "./armed-daemon.ts";
import { disagreements } from "./disagreements.ts";
import { type Operation, operations, type Sdk } from "./operations.ts";

/** All that a daemon says of a sandbox must be so, so soon after the daemon answers. */
const agreeMsMax = 10_000;
/** Work has come to its end when no step was made for so long. */
const quietMs = 800;
const pollMs = 50;

/**
 * Kills a daemon at a step of an operation, starts the next one, and sees that store, machines and disk agree. The
 * daemon that was looked at is the one that is killed next.
 */
export class KillWorld implements AsyncDisposable {
  readonly #operation: Operation;
  #daemon: ArmedDaemon;
  /** The sandbox that is worked on; undefined where each operation has one of its own. */
  #id: string | undefined;
  #round = 0;
  /** The longest time from the start of a daemon until all agreed. */
  slowestMs = 0;

  private constructor(operation: Operation, daemon: ArmedDaemon) {
    this.#operation = operation;
    this.#daemon = daemon;
  }

  static async begin(name: string): Promise<KillWorld> {
    const operation = operations[name] ?? assert.fail(`there is no operation '${name}'`);
    const daemon = await serveArmed();
    for (const { sandboxId } of await Sandbox.list(daemon.served.sdk).nextItems())
      await Sandbox.kill(sandboxId, daemon.served.sdk);
    return new KillWorld(operation, daemon);
  }

  /** The names of all steps of one operation, those that go on after its answer included. */
  async count(): Promise<string[]> {
    await this.#prepare();
    await this.#daemon.arm({ at: 0, harm: "kill" });
    await this.#operation.work(this.#sdk, this.#id ?? "");
    const steps = await this.#quiet();
    await this.#assertWhole();
    return steps;
  }

  /** Resolves to whether the daemon died at that step, and not after all of them. */
  async killAt(step: number): Promise<boolean> {
    await this.#prepare();
    (globalThis as any).trace("prepared");
    await this.#daemon.arm({ at: step, harm: "kill" });
    const { ended, served } = this.#daemon;
    const working = this.#operation.work(this.#sdk, this.#id ?? "").catch(() => "its daemon was killed");
    const over = Promise.all([working.then(() => this.#quiet()), working]).then(() => "over");
    const died = (await Promise.race([ended.then(() => "died"), over])) === "died";
    (globalThis as any).trace("died", died);
    if (!died) await served.end("SIGKILL");
    await working;
    await ended;
    (globalThis as any).trace("ended");
    const began = performance.now();
    this.#daemon = await serveArmed();
    (globalThis as any).trace("started");
    await this.#assertWhole();
    this.slowestMs = Math.max(this.slowestMs, performance.now() - began);
    return died;
  }

  /** The last words of a daemon, for whoever has to find out what went wrong. */
  get printed(): string {
    return this.#daemon.served.printed();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#daemon[Symbol.asyncDispose]();
  }

  get #sdk(): Sdk {
    return this.#daemon.served.sdk;
  }

  /** A sandbox with files and a process, in the state in which the operation finds it. */
  async #prepare(): Promise<void> {
    const { before } = this.#operation;
    if (before === "is not there") return;
    const timeoutMs = 600_000;
    const sandbox =
      this.#id === undefined
        ? await Sandbox.create({ ...this.#sdk, timeoutMs })
        : await Sandbox.connect(this.#id, { ...this.#sdk, timeoutMs });
    (globalThis as any).trace("connected");
    const first = this.#id === undefined;
    this.#id = sandbox.sandboxId;
    this.#round += 1;
    const mark = `echo ${this.#round} | tee kept.txt > /dev/shm/kept.txt`;
    await sandbox.commands.run(mark);
    if (first) await sandbox.commands.run("sleep 100000", { background: true, timeoutMs: 0 });
    if (before === "sleeps") await sandbox.pause();
  }

  async #assertWhole(): Promise<void> {
    const began = performance.now();
    const ids = (await Sandbox.list(this.#sdk).nextItems()).map(({ sandboxId }) => sandboxId);
    const { mayBeGone, after } = this.#operation;
    if (!mayBeGone) assert.deepEqual(ids, [this.#id], "it is there");
    for (const id of ids) {
      const sandbox = await Sandbox.connect(id, { ...this.#sdk, timeoutMs: 600_000 });
      if (id === this.#id) {
        const { stdout } = await sandbox.commands.run("cat kept.txt /dev/shm/kept.txt; pgrep -c sleep");
        assert.equal(stdout, `${this.#round}\n${this.#round}\n1\n`, "with its files and its process");
      } else await sandbox.commands.run("true");
      if (mayBeGone) assert.equal(await sandbox.kill(), true, "it can be killed");
    }
    if (mayBeGone) this.#id = undefined;
    await after?.(this.#sdk);
    const { data } = this.#daemon.served;
    let found: string[];
    while ((found = await disagreements(this.#daemon.served)).length > 0) {
      (globalThis as any).trace(found);
      const tookMs = performance.now() - began;
      if (tookMs > agreeMsMax) assert.fail(`after ${tookMs} ms in ${data}: ${found.join("; ")}`);
      await pause(pollMs);
    }
    (globalThis as any).trace("agrees");
    await assertNoLeaks(this.#daemon.served);
    assert.ok(performance.now() - began < agreeMsMax, "all agree within ten seconds");
  }

  async #quiet(): Promise<string[]> {
    let steps = await this.#daemon.steps().catch(() => []);
    for (let since = performance.now(); performance.now() - since < quietMs; ) {
      await pause(pollMs);
      const now = await this.#daemon.steps().catch(() => steps);
      if (now.length !== steps.length) since = performance.now();
      steps = now;
    }
    return steps;
  }
}
