import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import { Sandbox } from "e2b";
import { type ArmedDaemon, serveArmed } from "./armed-daemon.ts";
import { assertAgreement } from "./assert-agreement.ts";
import { GuineaPig, killAll } from "./guinea-pig.ts";
import { assertNoLeaks } from "../machine/testing/served.ts";
import { type Operation, operations, type Sdk } from "./operations.ts";

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
  /** What is worked on; undefined where each operation makes one of its own. */
  #pig: GuineaPig | undefined;
  /** The longest time from the start of a daemon until all agreed. */
  slowestMs = 0;

  private constructor(operation: Operation, daemon: ArmedDaemon) {
    this.#operation = operation;
    this.#daemon = daemon;
  }

  static async begin(name: string): Promise<KillWorld> {
    const operation = operations[name] ?? assert.fail(`there is no operation '${name}'`);
    const daemon = await serveArmed();
    await killAll(daemon.served.sdk);
    return new KillWorld(operation, daemon);
  }

  /** The names of all steps of one operation, those that go on after its answer included. */
  async count(): Promise<readonly string[]> {
    await this.#prepare();
    await this.#daemon.arm({ at: 0, harm: "kill" });
    await this.#operation.work(this.#sdk, this.#pig?.id ?? "");
    const steps = await this.#quiet();
    await this.#assertWhole();
    return steps;
  }

  /** Resolves to whether the daemon died at that step, and not after all of them. */
  async killAt(step: number): Promise<boolean> {
    await this.#prepare();
    await this.#daemon.arm({ at: step, harm: "kill" });
    const { ended, served } = this.#daemon;
    const working = this.#operation.work(this.#sdk, this.#pig?.id ?? "");
    const over = working.catch(() => "its daemon was killed").then(() => this.#quiet());
    const died = await Promise.race([ended.then(() => true), over.then(() => false)]);
    await served.end("SIGKILL");
    await over;
    const began = performance.now();
    this.#daemon = await serveArmed();
    await this.#assertWhole();
    this.slowestMs = Math.max(this.slowestMs, Math.round(performance.now() - began));
    return died;
  }

  /** All that the daemon of now has said, for whoever has to find out what went wrong. */
  get printed(): string {
    return this.#daemon.served.printed();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#daemon[Symbol.asyncDispose]();
  }

  get #sdk(): Sdk {
    return this.#daemon.served.sdk;
  }

  /** Something to work on, in the state in which the operation finds it. */
  async #prepare(): Promise<void> {
    const { before } = this.#operation;
    if (before === "is not there") return;
    this.#pig ??= await GuineaPig.make(this.#sdk);
    await this.#pig.change(this.#sdk);
    if (before === "sleeps") await Sandbox.pause(this.#pig.id, this.#sdk);
  }

  async #assertWhole(): Promise<void> {
    const began = performance.now();
    const ids = (await Sandbox.list(this.#sdk).nextItems()).map(({ sandboxId }) => sandboxId);
    const { mayBeGone, makesOthers = false, after } = this.#operation;
    const others = ids.filter((id) => id !== this.#pig?.id);
    if (this.#pig !== undefined && ids.includes(this.#pig.id)) await this.#pig.assertWhole(this.#sdk);
    else assert.ok(mayBeGone, "it is there");
    if (!makesOthers) assert.deepEqual(others, [], "nothing else is there");
    for (const id of others) await (await Sandbox.connect(id, this.#sdk)).commands.run("true");
    for (const id of mayBeGone ? ids : others)
      assert.equal(await Sandbox.kill(id, this.#sdk), true, "it can be killed");
    if (mayBeGone) this.#pig = undefined;
    await after?.(this.#sdk);
    await assertAgreement(this.#daemon.served, began);
    await assertNoLeaks(this.#daemon.served);
  }

  /** All steps, when there are no more. */
  async #quiet(): Promise<readonly string[]> {
    let steps: readonly string[] = [];
    for (let since = performance.now(); performance.now() - since < quietMs; ) {
      await pause(pollMs);
      const now = await this.#daemon.soFar().catch(() => undefined);
      if (now === undefined) return steps;
      if (now.steps.length !== steps.length) since = performance.now();
      steps = now.steps;
    }
    return steps;
  }
}
