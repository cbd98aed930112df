import { spawnSync } from "node:child_process";
import { closeSync, existsSync, openSync, readFileSync, readSync, readdirSync, statSync } from "node:fs";
import path from "node:path";

/** Each Debian package that is needed, with what it brings: a command, or a file when the name has a slash. */
const runtime = [
  { name: "bubblewrap", brings: ["bwrap"] },
  { name: "mmdebstrap", brings: ["mmdebstrap"] },
  { name: "busybox-static", brings: ["busybox"], isThere: () => isStatic("busybox") },
  { name: "tini", brings: ["tini-static"] },
  { name: "patchelf", brings: ["patchelf"] },
  { name: "e2fsprogs", brings: ["mke2fs", "debugfs"] },
  { name: "qemu-utils", brings: ["qemu-img"] },
  { name: "util-linux", brings: ["setpriv", "flock", "unshare"] },
  { name: "passt", brings: ["pasta"] },
  { name: "nftables", brings: ["nft"] },
  { name: "iproute2", brings: ["ip"] },
  { name: "debian-archive-keyring", brings: ["/usr/share/keyrings/debian-archive-keyring.gpg"] },
];
const unprivileged = [{ name: "uidmap", brings: ["newuidmap"] }];
const tests = [
  { name: "nbdkit", brings: ["nbdkit"] },
  { name: "libnbd-bin", brings: ["nbdinfo", "nbdcopy"] },
  { name: "radosgw", brings: ["radosgw"] },
  { name: "ceph-mon", brings: ["ceph-mon"] },
  { name: "ceph-osd", brings: ["ceph-osd"] },
];
/** Debian's QEMU is unpacked privately where the system has none; elsewhere it has to come from the system. */
const systemQemu = [{ name: "qemu-system-x86", brings: ["qemu-system-x86_64"] }];

/** What this system needs, whether it is there or not. `release` is the content of /etc/os-release. */
export function requiredPackages(release, { tests: forTests, root = process.getuid?.() === 0 }) {
  return [
    ...runtime,
    ...(root ? [] : unprivileged),
    ...(release.ID === "debian" ? [] : systemQemu),
    ...(forTests ? tests : []),
  ];
}

/** The names of those packages of which something is not there. */
export function missingPackages(required) {
  return required.filter((each) => !isThere(each)).map((each) => each.name);
}

function isThere({ brings, isThere: check }) {
  return brings.every((what) => find(what) !== undefined) && (check === undefined || check());
}

/** The command that installs them, as root. */
export function aptCommand(names) {
  return ["apt-get", "install", "-y", "--no-install-recommends", ...names];
}

/** Installs them, with apt's progress on the screen; reads the package lists anew when they are missing or too old. */
export function installPackages(names) {
  if (listsAreFresh() && run(aptCommand(names))) return true;
  return run(["apt-get", "update"]) && run(aptCommand(names));
}

function run([command, ...args]) {
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive", LC_ALL: "C.UTF-8" };
  return spawnSync(command, args, { stdio: "inherit", env }).status === 0;
}

function listsAreFresh() {
  const folder = "/var/lib/apt/lists";
  try {
    const lists = readdirSync(folder).filter((name) => name.includes("_Packages"));
    const newest = Math.max(...lists.map((name) => statSync(path.join(folder, name)).mtimeMs));
    return Date.now() - newest < 24 * 3600 * 1000;
  } catch {
    return false;
  }
}

/** The path of a command, also of those that only root has on its PATH; or the file itself if there is one. */
function find(what) {
  if (what.includes("/")) return existsSync(what) ? what : undefined;
  const folders = [...(process.env.PATH ?? "").split(":"), "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
  return folders.map((folder) => path.join(folder, what)).find((file) => existsSync(file));
}

/** True when a program names no interpreter: it will run in any root file system (ELF, segment type PT_INTERP = 3). */
function isStatic(command) {
  const file = find(command);
  if (file === undefined) return false;
  const head = Buffer.alloc(4096);
  const descriptor = openSync(file, "r");
  try {
    readSync(descriptor, head, 0, head.length, 0);
  } finally {
    closeSync(descriptor);
  }
  const offset = Number(head.readBigUInt64LE(32));
  const [size, count] = [head.readUInt16LE(54), head.readUInt16LE(56)];
  for (let i = 0; i < count && offset + (i + 1) * size <= head.length; i++)
    if (head.readUInt32LE(offset + i * size) === 3) return false;
  return true;
}

/** /etc/os-release as an object. */
export function readOsRelease(file = "/etc/os-release") {
  try {
    const lines = readFileSync(file, "utf8").split("\n");
    const pairs = lines.map((line) => /^(\w+)=["']?(.*?)["']?$/.exec(line)).filter((match) => match !== null);
    return Object.fromEntries(pairs.map((match) => [match[1], match[2]]));
  } catch {
    return {};
  }
}
