import { createRequire } from "node:module";
import { chmod, copyFile, mkdir, realpath, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { Failure } from "../base/failure.ts";
import { makeExt4, normaliseInodes } from "./ext4-image.ts";
import { guestDirectory } from "./initrd.ts";
import { runCommand } from "./run-command.ts";

export interface AgentDiskOptions {
  /** Where the image is written. */
  readonly image: string;
  /** An empty directory for the files that go into it. */
  readonly scratch: string;
  /** The guest's program, bundled. */
  readonly agent: Buffer;
  /** The Node that runs in the guest. */
  readonly node: string;
}

/** Where the disk is mounted in every guest. Programs on it name it, so it cannot be moved. */
const mountPoint = "/run/larder";
const uuid = "6c617264-6572-4167-a65e-74206469736b";

/**
 * Makes the disk that every guest has besides its own: Node with its libraries and loader, busybox, tini, the agent
 * and its native part. It works in root disks of any distribution. The same inputs give the same image.
 */
export async function makeAgentDisk(options: AgentDiskOptions, signal: AbortSignal): Promise<void> {
  const { image, scratch, agent, node } = options;
  const at = (name: string) => path.join(scratch, name);
  await chmod(scratch, 0o755);
  await mkdir(at("lib"));
  await chmod(at("lib"), 0o755);
  const koffi = koffiFile();
  await copyFile(node, at("node"));
  await copyFile(koffi, at("koffi.node"));
  for (const [name, file] of await librariesOf([node, koffi], signal)) {
    await copyFile(await realpath(file), isLoader(name) ? at("ld.so") : at(path.join("lib", name)));
  }
  // An RPATH, unlike a RUNPATH, also holds for the libraries of libraries and of koffi.node.
  const patches = [
    "--set-interpreter",
    `${mountPoint}/ld.so`,
    "--force-rpath",
    "--set-rpath",
    `${mountPoint}/lib`,
  ];
  await runCommand("patchelf", [...patches, at("node")], {}, signal);
  await copyFile("/usr/bin/tini-static", at("tini"));
  await copyFile(await staticBusybox(), at("busybox"));
  await copyFile(path.join(guestDirectory, "second-stage"), at("second-stage"));
  await writeFile(at("agent.cjs"), agent);
  for (const program of ["node", "ld.so", "tini", "busybox"]) await chmod(at(program), 0o755);
  for (const data of ["koffi.node", "agent.cjs", "second-stage"]) await chmod(at(data), 0o644);
  await makeExt4(
    { source: scratch, image, bytes: await roomFor(scratch, signal), journalMib: 0, uuid },
    signal,
  );
  await normaliseInodes(image, scratch, signal);
}

/** busybox, which Debian links statically in the package busybox-static. */
export async function staticBusybox(): Promise<string> {
  for (const file of ["/usr/bin/busybox", "/bin/busybox"])
    if ((await stat(file).catch(() => undefined))?.isFile() === true) return file;
  throw new Failure("not_found", "busybox is not installed: run `node bin/install.mjs`");
}

/** The native part of koffi for this processor and glibc. */
function koffiFile(): string {
  const resolve = createRequire(createRequire(import.meta.url).resolve("koffi")).resolve;
  const folder = `@koromix/koffi-linux-${process.arch}`;
  return path.join(path.dirname(resolve(`${folder}/package.json`)), `linux_${process.arch}`, "koffi.node");
}

/**
 * The shared libraries that programs need, and their loader: name → path. As ldd(1) says, so only of programs
 * trusted.
 */
async function librariesOf(programs: readonly string[], signal: AbortSignal): Promise<Map<string, string>> {
  const libraries = new Map<string, string>();
  for (const program of programs) {
    const output = (await runCommand("ldd", [program], {}, signal)).toString();
    for (const [, name = "", file = name] of output.matchAll(/^\s*(\S+)(?: => (\S+))? \(0x[0-9a-f]+\)$/gm)) {
      if (file.startsWith("/")) libraries.set(path.basename(name), file);
    }
  }
  return libraries;
}

function isLoader(name: string): boolean {
  return name.startsWith("ld-linux");
}

/**
 * What the files take, with a tenth and 8 MiB for tables, in whole mebibytes: as long as they are, since how many
 * blocks they have on this disk may not be settled yet.
 */
async function roomFor(directory: string, signal: AbortSignal): Promise<number> {
  const kibibytes = Number.parseInt(
    (await runCommand("du", ["-sk", "--apparent-size", directory], {}, signal)).toString(),
    10,
  );
  return (Math.ceil((kibibytes * 1.1) / 1024) + 8) * 1024 * 1024;
}
