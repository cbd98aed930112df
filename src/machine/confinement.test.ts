import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { confinedCommand } from "./confinement.ts";
import { bootedSpec, restoredSpec, rootHost } from "./testing/sample-spec.ts";

const userHost = { ...rootHost, root: false };

/** What bubblewrap itself is told, and what it is to run. */
function parts(args: readonly string[]): [string[], string[]] {
  const end = args.indexOf("--");
  return [args.slice(0, end), args.slice(end + 1)];
}

/** The host's path of each bind, by its kind. */
function binds(args: readonly string[], kind: string): string[] {
  return args.filter((_, at) => args[at - 1] === kind);
}

describe("confinedCommand", () => {
  it("lets a machine write its own directory and sockets, and nothing else", () => {
    const [cage] = parts(confinedCommand(restoredSpec, rootHost).args);
    assert.deepEqual(binds(cage, "--bind"), ["/data/sandboxes/i1", "/run/larder/x/i1/vm"]);
    assert.deepEqual(binds(cage, "--dev-bind"), []);
    assert.ok(cage.join(" ").includes("--remount-ro /"));
  });

  it("lets a machine that makes a template write its memory and its disk, too", () => {
    const [cage] = parts(confinedCommand(bootedSpec, rootHost).args);
    const own = ["/data/making/machine", "/run/larder/x/t1"];
    assert.deepEqual(binds(cage, "--bind"), [...own, "/data/making/memfile", "/data/making/rootfs.ext4"]);
  });

  it("shows it only its template, its export and what QEMU needs", () => {
    const [cage] = parts(confinedCommand(restoredSpec, rootHost).args);
    assert.deepEqual(binds(cage, "--ro-bind"), [
      "/usr/lib/x86_64-linux-gnu",
      "/cache/qemu-10.0.2/root/usr/bin/qemu-system-x86_64",
      "/usr/bin/setpriv",
      "/cache/qemu-10.0.2/root/usr/lib/x86_64-linux-gnu",
      "/cache/qemu-10.0.2/root/usr/share/qemu",
      "/cache/qemu-10.0.2/root/usr/share/seabios",
      "/data/shelf/b/memfile.data",
      "/data/shelf/blobs/a",
      // The directory of the socket: a restarted daemon makes another socket.
      "/run/larder/x/i1/disk",
    ]);
  });

  it("gives it no network, and processes, names and messages of its own, whoever starts it", () => {
    for (const host of [rootHost, userHost]) {
      const [cage] = parts(confinedCommand(restoredSpec, host).args);
      for (const kind of ["net", "pid", "ipc", "uts"]) assert.ok(cage.includes(`--unshare-${kind}`), kind);
      assert.ok(cage.includes("--new-session") && cage.includes("--clearenv"));
      assert.deepEqual(binds(cage, "--cap-drop"), ["ALL"]);
      assert.equal(cage.includes("--die-with-parent"), false, "it outlives the daemon");
    }
  });

  it("enters the network that it is given instead, and shows the machine the device for it", () => {
    const network = { tap: "tap0", netNamespace: "/proc/7/ns/net", userNamespace: "/proc/7/ns/user" };
    const byRoot = confinedCommand({ ...restoredSpec, network }, rootHost);
    const byUser = confinedCommand({ ...restoredSpec, network }, userHost);
    assert.deepEqual(
      [byRoot.program, ...byRoot.args.slice(0, 3)],
      [...["nsenter", "--net=/proc/7/ns/net", "--", "bwrap"]],
    );
    assert.deepEqual(
      [byUser.program, ...byUser.args.slice(0, 5)],
      [
        ...[
          "nsenter",
          "--user=/proc/7/ns/user",
          "--preserve-credentials",
          "--net=/proc/7/ns/net",
          "--",
          "bwrap",
        ],
      ],
    );
    for (const { args } of [byRoot, byUser]) {
      assert.equal(args.includes("--unshare-net"), false);
      assert.deepEqual(binds(args, "--dev-bind"), ["/dev/net/tun"]);
    }
  });

  it("joins the machine's control groups before anything else is started", () => {
    const processFiles = ["/sys/fs/cgroup/a/cgroup.procs", "/sys/fs/cgroup/b/cgroup.procs"];
    const { program, args } = confinedCommand({ ...restoredSpec, processFiles }, rootHost);
    assert.deepEqual([program, args[0]], ["sh", "-c"]);
    assert.deepEqual(args.slice(2, 7), ["sh", ...processFiles, "--", "bwrap"]);
  });

  it("hands it to a user of its own where the daemon is root, with no way back", () => {
    const [cage, command] = parts(confinedCommand(restoredSpec, rootHost).args);
    assert.deepEqual(binds(cage, "--cap-add"), ["CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP"]);
    assert.equal(cage.includes("--unshare-user"), false);
    const setpriv = command.slice(0, command.indexOf("--"));
    assert.deepEqual(setpriv.slice(1), [
      ...["--reuid", "1001", "--regid", "1001", "--clear-groups"],
      ...["--inh-caps=-all", "--ambient-caps=-all", "--bounding-set=-all", "--no-new-privs"],
    ]);
  });

  it("uses a user namespace, and no capability at all, where the daemon is an ordinary user", () => {
    const [cage, command] = parts(confinedCommand(restoredSpec, userHost).args);
    assert.ok(cage.includes("--unshare-user"));
    assert.deepEqual(binds(cage, "--cap-add"), []);
    assert.equal(command[0], "/vmm/qemu");
  });

  it("shows the device of KVM, and gives its group, only to machines that use it", () => {
    const [cage, command] = parts(confinedCommand({ ...restoredSpec, accelerator: "kvm" }, rootHost).args);
    assert.deepEqual(binds(cage, "--dev-bind"), ["/dev/kvm"]);
    assert.ok(command.join(" ").includes("--groups 108"));
    assert.equal(command.includes("--clear-groups"), false);
  });

  it("names no path of the host behind the cage's own", () => {
    const [, command] = parts(confinedCommand(restoredSpec, rootHost).args);
    for (const word of command) assert.doesNotMatch(word, /\/(?:data|cache|run)\//);
  });

  it("never runs a machine as root", () => {
    const { uid: _, ...nobody } = restoredSpec;
    assert.throws(() => confinedCommand(nobody, rootHost), /a user of its own/);
    assert.throws(() => confinedCommand({ ...restoredSpec, uid: 0 }, rootHost), /a user of its own/);
  });
});
