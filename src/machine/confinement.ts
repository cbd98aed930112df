import assert from "node:assert/strict";
import path from "node:path";
import type { MachineSpec } from "./machine-spec.ts";
import { qemuArguments, type SeenPaths } from "./qemu-arguments.ts";
import type { QemuInstall } from "./qemu-install.ts";

/** What a host offers for starting machines. */
export interface MachineHost {
  readonly qemu: QemuInstall;
  /** Directories of the system's libraries, and links to them, as `hostLibraries` found them. */
  readonly libraries: readonly LibraryPath[];
  /** True when the daemon is root: then each machine runs as a user of its own. */
  readonly root: boolean;
  /** The group that may use /dev/kvm. */
  readonly kvmGid?: number;
}

export type LibraryPath =
  | { readonly kind: "directory"; readonly path: string }
  | { readonly kind: "link"; readonly path: string; readonly target: string };

/** The descriptor on which bubblewrap tells the process number of the VMM. */
export const infoFd = 4;
/** The descriptor from which bubblewrap reads a filter of system calls. */
export const filterFd = 5;

/** Paths as the VMM sees them. */
const inside = {
  directory: "/machine",
  sockets: "/sockets",
  memfile: "/template/memfile",
  agentDisk: "/template/agent-disk",
  rawDisk: "/template/rootfs",
  nbd: "/nbd",
  kernel: "/boot/kernel",
  initrd: "/boot/initrd",
  qemu: "/vmm/qemu",
  setpriv: "/vmm/setpriv",
};

const folders = ["/usr", "/usr/lib", "/dev", "/vmm", "/template", "/boot"];
const tunFolder = "/dev/net";
const tunDevice = "/dev/net/tun";

export interface Command {
  readonly program: string;
  readonly args: readonly string[];
}

/**
 * The command that starts a machine in its cage: an empty network or one of its own, its own processes, host name and
 * files, and no capabilities. A root daemon makes the mounts as root (only root can reach its files) and hands the VMM
 * to a user of its
 * own; an ordinary user's daemon uses a user namespace.
 */
export function confinedCommand(spec: MachineSpec, host: MachineHost): Command {
  const seen = seenPaths(spec, host);
  const qemu = [inside.qemu, ...qemuArguments(spec, seen)];
  const { network } = spec;
  const devices = [...(spec.accelerator === "kvm" ? ["/dev/kvm"] : []), ...(network ? [tunDevice] : [])];
  const [program = "", ...args] = [
    ...joining(spec),
    ...entering(spec, host),
    "bwrap",
    ...["--cap-drop", "ALL"],
    ...(host.root
      ? setprivCapabilities.flatMap((capability) => ["--cap-add", capability])
      : ["--unshare-user"]),
    ...(network === undefined ? ["--unshare-net"] : []),
    ...["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"],
    ...["--new-session", "--as-pid-1", "--clearenv", "--hostname", "vm"],
    // Folders that bubblewrap makes by itself are root's alone.
    ...[...folders, ...(network ? [tunFolder] : [])].flatMap((folder) => [
      "--perms",
      "0755",
      "--dir",
      folder,
    ]),
    ...programBinds(host),
    ...devices.flatMap((device) => ["--dev-bind", device, device]),
    ...fileBinds(spec),
    ...["--remount-ro", "/", "--chdir", "/", "--info-fd", String(infoFd)],
    ...(spec.memfile.lazy === undefined ? [] : ["--seccomp", String(filterFd)]),
    "--",
    ...(host.root ? dropTo(spec, host) : []),
    ...qemu,
  ];
  return { program, args };
}

/** Before anything else, so that all that is started is in its groups. */
const joinScript =
  'until [ "$1" = -- ]; do echo $$ > "$1" || exit 1; shift; done; shift; ulimit -c 0; exec "$@"';

function joining({ processFiles = [] }: MachineSpec): string[] {
  return processFiles.length === 0 ? [] : ["sh", "-c", joinScript, "sh", ...processFiles, "--"];
}

/** A network of its own is there before the machine is, and is entered by what makes the cage. */
function entering({ network }: MachineSpec, { root }: MachineHost): string[] {
  if (network === undefined) return [];
  const user = root ? [] : [`--user=${network.userNamespace}`, "--preserve-credentials"];
  return ["nsenter", ...user, `--net=${network.netNamespace}`, "--"];
}

/** What setpriv needs, to give up all of them and root itself. */
const setprivCapabilities = ["CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP"];

function dropTo(spec: MachineSpec, host: MachineHost): string[] {
  assert(spec.uid !== undefined && spec.uid > 0, "a root daemon gives each machine a user of its own");
  const uid = String(spec.uid);
  const groups =
    spec.accelerator === "kvm" && host.kvmGid !== undefined
      ? ["--groups", String(host.kvmGid)]
      : ["--clear-groups"];
  const nothing = ["--inh-caps=-all", "--ambient-caps=-all", "--bounding-set=-all", "--no-new-privs"];
  return [inside.setpriv, "--reuid", uid, "--regid", uid, ...groups, ...nothing, "--"];
}

function programBinds({ qemu, libraries, root }: MachineHost): string[] {
  const own = qemu.libraryDirectories.map((_, i) => `/vmm/lib${i}`);
  return [
    ...libraries.flatMap((library) =>
      library.kind === "directory"
        ? ["--ro-bind", library.path, library.path]
        : ["--symlink", library.target, library.path],
    ),
    ...["--ro-bind", qemu.binary, inside.qemu],
    ...(root ? ["--ro-bind", "/usr/bin/setpriv", inside.setpriv] : []),
    ...qemu.libraryDirectories.flatMap((directory, i) => ["--ro-bind", directory, own[i] ?? ""]),
    ...(own.length === 0 ? [] : ["--setenv", "LD_LIBRARY_PATH", own.join(":")]),
    ...qemu.dataDirectories.flatMap((directory, i) => ["--ro-bind", directory, `/vmm/data${i}`]),
  ];
}

/** Only while a template is made are memory and disk writable. */
function fileBinds(spec: MachineSpec): string[] {
  const { rootDisk, agentDisk, memfile, boot } = spec;
  const building = memfile.mode === "build" ? "--bind" : "--ro-bind";
  return [
    ...["--bind", spec.directory, inside.directory],
    ...["--bind", spec.socketDirectory, inside.sockets],
    ...[building, memfile.path, inside.memfile],
    ...(typeof agentDisk === "string" ? ["--ro-bind", agentDisk, inside.agentDisk] : []),
    ...(rootDisk.kind === "raw"
      ? ["--bind", rootDisk.path, inside.rawDisk]
      : // The directory, not the socket: that of a restarted daemon is another one.
        ["--ro-bind", path.dirname(rootDisk.nbdSocket), inside.nbd]),
    ...(boot === undefined
      ? []
      : ["--ro-bind", boot.kernel, inside.kernel, "--ro-bind", boot.initrd, inside.initrd]),
  ];
}

function seenPaths(spec: MachineSpec, { qemu }: MachineHost): SeenPaths {
  const { rootDisk } = spec;
  return {
    ...inside,
    rootDisk: rootDisk.kind === "raw" ? inside.rawDisk : `${inside.nbd}/${path.basename(rootDisk.nbdSocket)}`,
    dataDirectories: qemu.dataDirectories.map((_, i) => `/vmm/data${i}`),
  };
}

/** How a file in the machine's own directory is called inside. */
export function insideDirectory(name: string): string {
  return `${inside.directory}/${name}`;
}
