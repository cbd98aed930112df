import { readFile } from "node:fs/promises";
import { rootNode } from "./fuse-protocol.ts";

/** A file as `stat` would tell it, and /proc/PID/maps does. */
export interface FileIdentity {
  readonly dev: number;
  readonly ino: number;
}

/** The identity of a file served here, by the table of mounts: the file itself is not touched, which might hang. */
export async function identityOfMount(mountPoint: string): Promise<FileIdentity | undefined> {
  const device = deviceOfMount(await readFile("/proc/self/mountinfo", "utf8"), mountPoint);
  return device === undefined ? undefined : { dev: device, ino: rootNode };
}

/** The device that is mounted at a path, by the text of /proc/self/mountinfo; the last one counts. */
export function deviceOfMount(mounts: string, mountPoint: string): number | undefined {
  const line = mounts.split("\n").findLast((each) => each.split(" ")[4] === escaped(mountPoint));
  const [major = 0, minor = 0] = line?.split(" ")[2]?.split(":").map(Number) ?? [];
  if (line === undefined) return undefined;
  // makedev of Linux, for numbers below 2^32.
  return (minor & 0xff) + (major & 0xfff) * 2 ** 8 + (minor >>> 8) * 2 ** 20;
}

/** Blanks, tabs, line ends and backslashes stand there in octal; proc(5). */
function escaped(file: string): string {
  return file.replace(/[ \t\n\\]/g, (one) => `\\${one.charCodeAt(0).toString(8).padStart(3, "0")}`);
}
