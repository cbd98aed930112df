import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { MachineSpec } from "./machine-spec.ts";
import { qemuArguments } from "./qemu-arguments.ts";
import { bootedSpec, restoredSpec } from "./testing/sample-spec.ts";

const seen = {
  directory: "/machine",
  sockets: "/sockets",
  memfile: "/template/memfile",
  agentDisk: "/template/agent-disk",
  rootDisk: "/nbd/nbd",
  kernel: "/boot/kernel",
  initrd: "/boot/initrd",
  dataDirectories: ["/vmm/data0", "/vmm/data1"],
};

/** All values that an option is given. */
function option(args: readonly string[], name: string): string[] {
  return args.filter((_, at) => args[at - 1] === name);
}

function node(spec: MachineSpec, name: string): Record<string, unknown> | undefined {
  const nodes = option(qemuArguments(spec, seen), "-blockdev").map(
    (text) => JSON.parse(text) as Record<string, unknown>,
  );
  return nodes.find((each) => each["node-name"] === name);
}

describe("qemuArguments", () => {
  it("maps the memory of a restored machine privately, from a file that is never written", () => {
    const args = qemuArguments(restoredSpec, seen);
    const memory = "memory-backend-file,id=mem,size=536870912,mem-path=/template/memfile";
    assert.deepEqual(option(args, "-object")[0], `${memory},share=off,readonly=on,rom=off`);
    assert.deepEqual(option(qemuArguments(bootedSpec, seen), "-object")[0], `${memory},share=on`);
  });

  it("lets a restored machine wait for its device state, on a descriptor that it inherits", () => {
    const args = qemuArguments(restoredSpec, seen);
    assert.deepEqual(option(args, "-incoming"), ["defer"]);
    assert.deepEqual(option(args, "-add-fd"), ["fd=3,set=1"]);
    assert.ok(args.includes("-S"));
    assert.deepEqual(option(args, "-kernel"), []);
  });

  it("boots with a kernel that is told the clock's frequency, under emulation only", () => {
    const args = qemuArguments(bootedSpec, seen);
    assert.deepEqual(option(args, "-kernel"), ["/boot/kernel"]);
    assert.deepEqual(option(args, "-initrd"), ["/boot/initrd"]);
    const common = "console=ttyS0 quiet reboot=t panic=-1";
    assert.deepEqual(option(args, "-append"), [`${common} tsc_early_khz=2000000 tsc=reliable larder.test=1`]);
    assert.deepEqual(option(args, "-incoming"), []);
    const boot = { kernel: "k", initrd: "i" };
    assert.deepEqual(option(qemuArguments({ ...bootedSpec, boot }, seen), "-append"), [common]);
  });

  it("gives it a network card that leads nowhere or to a tap, which differ in nothing that a snapshot holds", () => {
    assert.deepEqual(option(qemuArguments(restoredSpec, seen), "-netdev"), ["hubport,id=n0,hubid=0"]);
    const network = { tap: "tap0", netNamespace: "/proc/7/ns/net", userNamespace: "/proc/7/ns/user" };
    const args = qemuArguments({ ...restoredSpec, network }, seen);
    assert.deepEqual(option(args, "-netdev"), ["tap,id=n0,ifname=tap0,script=no,downscript=no,vnet_hdr=off"]);
    assert.deepEqual(option(args, "-device"), option(qemuArguments(restoredSpec, seen), "-device"));
  });

  it("gives a restored machine an overlay of its own over a read-only export that may come back", () => {
    const root = node(restoredSpec, "root");
    assert.equal(root?.["driver"], "qcow2");
    assert.deepEqual(root["file"], {
      driver: "file",
      filename: "/machine/overlay.qcow2",
      locking: "off",
    });
    const base = root["backing"] as Record<string, unknown>;
    assert.equal(base["read-only"], true);
    assert.deepEqual(base["server"], { type: "unix", path: "/nbd/nbd" });
    assert.ok((base["reconnect-delay"] as number) >= 300);
    const devices = option(qemuArguments(restoredSpec, seen), "-device");
    assert.ok(devices.includes("virtio-blk-device,drive=root,rerror=stop,werror=stop"));
  });

  it("never lets the agent's disk be written", () => {
    for (const spec of [restoredSpec, bootedSpec]) {
      const agent = node(spec, "agent");
      assert.equal(agent?.["read-only"], true);
      assert.equal((agent["file"] as Record<string, unknown>)["read-only"], true);
    }
  });

  it("takes the agent's disk from behind the root disk on their export, and waits for it as for that", () => {
    const agentDisk = { offset: 2 ** 30, bytes: 2 ** 24 };
    const agent = node({ ...restoredSpec, agentDisk }, "agent");
    const { offset, size, file } = agent ?? {};
    assert.deepEqual([offset, size, file], [2 ** 30, 2 ** 24, "base"]);
    assert.equal(agent?.["read-only"], true);
    const devices = option(qemuArguments(restoredSpec, seen), "-device");
    assert.ok(devices.includes("virtio-blk-device,drive=agent,rerror=stop"));
  });

  it("keeps a console within bounds: appended to a file at a boot, in memory after a restore", () => {
    assert.deepEqual(
      option(qemuArguments(bootedSpec, seen), "-chardev")[0],
      "file,id=console,path=/machine/console.log,append=on",
    );
    assert.deepEqual(
      option(qemuArguments(restoredSpec, seen), "-chardev")[0],
      "ringbuf,id=console,size=65536",
    );
  });

  it("differs between a boot and a restore in nothing that the device state holds", () => {
    const devices = (spec: MachineSpec) => option(qemuArguments(spec, seen), "-device");
    assert.deepEqual(devices(bootedSpec), devices(restoredSpec));
    const machine = (spec: MachineSpec) =>
      ["-M", "-m", "-cpu", "-accel"].flatMap((name) => option(qemuArguments(spec, seen), name));
    assert.deepEqual(machine(bootedSpec), machine(restoredSpec));
  });

  it("uses KVM with the host's processor, emulation with QEMU's own", () => {
    const kvm = qemuArguments({ ...restoredSpec, accelerator: "kvm" }, seen);
    assert.deepEqual(option(kvm, "-accel"), ["kvm"]);
    assert.deepEqual(option(kvm, "-cpu"), ["host,migratable=on"]);
    assert.deepEqual(option(qemuArguments(restoredSpec, seen), "-accel"), ["tcg,tb-size=64"]);
  });

  it("bears the machine's marker as an argument of its own, and is filtered", () => {
    const args = qemuArguments(restoredSpec, seen);
    assert.ok(args.includes("larder-i1"));
    assert.match(option(args, "-sandbox")[0] ?? "", /^on,.*spawn=deny/);
    assert.match(option(args, "-M")[0] ?? "", /dump-guest-core=off/);
  });

  it("refuses memory that is not in whole mebibytes", () => {
    assert.throws(() => qemuArguments({ ...restoredSpec, memoryBytes: 1000 }, seen), /whole mebibytes/);
  });
});
