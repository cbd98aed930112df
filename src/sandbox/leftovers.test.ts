import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { systemClock } from "../base/clock.ts";
import { Failure } from "../base/failure.ts";
import { silentLogger } from "../base/logger.ts";
import { silentMeter } from "../base/meter.ts";
import { systemRandom } from "../base/random.ts";
import { startTimeOf } from "../base/processes.ts";
import { MainThreadExports } from "../nbd/main-thread-exports.ts";
import { Store } from "../store/store.ts";
import { sandboxRecord } from "../store/testing/sample-records.ts";
import { endLeftovers } from "./leftovers.ts";
import { MachineLauncher } from "./machine-launcher.ts";

const ids = ["a", "b", "c"].map((letter) => `i${letter.repeat(20)}`);

describe("endLeftovers", () => {
  let root = "";
  before(async () => {
    root = await mkdtemp(path.join(tmpdir(), "larder-left-"));
  });
  after(() => rm(root, { recursive: true }));

  it("ends processes, noted or given away by their command line, and removes the rest", async () => {
    await using store = await Store.open({ path: ":memory:", clock: systemClock, logger: silentLogger });
    const directory = path.join(root, "sandboxes");
    const socketDirectory = path.join(root, "sockets");
    const [noted = "", marked = "", stray = ""] = ids;
    const processes = [idle("anything"), idle(`larder-${marked}`), idle("larder-of-somebody-else")];
    const [first, second, bystander] = processes;
    for (const id of ids) {
      await mkdir(path.join(directory, id), { recursive: true });
      await writeFile(path.join(directory, id, "overlay.qcow2"), "");
    }
    await mkdir(path.join(directory, "something-else"));
    await mkdir(path.join(socketDirectory, stray, "vm"), { recursive: true });
    const places = (id: string) => ({
      id,
      directory: path.join(directory, id),
      socketDirectory: path.join(socketDirectory, id),
    });
    await store.sandboxes.insert(sandboxRecord({ ...places(noted), process: identityOf(first) }));
    await store.sandboxes.insert(sandboxRecord({ ...places(marked), state: "starting" }));
    const options = { records: store.sandboxes, directory, socketDirectory, logger: silentLogger };
    const ends = [first, second].map((process) => process && once(process, "exit"));
    assert.equal(await endLeftovers({ ...options, launcher: launcher() }), 3);
    for (const end of ends) assert.equal((await end)?.[1], "SIGKILL");
    assert.equal(bystander?.exitCode ?? bystander?.signalCode, null);
    bystander?.kill();
    assert.deepEqual(await store.sandboxes.all(), []);
    assert.deepEqual(await readdir(directory), ["something-else"]);
    assert.deepEqual(await readdir(socketDirectory), []);
    assert.equal(await endLeftovers({ ...options, launcher: launcher() }), 0);
  });

  it("keeps the record of what could not be removed, and goes on with the others", async () => {
    await using store = await Store.open({ path: ":memory:", clock: systemClock, logger: silentLogger });
    for (const id of ids) await store.sandboxes.insert(sandboxRecord({ id }));
    const reap = async ({ id }: { id: string }) => {
      if (id === ids[1]) throw new Failure("internal", "the process does not go away");
    };
    await endLeftovers({
      records: store.sandboxes,
      launcher: { reap },
      directory: path.join(root, "nowhere"),
      socketDirectory: path.join(root, "nowhere"),
      logger: silentLogger,
    });
    assert.deepEqual(
      (await store.sandboxes.all()).map((record) => record.id),
      [ids[1]],
    );
  });

  it("leaves a process alone that has only inherited the number", async () => {
    await using store = await Store.open({ path: ":memory:", clock: systemClock, logger: silentLogger });
    const bystander = idle("anything");
    const process = { ...identityOf(bystander), startTime: "1" };
    const id = ids[0] ?? "";
    const places = { directory: path.join(root, "x"), socketDirectory: path.join(root, "y") };
    await store.sandboxes.insert(sandboxRecord({ id, ...places, process }));
    const options = { records: store.sandboxes, launcher: launcher(), logger: silentLogger };
    await endLeftovers({ ...options, directory: root, socketDirectory: root });
    assert.equal(bystander.signalCode, null);
    bystander.kill();
    assert.deepEqual(await store.sandboxes.all(), []);
  });
});

function launcher(): MachineLauncher {
  return new MachineLauncher({
    builds: { acquire: () => Promise.reject(new Failure("internal", "nothing is launched here")) },
    exports: new MainThreadExports({ logger: silentLogger, meter: silentMeter }),
    host: {
      qemu: { binary: "", version: "", dataDirectories: [], libraryDirectories: [] },
      libraries: [],
      root: false,
    },
    accelerator: "tcg",
    tscKhz: 1,
    stalledMsMax: 1000,
    overlayDirectory: "",
    clock: systemClock,
    random: systemRandom,
    logger: silentLogger,
    meter: silentMeter,
  });
}

/** A process that does nothing, with `word` as an argument. */
function idle(word: string): ChildProcess {
  return spawn("sh", ["-c", "read -r nothing", "sh", word], { stdio: ["pipe", "ignore", "ignore"] });
}

function identityOf(child: ChildProcess | undefined) {
  const pid = child?.pid ?? 0;
  return { pid, startTime: startTimeOf(pid) ?? "" };
}
