import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { appendFile, open, readdir, readFile, readlink, stat, truncate, writeFile } from "node:fs/promises";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { systemClock } from "../../src/base/clock.ts";
import { Failure } from "../../src/base/failure.ts";
import { assertNothingLeft, type Census, takeCensus } from "../../src/base/testing/census.ts";
import { Machine } from "../../src/machine/machine.ts";
import { consoleName, lastWordsName, type MachineSpec, markerOf } from "../../src/machine/machine-spec.ts";
import { findByArgument, isAlive, killByIdentity } from "../../src/base/processes.ts";
import { EchoTemplate, GuestShell, isRoot, patience } from "./testing/echo-template.ts";

/** A block in the middle of the disk that nothing reads by itself. */
const block = { number: 32, bytes: 4096 };
const readBlock = `dd if=/dev/vda bs=${block.bytes} skip=${block.number} count=1 2>/dev/null`;

describe("a machine", () => {
  let template: EchoTemplate;
  let census: Census;

  before(async () => {
    census = takeCensus();
    template = await EchoTemplate.prepare();
  });

  after(async () => {
    await template[Symbol.asyncDispose]();
    await assertNothingLeft(census);
  });

  const start = (spec: MachineSpec, signal = patience()) => Machine.start(spec, template.host, signal);
  const restored = async () => {
    const machine = await start(await template.restoreSpec());
    await machine.restore(patience());
    return machine;
  };

  it("boots, takes commands, and is saved", async () => {
    const spec = await template.bootSpec();
    await using machine = await start(spec);
    {
      using shell = new GuestShell(machine);
      assert.equal(await shell.ask("echo hello; cat /proc/sys/kernel/ostype"), "1 hello Linux");
    }
    assert.match(await readFile(path.join(spec.directory, consoleName), "utf8"), /the guest is up/);
    await machine.snapshot("snapfile", patience());
    assert.equal(await machine.status(patience()), "paused");
    await machine.quit(patience());
    assert.deepEqual(await machine.exited, { code: 0, signal: null, lastWords: "" });
    assert.ok((await stat(path.join(spec.directory, "snapfile"))).size < 1_000_000);
    await writeFile(template.snapfile, await readFile(path.join(spec.directory, "snapfile")));
    await template.serve();
    await assertGone(spec);
  });

  it("runs on when it is left, and answers whoever adopts it", async () => {
    const spec = await template.restoreSpec();
    const left = await start(spec);
    await left.restore(patience());
    left.leave();
    {
      await using adopted = await Machine.adopt(spec, left.identity, systemClock, patience());
      assert.equal(await adopted.status(patience()), "running");
      using shell = new GuestShell(adopted);
      assert.equal(await shell.ask("echo still here"), "2 still here");
    }
    await assertGone(spec);
    assert.equal(isAlive(left.identity), false);
    await assert.rejects(Machine.adopt(spec, left.identity, systemClock, patience()), { code: "not_found" });
  });

  it("that was adopted and dies is noticed, with its last words", async () => {
    const spec = await template.restoreSpec();
    const left = await start(spec);
    left.leave();
    await using adopted = await Machine.adopt(spec, left.identity, systemClock, patience());
    await appendFile(path.join(spec.directory, lastWordsName), "it is over\n");
    const began = performance.now();
    killByIdentity(adopted.identity);
    const { adopted: flag, lastWords } = await adopted.exited;
    assert.deepEqual([flag, lastWords], [true, "it is over"]);
    assert.ok(performance.now() - began < 2000, "it is noticed soon");
  });

  it("is restored twice from the same files, and neither copy sees the other", async () => {
    const digest = async () => createHash("sha256").update(await readFile(template.memfile));
    const before = (await digest()).digest("hex");
    const machines = await Promise.all([restored(), restored()]);
    try {
      for (const machine of machines) {
        assert.equal(await machine.status(patience()), "running");
        using shell = new GuestShell(machine);
        assert.equal(
          await shell.ask("echo mine > /mine; cat /mine"),
          "2 mine",
          "it goes on where it was saved",
        );
      }
      const kept = template.disk.data.subarray(block.number * block.bytes, (block.number + 1) * block.bytes);
      const md5 = createHash("md5").update(kept).digest("hex");
      const [first, second] = machines.map((machine) => new GuestShell(machine));
      using one = first as GuestShell;
      using two = second as GuestShell;
      const write = `printf changed | dd of=/dev/vda bs=${block.bytes} seek=${block.number} conv=sync 2>/dev/null`;
      assert.equal(await one.ask(`${write}; sync; ${readBlock} | head -c 7`), "3 changed");
      assert.equal(await two.ask(`${readBlock} | md5sum | cut -c1-32`), `3 ${md5}`);
      assert.ok(template.meter.sum("larder_nbd_reads_total") > 0, "the disk is read through the export");
    } finally {
      for (const machine of machines) await machine.destroy();
    }
    assert.equal((await digest()).digest("hex"), before, "the template's memory is what it was");
    for (const machine of machines) await assertGone(machine.spec);
  });

  it("runs in its cage: a user of its own without any right, a filter, and an empty network", async () => {
    await using machine = await restored();
    const { pid } = machine.identity;
    const status = await statusOf(pid);
    if (isRoot) {
      assert.deepEqual(
        status["Uid"]?.split("\t"),
        Array.from({ length: 4 }, () => String(machine.spec.uid)),
      );
      assert.equal(status["Groups"], "");
    }
    for (const set of ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"])
      assert.equal(Number.parseInt(status[set] ?? "", 16), 0, `${set} is empty`);
    assert.equal(status["NoNewPrivs"], "1");
    assert.equal(status["Seccomp"], "2");
    for (const kind of ["net", "pid", "mnt", "ipc", "uts"]) {
      const [its, ours] = await Promise.all([pid, "self"].map((of) => readlink(`/proc/${of}/ns/${kind}`)));
      assert.notEqual(its, ours, `it has a ${kind} namespace of its own`);
    }
    const interfaces = (await readFile(`/proc/${pid}/net/dev`, "utf8")).trim().split("\n").slice(2);
    assert.deepEqual(
      interfaces.map((line) => line.split(":")[0]?.trim()),
      ["lo"],
    );
  });

  it("reaches only the files that it needs, and cannot write those of the template", async () => {
    await using machine = await restored();
    const root = `/proc/${machine.identity.pid}/root`;
    const names = await readdir(root);
    const known = ["lib", "lib64", "usr", "vmm", "dev", "boot", "machine", "sockets", "template", "nbd"];
    assert.deepEqual(
      names.filter((name) => !known.includes(name)),
      [],
    );
    assert.deepEqual(await readdir(`${root}/dev`), []);
    // Not even root can, in there: the mounts themselves are read-only.
    const readOnly = { code: isRoot ? "EROFS" : /EROFS|EACCES/ };
    for (const name of ["template/memfile", "template/agent-disk"])
      await assert.rejects(open(`${root}/${name}`, "r+"), readOnly, `${name} is read-only`);
    await assert.rejects(writeFile(`${root}/anything`, ""), { code: "EROFS" });
    const mounts = (await readFile(`/proc/${machine.identity.pid}/mountinfo`, "utf8")).trim().split("\n");
    const writable = mounts
      .map((line) => line.split(" "))
      .filter(([, , , , , options]) => options?.split(",").includes("rw"))
      .map(([, , , , point]) => point);
    assert.deepEqual(new Set(writable), new Set(["/machine", "/sockets"]));
    const strange = (await openFiles(machine.identity.pid)).filter(
      (target) => !/^(?:socket|anon_inode|\/(?:template|machine)\/|\/dev\/null$)/.test(target),
    );
    const given = [path.join(machine.spec.directory, lastWordsName), template.snapfile];
    assert.deepEqual(new Set(strange), new Set(given), "it inherits nothing but what it is given");
  });

  it("has a user namespace of its own, and no right in it, where the daemon is an ordinary user", async () => {
    const spec = await template.restoreSpec();
    await using machine = await Machine.start(spec, { ...template.host, root: false }, patience());
    await machine.restore(patience());
    const { pid } = machine.identity;
    assert.notEqual(await readlink(`/proc/${pid}/ns/user`), await readlink("/proc/self/ns/user"));
    assert.notEqual(await readlink(`/proc/${pid}/ns/net`), await readlink("/proc/self/ns/net"));
    const status = await statusOf(pid);
    assert.deepEqual(
      ["CapPrm", "CapEff", "CapBnd", "NoNewPrivs", "Seccomp"].map((name) => Number(`0x${status[name]}`)),
      [0, 0, 0, 1, 2],
    );
    using shell = new GuestShell(machine);
    assert.equal(await shell.ask("echo here"), "2 here");
  });

  it("leaves nothing when it ends, and says how it ended", async () => {
    const machine = await restored();
    killByIdentity(machine.identity);
    const waiting = machine.execute("query-status", {}, patience()).then(() => machine.status(patience()));
    await assert.rejects(waiting, { code: "unavailable", message: "the machine ended by SIGKILL" });
    assert.equal((await machine.exited).signal, "SIGKILL");
    await machine.destroy();
    await machine.destroy();
    await assert.rejects(machine.status(patience()), { code: "unavailable" });
    await assertGone(machine.spec);
  });

  it("that hangs is given up by its caller's signal, and ended all the same", async () => {
    const machine = await restored();
    process.kill(machine.identity.pid, "SIGSTOP");
    const reason = new Failure("unavailable", "it took too long");
    const caller = new AbortController();
    const waiting = machine.status(caller.signal);
    caller.abort(reason);
    await assert.rejects(waiting, reason);
    await machine.destroy();
    await assertGone(machine.spec);
  });

  it("does not go on when the process that watches it was killed", async () => {
    const machine = await restored();
    const status = await statusOf(machine.identity.pid);
    process.kill(Number(status["PPid"]), "SIGKILL");
    const { signal } = await machine.exited;
    assert.equal(signal, "SIGKILL");
    assert.equal(isAlive(machine.identity), false);
    await machine.destroy();
    await assertGone(machine.spec);
  });

  it("that cannot start fails with the last words of what could not", async () => {
    const spec = { ...(await template.restoreSpec()), agentDisk: path.join(template.directory, "missing") };
    await assert.rejects(start(spec), {
      code: "unavailable",
      message: /ended with code 1: bwrap: .*missing/,
    });
    await assertGone(spec);
    const broken = await template.restoreSpec();
    await truncate(path.join(broken.directory, "overlay"), 100);
    await assert.rejects(start(broken), { code: "unavailable", message: /ended with code 1: .*qemu/ });
    await assertGone(broken);
  });

  it("whose device state is damaged fails with the VMM's last words", async () => {
    const spec = await template.restoreSpec();
    const snapfile = path.join(template.directory, "damaged");
    const bytes = await readFile(template.snapfile);
    await writeFile(snapfile, bytes.subarray(0, bytes.length / 2));
    await using machine = await start({ ...spec, snapfile });
    await assert.rejects(machine.restore(patience()), {
      code: "unavailable",
      message: /the machine ended with .+: .+/,
    });
    await machine.destroy();
    await assertGone(spec);
  });

  it("leaves nothing of a start that is aborted, whenever that is", async () => {
    for (const turns of [0, 1, 5, 25, 125]) {
      const spec = await template.restoreSpec();
      const caller = new AbortController();
      const starting = start(spec, caller.signal);
      starting.catch(() => {});
      for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setTimeout(resolve, 1));
      caller.abort(new Failure("cancelled", "not any more"));
      await starting.then(
        (machine) => machine.destroy(),
        (error: unknown) => assert.ok(Failure.is(error, "cancelled"), String(error)),
      );
      await assertGone(spec);
    }
  });
});

async function statusOf(pid: number): Promise<Record<string, string>> {
  const lines = (await readFile(`/proc/${pid}/status`, "utf8")).split("\n");
  return Object.fromEntries(
    lines.map((line) => [line.split(":")[0], line.slice(line.indexOf(":") + 1).trim()]),
  );
}

/** What a process holds open. */
async function openFiles(pid: number): Promise<string[]> {
  const directory = `/proc/${pid}/fd`;
  return Promise.all((await readdir(directory)).map((fd) => readlink(`${directory}/${fd}`)));
}

/** No process, no socket, and in its directory nothing but what is the caller's to remove. */
async function assertGone({ id, directory, socketDirectory }: MachineSpec): Promise<void> {
  assert.deepEqual(await findByArgument(markerOf(id)), []);
  assert.deepEqual(await readdir(socketDirectory), []);
  const known = ["overlay", "snapfile", consoleName, lastWordsName];
  assert.deepEqual(
    (await readdir(directory)).filter((name) => !known.includes(name)),
    [],
  );
}
