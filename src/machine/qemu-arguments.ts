import assert from "node:assert/strict";
import { cpuArgument, machineType } from "./machine-shape.ts";
import {
  channelSocketName,
  consoleName,
  type MachineSpec,
  markerOf,
  netdevName,
  qmpSocketName,
} from "./machine-spec.ts";

/** Where a machine's files are seen by the VMM; the host's own paths when it is not confined. */
export interface SeenPaths {
  readonly directory: string;
  readonly sockets: string;
  readonly memfile: string;
  readonly agentDisk: string;
  /** Of a raw root disk, or of the socket that an overlay is based on. */
  readonly rootDisk: string;
  readonly kernel: string;
  readonly initrd: string;
  readonly dataDirectories: readonly string[];
}

/** The descriptor on which the VMM inherits the device state. */
export const snapfileFd = 3;
/** Where `migrate-incoming` reads it. The `file:` transport came with QEMU 8.2. */
export const incomingUri = "file:/dev/fdset/1";
const mebibyte = 2 ** 20;
/** The daemon's export; the root disk's overlay is laid over it, and the agent's disk may be a part of it. */
const exportNode = "base";
/** Seconds that the overlay's client waits for a daemon that is being restarted. */
const reconnectSeconds = 3600;

/** A machine as QEMU's command line, without the program's name. */
export function qemuArguments(spec: MachineSpec, seen: SeenPaths): string[] {
  const { vcpus, memoryBytes, accelerator } = spec;
  assert(memoryBytes % mebibyte === 0, "a machine has whole mebibytes of memory");
  const memory =
    `memory-backend-file,id=mem,size=${memoryBytes},mem-path=${seen.memfile}` +
    (spec.memfile.mode === "build" ? ",share=on" : ",share=off,readonly=on,rom=off");
  return [
    ...["-name", markerOf(spec.id)],
    // A crash of the VMM must not write the guest's memory to the disk.
    ...["-M", `${machineType},memory-backend=mem,suppress-vmdesc=on,dump-guest-core=off`],
    ...(accelerator === "kvm" ? ["-accel", "kvm"] : ["-accel", "tcg,tb-size=64"]),
    ...["-cpu", cpuArgument(accelerator)],
    ...["-m", String(memoryBytes / mebibyte), "-smp", String(vcpus)],
    ...["-display", "none", "-no-user-config", "-nodefaults", "-no-reboot"],
    ...["-object", memory],
    ...["-qmp", `unix:${seen.sockets}/${qmpSocketName},server=on,wait=off`],
    ...consoleArguments(spec, seen),
    ...["-chardev", `socket,id=agent,path=${seen.sockets}/${channelSocketName},server=on,wait=off`],
    ...["-device", "virtio-serial-device", "-device", "virtserialport,chardev=agent,name=agent"],
    ...["-blockdev", JSON.stringify(rootNode(spec, seen))],
    ...["-device", "virtio-blk-device,drive=root,rerror=stop,werror=stop"],
    ...["-blockdev", JSON.stringify(agentNode(spec, seen))],
    ...["-device", "virtio-blk-device,drive=agent,rerror=stop"],
    ...["-object", "rng-builtin,id=rng0", "-device", "virtio-rng-device,rng=rng0"],
    ...["-netdev", netdev(spec), "-device", `virtio-net-device,netdev=${netdevName},mac=52:54:00:12:34:56`],
    ...startArguments(spec, seen),
    ...seen.dataDirectories.flatMap((directory) => ["-L", directory]),
    ...["-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"],
  ];
}

/**
 * While a machine boots its console is kept in a file that is there already and of bounded size. Of one that is
 * restored the last 64 KiB are kept in memory: they fill no disk.
 */
function consoleArguments(spec: MachineSpec, seen: SeenPaths): string[] {
  const kept =
    spec.boot === undefined
      ? "ringbuf,id=console,size=65536"
      : `file,id=console,path=${seen.directory}/${consoleName},append=on`;
  return ["-chardev", kept, "-serial", "chardev:console"];
}

/**
 * A hub that nothing else is connected to adds nothing to the device state, so either fits at a restore. Offloading is
 * left out: what the guest has settled with its card must not depend on where that leads.
 */
function netdev({ network }: MachineSpec): string {
  if (network === undefined) return `hubport,id=${netdevName},hubid=0`;
  return `tap,id=${netdevName},ifname=${network.tap},script=no,downscript=no,vnet_hdr=off`;
}

function rootNode(spec: MachineSpec, seen: SeenPaths): object {
  const common = { "node-name": "root", discard: "unmap", "detect-zeroes": "unmap" };
  if (spec.rootDisk.kind === "raw") {
    return { driver: "raw", ...common, file: { driver: "file", filename: seen.rootDisk, locking: "off" } };
  }
  const base = {
    driver: "nbd",
    "node-name": exportNode,
    "read-only": true,
    server: { type: "unix", path: seen.rootDisk },
    "reconnect-delay": reconnectSeconds,
  };
  const filename = `${seen.directory}/${spec.rootDisk.name}`;
  return { driver: "qcow2", ...common, file: { driver: "file", filename, locking: "off" }, backing: base };
}

function agentNode({ agentDisk }: MachineSpec, seen: SeenPaths): object {
  const common = { driver: "raw", "node-name": "agent", "read-only": true };
  if (typeof agentDisk !== "string")
    return { ...common, offset: agentDisk.offset, size: agentDisk.bytes, file: exportNode };
  const file = { driver: "file", filename: seen.agentDisk, locking: "off", "read-only": true };
  return { ...common, file };
}

function startArguments(spec: MachineSpec, seen: SeenPaths): string[] {
  if (spec.boot !== undefined) {
    return ["-kernel", seen.kernel, "-initrd", seen.initrd, "-append", kernelArguments(spec)];
  }
  return [
    ...["-incoming", "defer", "-S", "-global", "migration.send-configuration=off"],
    ...["-add-fd", `fd=${snapfileFd},set=1`],
  ];
}

/** An emulated `microvm` has no clock to calibrate by: unless it is told the frequency, a boot hangs at random. */
function kernelArguments(spec: MachineSpec): string {
  const { tscKhz, arguments: own } = spec.boot ?? {};
  const clock = tscKhz === undefined ? [] : [`tsc_early_khz=${tscKhz}`, "tsc=reliable"];
  return [
    "console=ttyS0",
    "quiet",
    "reboot=t",
    "panic=-1",
    ...clock,
    ...(own === undefined ? [] : [own]),
  ].join(" ");
}
