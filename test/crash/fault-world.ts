import assert from "node:assert/strict";
import { Sandbox } from "e2b";
import { Failure } from "../../src/base/failure.ts";
import { assertNoLeaks } from "../machine/testing/served.ts";
import { type ArmedDaemon, serveArmed } from "./armed-daemon.ts";
import { assertAgreement } from "./assert-agreement.ts";
import { GuineaPig, killAll } from "./guinea-pig.ts";
import { type Operation, operations, type Sdk } from "./operations.ts";

/** How a pause or a snapshot has ended of which a step was to fail. */
export type Outcome = "succeeded" | "failed" | "had no such step";

/** Lets steps of an operation fail, one after the other, on one sandbox that runs, and sees that it goes on. */
export class FaultWorld implements AsyncDisposable {
  readonly #operation: Operation;
  readonly #daemon: ArmedDaemon;
  readonly #pig: GuineaPig;

  private constructor(operation: Operation, daemon: ArmedDaemon, pig: GuineaPig) {
    this.#operation = operation;
    this.#daemon = daemon;
    this.#pig = pig;
  }

  static async begin(name: string): Promise<FaultWorld> {
    const operation = operations[name];
    assert.ok(operation?.before === "runs" && !operation.mayBeGone, `'${name}' leaves no sandbox running`);
    const daemon = await serveArmed();
    await killAll(daemon.served.sdk);
    return new FaultWorld(operation, daemon, await GuineaPig.make(daemon.served.sdk));
  }

  /** The names of all steps until the answer. */
  async count(): Promise<readonly string[]> {
    await this.#pig.change(this.#sdk);
    await this.#daemon.arm({ at: 0, harm: "fail" });
    await this.#operation.work(this.#sdk, this.#pig.id);
    const { steps } = await this.#daemon.soFar();
    await this.#assertWhole();
    return steps.slice(0, steps.indexOf("answer"));
  }

  /** Whether it failed or not: it has said so, the sandbox is whole, and is what was said. */
  async failAt(at: number | string): Promise<Outcome> {
    await this.#pig.change(this.#sdk);
    await this.#daemon.arm({ at, harm: "fail" });
    const working = this.#operation.work(this.#sdk, this.#pig.id);
    const failure = await working.then(
      () => undefined,
      (error: unknown) => Failure.from(error),
    );
    const { harmed } = await this.#daemon.soFar();
    await this.#daemon.arm({ at: 0, harm: "fail" });
    const { state } = await Sandbox.getInfo(this.#pig.id, this.#sdk);
    const asleep = failure === undefined && this.#operation === operations["pause"];
    assert.equal(state, asleep ? "paused" : "running");
    await this.#assertWhole();
    if (failure !== undefined) assert.ok(harmed, failure.message);
    if (!harmed) return "had no such step";
    return failure === undefined ? "succeeded" : "failed";
  }

  /** Nothing is left of all that failed. */
  async assertNoLeaks(): Promise<void> {
    await assertNoLeaks(this.#daemon.served);
    assert.equal(await Sandbox.kill(this.#pig.id, this.#sdk), true);
    await assertAgreement(this.#daemon.served);
    await assertNoLeaks(this.#daemon.served);
  }

  get printed(): string {
    return this.#daemon.served.printed();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#daemon[Symbol.asyncDispose]();
  }

  get #sdk(): Sdk {
    // What failed must not be tried again by the client.
    return { ...this.#daemon.served.sdk, retries: 0 };
  }

  async #assertWhole(): Promise<void> {
    await this.#pig.assertWhole(this.#sdk);
    await this.#operation.after?.(this.#sdk);
    await assertAgreement(this.#daemon.served);
  }
}
