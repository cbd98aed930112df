import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, it } from "node:test";
import { Failure } from "../base/failure.ts";
import { silentLogger } from "../base/logger.ts";
import { systemClock } from "../base/clock.ts";
import { systemRandom } from "../base/random.ts";
import { MemoryMeter } from "../base/testing/memory-meter.ts";
import type { NetworkOptions } from "./network.ts";
import { Networks, type NetworksOptions } from "./networks.ts";
import type { Surroundings } from "./surroundings.ts";

const signal = new AbortController().signal;
const link = { tap: "tap0", netNamespace: "/proc/1/ns/net", userNamespace: "/proc/1/ns/user" };

/** Networks that consist of nothing, and what became of them. */
class Scene {
  readonly made: NetworkOptions[] = [];
  readonly users = new Set<number>();
  surroundings: Surroundings = { denied: ["10.0.0.0/8"], uplink: true, resolvers: "nameserver 1.1.1.1" };
  open = 0;
  trouble: Failure | undefined;
  #next = 100;

  options(readyMax: number): NetworksOptions {
    return {
      directory: "/run/larder/x",
      readyMax,
      surroundings: () => this.surroundings,
      lendUser: () => this.#lend(),
      make: async (options) => {
        if (this.trouble !== undefined) throw this.trouble;
        this.made.push(options);
        this.open++;
        const close = async () => void this.open--;
        return { directory: options.directory, link, processes: [], attached: () => {}, close };
      },
      ...{ clock: systemClock, random: systemRandom, logger: silentLogger, meter: new MemoryMeter() },
    };
  }

  #lend() {
    const uid = this.#next++;
    this.users.add(uid);
    return { uid, [Symbol.dispose]: () => void this.users.delete(uid) };
  }

  assertNothingLeft(networks: Networks): void {
    assert.deepEqual([this.open, this.users.size, networks.names], [0, 0, []]);
  }
}

describe("Networks", () => {
  it("give each sandbox one of its own, with a user of its own, and make the next one when that runs", async () => {
    const scene = new Scene();
    const networks = await Networks.open(scene.options(1), signal);
    assert.equal(scene.made.length, 1);
    const first = await networks.take(signal);
    const second = await networks.take(signal);
    assert.notEqual(first.name, second.name);
    assert.equal(scene.made.length, 2, "none is made behind the back of a sandbox that starts");
    first.attached();
    await first[Symbol.asyncDispose]();
    await networks.close();
    assert.equal(scene.made.length, 3);
    assert.deepEqual(networks.names, [second.name], "what a sandbox holds is ended by that");
    await second[Symbol.asyncDispose]();
    scene.assertNothingLeft(networks);
  });

  it("take over what a former daemon's sandbox lives in, with its user, and end it with that sandbox", async () => {
    const directory = await mkdtemp(path.join(tmpdir(), "networks-"));
    await mkdir(path.join(directory, "net-left"));
    const scene = new Scene();
    const retaken: number[] = [];
    const retakeUser = (uid: number) => {
      retaken.push(uid);
      return { uid, [Symbol.dispose]: () => void retaken.pop() };
    };
    const networks = await Networks.open({ ...scene.options(0), directory, retakeUser }, signal);
    const network = await networks.retake("net-left");
    assert.deepEqual([networks.names.includes("net-left"), retaken], [true, [process.getuid?.()]]);
    await network[Symbol.asyncDispose]();
    assert.deepEqual([await readdir(directory), retaken], [[], []]);
    await networks.close();
    scene.assertNothingLeft(networks);
    await rm(directory, { recursive: true });
  });

  it("give none that was made before the host's own networks or resolvers have changed", async () => {
    const scene = new Scene();
    const networks = await Networks.open(scene.options(1), signal);
    scene.surroundings = { ...scene.surroundings, denied: ["10.0.0.0/8", "93.184.216.0/24"] };
    await using taken = await networks.take(signal);
    assert.equal(scene.open, 1, "the old one was ended");
    assert.deepEqual(scene.made.at(-1)?.denied, ["10.0.0.0/8", "93.184.216.0/24"]);
    assert.deepEqual(networks.names, [taken.name]);
    await networks.close();
  });

  it("say why where there can be none, and leave nothing of the attempt", async () => {
    const scene = new Scene();
    scene.trouble = new Failure("unavailable", "pasta is not there");
    await assert.rejects(Networks.open(scene.options(1), signal), /pasta is not there/);
    assert.equal(scene.users.size, 0);
  });

  it("fail a create only when none can be made for it, and try again for the next one", async () => {
    const scene = new Scene();
    const networks = await Networks.open(scene.options(0), signal);
    const first = await networks.take(signal);
    scene.trouble = new Failure("unavailable", "no more processes");
    first.attached();
    await assert.rejects(networks.take(signal), /no more processes/);
    scene.trouble = undefined;
    const second = await networks.take(signal);
    await first[Symbol.asyncDispose]();
    await second[Symbol.asyncDispose]();
    await networks.close();
    scene.assertNothingLeft(networks);
    await assert.rejects(networks.take(signal), /the daemon is stopping/);
  });
});
