import { Failure } from "../../base/failure.ts";
import type { MachineShape } from "../../build/manifest.ts";
import type { HeldBuild, SnapshotKeeper } from "../child-builds.ts";
import type { Guest } from "../launcher.ts";

/** Makes builds that are names and nothing else, and keeps account of them. */
export class FakeSnapshots implements SnapshotKeeper {
  /** What was made, in order. */
  readonly made: { readonly build: string; readonly memory: boolean }[] = [];
  /** Builds that somebody holds. */
  readonly held = new Set<string>();
  /** Thrown by the next one that has captured its guest: the disk is full, say. */
  nextFailure: Failure | undefined;
  /** What a host must be like to run any of them. */
  shape: MachineShape | undefined;
  sweeps = 0;

  async take(
    guest: Guest,
    { memory, goOn }: { memory: boolean; goOn: boolean },
    signal: AbortSignal,
  ): Promise<HeldBuild> {
    try {
      await guest.capture({ directory: "/nowhere", memory }, signal);
    } finally {
      if (goOn) await this.#letGoOn(guest, signal);
    }
    const failure = this.nextFailure;
    this.nextFailure = undefined;
    if (failure !== undefined) throw failure;
    const build = `child-${this.made.length}`;
    this.made.push({ build, memory });
    return this.hold(build);
  }

  async #letGoOn(guest: Guest, signal: AbortSignal): Promise<void> {
    try {
      await guest.goOn(signal);
    } catch (error) {
      await guest[Symbol.asyncDispose]();
      throw error;
    }
  }

  hold(build: string): HeldBuild {
    this.held.add(build);
    return { build, [Symbol.asyncDispose]: async () => void this.held.delete(build) };
  }

  async shapeOf(build: string): Promise<MachineShape | undefined> {
    if (!build.startsWith("child-")) throw new Failure("not_found", `there is no build ${build}`);
    return this.shape;
  }

  sweep(): void {
    this.sweeps += 1;
  }
}
