import assert from "node:assert/strict";
import { copyFile, mkdtemp, rm } from "node:fs/promises";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import { Sandbox } from "e2b";
import { bundleGuest } from "../../src/agent/bundle-guest.ts";
import { makeAgentDisk } from "../../src/template/agent-disk.ts";
import { fileDigest } from "../../src/template/file-digest.ts";
import { runCommand } from "../../src/template/run-command.ts";
import { type Served, serve } from "./testing/served.ts";

const never = new AbortController().signal;

describe("the template base", () => {
  let served: Served;
  let sandbox: Sandbox;
  before(async () => {
    served = await serve();
    sandbox = await Sandbox.create({ ...served.sdk });
  });
  after(() => served[Symbol.asyncDispose]());

  const outputOf = async (command: string, user = "user") =>
    (await sandbox.commands.run(command, { user })).stdout.trim();

  it("has the programs that clients rely on", async () => {
    const programs = [
      "python",
      "python3",
      "git",
      "curl",
      "sudo",
      "ip",
      "ps",
      "pgrep",
      "ping",
      "tar",
      "getent",
    ];
    assert.equal(
      await outputOf(`for p in ${programs.join(" ")}; do command -v $p >/dev/null || echo $p; done`),
      "",
    );
    assert.equal(await outputOf("python -c 'print(6*7)'"), "42");
    assert.equal(
      await outputOf(
        "test -e /usr/share/terminfo/x/xterm-256color -o -e /lib/terminfo/x/xterm-256color; echo $?",
      ),
      "0",
    );
  });

  it("runs commands as a user who may become root without a password", async () => {
    assert.equal(await outputOf("id -un; id -u; id -g; pwd"), "user\n1000\n1000\n/home/user");
    assert.equal(await outputOf("sudo -n id -u 2>&1"), "0");
    assert.equal(await outputOf("id -u", "root"), "0");
  });

  it("has places that everybody may write to, and a root disk of 10 GiB that is nearly empty", async () => {
    assert.equal(await outputOf("stat -c %a /code /usr/local /tmp /dev/shm"), "777\n777\n1777\n1777");
    const [size = 0, used = 0] = (await outputOf("df --output=size,used -B1M / | tail -1"))
      .trim()
      .split(/\s+/)
      .map(Number);
    assert.ok(size > 9_500 && size <= 10_240, `${size} MB`);
    assert.ok(used < 600, `${used} MB`);
  });

  it("is a system like any other: pseudo file systems, loopback, host name, locale", async () => {
    const mounts = await outputOf("awk '{print $2}' /proc/mounts");
    for (const place of ["/proc", "/sys", "/dev", "/dev/pts", "/dev/shm", "/run", "/sys/fs/cgroup"])
      assert.ok(mounts.split("\n").includes(place), place);
    assert.match(await outputOf("ip -o addr show lo"), /127\.0\.0\.1\/8/);
    assert.equal(await outputOf("hostname"), sandbox.sandboxId);
    assert.equal(await outputOf("getent hosts $(hostname) >/dev/null; echo $?"), "0");
    assert.equal(await outputOf("echo $LANG"), "C.UTF-8");
    assert.equal(await outputOf("echo x | tee /dev/stderr 2>&1 >/dev/null"), "x");
  });

  it("knows nothing of the host: neither its name nor its resolver", async () => {
    assert.equal(
      await outputOf("cat /etc/resolv.conf"),
      "nameserver 169.254.0.22",
      "its own network answers",
    );
    assert.equal(await outputOf("cat /etc/hostname"), sandbox.sandboxId);
    assert.equal(await outputOf("ls /etc/apt/apt.conf.d /etc/dpkg/dpkg.cfg.d | grep mmdebstrap || true"), "");
  });

  it("buries orphans", async () => {
    await outputOf("setsid sh -c 'sleep 0.1 & exec true'");
    const dead = "$(ps -eo stat= | grep -c ^Z)";
    assert.equal(
      await outputOf(`for i in $(seq 50); do [ ${dead} = 0 ] && break; sleep 0.1; done; echo ${dead}`),
      "0",
    );
  });

  it("has an agent disk that is the same bytes when it is made again", async () => {
    const directory = await mkdtemp("/var/tmp/larder-agent-disk-");
    try {
      const make = async (name: string) => {
        const scratch = await mkdtemp(path.join(directory, "scratch-"));
        const image = path.join(directory, name);
        await makeAgentDisk({ image, scratch, agent: await bundleGuest(), node: process.execPath }, never);
        return { image, digest: await fileDigest(image, never) };
      };
      const [first, second] = [await make("first"), await make("second")];
      assert.equal(first.digest, second.digest);
      await copyFile(first.image, path.join(directory, "checked"));
      await runCommand("e2fsck", ["-f", "-n", path.join(directory, "checked")], {}, never);
    } finally {
      await rm(directory, { recursive: true });
    }
  });
});
