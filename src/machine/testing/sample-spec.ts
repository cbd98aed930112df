import type { MachineHost } from "../confinement.ts";
import type { MachineSpec } from "../machine-spec.ts";

/** A machine that is restored, on paths that need not exist. */
export const restoredSpec: MachineSpec = {
  id: "i1",
  directory: "/data/sandboxes/i1",
  socketDirectory: "/run/larder/x/i1/vm",
  vcpus: 2,
  memoryBytes: 512 * 2 ** 20,
  accelerator: "tcg",
  memfile: { path: "/data/shelf/b/memfile.data", mode: "restore" },
  rootDisk: { kind: "overlay", name: "overlay.qcow2", nbdSocket: "/run/larder/x/i1/disk/nbd" },
  agentDisk: "/data/shelf/blobs/a",
  snapfile: "/data/shelf/b/snapfile",
  uid: 1001,
};

/** A machine that makes a template. */
export const bootedSpec: MachineSpec = {
  id: "t1",
  directory: "/data/making/machine",
  socketDirectory: "/run/larder/x/t1",
  vcpus: 1,
  memoryBytes: 512 * 2 ** 20,
  accelerator: "tcg",
  memfile: { path: "/data/making/memfile", mode: "build" },
  rootDisk: { kind: "raw", path: "/data/making/rootfs.ext4" },
  agentDisk: "/data/shelf/blobs/a",
  boot: { kernel: "/cache/kernel", initrd: "/cache/initrd", tscKhz: 2_000_000, arguments: "larder.test=1" },
  uid: 1002,
};

export const rootHost: MachineHost = {
  qemu: {
    binary: "/cache/qemu-10.0.2/root/usr/bin/qemu-system-x86_64",
    version: "10.0.2",
    dataDirectories: ["/cache/qemu-10.0.2/root/usr/share/qemu", "/cache/qemu-10.0.2/root/usr/share/seabios"],
    libraryDirectories: ["/cache/qemu-10.0.2/root/usr/lib/x86_64-linux-gnu"],
  },
  libraries: [
    { kind: "directory", path: "/usr/lib/x86_64-linux-gnu" },
    { kind: "link", path: "/lib", target: "usr/lib" },
  ],
  root: true,
  kvmGid: 108,
};
